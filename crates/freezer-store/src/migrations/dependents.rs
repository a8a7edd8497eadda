//! Finds triggers, generated columns, checks, unique indexes and views of the operator that use a column which an upgrade
//! drops or renames. A server drops such a column in spite of a trigger, and then rejects every new row of the table. The
//! others stop the upgrade halfway, except for views, which only fail when they are read.

use super::foreign::FORMER;
use super::inspect;
use super::layout::{Layout, Table};
use crate::Store;
use crate::dialect::Dialect;
use crate::error::StoreError;
use crate::exec::Db;
use crate::schema::{Obstacle, SchemaError};

/// Columns of [`FORMER`] that get another name. Indexes follow them.
const RENAMED: [&str; 2] = ["mode", "src_file"];

/// Descriptions of what uses the columns.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Dependents {
    /// These prevent the upgrade.
    pub blocking: Vec<String>,
    /// Views that cannot be read after the upgrade.
    pub views: Vec<String>,
    /// Triggers that use a column which does not exist any more, so that the server rejects new rows.
    pub broken: Vec<String>,
}

impl Store {
    /// Finds what uses columns that an upgrade drops, or has dropped.
    ///
    /// # Errors
    /// As every query: [`StoreError`].
    pub async fn dependents(&self) -> Result<Dependents, StoreError> {
        crate::read!(self, "schema.dependents", |db| {
            let layout = inspect::layout(db).await?;
            find(db, &layout).await
        })
    }
}

/// Refuses a database in which something prevents the upgrade.
///
/// # Errors
/// [`Obstacle::Dependents`].
pub(super) fn refuse(found: &Dependents, database: &str) -> Result<(), StoreError> {
    if found.blocking.is_empty() {
        return Ok(());
    }
    let (database, found) = (database.to_owned(), found.blocking.join("; "));
    Err(SchemaError::Obstacle(Obstacle::Dependents { database, found }).into())
}

/// Finds what uses columns that an upgrade drops, or has dropped.
pub(super) async fn find(db: &mut Db, layout: &Layout) -> Result<Dependents, StoreError> {
    let mut found = Dependents::default();
    let dialect = db.dialect();
    let (triggers, views) = (triggers(db, layout).await?, views(db, layout).await?);
    for (table, column) in
        FORMER.iter().flat_map(|(table, columns)| columns.iter().map(move |column| (*table, *column)))
    {
        let Some(of) = layout.table(table) else { continue };
        let exists = of.column(column).is_some();
        for [event_table, trigger, statement] in &triggers {
            let uses = match event_table == table {
                true => ["new", "old", table].iter().any(|row| names(statement, row, column)),
                false => names(statement, table, column),
            };
            let text = format!("the trigger {trigger} of {event_table} uses {table}.{column}");
            match (uses, exists) {
                (true, true) => found.blocking.push(text),
                (true, false) => found.broken.push(text),
                _ => {}
            }
        }
        if !exists {
            continue;
        }
        found.blocking.extend(in_table(table, of, column));
        for [database, view, definition] in &views {
            let reads = has_word(definition, table)
                && match dialect {
                    Dialect::MySql => is_qualified_by_other(definition, database, column),
                    Dialect::Sqlite => has_word(definition, column),
                };
            let text = format!("the view {view} uses {table}.{column}");
            match (reads, dialect) {
                (true, Dialect::MySql) => found.views.push(text),
                // SQLite does not drop such a column.
                (true, Dialect::Sqlite) => found.blocking.push(text),
                _ => {}
            }
        }
    }
    Ok(found)
}

/// Describes generated columns, checks and unique indexes of the table that use the column.
fn in_table(table: &str, of: &Table, column: &str) -> Vec<String> {
    let mut found = Vec::new();
    for generated in of.columns.iter().filter(|other| has_word(&other.generated, column)) {
        found.push(format!("the generated column {table}.{} uses {column}", generated.name));
    }
    for (check, condition) in &of.checks {
        if has_word(condition, column) {
            found.push(format!("the check {check} of {table} uses {column}"));
        }
    }
    let has_column = |part: &String| part.split('(').next() == Some(column);
    let unique = of.indexes.iter().filter(|index| index.unique && index.columns.iter().any(has_column));
    for index in unique.filter(|_| !RENAMED.contains(&column)) {
        found.push(format!("the unique index {} of {table} uses {column}", index.name));
    }
    found
}

/// Returns the triggers: table, name and statement.
async fn triggers(db: &mut Db, layout: &Layout) -> Result<Vec<[String; 3]>, StoreError> {
    if db.dialect() == Dialect::MySql {
        return db
            .raw_read(
                "SELECT CAST(event_object_table AS CHAR), CAST(trigger_name AS CHAR), CAST(action_statement AS CHAR) \
                 FROM information_schema.triggers WHERE event_object_schema = DATABASE() ORDER BY 1, 2",
            )
            .await;
    }
    let of_table = |(table, of): (&String, &Table)| {
        let trigger = |(name, sql): &(String, String)| [table.clone(), name.clone(), sql.clone()];
        of.triggers.iter().map(trigger).collect::<Vec<_>>()
    };
    Ok(layout.tables.iter().flat_map(of_table).collect())
}

/// Returns the views: the name of this database, that of the view, and its definition.
async fn views(db: &mut Db, layout: &Layout) -> Result<Vec<[String; 3]>, StoreError> {
    if layout.views.is_empty() {
        return Ok(Vec::new());
    }
    let sql = match db.dialect() {
        Dialect::MySql => {
            "SELECT CAST(DATABASE() AS CHAR), CAST(table_name AS CHAR), CAST(view_definition AS CHAR) \
             FROM information_schema.views WHERE table_schema = DATABASE() ORDER BY 2"
        }
        Dialect::Sqlite => "SELECT '', name, sql FROM sqlite_master WHERE type = 'view' ORDER BY name",
    };
    db.raw_read(sql).await
}

/// Splits a statement into names, and dots between names.
fn words(sql: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let mut is_open = false;
    for c in sql.chars() {
        let is_part = c.is_alphanumeric() || matches!(c, '_' | '$');
        match words.last_mut().filter(|_| is_open && is_part) {
            Some(word) => word.extend(c.to_lowercase()),
            None if is_part => words.push(c.to_lowercase().collect()),
            None if c == '.' => words.push(".".to_owned()),
            None => {}
        }
        is_open = is_part;
    }
    words
}

fn has_word(sql: &str, name: &str) -> bool {
    words(sql).iter().any(|word| word == name)
}

/// Returns whether a statement contains `qualifier.name`.
fn names(sql: &str, qualifier: &str, name: &str) -> bool {
    words(sql).windows(3).any(|three| three[0] == qualifier && three[1] == "." && three[2] == name)
}

/// Returns whether a statement contains the name after a table or an alias, and not after the database. Servers
/// qualify all columns in the definitions of views.
fn is_qualified_by_other(sql: &str, database: &str, name: &str) -> bool {
    let database = database.to_lowercase();
    words(sql).windows(3).any(|three| three[0] != database && three[1] == "." && three[2] == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_in_statements_are_recognized() {
        for (statement, expected) in [
            ("SET NEW.user_name = 'x'", true),
            ("set new . `user_name` = 1", true),
            ("BEGIN IF NEW.`User_Name`-1 THEN END IF; END", true),
            ("SET NEW.user_names = 1", false),
            ("SET NEW.x = user_name", false),
            ("SET @renew.user_name = 1", false),
        ] {
            assert_eq!(names(statement, "new", "user_name"), expected, "{statement}");
        }
        for (view, expected) in [
            ("select `db`.`jobs`.`job_actions` AS `x` from `db`.`jobs`", true),
            ("select `j`.`job_actions` AS `x` from `db`.`jobs` `j`", true),
            ("select `db`.`jobs`.`id` AS `job_actions` from `db`.`jobs` join `db`.`job_actions`", false),
        ] {
            assert_eq!(is_qualified_by_other(view, "DB", "job_actions"), expected, "{view}");
        }
    }
}
