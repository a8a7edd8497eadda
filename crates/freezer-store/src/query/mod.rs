//! SQL by noun: each file has the queries and changes of one table family, on a [`Db`].
//!
//! `tables/` declares the columns and the structs of stored rows. To add a query, build the statement with sea-query, take a
//! [`Scope`] (one project, or all if a policy allows it), and read the rows as such a struct, or as a tuple of the selected
//! columns. Rules about permissions or about the meaning of an operation belong to the service, in the body of a named
//! [`transaction!`](crate::transaction).

pub mod action_reports;
pub(crate) mod action_terms;
pub mod actions;
pub mod backups;
pub mod clients;
pub mod idempotency;
pub mod job_actions;
pub mod jobs;
mod listing;
mod narrow;
mod repeat;
pub mod sessions;
pub(crate) mod stored_actions;
pub mod user_credentials;
mod within;

pub(crate) use listing::KEYS as DOCUMENT_KEYS;
pub use listing::{Listed, Page};

use sea_query::{Condition, Expr, ExprTrait, IntoIden, IntoTableRef, Query, SelectStatement};

use crate::clock::Timestamp;
use crate::error::{DriverError, StoreError};
use crate::exec::Db;
use crate::scope::Scope;
use crate::tables::TableRow;

/// Columns with their new values.
type Values<C> = Vec<(C, Expr)>;

/// The columns with the same meaning in every table.
struct TableColumns<C> {
    name: &'static str,
    table: C,
    id: C,
    project_id: C,
    deleted: C,
    deleted_at: C,
    created_at: C,
    updated_at: C,
}

/// Fills in a [`TableColumns`] from a column enum of `tables/`.
macro_rules! table_columns {
    ($columns:ident) => {
        crate::query::TableColumns {
            name: <$columns as crate::tables::Column>::TABLE,
            table: $columns::Table,
            id: $columns::Id,
            project_id: $columns::ProjectId,
            deleted: $columns::Deleted,
            deleted_at: $columns::DeletedAt,
            created_at: $columns::CreatedAt,
            updated_at: $columns::UpdatedAt,
        }
    };
}
use table_columns;

impl<C: IntoIden + IntoTableRef + Copy + 'static> TableColumns<C> {
    /// Returns the condition for rows in scope.
    fn in_scope(&self, scope: &Scope) -> Condition {
        scope.holds((self.table, self.project_id))
    }

    /// Selects the columns of live rows that fulfil a condition, and then their time of creation, in the order that
    /// [`listing::read_listed`] reads.
    fn live<R: TableRow<Column = C>>(&self, whose: Condition) -> SelectStatement {
        let mut select = Query::select();
        select
            .columns(R::COLUMNS.iter().map(|column| (self.table, *column)))
            .column((self.table, self.created_at))
            .from(self.table)
            .and_where(Expr::col((self.table, self.deleted)).eq(false))
            .cond_where(whose);
        select
    }

    /// Selects what [`live`](Self::live) does, and then the size of `texts` together. If it is larger than `limit`, the texts are
    /// NULL.
    fn live_within<R: TableRow<Column = C>>(
        &self,
        whose: Condition,
        texts: &[C],
        limit: u64,
    ) -> SelectStatement
    where
        C: PartialEq,
    {
        let size = || within::size(texts.iter().map(|text| (self.table, *text)));
        let mut select = self.live::<R>(whose);
        select.clear_selects();
        for column in R::COLUMNS {
            let place = (self.table, *column);
            select.expr(match texts.contains(column) {
                true => within::text_within(place, size(), limit),
                false => Expr::col(place),
            });
        }
        select.column((self.table, self.created_at)).expr(size());
        select
    }

    /// Inserts a row with an id. If a deleted row of the same project has this id, that row is restored with
    /// the new values.
    ///
    /// If the body runs again after a lost answer, it may find the row of its first run. `fresh` says that
    /// the id was created for this request, so such a row is its own.
    async fn insert(
        &self,
        db: &mut Db,
        id: &str,
        project_id: &str,
        values: Values<C>,
        now: Timestamp,
        fresh: bool,
    ) -> Result<(), StoreError> {
        match self.insert_new(db, id, project_id, &values, now).await {
            Ok(()) => return Ok(()),
            Err(error) if error.is_duplicate() => {}
            Err(error) => return Err(error),
        }
        if fresh && db.is_repeat() {
            return Ok(());
        }
        self.revive(db, id, project_id, values, now).await
    }

    /// Restores a deleted row of the project with new values.
    async fn revive(
        &self,
        db: &mut Db,
        id: &str,
        project_id: &str,
        values: Values<C>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let mut row = self.row(db, id, project_id, values, now);
        row.push((self.deleted_at, Expr::value(Option::<String>::None)));
        let mut revive = Query::update();
        revive.table(self.table).values(row).cond_where(self.row_in(&Scope::project(project_id), id, true));
        match db.execute(&revive).await? {
            0 => Err(StoreError::Duplicate { table: self.name, id: id.to_owned() }),
            _ => Ok(()),
        }
    }

    /// Inserts a row with a new id in one statement.
    async fn insert_new(
        &self,
        db: &mut Db,
        id: &str,
        project_id: &str,
        values: &Values<C>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        self.insert_rows(db, vec![self.row(db, id, project_id, values.clone(), now)]).await
    }

    /// Inserts several rows with new ids and the same columns in one statement. Returns false without
    /// inserting any if one of the ids is in use. Then [`insert`](Self::insert) must decide about each row.
    async fn insert_together(
        &self,
        db: &mut Db,
        project_id: &str,
        rows: &[(&str, Values<C>)],
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let row = |(id, values): &(&str, Values<C>)| self.row(db, id, project_id, values.clone(), now);
        let rows = rows.iter().map(row).collect();
        match self.insert_rows(db, rows).await {
            Ok(()) => Ok(true),
            Err(error) if error.is_duplicate() => Ok(false),
            Err(error) => Err(error),
        }
    }

    async fn insert_rows(&self, db: &mut Db, rows: Vec<Values<C>>) -> Result<(), StoreError> {
        let mut insert = Query::insert();
        insert.into_table(self.table);
        insert.columns(rows.iter().take(1).flatten().map(|(column, _)| *column));
        for row in rows {
            insert.values_panic(row.into_iter().map(|(_, value)| value));
        }
        db.execute(&insert).await.map(|_| ())
    }

    /// Returns the columns of a new row.
    fn row(&self, db: &Db, id: &str, project_id: &str, values: Values<C>, now: Timestamp) -> Values<C> {
        let mut row: Values<C> = vec![
            (self.id, id.into()),
            (self.project_id, project_id.into()),
            (self.deleted, false.into()),
            (self.created_at, db.dialect().datetime(now).into()),
            (self.updated_at, Expr::value(Option::<String>::None)),
        ];
        row.extend(values);
        row
    }

    /// Returns the condition for one row to change. The server can find it only by its key, because the other conditions have a form
    /// that no index supports. With old statistics, MariaDB would choose an index of the project, and wait for the locks of other
    /// rows.
    fn row_in(&self, scope: &Scope, id: &str, deleted: bool) -> Condition {
        let others = scope.holds(self.project_id).add(Expr::col(self.deleted).eq(deleted));
        let others = Expr::cust_with_exprs("(?) IS TRUE", [Expr::from(others)]);
        Condition::all().add(Expr::col(self.id).eq(id)).add(others)
    }

    /// Sets columns of a live row in scope. Returns false if there is none.
    async fn update(
        &self,
        db: &mut Db,
        scope: &Scope,
        id: &str,
        values: Values<C>,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let stamp = db.dialect().datetime(now);
        let mut update = Query::update();
        update
            .table(self.table)
            .values(values)
            .value(self.updated_at, stamp)
            .cond_where(self.row_in(scope, id, false));
        Ok(db.execute(&update).await? > 0)
    }

    /// Selects (created_at, id) of the page's marker row, deleted or not. Returns `None` if the page has no
    /// marker.
    fn marked(&self, whose: Condition, page: &Page) -> Option<SelectStatement> {
        let marker = page.marker.as_deref()?;
        let mut select = Query::select();
        select.columns([self.created_at, self.id]).from(self.table).cond_where(whose);
        Some(select.and_where(Expr::col(self.id).eq(marker)).limit(1).to_owned())
    }

    /// Marks a live row in scope as deleted. Returns false if there is none, unless an earlier run of the
    /// body deleted it.
    async fn delete(&self, db: &mut Db, scope: &Scope, id: &str, now: Timestamp) -> Result<bool, StoreError> {
        let stamp = db.dialect().datetime(now);
        let mut update = Query::update();
        update
            .table(self.table)
            .value(self.deleted, true)
            .value(self.deleted_at, stamp)
            .cond_where(self.row_in(scope, id, false));
        Ok(db.execute(&update).await? > 0 || self.was_deleted(db, scope, id, now).await?)
    }
}

/// Returns an error in reading a column, with the name of the operation.
fn unreadable(doing: &'static str) -> impl Fn(DriverError) -> StoreError {
    move |error| StoreError::from_driver(doing, error)
}
