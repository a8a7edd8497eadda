//! Queries on `freezer_idempotency`: the POST requests of keys, and their answers.

use sea_query::{Condition, Expr, ExprTrait, Iden, Order, Query, SelectStatement};

use crate::additions::Indexes;
use crate::clock::Timestamp;
use crate::error::StoreError;
use crate::exec::Db;
use crate::tables::{Actions, Backups, Jobs, Sessions};

/// How long an answer is kept, in seconds.
pub const KEPT_FOR: i64 = 86_400;

#[derive(Iden, Clone, Copy)]
enum FreezerIdempotency {
    Table,
    Id,
    Request,
    Began,
    Attempt,
    Status,
    Answer,
    Document,
}
use FreezerIdempotency as Column;

/// A request with a key.
#[derive(Debug, Clone)]
pub struct Keyed {
    /// Hash of the caller and the key, at most 64 characters.
    pub id: String,
    /// Hash of the request, at most 64 characters.
    pub request: String,
    /// Id of this attempt, at most 64 characters.
    pub attempt: String,
    /// The time of the request.
    pub now: Timestamp,
    /// Seconds after which an unanswered request counts as abandoned.
    pub patience: i64,
    /// The expected answer, if the request creates a document.
    pub expected: Option<Expected>,
}

/// An answer that is valid as soon as a document exists, so it is not stored afterwards.
#[derive(Debug, Clone)]
pub struct Expected {
    /// The type of the document.
    pub kind: Created,
    /// Its id.
    pub document_id: String,
    /// HTTP status.
    pub status: u16,
    /// The body.
    pub answer: String,
}

/// Documents whose ids the service creates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Created {
    /// An action.
    Action,
    /// A backup.
    Backup,
    /// A job.
    Job,
    /// A session.
    Session,
}

impl Created {
    /// Selects whether a document was ever stored, including deleted ones.
    fn document(self, id: &str) -> SelectStatement {
        let mut select = Query::select();
        select.expr(Expr::val(1));
        match self {
            Created::Action => select.from(Actions::Table).and_where(Expr::col(Actions::Id).eq(id)),
            Created::Backup => select.from(Backups::Table).and_where(Expr::col(Backups::Id).eq(id)),
            Created::Job => select.from(Jobs::Table).and_where(Expr::col(Jobs::Id).eq(id)),
            Created::Session => select.from(Sessions::Table).and_where(Expr::col(Sessions::Id).eq(id)),
        };
        select
    }

    fn named(word: &str) -> Option<Created> {
        let all = [Created::Action, Created::Backup, Created::Job, Created::Session];
        all.into_iter().find(|kind| kind.word() == word)
    }

    fn word(self) -> &'static str {
        match self {
            Created::Action => "action",
            Created::Backup => "backup",
            Created::Job => "job",
            Created::Session => "session",
        }
    }
}

/// The state of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Claim {
    /// The key belongs to this request now.
    Ours,
    /// A request with this key is in progress.
    UnderWay {
        /// The attempt that has the key, or none if it changed hands just now.
        attempt: Option<String>,
    },
    /// The key was used for another request.
    Other,
    /// The request was answered.
    Answered {
        /// HTTP status.
        status: u16,
        /// The body.
        answer: String,
    },
}

/// Claims a key. This is one statement if the key is new. Returns `None` if there is no table for keys.
pub async fn claim(db: &mut Db, keyed: &Keyed) -> Result<Option<Claim>, StoreError> {
    if !db.has_indexes(Indexes::Keys).await? {
        return Ok(None);
    }
    claim_in_table(db, keyed).await.map(Some)
}

/// Request, time, attempt, status, answer and document of a key.
type StoredKey = (String, Option<i64>, String, Option<i64>, String, String);

async fn claim_in_table(db: &mut Db, keyed: &Keyed) -> Result<Claim, StoreError> {
    let mut insert = Query::insert();
    insert
        .into_table(Column::Table)
        .columns([
            Column::Id,
            Column::Request,
            Column::Began,
            Column::Attempt,
            Column::Status,
            Column::Answer,
            Column::Document,
        ])
        .values_panic([
            keyed.id.as_str().into(),
            keyed.request.as_str().into(),
            keyed.now.0.into(),
            keyed.attempt.as_str().into(),
            Expr::value(keyed.status()),
            Expr::value(keyed.answer()),
            Expr::value(keyed.document()),
        ]);
    match db.execute(&insert).await {
        Ok(_) => return Ok(Claim::Ours),
        Err(error) if error.is_duplicate() => {}
        Err(error) => return Err(error),
    }
    let mut select = Query::select();
    select
        .columns([
            Column::Request,
            Column::Began,
            Column::Attempt,
            Column::Status,
            Column::Answer,
            Column::Document,
        ])
        .from(Column::Table)
        .and_where(Expr::col(Column::Id).eq(keyed.id.as_str()));
    // The key was released meanwhile, so the caller must try again.
    let Some(stored) = db.read_one::<StoredKey>(&select).await? else {
        return Ok(Claim::UnderWay { attempt: None });
    };
    let (request, began, attempt, mut status, answer, document) = stored;
    let age = keyed.now.0.saturating_sub(began.unwrap_or(0));
    if attempt == keyed.attempt {
        // The first run of this statement stored it, and its answer was lost.
        return Ok(Claim::Ours);
    }
    if let Some((kind, id)) = document.split_once(' ') {
        // The answer is valid if the document exists.
        let is_there = match Created::named(kind) {
            Some(kind) => db.select_one(&kind.document(id)).await?.is_some(),
            None => false,
        };
        status = status.filter(|_| is_there);
    }
    let is_over = match status {
        Some(_) => age >= KEPT_FOR,
        // A clock that was set back must not block the key.
        None => age >= keyed.patience || age < -keyed.patience,
    };
    if is_over {
        return take_over(db, keyed, &attempt).await;
    }
    if request != keyed.request {
        return Ok(Claim::Other);
    }
    Ok(match status.and_then(|status| u16::try_from(status).ok()) {
        Some(status) => Claim::Answered { status, answer },
        None => Claim::UnderWay { attempt: Some(attempt) },
    })
}

/// Takes the key from an abandoned request, or one whose answer has expired.
async fn take_over(db: &mut Db, keyed: &Keyed, from: &str) -> Result<Claim, StoreError> {
    let mut update = Query::update();
    update
        .table(Column::Table)
        .value(Column::Request, keyed.request.as_str())
        .value(Column::Began, keyed.now.0)
        .value(Column::Attempt, keyed.attempt.as_str())
        .value(Column::Status, keyed.status())
        .value(Column::Answer, keyed.answer())
        .value(Column::Document, keyed.document())
        .and_where(Expr::col(Column::Id).eq(keyed.id.as_str()))
        .and_where(Expr::col(Column::Attempt).eq(from));
    Ok(match db.execute(&update).await? {
        0 => Claim::UnderWay { attempt: None },
        _ => Claim::Ours,
    })
}

impl Keyed {
    fn status(&self) -> Option<i32> {
        self.expected.as_ref().map(|expected| expected.status.into())
    }

    fn answer(&self) -> Option<&str> {
        self.expected.as_ref().map(|expected| expected.answer.as_str())
    }

    /// Returns type and id of the document of the answer.
    fn document(&self) -> Option<String> {
        self.expected.as_ref().map(|expected| format!("{} {}", expected.kind.word(), expected.document_id))
    }
}

/// Stores the answer of a request that has claimed its key, unless it is the expected one.
pub async fn answer(db: &mut Db, keyed: &Keyed, status: u16, answer: &str) -> Result<(), StoreError> {
    let mut update = Query::update();
    update
        .table(Column::Table)
        .value(Column::Status, i32::from(status))
        .value(Column::Answer, answer)
        .value(Column::Document, Option::<String>::None)
        .and_where(Expr::col(Column::Id).eq(keyed.id.as_str()))
        .and_where(Expr::col(Column::Attempt).eq(keyed.attempt.as_str()));
    db.execute(&update).await.map(|_| ())
}

/// Releases the key of a failed request. The key is kept if the document exists anyway, because only the
/// answer of the database was lost. Returns the number of released keys: 0 or 1.
pub async fn release(db: &mut Db, keyed: &Keyed) -> Result<u64, StoreError> {
    let mut delete = Query::delete();
    delete
        .from_table(Column::Table)
        .and_where(Expr::col(Column::Id).eq(keyed.id.as_str()))
        .and_where(Expr::col(Column::Attempt).eq(keyed.attempt.as_str()))
        .cond_where(
            Condition::any()
                .add(Expr::col(Column::Status).is_null())
                .add(Expr::col(Column::Document).is_not_null()),
        );
    if let Some(expected) = &keyed.expected {
        delete.and_where(Expr::exists(expected.kind.document(&expected.document_id)).not());
    }
    db.execute(&delete).await
}

/// Returns the next keys after `after` whose answers have expired.
pub(crate) async fn expired(
    db: &mut Db,
    before: i64,
    after: Option<&str>,
    limit: u64,
) -> Result<Vec<String>, StoreError> {
    let mut select = Query::select();
    select
        .column(Column::Id)
        .from(Column::Table)
        .and_where(Expr::col(Column::Began).lt(before))
        .order_by(Column::Id, Order::Asc)
        .limit(limit);
    if let Some(after) = after {
        select.and_where(Expr::col(Column::Id).gt(after));
    }
    db.read(&select).await
}

/// Removes those of `ids` that are still expired.
pub(crate) async fn remove(db: &mut Db, ids: &[String], before: i64) -> Result<u64, StoreError> {
    let mut delete = Query::delete();
    delete
        .from_table(Column::Table)
        .and_where(Expr::col(Column::Id).is_in(ids.iter().map(String::as_str)))
        .and_where(Expr::col(Column::Began).lt(before));
    db.execute(&delete).await
}
