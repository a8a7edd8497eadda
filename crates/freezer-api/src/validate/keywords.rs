//! The keywords of the schemas beyond JSON Schema draft 4.
//!
//! * `"column": "table.column"`: the column must be able to store the value ([`limits`]).
//! * `"text_column": "table.column"`: like `column`, but only for texts. Other values are accepted.
//! * `"list_column": "table.column"`: the column must be able to store the JSON text of a list of texts.
//! * `"container": "list" | "map"`: a list, or the empty object that old clients send for an empty list; or
//!   an object, or the empty list or null that the Python service stores for "no jobs".
//!
//! The schemas are in `schema`. The fields of errors are in `message`.

use freezer_store::migrations::ColumnKind;
use jsonschema::paths::Location;
use jsonschema::{Keyword, ValidationError};
use serde_json::{Map, Value};

use super::limits::{self, INT};
use super::message::{not_of_type, repr};

/// The result of a keyword factory of the `jsonschema` crate.
type Factory<'a> = Result<Box<dyn for<'i> Keyword<'i>>, ValidationError<'a>>;

/// Checks a value for the column that stores it.
#[derive(Clone, Copy)]
enum InColumn {
    /// VARCHAR of this many characters (not bytes).
    Text(usize),
    /// The same. Values that are not texts are not stored in the column.
    OnlyText(usize),
    /// A list whose JSON text is stored in a VARCHAR of this many characters.
    List(usize),
    /// INT: see [`INT`].
    Int,
    /// BOOLEAN.
    Bool,
}

/// Builds the keyword `column`.
pub(super) fn column<'a>(_: &'a Map<String, Value>, name: &'a Value, _: Location) -> Factory<'a> {
    let check = match column_kind(name)? {
        ColumnKind::Text(max) => InColumn::Text(max.into()),
        ColumnKind::Int => InColumn::Int,
        ColumnKind::Bool => InColumn::Bool,
        kind => return Err(ValidationError::schema(format!("{name} cannot have limits: it is {kind:?}"))),
    };
    Ok(Box::new(check))
}

/// Builds the keyword `text_column`.
pub(super) fn text_column<'a>(_: &'a Map<String, Value>, name: &'a Value, _: Location) -> Factory<'a> {
    Ok(Box::new(InColumn::OnlyText(width(name)?)))
}

/// Builds the keyword `list_column`.
pub(super) fn list_column<'a>(_: &'a Map<String, Value>, name: &'a Value, _: Location) -> Factory<'a> {
    Ok(Box::new(InColumn::List(width(name)?)))
}

/// Returns the width of a text column.
fn width(name: &Value) -> Result<usize, ValidationError<'static>> {
    match column_kind(name)? {
        ColumnKind::Text(max) => Ok(max.into()),
        kind => Err(ValidationError::schema(format!("{name} is not a text column: it is {kind:?}"))),
    }
}

fn column_kind(name: &Value) -> Result<ColumnKind, ValidationError<'static>> {
    let kind = name.as_str().and_then(limits::column);
    kind.ok_or_else(|| ValidationError::schema(format!("{name} is not a column of the tables")))
}

impl InColumn {
    /// Returns the reason why the column cannot store the value.
    fn refusal(self, value: &Value) -> Option<String> {
        if value.is_null() {
            return None;
        }
        match self {
            InColumn::OnlyText(_) if !value.is_string() => None,
            InColumn::Text(max) | InColumn::OnlyText(max) => {
                let Some(text) = limits::to_text(value) else {
                    return Some(not_of_type(value, &["string"]));
                };
                let length = text.chars().count();
                (length > max)
                    .then(|| format!("{} is too long ({length} characters, at most {max})", repr(value)))
            }
            InColumn::List(max) => {
                // Only duplicates can make a list of known names this long.
                let length = limits::list_width(value.as_array()?);
                (length > max).then(|| {
                    format!(
                        "{} is too long ({length} characters as JSON, at most {max}); name each value once",
                        repr(value)
                    )
                })
            }
            InColumn::Int if limits::to_int(value).is_some() => None,
            InColumn::Int if value.is_number() => {
                Some(format!("{} is not between {} and {}", repr(value), INT.start(), INT.end()))
            }
            InColumn::Int => Some(not_of_type(value, &["integer"])),
            InColumn::Bool if limits::to_bool(value).is_some() => None,
            InColumn::Bool => Some(not_of_type(value, &["boolean"])),
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
