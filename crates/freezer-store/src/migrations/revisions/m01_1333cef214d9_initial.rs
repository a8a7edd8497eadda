//! The initial revision under Alembic: six tables.
//!
//! If sqlalchemy-migrate created the tables (releases 7.0.0 to 15.0.0), upstream only stamps this revision and
//! keeps all differences: `actions.mode` with its old name (7.0.0), narrower user ids, a hostname that must not
//! be NULL, and CHECK constraints of SQLAlchemy 1.3. Here these differences are removed. The hostname keeps its
//! width of 255, because such names exist.

use crate::migrations::head::{TABLES, table};
use crate::migrations::planner::Planner;
use crate::schema::{ColumnKind, ColumnLayout};

/// The column in this revision. A wider one stays as it is.
const HOSTNAME: ColumnLayout = ColumnLayout::optional("hostname", ColumnKind::Text(128));

const INITIAL: [&str; 6] = ["clients", "sessions", "jobs", "actions", "action_reports", "backups"];

pub(super) fn plan(planner: &mut Planner) {
    for name in INITIAL {
        planner.ensure_table(table(name), None);
    }
    for wanted in TABLES {
        planner.ensure_no_checks(wanted);
        planner.ensure_no_other_foreign_keys(wanted);
    }
    planner.ensure_renamed_column("actions", "mode", table("actions").column("actionmode"));
    for name in ["clients", "actions", "action_reports"] {
        planner.ensure_column_width(name, table(name).column("user_id"));
    }
    planner.ensure_column_width("clients", &HOSTNAME);
    planner.ensure_column_width("jobs", table("jobs").column("session_id"));
}
