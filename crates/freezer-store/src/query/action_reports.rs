//! Changes of `action_reports`: one row for each action, which is created and deleted with it. The Python
//! service writes these rows but never reads them. This service writes them too, so that the Python service
//! can be used again.

use sea_query::Expr;

use super::{TableColumns, table_columns};
use crate::clock::Timestamp;
use crate::error::StoreError;
use crate::exec::Db;
use crate::scope::Scope;
use crate::tables::ActionReports;

const TABLE: TableColumns<ActionReports> = table_columns!(ActionReports);

/// Creates the reports of actions. An existing report stays unchanged.
pub(super) async fn create(
    db: &mut Db,
    project_id: &str,
    user_id: &str,
    action_ids: &[&str],
    now: Timestamp,
) -> Result<(), StoreError> {
    let values = || {
        vec![
            (ActionReports::UserId, user_id.into()),
            (ActionReports::Result, Expr::value(Option::<String>::None)),
            (ActionReports::TimeElapsed, Expr::value(Option::<String>::None)),
        ]
    };
    if action_ids.len() > 1 {
        let rows: Vec<_> = action_ids.iter().map(|id| (*id, values())).collect();
        if TABLE.insert_together(db, project_id, &rows, now).await? {
            return Ok(());
        }
    }
    for action_id in action_ids {
        match TABLE.insert(db, action_id, project_id, values(), now, false).await {
            Ok(()) | Err(StoreError::Duplicate { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Marks the report of an action as deleted.
pub(super) async fn delete(
    db: &mut Db,
    scope: &Scope,
    action_id: &str,
    now: Timestamp,
) -> Result<bool, StoreError> {
    TABLE.delete(db, scope, action_id, now).await
}
