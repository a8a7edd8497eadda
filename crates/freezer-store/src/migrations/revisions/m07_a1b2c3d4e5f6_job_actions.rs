//! `job_actions` becomes a table: the JSON list in `jobs.job_actions` becomes rows of it, and of `actions` where an entry
//! has no action of its own yet. How entries become rows is `moves/job_actions/mod.rs`.
//!
//! Its foreign keys need `jobs.id` and `actions.id` in one character set, and upstream's step stops where they are not in
//! the server's default one. Here the new table takes the collation of the two, after they were made equal.

use crate::migrations::head::table;
use crate::migrations::planner::{Action, Planner};

pub(super) fn plan(planner: &mut Planner) {
    if planner.layout.table("job_actions").is_none() {
        let collation = |name| planner.layout.table(name).map(|table| table.collation.clone());
        if collation("jobs") != collation("actions") {
            planner.utf8mb4("jobs");
            planner.utf8mb4("actions");
        }
        planner.table_exists(table("job_actions"), Some("jobs"));
    }
    if !planner.layout.has_column("jobs", "job_actions") {
        return;
    }
    planner.step("move jobs.job_actions into the table job_actions", "jobs", Action::MoveJobActions);
    planner.column_absent("jobs", "job_actions");
}
