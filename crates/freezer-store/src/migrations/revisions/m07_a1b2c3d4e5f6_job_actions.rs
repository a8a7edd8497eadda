//! `job_actions` becomes a table: the JSON list in `jobs.job_actions` becomes rows of it, and of `actions` where an entry
//! has no action of its own yet. How entries become rows is `moves/job_actions/mod.rs`.
//!
//! Its foreign keys need `jobs.id` and `actions.id` in one character set, and upstream's step stops where they are not in
//! the server's default one. Here the new table takes the collation of the two, after they were made equal.

use crate::migrations::head::table;
use crate::migrations::moves::RowMove;
use crate::migrations::planner::{Planner, StepAction};

pub(super) fn plan(planner: &mut Planner) {
    if planner.layout.table("job_actions").is_none() {
        let collation = |name| planner.layout.table(name).map(|table| table.collation.clone());
        if collation("jobs") != collation("actions") {
            planner.ensure_utf8mb4("jobs");
            planner.ensure_utf8mb4("actions");
        }
        planner.ensure_table(table("job_actions"), Some("jobs"));
    }
    if !planner.layout.has_column("jobs", "job_actions") {
        return;
    }
    planner.push_step(
        "move jobs.job_actions into the table job_actions",
        "jobs",
        StepAction::MoveRows(RowMove::JobActions),
    );
    planner.ensure_no_column("jobs", "job_actions");
}
