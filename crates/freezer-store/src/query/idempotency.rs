//! Queries on `freezer_idempotency`: the POST requests of keys, and their answers.

use sea_query::{Expr, ExprTrait, Iden, Order, Query, SelectStatement};

use crate::additions::Indexes;
use crate::clock::Timestamp;
use crate::error::StoreError;
use crate::exec::Db;
use crate::tables::{Actions, Backups, Jobs, Sessions};

/// How long an answer is kept, in seconds.
pub const KEPT_FOR: i64 = 86_400;

/// The attempt of a key that no request has at present. The next one takes it over.
const FREE: &str = "free";

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
    /// This attempt, from [`attempt`].
    pub attempt: String,
    /// The time of the request.
    pub now: Timestamp,
    /// Seconds after which an unanswered request counts as abandoned.
    pub patience: i64,
    /// The expected answer, if the request creates a document.
    pub expected: Option<Expected>,
}

/// Returns the text that identifies an attempt to carry out a request: its id and its time.
pub fn attempt(id: &str, now: Timestamp) -> String {
    format!("{id} {}", now.0)
}

/// An answer that is valid as soon as a document exists, so it is not stored afterwards.
#[derive(Debug, Clone, PartialEq, Eq)]
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
    Ours {
        /// The earlier attempt of the same request, if its document may still be stored.
        earlier: Option<Earlier>,
    },
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

/// An earlier attempt with an unknown outcome. The request that takes over its key must create the same document at the same time,
/// so that only one of them can be stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Earlier {
    /// Its document, and the answer.
    pub expected: Expected,
    /// Its time.
    pub began: Timestamp,
}

/// Claims a key. This is one statement if the key is new. Returns `None` if there is no table for keys.
pub async fn claim(db: &mut Db, keyed: &Keyed) -> Result<Option<Claim>, StoreError> {
    if !db.has_indexes(Indexes::Keys).await? {
        return Ok(None);
    }
    claim_in_table(db, keyed).await.map(Some)
}

/// Columns of [`StoredKey`].
type StoredColumns = (String, Option<i64>, String, Option<i64>, String, String);

/// The row of a key.
struct StoredKey {
    request: String,
    /// Time of the first attempt.
    began: i64,
    attempt: String,
    status: Option<i64>,
    answer: String,
    document: String,
}

impl StoredKey {
    async fn get(db: &mut Db, id: &str) -> Result<Option<StoredKey>, StoreError> {
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
            .and_where(Expr::col(Column::Id).eq(id));
        let columns = db.read_one::<StoredColumns>(&select).await?;
        Ok(columns.map(|(request, began, attempt, status, answer, document)| {
            let began = began.unwrap_or(0);
            StoredKey { request, began, attempt, status, answer, document }
        }))
    }

    fn status(&self) -> Option<u16> {
        self.status.and_then(|status| u16::try_from(status).ok())
    }

    /// Returns the document that the request creates, and the answer that is valid if it exists.
    fn expected(&self) -> Option<Expected> {
        let (kind, id) = self.document.split_once(' ')?;
        let (kind, status) = (Created::named(kind)?, self.status()?);
        Some(Expected { kind, document_id: id.to_owned(), status, answer: self.answer.clone() })
    }

    /// Returns whether no process works on the latest attempt.
    fn is_abandoned(&self, keyed: &Keyed) -> bool {
        let claimed = self.attempt.split_once(' ').and_then(|(_, time)| time.parse().ok());
        let age = keyed.now.0.saturating_sub(claimed.unwrap_or(self.began));
        // A clock that was set back must not block the key.
        self.attempt == FREE || age.saturating_abs() >= keyed.patience
    }
}

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
        Ok(_) => return Ok(Claim::Ours { earlier: None }),
        Err(error) if error.is_duplicate() => {}
        Err(error) => return Err(error),
    }
    // The key was released meanwhile, so the caller must try again.
    let Some(stored) = StoredKey::get(db, &keyed.id).await? else {
        return Ok(Claim::UnderWay { attempt: None });
    };
    let expected = stored.expected();
    let earlier = expected.clone().map(|expected| Earlier { expected, began: Timestamp(stored.began) });
    if stored.attempt == keyed.attempt {
        // The first run of this statement stored it, and its answer was lost.
        return Ok(Claim::Ours { earlier: earlier.filter(|_| expected != keyed.expected) });
    }
    let is_answered = match &expected {
        Some(Expected { kind, document_id, .. }) => {
            db.select_one(&kind.document(document_id)).await?.is_some()
        }
        None => stored.document.is_empty() && stored.status().is_some(),
    };
    let is_kept = keyed.now.0.saturating_sub(stored.began).saturating_abs() < KEPT_FOR;
    let is_free = if is_answered { !is_kept } else { stored.is_abandoned(keyed) };
    // The statement that creates the document may still be stored.
    let earlier = earlier.filter(|_| is_kept);
    if is_free && earlier.is_none() {
        return take_over(db, keyed, &stored.attempt, None).await;
    }
    if stored.request != keyed.request {
        return Ok(Claim::Other);
    }
    if is_free {
        return take_over(db, keyed, &stored.attempt, earlier).await;
    }
    Ok(match stored.status().filter(|_| is_answered) {
        Some(status) => Claim::Answered { status, answer: stored.answer },
        None => Claim::UnderWay { attempt: Some(stored.attempt) },
    })
}

/// Takes the key from an abandoned request, or one whose answer has expired. If there is an earlier attempt to continue, its document
/// and its time stay.
async fn take_over(
    db: &mut Db,
    keyed: &Keyed,
    from: &str,
    earlier: Option<Earlier>,
) -> Result<Claim, StoreError> {
    let mut update = Query::update();
    update
        .table(Column::Table)
        .value(Column::Attempt, keyed.attempt.as_str())
        .and_where(Expr::col(Column::Id).eq(keyed.id.as_str()))
        .and_where(Expr::col(Column::Attempt).eq(from));
    if earlier.is_none() {
        update
            .value(Column::Request, keyed.request.as_str())
            .value(Column::Began, keyed.now.0)
            .value(Column::Status, keyed.status())
            .value(Column::Answer, keyed.answer())
            .value(Column::Document, keyed.document());
    }
    Ok(match db.execute(&update).await? {
        0 => Claim::UnderWay { attempt: None },
        _ => Claim::Ours { earlier },
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

/// Releases the key of a request that was refused, so it can be used for another one.
pub async fn release(db: &mut Db, keyed: &Keyed) -> Result<u64, StoreError> {
    let mut delete = Query::delete();
    delete
        .from_table(Column::Table)
        .and_where(Expr::col(Column::Id).eq(keyed.id.as_str()))
        .and_where(Expr::col(Column::Attempt).eq(keyed.attempt.as_str()));
    db.execute(&delete).await
}

/// Lets the next request take over the key from an attempt with an unknown outcome. Returns the number of changed keys: 0 or 1.
pub async fn free(db: &mut Db, id: &str, attempt: &str) -> Result<u64, StoreError> {
    let mut update = Query::update();
    update
        .table(Column::Table)
        .value(Column::Attempt, FREE)
        .and_where(Expr::col(Column::Id).eq(id))
        .and_where(Expr::col(Column::Attempt).eq(attempt));
    db.execute(&update).await
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
