//! The request bodies of the v2 API: documents of clients, jobs, actions, sessions and backups in the form
//! that clients send, before the service adds ids, the user and times.
//!
//! [`Validators`] is built once at start. [`Validators::check`] is a pure function of the body. It accepts
//! the documents that freezer-api 19.0.0 accepts and can store. It rejects all others with a text that names
//! the field, also those that cause an internal error in 19.0.0 (null instead of an object, or a value that
//! does not fit its column). `tests/validate_oracle.rs` compares both services and lists all intended
//! differences.
//!
//! A caller must know the following:
//!
//! * A key that the service does not read (`user_id`, `project_id`, `user_credentials`, `_version`,
//!   `session_name`, and ids that are in the path) may have any value.
//! * A client's id of a document (`job_id`, `action_id`) may be absent, null or `""`. Then the service
//!   creates an id. The `uuid` of a client may be absent or `""`.
//! * `job_actions` may be `{}` instead of `[]`. The `jobs` of a session may be `[]` or null instead of `{}`.
//!   In a new session, which starts without jobs, they may have any value.
//! * Null means absent for `action_defaults`, and in a job's action for the retries and `mandatory`.
//! * Values without a type in 19.0.0 may differ from the type of their column: convert them with
//!   [`limits::to_int`], [`limits::to_text`] and [`limits::to_bool`].
//! * NUL characters are ordinary text for MariaDB, MySQL and SQLite, and are accepted.
//!
//! Other code checks whether something exists or is permitted, parses bodies (with limits of depth and size),
//! and validates searches, events and session actions.

mod keywords;
pub mod limits;
mod message;
mod rules;
mod schema;
#[cfg(test)]
mod tests;

use jsonschema::{Draft, PatternCache, PatternOptions, Validator};
use serde_json::Value;

pub(crate) use message::whole;

/// The request documents of the API in the form that clients send, before the service adds ids, the user and
/// times.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Document {
    /// POST of a client: its registration.
    Client,
    /// POST of a new job.
    Job,
    /// PATCH of a job.
    JobPatch,
    /// POST to the path of a job.
    JobReplace,
    /// POST of a new action.
    Action,
    /// PATCH of an action.
    ActionPatch,
    /// POST to the path of an action.
    ActionReplace,
    /// POST of a new session.
    Session,
    /// PATCH of a session.
    SessionPatch,
    /// POST to the path of a session.
    SessionReplace,
    /// POST of a new backup. The result of a PATCH can break these rules.
    Backup,
    /// PATCH of a backup.
    BackupPatch,
}

impl Document {
    /// All kinds, in the order of declaration.
    pub const ALL: [Self; 12] = [
        Self::Client,
        Self::Job,
        Self::JobPatch,
        Self::JobReplace,
        Self::Action,
        Self::ActionPatch,
        Self::ActionReplace,
        Self::Session,
        Self::SessionPatch,
        Self::SessionReplace,
        Self::Backup,
        Self::BackupPatch,
    ];
}

/// The reason why a body is rejected. `Display` prints the text for the client.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Invalid {
    /// The field: a dotted path with list positions as `[0]`, or empty for the whole body.
    pub field: String,
    /// The text for the client. It names the field.
    pub message: String,
}

/// A schema of this module does not compile. This is a defect of the program, not of a request.
#[derive(Debug, thiserror::Error)]
#[error("the schema of {document:?} documents is wrong at {place:?}: {reason}")]
pub struct BuildError {
    document: Document,
    place: String,
    reason: String,
}

/// The compiled rules of all kinds of documents.
pub struct Validators {
    compiled: [Compiled; Document::ALL.len()],
}

struct Compiled {
    schema: Value,
    validator: Validator,
}

impl Validators {
    /// Compiles the rules.
    ///
    /// # Errors
    /// [`BuildError`] if a schema of this module is wrong.
    pub fn new() -> Result<Self, BuildError> {
        let mut compiled = Vec::with_capacity(Document::ALL.len());
        let patterns = PatternCache::new();
        for kind in Document::ALL {
            compiled.push(compile(kind, &patterns)?);
        }
        let compiled = compiled.try_into().map_err(|_| BuildError {
            document: Document::Client,
            place: String::new(),
            reason: "a kind of document has no schema".to_owned(),
        })?;
        Ok(Self { compiled })
    }

    /// Checks whether the body is a document of this kind.
    ///
    /// # Errors
    /// The first error in the order of the body, then the errors of rules over several values.
    pub fn check(&self, kind: Document, body: &Value) -> Result<(), Invalid> {
        rules::check_empty(kind, body)?;
        // The order of declaration equals the order of `ALL`.
        let Compiled { schema, validator } = &self.compiled[kind as usize];
        if !validator.is_valid(body) {
            let errors: Vec<_> = validator.iter_errors(body).collect();
            return Err(message::first(body, &errors, schema));
        }
        rules::check(kind, body)
    }
}

fn compile(kind: Document, patterns: &PatternCache) -> Result<Compiled, BuildError> {
    let schema = schema::of_kind(kind);
    let built = jsonschema::options()
        .with_draft(Draft::Draft4)
        // The matching time is linear in the length of the text, because texts come from clients.
        .with_pattern_options(PatternOptions::regex())
        // Each pattern is compiled once, though several documents use it.
        .with_pattern_cache(patterns.clone())
        .with_keyword("column", keywords::column)
        .with_keyword("text_column", keywords::text_column)
        .with_keyword("list_column", keywords::list_column)
        .with_keyword("container", keywords::container)
        .build(&schema);
    match built {
        Ok(validator) => Ok(Compiled { schema, validator }),
        Err(error) => Err(BuildError {
            document: kind,
            place: error.instance_path().to_string(),
            reason: error.to_string(),
        }),
    }
}
