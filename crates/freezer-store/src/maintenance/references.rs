//! Finds tables and views of other programs that refer to our tables: `db remove` would break them.

use super::remove::is_ours;
use crate::dialect::Dialect;
use crate::error::StoreError;
use crate::exec::Db;
use crate::{Store, read};

impl Store {
    /// Describes the foreign keys of other tables that refer to our tables, and the views that read them.
    ///
    /// # Errors
    /// As every query: [`StoreError`].
    pub async fn references(&self) -> Result<Vec<String>, StoreError> {
        let store = self.patient();
        read!(store, "remove.references", |db| {
            let mut found = foreign_keys(db).await?;
            found.extend(views(db).await?);
            Ok(found)
        })
    }
}

async fn foreign_keys(db: &mut Db) -> Result<Vec<String>, StoreError> {
    let sql = match db.dialect() {
        // The first column is empty for tables of the same database.
        Dialect::MySql => {
            "SELECT DISTINCT CASE WHEN table_schema = DATABASE() THEN '' ELSE CAST(table_schema AS CHAR) END, \
             CAST(table_name AS CHAR), CAST(referenced_table_name AS CHAR) FROM information_schema.key_column_usage \
             WHERE referenced_table_schema = DATABASE() ORDER BY 1, 2, 3"
        }
        Dialect::Sqlite => {
            "SELECT DISTINCT '', tables.name, keys.\"table\" FROM sqlite_master AS tables, \
             pragma_foreign_key_list(tables.name) AS keys WHERE tables.type = 'table' ORDER BY 2, 3"
        }
    };
    let mut found = Vec::new();
    for [schema, table, refers] in db.raw_read::<[String; 3]>(sql).await? {
        if is_ours(&refers) && !(schema.is_empty() && is_ours(&table)) {
            found.push(format!("the table {} has a foreign key to {refers}", qualified(&schema, &table)));
        }
    }
    Ok(found)
}

async fn views(db: &mut Db) -> Result<Vec<String>, StoreError> {
    let sql = match db.dialect() {
        Dialect::MySql => {
            "SELECT CASE WHEN table_schema = DATABASE() THEN '' ELSE CAST(table_schema AS CHAR) END, \
             CAST(table_name AS CHAR), CONCAT(CAST(DATABASE() AS CHAR), '\n', CAST(view_definition AS CHAR)) \
             FROM information_schema.views ORDER BY 1, 2"
        }
        Dialect::Sqlite => {
            "SELECT '', name, '\n' || sql FROM sqlite_master WHERE type = 'view' ORDER BY name"
        }
    };
    let mut found = Vec::new();
    for [schema, view, text] in db.raw_read::<[String; 3]>(sql).await? {
        let (database, definition) = text.split_once('\n').unwrap_or_default();
        let words = words(definition);
        let read: Vec<&str> = super::remove::names()
            .filter(|name| match db.dialect() {
                Dialect::MySql => reads(&words, (schema.is_empty(), database), name),
                Dialect::Sqlite => words.iter().any(|word| word.eq_ignore_ascii_case(name)),
            })
            .collect();
        if !read.is_empty() {
            found.push(format!("the view {} reads {}", qualified(&schema, &view), read.join(", ")));
        }
    }
    Ok(found)
}

fn qualified(schema: &str, name: &str) -> String {
    if schema.is_empty() { name.to_owned() } else { format!("{schema}.{name}") }
}

/// The names and keywords of a statement, with `.` as a word of its own.
fn words(sql: &str) -> Vec<&str> {
    let is_part = |c: char| c.is_alphanumeric() || "_$-".contains(c);
    let mut words = Vec::new();
    let mut rest = sql;
    while let Some(first) = rest.chars().next() {
        let length = match first {
            '`' | '"' => {
                let length = rest[1..].find(first).unwrap_or(rest.len() - 1);
                words.push(&rest[1..=length]);
                (length + 2).min(rest.len())
            }
            '.' => {
                words.push(&rest[..1]);
                1
            }
            _ if is_part(first) => {
                let length = rest.find(|c| !is_part(c)).unwrap_or(rest.len());
                words.push(&rest[..length]);
                length
            }
            _ => first.len_utf8(),
        };
        rest = &rest[length..];
    }
    words
}

/// Whether a view of a server reads the table. The server qualifies tables with their database, or leaves out the
/// view's own.
fn reads(words: &[&str], (is_same_database, database): (bool, &str), name: &str) -> bool {
    let is = |at: usize, text: &str| words.get(at).is_some_and(|word| word.eq_ignore_ascii_case(text));
    (0..words.len()).filter(|at| is(*at, name)).any(|at| match at.checked_sub(1) {
        Some(before) if is(before, ".") => before.checked_sub(1).is_some_and(|before| is(before, database)),
        Some(before) => is_same_database && (is(before, "from") || is(before, "join")),
        None => false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_in_definitions_are_recognized() {
        for (definition, same, expected) in [
            ("select `db`.`jobs`.`id` AS `id` from `db`.`jobs`", true, true),
            ("select `j`.`id` AS `id` from (`other`.`t` join `db`.`jobs` `j`)", false, true),
            ("select `j`.`id` AS `id` from `jobs` `j`", true, true),
            ("select `t`.`jobs` AS `jobs` from `other`.`t`", true, false),
            ("select `t`.`id` AS `jobs` from `other`.`jobs` `t`", false, false),
            ("select 1 AS `from` from `jobs`", false, false),
        ] {
            assert_eq!(reads(&words(definition), (same, "db"), "jobs"), expected, "{definition}");
        }
        assert_eq!(words("a.`b c`,\"d"), ["a", ".", "b c", "d"]);
    }
}
