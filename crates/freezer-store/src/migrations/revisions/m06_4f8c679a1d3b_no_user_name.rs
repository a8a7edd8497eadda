//! `backups.user_name` is dropped. Upstream loses the names; here each goes into the backup's metadata first.

use crate::migrations::head::table;
use crate::migrations::planner::{Action, Planner};

pub(super) fn plan(planner: &mut Planner) {
    if !planner.layout.has_column("backups", "user_name") {
        return;
    }
    // room for what is added to a text that may be full
    planner.column_takes("backups", table("backups").column("backup_metadata"));
    planner.step("move backups.user_name into the metadata", "backups", Action::MoveUserNames);
    planner.column_absent("backups", "user_name");
}
