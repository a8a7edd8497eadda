//! What several requests ask at the same time, in one statement: jobs by their ids, and the polls of several clients.
//!
//! The server takes longer to make up its mind about a job's four tables than to read them. Whatever does not fit is left to
//! the statements for one: a poll to its caller, a job whose id the database takes for another's to [`get`].

use std::collections::HashMap;

use sea_query::{Expr, ExprTrait, Order};
use sea_query_sqlx::SqlxValues;

use super::begin::{LARGEST, gather, poll};
use super::links::{self, Extras};
use super::{CLIENT, EXTRAS, SHAPE, argument_scope, get, list, live, read};
use crate::additions::Indexes;
use crate::dialect::Dialect;
use crate::error::StoreError;
use crate::exec::Db;
use crate::model::Job;
use crate::query::listing::{Listed, Page, Progress};
use crate::query::unreadable;
use crate::row::Row;
use crate::scope::Scope;
use crate::search::Search;
use crate::statement::{Argument, Fixed, argument, number_argument};
use crate::tables::Jobs;

/// As many jobs as one statement is for.
pub const AT_ONCE: usize = 16;

/// As many polls as one statement is for. Of more, all would wait until the database has read the last one's jobs, and nobody
/// would write answers meanwhile.
pub const POLLS_AT_ONCE: usize = 4;

/// A scheduler's poll for the first jobs of its client that are not completed.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Poll {
    /// Whose jobs.
    pub project_id: String,
    /// How many at most.
    pub limit: u64,
    /// Say whether there are more.
    pub look_ahead: bool,
    /// Bytes of the jobs at most ([`Page::max_bytes`]).
    pub max_bytes: u64,
}

impl Poll {
    /// The poll that a list is, and the client that asks; none where it is another list.
    pub fn of<'s>(scope: &Scope, search: &'s Search, page: &Page) -> Option<(Poll, &'s str)> {
        let Scope::Project(project_id) = scope else { return None };
        let first = page.marker.is_none() && !page.newest_first && page.offset == 0 && !page.count;
        let client = search.matches.first().and_then(|(_, value)| value.as_str()).filter(|id| !id.is_empty());
        let client = client.filter(|client| first && page.limit > 0 && *search == poll(client))?;
        let Page { limit, look_ahead, max_bytes, .. } = *page;
        Some((Poll { project_id: project_id.clone(), limit, look_ahead, max_bytes }, client))
    }
}

/// The jobs of several ids, in their order; `None` where the scope has none. At most [`AT_ONCE`].
///
/// # Errors
/// As every query: [`StoreError`].
pub async fn get_several(db: &mut Db, scope: &Scope, ids: &[String]) -> Result<Vec<Option<Job>>, StoreError> {
    let mut found = match ids.len() {
        2.. if db.has_indexes(Indexes::Jobs).await? => by_ids(db, scope, ids).await?,
        _ => HashMap::new(),
    };
    let mut jobs = Vec::with_capacity(ids.len());
    for (at, id) in ids.iter().enumerate() {
        // the database may take one id for another: it compares without regard to case
        if !found.contains_key(id)
            && let Some(job) = get(db, scope, id).await?
        {
            found.insert(id.clone(), job);
        }
        jobs.push(take(&mut found, ids, at));
    }
    Ok(jobs)
}

/// What belongs to the text at a place, copied where a later one is the same.
fn take<T: Clone>(found: &mut HashMap<String, T>, texts: &[String], at: usize) -> Option<T> {
    let text = &texts[at];
    match texts[at + 1..].contains(text) {
        true => found.get(text).cloned(),
        false => found.remove(text),
    }
}

async fn by_ids(db: &mut Db, scope: &Scope, ids: &[String]) -> Result<HashMap<String, Job>, StoreError> {
    static IN_PROJECT: [(usize, Fixed); 4] = [
        (2, Fixed::new(of_project::<2>)),
        (4, Fixed::new(of_project::<4>)),
        (8, Fixed::new(of_project::<8>)),
        (AT_ONCE, Fixed::new(of_project::<AT_ONCE>)),
    ];
    static ANYWHERE: [(usize, Fixed); 4] = [
        (2, Fixed::new(of_any::<2>)),
        (4, Fixed::new(of_any::<4>)),
        (8, Fixed::new(of_any::<8>)),
        (AT_ONCE, Fixed::new(of_any::<AT_ONCE>)),
    ];
    let (statements, project) = match scope {
        Scope::Project(id) => (&IN_PROJECT, Some(id)),
        Scope::AllProjects => (&ANYWHERE, None),
    };
    let Some((fixed, mut arguments)) = fitting(statements, ids) else { return Ok(HashMap::new()) };
    arguments.extend(project.map(|id| Argument::from(id.as_str())));
    let rows = db.select(&fixed.with(arguments)).await?;
    let doing = db.doing();
    let mut found: HashMap<String, (Job, Extras)> = HashMap::with_capacity(ids.len());
    for mut row in rows {
        let id = row.string(1).map_err(unreadable(doing))?;
        if !found.contains_key(&id) {
            found.insert(id.clone(), (read(doing, &mut row)?, Extras::default()));
        }
        if let Some((_, extras)) = found.get_mut(&id) {
            extras.add(doing, &mut row, EXTRAS)?;
        }
    }
    let complete = |(id, (mut job, extras)): (String, (Job, Extras))| {
        extras.complete(&mut job);
        (id, job)
    };
    Ok(found.into_iter().map(complete).collect())
}

/// The statement for so many texts, and the texts as its arguments, the last one repeated.
fn fitting<'a>(
    statements: &'static [(usize, Fixed)],
    texts: &'a [String],
) -> Option<(&'static Fixed, Vec<Argument<'a>>)> {
    let (length, fixed) = statements.iter().find(|(length, _)| *length >= texts.len())?;
    let last = texts.last()?;
    Some((
        fixed,
        texts.iter().chain(std::iter::repeat(last)).take(*length).map(|text| text.as_str().into()).collect(),
    ))
}

fn of_project<const N: usize>(dialect: Dialect) -> (String, SqlxValues) {
    jobs_of_ids(dialect, &argument_scope(N), N)
}

fn of_any<const N: usize>(dialect: Dialect) -> (String, SqlxValues) {
    jobs_of_ids(dialect, &Scope::AllProjects, N)
}

fn jobs_of_ids(dialect: Dialect, scope: &Scope, count: usize) -> (String, SqlxValues) {
    let mut select = live(scope);
    dialect.read_along(&mut select, "PRIMARY");
    links::join_extras(&mut select);
    select.and_where(Expr::col((Jobs::Table, Jobs::Id)).is_in((0..count).map(argument)));
    links::build_along(dialect, &select)
}

/// What the database gave for one of several polls. Whoever asked reads it, while the database is at the next ones.
pub struct Unread(Rows);

enum Rows {
    /// A poll that was alone is read already.
    Listed(Listed<Job>),
    Joined {
        doing: &'static str,
        client: String,
        page: Page,
        rows: Vec<Row>,
    },
}

impl Unread {
    /// The page; `None` where it takes a look at that client alone.
    ///
    /// # Errors
    /// [`StoreError`] where a row has not the layout that it should have.
    pub fn read(self) -> Result<Option<Listed<Job>>, StoreError> {
        match self.0 {
            Rows::Listed(listed) => Ok(Some(listed)),
            Rows::Joined { doing, client, page, rows } => {
                let whole = rows.len() as u64 + 1;
                let begun = gather(doing, rows, whole)?;
                Ok(Progress::begun(begun, &poll(&client), SHAPE.identity, &page).listed(&page).ok())
            }
        }
    }
}

/// The pages of several clients that poll alike, in their order; `None` where it takes a look at that client alone. At most
/// [`POLLS_AT_ONCE`].
///
/// # Errors
/// As every query: [`StoreError`].
pub async fn list_polls(
    db: &mut Db,
    kind: &Poll,
    clients: &[String],
) -> Result<Vec<Option<Unread>>, StoreError> {
    let Poll { project_id, limit, look_ahead, max_bytes } = kind;
    let page = Page { look_ahead: *look_ahead, max_bytes: *max_bytes, ..Page::at(*limit, 0) };
    if let [client] = clients {
        let scope = Scope::project(project_id);
        return Ok(vec![Some(Unread(Rows::Listed(list(db, &scope, &poll(client), &page).await?)))]);
    }
    let has_indexes = db.has_indexes(Indexes::Jobs).await? && db.has_indexes(Indexes::Polls).await?;
    let rows = match has_indexes {
        true => all_of(db, kind, clients).await?,
        false => None,
    };
    let doing = db.doing();
    let Some(rows) = rows else { return Ok(clients.iter().map(|_| None).collect()) };
    let mut by_client: HashMap<String, Vec<Row>> = HashMap::with_capacity(clients.len());
    for row in rows {
        by_client.entry(row.string(CLIENT).map_err(unreadable(doing))?).or_default().push(row);
    }
    let unread = |(at, client): (usize, &String)| {
        // who asks twice at the same time has the rows once
        let first = !clients[..at].contains(client);
        let rows = first.then(|| by_client.remove(client).unwrap_or_default())?;
        Some(Unread(Rows::Joined { doing, client: client.clone(), page: page.clone(), rows }))
    };
    Ok(clients.iter().enumerate().map(unread).collect())
}

/// The joined rows of all jobs of several clients, those of each in the order of a list; none where they are too many.
async fn all_of(db: &mut Db, kind: &Poll, clients: &[String]) -> Result<Option<Vec<Row>>, StoreError> {
    static OF: [(usize, Fixed); 2] =
        [(2, Fixed::new(of_clients::<2>)), (POLLS_AT_ONCE, Fixed::new(of_clients::<POLLS_AT_ONCE>))];
    let Some((fixed, mut arguments)) = fitting(&OF, clients) else { return Ok(None) };
    // most clients have no more jobs than they ask for, each with an action or two
    let most = std::cmp::min(kind.limit.saturating_mul(2).saturating_mul(clients.len() as u64), LARGEST);
    arguments.push(kind.project_id.as_str().into());
    arguments.push(Argument::Number(most + 1));
    let rows = db.select(&fixed.with(arguments)).await?;
    Ok((rows.len() as u64 <= most).then_some(rows))
}

fn of_clients<const N: usize>(dialect: Dialect) -> (String, SqlxValues) {
    let mut select = live(&argument_scope(N));
    dialect.read_along(&mut select, "fz_jobs_poll");
    links::join_extras(&mut select);
    select
        .and_where(Expr::col((Jobs::Table, Jobs::ClientId)).is_in((0..N).map(argument)))
        .and_where(Expr::cust(dialect.not_completed()))
        .order_by((Jobs::Table, Jobs::ClientId), Order::Asc)
        .order_by((Jobs::Table, Jobs::CreatedAt), Order::Asc)
        .order_by((Jobs::Table, Jobs::Id), Order::Asc)
        .limit(number_argument(N as u64 + 1));
    links::build_along(dialect, &select)
}
