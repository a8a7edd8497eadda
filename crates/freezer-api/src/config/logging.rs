//! oslo.log's options in `[DEFAULT]`, as far as they mean something here.

use std::path::PathBuf;

use ::oslo_config::{Config, OptDecl};
use tracing_subscriber::filter::LevelFilter;

use super::ConfigError;

const DEBUG: OptDecl =
    OptDecl::boolean("DEFAULT", "debug").default("false").help("Log at DEBUG instead of INFO.");
const LOG_FILE: OptDecl = OptDecl::path("DEFAULT", "log_file")
    .deprecated(&[("", "logfile")])
    .help("File to log to; relative to log_dir. It is opened again when it is moved away, and at SIGHUP.");
const LOG_DIR: OptDecl = OptDecl::path("DEFAULT", "log_dir")
    .deprecated(&[("", "logdir")])
    .help("Directory of a relative log_file; without a log_file, the file is freezer-api.log there.");
const USE_STDERR: OptDecl = OptDecl::boolean("DEFAULT", "use_stderr")
    .default("false")
    .help("Log to the standard error stream in addition; without any other place, always.");
const USE_JSON: OptDecl =
    OptDecl::boolean("DEFAULT", "use_json").default("false").help("Log a JSON object in each line.");
const USE_SYSLOG: OptDecl =
    OptDecl::boolean("DEFAULT", "use_syslog").default("false").help("Log to syslog (/dev/log) in addition.");
const FACILITY: OptDecl = OptDecl::string("DEFAULT", "syslog_log_facility")
    .default("LOG_USER")
    .help("Facility of lines in syslog and journal.");
const USE_JOURNAL: OptDecl = OptDecl::boolean("DEFAULT", "use_journal")
    .default("false")
    .help("Log to systemd's journal in addition, with level and logger as fields.");
const LEVELS: OptDecl = OptDecl::list("DEFAULT", "default_log_levels").default("").help(
    "Levels of parts of the service and of libraries, as logger=LEVEL pairs, e.g. freezer_store=DEBUG.",
);
const ROTATION: OptDecl = OptDecl::string("DEFAULT", "log_rotation_type").default("none").help(
    "size: log_file is moved to log_file.1 and begun anew when it is full. none: others move it away. interval is taken \
     for none.",
);
const MAX_SIZE: OptDecl = OptDecl::integer("DEFAULT", "max_logfile_size_mb")
    .default("200")
    .min(0)
    .help("Size in MiB at which log_rotation_type = size begins a new file; 0: never.");
const MAX_COUNT: OptDecl = OptDecl::integer("DEFAULT", "max_logfile_count")
    .default("30")
    .min(0)
    .help("How many files log_rotation_type = size keeps beside the current one; 0: no new file is begun.");

pub(super) const OPTIONS: &[&OptDecl] = &[
    &DEBUG,
    &LOG_FILE,
    &LOG_DIR,
    &USE_STDERR,
    &USE_JSON,
    &USE_SYSLOG,
    &FACILITY,
    &USE_JOURNAL,
    &LEVELS,
    &ROTATION,
    &MAX_SIZE,
    &MAX_COUNT,
];

/// What is logged, and where to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LogSettings {
    /// Log at DEBUG.
    pub debug: bool,
    /// Levels of loggers, by the path of their module (`freezer_api::api`).
    pub levels: Vec<(String, LevelFilter)>,
    /// Each line is a JSON object.
    pub json: bool,
    /// The log file.
    pub file: Option<PathBuf>,
    /// When the file is moved aside; none: by others.
    pub rotation: Option<Rotation>,
    /// Log to standard error; where nothing else is given, it is logged to in any case.
    pub stderr: bool,
    /// Log to syslog.
    pub syslog: bool,
    /// Log to the journal.
    pub journal: bool,
    /// Facility of lines in syslog and journal.
    pub facility: Facility,
}

/// When a log file is moved aside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rotation {
    /// Bytes that a file does not exceed.
    pub max_bytes: u64,
    /// Files that are kept beside the current one; at least one.
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

    /// A facility by its name, with or without `LOG_`, in any case.
    fn parse(text: &str) -> Option<Facility> {
        let name = text.to_uppercase();
        let name = name.strip_prefix("LOG_").unwrap_or(&name);
        let number = Self::NAMES.iter().position(|known| !known.is_empty() && *known == name)?;
        u8::try_from(number).ok().map(Facility)
    }
}

impl LogSettings {
    pub(super) fn read(config: &Config) -> Result<LogSettings, ConfigError> {
        let flag = |option: &OptDecl| config.bool(option).map(|value| value.unwrap_or(false));
        let facility = FACILITY.need(config.string(&FACILITY)?)?;
        Ok(LogSettings {
            debug: flag(&DEBUG)?,
            levels: levels(config.list(&LEVELS)?.unwrap_or_default())?,
            json: flag(&USE_JSON)?,
            file: file(config)?,
            rotation: rotation(config)?,
            stderr: flag(&USE_STDERR)?,
            syslog: flag(&USE_SYSLOG)?,
            journal: flag(&USE_JOURNAL)?,
            facility: Facility::parse(&facility).ok_or_else(|| ConfigError::Unusable {
                option: "[DEFAULT] syslog_log_facility",
                value: facility,
                reason: "not a facility of syslog; most use LOG_USER, LOG_DAEMON or LOG_LOCAL0 to LOG_LOCAL7"
                    .to_owned(),
            })?,
        })
    }
}

/// As oslo.log finds it: a directory alone means a file of the program's name.
fn file(config: &Config) -> Result<Option<PathBuf>, ConfigError> {
    let dir = config.string(&LOG_DIR)?.map(PathBuf::from);
    Ok(match (dir, config.string(&LOG_FILE)?) {
        (Some(dir), Some(file)) => Some(dir.join(file)),
        (Some(dir), None) => Some(dir.join("freezer-api.log")),
        (None, file) => file.map(PathBuf::from),
    })
}

fn rotation(config: &Config) -> Result<Option<Rotation>, ConfigError> {
    let kind = ROTATION.need(config.string(&ROTATION)?)?;
    match kind.to_lowercase().as_str() {
        "size" => {}
        "none" | "interval" => return Ok(None),
        _ => {
            return Err(ConfigError::Unusable {
                option: "[DEFAULT] log_rotation_type",
                value: kind,
                reason: "must be size or none".to_owned(),
            });
        }
    }
    let megabytes = u64::try_from(config.int(&MAX_SIZE)?.unwrap_or(0)).unwrap_or(0);
    let count = u32::try_from(config.int(&MAX_COUNT)?.unwrap_or(0)).unwrap_or(u32::MAX);
    let max_bytes = megabytes.saturating_mul(1 << 20);
    Ok((max_bytes > 0 && count > 0).then_some(Rotation { max_bytes, count }))
}

/// What is asked for and not done.
pub(super) fn remark(config: &Config) -> Option<&'static str> {
    let kind = config.string(&ROTATION).ok()??;
    kind.eq_ignore_ascii_case("interval").then_some(
        "[DEFAULT] log_rotation_type = interval: files are not rotated by time; have logrotate move them away, they are \
         then begun anew",
    )
}

fn levels(pairs: Vec<String>) -> Result<Vec<(String, LevelFilter)>, ConfigError> {
    let parse = |pair: &String| {
        let (logger, level) = pair.split_once('=')?;
        let level = match level.trim().to_uppercase().as_str() {
            "CRITICAL" | "FATAL" | "ERROR" => LevelFilter::ERROR,
            "WARN" | "WARNING" => LevelFilter::WARN,
            "INFO" => LevelFilter::INFO,
            "DEBUG" => LevelFilter::DEBUG,
            "TRACE" | "NOTSET" => LevelFilter::TRACE,
            number => of_number(number.parse().ok()?),
        };
        Some((logger.trim().replace('.', "::"), level))
    };
    pairs
        .iter()
        .map(|pair| {
            parse(pair).ok_or_else(|| ConfigError::Unusable {
                option: "[DEFAULT] default_log_levels",
                value: pair.clone(),
                reason:
                    "not a pair like freezer_store=DEBUG; levels are DEBUG, INFO, WARNING, ERROR and CRITICAL"
                        .to_owned(),
            })
        })
        .collect()
}

/// Python's numbers of levels.
fn of_number(number: u32) -> LevelFilter {
    match number {
        0..10 => LevelFilter::TRACE,
        10..20 => LevelFilter::DEBUG,
        20..30 => LevelFilter::INFO,
        30..40 => LevelFilter::WARN,
        _ => LevelFilter::ERROR,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn read(text: &str) -> Result<LogSettings, ConfigError> {
        let config = Config::from_text("f", &format!("[DEFAULT]\n{text}\n")).unwrap().declare(OPTIONS);
        LogSettings::read(&config)
    }

    #[test]
    fn a_directory_alone_means_the_programs_file() {
        let file = |text| read(text).unwrap().file.map(|path| path.display().to_string());
        assert_eq!(file(""), None);
        assert_eq!(file("log_dir = /var/log/freezer").unwrap(), "/var/log/freezer/freezer-api.log");
        assert_eq!(file("log_dir = /var/log\nlog_file = a.log").unwrap(), "/var/log/a.log");
        assert_eq!(file("logdir = /var/log\nlogfile = /srv/a.log").unwrap(), "/srv/a.log");
    }

    #[test]
    fn levels_are_those_of_python() {
        let levels =
            read("default_log_levels = freezer_api.api=DEBUG, hyper=20,urllib3.retry=WARN").unwrap().levels;
        let expected = [
            ("freezer_api::api", LevelFilter::DEBUG),
            ("hyper", LevelFilter::INFO),
            ("urllib3::retry", LevelFilter::WARN),
        ];
        assert_eq!(levels, expected.map(|(logger, level)| (logger.to_owned(), level)));
        for bad in ["freezer_api", "freezer_api=LOUD"] {
            let error = read(&format!("default_log_levels = {bad}")).unwrap_err().to_string();
            assert!(error.contains("default_log_levels") && error.contains(bad), "{error}");
        }
    }

    #[test]
    fn facilities_have_names() {
        let facility = |name: &str| read(&format!("syslog_log_facility = {name}")).map(|log| log.facility.0);
        assert_eq!(facility("LOG_LOCAL3").unwrap(), 19);
        assert_eq!(facility("daemon").unwrap(), 3);
        assert!(facility("LOG_NOBODY").unwrap_err().to_string().contains("LOG_NOBODY"));
    }

    #[test]
    fn files_are_rotated_by_size_only() {
        let rotation = |text| read(text).unwrap().rotation;
        assert_eq!(rotation("log_rotation_type = Interval"), None);
        assert!(read("log_rotation_type = daily").unwrap_err().to_string().contains("daily"));
        assert_eq!(rotation("log_rotation_type = size\nmax_logfile_count = 0"), None);
        let text = "log_rotation_type = size\nmax_logfile_size_mb = 2\nmax_logfile_count = 3";
        assert_eq!(rotation(text), Some(Rotation { max_bytes: 2 << 20, count: 3 }));
    }
}
