//! Adds `backups.status`. Earlier backups are available.

use crate::migrations::head::table;
use crate::migrations::planner::Planner;

pub(super) fn plan(planner: &mut Planner) {
    planner.ensure_column("backups", table("backups").column("status"));
}
