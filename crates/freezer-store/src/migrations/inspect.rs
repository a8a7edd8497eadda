//! Reads the [`Layout`] of a database from its catalogue. The version of the layout is never consulted, because
//! stamps in existing databases can be wrong. Each revision checks the tables and columns that it changes
//! (`revisions/`).
//!
//! Names of columns are in lower case, because no engine distinguishes the case of a column name.

use super::head::TABLES;
use super::layout::{ColumnInfo, ForeignKey, IndexInfo, Layout, Table, normalized};
use crate::dialect::Dialect;
use crate::error::StoreError;
use crate::exec::Db;
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
    db.raw_read(&format!("SELECT CAST({column} AS CHAR) FROM {table} ORDER BY 1")).await
}

async fn mysql(db: &mut Db) -> Result<Layout, StoreError> {
    let mut layout = Layout::default();
    // CAST, because the catalogue of MySQL 8 and later returns binary types, and unsigned numbers of several widths.
    let tables = db
        .raw_read::<[String; 7]>(
            "SELECT CAST(table_name AS CHAR), CAST(table_collation AS CHAR), \
             CAST(COALESCE(table_rows, 0) AS CHAR), CAST(COALESCE(row_format, '') AS CHAR), \
             CAST(COALESCE(engine, '') AS CHAR), CAST(table_type AS CHAR), \
             CASE WHEN COALESCE(create_options, '') NOT LIKE '%row_format=%' \
             AND @@innodb_default_row_format IN ('compact', 'redundant') THEN 'loses' END \
             FROM information_schema.tables WHERE table_schema = DATABASE()",
        )
        .await?;
    for [name, collation, rows, row_format, engine, table_type, loses] in tables {
        match table_type.as_str() {
            // With and without system versioning.
            "BASE TABLE" | "SYSTEM VERSIONED" => {}
            // This is a view or a sequence. CREATE TABLE cannot use its name.
            _ => {
                layout.views.insert(name);
                continue;
            }
        }
        let rows = rows.parse().unwrap_or(0);
        let loses_row_format = loses == "loses";
        let table = Table { collation, rows, row_format, engine, loses_row_format, ..Table::default() };
        layout.tables.insert(name, table);
    }
    let columns = db
        .raw_read::<[String; 9]>(
            "SELECT CAST(table_name AS CHAR), LOWER(CAST(column_name AS CHAR)), LOWER(CAST(data_type AS CHAR)), \
             CAST(character_maximum_length AS CHAR), CAST(is_nullable AS CHAR), \
             CAST(collation_name AS CHAR), CAST(generation_expression AS CHAR), \
             CAST(column_default AS CHAR), CAST(extra AS CHAR) FROM information_schema.columns \
             WHERE table_schema = DATABASE() ORDER BY table_name, ordinal_position",
        )
        .await?;
    for [table, name, data_type, width, nullable, collation, generated, default, extra] in columns {
        let Some(table) = layout.tables.get_mut(&table) else { continue };
        table.columns.push(ColumnInfo {
            name,
            width: if matches!(&*data_type, "varchar" | "varbinary") { width.parse().ok() } else { None },
            data_type,
            nullable: nullable == "YES",
            collation,
            generated,
            // MariaDB returns the word NULL.
            has_default: !matches!(default.as_str(), "" | "NULL"),
            auto_increment: extra.to_lowercase().contains("auto_increment"),
            declared: String::new(),
        });
    }
    let indexes = db
        .raw_read::<[String; 5]>(
            "SELECT CAST(table_name AS CHAR), CAST(index_name AS CHAR), LOWER(CAST(column_name AS CHAR)), \
             CAST(sub_part AS CHAR), CAST(non_unique AS CHAR) FROM information_schema.statistics WHERE table_schema = DATABASE() \
             ORDER BY table_name, index_name, seq_in_index",
        )
        .await?;
    for [table, name, column, prefix, non_unique] in indexes {
        let Some(table) = layout.tables.get_mut(&table) else { continue };
        // The server would do this differently in some modes (`sql_mode`).
        let column = if prefix.is_empty() { column } else { format!("{column}({prefix})") };
        let unique = non_unique == "0";
        if name == "PRIMARY" {
            table.primary_key.push(column);
            continue;
        }
        match table.indexes.last_mut().filter(|index| index.name == name) {
            Some(index) => index.columns.push(column),
            None => {
                let columns = vec![column];
                table.indexes.push(IndexInfo { name, columns, unique, condition: String::new() });
            }
        }
    }
    mysql_constraints(db, &mut layout).await?;
    mysql_references(db, &mut layout).await?;
    Ok(layout)
}

/// Reads the foreign keys of other programs' tables that refer to tables of this database.
async fn mysql_references(db: &mut Db, layout: &mut Layout) -> Result<(), StoreError> {
    let keys = db
        .raw_read::<[String; 5]>(
            "SELECT CAST(referenced_table_name AS CHAR), CAST(table_name AS CHAR), CAST(constraint_name AS CHAR), \
             CASE WHEN table_schema = DATABASE() THEN '' ELSE CONCAT(CAST(table_schema AS CHAR), '.') END, \
             CAST(column_name AS CHAR) FROM information_schema.key_column_usage \
             WHERE referenced_table_schema = DATABASE() ORDER BY table_schema, table_name, constraint_name",
        )
        .await?;
    for [refers, table, name, schema, column] in keys {
        let is_ours = schema.is_empty() && TABLES.iter().any(|ours| ours.name == table);
        if let Some(found) = layout.tables.get_mut(&refers).filter(|_| !is_ours) {
            found.referred_by.push(format!("{name} of {schema}{table}.{column}"));
        }
    }
    Ok(())
}

async fn mysql_constraints(db: &mut Db, layout: &mut Layout) -> Result<(), StoreError> {
    let keys = db
        .raw_read::<[String; 4]>(
            "SELECT CAST(table_name AS CHAR), CAST(constraint_name AS CHAR), LOWER(CAST(column_name AS CHAR)), \
             CAST(referenced_table_name AS CHAR) FROM information_schema.key_column_usage \
             WHERE table_schema = DATABASE() AND referenced_table_name IS NOT NULL",
        )
        .await?;
    for [table, name, column, refers] in keys {
        if let Some(table) = layout.tables.get_mut(&table) {
            table.foreign_keys.push(ForeignKey { name, column, refers });
        }
    }
    // Only MariaDB has checks of columns, which have the name of their column. They cannot be dropped by it. Its names
    // are unique for each table, those of MySQL for each database.
    let are_there = "SELECT CAST(COUNT(*) AS CHAR) FROM information_schema.table_constraints \
                     WHERE table_schema = DATABASE() AND constraint_type = 'CHECK'";
    if db.raw_read::<String>(are_there).await?.first().is_none_or(|count| count == "0") {
        // Old servers have no table of checks.
        return Ok(());
    }
    let checks = db
        .raw_read::<[String; 3]>(
            "SELECT CAST(listed.table_name AS CHAR), CAST(listed.constraint_name AS CHAR), CAST(checks.check_clause AS CHAR) \
             FROM information_schema.table_constraints AS listed JOIN information_schema.check_constraints AS checks \
             ON checks.constraint_schema = listed.constraint_schema AND checks.constraint_name = listed.constraint_name \
             /*M!100000 AND checks.table_name = listed.table_name */ \
             WHERE listed.table_schema = DATABASE() AND listed.constraint_type = 'CHECK'",
        )
        .await?;
    for [table, name, condition] in checks {
        if let Some(table) = layout.tables.get_mut(&table).filter(|table| table.column(&name).is_none()) {
            table.checks.push((name, normalized(&condition)));
        }
    }
    Ok(())
}

async fn sqlite(db: &mut Db) -> Result<Layout, StoreError> {
    let mut layout = Layout::default();
    // The tables with names that begin with sqlite_ belong to the engine.
    let names = "SELECT name, type FROM sqlite_master WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite\\_%' \
                 ESCAPE '\\'";
    for [name, kind] in db.raw_read::<[String; 2]>(names).await? {
        if kind == "view" {
            layout.views.insert(name.to_lowercase());
            continue;
        }
        let quoted = Dialect::Sqlite.quote(&name);
        let mut table = Table::default();
        let columns = db
            .raw_read::<(String, String, bool, Option<i64>, bool, String)>(&format!(
                "SELECT lower(name), lower(type), \"notnull\", pk, dflt_value IS NOT NULL, \
                 type || iif(\"notnull\", ' NOT NULL', '') || coalesce(' DEFAULT (' || dflt_value || ')', '') \
                 FROM pragma_table_info({quoted}) ORDER BY cid"
            ))
            .await?;
        let mut key = Vec::new();
        for (name, data_type, is_required, place, has_default, declared) in columns {
            let place = place.unwrap_or(0);
            let (data_type, width) = split_type(&data_type);
            let nullable = !is_required && place == 0;
            if place > 0 {
                key.push((place, name.clone()));
            }
            table.columns.push(ColumnInfo {
                name,
                auto_increment: place > 0 && data_type == "integer",
                data_type,
                width,
                nullable,
                has_default,
                declared,
                ..ColumnInfo::default()
            });
        }
        key.sort();
        table.primary_key = key.into_iter().map(|(_, name)| name).collect();
        table.indexes = sqlite_indexes(db, &quoted).await?;
        let made = format!(
            "SELECT name, sql, type FROM sqlite_master WHERE type IN ('index', 'trigger') AND sql IS NOT NULL \
             AND tbl_name = '{}' ORDER BY type, name",
            name.replace('\'', "''")
        );
        for [name, sql, kind] in db.raw_read::<[String; 3]>(&made).await? {
            table.statements.push(sql.clone());
            if kind == "trigger" {
                table.triggers.push((name, sql));
            }
        }
        let count = db.raw_read::<String>(&format!("SELECT CAST(COUNT(*) AS TEXT) FROM {quoted}")).await?;
        table.rows = count.first().and_then(|count| count.parse().ok()).unwrap_or(0);
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
    for (name, unique, sql) in db.raw_read::<(String, bool, String)>(&list).await? {
        let condition = sql.split_once(" WHERE ").map_or("", |(_, condition)| condition).to_owned();
        let columns = format!(
            "SELECT lower(name) FROM pragma_index_info({}) ORDER BY seqno",
            Dialect::Sqlite.quote(&name)
        );
        let columns = db.raw_read(&columns).await?;
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
