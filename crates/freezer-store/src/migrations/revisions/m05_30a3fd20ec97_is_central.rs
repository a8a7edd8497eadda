//! `clients.is_central`: a client that serves every project. None did before.

use crate::migrations::head::table;
use crate::migrations::planner::Planner;

pub(super) fn plan(planner: &mut Planner) {
    planner.ensure_column("clients", table("clients").column("is_central"));
}
