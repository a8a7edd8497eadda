//! Reads the [`Layout`] of a database from its catalogue. Which layout that *is* nobody asks: each revision looks
//! for what it is about (`revisions/`), because version stamps in the field do not tell the truth.

use sea_query::Iden;

use super::chain::REVISIONS;
use super::layout::{ColumnInfo, ForeignKey, IndexInfo, Layout, Table};
use super::moves::paths;
use crate::dialect::Dialect;
use crate::error::StoreError;
use crate::exec::Db;
use crate::row::Row;

/// Reads what tables there are.
pub(super) async fn layout(db: &mut Db) -> Result<Layout, StoreError> {
    match db.dialect() {
        Dialect::MySql => mysql(db).await,
        Dialect::Sqlite => sqlite(db).await,
    }
}

/// The revision of `alembic_version` (none if the table is missing or empty). Of several rows, the first unknown one counts,
/// else the oldest.
pub(super) async fn revision(db: &mut Db, layout: &Layout) -> Result<Option<String>, StoreError> {
    let rows = revisions(db, layout).await?;
    let age = |found: &String| REVISIONS.iter().position(|known| known.id == found);
    // an unknown revision has no position, and None comes first
    Ok(rows.into_iter().min_by_key(age))
}

/// The rows of `alembic_version`.
pub(super) async fn revisions(db: &mut Db, layout: &Layout) -> Result<Vec<String>, StoreError> {
    texts(db, layout, "alembic_version", "version_num").await
}

/// The programs whose revisions `migrate_version` holds.
pub(super) async fn repositories(db: &mut Db, layout: &Layout) -> Result<Vec<String>, StoreError> {
    texts(db, layout, "migrate_version", "repository_id").await
}

/// The values of a column; none if there is no such column.
async fn texts(db: &mut Db, layout: &Layout, table: &str, column: &str) -> Result<Vec<String>, StoreError> {
    if !layout.has_column(table, column) {
        return Ok(Vec::new());
    }
    // another program's column may have any type
    let rows = db.raw_select(&format!("SELECT CAST({column} AS CHAR) FROM {table} ORDER BY 1")).await?;
    rows.iter().map(|row| text(row, 0)).collect()
}

fn text(row: &Row, at: usize) -> Result<String, StoreError> {
    row.string(at).map_err(|error| StoreError::from_driver("schema.inspect", error))
}

fn number(row: &Row, at: usize) -> Result<Option<u32>, StoreError> {
    // as text: the catalogue's numbers are unsigned, of several widths
    Ok(text(row, at)?.parse().ok())
}

async fn mysql(db: &mut Db) -> Result<Layout, StoreError> {
    let mut layout = Layout::default();
    // CAST: the catalogue answers in binary types on MySQL 8 and later
    let tables = db
        .raw_select(
            "SELECT CAST(table_name AS CHAR), CAST(table_collation AS CHAR), \
             CAST(COALESCE(table_rows, 0) AS CHAR), CAST(COALESCE(row_format, '') AS CHAR), \
             CAST(COALESCE(engine, '') AS CHAR), CAST(table_type AS CHAR) \
             FROM information_schema.tables WHERE table_schema = DATABASE()",
        )
        .await?;
    for row in &tables {
        match text(row, 5)?.as_str() {
            // with and without system versioning
            "BASE TABLE" | "SYSTEM VERSIONED" => {}
            // a view or a sequence: no CREATE TABLE can use its name
            _ => {
                layout.views.insert(text(row, 0)?);
                continue;
            }
        }
        let table = Table {
            collation: text(row, 1)?,
            rows: text(row, 2)?.parse().unwrap_or(0),
            row_format: text(row, 3)?,
            engine: text(row, 4)?,
            ..Table::default()
        };
        layout.tables.insert(text(row, 0)?, table);
    }
    let columns = db
        .raw_select(
            "SELECT CAST(table_name AS CHAR), CAST(column_name AS CHAR), LOWER(CAST(data_type AS CHAR)), \
             CAST(character_maximum_length AS CHAR), CAST(is_nullable AS CHAR), \
             CAST(collation_name AS CHAR), CAST(generation_expression AS CHAR), \
             CAST(column_default AS CHAR) FROM information_schema.columns \
             WHERE table_schema = DATABASE() ORDER BY table_name, ordinal_position",
        )
        .await?;
    for row in &columns {
        let Some(table) = layout.tables.get_mut(&text(row, 0)?) else { continue };
        let data_type = text(row, 2)?;
        table.columns.push(ColumnInfo {
            name: text(row, 1)?,
            width: if data_type == "varchar" { number(row, 3)? } else { None },
            data_type,
            nullable: text(row, 4)? == "YES",
            collation: text(row, 5)?,
            generated: text(row, 6)?,
            // MariaDB says NULL in a word
            has_default: !matches!(text(row, 7)?.as_str(), "" | "NULL"),
        });
    }
    let indexes = db
        .raw_select(
            "SELECT CAST(table_name AS CHAR), CAST(index_name AS CHAR), CAST(column_name AS CHAR), \
             CAST(non_unique AS CHAR) FROM information_schema.statistics \
             WHERE table_schema = DATABASE() AND index_name <> 'PRIMARY' \
             ORDER BY table_name, index_name, seq_in_index",
        )
        .await?;
    for row in &indexes {
        let Some(table) = layout.tables.get_mut(&text(row, 0)?) else { continue };
        let (name, column, unique) = (text(row, 1)?, text(row, 2)?, text(row, 3)? == "0");
        match table.indexes.last_mut().filter(|index| index.name == name) {
            Some(index) => index.columns.push(column),
            None => {
                let columns = vec![column];
                table.indexes.push(IndexInfo { name, columns, unique, condition: String::new() });
            }
        }
    }
    mysql_constraints(db, &mut layout).await?;
    Ok(layout)
}

async fn mysql_constraints(db: &mut Db, layout: &mut Layout) -> Result<(), StoreError> {
    let keys = db
        .raw_select(
            "SELECT CAST(table_name AS CHAR), CAST(constraint_name AS CHAR), CAST(column_name AS CHAR), \
             CAST(referenced_table_name AS CHAR) FROM information_schema.key_column_usage \
             WHERE table_schema = DATABASE() AND referenced_table_name IS NOT NULL",
        )
        .await?;
    for row in &keys {
        if let Some(table) = layout.tables.get_mut(&text(row, 0)?) {
            let (name, column, refers) = (text(row, 1)?, text(row, 2)?, text(row, 3)?);
            table.foreign_keys.push(ForeignKey { name, column, refers });
        }
    }
    let checks = db
        .raw_select(
            "SELECT CAST(table_name AS CHAR), CAST(constraint_name AS CHAR) \
             FROM information_schema.table_constraints \
             WHERE table_schema = DATABASE() AND constraint_type = 'CHECK'",
        )
        .await?;
    for row in &checks {
        if let Some(table) = layout.tables.get_mut(&text(row, 0)?) {
            table.checks.push(text(row, 1)?);
        }
    }
    Ok(())
}

async fn sqlite(db: &mut Db) -> Result<Layout, StoreError> {
    let mut layout = Layout::default();
    // tables whose names begin with sqlite_ are the engine's own
    let names = "SELECT name, type FROM sqlite_master WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite\\_%' \
                 ESCAPE '\\'";
    for row in &db.raw_select(names).await? {
        let name = text(row, 0)?;
        if text(row, 1)? == "view" {
            layout.views.insert(name.to_lowercase());
            continue;
        }
        let quoted = Dialect::Sqlite.quote(&name);
        let mut table = Table::default();
        let columns = db
            .raw_select(&format!(
                "SELECT name, lower(type), \"notnull\", pk, dflt_value IS NOT NULL FROM pragma_table_info({quoted})"
            ))
            .await?;
        for column in &columns {
            let (data_type, width) = split_type(&text(column, 1)?);
            let flag = |at| column.flag(at).map_err(|error| StoreError::from_driver("schema.inspect", error));
            let nullable = !flag(2)? && !flag(3)?;
            let name = text(column, 0)?;
            let (collation, generated) = (String::new(), String::new());
            table.columns.push(ColumnInfo {
                name,
                data_type,
                width,
                nullable,
                has_default: flag(4)?,
                collation,
                generated,
            });
        }
        table.indexes = sqlite_indexes(db, &quoted).await?;
        let triggers = format!(
            "SELECT name, sql FROM sqlite_master WHERE type = 'trigger' AND tbl_name = '{}'",
            name.replace('\'', "''")
        );
        for row in &db.raw_select(&triggers).await? {
            table.triggers.push((text(row, 0)?, text(row, 1)?));
        }
        let count = db.raw_select(&format!("SELECT CAST(COUNT(*) AS TEXT) FROM {quoted}")).await?;
        table.rows =
            count.first().map(|row| text(row, 0)).transpose()?.unwrap_or_default().parse().unwrap_or(0);
        // SQLite finds a table by its name in any case
        layout.tables.insert(name.to_lowercase(), table);
    }
    Ok(layout)
}

async fn sqlite_indexes(db: &mut Db, table: &str) -> Result<Vec<IndexInfo>, StoreError> {
    let list = format!(
        "SELECT list.name, list.\"unique\", made.sql FROM pragma_index_list({table}) AS list \
         JOIN sqlite_master AS made ON made.type = 'index' AND made.name = list.name WHERE list.origin = 'c' ORDER BY list.name"
    );
    let mut indexes = Vec::new();
    for row in &db.raw_select(&list).await? {
        let name = text(row, 0)?;
        let unique = row.flag(1).map_err(|error| StoreError::from_driver("schema.inspect", error))?;
        let sql = text(row, 2)?;
        let condition = sql.split_once(" WHERE ").map_or("", |(_, condition)| condition).to_owned();
        let columns =
            format!("SELECT name FROM pragma_index_info({}) ORDER BY seqno", Dialect::Sqlite.quote(&name));
        let columns = db.raw_select(&columns).await?;
        let columns = columns.iter().map(|row| text(row, 0)).collect::<Result<_, _>>()?;
        indexes.push(IndexInfo { name, columns, unique, condition });
    }
    Ok(indexes)
}

/// `varchar(36)` is a `varchar` of 36.
fn split_type(declared: &str) -> (String, Option<u32>) {
    match declared.split_once('(') {
        Some((name, rest)) => (name.trim().to_owned(), rest.trim_end_matches(')').parse().ok()),
        None => (declared.trim().to_owned(), None),
    }
}

/// Whether actions of a database that came from 7.x still have paths in their documents alone; `is_utf8mb4` as of
/// [`paths::are_missing`].
pub(super) async fn paths_are_missing(
    db: &mut Db,
    layout: &Layout,
    is_utf8mb4: bool,
) -> Result<bool, StoreError> {
    let [old, new] = paths::COLUMNS.map(|column| layout.has_column("actions", column));
    // the table of the releases before 16.0.0; no other database has such rows, and need be looked through
    if old || !new || layout.table("migrate_version").is_none() {
        return Ok(false);
    }
    paths::are_missing(db, "path_to_backup", is_utf8mb4).await
}

/// Whether any live backup lacks its search terms or its time. Where they have no columns yet, every one does.
pub(super) async fn terms_are_missing(db: &mut Db, layout: &Layout) -> Result<bool, StoreError> {
    let has = |columns: &[&str]| columns.iter().all(|column| layout.has_column("backups", column));
    if !has(&["id", "deleted", "backup_metadata"]) {
        return Ok(false);
    }
    let (searched, time) =
        (db.dialect().searched_terms().to_string(), db.dialect().searched_time().to_string());
    let sql = match has(&["fz_search_terms", "fz_search_crc", &searched, "fz_time", "fz_time_crc", &time]) {
        // the index is read, and metadata only of rows that have no terms there
        true => format!(
            "SELECT 1 FROM (SELECT id FROM backups WHERE deleted = 0 AND ({searched} IS NULL OR {time} IS NULL)) AS bare \
             JOIN backups ON backups.id = bare.id WHERE {} LIMIT 1",
            db.dialect().lacks_terms()
        ),
        false => "SELECT 1 FROM backups WHERE deleted = 0 AND backup_metadata IS NOT NULL LIMIT 1".to_owned(),
    };
    Ok(!db.raw_select(&sql).await?.is_empty())
}

/// Names of live clients that occur more than once in a project; central ones may.
pub(super) async fn duplicate_clients(db: &mut Db, layout: &Layout) -> Result<Option<String>, StoreError> {
    if !layout.has_column("clients", "client_id") {
        return Ok(None);
    }
    let ordinary = if layout.has_column("clients", "is_central") { "AND is_central = 0" } else { "" };
    let rows = db
        .raw_select(&format!(
            "SELECT client_id, project_id FROM clients WHERE deleted = 0 AND project_id IS NOT NULL {ordinary} \
             GROUP BY project_id, client_id HAVING COUNT(*) > 1 ORDER BY project_id, client_id LIMIT 20"
        ))
        .await?;
    let at = |error| StoreError::from_driver("schema.plan", error);
    let names = rows
        .iter()
        .map(|row| Ok(format!("{} in project {}", row.string(0).map_err(at)?, row.string(1).map_err(at)?)))
        .collect::<Result<Vec<_>, StoreError>>()?;
    Ok(if names.is_empty() { None } else { Some(names.join(", ")) })
}
