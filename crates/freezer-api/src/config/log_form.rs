//! The format of log lines: the options of oslo.log.

use ::oslo_config::{Config, OptDecl};

use super::ConfigError;
use crate::logging::{Format, NAMES};

/// This is the format of freezer-api 19.0.0, but with one space before the message.
const CONTEXT: OptDecl = OptDecl::string("DEFAULT", "logging_context_format_string")
    .default(
        "%(asctime)s.%(msecs)03d %(process)d %(levelname)s %(name)s [%(request_id)s %(user_identity)s] \
         %(instance)s%(message)s",
    )
    .help("Format of log lines that belong to a request.");
/// The format that oslo.log uses instead of an unset [`CONTEXT`] if the request has a global request id.
const CONTEXT_WITH_GLOBAL: &str = "%(asctime)s.%(msecs)03d %(process)d %(levelname)s %(name)s \
                                   [%(global_request_id)s %(request_id)s %(user_identity)s] %(instance)s%(message)s";
const DEFAULT: OptDecl = OptDecl::string("DEFAULT", "logging_default_format_string")
    .default("%(asctime)s.%(msecs)03d %(process)d %(levelname)s %(name)s [-] %(instance)s%(message)s")
    .help("Format of log lines that belong to no request.");
const IDENTITY: OptDecl = OptDecl::string("DEFAULT", "logging_user_identity_format")
    .default("%(user)s %(project)s %(domain)s %(system_scope)s %(user_domain)s %(project_domain)s")
    .help("Format of %(user_identity)s in logging_context_format_string.");
const DATE: OptDecl = OptDecl::string("DEFAULT", "log_date_format")
    .default(PLAIN_DATE)
    .help("Format of %(asctime)s in log lines, as for strftime.");

/// The default format of dates in log lines.
pub(super) const PLAIN_DATE: &str = "%Y-%m-%d %H:%M:%S";

pub(super) const OPTIONS: &[&OptDecl] = &[&CONTEXT, &DEFAULT, &IDENTITY, &DATE];

/// The format of a log line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Form {
    /// The format of oslo.log's `ContextFormatter`.
    Context(Box<Formats>),
    /// A JSON object, as in oslo.log's `JSONFormatter`.
    Json,
    /// A format string of Python's logging.
    Plain {
        /// The format string.
        format: Format,
        /// The format of dates.
        date: String,
    },
}

/// The format strings of a `ContextFormatter`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Formats {
    /// For lines that belong to a request.
    pub context: Format,
    /// For lines that belong to a request with a global request id.
    pub context_with_global: Format,
    /// For lines that belong to no request.
    pub default: Format,
    /// The part that identifies the caller.
    pub identity: Format,
    /// The format of dates.
    pub date: String,
}

impl Formats {
    /// Reads the options. If a format string cannot be parsed, the default is used and a remark is added.
    pub(super) fn read(config: &Config, remarks: &mut Vec<String>) -> Result<Formats, ConfigError> {
        let mut parse = |option: &OptDecl| -> Result<Format, ConfigError> {
            let text = option.need(config.string(option)?)?;
            Ok(Format::parse(&text).unwrap_or_else(|part| {
                remarks.push(format!(
                    "[DEFAULT] {} = {text}: cannot be parsed from {part:?} on; the default is used. Write a field as \
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

    /// Returns the names in these formats that have no value in any line.
    pub(super) fn unknown(&self) -> Vec<&str> {
        unknown([&self.context, &self.default, &self.identity])
    }
}

/// Returns the names in format strings that have no value in any line.
pub(super) fn unknown<'a>(formats: impl IntoIterator<Item = &'a Format>) -> Vec<&'a str> {
    let names = formats.into_iter().flat_map(Format::names);
    let mut unknown: Vec<&str> = names.filter(|name| !NAMES.contains(name)).collect();
    unknown.sort_unstable();
    unknown.dedup();
    unknown
}
