//! The form of log lines: oslo.log's options for it.

use ::oslo_config::{Config, OptDecl};

use super::ConfigError;
use crate::logging::{Format, NAMES};

/// As freezer-api 19.0.0 sets it, with one space before the message.
const CONTEXT: OptDecl = OptDecl::string("DEFAULT", "logging_context_format_string")
    .default(
        "%(asctime)s.%(msecs)03d %(process)d %(levelname)s %(name)s [%(request_id)s %(user_identity)s] \
         %(instance)s%(message)s",
    )
    .help("Form of log lines that belong to a request.");
/// What [`CONTEXT`] is if it is not set and an earlier service sent a request id: as oslo.log has it.
const CONTEXT_WITH_GLOBAL: &str = "%(asctime)s.%(msecs)03d %(process)d %(levelname)s %(name)s \
                                   [%(global_request_id)s %(request_id)s %(user_identity)s] %(instance)s%(message)s";
const DEFAULT: OptDecl = OptDecl::string("DEFAULT", "logging_default_format_string")
    .default("%(asctime)s.%(msecs)03d %(process)d %(levelname)s %(name)s [-] %(instance)s%(message)s")
    .help("Form of log lines that belong to no request.");
const IDENTITY: OptDecl = OptDecl::string("DEFAULT", "logging_user_identity_format")
    .default("%(user)s %(project)s %(domain)s %(system_scope)s %(user_domain)s %(project_domain)s")
    .help("What %(user_identity)s is in logging_context_format_string.");
const DATE: OptDecl = OptDecl::string("DEFAULT", "log_date_format")
    .default(PLAIN_DATE)
    .help("Form of %(asctime)s in log lines, as strftime has it.");

/// The form of dates in log lines.
pub(super) const PLAIN_DATE: &str = "%Y-%m-%d %H:%M:%S";

pub(super) const OPTIONS: &[&OptDecl] = &[&CONTEXT, &DEFAULT, &IDENTITY, &DATE];

/// The form of a log line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Form {
    /// As oslo.log's `ContextFormatter` writes it.
    Context(Box<Formats>),
    /// A JSON object, as oslo.log's `JSONFormatter` writes it.
    Json,
    /// A format string of Python's logging.
    Plain {
        /// The string.
        format: Format,
        /// The form of dates.
        date: String,
    },
}

/// The format strings of a `ContextFormatter`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Formats {
    /// Of lines that belong to a request.
    pub context: Format,
    /// The same, for requests with a global id.
    pub context_with_global: Format,
    /// Of lines that belong to no request.
    pub default: Format,
    /// What identifies the caller.
    pub identity: Format,
    /// The form of dates.
    pub date: String,
}

impl Formats {
    /// Reads the options. A format string that is not understood is remarked, and the default is used instead.
    pub(super) fn read(config: &Config, remarks: &mut Vec<String>) -> Result<Formats, ConfigError> {
        let mut parse = |option: &OptDecl| -> Result<Format, ConfigError> {
            let text = option.need(config.string(option)?)?;
            Ok(Format::parse(&text).unwrap_or_else(|part| {
                remarks.push(format!(
                    "[DEFAULT] {} = {text}: not understood from {part:?} on; the default is used. A field is written as \
                     %(name)s, and a percent sign as %%",
                    option.key()
                ));
                Format::parse(option.default.unwrap_or_default()).unwrap_or_default()
            }))
        };
        let context = parse(&CONTEXT)?;
        let default = parse(&DEFAULT)?;
        let identity = parse(&IDENTITY)?;
        let is_default = CONTEXT.default.and_then(|text| Format::parse(text).ok()).as_ref() == Some(&context);
        let context_with_global = match Format::parse(CONTEXT_WITH_GLOBAL) {
            Ok(format) if is_default => format,
            _ => context.clone(),
        };
        Ok(Formats {
            context,
            context_with_global,
            default,
            identity,
            date: DATE.need(config.string(&DATE)?)?,
        })
    }

    /// Names that no line has a value for.
    pub(super) fn unknown(&self) -> Vec<&str> {
        unknown([&self.context, &self.default, &self.identity])
    }
}

/// The names in format strings that no line has a value for.
pub(super) fn unknown<'a>(formats: impl IntoIterator<Item = &'a Format>) -> Vec<&'a str> {
    let names = formats.into_iter().flat_map(Format::names);
    let mut unknown: Vec<&str> = names.filter(|name| !NAMES.contains(name)).collect();
    unknown.sort_unstable();
    unknown.dedup();
    unknown
}
