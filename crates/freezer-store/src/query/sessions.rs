//! Queries on `sessions`. The service's `service/session_actions.rs` implements starts and ends between
//! [`get_for_update`] and [`update`] in one transaction.

use sea_query::{Expr, ExprTrait, LockType, Query, SelectStatement};

use super::listing::{self, DocumentQuery, DocumentReader, Listed, Page};
use super::narrow::{self, Shape, Source};
use super::{TableColumns, Values, table, unreadable};
use crate::clock::Timestamp;
use crate::error::StoreError;
use crate::exec::Db;
use crate::json::{self, StoredField};
use crate::model::{Session, SessionFields};
use crate::row::Row;
use crate::scope::Scope;
use crate::search::Search;
use crate::tables::Sessions;

const TABLE: TableColumns<Sessions> = table!("sessions", Sessions);

/// Columns after (created_at, id), in the order of [`read`].
const COLUMNS: [Sessions; 13] = [
    Sessions::ProjectId,
    Sessions::UserId,
    Sessions::Description,
    Sessions::SessionTag,
    Sessions::Result,
    Sessions::HoldOff,
    Sessions::Status,
    Sessions::TimeEnded,
    Sessions::TimeStarted,
    Sessions::TimeEnd,
    Sessions::TimeStart,
    Sessions::Schedule,
    Sessions::Job,
];

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

/// Returns a session of the scope.
pub async fn get(db: &mut Db, scope: &Scope, session_id: &str) -> Result<Option<Session>, StoreError> {
    let mut select = live(scope);
    select.and_where(Expr::col(Sessions::Id).eq(session_id));
    let row = db.select_one(&select).await?;
    row.map(|row| read(db.doing(), &row)).transpose()
}

/// Returns a session of the scope and locks it until the transaction ends. Starts and ends of its jobs wait
/// for this lock, so none is lost.
pub async fn get_for_update(
    db: &mut Db,
    scope: &Scope,
    session_id: &str,
) -> Result<Option<SessionFields>, StoreError> {
    let mut select = live(scope);
    select.and_where(Expr::col(Sessions::Id).eq(session_id)).lock(LockType::Update);
    let row = db.select_one(&select).await?;
    row.map(|row| read_fields(db.doing(), &row, session_id)).transpose()
}

/// Returns the sessions of the scope.
pub async fn list(
    db: &mut Db,
    scope: &Scope,
    search: &Search,
    page: &Page,
) -> Result<Listed<Session>, StoreError> {
    let select = live(scope);
    let mut narrowed = select.clone();
    narrow::narrow::<_, Sessions>(db.dialect(), &mut narrowed, search, &SHAPE, None);
    let listing = DocumentQuery {
        select,
        narrowed: vec![narrowed],
        along: scope.of_project("fz_sessions_project"),
        marked: TABLE.marked(scope.holds(Sessions::ProjectId), page),
        created_at: Sessions::CreatedAt,
        id: Sessions::Id,
        search,
        shape: &SHAPE,
        page,
        among: None,
        counted: None,
    };
    let doing = db.doing();
    let parts = DocumentReader { read: |row: &mut Row| read(doing, row), complete: listing::nothing_missing };
    listing::list(db, listing, None, parts).await
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

fn live(scope: &Scope) -> SelectStatement {
    let mut select = Query::select();
    select
        .column(Sessions::CreatedAt)
        .column(Sessions::Id)
        .columns(COLUMNS)
        .from(Sessions::Table)
        .and_where(Expr::col(Sessions::Deleted).eq(false))
        .cond_where(scope.holds(Sessions::ProjectId));
    select
}

fn place<'a>(column: &'static str, id: &'a str) -> StoredField<'a> {
    StoredField { table: "sessions", column, id }
}

fn read(doing: &'static str, row: &Row) -> Result<Session, StoreError> {
    let at = unreadable(doing);
    let session_id = row.string(listing::ID).map_err(&at)?;
    let jobs = row.text(14).map_err(&at)?;
    Ok(Session {
        project_id: row.string(2).map_err(&at)?,
        user_id: row.string(3).map_err(&at)?,
        description: row.text(4).map_err(&at)?,
        session_tag: row.int(5).map_err(&at)?,
        result: row.text(6).map_err(&at)?,
        hold_off: row.int(7).map_err(&at)?,
        status: row.text(8).map_err(&at)?,
        time_ended: row.int(9).map_err(&at)?,
        time_started: row.int(10).map_err(&at)?,
        time_end: row.int(11).map_err(&at)?,
        time_start: row.int(12).map_err(&at)?,
        schedule: json::raw_object(row.text(13).map_err(&at)?, place("schedule", &session_id)),
        // The Python service stores JSON null if a replaced session had no jobs.
        jobs: jobs
            .filter(|text| text.trim() != "null")
            .map(|text| json::raw_object(Some(text), place("job", &session_id))),
        session_id,
    })
}

fn read_fields(doing: &'static str, row: &Row, session_id: &str) -> Result<SessionFields, StoreError> {
    let at = unreadable(doing);
    let schedule = row.text(13).map_err(&at)?;
    let jobs = row.text(14).map_err(&at)?.filter(|text| text.trim() != "null");
    let time = |position| -> Result<i64, StoreError> { Ok(row.int(position).map_err(&at)?.unwrap_or(-1)) };
    Ok(SessionFields {
        description: row.text(4).map_err(&at)?,
        session_tag: row.int(5).map_err(&at)?.unwrap_or(0),
        result: row.text(6).map_err(&at)?,
        hold_off: row.int(7).map_err(&at)?.unwrap_or(SessionFields::HOLD_OFF),
        status: row.text(8).map_err(&at)?,
        time_ended: time(9)?,
        time_started: time(10)?,
        time_end: time(11)?,
        time_start: time(12)?,
        schedule: json::object_to_change(schedule.as_deref(), place("schedule", session_id)),
        jobs: jobs.map(|text| json::object_to_change(Some(&text), place("job", session_id))),
    })
}
