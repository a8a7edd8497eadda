//! Adds `user_credentials`, the Keystone trust of a job.

use crate::migrations::head::table;
use crate::migrations::planner::Planner;

pub(super) fn plan(planner: &mut Planner) {
    planner.ensure_table(table("user_credentials"), Some("jobs"));
}
