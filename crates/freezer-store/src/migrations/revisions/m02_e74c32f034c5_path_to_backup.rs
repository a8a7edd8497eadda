//! `actions.src_file` becomes `path_to_backup`. Releases 8.0.0 to 15.0.0 had done that already, which is where
//! upstream's own step fails. The paths that agents of 7.x sent under the new name already are put into the column.

use crate::migrations::head::table;
use crate::migrations::moves::RowMove;
use crate::migrations::planner::{Planner, StepAction};

pub(super) fn plan(planner: &mut Planner) {
    if planner.layout.has_column("actions", "src_file") {
        // before the rename, after which nothing tells that it was not done; and before jobs' actions are compared
        planner.push_step(
            "fill actions.src_file from the documents",
            "actions",
            StepAction::MoveRows(RowMove::Paths("src_file")),
        );
    }
    planner.ensure_renamed_column("actions", "src_file", table("actions").column("path_to_backup"));
}
