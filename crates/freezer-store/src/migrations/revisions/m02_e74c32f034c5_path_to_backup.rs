//! Renames `actions.src_file` to `path_to_backup`. Releases 8.0.0 to 15.0.0 had already done this, so upstream's
//! own step fails on their tables. This also fills the column with the paths that agents of 7.x already sent
//! under the new name.

use crate::migrations::head::table;
use crate::migrations::moves::RowMove;
use crate::migrations::planner::{Planner, StepAction};

pub(super) fn plan(planner: &mut Planner) {
    if planner.layout.has_column("actions", "src_file") {
        // This must happen before the rename, because afterwards this state cannot be detected, and before the
        // actions of jobs are compared.
        planner.push_step(
            "fill actions.src_file from the documents",
            "actions",
            StepAction::MoveRows(RowMove::Paths("src_file")),
        );
    }
    planner.ensure_renamed_column("actions", "src_file", table("actions").column("path_to_backup"));
}
