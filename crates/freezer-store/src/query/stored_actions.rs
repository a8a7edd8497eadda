//! Stored actions with the data that an upgrade compares with the actions in jobs.

use sea_query::{Expr, ExprTrait, Query};

use super::actions::parsed;
use super::listing;
use crate::error::StoreError;
use crate::exec::Db;
use crate::model::ActionFields;
use crate::tables::{Actions, StoredAction, TableRow};

/// An action with the data for comparisons of an upgrade.
pub(crate) struct ComparedAction {
    pub(crate) project_id: String,
    pub(crate) is_live: bool,
    /// Its stored document without the columns.
    pub(crate) document: Option<String>,
    pub(crate) fields: ActionFields,
}

/// Returns the given actions of all projects that exist, deleted or not, with their documents.
pub(crate) async fn get_many_stored(
    db: &mut Db,
    ids: Vec<String>,
) -> Result<Vec<ComparedAction>, StoreError> {
    let mut select = Query::select();
    select
        .columns(StoredAction::COLUMNS.iter().copied())
        .column(Actions::Deleted)
        .from(Actions::Table)
        .and_where(Expr::col(Actions::Id).is_in(listing::padded(ids)));
    let rows = db.read::<(StoredAction, Option<i64>)>(&select).await?;
    let compared = |(row, deleted): (StoredAction, Option<i64>)| ComparedAction {
        project_id: row.project_id.clone(),
        is_live: deleted == Some(0),
        document: row.definition.clone(),
        fields: parsed(row),
    };
    Ok(rows.into_iter().map(compared).collect())
}
