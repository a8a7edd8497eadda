//! The checks of the links from jobs to actions, and the defects that `db sync` counts in its last line.

use super::findings::{Findings, Present, Question};
use crate::error::StoreError;
use crate::exec::Db;
use crate::migrations::live_clients::equal_clients;
use crate::{Store, read};

pub(super) const JOB_LINKS: Question = Question {
    name: "job_links",
    title: "Links from jobs to actions",
    found: "rows of job_actions of live jobs without a live action",
    advice: "such a job runs without the action: give the job the actions that it needs with PATCH, or mark the row as \
             deleted",
};

pub(super) const LINKS_WITHOUT_JOB: Question = Question {
    name: "links_without_job",
    title: "Links without a job",
    found: "rows of job_actions without a live job",
    advice: "no job uses these rows: mark each as deleted with UPDATE job_actions SET deleted = 1 WHERE id = '…'",
};

pub(super) const JOBS_WITHOUT_ACTIONS: Question = Question {
    name: "jobs_without_actions",
    title: "Jobs without actions",
    found: "live jobs that have no live action, so that they do nothing",
    advice: "give them actions with PATCH, or delete them; values that an upgrade could not move are shown by: \
             freezer-manage db leftovers",
};

/// Counts of defects that a sync cannot repair.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Defects {
    /// Links of jobs without a live job or a live action.
    pub links: u64,
    /// Live jobs without a live action.
    pub without_actions: u64,
    /// Names that several live clients of a project have.
    pub equal_clients: u64,
}

impl Store {
    /// Counts what the checks `job_links`, `links_without_job`, `jobs_without_actions` and `duplicate_clients` find.
    ///
    /// # Errors
    /// As every query: [`StoreError`].
    pub async fn defects(&self) -> Result<Defects, StoreError> {
        let store = self.patient();
        let there = read!(store, "check.columns", |db| db.tables().await)?;
        let present = Present::new(&there, &[]);
        read!(store, "check.rows", |db| {
            let links =
                job_links(db, &present).await?.count() + links_without_job(db, &present).await?.count();
            let without_actions = jobs_without_actions(db, &present).await?.count();
            let equal_clients = equal_clients(db, &there, &there).await?.len() as u64;
            Ok(Defects { links, without_actions, equal_clients })
        })
    }
}

pub(super) async fn job_links(db: &mut Db, present: &Present) -> Result<Findings, StoreError> {
    if let Some(why) = present.lacks_links() {
        return Ok(Findings::unchecked(why));
    }
    let mut findings = Findings::default();
    let sql = "SELECT l.id AS link, l.job_id AS job, l.action_id AS action FROM job_actions l \
               JOIN jobs j ON j.id = l.job_id AND j.deleted = 0 \
               LEFT JOIN actions a ON a.id = l.action_id AND a.deleted = 0 \
               WHERE l.deleted = 0 AND a.id IS NULL";
    let example =
        |[link, job, action]: [String; 3]| format!("{link} (job {job}, action {action}): no live action");
    findings.add_rows(db, sql, example).await?;
    Ok(findings)
}

pub(super) async fn links_without_job(db: &mut Db, present: &Present) -> Result<Findings, StoreError> {
    if let Some(why) = present.lacks_links() {
        return Ok(Findings::unchecked(why));
    }
    let mut findings = Findings::default();
    let sql = "SELECT l.id AS link, l.job_id AS job, l.action_id AS action, \
               CASE WHEN a.id IS NULL THEN 'action' ELSE '' END AS no_action FROM job_actions l \
               LEFT JOIN jobs j ON j.id = l.job_id AND j.deleted = 0 \
               LEFT JOIN actions a ON a.id = l.action_id AND a.deleted = 0 \
               WHERE l.deleted = 0 AND j.id IS NULL";
    let example = |[link, job, action, no_action]: [String; 4]| {
        let and = if no_action.is_empty() { "" } else { " and " };
        format!("{link} (job {job}, action {action}): no live job{and}{no_action}")
    };
    findings.add_rows(db, sql, example).await?;
    Ok(findings)
}

pub(super) async fn jobs_without_actions(db: &mut Db, present: &Present) -> Result<Findings, StoreError> {
    if let Some(why) = present.lacks_links() {
        return Ok(Findings::unchecked(why));
    }
    let mut findings = Findings::default();
    let sql = "SELECT j.id, j.project_id FROM jobs j WHERE j.deleted = 0 AND NOT EXISTS \
               (SELECT 1 FROM job_actions l JOIN actions a ON a.id = l.action_id \
               WHERE l.job_id = j.id AND l.deleted = 0 AND a.deleted = 0 AND a.project_id = j.project_id)";
    let example = |[job, project]: [String; 2]| format!("job {job} of project {project}");
    findings.add_rows(db, sql, example).await?;
    Ok(findings)
}
