//! `user_id` of jobs and sessions takes 64 characters, as it does elsewhere.

use crate::migrations::head::table;
use crate::migrations::planner::Planner;

pub(super) fn plan(planner: &mut Planner) {
    for name in ["jobs", "sessions"] {
        planner.ensure_column_width(name, table(name).column("user_id"));
    }
}
