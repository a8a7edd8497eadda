//! Creates the table `job_actions`, and moves the JSON list in `jobs.job_actions` into it. An entry without an
//! action of its own also becomes a row of `actions`. `moves/job_actions/mod.rs` describes this.
//!
//! Its foreign keys need the same character set for `jobs.id` and `actions.id`, and upstream's step fails if
//! this is not the default of the server. Here, the new table takes the collation of these two tables, after it
//! was made equal.

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
