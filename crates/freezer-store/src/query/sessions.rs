//! Queries on `sessions`. The service's `service/session_actions.rs` implements starts and ends between
//! [`get_for_update`] and [`update`] in one transaction.

use sea_query::{Expr, ExprTrait, LockType};

use super::listing::{self, Listed, Page, TableList};
use super::narrow::{Shape, Source};
use super::within::{check_tree, read_within};
use super::{TableColumns, Values, table_columns};
use crate::clock::Timestamp;
use crate::error::StoreError;
use crate::exec::Db;
use crate::json;
use crate::model::{Session, SessionFields};
use crate::scope::Scope;
use crate::search::Search;
use crate::tables::{Column, Sessions, StoredSession};

const TABLE: TableColumns<Sessions> = table_columns!(Sessions);

/// The columns whose size is unlimited.
const TEXTS: &[Sessions] = &[Sessions::Schedule, Sessions::Job];

/// The sources of a session's keys.
const SHAPE: Shape<Sessions> = Shape {
    sources: &[
        Source::Blank("session_id", Sessions::Id),
        Source::Blank("project_id", Sessions::ProjectId),
        Source::Blank("user_id", Sessions::UserId),
        Source::Text("description", Sessions::Description),
        Source::Int("session_tag", Sessions::SessionTag),
        Source::Text("result", Sessions::Result),
        Source::Int("hold_off", Sessions::HoldOff),
        Source::Text("status", Sessions::Status),
        Source::Int("time_ended", Sessions::TimeEnded),
        Source::Int("time_started", Sessions::TimeStarted),
        Source::Int("time_end", Sessions::TimeEnd),
        Source::Int("time_start", Sessions::TimeStart),
        Source::AsItIs(Sessions::Schedule),
        Source::AsItIs(Sessions::Job),
    ],
    opaque: &["schedule", "jobs"],
    identity: &["session_id", "project_id", "user_id"],
    time: None,
    whole: false,
};

const LIST: TableList<Sessions, Sessions> = TableList {
    columns: TABLE,
    shape: SHAPE,
    order: [Sessions::CreatedAt, Sessions::Id],
    index: "fz_sessions_project",
    found_by: "session_id",
    texts: ("session", TEXTS),
};

/// Returns a session of the scope.
pub async fn get(db: &mut Db, scope: &Scope, session_id: &str) -> Result<Option<Session>, StoreError> {
    let mut select = TABLE.live::<StoredSession>(TABLE.in_scope(scope));
    select.and_where(Expr::col(Sessions::Id).eq(session_id));
    let stored = read_within::<StoredSession, _>(db, &select, ("session", session_id), TEXTS).await?;
    Ok(stored.map(Session::from))
}

/// Returns a session of the scope and locks it until the transaction ends. Starts and ends of its jobs wait
/// for this lock, so none is lost.
pub async fn get_for_update(
    db: &mut Db,
    scope: &Scope,
    session_id: &str,
) -> Result<Option<SessionFields>, StoreError> {
    let mut select = TABLE.live::<StoredSession>(TABLE.in_scope(scope));
    select.and_where(Expr::col(Sessions::Id).eq(session_id)).lock(LockType::Update);
    let stored = read_within::<StoredSession, _>(db, &select, ("session", session_id), TEXTS).await?;
    let Some(row) = stored else { return Ok(None) };
    let texts = [row.schedule.as_deref(), row.jobs.as_deref()];
    check_tree(db.doing(), db.tree_limit(), ("session", session_id), &texts)?;
    Ok(Some(fields_to_change(row).await))
}

/// Returns the sessions of the scope.
pub async fn list(
    db: &mut Db,
    scope: &Scope,
    search: &Search,
    page: &Page,
) -> Result<Listed<Session>, StoreError> {
    LIST.list::<StoredSession, _>(db, scope, search, page).await
}

/// Stores a new session. `fresh` means that the id was created for this request.
///
/// # Errors
/// [`StoreError::Duplicate`] if the id is in use.
pub async fn create(
    db: &mut Db,
    project_id: &str,
    user_id: &str,
    session_id: &str,
    new: &SessionFields,
    now: Timestamp,
    fresh: bool,
) -> Result<(), StoreError> {
    let mut values = described(new);
    values.push((Sessions::UserId, user_id.into()));
    TABLE.insert(db, session_id, project_id, values, now, fresh).await
}

/// Returns whether an earlier run of this body created the session (`repeat.rs`).
pub async fn was_created(db: &mut Db, scope: &Scope, id: &str, now: Timestamp) -> Result<bool, StoreError> {
    TABLE.was_created(db, scope, id, now).await
}

/// Replaces all fields of a session. Returns false if the scope has no such session.
pub async fn update(
    db: &mut Db,
    scope: &Scope,
    session_id: &str,
    new: &SessionFields,
    now: Timestamp,
) -> Result<bool, StoreError> {
    TABLE.update(db, scope, session_id, described(new), now).await
}

/// Deletes a session. Returns false if the scope has no such session.
pub async fn delete(
    db: &mut Db,
    scope: &Scope,
    session_id: &str,
    now: Timestamp,
) -> Result<bool, StoreError> {
    TABLE.delete(db, scope, session_id, now).await
}

fn described(new: &SessionFields) -> Values<Sessions> {
    vec![
        (Sessions::Description, Expr::value(new.description.clone())),
        (Sessions::SessionTag, new.session_tag.into()),
        (Sessions::HoldOff, new.hold_off.into()),
        (Sessions::Status, Expr::value(new.status.clone())),
        (Sessions::Result, Expr::value(new.result.clone())),
        (Sessions::TimeStart, new.time_start.into()),
        (Sessions::TimeEnd, new.time_end.into()),
        (Sessions::TimeStarted, new.time_started.into()),
        (Sessions::TimeEnded, new.time_ended.into()),
        (Sessions::Schedule, json::to_text(&new.schedule).into()),
        (Sessions::Job, Expr::value(new.jobs.as_ref().map(json::to_text))),
    ]
}

impl listing::ListedDocument for Session {
    fn size(&self) -> usize {
        let text = |text: &Option<String>| text.as_ref().map_or(0, |text| text.len() * 6);
        let jobs = self.jobs.as_ref().map_or(0, |jobs| jobs.get().len());
        let texts = text(&self.description) + text(&self.result) + text(&self.status);
        listing::KEYS + self.schedule.get().len() + jobs + texts
    }
}

/// Returns the text of the jobs, unless there are none. The Python service stores JSON null if a replaced session had no
/// jobs.
fn some_jobs(text: Option<String>) -> Option<String> {
    text.filter(|text| text.trim() != "null")
}

impl From<StoredSession> for Session {
    fn from(row: StoredSession) -> Session {
        let id = &row.session_id;
        Session {
            schedule: json::raw_object(row.schedule, Sessions::Schedule.of_row(id)),
            jobs: some_jobs(row.jobs).map(|text| json::raw_object(Some(text), Sessions::Job.of_row(id))),
            project_id: row.project_id,
            user_id: row.user_id,
            description: row.description,
            session_tag: row.session_tag,
            result: row.result,
            hold_off: row.hold_off,
            status: row.status,
            time_ended: row.time_ended,
            time_started: row.time_started,
            time_end: row.time_end,
            time_start: row.time_start,
            session_id: row.session_id,
        }
    }
}

async fn fields_to_change(row: StoredSession) -> SessionFields {
    let id = &row.session_id;
    let jobs = match some_jobs(row.jobs) {
        Some(text) => Some(json::tree_to_change(Some(text), Sessions::Job.of_row(id)).await),
        None => None,
    };
    SessionFields {
        schedule: json::tree_to_change(row.schedule, Sessions::Schedule.of_row(id)).await,
        jobs,
        description: row.description,
        session_tag: row.session_tag.unwrap_or(0),
        result: row.result,
        hold_off: row.hold_off.unwrap_or(SessionFields::HOLD_OFF),
        status: row.status,
        time_ended: row.time_ended.unwrap_or(-1),
        time_started: row.time_started.unwrap_or(-1),
        time_end: row.time_end.unwrap_or(-1),
        time_start: row.time_start.unwrap_or(-1),
    }
}
