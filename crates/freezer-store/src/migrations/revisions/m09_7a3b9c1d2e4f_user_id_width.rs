//! Widens `user_id` of jobs and sessions to 64 characters, as in other tables.

use crate::migrations::head::table;
use crate::migrations::planner::Planner;

pub(super) fn plan(planner: &mut Planner) {
    for name in ["jobs", "sessions"] {
        planner.ensure_column_width(name, table(name).column("user_id"));
    }
}
