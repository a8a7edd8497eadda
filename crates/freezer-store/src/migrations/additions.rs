//! What we add beyond upstream's head. SQLAlchemy sees none of it, `alembic_version` does not mention it, and the service
//! works without it (slower, and refusing what narrower columns cannot hold).
//!
//! Each can be made at any time. One that cannot be made is reported, and the others are made all the same.

use super::action_terms::ActionTerms;
use super::collations;
use super::head::{ColumnKind, TABLES, table};
use super::moves::RowMove;
use super::moves::leftovers;
use super::planner::{Planner, StepAction};
use super::repeats;

/// The index that keeps the live clients of a project apart.
pub(super) const UNIQUE_LIVE_CLIENTS: &str = "fz_clients_live";

/// Tables of more rows than this are converted to utf8mb4 only where `--charset` asks for it: the table is rewritten, and
/// locked meanwhile.
pub(super) const LARGE_TABLE: u64 = 100_000;

/// What the operator asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Wishes {
    /// Convert large tables to utf8mb4, too.
    pub convert_large_tables: bool,
    /// Create the tables beside those of another program.
    pub shared_database: bool,
}

/// What the rows say, which no layout tells.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct RowFacts {
    /// Live clients of one name are in the way of [`UNIQUE_LIVE_CLIENTS`].
    pub(super) duplicate_clients: bool,
    /// Actions lack the path that their documents have: upstream's upgrade from 7.x leaves them so.
    pub(super) paths_are_missing: bool,
    /// Backups lack their search terms.
    pub(super) terms_are_missing: bool,
    /// What the terms of actions lack.
    pub(super) action_terms: ActionTerms,
}

/// Plans every addition that is not there yet.
pub(super) fn plan(planner: &mut Planner, wishes: Wishes, rows: RowFacts) {
    if rows.paths_are_missing {
        let what = "fill actions.path_to_backup from the documents";
        planner.push_step(what, "actions", StepAction::MoveRows(RowMove::Paths("path_to_backup")));
    }
    tables(planner, wishes);
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
    planner.ensure_backup_terms(rows.terms_are_missing);
    planner.ensure_job_indexes();
    planner.ensure_backup_identity();
    planner.ensure_key_table();
    planner.ensure_action_terms(rows.action_terms);
    planner.ensure_column_width("clients", table("clients").column("hostname"));
    for table in TABLES {
        planner.ensure_no_foreign_key_indexes(table);
    }
    if !rows.duplicate_clients {
        planner.ensure_unique_live_clients();
    }
}

/// Plans how the tables that there are must be stored: engine, row format and character set. Before an upgrade moves values
/// into them, because older character sets do not hold every value, and again afterwards for tables that it has made.
pub(super) fn tables(planner: &mut Planner, wishes: Wishes) {
    for name in
        TABLES.iter().map(|table| table.name).chain([leftovers::TABLE, repeats::TABLE, "alembic_version"])
    {
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
