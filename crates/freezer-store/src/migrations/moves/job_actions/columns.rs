//! The columns of a definition: eight of its keys have one. A value that its column cannot store stays only in the JSON,
//! where it is still shown.

use serde_json::{Map, Value};

use crate::json;
use crate::migrations::moves::column_charsets::ColumnCharsets;
use crate::migrations::moves::paths;
use crate::model::ActionColumns;

/// Width of the text columns.
const TEXT_WIDTH: usize = 255;

/// Returns the values of a definition that have columns, as these can store them.
pub(super) fn columns(definition: &Map<String, Value>, held: &ColumnCharsets) -> ActionColumns {
    let fitting = |text: String, column: &str| {
        (text.chars().count() <= TEXT_WIDTH && held.can_hold(column, &text)).then_some(text)
    };
    let text_of = |key: &str, column: &str| fitting(to_text(definition.get(key)?)?, column);
    let text = |key: &str| text_of(key, key);
    let int = |key: &str| -> Option<i64> {
        let number = match definition.get(key)? {
            Value::Number(number) => number.as_i64()?,
            Value::String(text) => text.trim().parse().ok()?,
            _ => return None,
        };
        i32::try_from(number).ok().map(i64::from)
    };
    ActionColumns {
        action: text("action").unwrap_or_default(),
        mode: text_of("mode", "actionmode"),
        path_to_backup: paths::value_of(definition)
            .and_then(to_text)
            .and_then(|path| fitting(path, "path_to_backup")),
        backup_name: text("backup_name"),
        container: text("container"),
        log_file: text("log_file"),
        timeout: int("timeout"),
        priority: int("priority"),
    }
}

/// Returns whether a value of the definition does not fit its column in any character set.
pub(super) fn do_not_fit(definition: &Map<String, Value>) -> bool {
    let columns = columns(definition, &ColumnCharsets::default()).shown();
    columns.iter().any(|(key, column)| {
        let value = match *key {
            "path_to_backup" => paths::value_of(definition),
            key => definition.get(key),
        };
        json::is_empty(column) && value.is_some_and(|value| !json::is_empty(value))
    })
}

/// Returns a value as text, as a server converts it. `None` for null, lists and objects.
fn to_text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(flag) => Some(i32::from(*flag).to_string()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_value_that_does_not_fit_is_noticed() {
        let fits = |definition: Value| !do_not_fit(definition.as_object().unwrap_or(&Map::new()));
        let long = "x".repeat(256);
        for key in ["path_to_backup", "src_file", "backup_name", "container", "mode", "log_file"] {
            for value in [
                json!("x".repeat(255)),
                json!("\u{2603}"),
                json!(5),
                json!(1.5),
                json!(true),
                json!(null),
                json!(""),
            ] {
                assert!(fits(json!({"action": "backup", key: value})), "{key}: {value}");
            }
            for value in [json!(long), json!([]), json!(["a"]), json!({"a": 1})] {
                assert!(!fits(json!({"action": "backup", key: value})), "{key}: {value}");
            }
        }
        for key in ["timeout", "priority"] {
            for value in [json!(5), json!("5"), json!(" 5 "), json!(-1), json!(null), json!("")] {
                assert!(fits(json!({"action": "backup", key: value})), "{key}: {value}");
            }
            for value in [json!("1h"), json!(1.5), json!(true), json!(1_u64 << 40), json!([5])] {
                assert!(!fits(json!({"action": "backup", key: value})), "{key}: {value}");
            }
        }
        assert!(!fits(json!({"action": long})));
    }
}
