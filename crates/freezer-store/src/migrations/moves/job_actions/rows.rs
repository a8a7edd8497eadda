//! The rows that a wave of jobs makes, and the statements that insert them: many rows each, because a database answers one
//! statement of a hundred rows sooner than three of one row. What becomes of an entry is decided in `mod.rs`.

use std::collections::HashSet;

use sea_query::{Expr, ExprTrait, InsertStatement, OnConflict, Query};
use serde_json::{Map, Value};
use uuid::Uuid;

use super::{Job, MOVED};
use crate::error::StoreError;
use crate::exec::Db;
use crate::json;
use crate::migrations::moves::paths;
use crate::tables::{ActionReports, Actions, JobActions};

/// Rows of one INSERT: 200 with 19 values each are far from the 32,766 values that SQLite takes.
const ROWS: usize = 200;

/// Bytes of JSON that an INSERT ends at. The smallest `max_allowed_packet` that servers come with is 4 MiB; a document
/// that is larger by itself was let in by this server before.
const BYTES: usize = 512 << 10;

/// Widths of the columns that a definition's texts go to; a longer one stays in the JSON alone.
const TEXT_WIDTH: usize = 255;
const ID_WIDTH: usize = 36;

/// An action that an entry of a job becomes.
pub(super) struct NewAction<'a> {
    job: &'a Job,
    entry: &'a Map<String, Value>,
    id: String,
    /// The id that it has where another one has `id`.
    derived: String,
    document: String,
}

/// The action that an entry is linked to.
pub(super) enum Target {
    /// The id of one that was there.
    Stored(String),
    /// The place of a new one in its list.
    New(usize),
}

/// A row of `job_actions`.
pub(super) struct NewLink<'a> {
    pub(super) job: &'a Job,
    pub(super) position: usize,
    pub(super) to: Target,
}

impl<'a> NewAction<'a> {
    /// Keeps the id that the entry gives where nobody is known to have it.
    pub(super) fn new(
        job: &'a Job,
        position: usize,
        entry: &'a Map<String, Value>,
        free: Option<&str>,
    ) -> NewAction<'a> {
        let derived = derived("action", job, position);
        let given = free.filter(|id| id.chars().count() <= ID_WIDTH).map(str::to_owned);
        let document = entry.get("freezer_action").and_then(Value::as_object);
        let document = document.map_or_else(|| "{}".to_owned(), json::to_text);
        NewAction { job, entry, id: given.unwrap_or_else(|| derived.clone()), derived, document }
    }
}

fn derived(what: &str, job: &Job, position: usize) -> String {
    Uuid::new_v5(&MOVED, format!("{what}\0{}\0{position}", job.id).as_bytes()).simple().to_string()
}

/// Inserts all rows, with a report for each action, as the service makes it with a new one (upstream's step makes none).
pub(super) async fn insert(
    db: &mut Db,
    mut actions: Vec<NewAction<'_>>,
    links: &[NewLink<'_>],
) -> Result<(), StoreError> {
    let mut rest = &mut actions[..];
    while !rest.is_empty() {
        let (some, others) = rest.split_at_mut(fitting(rest));
        insert_actions(db, some).await?;
        db.execute(&reports(some)).await?;
        rest = others;
    }
    for links in links.chunks(ROWS) {
        db.execute(&link_rows(links, &actions)).await?;
    }
    Ok(())
}

/// How many go into one statement; at least one.
fn fitting(actions: &[NewAction<'_>]) -> usize {
    let sizes = actions.iter().scan(0, |bytes, action| {
        *bytes += action.document.len();
        Some(*bytes)
    });
    sizes.take(ROWS).take_while(|bytes| *bytes <= BYTES).count().max(1)
}

/// Many rows in one statement, as long as it cannot fail: a Galera node whose statement of many rows fails in the middle
/// of a transaction that goes on sends the other nodes also the rows that it has undone itself, and is then thrown out of
/// the cluster (seen with MariaDB 10.11.19). So what may have somebody else's id is inserted by itself.
async fn insert_actions(db: &mut Db, actions: &mut [NewAction<'_>]) -> Result<(), StoreError> {
    let taken = taken(db, actions).await?;
    let mut seen = HashSet::new();
    let (doubtful, certain): (Vec<_>, Vec<_>) = actions.iter_mut().partition(|action| {
        let one = plain(&action.id);
        one.is_none_or(|id| taken.contains(&id) || !seen.insert(id))
    });
    if !certain.is_empty() {
        db.execute(&action_rows(certain.iter().map(|action| &**action))).await?;
    }
    for action in doubtful {
        insert_doubtful(db, action).await?;
    }
    Ok(())
}

/// Two texts that differ can be one id to the database ("A1", "a1"): it alone knows which.
async fn insert_doubtful(db: &mut Db, action: &mut NewAction<'_>) -> Result<(), StoreError> {
    match db.execute(&action_rows([&*action])).await {
        Err(error) if error.is_duplicate() => {}
        other => return other.map(|_| ()),
    }
    action.id.clone_from(&action.derived);
    match db.execute(&action_rows([&*action])).await {
        Err(error) if !error.is_duplicate() => Err(error),
        _ => Ok(()),
    }
}

/// The ids of stored actions that the database takes for those of new ones, as [`plain`] has them.
async fn taken(db: &mut Db, actions: &[NewAction<'_>]) -> Result<HashSet<String>, StoreError> {
    let ids = actions.iter().map(|action| action.id.as_str());
    let mut select = Query::select();
    select.column(Actions::Id).from(Actions::Table).and_where(Expr::col(Actions::Id).is_in(ids));
    let doing = db.doing();
    let mut taken = HashSet::new();
    for row in db.select(&select).await? {
        let id = row.string(0).map_err(|error| StoreError::from_driver(doing, error))?;
        taken.extend(plain(&id));
    }
    Ok(taken)
}

/// An id in the one form of all that a database may take for it; none where that depends on the database. Every collation
/// tells visible ASCII characters apart, but for the case of letters.
fn plain(id: &str) -> Option<String> {
    (!id.is_empty() && id.bytes().all(|byte| byte.is_ascii_graphic())).then(|| id.to_ascii_lowercase())
}

fn action_rows<'a>(actions: impl IntoIterator<Item = &'a NewAction<'a>>) -> InsertStatement {
    let mut insert = Query::insert();
    insert.into_table(Actions::Table).columns([
        Actions::Id,
        Actions::Action,
        Actions::ProjectId,
        Actions::UserId,
        Actions::Actionmode,
        Actions::PathToBackup,
        Actions::BackupName,
        Actions::Container,
        Actions::Timeout,
        Actions::Priority,
        Actions::MaxRetriesInterval,
        Actions::MaxRetries,
        Actions::Mandatory,
        Actions::LogFile,
        Actions::BackupMetadata,
        Actions::Deleted,
        Actions::CreatedAt,
        Actions::UpdatedAt,
        Actions::DeletedAt,
    ]);
    for action in actions {
        insert.values_panic(action_row(action));
    }
    insert
}

fn action_row(action: &NewAction<'_>) -> [Expr; 19] {
    let NewAction { job, entry, id, document, .. } = action;
    let nothing = Map::new();
    let definition = entry.get("freezer_action").and_then(Value::as_object).unwrap_or(&nothing);
    let text = |key: &str| {
        let text = match definition.get(key)? {
            Value::String(text) => text.clone(),
            Value::Number(number) => number.to_string(),
            Value::Bool(flag) => i32::from(*flag).to_string(),
            _ => return None,
        };
        (text.chars().count() <= TEXT_WIDTH).then_some(text)
    };
    let int = |value: Option<&Value>| -> Option<i64> {
        let number = match value? {
            Value::Number(number) => number.as_i64()?,
            Value::String(text) => text.trim().parse().ok()?,
            _ => return None,
        };
        i32::try_from(number).ok().map(i64::from)
    };
    let mandatory = entry.get("mandatory").or_else(|| definition.get("mandatory"));
    let [created_at, updated_at, deleted_at] = job.times.clone().map(Expr::value);
    [
        id.as_str().into(),
        text("action").unwrap_or_default().into(),
        job.project_id.as_str().into(),
        job.user_id.as_str().into(),
        Expr::value(text("mode")),
        Expr::value(paths::of(definition)),
        Expr::value(text("backup_name")),
        Expr::value(text("container")),
        Expr::value(int(definition.get("timeout"))),
        Expr::value(int(definition.get("priority"))),
        int(entry.get("max_retries_interval")).unwrap_or(6).into(),
        int(entry.get("max_retries")).unwrap_or(5).into(),
        mandatory.and_then(Value::as_bool).unwrap_or(false).into(),
        Expr::value(text("log_file")),
        document.as_str().into(),
        Expr::value(job.deleted),
        // what is made is as old as its job
        created_at,
        updated_at,
        deleted_at,
    ]
}

/// Reports of the actions; one that is there stays.
fn reports(actions: &[NewAction<'_>]) -> InsertStatement {
    let mut insert = Query::insert();
    insert
        .into_table(ActionReports::Table)
        .columns([
            ActionReports::Id,
            ActionReports::ProjectId,
            ActionReports::UserId,
            ActionReports::Deleted,
            ActionReports::CreatedAt,
            ActionReports::UpdatedAt,
            ActionReports::DeletedAt,
        ])
        .on_conflict(OnConflict::column(ActionReports::Id).do_nothing_on([ActionReports::Id]).to_owned());
    for NewAction { job, id, .. } in actions {
        let [created_at, updated_at, deleted_at] = job.times.clone().map(Expr::value);
        insert.values_panic([
            id.as_str().into(),
            job.project_id.as_str().into(),
            job.user_id.as_str().into(),
            Expr::value(job.deleted),
            created_at,
            updated_at,
            deleted_at,
        ]);
    }
    insert
}

fn link_rows(links: &[NewLink<'_>], actions: &[NewAction<'_>]) -> InsertStatement {
    let mut insert = Query::insert();
    insert.into_table(JobActions::Table).columns([
        JobActions::Id,
        JobActions::JobId,
        JobActions::ActionId,
        JobActions::Position,
        JobActions::Deleted,
    ]);
    for NewLink { job, position, to } in links {
        let action_id = match to {
            Target::Stored(id) => id,
            Target::New(place) => &actions[*place].id,
        };
        insert.values_panic([
            derived("link", job, *position).into(),
            job.id.as_str().into(),
            action_id.as_str().into(),
            (*position as i64).into(),
            Expr::value(job.deleted.or(Some(0))),
        ]);
    }
    insert
}
