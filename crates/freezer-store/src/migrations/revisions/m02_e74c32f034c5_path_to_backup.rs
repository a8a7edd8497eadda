//! `actions.src_file` becomes `path_to_backup`. Releases 8.0.0 to 15.0.0 had done that already, which is where
//! upstream's own step fails.

use crate::migrations::head::table;
use crate::migrations::planner::Planner;

pub(super) fn plan(planner: &mut Planner) {
    planner.column_renamed("actions", "src_file", table("actions").column("path_to_backup"));
}
