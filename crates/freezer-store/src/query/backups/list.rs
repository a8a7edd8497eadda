//! Lists of backups: which index a search reads along, and what it asks of it.
//!
//! On MySQL and MariaDB a search of a project reads `backups` by an index alone, and joins to it the row ([`At::Row`]) of each
//! entry that may be wanted. Servers evaluate conditions on the index before they join, in either direction. The index is
//! that of the list, or that of the times if few backups are of the wanted time: their entries are sorted.

use sea_query::{Expr, ExprTrait, Func, Iden, JoinType, Query, SelectStatement};

use super::{COLUMNS, TABLE, live, read};
use crate::dialect::Dialect;
use crate::error::StoreError;
use crate::exec::Db;
use crate::model::Backup;
use crate::query::listing::{self, Counted, Listed, Listing, Page, Parts};
use crate::query::narrow::{self, Shape, Source};
use crate::query::unreadable;
use crate::row::Row;
use crate::scope::Scope;
use crate::search::{Search, times};
use crate::tables::Backups;

/// As many backups of the wanted time are few enough to be sorted, rather than to look for them in the order of the list.
const FEW: u64 = 50_000;
/// The same if a search by other keys has to read the rows of all of them.
const FEW_ROWS: u64 = 10_000;

/// The index of a project's list, which has terms and times as well.
const LIST: &str = "fz_backups_project";
/// The index of a project's times.
const TIMES: &str = "fz_backups_time";

/// Which of the two tables of a joined statement a column is of.
#[derive(Iden, Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum At {
    /// The table that is read along an index; the only one of a statement that joins none.
    #[iden = "backups"]
    Index,
    /// The whole row.
    #[iden = "fz_row"]
    Row,
}

type Column = (At, Backups);

/// Where a backup's keys are in tables without additions.
const PLAIN: Shape<Column> = Shape {
    sources: &sources(At::Index, At::Index, Source::AsItIs((At::Index, Backups::BackupMetadata))),
    opaque: &["backup_metadata"],
    identity: &["backup_id", "project_id", "user_id"],
    time: None,
    whole: true,
};

/// In one table with search terms and times.
const WITH_TERMS: Shape<Column> = Shape {
    sources: &sources(At::Index, At::Index, metadata(At::Index, terms_of_index)),
    time: Some(|dialect| (At::Index, dialect.searched_time())),
    ..PLAIN
};

/// Read along the index of the list.
const ALONG_LIST: Shape<Column> =
    Shape { sources: &sources(At::Index, At::Row, metadata(At::Row, terms_of_index)), ..WITH_TERMS };

/// Read along the index of the times, which has no terms and no status.
const ALONG_TIMES: Shape<Column> =
    Shape { sources: &sources(At::Row, At::Row, metadata(At::Row, terms_of_row)), ..WITH_TERMS };

const fn sources(status: At, row: At, metadata: Source<Column>) -> [Source<Column>; 5] {
    [
        Source::Blank("backup_id", (At::Index, Backups::Id)),
        Source::Blank("project_id", (At::Index, Backups::ProjectId)),
        Source::Blank("user_id", (row, Backups::UserId)),
        Source::Blank("status", (status, Backups::Status)),
        metadata,
    ]
}

const fn metadata(row: At, terms: fn(Dialect) -> Column) -> Source<Column> {
    Source::WithTerms((row, Backups::BackupMetadata), terms)
}

fn terms_of_index(dialect: Dialect) -> Column {
    (At::Index, dialect.searched_terms())
}

fn terms_of_row(dialect: Dialect) -> Column {
    (At::Row, dialect.searched_terms())
}

/// Backups of the scope.
///
/// # Errors
/// As every query: [`StoreError`].
pub async fn list(
    db: &mut Db,
    scope: &Scope,
    search: &Search,
    page: &Page,
) -> Result<Listed<Backup>, StoreError> {
    let has_terms = db.has_terms().await?;
    let listing = Listing {
        select: live(scope),
        narrowed: vec![narrowed(db, scope, search, has_terms).await?],
        along: scope.of_project(LIST),
        marked: TABLE.marked(scope.holds(Backups::ProjectId), page),
        created_at: (At::Index, Backups::CreatedAt),
        id: (At::Index, Backups::Id),
        search,
        shape: &PLAIN,
        page,
        among: None,
        counted: has_terms.then(|| counted(db.dialect(), scope, search)).flatten(),
    };
    let doing = db.doing();
    let parts = Parts { read: |row: &mut Row| read(doing, row), complete: listing::nothing_missing };
    listing::list(db, listing, None, parts).await
}

/// Rows that a search may want.
async fn narrowed(
    db: &mut Db,
    scope: &Scope,
    search: &Search,
    has_terms: bool,
) -> Result<SelectStatement, StoreError> {
    let dialect = db.dialect();
    let by_id = search.matches.iter().any(|(key, _)| key == "backup_id");
    let joins = has_terms && dialect == Dialect::MySql && matches!(scope, Scope::Project(_)) && !by_id;
    if search.is_empty() || !joins {
        let mut select = live(scope);
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

/// Whether a search wants backups of certain times, and few are of those.
async fn are_few(db: &mut Db, scope: &Scope, search: &Search) -> Result<bool, StoreError> {
    let Some(range) = times::range(search) else { return Ok(false) };
    let few = if search.matches.is_empty() { FEW } else { FEW_ROWS };
    let mut some = entries(db.dialect(), scope, TIMES);
    // a column of the index: for a constant MariaDB reads the rows
    some.column((At::Index, Backups::Deleted))
        .cond_where(narrow::may_be_in(time(db.dialect()), &range))
        .limit(few + 1);
    let mut count = Query::select();
    count.expr(Func::count(Expr::val(1))).from_subquery(some, "fz_some");
    let row = db.select_one(&count).await?;
    let found = row.map(|row| row.int(0)).transpose().map_err(unreadable(db.doing()))?.flatten();
    Ok(found.and_then(|found| u64::try_from(found).ok()).is_some_and(|found| found <= few))
}

/// How the backups are counted that a search wants, if the index alone tells.
fn counted(dialect: Dialect, scope: &Scope, search: &Search) -> Option<Counted> {
    scope.of_project(())?;
    let range = times::range(search);
    let only_times = Search { time_after: None, time_before: None, ..search.clone() }.is_empty();
    if !only_times {
        return None;
    }
    let mut certain = entries(dialect, scope, TIMES);
    certain.expr(Func::count(Expr::col((At::Index, Backups::Id))));
    let Some(range) = range else { return Some(Counted { certain, doubtful: None }) };
    let time = || Expr::col(time(dialect));
    certain.and_where(time().between(*range.start(), *range.end()));
    let mut doubtful = match dialect {
        Dialect::MySql => joined(dialect, scope, TIMES),
        Dialect::Sqlite => live(scope),
    };
    doubtful.and_where(time().is_null());
    Some(Counted { certain, doubtful: Some(doubtful) })
}

fn time(dialect: Dialect) -> Column {
    (At::Index, dialect.searched_time())
}

/// Live backups of the scope, by an index alone.
fn entries(dialect: Dialect, scope: &Scope, index: &'static str) -> SelectStatement {
    let mut select = Query::select();
    select
        .from(Backups::Table)
        .and_where(Expr::col((At::Index, Backups::Deleted)).eq(false))
        .cond_where(scope.holds((At::Index, Backups::ProjectId)));
    dialect.read_along(&mut select, index);
    select
}

/// As [`live`], of the rows whose entries are read along an index.
fn joined(dialect: Dialect, scope: &Scope, index: &'static str) -> SelectStatement {
    let mut select = entries(dialect, scope, index);
    let its_row = Expr::col((At::Row, Backups::Id)).equals((At::Index, Backups::Id));
    select
        .columns([(At::Index, Backups::CreatedAt), (At::Index, Backups::Id)])
        .columns(COLUMNS.map(|column| (At::Row, column)))
        .join_as(JoinType::StraightJoin, Backups::Table, At::Row, its_row);
    select
}
