//! Our additions to upstream's head. SQLAlchemy does not see them, and they are not part of `alembic_version`.
//! The service works without them, but it is slower and rejects values that are too long for narrower columns.
//!
//! Each addition can be made at any time. If one fails, it is reported and the others are still made.

use super::collations::{self, LARGE_TABLE};
use super::head::{TABLES, table};
use super::moves::RowMove;
use super::moves::leftovers;
use super::options::Wishes;
use super::planner::{Planner, StepAction};
use super::repeats;
use super::row_facts::RowFacts;
use crate::schema::ColumnKind;

/// Plans all missing additions.
pub(super) fn plan(planner: &mut Planner, wishes: Wishes, facts: &RowFacts) {
    if facts.paths_are_missing {
        let what = "fill actions.path_to_backup from the documents";
        planner.push_step(what, "actions", StepAction::MoveRows(RowMove::Paths("path_to_backup")));
    }
    plan_storage(planner, wishes);
    planner.ensure_foreign_keys(table("job_actions"));
    for table in TABLES {
        for column in table.columns.iter().filter(|column| column.kind == ColumnKind::Document) {
            planner.ensure_column_width(table.name, column);
        }
        for column in table.columns {
            planner.ensure_default(table.name, column);
        }
        for index in table.indexes {
            planner.ensure_index(table.name, index);
        }
    }
    planner.ensure_backup_terms(facts.terms_are_missing);
    planner.ensure_job_indexes();
    planner.ensure_backup_identity();
    planner.ensure_key_table();
    planner.ensure_action_terms(facts.action_terms);
    planner.ensure_column_width("clients", table("clients").column("hostname"));
    for table in TABLES {
        planner.ensure_no_foreign_key_indexes(table);
    }
    if facts.equal_clients.is_empty() {
        planner.ensure_unique_live_clients();
    }
}

/// Returns the tables whose storage engine and row format matter.
pub(super) fn stored_tables() -> impl Iterator<Item = &'static str> {
    TABLES.iter().map(|table| table.name).chain([leftovers::TABLE, repeats::TABLE, "alembic_version"])
}

/// Plans storage engine, row format and character set of the existing tables. This happens before an upgrade
/// moves values into them, because older character sets cannot store all values, and again afterwards for the
/// tables that it created.
pub(super) fn plan_storage(planner: &mut Planner, wishes: Wishes) {
    for name in stored_tables() {
        planner.ensure_storage(name);
    }
    planner.ensure_linked_collations(wishes);
    for table in TABLES.iter().map(|table| table.name) {
        let is_small = planner.layout.table(table).is_none_or(|found| found.rows <= LARGE_TABLE);
        if collations::is_by_itself(table) && (wishes.convert_large_tables || is_small) {
            planner.ensure_utf8mb4(table);
        }
    }
}
