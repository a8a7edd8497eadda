//! Finds rows whose keys are different now, but equal in the collation that the planned conversion gives to their
//! table. The server would stop such a conversion with error 1062, after other tables were changed.

use super::head::TABLES;
use super::layout::{ColumnInfo, Layout, Table};
use crate::dialect::Dialect;
use crate::error::StoreError;
use crate::exec::Db;

/// How many groups of equal keys an error names for each key.
const SHOWN: usize = 5;

/// Describes the groups of rows whose keys would be equal, a text for each key.
pub(super) async fn find(
    db: &mut Db,
    before: &Layout,
    planned: &Layout,
    converted: &[String],
) -> Result<Vec<String>, StoreError> {
    let mut found = Vec::new();
    for wanted in TABLES.iter().filter(|table| converted.iter().any(|name| name == table.name)) {
        let (Some(table), Some(target)) = (before.table(wanted.name), planned.table(wanted.name)) else {
            continue;
        };
        for key in keys(wanted.key, table) {
            let Some(sql) = query(wanted.name, table, &target.collation, &key) else { continue };
            let mut groups: Vec<String> = db.raw_read(&sql).await?;
            if !groups.is_empty() {
                let more = if groups.len() > SHOWN { "; …" } else { "" };
                groups.truncate(SHOWN);
                let (columns, groups) = (key.join(", "), groups.join("; "));
                let (name, collation) = (wanted.name, &target.collation);
                found.push(format!("{name} ({columns} in {collation}): the rows {groups}{more}"));
            }
        }
    }
    Ok(found)
}

/// The columns of the primary key and of each unique index.
fn keys(primary: &str, table: &Table) -> Vec<Vec<String>> {
    let unique = table.indexes.iter().filter(|index| index.unique).map(|index| index.columns.clone());
    std::iter::once(vec![primary.to_owned()]).chain(unique).collect()
}

/// The query for groups of rows with equal keys, or none if the conversion cannot make keys equal.
fn query(name: &str, table: &Table, collation: &str, key: &[String]) -> Option<String> {
    let dialect = Dialect::MySql;
    let columns = key.iter().map(|name| table.column(name)).collect::<Option<Vec<_>>>()?;
    if !columns.iter().any(|column| changes_equality(column, collation)) {
        return None;
    }
    let charset = collation.split('_').next().unwrap_or_default();
    let value = |column: &&ColumnInfo| match column.collation.is_empty() {
        true => dialect.quote(&column.name),
        false => format!("CONVERT({} USING {charset}) COLLATE {collation}", dialect.quote(&column.name)),
    };
    let values: Vec<String> = columns.iter().map(value).collect();
    let present: Vec<String> =
        columns.iter().map(|column| format!("{} IS NOT NULL", dialect.quote(&column.name))).collect();
    Some(format!(
        "SELECT CAST(GROUP_CONCAT(id ORDER BY id SEPARATOR ', ') AS CHAR) FROM {} WHERE {} GROUP BY {} \
         HAVING COUNT(*) > 1 ORDER BY 1 LIMIT {}",
        dialect.quote(name),
        present.join(" AND "),
        values.join(", "),
        SHOWN + 1
    ))
}

/// Whether texts that differ in the present collation can be equal in the new one. utf8mb3 and utf8mb4 have the same
/// rules under the same name.
fn changes_equality(column: &ColumnInfo, collation: &str) -> bool {
    let rules = |collation: &str| match collation.split_once('_') {
        Some(("utf8" | "utf8mb3" | "utf8mb4", rules)) => format!("utf8_{rules}"),
        _ => collation.to_owned(),
    };
    !column.collation.is_empty() && rules(&column.collation) != rules(collation)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_other_rules_need_a_query() {
        let column = |collation: &str| ColumnInfo {
            name: "id".to_owned(),
            data_type: "varchar".to_owned(),
            width: Some(36),
            collation: collation.to_owned(),
            ..ColumnInfo::default()
        };
        for (from, to, expected) in [
            ("utf8_general_ci", "utf8mb4_general_ci", false),
            ("utf8mb3_bin", "utf8mb4_bin", false),
            ("utf8mb4_bin", "utf8mb4_general_ci", true),
            ("utf8mb4_unicode_ci", "utf8mb4_general_ci", true),
            ("latin1_swedish_ci", "utf8mb4_general_ci", true),
            ("", "utf8mb4_general_ci", false),
        ] {
            let table = Table { columns: vec![column(from)], ..Table::default() };
            let found = query("jobs", &table, to, &["id".to_owned()]);
            assert_eq!(found.is_some(), expected, "{from} {to}");
        }
    }
}
