//! The checks of `db check` and of `freezer-manager-status upgrade check` that read the database. They change
//! nothing and also work on old layouts: if a layout does not allow a check, the result says so.
//! `documents.rs` checks JSON.

use super::findings::{CheckResult, EXAMPLES, Findings, Present, Question};
use super::links::{self, JOB_LINKS, JOBS_WITHOUT_ACTIONS, LINKS_WITHOUT_JOB};
use super::{Verdict, documents, keys, large};
use crate::dialect::Dialect;
use crate::error::StoreError;
use crate::exec::Db;
use crate::migrations::{
    ColumnKind, Dependents, HEAD, Mixed, RowMove, SchemaError, State, StepAction, SyncPlan, TABLES,
    Unmovable, Wishes,
};
use crate::{Store, read};

impl Store {
    /// Checks the database. Documents that are larger than this store may read are findings. If its tables are missing,
    /// or belong to another program, the only result is that of the check `layout`.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] and similar errors, if the checks could not run.
    pub async fn check(&self) -> Result<Vec<CheckResult>, StoreError> {
        let store = self.patient();
        let plan = match store.plan(Wishes::default()).await {
            Ok(plan) => plan,
            Err(StoreError::Schema(error)) => return Ok(vec![refused(&error)]),
            Err(error) => return Err(error),
        };
        let mut checks = vec![layout(&plan)];
        if plan.state == State::Empty {
            return Ok(checks);
        }
        let there = read!(store, "check.columns", |db| db.tables().await)?;
        let (mut charset, mut widths) = (Findings::default(), Findings::default());
        for wanted in TABLES.iter().filter(|_| store.dialect() == Dialect::MySql) {
            let Some(table) = there.table(wanted.name) else { continue };
            if !table.is_utf8mb4() {
                charset.add(format!("{}: {}", wanted.name, table.collation));
            }
            for column in wanted.columns {
                let Some(found) = table.column(column.name) else { continue };
                let place = format!("{}.{}", wanted.name, column.name);
                match (column.kind, found.width) {
                    (ColumnKind::Text(width), Some(is)) if is < u32::from(width) => {
                        widths.add(format!("{place}: {is} characters, not {width}"));
                    }
                    (ColumnKind::Document, _)
                        if !matches!(found.data_type.as_str(), "mediumtext" | "longtext") =>
                    {
                        widths.add(format!("{place}: {}, not mediumtext", found.data_type));
                    }
                    _ => {}
                }
            }
        }
        let present = Present::new(&there, &plan.mixed);
        checks.push(charset.into_check(&CHARSET));
        checks.push(widths.into_check(&WIDTHS));
        checks.push(duplicate_clients(&plan, &present).into_check(&DUPLICATE_CLIENTS));
        let rows: Result<Vec<CheckResult>, StoreError> = read!(store, "check.rows", |db| Ok(vec![
            links::job_links(db, &present).await?.into_check(&JOB_LINKS),
            unknown_clients(db, &present).await?.into_check(&UNKNOWN_CLIENTS),
            undecided(db, &present).await?.into_check(&UNDECIDED),
            leftovers(db, &present).await?.into_check(&LEFTOVERS),
        ]));
        checks.extend(rows?);
        checks.push(documents::unreadable(&store, &present).await?.into_check(&documents::UNREADABLE));
        checks.push(unmovable(&store).await?);
        let idle: Result<CheckResult, StoreError> = read!(store, "check.rows", |db| {
            Ok(links::jobs_without_actions(db, &present).await?.into_check(&JOBS_WITHOUT_ACTIONS))
        });
        checks.push(idle?);
        checks.push(collations(&plan));
        checks.push(action_terms(&plan));
        let unused: Result<CheckResult, StoreError> = read!(store, "check.rows", |db| {
            Ok(links::links_without_job(db, &present).await?.into_check(&LINKS_WITHOUT_JOB))
        });
        checks.push(unused?);
        checks.push(keys::wrong_keys(&plan));
        let limit = self.read_limit;
        let large: Result<CheckResult, StoreError> = read!(store, "check.rows", |db| {
            Ok(large::too_large(db, &present, limit).await?.into_check(&large::TOO_LARGE))
        });
        checks.push(large?);
        checks.push(dependents(&plan));
        Ok(checks)
    }
}

fn layout_check(verdict: Verdict, details: String, advice: Option<&'static str>) -> CheckResult {
    CheckResult {
        name: "layout",
        title: "Database tables",
        verdict,
        details,
        count: 0,
        examples: Vec::new(),
        advice,
    }
}

/// Returns the result if this release cannot upgrade the tables.
fn refused(error: &SchemaError) -> CheckResult {
    let details = match error {
        // This is shorter than the error, because the report already names the database.
        SchemaError::Empty { .. } => return empty(),
        SchemaError::Unknown { found, .. } => {
            format!("at revision {found}, which this release does not know; it serves {HEAD}")
        }
        other => other.to_string(),
    };
    let advice = match error {
        SchemaError::Unknown { .. } => {
            Some("run the release that created the tables, or restore a backup of the database")
        }
        _ => None,
    };
    layout_check(Verdict::Failure, details, advice)
}

fn empty() -> CheckResult {
    let advice = "create them with: freezer-manage db sync";
    layout_check(Verdict::Failure, "there are no tables yet".to_owned(), Some(advice))
}

fn layout(plan: &SyncPlan) -> CheckResult {
    let upgrade = plan.steps.iter().filter(|step| step.revision.is_some()).count();
    let additions = plan.steps.len() - upgrade;
    let at = match &plan.state {
        State::Empty => return empty(),
        State::At(revision) => format!("at revision {revision}"),
        State::Unversioned(_) => "without a revision in alembic_version".to_owned(),
    };
    let check = if upgrade > 0 || plan.stamps {
        let details = match &plan.state {
            State::At(revision) if revision == HEAD => {
                format!("{at} by its stamp only; steps missing on the way there: {upgrade}")
            }
            _ => format!("{at}, this release serves {HEAD}; steps pending: {upgrade}"),
        };
        let advice = "upgrade with: freezer-manage db sync (first look: --dry-run)";
        layout_check(Verdict::Failure, details, Some(advice))
    } else if plan.wrong_keys.iter().any(|key| key.is_needed) {
        let needed = plan.wrong_keys.iter().filter(|key| key.is_needed).count();
        let details = format!(
            "{at}; primary keys that are missing or wrong, so that the service does not serve these tables: {needed}; \
             steps to repair them and to add what is missing: {additions}"
        );
        layout_check(Verdict::Failure, details, Some("restore them with: freezer-manage db sync"))
    } else if plan.mixed.iter().any(Mixed::is_refused) {
        let details = format!(
            "{at}; columns that the server cannot compare, so that the service does not serve these tables; steps to \
             convert them and to add what is missing: {additions}"
        );
        layout_check(Verdict::Failure, details, Some("convert them with: freezer-manage db sync"))
    } else if additions > 0 {
        let details = format!(
            "{at}; additions of this release that are missing (indexes, widths, search terms): {additions}"
        );
        layout_check(
            Verdict::Warning,
            details,
            Some("the service works without them; add them with: freezer-manage db sync"),
        )
    } else {
        layout_check(Verdict::Success, at, None)
    };
    CheckResult {
        count: plan.steps.len() as u64,
        examples: plan.steps.iter().take(EXAMPLES).map(|step| step.what.clone()).collect(),
        ..check
    }
}

const CHARSET: Question = Question {
    name: "charset",
    title: "Character set",
    found: "tables that are not utf8mb4 and cannot hold an emoji",
    advice: "convert them with: freezer-manage db sync --charset",
};

/// Columns that statements compare and that have different collations: the server refuses that, or cannot use an index.
fn collations(plan: &SyncPlan) -> CheckResult {
    let mut found = Findings::default();
    plan.mixed.iter().for_each(|mixed| found.add(mixed.to_string()));
    let check = found.into_check(&COLLATIONS);
    match plan.mixed.iter().any(Mixed::is_refused) {
        true => CheckResult { verdict: Verdict::Failure, ..check },
        false => check,
    }
}

const COLLATIONS: Question = Question {
    name: "collations",
    title: "Collations",
    found: "pairs of columns that statements compare and that have different collations",
    advice: "convert them with: freezer-manage db sync",
};

/// Rows of `fz_action_terms` that are missing, or that no action lists.
fn action_terms(plan: &SyncPlan) -> CheckResult {
    let mut found = Findings::default();
    for step in &plan.steps {
        if let StepAction::MoveRows(RowMove::RepairActionTerms(parts)) = &step.action {
            found.add_all(parts.len().into(), step.what.clone());
        }
    }
    found.into_check(&ACTION_TERMS)
}

const ACTION_TERMS: Question = Question {
    name: "action_terms",
    title: "Terms of actions",
    found: "parts of the table fz_action_terms that do not match the actions, so that searches for jobs by a key of their \
            actions can miss some",
    advice: "repair them with: freezer-manage db sync",
};

/// Triggers and views that use columns which the upgrade drops, or has dropped.
fn dependents(plan: &SyncPlan) -> CheckResult {
    let mut found = Findings::default();
    let Dependents { broken, views, .. } = &plan.dependents;
    broken.iter().chain(views).for_each(|dependent| found.add(dependent.clone()));
    let check = found.into_check(&DEPENDENTS);
    match broken.is_empty() {
        true => check,
        false => CheckResult { verdict: Verdict::Failure, ..check },
    }
}

const DEPENDENTS: Question = Question {
    name: "dependents",
    title: "Uses of dropped columns",
    found: "triggers and views that use a column which upgrades drop; with such a trigger, the server rejects new rows",
    advice: "drop or change them",
};

const WIDTHS: Question = Question {
    name: "widths",
    title: "Column widths",
    found: "columns narrower than this release's, which reject longer values",
    advice: "widen them with: freezer-manage db sync",
};

const DUPLICATE_CLIENTS: Question = Question {
    name: "duplicate_clients",
    title: "Duplicate clients",
    found: "names that several live clients of a project have, also if they differ only in what the collation ignores (case, \
            accents, spaces at the end), so that the unique index on names is not possible",
    advice: "keep one client of each name: rename the others, or mark them as deleted with UPDATE clients SET deleted = 1 WHERE \
             id = '…'; then run: freezer-manage db sync",
};

fn duplicate_clients(plan: &SyncPlan, present: &Present) -> Findings {
    if let Some(why) = present.lacks("clients", &["client_id", "project_id", "deleted"]) {
        return Findings::unchecked(why);
    }
    let mut findings = Findings::default();
    plan.equal_clients.iter().for_each(|equal| findings.add(equal.to_string()));
    findings
}

/// Returns the check of values that an upgrade of these tables would move to `freezer_leftovers`.
async fn unmovable(store: &Store) -> Result<CheckResult, StoreError> {
    let Unmovable { values, rows, examples } = store.unmovable().await?;
    let nothing = values == 0;
    Ok(CheckResult {
        name: "unmovable",
        title: "Values that cannot be moved",
        verdict: if nothing { Verdict::Success } else { Verdict::Warning },
        details: match nothing {
            true => "nothing found".to_owned(),
            false => format!("values that an upgrade cannot move: {values}, in {rows} rows"),
        },
        count: values,
        examples,
        advice: (!nothing).then_some(
            "correct them first, or find them after the upgrade with: freezer-manage db leftovers",
        ),
    })
}

const UNKNOWN_CLIENTS: Question = Question {
    name: "unknown_clients",
    title: "Jobs of unknown clients",
    found: "jobs that are not completed, of a client that is neither in their project nor central",
    advice: "no scheduler runs them: register the client again, or delete the jobs",
};

async fn unknown_clients(db: &mut Db, present: &Present) -> Result<Findings, StoreError> {
    let columns = ["client_id", "project_id", "deleted"];
    if let Some(why) = present.lacks("jobs", &columns).or_else(|| present.lacks("clients", &columns)) {
        return Ok(Findings::unchecked(why));
    }
    let mut findings = Findings::default();
    // The tables may have collations that MySQL cannot compare. With this explicit collation, the index of
    // clients is still used.
    let as_clients = |column: &str| match (db.dialect(), present.clients.split_once('_')) {
        (Dialect::MySql, Some((charset, _))) => {
            format!("CONVERT({column} USING {charset}) COLLATE {}", present.clients)
        }
        _ => column.to_owned(),
    };
    let central = if present.has("clients", &["is_central"]) { " OR c.is_central = 1" } else { "" };
    let live = match present.has("jobs", &["schedule"]) {
        true => format!("AND {}", not_completed(db.dialect())),
        false => String::new(),
    };
    let sql = format!(
        "SELECT j.id, j.client_id, j.project_id FROM jobs j WHERE j.deleted = 0 {live} AND NOT EXISTS \
         (SELECT 1 FROM clients c WHERE c.deleted = 0 AND c.client_id = {} \
         AND (c.project_id = {}{central}))",
        as_clients("j.client_id"),
        as_clients("j.project_id")
    );
    let example =
        |[job, client, project]: [String; 3]| format!("job {job} of project {project}: client {client}");
    findings.add_rows(db, &sql, example).await?;
    Ok(findings)
}

/// Returns a condition that is false for completed jobs, such as finished restores: no scheduler runs these again.
fn not_completed(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::MySql => {
            "CASE WHEN JSON_VALID(j.schedule) = 1 \
             THEN COALESCE(JSON_UNQUOTE(JSON_EXTRACT(j.schedule, '$.status')) = 'completed', 0) ELSE 0 END = 0"
        }
        // The Python service stores JSON as BLOBs.
        Dialect::Sqlite => {
            "CASE WHEN json_valid(CAST(j.schedule AS TEXT)) \
             THEN COALESCE(json_extract(CAST(j.schedule AS TEXT), '$.status') = 'completed', 0) ELSE 0 END = 0"
        }
    }
}

const UNDECIDED: Question = Question {
    name: "deleted_null",
    title: "Rows neither live nor deleted",
    found: "rows without a value in deleted, which are never shown",
    advice: "set deleted to 0 (live) or 1 in these rows",
};

async fn undecided(db: &mut Db, present: &Present) -> Result<Findings, StoreError> {
    let mut findings = Findings::default();
    for table in TABLES {
        if let Some(why) = present.lacks(table.name, &["id", "deleted"]) {
            findings.skip(why);
            continue;
        }
        let sql = format!("SELECT id FROM {} WHERE deleted IS NULL", db.dialect().quote(table.name));
        findings.add_rows(db, &sql, |[id]: [String; 1]| format!("{}: {id}", table.name)).await?;
    }
    Ok(findings)
}

const LEFTOVERS: Question = Question {
    name: "leftovers",
    title: "Leftovers of an upgrade",
    found: "values that an upgrade could not move, in the table freezer_leftovers",
    advice: "show them with: freezer-manage db leftovers; copy the needed values to their columns, then drop the table",
};

async fn leftovers(db: &mut Db, present: &Present) -> Result<Findings, StoreError> {
    let mut findings = Findings::default();
    if present.has("freezer_leftovers", &["table_name", "column_name", "row_id"]) {
        let sql = "SELECT table_name, column_name, row_id FROM freezer_leftovers";
        let example = |[table, column, id]: [String; 3]| format!("{table}.{column} of row {id}");
        findings.add_rows(db, sql, example).await?;
    }
    Ok(findings)
}
