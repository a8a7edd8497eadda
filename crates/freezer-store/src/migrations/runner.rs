//! Looks at a database, says what state its tables are in, and creates them.

use super::SchemaError;
use super::chain::{self, HEAD, REVISIONS};
use super::head::TABLES;
use crate::Store;
use crate::dialect::Dialect;
use crate::error::StoreError;
use crate::exec::Db;

/// What a database holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// No table of ours.
    Empty,
    /// `alembic_version` is there without a row: a first `db sync` was cut short.
    Begun,
    /// At a revision.
    At(String),
    /// Tables of ours without a revision.
    Unversioned(Vec<String>),
}

/// What `db sync` did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Synced {
    /// It made all tables.
    Created,
    /// Nothing was to do.
    AlreadyCurrent,
}

impl Store {
    /// What state the tables are in.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] where the database cannot be asked: that is not the same as empty.
    pub async fn schema_state(&self) -> Result<State, StoreError> {
        crate::read!(self, "schema.state", |db| state(db).await)
    }

    /// Refuses a database whose tables this release cannot serve.
    ///
    /// # Errors
    /// [`StoreError::Schema`]; the text names the command to run.
    pub async fn check_schema(&self) -> Result<(), StoreError> {
        let database = self.database.to_string();
        Err(StoreError::Schema(match self.schema_state().await? {
            State::At(revision) if chain::serves(&revision) => return Ok(()),
            State::At(found) if REVISIONS.iter().any(|known| known.id == found) => {
                SchemaError::Old { database, found }
            }
            State::At(found) => SchemaError::Unknown { database, found },
            State::Empty | State::Begun => SchemaError::Empty { database },
            State::Unversioned(tables) => SchemaError::Unversioned { database, tables: tables.join(", ") },
        }))
    }

    /// Brings the tables to head. Safe to run again, also after a crash at any statement.
    ///
    /// # Errors
    /// [`StoreError::Schema`] where the layout is one that this release cannot upgrade.
    pub async fn sync(&self) -> Result<Synced, StoreError> {
        let database = self.database.to_string();
        match self.schema_state().await? {
            State::At(revision) if revision == HEAD => Ok(Synced::AlreadyCurrent),
            State::Empty | State::Begun => {
                // Not a transaction: DDL commits by itself on MySQL. The stamp comes last, so
                // whatever is cut short is found as `Begun` and done again.
                crate::read!(self, "schema.create", |db| create(db).await)?;
                Ok(Synced::Created)
            }
            State::At(found) if REVISIONS.iter().any(|known| known.id == found) => {
                Err(SchemaError::CannotUpgrade { database, found: format!("revision {found}") }.into())
            }
            State::At(found) => Err(SchemaError::Unknown { database, found }.into()),
            State::Unversioned(tables) => {
                let found = format!("no revision, with the tables {}", tables.join(", "));
                Err(SchemaError::CannotUpgrade { database, found }.into())
            }
        }
    }
}

async fn state(db: &mut Db) -> Result<State, StoreError> {
    let names = table_names(db).await?;
    if names.iter().any(|name| name == "alembic_version") {
        let rows = db.raw_select("SELECT version_num FROM alembic_version").await?;
        let at = |error| StoreError::from_driver("schema.state", error);
        return Ok(match rows.first() {
            Some(row) => State::At(row.string(0).map_err(at)?),
            None => State::Begun,
        });
    }
    let ours: Vec<String> =
        names.into_iter().filter(|name| TABLES.iter().any(|table| table.name == name)).collect();
    Ok(if ours.is_empty() { State::Empty } else { State::Unversioned(ours) })
}

async fn table_names(db: &mut Db) -> Result<Vec<String>, StoreError> {
    let sql = match db.dialect() {
        // CAST: information_schema answers in a binary type on MySQL 8 and later
        Dialect::MySql => {
            "SELECT CAST(table_name AS CHAR) FROM information_schema.tables \
             WHERE table_schema = DATABASE() ORDER BY 1"
        }
        Dialect::Sqlite => "SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name",
    };
    let rows = db.raw_select(sql).await?;
    let at = |error| StoreError::from_driver("schema.state", error);
    rows.iter().map(|row| row.string(0).map_err(at)).collect()
}

async fn create(db: &mut Db) -> Result<(), StoreError> {
    let dialect = db.dialect();
    db.raw(&format!(
        "CREATE TABLE IF NOT EXISTS alembic_version (version_num {} NOT NULL, PRIMARY KEY (version_num)){}",
        dialect.column_type(super::Kind::Text(32)),
        dialect.table_options()
    ))
    .await?;
    for table in TABLES {
        for statement in table.create(dialect) {
            db.raw(&statement).await?;
        }
    }
    db.raw("DELETE FROM alembic_version").await?;
    db.raw(&format!("INSERT INTO alembic_version (version_num) VALUES ('{HEAD}')")).await?;
    Ok(())
}

/// How many rows a table has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableCount {
    /// Name of the table.
    pub name: &'static str,
    /// Rows that are shown to clients.
    pub live: i64,
    /// Rows that are marked as deleted.
    pub deleted: i64,
}

impl Store {
    /// Rows of each table that is there.
    ///
    /// # Errors
    /// As every query: [`StoreError`].
    pub async fn table_counts(&self) -> Result<Vec<TableCount>, StoreError> {
        crate::read!(self, "schema.counts", |db| {
            let names = table_names(db).await?;
            let mut counts = Vec::new();
            for table in TABLES.iter().filter(|table| names.iter().any(|name| name == table.name)) {
                let sql = format!(
                    "SELECT COUNT(*), COALESCE(SUM(CASE WHEN deleted THEN 1 ELSE 0 END), 0) FROM {}",
                    db.dialect().quote(table.name)
                );
                let rows = db.raw_select(&sql).await?;
                let number = |at| -> Result<i64, StoreError> {
                    let row = rows.first().map(|row| row.text(at)).transpose();
                    let text =
                        row.map_err(|error| StoreError::from_driver("schema.counts", error))?.flatten();
                    Ok(text.and_then(|text| text.parse().ok()).unwrap_or(0))
                };
                let (all, deleted) = (number(0)?, number(1)?);
                counts.push(TableCount { name: table.name, live: all - deleted, deleted });
            }
            Ok(counts)
        })
    }
}
