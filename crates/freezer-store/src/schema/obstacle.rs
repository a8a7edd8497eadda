//! [`Obstacle`]: tables and rows that do not allow an upgrade. `db sync` looks for them before it changes anything, and
//! examines its result at the end.

/// A reason why `db sync` refuses a database, or fails. Each text says what to do.
#[derive(Debug, Clone, thiserror::Error, PartialEq, Eq)]
pub enum Obstacle {
    /// Tables are missing, but the other tables are in use.
    #[error(
        "the database {database} is incomplete: {tables} missing, and nothing was changed. A restore was \
         probably interrupted. Drop and create the database, then load the dump again (docs/upgrading.md). To create what \
         is missing, empty: freezer-manage db sync --create-missing-tables"
    )]
    MissingTables {
        /// The database, without its password.
        database: String,
        /// The missing tables, with an article and a verb.
        tables: String,
    },
    /// Rows have keys that are equal in the collation that the table must get.
    #[error(
        "tables of the database {database} must get another collation, in which keys of different rows are equal: {found}. \
         Nothing was changed. Delete or rename all but one row of each group, then run again: freezer-manage db sync"
    )]
    EqualKeys {
        /// The database, without its password.
        database: String,
        /// Tables, collations and groups of ids.
        found: String,
    },
    /// Foreign keys of other programs' tables refer to tables that must get another collation or primary key.
    #[error(
        "tables of the database {database} must get another collation or primary key, which foreign keys of other tables \
         prevent: {found}. Nothing was changed. Drop these keys (ALTER TABLE … DROP FOREIGN KEY …), run again: freezer-manage \
         db sync, and add them again after their columns have the same character set and collation"
    )]
    Referenced {
        /// The database, without its password.
        database: String,
        /// Keys with their tables and columns, and the tables that they refer to.
        found: String,
    },
    /// Triggers and the like use columns that the upgrade drops or renames.
    #[error(
        "the upgrade of the database {database} drops or renames columns that are in use: {found}. Nothing was changed. Drop \
         or change what uses them, then run again: freezer-manage db sync"
    )]
    Dependents {
        /// The database, without its password.
        database: String,
        /// What uses the columns.
        found: String,
    },
    /// Tables lack their primary keys, and their rows do not allow these.
    #[error(
        "tables of the database {database} lack their primary keys, and their rows do not allow these: {found}. Nothing was \
         changed. Delete or correct the rows so that each has a key of its own, then run again: freezer-manage db sync"
    )]
    UnusableKeys {
        /// The database, without its password.
        database: String,
        /// Tables, columns and groups of ids.
        found: String,
    },
    /// After a sync, columns still have different collations.
    #[error(
        "the upgrade of the database {database} is not complete: columns that statements compare still have different \
         collations: {columns}{reasons}"
    )]
    StillMixed {
        /// The database, without its password.
        database: String,
        /// The columns, with their collations.
        columns: String,
        /// The failed steps, if any.
        reasons: String,
    },
    /// After a sync, the tables are still not those of head.
    #[error("the upgrade of the database {database} is not complete: {steps}{reasons}")]
    StillIncomplete {
        /// The database, without its password.
        database: String,
        /// The steps that are still needed.
        steps: String,
        /// The failed steps, if any.
        reasons: String,
    },
}

impl Obstacle {
    /// Returns whether the service waits for the operator: a restore may still be loading the tables.
    pub(super) fn is_temporary(&self) -> bool {
        !matches!(self, Obstacle::StillIncomplete { .. })
    }
}
