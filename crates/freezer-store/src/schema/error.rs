//! [`SchemaError`]: the reasons why tables cannot be served or upgraded.

use std::fmt;

use super::chain::HEAD;
use super::obstacle::Obstacle;

/// The reason why tables cannot be served or upgraded. Each text names the next step.
#[derive(Debug, Clone, thiserror::Error, PartialEq, Eq)]
pub enum SchemaError {
    /// There are no tables of ours.
    #[error("the database {database} has no tables yet; create them with: freezer-manage db sync")]
    Empty {
        /// The database, without its password.
        database: String,
    },
    /// The revision is older than the one that this release serves.
    #[error(
        "the database {database} is at revision {found}, this release serves {HEAD}; \
         bring it there with: freezer-manage db sync"
    )]
    Old {
        /// The database, without its password.
        database: String,
        /// Its revision.
        found: String,
    },
    /// The revision is unknown: it belongs to a newer release or another program.
    #[error(
        "the database {database} is at revision {found}, which this release does not know (it serves {HEAD}); \
         run the release that made it, or restore a backup of the database; see also: freezer-manage db show"
    )]
    Unknown {
        /// The database, without its password.
        database: String,
        /// Its revision.
        found: String,
    },
    /// Tables without a revision: created by hand, or by releases before 16.0.0.
    #[error(
        "the database {database} has tables ({tables}) but no revision in alembic_version; \
         look at it with: freezer-manage db show, and upgrade it with: freezer-manage db sync"
    )]
    Unversioned {
        /// The database, without its password.
        database: String,
        /// Names of the tables.
        tables: String,
    },
    /// Stamped at head, but parts of it are missing. Upstream's upgrade causes this for databases of 7.0.0 to
    /// 15.0.0.
    #[error(
        "the database {database} says that it is at revision {found}, but its tables are not; \
         see what is missing with: freezer-manage db sync --dry-run, and mend it with: freezer-manage db sync"
    )]
    Incomplete {
        /// The database, without its password.
        database: String,
        /// The revision that it says.
        found: String,
    },
    /// At head, but the server cannot compare columns, because their collations differ. Loading a dump can cause
    /// this.
    #[error(
        "the database {database} has columns that the server cannot compare, because their collations differ: {columns}; \
         convert them with: freezer-manage db sync"
    )]
    MixedCollations {
        /// The database, without its password.
        database: String,
        /// The columns, with their collations.
        columns: String,
    },
    /// At head, but without primary keys that the service needs. A repair that copies a table can cause this.
    #[error(
        "the database {database} lacks primary keys, so rows could be stored twice: {keys}; restore them with: freezer-manage \
         db sync"
    )]
    WrongKeys {
        /// The database, without its password.
        database: String,
        /// The tables, with their present and their right keys.
        keys: String,
    },
    /// Tables or views have names of ours and belong to another program, or are damaged.
    #[error(
        "the database {database} has {found}; nothing was changed. If another program uses this database, create one for \
         Freezer alone and name it in [database] connection{remedy}"
    )]
    NotOurs {
        /// The database, without its password.
        database: String,
        /// The tables and views, each with the reason.
        found: String,
        /// What else the operator can do.
        remedy: Remedy,
    },
    /// There are no tables of ours, but tables of another program.
    #[error(
        "the database {database} belongs to another program and has no tables of Freezer ({signs}); nothing was changed. \
         Create a database for Freezer alone and name it in [database] connection{sharing}"
    )]
    OtherProgram {
        /// The database, without its password.
        database: String,
        /// The signs of the other program.
        signs: String,
        /// Whether the database can be shared.
        sharing: Sharing,
    },
    /// A helper table differs from the one that this release creates.
    #[error(
        "the database {database} has a table {table} that is not the one of this release ({reason}); unless another program \
         uses it, drop it and make it again with: freezer-manage db sync. It holds nothing that is not made of other tables"
    )]
    WrongHelper {
        /// The database, without its password.
        database: String,
        /// The table.
        table: &'static str,
        /// The difference.
        reason: String,
    },
    /// The server lacks features that the tables need.
    #[error(
        "the server of the database {database} is too old: it says {found}, and {needed} or later is needed"
    )]
    OldServer {
        /// The database, without its password.
        database: String,
        /// The version of the server.
        found: String,
        /// The required server and version.
        needed: String,
    },
    /// A column must not be dropped, because some of its values are nowhere else.
    #[error(
        "the column {column} of the database {database} is kept, because values of it are nowhere else ({rows}). \
         If another program writes to these tables, such as a freezer-api that still runs, stop it and run again: \
         freezer-manage db sync. Otherwise please report this"
    )]
    NotMoved {
        /// The database, without its password.
        database: String,
        /// Table and column.
        column: String,
        /// The number of rows, and some of them.
        rows: String,
    },
    /// Tables or rows do not allow the upgrade.
    #[error(transparent)]
    Obstacle(#[from] Obstacle),
    /// Another sync is running.
    #[error("another db sync ({holder}) is at work on {database}; wait for it with --wait SECONDS")]
    Locked {
        /// The database, without its password.
        database: String,
        /// `<host>:<process id>`.
        holder: String,
    },
}

impl SchemaError {
    /// Returns whether `db sync` can repair this: the tables are missing, old or incomplete. A newer or foreign
    /// layout stays as it is.
    pub fn needs_sync(&self) -> bool {
        matches!(
            self,
            SchemaError::Empty { .. }
                | SchemaError::Old { .. }
                | SchemaError::Unversioned { .. }
                | SchemaError::Incomplete { .. }
                | SchemaError::MixedCollations { .. }
                | SchemaError::WrongKeys { .. }
        ) || matches!(self, SchemaError::Obstacle(obstacle) if obstacle.is_temporary())
    }
}

/// Whether Freezer can share the database with another program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sharing {
    /// Possible if the operator allows it.
    Possible,
    /// Impossible, because both programs need the table `alembic_version`.
    Impossible,
}

impl fmt::Display for Sharing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Sharing::Possible => {
                "; if Freezer is to share this database, run: freezer-manage db sync --shared-database"
            }
            Sharing::Impossible => {
                ". Freezer cannot share this database, because both programs need the table alembic_version"
            }
        })
    }
}

/// What an operator can do about tables and views that have names of ours and are not Freezer's, besides using another
/// database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Remedy {
    /// The database has other tables of Freezer, or no other tables. It can be used without those that are named.
    Remove,
    /// The database belongs to another program.
    Share(Sharing),
}

impl fmt::Display for Remedy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Remedy::Remove => f.write_str(
                "; otherwise rename or drop what is named here, and try again. What is missing then is made by: \
                 freezer-manage db sync",
            ),
            Remedy::Share(sharing @ Sharing::Possible) => {
                write!(f, "{sharing}, after what is named here was renamed or dropped")
            }
            Remedy::Share(sharing @ Sharing::Impossible) => write!(f, "{sharing}"),
        }
    }
}
