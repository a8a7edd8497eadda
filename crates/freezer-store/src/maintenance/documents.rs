//! The check that reads all JSON documents. It works in batches, so its memory does not grow with the tables.

use sea_query::{Alias, Condition, Expr, ExprTrait, Order, Query};
use serde_json::Value;

use super::findings::{Findings, Present, Question};
use crate::error::StoreError;
use crate::json::{StoredField, object_strict};
use crate::{Store, read};

/// Rows of a batch. A document may have 16 MiB.
const BATCH: u64 = 200;

/// The description of the check.
pub(super) const UNREADABLE: Question = Question {
    name: "json",
    title: "Unreadable JSON",
    found: "values that are not valid JSON; invalid parts are shown as null and are lost with the next change",
    advice: "correct the text in the database, or set it to NULL; a change of the row keeps only the readable parts",
};

/// The type of JSON in a column.
#[derive(Clone, Copy)]
enum JsonType {
    Object,
    Texts,
}

/// The columns with JSON, by table.
const JSON_COLUMNS: [(&str, JsonType, &[&str]); 5] = [
    ("jobs", JsonType::Object, &["schedule"]),
    ("sessions", JsonType::Object, &["schedule", "job"]),
    ("actions", JsonType::Object, &["backup_metadata"]),
    ("backups", JsonType::Object, &["backup_metadata"]),
    (
        "clients",
        JsonType::Texts,
        &["supported_actions", "supported_modes", "supported_storages", "supported_engines"],
    ),
];

/// Reads all documents of rows that are not deleted.
pub(super) async fn unreadable(store: &Store, present: &Present) -> Result<Findings, StoreError> {
    let mut findings = Findings::default();
    let id = || Alias::new("id");
    let deleted = || Expr::col(Alias::new("deleted"));
    for (table, json_type, columns) in JSON_COLUMNS {
        let columns: Vec<&'static str> =
            columns.iter().copied().filter(|column| present.has(table, &[*column])).collect();
        if columns.is_empty() {
            // Columns that an upgrade adds are still empty.
            if !present.has(table, &["id"]) {
                findings.skip(format!("there is no table {table} yet"));
            }
            continue;
        }
        let mut after: Option<String> = None;
        loop {
            let mut select = Query::select();
            select.column(id()).columns(columns.iter().map(|column| Alias::new(*column)));
            select
                .from(Alias::new(table))
                .cond_where(Condition::any().add(deleted().eq(false)).add(deleted().is_null()))
                .order_by(id(), Order::Asc)
                .limit(BATCH);
            if let Some(after) = &after {
                select.and_where(Expr::col(id()).gt(after.as_str()));
            }
            let rows: Result<_, StoreError> = read!(store, "check.documents", |db| db.select(&select).await);
            let rows = rows?;
            let failed = |error| StoreError::from_driver("check.documents", error);
            for row in &rows {
                let row_id = row.string(0).map_err(failed)?;
                for (at, column) in columns.iter().enumerate() {
                    let text = row.text(at + 1).map_err(failed)?;
                    let place = StoredField { table, column, id: &row_id };
                    if let Some(reason) = flaw(json_type, text.as_deref(), place) {
                        findings.add(format!("{table}.{column} of row {row_id}: {reason}"));
                    }
                }
                after = Some(row_id);
            }
            if (rows.len() as u64) < BATCH {
                break;
            }
        }
    }
    Ok(findings)
}

/// Returns the reason why the service could not read a value.
fn flaw(json_type: JsonType, text: Option<&str>, place: StoredField<'_>) -> Option<String> {
    let text = text.filter(|text| !text.trim().is_empty())?;
    match json_type {
        JsonType::Object => match object_strict(Some(text), place) {
            Err(StoreError::Corrupt { reason, .. }) => Some(reason),
            _ => None,
        },
        JsonType::Texts => match serde_json::from_str::<Value>(text) {
            Ok(Value::Null) => None,
            Ok(Value::String(text)) if text.is_empty() => None,
            Ok(Value::Array(items)) if items.iter().all(Value::is_string) => None,
            Ok(_) => Some("not a list of texts".to_owned()),
            Err(error) => Some(error.to_string()),
        },
    }
}
