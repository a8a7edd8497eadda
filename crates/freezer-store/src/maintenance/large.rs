//! The check that finds documents which are too large to be read.

use super::findings::{Findings, Present, Question};
use crate::error::StoreError;
use crate::exec::Db;
use crate::query::DOCUMENT_KEYS as KEYS;

pub(super) const TOO_LARGE: Question = Question {
    name: "too_large",
    title: "Documents that are too large",
    found: "documents that are larger than the service reads, so that lists leave them out and a GET is answered with 413",
    advice: "a larger [api] max_answer_bytes allows to read and change them; a job whose actions are too large can get a shorter list \
             of job_actions with PATCH; DELETE is always possible",
};

/// The documents of tables: kind, table, and the columns whose size is unlimited.
const DOCUMENTS: [(&str, &str, &[&str]); 4] = [
    ("job", "jobs", &["schedule"]),
    ("session", "sessions", &["schedule", "job"]),
    ("action", "actions", &["backup_metadata"]),
    ("backup", "backups", &["backup_metadata"]),
];

/// Finds live documents of more than `limit` bytes.
pub(super) async fn too_large(db: &mut Db, present: &Present, limit: u64) -> Result<Findings, StoreError> {
    let mut findings = Findings::default();
    for (what, table, texts) in DOCUMENTS {
        let texts: Vec<&str> =
            texts.iter().copied().filter(|column| present.has(table, &[*column])).collect();
        if let Some(why) = present.lacks(table, &["id", "project_id", "deleted"]) {
            findings.skip(why);
            continue;
        }
        let mut sizes: Vec<String> = texts.iter().map(|column| size(&format!("d.{column}"))).collect();
        if table == "jobs" {
            match present.lacks_links() {
                Some(why) => findings.skip(why),
                None => sizes.push(actions_of_job()),
            }
        }
        let sum = sizes.join(" + ");
        let sql = format!(
            "SELECT id, project, CAST(bytes AS CHAR) AS size FROM (SELECT d.id AS id, COALESCE(d.project_id, '') AS project, \
             {sum} + {KEYS} AS bytes FROM {table} d WHERE d.deleted = 0) sized WHERE bytes > {limit}",
            sum = if sum.is_empty() { "0" } else { &sum },
            limit = i64::try_from(limit).unwrap_or(i64::MAX),
        );
        findings
            .add_rows(db, &sql, |[id, project, bytes]: [String; 3]| example(what, &id, &project, &bytes))
            .await?;
    }
    Ok(findings)
}

fn example(what: &str, id: &str, project: &str, bytes: &str) -> String {
    // A document may take a quarter of the option.
    let needed = bytes.parse::<u64>().map_or(0, |bytes| bytes.saturating_mul(4));
    format!("{what} {id} of project {project}: {bytes} bytes; needs [api] max_answer_bytes = {needed}")
}

/// Returns the number of bytes of a text.
fn size(column: &str) -> String {
    format!("COALESCE(OCTET_LENGTH({column}), 0)")
}

/// Returns the number of bytes of the actions of job `d`. An action counts as often as the job contains it.
fn actions_of_job() -> String {
    let definition = size("a.backup_metadata");
    format!(
        "COALESCE((SELECT SUM({definition} + {KEYS}) FROM job_actions l JOIN actions a ON a.id = l.action_id \
         AND a.deleted = 0 WHERE l.job_id = d.id AND l.deleted = 0), 0)"
    )
}
