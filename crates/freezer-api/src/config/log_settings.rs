//! [`LogSettings`]: loggers, handlers and their destinations. `logging.rs` reads them from the options, and `log_file.rs` from
//! a file of Python's logging.

use std::path::PathBuf;

use tracing_subscriber::filter::LevelFilter;

use super::log_form::Form;

/// The levels, format and targets of log lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogSettings {
    /// Loggers as in Python, with dotted names. The name of the root logger is "".
    pub loggers: Vec<Logger>,
    /// The handlers of the loggers.
    pub handlers: Vec<Handler>,
    /// The options that name log files.
    pub file_options: LogFileOptions,
    /// The program name in syslog and in the journal. It is also the name of the file in `log_dir`.
    pub program: &'static str,
    /// Remarks about unsupported settings.
    pub remarks: Vec<String>,
}

/// The options that set the path of a log file, for errors about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogFileOptions {
    /// The option that sets the directory of the file.
    pub directory: &'static str,
    /// The option that sets the name of the file.
    pub file: &'static str,
}

impl LogFileOptions {
    pub(super) const fn one(option: &'static str) -> LogFileOptions {
        LogFileOptions { directory: option, file: option }
    }
}

/// A logger. Its settings also apply to the loggers below its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Logger {
    /// Dotted name. The root logger has the name "".
    pub name: String,
    /// Lowest level that is written. `None`: the level of the parent logger.
    pub level: Option<LevelFilter>,
    /// Indexes of its handlers.
    pub handlers: Vec<usize>,
    /// Whether the handlers of the parent loggers also get the lines.
    pub propagate: bool,
}

/// A target of log lines, with their format.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Handler {
    /// The target.
    pub target: LogTarget,
    /// Lowest level that this handler writes.
    pub level: LevelFilter,
    /// The format of a line.
    pub form: Form,
}

/// A target of log lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LogTarget {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
    /// A file, with its rotation. `None`: other programs rotate it.
    File(PathBuf, Option<Rotation>),
    /// Syslog.
    Syslog(Facility),
    /// systemd's journal.
    Journal(Facility),
    /// The lines are discarded.
    Nowhere,
}

/// When the service itself rotates a log file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rotation {
    /// Maximum size of a file in bytes.
    pub max_bytes: u64,
    /// Number of old files that are kept, at least 1.
    pub count: u32,
}

/// A facility of syslog (RFC 5424, section 6.2.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Facility(pub u8);

impl Default for Facility {
    fn default() -> Self {
        Facility(1)
    }
}

impl Facility {
    const NAMES: [&str; 24] = [
        "KERN", "USER", "MAIL", "DAEMON", "AUTH", "SYSLOG", "LPR", "NEWS", "UUCP", "CRON", "AUTHPRIV", "FTP",
        "", "", "", "", "LOCAL0", "LOCAL1", "LOCAL2", "LOCAL3", "LOCAL4", "LOCAL5", "LOCAL6", "LOCAL7",
    ];

    /// Parses the name of a facility, with or without `LOG_`, in any case.
    pub(super) fn parse(text: &str) -> Option<Facility> {
        let name = text.to_uppercase();
        let name = name.strip_prefix("LOG_").unwrap_or(&name);
        let number = Self::NAMES.iter().position(|known| !known.is_empty() && *known == name)?;
        u8::try_from(number).ok().map(Facility)
    }
}

/// The service's own loggers.
pub const OWN: [&str; 5] = ["freezer_api", "freezer_store", "keystone_auth", "oslo_config", "oslo_policy"];

/// Parses a level: a name, or one of Python's numbers.
pub(super) fn level(text: &str) -> Option<LevelFilter> {
    Some(match text.trim().to_uppercase().as_str() {
        "CRITICAL" | "FATAL" | "ERROR" => LevelFilter::ERROR,
        "WARN" | "WARNING" => LevelFilter::WARN,
        "INFO" => LevelFilter::INFO,
        "DEBUG" => LevelFilter::DEBUG,
        "TRACE" | "NOTSET" => LevelFilter::TRACE,
        number => python_level(number.parse().ok()?),
    })
}

/// Converts one of Python's numeric levels.
fn python_level(number: u32) -> LevelFilter {
    match number {
        0..10 => LevelFilter::TRACE,
        10..20 => LevelFilter::DEBUG,
        20..30 => LevelFilter::INFO,
        30..40 => LevelFilter::WARN,
        _ => LevelFilter::ERROR,
    }
}
