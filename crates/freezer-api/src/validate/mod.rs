//! The request bodies of the v2 API: documents of clients, jobs, actions, sessions and backups in the form
//! that clients send, before the service adds ids, the user and times.
//!
//! [`Validators`] is built once at start. It has a function for each kind of document, which checks a body and
//! returns it as a type of [`documents`]. The result depends only on the body. The functions accept the
//! documents that freezer-api 19.0.0 accepts and can store. They reject all others with a text that names the
//! field, also those that cause an internal error in 19.0.0 (null instead of an object, or a value that does
//! not fit its column). `tests/validate_oracle.rs` compares both services and lists all intended differences.
//!
//! The documents have these properties:
//!
//! * A key that the service does not read (`user_id`, `project_id`, `user_credentials`, `_version`,
//!   `session_name`, and ids that are in the path) may have any value.
//! * A client's id of a document (`job_id`, `action_id`) may be absent, null or `""`. Then the service
//!   creates an id. The `uuid` of a client may be absent or `""`.
//! * `job_actions` may be `{}` instead of `[]`. The `jobs` of a session may be `[]` or null instead of `{}`.
//!   In a new session, which starts without jobs, they may have any value.
//! * Null means absent for `action_defaults`, and in a job's action for the retries and `mandatory`.
//! * Values without a type in 19.0.0 may differ from the type of their column. `documents` converts them.
//! * NUL characters are ordinary text for MariaDB, MySQL and SQLite, and are accepted.
//!
//! Other code checks whether something exists or is permitted, parses bodies (with limits of depth and size),
//! and validates searches, events and session actions.

pub mod documents;
mod job_changes;
mod keywords;
mod limits;
mod message;
mod rules;
mod schema;
#[cfg(test)]
mod tests;

use jsonschema::{Draft, PatternCache, PatternOptions, Validator};
use serde_json::{Map, Value};

use documents::{ActionDocument, BackupDocument, ClientDocument, JobDocument, JobPatch, SessionDocument};
use job_changes::{changed_part, without_shown_actions};
pub(crate) use message::whole;
use message::{at, not_of_type};

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

    /// Reads the body of a POST of a client.
    pub fn client(&self, body: Value) -> Result<ClientDocument, Invalid> {
        self.read(Document::Client, body, ClientDocument::read)
    }

    /// Reads the body of a POST of a new job.
    pub fn job(&self, body: Value) -> Result<JobDocument, Invalid> {
        self.read(Document::Job, body, JobDocument::read)
    }

    /// Reads the body of a PATCH of a job.
    pub fn job_patch<'b>(&self, body: &'b Value) -> Result<JobPatch<'b>, Invalid> {
        self.check(Document::JobPatch, body)?;
        let sent = body.as_object().ok_or_else(|| no_object(body))?;
        Ok(JobPatch { changes: JobDocument::read(sent.clone()), sent })
    }

    /// Reads the body of a PATCH of a job of which only the changes are valid. Clients may send back all values that the
    /// service shows, so the others are not checked. `shown` is the job as clients read it.
    pub fn job_changes<'b>(
        &self,
        sent: &'b Map<String, Value>,
        shown: &Map<String, Value>,
    ) -> Result<JobPatch<'b>, Invalid> {
        let changed = changed_part(sent, shown);
        self.check(Document::JobPatch, &Value::Object(without_shown_actions(&changed, shown)))?;
        Ok(JobPatch { changes: JobDocument::read(changed), sent })
    }

    /// Reads the body of a POST to the path of a job.
    pub fn job_replace(&self, body: Value) -> Result<JobDocument, Invalid> {
        self.read(Document::JobReplace, body, JobDocument::read)
    }

    /// Reads the body of a POST of a new action.
    pub fn action(&self, body: Value) -> Result<ActionDocument, Invalid> {
        self.read(Document::Action, body, ActionDocument::read)
    }

    /// Reads the body of a PATCH of an action.
    pub fn action_patch(&self, body: Value) -> Result<ActionDocument, Invalid> {
        self.read(Document::ActionPatch, body, ActionDocument::read)
    }

    /// Reads the body of a PATCH of an action of which only the changes are valid, as [`Validators::job_changes`] does.
    /// `shown` is the action as clients read it.
    pub fn action_changes(
        &self,
        mut sent: Map<String, Value>,
        shown: &Map<String, Value>,
    ) -> Result<ActionDocument, Invalid> {
        sent.retain(|key, value| shown.get(key) != Some(value));
        let shown = shown.get("freezer_action").and_then(Value::as_object);
        if let (Some(Value::Object(definition)), Some(shown)) = (sent.get_mut("freezer_action"), shown) {
            definition.retain(|key, value| shown.get(key) != Some(value));
        }
        self.action_patch(Value::Object(sent))
    }

    /// Reads the body of a POST to the path of an action.
    pub fn action_replace(&self, body: Value) -> Result<ActionDocument, Invalid> {
        self.read(Document::ActionReplace, body, ActionDocument::read)
    }

    /// Reads the body of a POST of a new session.
    pub fn session(&self, body: Value) -> Result<SessionDocument, Invalid> {
        self.read(Document::Session, body, SessionDocument::read)
    }

    /// Reads the body of a PATCH of a session.
    pub fn session_patch(&self, body: Value) -> Result<SessionDocument, Invalid> {
        self.read(Document::SessionPatch, body, SessionDocument::read)
    }

    /// Reads the body of a POST to the path of a session.
    pub fn session_replace(&self, body: Value) -> Result<SessionDocument, Invalid> {
        self.read(Document::SessionReplace, body, SessionDocument::read)
    }

    /// Reads the body of a POST of a new backup.
    pub fn backup(&self, body: Value) -> Result<BackupDocument, Invalid> {
        self.read(Document::Backup, body, BackupDocument::read)
    }

    /// Reads the body of a PATCH of a backup.
    pub fn backup_patch(&self, body: Value) -> Result<BackupDocument, Invalid> {
        self.read(Document::BackupPatch, body, BackupDocument::read_patch)
    }

    fn read<T>(&self, kind: Document, body: Value, read: fn(Map<String, Value>) -> T) -> Result<T, Invalid> {
        self.check(kind, &body)?;
        match body {
            Value::Object(body) => Ok(read(body)),
            body => Err(no_object(&body)),
        }
    }
}

/// Returns the error for a body that is not an object. Every schema already refuses such a body, with the same text.
fn no_object(body: &Value) -> Invalid {
    at("", &not_of_type(body, &["object"]))
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
