//! Stored actions with the data that an upgrade compares with the actions in jobs.

use sea_query::{Expr, ExprTrait, Query};

use super::actions::{COLUMNS, read_fields};
use super::{listing, unreadable};
use crate::error::StoreError;
use crate::exec::Db;
use crate::json;
use crate::model::ActionFields;
use crate::row::Row;
use crate::tables::Actions;

/// An action with the data for comparisons of an upgrade.
pub(crate) struct StoredAction {
    pub(crate) project_id: String,
    pub(crate) is_live: bool,
    /// Its stored document without the columns.
    pub(crate) document: Option<String>,
    pub(crate) fields: ActionFields,
}

/// Returns the given actions of all projects that exist, deleted or not, with their documents.
pub(crate) async fn get_many_stored(db: &mut Db, ids: Vec<String>) -> Result<Vec<StoredAction>, StoreError> {
    let mut select = Query::select();
    select
        .column(Actions::CreatedAt)
        .column(Actions::Id)
        .columns(COLUMNS)
        .column(Actions::Deleted)
        .from(Actions::Table)
        .and_where(Expr::col(Actions::Id).is_in(listing::padded(ids)));
    let rows = db.select(&select).await?;
    let doing = db.doing();
    let at = unreadable(doing);
    let read = |mut row: Row| {
        Ok(StoredAction {
            project_id: row.string(2).map_err(&at)?,
            is_live: row.int(2 + COLUMNS.len()).map_err(&at)? == Some(0),
            document: row.text(7).map_err(&at)?,
            fields: read_fields(doing, &mut row, json::object)?,
        })
    };
    rows.into_iter().map(read).collect()
}
