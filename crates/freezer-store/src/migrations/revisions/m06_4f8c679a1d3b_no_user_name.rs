//! Drops `backups.user_name`. Upstream loses the names. Here, each name is moved into the metadata of its backup
//! first.

use crate::migrations::head::table;
use crate::migrations::moves::RowMove;
use crate::migrations::planner::{Planner, StepAction};

pub(super) fn plan(planner: &mut Planner) {
    if !planner.layout.has_column("backups", "user_name") {
        return;
    }
    // The metadata may be full, so this column is widened before names are added.
    planner.ensure_column_width("backups", table("backups").column("backup_metadata"));
    planner.push_step(
        "move backups.user_name into the metadata",
        "backups",
        StepAction::MoveRows(RowMove::UserNames),
    );
    planner.ensure_no_column("backups", "user_name");
}
