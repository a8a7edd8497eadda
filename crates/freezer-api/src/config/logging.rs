//! The options of oslo.log in `[DEFAULT]` that apply to this service.

use std::path::{Path, PathBuf};

use ::oslo_config::{CommandLineOption, Config, OptDecl};
use tracing_subscriber::filter::LevelFilter;

use super::ConfigError;
use super::log_file;
use super::log_form::{Form, Formats};
use super::log_settings::{
    Facility, Handler, LogFileOptions, LogSettings, LogTarget, Logger, OWN, Rotation, level,
};

const DEBUG: OptDecl = OptDecl::boolean("DEFAULT", "debug")
    .unset_if_empty()
    .default("false")
    .help("Log at DEBUG instead of INFO.");
const LOG_FILE: OptDecl = OptDecl::path("DEFAULT", "log_file")
    .deprecated(&[("", "logfile")])
    .help("File to log to; relative to log_dir. It is opened again when it is moved away, and at SIGHUP.");
const LOG_DIR: OptDecl = OptDecl::path("DEFAULT", "log_dir")
    .deprecated(&[("", "logdir")])
    .help("Directory of a relative log_file; without a log_file, the file is freezer-api.log there.");
const USE_STDERR: OptDecl = OptDecl::boolean("DEFAULT", "use_stderr")
    .unset_if_empty()
    .default("false")
    .help("Log to the standard error stream, too. It is always used if there is no other destination.");
const USE_JSON: OptDecl = OptDecl::boolean("DEFAULT", "use_json")
    .unset_if_empty()
    .default("false")
    .help("Write each log line as a JSON object.");
const USE_SYSLOG: OptDecl = OptDecl::boolean("DEFAULT", "use_syslog")
    .unset_if_empty()
    .default("false")
    .help("Log to syslog (/dev/log), too.");
const FACILITY: OptDecl = OptDecl::string("DEFAULT", "syslog_log_facility")
    .default("LOG_USER")
    .help("Facility of lines in syslog and journal.");
const USE_JOURNAL: OptDecl = OptDecl::boolean("DEFAULT", "use_journal")
    .unset_if_empty()
    .default("false")
    .help("Log to systemd's journal, too, with level and logger as fields.");
const LEVELS: OptDecl = OptDecl::list("DEFAULT", "default_log_levels").default("").help(
    "Levels of loggers of the service and of libraries, as logger=LEVEL pairs, for example freezer_store=DEBUG.",
);
const ROTATION: OptDecl = OptDecl::string("DEFAULT", "log_rotation_type").unset_if_empty().default("none").help(
    "size: the service renames a full log_file to log_file.1 and creates a new one. none: other programs rotate it. \
     interval has the effect of none.",
);
const MAX_SIZE: OptDecl = OptDecl::integer("DEFAULT", "max_logfile_size_mb")
    .unset_if_empty()
    .default("200")
    .min(0)
    .help("Size in MiB at which log_rotation_type = size creates a new file; 0: never.");
const MAX_COUNT: OptDecl = OptDecl::integer("DEFAULT", "max_logfile_count")
    .unset_if_empty()
    .default("30")
    .min(0)
    .help("Number of old files that log_rotation_type = size keeps; 0: no rotation.");

const APPEND: OptDecl = OptDecl::path("DEFAULT", "log_config_append").deprecated(&[("", "log_config")]).help(
    "File with a configuration of Python's logging, which replaces the other options for logs: levels of loggers, \
     and handlers with formatters. docs/logging.md lists the supported ones.",
);

pub(super) const OPTIONS: &[&OptDecl] = &[
    &DEBUG,
    &APPEND,
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

/// The name of the service's program.
pub(super) const SERVICE: &str = "freezer-api";

impl LogSettings {
    pub(super) fn read(config: &Config, program: &'static str) -> Result<LogSettings, ConfigError> {
        let mut remarks = Vec::new();
        let formats = Formats::read(config, &mut remarks)?;
        let unknown = formats.unknown().join(", ");
        if !unknown.is_empty() {
            remarks.push(format!(
                "[DEFAULT] logging_context_format_string and the other formats: no line has a value for {unknown}; \
                 it is written as -"
            ));
        }
        if let Some(path) = config.string(&APPEND)?.filter(|path| !path.is_empty()) {
            let file = log_file::read(Path::new(&path), &formats)?;
            remarks.extend(file.remarks);
            let file_options = LogFileOptions::one("log_config_append");
            let (loggers, handlers) = (file.loggers, file.handlers);
            return Ok(LogSettings { loggers, handlers, file_options, program, remarks });
        }
        let flag = |option: &OptDecl| config.bool(option).map(|value| value.unwrap_or(false));
        let form = if flag(&USE_JSON)? { Form::Json } else { Form::Context(Box::new(formats)) };
        let (syslog, journal) = (flag(&USE_SYSLOG)?, flag(&USE_JOURNAL)?);
        let facility = facility(config, syslog || journal, &mut remarks)?;
        let sockets =
            [syslog.then_some(LogTarget::Syslog(facility)), journal.then_some(LogTarget::Journal(facility))];
        let file = file(config, program)?;
        let targets = targets(config, file, flag(&USE_STDERR)?, sockets.into_iter().flatten().collect())?;
        let handler = |target| Handler { target, level: LevelFilter::TRACE, form: form.clone() };
        let handlers: Vec<Handler> = targets.into_iter().map(handler).collect();
        let level = if flag(&DEBUG)? { LevelFilter::DEBUG } else { LevelFilter::INFO };
        let named = OWN.map(|name| (name.to_owned(), level)).into_iter();
        let named = named.chain(levels(config.list(&LEVELS)?.unwrap_or_default())?);
        let mut loggers: Vec<Logger> = Vec::new();
        // Libraries log at WARNING, as in the default of default_log_levels.
        for (name, level) in std::iter::once((String::new(), LevelFilter::WARN)).chain(named) {
            loggers.retain(|logger| logger.name != name);
            let handlers = if name.is_empty() { (0..handlers.len()).collect() } else { Vec::new() };
            loggers.push(Logger { name, level: Some(level), handlers, propagate: true });
        }
        Ok(LogSettings { loggers, handlers, file_options: file_options(config)?, program, remarks })
    }

    /// Reads the logging options from the command line only, for programs other than the service.
    ///
    /// # Errors
    /// A [`ConfigError`] that names the option of the command line.
    pub fn from_arguments(
        program: &'static str,
        arguments: Vec<CommandLineOption>,
    ) -> Result<LogSettings, ConfigError> {
        let options = [OPTIONS, super::log_form::OPTIONS].concat();
        let config = Config::from_texts(&[], &[])?.with_arguments(arguments).declare(&options);
        super::check(&config, &options)?;
        LogSettings::read(&config, program).map_err(|error| error.located(&config))
    }
}

/// Returns the configured targets. Without any other target, standard error is used.
fn targets(
    config: &Config,
    file: Option<PathBuf>,
    stderr: bool,
    sockets: Vec<LogTarget>,
) -> Result<Vec<LogTarget>, ConfigError> {
    let rotation = rotation(config)?;
    let mut targets: Vec<LogTarget> = file.map(|path| LogTarget::File(path, rotation)).into_iter().collect();
    if stderr || (targets.is_empty() && sockets.is_empty()) {
        targets.push(LogTarget::Stderr);
    }
    targets.extend(sockets);
    Ok(targets)
}

/// Returns the facility of lines in syslog and in the journal. An unknown one is an error only if it is used.
fn facility(config: &Config, used: bool, remarks: &mut Vec<String>) -> Result<Facility, ConfigError> {
    const OPTION: &str = "[DEFAULT] syslog_log_facility";
    const REASON: &str =
        "not a facility of syslog; most use LOG_USER, LOG_DAEMON or LOG_LOCAL0 to LOG_LOCAL7";
    let name = FACILITY.need(config.string(&FACILITY)?)?;
    match Facility::parse(&name) {
        Some(facility) => Ok(facility),
        None if used => Err(ConfigError::Unusable { option: OPTION, value: name, reason: REASON.to_owned() }),
        None => {
            remarks.push(format!(
                "{OPTION} = {name}: {REASON}. It is not used without use_syslog and use_journal"
            ));
            Ok(Facility::default())
        }
    }
}

/// Returns the path of the log file, as in oslo.log: if only the directory is set, the file has the name of the
/// program.
fn file(config: &Config, program: &str) -> Result<Option<PathBuf>, ConfigError> {
    let dir = config.string(&LOG_DIR)?.map(PathBuf::from);
    Ok(match (dir, config.string(&LOG_FILE)?) {
        (Some(dir), Some(file)) => Some(dir.join(file)),
        (Some(dir), None) => Some(dir.join(format!("{program}.log"))),
        (None, file) => file.map(PathBuf::from),
    })
}

/// Returns the options that set the path that [`file`] returns.
fn file_options(config: &Config) -> Result<LogFileOptions, ConfigError> {
    let file = config.string(&LOG_FILE)?;
    Ok(match (config.string(&LOG_DIR)?, file.as_deref().map(Path::new)) {
        (Some(_), None) => LogFileOptions::one("log_dir"),
        // The file name has no directory of its own.
        (Some(_), Some(file)) if file.parent() == Some(Path::new("")) => {
            LogFileOptions { directory: "log_dir", file: "log_file" }
        }
        _ => LogFileOptions::one("log_file"),
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

/// Returns a warning if rotation by time is configured, which is not supported.
pub(super) fn remark(config: &Config) -> Option<&'static str> {
    let kind = config.string(&ROTATION).ok()??;
    kind.eq_ignore_ascii_case("interval").then_some(
        "[DEFAULT] log_rotation_type = interval: rotation by time is not supported; use logrotate. The service \
         creates a new file when the old one is renamed",
    )
}

fn levels(pairs: Vec<String>) -> Result<Vec<(String, LevelFilter)>, ConfigError> {
    let parse = |pair: &String| {
        let (logger, level_name) = pair.split_once('=')?;
        Some((logger.trim().replace("::", "."), level(level_name)?))
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn read(text: &str) -> Result<LogSettings, ConfigError> {
        let options = [OPTIONS, crate::config::log_form::OPTIONS].concat();
        let config = Config::from_text("f", &format!("[DEFAULT]\n{text}\n")).unwrap().declare(&options);
        LogSettings::read(&config, SERVICE)
    }

    fn first_target(text: &str) -> LogTarget {
        read(text).unwrap().handlers.into_iter().next().unwrap().target
    }

    #[test]
    fn a_directory_alone_means_the_programs_file() {
        for (text, path) in [
            ("log_dir = /var/log/freezer", "/var/log/freezer/freezer-api.log"),
            ("log_dir = /var/log\nlog_file = a.log", "/var/log/a.log"),
            ("logdir = /var/log\nlogfile = /srv/a.log", "/srv/a.log"),
        ] {
            assert_eq!(first_target(text), LogTarget::File(path.into(), None));
        }
        assert_eq!(first_target(""), LogTarget::Stderr);
        assert_eq!(read("use_syslog = true\nuse_stderr = true").unwrap().handlers.len(), 2);
    }

    #[test]
    fn levels_are_those_of_python() {
        let text =
            "default_log_levels = freezer_api.api=DEBUG, hyper=20,urllib3.retry=WARN, freezer_store=ERROR";
        let loggers = read(text).unwrap().loggers;
        let level =
            |name: &str| loggers.iter().find(|logger| logger.name == name).and_then(|logger| logger.level);
        for (name, expected) in [
            ("", LevelFilter::WARN),
            ("freezer_api", LevelFilter::INFO),
            ("freezer_api.api", LevelFilter::DEBUG),
            ("freezer_store", LevelFilter::ERROR),
            ("hyper", LevelFilter::INFO),
            ("urllib3.retry", LevelFilter::WARN),
        ] {
            assert_eq!(level(name), Some(expected), "{name}");
        }
        for bad in ["freezer_api", "freezer_api=LOUD"] {
            let error = read(&format!("default_log_levels = {bad}")).unwrap_err().to_string();
            assert!(error.contains("default_log_levels") && error.contains(bad), "{error}");
        }
    }

    #[test]
    fn facilities_are_parsed_by_name() {
        let facility = |name: &str| {
            read(&format!("use_syslog = true\nsyslog_log_facility = {name}"))
                .map(|log| log.handlers[0].target.clone())
        };
        assert_eq!(facility("LOG_LOCAL3").unwrap(), LogTarget::Syslog(Facility(19)));
        assert_eq!(facility("daemon").unwrap(), LogTarget::Syslog(Facility(3)));
        assert!(facility("LOG_NOBODY").unwrap_err().to_string().contains("LOG_NOBODY"));
        assert!(facility("").is_err());
        for unused in ["LOG_NOBODY", ""] {
            let log = read(&format!("syslog_log_facility = {unused}")).unwrap();
            assert_eq!(log.handlers[0].target, LogTarget::Stderr);
            assert!(log.remarks[0].contains("syslog_log_facility"), "{:?}", log.remarks);
        }
    }

    #[test]
    fn files_are_rotated_by_size_only() {
        let rotation = |text: &str| match first_target(&format!("log_file = /a\n{text}")) {
            LogTarget::File(_, rotation) => rotation,
            other => panic!("{other:?}"),
        };
        assert_eq!(rotation("log_rotation_type = Interval"), None);
        assert!(read("log_rotation_type = daily").unwrap_err().to_string().contains("daily"));
        assert_eq!(rotation("log_rotation_type ="), None);
        assert_eq!(rotation("log_rotation_type = size\nmax_logfile_count = 0"), None);
        let text = "log_rotation_type = size\nmax_logfile_size_mb = 2\nmax_logfile_count = 3";
        assert_eq!(rotation(text), Some(Rotation { max_bytes: 2 << 20, count: 3 }));
    }

    #[test]
    fn invalid_formats_are_reported() {
        for option in ["context_format_string", "default_format_string", "user_identity_format"] {
            let log = read(&format!("logging_{option} = %(message)s %(oops")).unwrap();
            assert_eq!(log.remarks.len(), 1, "{option}: {:?}", log.remarks);
            let remark = &log.remarks[0];
            assert!(remark.contains(option) && remark.contains("%(oops"), "{remark}");
            assert_eq!(log.handlers, read("").unwrap().handlers, "the default form");
        }
        assert!(
            read("logging_default_format_string = %(message)s %(weather)s").unwrap().remarks[0]
                .contains("weather")
        );
    }
}
