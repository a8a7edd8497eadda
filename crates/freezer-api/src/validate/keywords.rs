//! The keywords of the schemas beyond JSON Schema draft 4.
//!
//! * `"column": "table.column"`: the column must be able to store the value ([`limits`]).
//! * `"text_column": "table.column"`: like `column`, but only for texts. Other values are accepted.
//! * `"container": "list" | "map"`: a list, or the empty object that old clients send for an empty list; or
//!   an object, or the empty list or null that the Python service stores for "no jobs".
//!
//! The schemas are in `schema`. The fields of errors are in `message`.

use jsonschema::paths::Location;
use jsonschema::{Keyword, ValidationError};
use serde_json::{Map, Value};

use super::limits::{self, ColumnLimit, ColumnType, INT};
use super::message::{not_of_type, repr};

/// The result of a keyword factory of the `jsonschema` crate.
type Factory<'a> = Result<Box<dyn for<'i> Keyword<'i>>, ValidationError<'a>>;

struct InColumn {
    kind: ColumnType,
    text_only: bool,
}

/// Builds the keyword `column`.
pub(super) fn column<'a>(_: &'a Map<String, Value>, name: &'a Value, _: Location) -> Factory<'a> {
    Ok(Box::new(InColumn { kind: column_limit(name)?.kind, text_only: false }))
}

/// Builds the keyword `text_column`.
pub(super) fn text_column<'a>(_: &'a Map<String, Value>, name: &'a Value, _: Location) -> Factory<'a> {
    Ok(Box::new(InColumn { kind: column_limit(name)?.kind, text_only: true }))
}

fn column_limit(name: &Value) -> Result<&'static ColumnLimit, ValidationError<'static>> {
    let column = name.as_str().and_then(limits::column);
    column.ok_or_else(|| ValidationError::schema(format!("{name} is not in the table of columns")))
}

impl InColumn {
    /// Returns the reason why the column cannot store the value.
    fn refusal(&self, value: &Value) -> Option<String> {
        if value.is_null() || (self.text_only && !value.is_string()) {
            return None;
        }
        match self.kind {
            ColumnType::Text(max) => {
                let Some(text) = limits::to_text(value) else {
                    return Some(not_of_type(value, &["string"]));
                };
                let length = text.chars().count();
                (length > max)
                    .then(|| format!("{} is too long ({length} characters, at most {max})", repr(value)))
            }
            ColumnType::Int if limits::to_int(value).is_some() => None,
            ColumnType::Int if value.is_number() => {
                Some(format!("{} is not between {} and {}", repr(value), INT.start(), INT.end()))
            }
            ColumnType::Int => Some(not_of_type(value, &["integer"])),
            ColumnType::Bool if limits::to_bool(value).is_some() => None,
            ColumnType::Bool => Some(not_of_type(value, &["boolean"])),
            ColumnType::List(max) => {
                // Only duplicates can make a list of known names this long.
                let length = limits::list_width(value.as_array()?);
                (length > max).then(|| {
                    format!(
                        "{} is too long ({length} characters as JSON, at most {max}); name each value once",
                        repr(value)
                    )
                })
            }
        }
    }
}

impl<'i> Keyword<'i> for InColumn {
    fn validate(&self, value: &'i Value) -> Result<(), ValidationError<'i>> {
        self.refusal(value).map_or(Ok(()), |message| Err(ValidationError::custom(message)))
    }

    fn is_valid(&self, value: &'i Value) -> bool {
        self.refusal(value).is_none()
    }
}

enum Container {
    List,
    Map,
}

/// Builds the keyword `container`.
pub(super) fn container<'a>(_: &'a Map<String, Value>, name: &'a Value, _: Location) -> Factory<'a> {
    match name.as_str() {
        Some("list") => Ok(Box::new(Container::List)),
        Some("map") => Ok(Box::new(Container::Map)),
        _ => Err(ValidationError::schema(format!("{name} is neither list nor map"))),
    }
}

impl<'i> Keyword<'i> for Container {
    fn validate(&self, value: &'i Value) -> Result<(), ValidationError<'i>> {
        if self.is_valid(value) {
            return Ok(());
        }
        let wanted = match self {
            Self::List => "array",
            Self::Map => "object",
        };
        Err(ValidationError::custom(not_of_type(value, &[wanted])))
    }

    fn is_valid(&self, value: &'i Value) -> bool {
        match (self, value) {
            (Self::List, Value::Array(_)) | (Self::Map, Value::Object(_) | Value::Null) => true,
            (Self::List, Value::Object(map)) => map.is_empty(),
            (Self::Map, Value::Array(list)) => list.is_empty(),
            _ => false,
        }
    }
}
