//! `backups.user_name` is dropped. Upstream loses the names; here each goes into the backup's metadata first.

use crate::migrations::head::table;
use crate::migrations::moves::RowMove;
use crate::migrations::planner::{Planner, StepAction};

pub(super) fn plan(planner: &mut Planner) {
    if !planner.layout.has_column("backups", "user_name") {
        return;
    }
    // room for what is added to a text that may be full
    planner.ensure_column_width("backups", table("backups").column("backup_metadata"));
    planner.push_step(
        "move backups.user_name into the metadata",
        "backups",
        StepAction::MoveRows(RowMove::UserNames),
    );
    planner.ensure_no_column("backups", "user_name");
}
