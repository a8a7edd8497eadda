//! The content of a log line and its formats: that of oslo.log's `ContextFormatter`, its JSON, or a format
//! string.
//!
//! `line.rs` creates lines, `output.rs` writes them, and `format.rs` fills format strings.

use std::borrow::Cow;
use std::fmt;

use serde_json::{Map, Value, json};
use time::OffsetDateTime;
use tracing::field::{Field, Visit};
use tracing::{Event, Level};
use tracing_subscriber::fmt::FormatFields;
use tracing_subscriber::fmt::format::{DefaultFields, Writer};

use super::format::{self, Field as Filled};
use crate::config::{Form, Formats};

/// The values that are the same in all lines of a process.
pub(super) struct Process {
    /// Program name.
    pub(super) program: &'static str,
    /// Process id.
    pub(super) pid: u32,
    /// Host name.
    pub(super) host: Option<String>,
}

/// An event with the caller of its request.
pub(super) struct LogRecord<'a> {
    process: &'a Process,
    time: OffsetDateTime,
    level: Level,
    /// The logger with its name in Python.
    pub(super) logger: String,
    file: Option<&'static str>,
    line: Option<u32>,
    content: Content<'a>,
    caller: Option<&'a Caller>,
}

enum Content<'a> {
    Event(&'a Event<'a>),
    /// A message of the logging itself.
    Note(String),
}

/// The caller of a request. Empty means absent.
#[derive(Default)]
pub(super) struct Caller {
    pub(super) request_id: String,
    pub(super) global_request_id: String,
    pub(super) user: String,
    pub(super) project: String,
    pub(super) domain: String,
    pub(super) system_scope: String,
    pub(super) user_domain: String,
    pub(super) project_domain: String,
}

impl Visit for Caller {
    fn record_str(&mut self, field: &Field, value: &str) {
        let place = match field.name() {
            "request_id" => &mut self.request_id,
            "global_request_id" => &mut self.global_request_id,
            "user" => &mut self.user,
            "project" => &mut self.project,
            "domain" => &mut self.domain,
            "system_scope" => &mut self.system_scope,
            "user_domain" => &mut self.user_domain,
            "project_domain" => &mut self.project_domain,
            _ => return,
        };
        value.clone_into(place);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.record_str(field, &format!("{value:?}"));
    }
}

impl<'a> LogRecord<'a> {
    pub(super) fn new(
        process: &'a Process,
        time: OffsetDateTime,
        event: &'a Event<'a>,
        caller: Option<&'a Caller>,
    ) -> LogRecord<'a> {
        let metadata = event.metadata();
        LogRecord {
            process,
            time,
            level: *metadata.level(),
            logger: metadata.target().replace("::", "."),
            file: metadata.file(),
            line: metadata.line(),
            content: Content::Event(event),
            caller,
        }
    }

    /// Returns a warning of the logging itself, with the time of this record.
    pub(super) fn note(&self, text: String) -> LogRecord<'a> {
        LogRecord {
            process: self.process,
            time: self.time,
            level: Level::WARN,
            logger: "freezer_api.logging".to_owned(),
            file: None,
            line: None,
            content: Content::Note(text),
            caller: None,
        }
    }

    /// The level.
    pub(super) fn level(&self) -> Level {
        self.level
    }

    /// Returns the line in one of its formats, including the line feed.
    pub(super) fn format_line(&self, form: &Form) -> String {
        let mut line = match form {
            Form::Json => escaped_json(self.json().to_string()),
            Form::Context(formats) => self.in_context(formats),
            Form::Plain { format, date } => format.fill(|name| self.field(name, date, "")),
        };
        line.push('\n');
        line
    }

    fn in_context(&self, formats: &Formats) -> String {
        let caller = self.caller.filter(|caller| !caller.request_id.is_empty());
        let identity = match caller {
            Some(_) => formats.identity.fill(|name| match self.field(name, &formats.date, "") {
                Filled::Text(text) if text.is_empty() => Filled::Text("-".into()),
                field => field,
            }),
            None => String::new(),
        };
        let format = match caller {
            None => &formats.default,
            Some(caller) if caller.global_request_id.is_empty() => &formats.context,
            Some(_) => &formats.context_with_global,
        };
        format.fill(|name| self.field(name, &formats.date, &identity))
    }

    /// Returns a field of a format string.
    fn field<'f>(&'f self, name: &str, date: &str, identity: &'f str) -> Filled<'f> {
        let text = |text: String| Filled::Text(text.into());
        let borrowed = |text: &'f str| Filled::Text(text.into());
        let of_caller = |value: fn(&Caller) -> &str| {
            let value = self.caller.map(value).filter(|value| !value.is_empty());
            Filled::Text(escaped(value.unwrap_or("-").into()))
        };
        let file_name = || self.file.and_then(|file| file.rsplit('/').next()).unwrap_or("-");
        match name {
            "asctime" => text(format::date(date, self.time)),
            "isotime" => text(format::date("%Y-%m-%dT%H:%M:%S.%f+00:00", self.time)),
            "created" => Filled::Float(self.time.unix_timestamp_nanos() as f64 / 1e9),
            "msecs" => Filled::Whole(i64::from(self.time.millisecond())),
            "relativeCreated" | "thread" => Filled::Whole(0),
            "process" => Filled::Whole(i64::from(self.process.pid)),
            "processName" => text(self.process.program.to_owned()),
            "threadName" => text("MainThread".to_owned()),
            "hostname" => text(self.process.host.clone().unwrap_or_else(|| "-".to_owned())),
            "version" => text(env!("CARGO_PKG_VERSION").to_owned()),
            "levelname" => borrowed(level(self.level)),
            "levelno" => Filled::Whole(number(self.level)),
            "name" => borrowed(&self.logger),
            "message" => Filled::Text(escaped(self.text().into())),
            "pathname" => text(self.file.unwrap_or("-").to_owned()),
            "filename" => text(file_name().to_owned()),
            "module" => text(file_name().trim_end_matches(".rs").to_owned()),
            "lineno" => Filled::Whole(i64::from(self.line.unwrap_or(0))),
            "user_identity" => borrowed(identity),
            "instance" | "resource" | "color" => text(String::new()),
            "request_id" => of_caller(|caller| &caller.request_id),
            "global_request_id" => of_caller(|caller| &caller.global_request_id),
            "user" | "user_id" => of_caller(|caller| &caller.user),
            "project" | "project_id" | "tenant" => of_caller(|caller| &caller.project),
            "domain" | "domain_id" => of_caller(|caller| &caller.domain),
            "system_scope" => of_caller(|caller| &caller.system_scope),
            "user_domain" | "user_domain_id" => of_caller(|caller| &caller.user_domain),
            "project_domain" | "project_domain_id" => of_caller(|caller| &caller.project_domain),
            _ => text("-".to_owned()),
        }
    }

    /// Returns the message and its fields, `message key=value`.
    fn text(&self) -> String {
        let event = match &self.content {
            Content::Event(event) => event,
            Content::Note(text) => return text.clone(),
        };
        let mut text = String::with_capacity(200);
        // Writing to a String does not fail.
        let _ = DefaultFields::new().format_fields(Writer::new(&mut text), event);
        text
    }

    /// Returns the keys of oslo.log's `JSONFormatter`.
    fn json(&self) -> Value {
        let mut fields = Fields::default();
        match &self.content {
            Content::Event(event) => event.record(&mut fields),
            Content::Note(text) => fields.message.clone_from(text),
        }
        json!({
            "message": fields.message,
            "asctime": format::date("%Y-%m-%d %H:%M:%S", self.time),
            "name": self.logger,
            "levelname": level(self.level),
            "levelno": number(self.level),
            "pathname": self.file,
            "lineno": self.line,
            "created": self.time.unix_timestamp_nanos() as f64 / 1e9,
            "msecs": self.time.millisecond(),
            "process": self.process.pid,
            "hostname": self.process.host,
            "context": self.caller.map_or_else(|| json!({}), context),
            "extra": fields.others,
        })
    }
}

/// Returns the caller with the keys of oslo.context, and null for absent values.
fn context(caller: &Caller) -> Value {
    let or = |text: &str, otherwise: Value| if text.is_empty() { otherwise } else { text.into() };
    let value = |text: &str| or(text, Value::Null);
    let dash = |text: &str| if text.is_empty() { "-".to_owned() } else { text.to_owned() };
    let Caller { request_id, global_request_id, user, project, .. } = caller;
    let Caller { domain, system_scope, user_domain, project_domain, .. } = caller;
    // Source: `RequestContext.user_idt_format` of oslo.context
    let identity = [user, project, domain, user_domain, project_domain].map(|text| dash(text)).join(" ");
    json!({
        "request_id": request_id,
        "global_request_id": value(global_request_id),
        "user": value(user),
        "user_id": value(user),
        "project": value(project),
        "project_id": value(project),
        "domain": value(domain),
        "system_scope": value(system_scope),
        "user_domain": value(user_domain),
        "project_domain": value(project_domain),
        "user_identity": identity,
    })
}

/// The message of an event and its fields.
#[derive(Default)]
struct Fields {
    message: String,
    others: Map<String, Value>,
}

impl Fields {
    fn set(&mut self, field: &Field, value: Value) {
        match (field.name(), value) {
            ("message", Value::String(text)) => self.message = text,
            (name, value) => {
                self.others.insert(name.to_owned(), value);
            }
        }
    }
}

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.set(field, value.into());
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.set(field, value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.set(field, value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.set(field, value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.set(field, value.into());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.set(field, format!("{value:?}").into());
    }
}

/// Returns whether a character could break a line, or affect a terminal.
fn is_control(c: char) -> bool {
    c.is_control() || matches!(c, '\u{2028}' | '\u{2029}')
}

/// Returns whether a text has control characters. Most texts are plain ASCII, which is checked byte by byte.
fn has_control(text: &str) -> bool {
    let is_plain = text.bytes().all(|byte| (b' '..=b'~').contains(&byte));
    !is_plain && text.contains(is_control)
}

/// Escapes control characters like Rust and Python do in a text: `\n`, `\u{1b}`. Callers choose parts of the
/// logged texts, and must not be able to forge a line.
fn escaped(text: Cow<'_, str>) -> Cow<'_, str> {
    if !has_control(&text) {
        return text;
    }
    let escaped = text.chars().fold(String::with_capacity(text.len() + 16), |mut line, c| {
        if is_control(c) {
            line.extend(c.escape_default())
        } else {
            line.push(c)
        }
        line
    });
    escaped.into()
}

/// Escapes control characters in JSON. Its writer has escaped most of them.
fn escaped_json(text: String) -> String {
    if !has_control(&text) {
        return text;
    }
    text.chars().fold(String::with_capacity(text.len() + 16), |mut line, c| {
        if is_control(c) {
            line.push_str(&format!("\\u{:04x}", u32::from(c)))
        } else {
            line.push(c)
        }
        line
    })
}

/// Returns the name of a level in Python.
pub(super) fn level(level: Level) -> &'static str {
    match level {
        Level::ERROR => "ERROR",
        Level::WARN => "WARNING",
        Level::INFO => "INFO",
        Level::DEBUG | Level::TRACE => "DEBUG",
    }
}

/// Returns the number of a level in Python.
fn number(level: Level) -> i64 {
    match level {
        Level::ERROR => 40,
        Level::WARN => 30,
        Level::INFO => 20,
        Level::DEBUG | Level::TRACE => 10,
    }
}

#[cfg(test)]
mod tests {
    use super::{escaped, escaped_json};

    #[test]
    fn control_characters_are_escaped_once() {
        for (text, expected) in [
            ("plain äöü 🦀", "plain äöü 🦀"),
            ("a\nb\r\n", "a\\nb\\r\\n"),
            ("\u{1b}[31mred", "\\u{1b}[31mred"),
            ("\0\u{7f}\u{85}\u{9b}2J\u{2028}", "\\u{0}\\u{7f}\\u{85}\\u{9b}2J\\u{2028}"),
            ("a\tb \\n", "a\\tb \\n"),
        ] {
            assert_eq!(escaped(text.into()), expected);
            assert_eq!(escaped(escaped(text.into())), expected, "escaping twice changes nothing");
            let json = escaped_json(serde_json::json!(text).to_string());
            assert!(!json.contains(super::is_control), "{json}");
            assert_eq!(serde_json::from_str::<String>(&json).ok().as_deref(), Some(text));
        }
    }
}
