//! The sizes of the tables, and the server: `db show`.

use std::path::Path;

use serde::Serialize;

use crate::dialect::Dialect;
use crate::error::StoreError;
use crate::exec::Db;
use crate::migrations::{HEAD, State};
use crate::url::DatabaseUrl;
use crate::{Store, read};

/// An overview of a database. The names of the fields are the keys of `db show --json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Overview {
    /// Address, without the password.
    pub database: String,
    /// `mysql`, `mariadb` or `sqlite`.
    pub engine: &'static str,
    /// Version according to the server.
    pub server_version: String,
    /// Upstream's revision in `alembic_version`. `None` if it is missing or empty.
    pub revision: Option<String>,
    /// The revision of this release.
    pub head: &'static str,
    /// Bytes on disk: of our tables with their indexes (an estimate of the server), or of the SQLite file.
    pub bytes: u64,
    /// Our existing tables.
    pub tables: Vec<TableSize>,
}

/// A table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TableSize {
    /// Name.
    pub name: &'static str,
    /// Rows that clients can see.
    pub live_rows: u64,
    /// Rows that are marked as deleted.
    pub deleted_rows: u64,
    /// Bytes on disk with indexes. `None` on SQLite.
    pub bytes: Option<u64>,
    /// Character set of new columns. `None` on SQLite.
    pub charset: Option<String>,
}

/// The server of a database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerSummary {
    /// `mysql`, `mariadb` or `sqlite`.
    pub engine: &'static str,
    /// Version according to the server.
    pub version: String,
    /// Upstream's revision in `alembic_version`. `None` if it is missing or empty.
    pub revision: Option<String>,
}

impl Store {
    /// Returns the server and the revision of the tables.
    pub async fn server(&self) -> Result<ServerSummary, StoreError> {
        let revision = match self.schema_state().await? {
            State::At(revision) => Some(revision),
            State::Empty | State::Unversioned(_) => None,
        };
        let version = read!(self, "banner.server", |db| server_version(db).await)?;
        Ok(ServerSummary { engine: engine(self.dialect(), &version), version, revision })
    }

    /// Returns an overview: the server, the revision, and the rows and sizes of our tables.
    pub async fn overview(&self) -> Result<Overview, StoreError> {
        let store = self.patient();
        let revision = match store.schema_state().await? {
            State::At(revision) => Some(revision),
            State::Empty | State::Unversioned(_) => None,
        };
        store.refuse_foreign().await?;
        let counts = store.table_counts().await?;
        let sizes: Vec<(String, u64, String)> = read!(store, "overview.sizes", |db| sizes(db).await)?;
        let server_version = read!(store, "overview.server", |db| server_version(db).await)?;
        let tables: Vec<TableSize> = counts
            .into_iter()
            .map(|count| {
                let size = sizes.iter().find(|(name, ..)| name == count.name);
                TableSize {
                    name: count.name,
                    live_rows: count.live,
                    deleted_rows: count.deleted,
                    bytes: size.map(|(_, bytes, _)| *bytes),
                    charset: size.map(|(_, _, charset)| charset.clone()),
                }
            })
            .collect();
        let bytes = match self.database() {
            DatabaseUrl::Sqlite { path } => file_bytes(path),
            DatabaseUrl::MySql(_) => tables.iter().filter_map(|table| table.bytes).sum(),
        };
        Ok(Overview {
            database: self.database().to_string(),
            engine: engine(self.dialect(), &server_version),
            server_version,
            revision,
            head: HEAD,
            bytes,
            tables,
        })
    }
}

fn engine(dialect: Dialect, version: &str) -> &'static str {
    match dialect {
        Dialect::Sqlite => "sqlite",
        Dialect::MySql if version.contains("MariaDB") => "mariadb",
        Dialect::MySql => "mysql",
    }
}

async fn server_version(db: &mut Db) -> Result<String, StoreError> {
    let sql = match db.dialect() {
        Dialect::MySql => "SELECT CAST(VERSION() AS CHAR)",
        Dialect::Sqlite => "SELECT sqlite_version()",
    };
    Ok(db.raw_read::<String>(sql).await?.into_iter().next().unwrap_or_default())
}

/// Returns (table, bytes, character set) of every table.
async fn sizes(db: &mut Db) -> Result<Vec<(String, u64, String)>, StoreError> {
    if db.dialect() == Dialect::Sqlite {
        return Ok(Vec::new());
    }
    // CAST, because the catalogue of MySQL 8 returns binary types.
    let rows = db
        .raw_read::<(String, String, String)>(
            "SELECT CAST(table_name AS CHAR), \
             CAST(COALESCE(data_length, 0) + COALESCE(index_length, 0) AS CHAR), \
             CAST(table_collation AS CHAR) FROM information_schema.tables \
             WHERE table_schema = DATABASE() AND table_type = 'BASE TABLE'",
        )
        .await?;
    let size = |(table, bytes, collation): (String, String, String)| {
        let charset = collation.split('_').next().unwrap_or_default().to_owned();
        (table, bytes.parse().unwrap_or(0), charset)
    };
    Ok(rows.into_iter().map(size).collect())
}

/// Returns the size of the file with its write-ahead log.
fn file_bytes(path: &Path) -> u64 {
    let mut ahead = path.as_os_str().to_owned();
    ahead.push("-wal");
    let length = |path: &Path| std::fs::metadata(path).map_or(0, |file| file.len());
    length(path) + length(Path::new(&ahead))
}
