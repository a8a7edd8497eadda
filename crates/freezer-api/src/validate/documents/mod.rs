//! Request documents in the form that the service reads: one type for each noun, with a named and typed field for every key
//! that the service uses.
//!
//! Rules of this module:
//!
//! * Only [`Validators`](super::Validators) creates these types from JSON, because their `read` functions are private to
//!   `validate`. So a service cannot be called with a body that was not checked.
//! * Known keys are fields. Their values are converted here, and nowhere else, to the type of their column: a number sent as
//!   text becomes an `i64` (see `limits`).
//! * Open parts, in which clients may store any key, stay maps: `freezer_action`, schedules, the jobs of a session and the
//!   metadata of a backup. They are moved out of the body, not copied. The service reads the few keys that it needs from
//!   these maps, because it also stores and shows them as maps.
//! * `None` means that a key is absent or null. If a null has an effect of its own, because it clears a text, the field is an
//!   `Option<Option<String>>`: `None` is absent, and `Some(None)` is null.
//! * POST, PATCH and replacement of a noun share one type. A key that must be present in a POST is present after the check,
//!   and a field that an operation does not use is ignored.
//! * Reading cannot fail. A value that does not have its type counts as absent. This only happens in the unchanged part of a
//!   patch of a job, which may be invalid (see [`JobPatch`]).
//!
//! Not here: the rules (`schema`, `rules`), the documents that clients read (`freezer_store::model`), and the bodies of job
//! events and session actions, which their services read.

pub mod action;
mod backup;
mod client;
mod job;
mod session;

use serde_json::{Map, Value};

pub use action::ActionDocument;
pub use backup::BackupDocument;
pub use client::ClientDocument;
pub use job::{JobDocument, JobPatch, is_time_key};
pub use session::SessionDocument;

use super::limits::{to_bool, to_int, to_text};

/// Takes the values of known keys out of a body.
struct BodyKeys(Map<String, Value>);

impl BodyKeys {
    /// Takes a text that null clears. `None` if the key is absent.
    fn nullable_text(&mut self, key: &str) -> Option<Option<String>> {
        self.0.remove(key).map(|value| to_text(&value))
    }

    fn text(&mut self, key: &str) -> Option<String> {
        self.nullable_text(key).flatten()
    }

    /// Takes an id. `None` if it is absent, null or `""`.
    fn id(&mut self, key: &str) -> Option<String> {
        self.text(key).filter(|id| !id.is_empty())
    }

    fn int(&mut self, key: &str) -> Option<i64> {
        self.0.remove(key).as_ref().and_then(to_int).map(i64::from)
    }

    fn bool(&mut self, key: &str) -> Option<bool> {
        self.0.remove(key).as_ref().and_then(to_bool)
    }

    /// Takes an object. `None` also for the empty list that some clients send for an empty object.
    fn object(&mut self, key: &str) -> Option<Map<String, Value>> {
        match self.0.remove(key) {
            Some(Value::Object(object)) => Some(object),
            _ => None,
        }
    }

    /// Takes a list. An empty object counts as an empty list.
    fn list(&mut self, key: &str) -> Option<Vec<Value>> {
        match self.0.remove(key)? {
            Value::Array(list) => Some(list),
            _ => Some(Vec::new()),
        }
    }

    /// Takes a list of texts.
    fn texts(&mut self, key: &str) -> Option<Vec<String>> {
        match self.0.remove(key)? {
            Value::Array(list) => Some(list.iter().filter_map(to_text).collect()),
            _ => None,
        }
    }
}
