//! Reads the [`Layout`] of a database from its catalogue. The version of the layout is never consulted, because
//! stamps in existing databases can be wrong. Each revision checks the tables and columns that it changes
//! (`revisions/`).

use super::layout::{ColumnInfo, ForeignKey, IndexInfo, Layout, Table};
use crate::dialect::Dialect;
use crate::error::StoreError;
use crate::exec::Db;
use crate::row::Row;
use crate::schema::REVISIONS;

/// Reads the existing tables.
pub(super) async fn layout(db: &mut Db) -> Result<Layout, StoreError> {
    match db.dialect() {
        Dialect::MySql => mysql(db).await,
        Dialect::Sqlite => sqlite(db).await,
    }
}

/// Returns the revision in `alembic_version`, or `None` if the table is missing or empty. If there are several
/// rows, the first unknown revision is returned, or else the oldest one.
pub(super) async fn revision(db: &mut Db, layout: &Layout) -> Result<Option<String>, StoreError> {
    let rows = revisions(db, layout).await?;
    let age = |found: &String| REVISIONS.iter().position(|known| known.id == found);
    // An unknown revision has no position, and `None` sorts first.
    Ok(rows.into_iter().min_by_key(age))
}

/// Returns the rows of `alembic_version`.
pub(super) async fn revisions(db: &mut Db, layout: &Layout) -> Result<Vec<String>, StoreError> {
    texts(db, layout, "alembic_version", "version_num").await
}

/// Returns the programs whose revisions are in `migrate_version`.
pub(super) async fn repositories(db: &mut Db, layout: &Layout) -> Result<Vec<String>, StoreError> {
    texts(db, layout, "migrate_version", "repository_id").await
}

/// Returns the values of a column. Empty if this column does not exist.
async fn texts(db: &mut Db, layout: &Layout, table: &str, column: &str) -> Result<Vec<String>, StoreError> {
    if !layout.has_column(table, column) {
        return Ok(Vec::new());
    }
    // A column of another program may have any type.
    let rows = db.raw_select(&format!("SELECT CAST({column} AS CHAR) FROM {table} ORDER BY 1")).await?;
    rows.iter().map(|row| text(row, 0)).collect()
}

fn text(row: &Row, at: usize) -> Result<String, StoreError> {
    row.string(at).map_err(|error| StoreError::from_driver("schema.inspect", error))
}

fn number(row: &Row, at: usize) -> Result<Option<u32>, StoreError> {
    // Read as text, because the catalogue has unsigned numbers of several widths.
    Ok(text(row, at)?.parse().ok())
}

async fn mysql(db: &mut Db) -> Result<Layout, StoreError> {
    let mut layout = Layout::default();
    // CAST, because the catalogue of MySQL 8 and later returns binary types.
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
            // With and without system versioning.
            "BASE TABLE" | "SYSTEM VERSIONED" => {}
            // This is a view or a sequence. CREATE TABLE cannot use its name.
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
            // MariaDB returns the word NULL.
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
    // The tables with names that begin with sqlite_ belong to the engine.
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
        // SQLite matches table names case-insensitively.
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

/// Splits a type: `varchar(36)` is a `varchar` with the width 36.
fn split_type(declared: &str) -> (String, Option<u32>) {
    match declared.split_once('(') {
        Some((name, rest)) => (name.trim().to_owned(), rest.trim_end_matches(')').parse().ok()),
        None => (declared.trim().to_owned(), None),
    }
}

impl Db {
    /// Returns the existing tables, for [`maintenance`](crate::maintenance).
    pub(crate) async fn tables(&mut self) -> Result<Layout, StoreError> {
        layout(self).await
    }
}
