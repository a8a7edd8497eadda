//! Which request bodies the v2 API takes: the documents of clients, jobs, actions, sessions and
//! backups as clients send them, before the service adds ids, the user and times.
//!
//! [`Validators`] is built once at start; [`Validators::check`] is a pure function of the body. It
//! accepts what freezer-api 19.0.0 accepts and can store, and refuses the rest with a text that
//! names the field: what that service answers with an internal error (null where an object is due, a
//! value that its column cannot keep) is an [`Invalid`] here. `tests/validate_oracle.rs` holds both
//! to account and lists every difference that is meant.
//!
//! What a caller must know beyond the verdict:
//!
//! * A key the service does not read (`user_id`, `project_id`, `user_credentials`, `_version`,
//!   `session_name`, ids where the path has them) passes with any value.
//! * An id to be given by a client (`job_id`, `action_id`) may be absent, null or `""`: all three ask
//!   for one of the service's. So may the `uuid` of a client be absent or `""`.
//! * `job_actions` may be `{}` for `[]`; the `jobs` of a session may be `[]` or null for `{}`, and
//!   in a new one, which begins without jobs, anything.
//! * Null is absent for `action_defaults`, and in a job's action for the retries and `mandatory`.
//! * Values without a type in 19.0.0 may be of another type than their column: convert them with
//!   [`limits::to_int`], [`limits::to_text`] and [`limits::to_bool`].
//! * NUL characters are ordinary text to MariaDB, MySQL and SQLite, and pass.
//!
//! Not here: whether something exists or is permitted, parsing (and with it the depth of nesting and
//! the size of a body), search bodies, and the bodies of events and session actions.

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

/// The request documents the API takes, as clients send them (before the server adds ids, user and
/// times).
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
    /// POST of a new backup. A patched one is not checked: a PATCH is not held to the rules of a creation.
    Backup,
    /// PATCH of a backup.
    BackupPatch,
}

impl Document {
    /// Every kind, in the order of declaration.
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

/// Why a body is refused. Displays as the text for the client.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Invalid {
    /// Where: a dotted path with list positions as `[0]`; empty for the whole body.
    pub field: String,
    /// What the client reads. It names the field itself.
    pub message: String,
}

/// A schema of this module does not compile: a defect of the program, not of a request.
#[derive(Debug, thiserror::Error)]
#[error("the schema of {document:?} documents is wrong at {place:?}: {reason}")]
pub struct BuildError {
    document: Document,
    place: String,
    reason: String,
}

/// The compiled rules of every kind of document.
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
    ///
    /// [`BuildError`] where a schema of this module is wrong.
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

    /// Whether the body is a document of this kind.
    ///
    /// # Errors
    ///
    /// The first error in the order of the body, then of the rules over several values.
    pub fn check(&self, kind: Document, body: &Value) -> Result<(), Invalid> {
        rules::nothing_sent(kind, body)?;
        // The order of declaration is the order of `ALL`.
        let Compiled { schema, validator } = &self.compiled[kind as usize];
        if !validator.is_valid(body) {
            let errors: Vec<_> = validator.iter_errors(body).collect();
            return Err(message::first(body, &errors, schema));
        }
        rules::check(kind, body)
    }
}

fn compile(kind: Document, patterns: &PatternCache) -> Result<Compiled, BuildError> {
    let schema = schema::of(kind);
    let built = jsonschema::options()
        .with_draft(Draft::Draft4)
        // Linear in the length of the text: the texts come from clients.
        .with_pattern_options(PatternOptions::regex())
        // Each pattern is compiled once, though several documents have it.
        .with_pattern_cache(patterns.clone())
        .with_keyword("column", keywords::column)
        .with_keyword("text_column", keywords::text_column)
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
