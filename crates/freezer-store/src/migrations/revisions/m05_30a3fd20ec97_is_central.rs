//! Adds `clients.is_central`. A central client serves all projects. Earlier clients are not central.

use crate::migrations::head::table;
use crate::migrations::planner::Planner;

pub(super) fn plan(planner: &mut Planner) {
    planner.ensure_column("clients", table("clients").column("is_central"));
}
