//! Data that an upgrade must keep: every row and every value, under its new name or at its new place.

use serde_json::{Map, Value};

use crate::dump::{Dump, Rows, Values};

/// Columns that have another name at head.
const RENAMED: [(&str, &str, &str); 2] =
    [("actions", "mode", "actionmode"), ("actions", "src_file", "path_to_backup")];

/// Tables of other programs, and tables of Freezer without user data.
const NOT_DATA: [&str; 3] = ["alembic_version", "migrate_version", "freezer_sync_lock"];

/// Panics if `after` does not contain all data of `before`.
pub fn assert_kept(shape: &str, before: &Dump, after: &Dump) {
    for (table, rows) in &before.0 {
        if NOT_DATA.contains(&table.as_str()) {
            continue;
        }
        let now = after.table(table);
        for (id, values) in rows {
            let row = now.get(id).unwrap_or_else(|| panic!("{shape}: {table} {id} is gone"));
            for (column, value) in values {
                assert_value(shape, table, id, (column, value), row, after);
            }
        }
        let new: Vec<&String> = now.keys().filter(|id| !rows.contains_key(*id)).collect();
        match table.as_str() {
            "actions" | "job_actions" => {}
            // Each new action has a report.
            "action_reports" => {
                let is_new = |id: &String| !before.table("actions").contains_key(id);
                let actions: Vec<String> = after.table("actions").into_keys().filter(is_new).collect();
                assert_eq!(new, actions.iter().collect::<Vec<_>>(), "{shape}: {table}");
            }
            _ => assert!(new.is_empty(), "{shape}: {table} has new rows: {new:?}"),
        }
    }
}

fn assert_value(
    shape: &str,
    table: &str,
    id: &str,
    (column, value): (&String, &Option<String>),
    row: &Values,
    after: &Dump,
) {
    let at = format!("{shape}: {table}.{column} of {id}");
    match (table, column.as_str(), value) {
        ("jobs", "job_actions", value) if !row.contains_key("job_actions") => {
            assert_actions_kept(&at, id, value.as_deref(), row, after);
        }
        ("backups", "user_name", value) if !row.contains_key("user_name") => {
            let Some(name) = value.as_deref().filter(|name| !name.is_empty()) else { return };
            let in_metadata = object(row.get("backup_metadata"))
                .is_some_and(|metadata| metadata.get("user_name").and_then(Value::as_str) == Some(name));
            assert!(
                in_metadata || leftover(after, "backups", id, "user_name") == Some(name.to_owned()),
                "{at}"
            );
        }
        ("backups", "backup_metadata", Some(text)) => {
            // The metadata may get the user's name, but it must not lose data.
            let now = row["backup_metadata"].as_deref().unwrap();
            match (object(Some(&Some(text.clone()))), object(Some(&Some(now.to_owned())))) {
                (Some(old), Some(new)) => {
                    for (key, value) in old {
                        assert_eq!(new.get(&key), Some(&value), "{at}: {key}");
                    }
                }
                _ => assert_eq!(text, now, "{at}"),
            }
        }
        // An agent of 7.x stored it only in the document.
        ("actions", "src_file" | "path_to_backup", None) => {
            let definition = object(row.get("backup_metadata")).unwrap_or_default();
            let key = ["path_to_backup", "src_file"].into_iter().find(|key| definition.contains_key(*key));
            let path = key.and_then(|key| definition[key].as_str()).filter(|path| !path.is_empty());
            let path = path.filter(|path| path.chars().count() <= 255);
            assert_eq!(row["path_to_backup"].as_deref(), path, "{at}");
        }
        // Tables that were created without migrations contain NULL, which means false.
        ("clients", "is_central", None) => {
            assert!(matches!(row["is_central"].as_deref(), None | Some("0")), "{at}");
        }
        _ => {
            let renamed = RENAMED.iter().find(|(t, old, _)| *t == table && old == column);
            let name = renamed.map_or(column.as_str(), |(_, _, new)| *new);
            let now = row.get(name).unwrap_or_else(|| panic!("{at}: the column is gone"));
            assert_eq!(now, value, "{at}");
        }
    }
}

/// Checks that every entry of the old list is a link to a live action with the same meaning, in this order. Otherwise,
/// its text must be kept.
fn assert_actions_kept(at: &str, job_id: &str, text: Option<&str>, job: &Values, after: &Dump) {
    let text = text.unwrap_or_default();
    if matches!(text.trim(), "" | "null" | "\"\"" | "[]" | "{}") {
        return;
    }
    let kept = leftover(after, "jobs", job_id, "job_actions");
    let Ok(Value::Array(entries)) = serde_json::from_str::<Value>(text) else {
        let kept = kept.unwrap_or_else(|| panic!("{at}: nothing is kept of a text that is not JSON"));
        let inside = kept.trim_start_matches('[').trim_end_matches(']');
        assert!(kept == text || (!inside.is_empty() && text.contains(inside)), "{at}: {kept}");
        return;
    };
    let left: Vec<Value> = kept.map(|kept| serde_json::from_str(&kept).unwrap()).unwrap_or_default();
    let links = links_of(after, job_id);
    let actions = after.table("actions");
    for (position, entry) in entries.iter().enumerate() {
        let Some(link) = links.iter().find(|link| link["position"] == Some(position.to_string())) else {
            assert!(left.contains(entry), "{at}: entry {position} has no link, and is not in {left:?}");
            continue;
        };
        let action = &actions[link["action_id"].as_deref().unwrap()];
        if job["deleted"].as_deref() == Some("0") {
            assert_eq!(action["deleted"], job["deleted"], "{at}: the action of entry {position} is alive");
        }
        assert_eq!(action["project_id"], job["project_id"], "{at}: entry {position}");
        assert_says(&format!("{at}: entry {position}"), entry, action);
        assert_tries(&format!("{at}: entry {position}"), entry, action);
    }
    // No entry occurs twice.
    for (position, entry) in entries.iter().enumerate().filter(|(_, entry)| left.contains(entry)) {
        let is_linked = links.iter().any(|link| link["position"] == Some(position.to_string()));
        let definition = entry.get("freezer_action");
        let is_partial = definition.is_some_and(|definition| definition.get("action").is_none());
        let does_not_fit = definition.and_then(Value::as_object).is_some_and(does_not_fit);
        assert!(
            !is_linked || is_partial || does_not_fit,
            "{at}: entry {position} has a link and is kept besides"
        );
    }
}

/// Returns whether a value of a definition does not fit its column, as those in the dumps: long paths and a priority that is
/// not a number.
fn does_not_fit(definition: &Map<String, Value>) -> bool {
    let text = |key: &str| definition.get(key).and_then(Value::as_str).unwrap_or_default();
    text("path_to_backup").len() > 255
        || text("priority").parse::<i32>().is_err() && !text("priority").is_empty()
}

/// Checks that the action has the retries that schedulers up to 18.0.0 read from the entry. An entry without a
/// definition has no retries.
fn assert_tries(at: &str, entry: &Value, action: &Values) {
    if entry.pointer("/freezer_action/action").and_then(Value::as_str).is_none() {
        return;
    }
    let tries = entry.get("max_retries").and_then(Value::as_i64).unwrap_or(0);
    assert_eq!(action["max_retries"], Some(tries.to_string()), "{at}");
    if tries > 0 {
        let interval = entry.get("max_retries_interval").and_then(Value::as_i64).unwrap_or(60);
        assert_eq!(action["max_retries_interval"], Some(interval.to_string()), "{at}");
    }
    let mandatory = entry.get("mandatory").or_else(|| entry.pointer("/freezer_action/mandatory"));
    let mandatory = mandatory.and_then(Value::as_bool).unwrap_or(false);
    assert_eq!(action["mandatory"].as_deref() == Some("1"), mandatory, "{at}");
}

fn assert_says(at: &str, entry: &Value, action: &Values) {
    let Some(definition) = entry.get("freezer_action").and_then(Value::as_object) else { return };
    let stored = object(action.get("backup_metadata")).unwrap_or_default();
    for (key, value) in definition {
        let column = match key.as_str() {
            "mode" => "actionmode",
            other => other,
        };
        let in_column = action.get(column).and_then(Option::as_deref).map(str::to_owned);
        let said = match value {
            Value::Null => None,
            Value::String(text) => Some(text.clone()),
            Value::Bool(flag) => Some(i32::from(*flag).to_string()),
            other => Some(other.to_string()),
        };
        let kept = stored.get(key) == Some(value) || value.is_null() || said.is_some() && said == in_column;
        assert!(kept, "{at}: {key} = {value} is in neither {stored:?} nor the column ({in_column:?})");
    }
}

fn links_of(after: &Dump, job_id: &str) -> Vec<Values> {
    let links: Rows = after.table("job_actions");
    links.into_values().filter(|link| link["job_id"].as_deref() == Some(job_id)).collect()
}

fn leftover(after: &Dump, table: &str, id: &str, column: &str) -> Option<String> {
    after.table("freezer_leftovers").into_values().find_map(|row| {
        let is = |name: &str, value: &str| row.get(name).and_then(Option::as_deref) == Some(value);
        (is("table_name", table) && is("row_id", id) && is("column_name", column))
            .then(|| row["value"].clone())?
    })
}

fn object(text: Option<&Option<String>>) -> Option<Map<String, Value>> {
    serde_json::from_str(text?.as_deref()?).ok()
}
