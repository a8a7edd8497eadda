//! Lists of backups: the index that a search reads along, and its conditions on the index.
//!
//! On MySQL and MariaDB a search in a project reads `backups` along an index, and joins the row ([`At::Row`])
//! of each entry that may match. Servers evaluate conditions on the index before the join. The index is that
//! of the list. If few backups are in the requested time range, it is the index of times, and the entries are
//! sorted.

use sea_query::{Condition, Expr, ExprTrait, Func, Iden, JoinType, Query, SelectStatement};

use super::{TABLE, TEXTS};
use crate::dialect::Dialect;
use crate::error::StoreError;
use crate::exec::Db;
use crate::model::Backup;
use crate::query::listing::{self, Counted, DocumentQuery, DocumentReader, Listed, Page};
use crate::query::narrow::{self, Shape, Source};
use crate::row::Row;
use crate::scope::Scope;
use crate::search::terms::term;
use crate::search::{Search, times};
use crate::tables::{Backups, StoredBackup, TableRow};

/// Maximum number of backups in the time range for sorting them. For more, the search reads in the order of
/// the list.
const FEW: u64 = 50_000;
/// The maximum if a search for other keys must read the rows of all of them.
const FEW_ROWS: u64 = 10_000;
/// Maximum number of pairs that a backup must not have, if the index counts the backups without them.
const ABSENCES: usize = 16;

/// The index of a project's list, which also contains terms and times.
const LIST: &str = "fz_backups_project";
/// The index of a project's times.
const TIMES: &str = "fz_backups_time";

/// The two tables of a joined statement.
#[derive(Iden, Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum At {
    /// The table that is read along an index, or the only table.
    #[iden = "backups"]
    Index,
    /// The table of whole rows.
    #[iden = "fz_row"]
    Row,
}

type BackupColumn = (At, Backups);

/// The sources of a backup's keys in tables without additions.
const PLAIN: Shape<BackupColumn> = Shape {
    sources: &sources(At::Index, At::Index, Source::AsItIs((At::Index, Backups::BackupMetadata))),
    opaque: &["backup_metadata"],
    identity: &["backup_id", "project_id", "user_id"],
    time: None,
    whole: true,
};

/// The sources in tables with search terms and times.
const WITH_TERMS: Shape<BackupColumn> = Shape {
    sources: &sources(At::Index, At::Index, metadata(At::Index, terms_of_index)),
    time: Some(|dialect| (At::Index, dialect.searched_time())),
    ..PLAIN
};

/// The sources along the index of the list.
const ALONG_LIST: Shape<BackupColumn> =
    Shape { sources: &sources(At::Index, At::Row, metadata(At::Row, terms_of_index)), ..WITH_TERMS };

/// The sources along the index of times, which has no terms and no status.
const ALONG_TIMES: Shape<BackupColumn> =
    Shape { sources: &sources(At::Row, At::Row, metadata(At::Row, terms_of_row)), ..WITH_TERMS };

const fn sources(status: At, row: At, metadata: Source<BackupColumn>) -> [Source<BackupColumn>; 5] {
    [
        Source::Blank("backup_id", (At::Index, Backups::Id)),
        Source::Blank("project_id", (At::Index, Backups::ProjectId)),
        Source::Blank("user_id", (row, Backups::UserId)),
        Source::Blank("status", (status, Backups::Status)),
        metadata,
    ]
}

const fn metadata(row: At, terms: fn(Dialect) -> BackupColumn) -> Source<BackupColumn> {
    Source::WithTerms((row, Backups::BackupMetadata), terms)
}

fn terms_of_index(dialect: Dialect) -> BackupColumn {
    (At::Index, dialect.searched_terms())
}

fn terms_of_row(dialect: Dialect) -> BackupColumn {
    (At::Row, dialect.searched_terms())
}

/// Returns the backups of the scope.
pub async fn list(
    db: &mut Db,
    scope: &Scope,
    search: &Search,
    page: &Page,
) -> Result<Listed<Backup>, StoreError> {
    let has_terms = db.has_terms().await?;
    let joins = joins_rows(db.dialect(), scope, search, has_terms);
    let names_index = joins || search.names("backup_id");
    let listing = DocumentQuery {
        select: live(scope),
        narrowed: vec![narrowed(db, scope, search, (has_terms, joins)).await?],
        along: scope.of_project(LIST).filter(|_| !names_index),
        marked: TABLE.marked(scope.holds(Backups::ProjectId), page),
        created_at: (At::Index, Backups::CreatedAt),
        id: (At::Index, Backups::Id),
        search,
        shape: &PLAIN,
        page,
        among: None,
        counted: has_terms.then(|| counted(db.dialect(), scope, search)).flatten(),
        what: "backup",
        sized: search.is_empty().then_some(listing::size_position::<StoredBackup>()),
    };
    let read = |row: &mut Row| {
        listing::read_listed::<StoredBackup>(row).map(|(stored, place)| (Backup::from(stored), place))
    };
    listing::list(db, listing, None, DocumentReader { read, complete: listing::nothing_missing }).await
}

/// Returns whether a search reads an index, and joins the rows of its entries.
fn joins_rows(dialect: Dialect, scope: &Scope, search: &Search, has_terms: bool) -> bool {
    let of_project = dialect == Dialect::MySql && matches!(scope, Scope::Project(_));
    of_project && has_terms && !search.is_empty() && !search.names("backup_id")
}

/// Selects the rows that a search may accept.
async fn narrowed(
    db: &mut Db,
    scope: &Scope,
    search: &Search,
    (has_terms, joins): (bool, bool),
) -> Result<SelectStatement, StoreError> {
    let dialect = db.dialect();
    if !joins {
        let mut select = match search.is_empty() {
            true => TABLE.live_within::<StoredBackup>(TABLE.in_scope(scope), TEXTS, db.read_limit()),
            false => live(scope),
        };
        let shape = if has_terms { &WITH_TERMS } else { &PLAIN };
        narrow::narrow::<_, Backups>(dialect, &mut select, search, shape, None);
        return Ok(select);
    }
    let (index, shape) = match are_few(db, scope, search).await? {
        true => (TIMES, &ALONG_TIMES),
        false => (LIST, &ALONG_LIST),
    };
    let mut select = joined(dialect, scope, index);
    narrow::narrow::<_, Backups>(dialect, &mut select, search, shape, None);
    Ok(select)
}

/// Returns whether a search has a time range with few backups.
async fn are_few(db: &mut Db, scope: &Scope, search: &Search) -> Result<bool, StoreError> {
    let Some(range) = times::range(search) else { return Ok(false) };
    let few = if search.matches.is_empty() { FEW } else { FEW_ROWS };
    let mut some = entries(db.dialect(), scope, TIMES);
    // A column of the index. For a constant, MariaDB would read the rows.
    some.column((At::Index, Backups::Deleted))
        .cond_where(narrow::may_be_in(time(db.dialect()), &range))
        .limit(few + 1);
    let mut count = Query::select();
    count.expr(Func::count(Expr::val(1))).from_subquery(some, "fz_some");
    let found: Option<i64> = db.read_one(&count).await?.flatten();
    Ok(found.and_then(|found| u64::try_from(found).ok()).is_some_and(|found| found <= few))
}

/// Returns queries that count the matching backups, if the index alone is sufficient for most of them.
fn counted(dialect: Dialect, scope: &Scope, search: &Search) -> Option<Counted> {
    scope.of_project(())?;
    let others = Search { time_after: None, time_before: None, match_not: Vec::new(), ..search.clone() };
    let by_terms = search.match_not.len() <= ABSENCES
        && search.match_not.iter().all(|(key, _)| WITH_TERMS.is_nested(key));
    if !others.is_empty() || !by_terms {
        return None;
    }
    let index = if search.match_not.is_empty() { TIMES } else { LIST };
    let mut certain = entries(dialect, scope, index);
    certain.expr(Func::count(Expr::col((At::Index, Backups::Id))));
    if search.is_empty() {
        return Some(Counted { certain, doubtful: None });
    }
    let mut doubtful = match dialect {
        Dialect::MySql => joined(dialect, scope, index),
        Dialect::Sqlite => live(scope),
    };
    let mut doubts = Condition::any();
    if let Some(range) = times::range(search) {
        certain.and_where(Expr::col(time(dialect)).between(*range.start(), *range.end()));
        doubts = doubts.add(Expr::col(time(dialect)).is_null());
    }
    for (key, value) in &search.match_not {
        let may_have = dialect.may_have_term(terms_of_index(dialect), &term(key, value));
        certain.and_where(may_have.clone().not());
        doubts = doubts.add(may_have);
    }
    if !search.match_not.is_empty() {
        let shape = if dialect == Dialect::MySql { &ALONG_LIST } else { &WITH_TERMS };
        narrow::narrow::<_, Backups>(dialect, &mut doubtful, search, shape, None);
    }
    doubtful.cond_where(doubts);
    Some(Counted { certain, doubtful: Some(doubtful) })
}

fn time(dialect: Dialect) -> BackupColumn {
    (At::Index, dialect.searched_time())
}

/// Selects live backups of the scope from an index alone.
fn entries(dialect: Dialect, scope: &Scope, index: &'static str) -> SelectStatement {
    let mut select = Query::select();
    select
        .from(Backups::Table)
        .and_where(Expr::col((At::Index, Backups::Deleted)).eq(false))
        .cond_where(scope.holds((At::Index, Backups::ProjectId)));
    dialect.read_along(&mut select, index);
    select
}

/// Selects live backups of the scope.
fn live(scope: &Scope) -> SelectStatement {
    TABLE.live::<StoredBackup>(TABLE.in_scope(scope))
}

/// Like [`live`], for the rows of index entries.
fn joined(dialect: Dialect, scope: &Scope, index: &'static str) -> SelectStatement {
    let mut select = entries(dialect, scope, index);
    let its_row = Expr::col((At::Row, Backups::Id)).equals((At::Index, Backups::Id));
    select
        .columns(StoredBackup::COLUMNS.iter().map(|column| match column {
            Backups::Id => (At::Index, Backups::Id),
            column => (At::Row, *column),
        }))
        .column((At::Index, Backups::CreatedAt))
        .join_as(JoinType::StraightJoin, Backups::Table, At::Row, its_row);
    select
}
