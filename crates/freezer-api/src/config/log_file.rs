//! Reads the file of `log_config_append`, a configuration of Python's logging that deployment tools write.
//!
//! It supports the levels of loggers, the handlers that write to streams, files, syslog and the journal, and the
//! formatters of oslo.log and of Python. Unsupported parts are ignored and reported with their lines. If Python's
//! `fileConfig` could not load a file, this is an error, as it is for oslo.log.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use tracing_subscriber::filter::LevelFilter;

use super::ConfigError;
use super::log_arguments::{merge_keywords, quoted, split};
use super::log_form::{Form, Formats, PLAIN_DATE, unknown};
use super::log_settings::{Facility, Handler, LogTarget, Logger, Rotation, level};
use crate::logging::{Format, Loggers};

/// The loggers and handlers of a file.
pub(super) struct LogFile {
    pub(super) loggers: Vec<Logger>,
    pub(super) handlers: Vec<Handler>,
    /// Remarks about unsupported parts.
    pub(super) remarks: Vec<String>,
}

/// Reads a file. `formats` are the options of `ContextFormatter`.
pub(super) fn read(path: &Path, formats: &Formats) -> Result<LogFile, ConfigError> {
    let shown = path.display().to_string();
    let parsed = bounded_files::read_stream_to_string(path)
        .map_err(|error| error.to_string())
        .and_then(|text| Reader::new(&shown, &text)?.read(formats));
    parsed.map_err(|reason| ConfigError::Unusable {
        option: "[DEFAULT] log_config_append",
        reason: format!("Error loading logging config {shown}: {reason}"),
        value: shown,
    })
}

/// A value with its line.
struct LocatedValue {
    value: String,
    line: usize,
}

type SectionValues = BTreeMap<String, LocatedValue>;

struct Reader<'a> {
    name: &'a str,
    /// Sections with the lines of their headers.
    sections: BTreeMap<String, (usize, SectionValues)>,
    remarks: Vec<String>,
}

impl Reader<'_> {
    /// Parses a file with the grammar of Python's configparser.
    fn new<'a>(name: &'a str, text: &str) -> Result<Reader<'a>, String> {
        let mut reader = Reader { name, sections: BTreeMap::new(), remarks: Vec::new() };
        let (mut section, mut key) = (None::<String>, None::<String>);
        for (number, line) in text.lines().enumerate().map(|(at, line)| (at + 1, line)) {
            let content = line.trim();
            if content.is_empty() || content.starts_with(['#', ';']) {
                continue;
            }
            let open = section.as_ref().and_then(|name| reader.sections.get_mut(name));
            if line.starts_with([' ', '\t'])
                && let (Some((_, open)), Some(key)) = (open, &key)
            {
                if let Some(entry) = open.get_mut(key) {
                    entry.value.push('\n');
                    entry.value.push_str(content);
                }
            } else if let Some(title) = content.strip_prefix('[') {
                let title = title.split(']').next().unwrap_or_default().to_owned();
                reader.sections.entry(title.clone()).or_insert_with(|| (number, SectionValues::new()));
                (section, key) = (Some(title), None);
            } else if let Some((name, value)) = content.split_once(['=', ':'])
                && let Some((_, open)) = section.as_ref().and_then(|name| reader.sections.get_mut(name))
            {
                let name = name.trim().to_lowercase();
                open.insert(name.clone(), LocatedValue { value: value.trim().to_owned(), line: number });
                key = Some(name);
            } else {
                return Err(format!("{name}:{number}: {content:?} is neither a section nor a value in one"));
            }
        }
        Ok(reader)
    }

    fn read(mut self, formats: &Formats) -> Result<LogFile, String> {
        let formatters = self.keys("formatters")?;
        let mut forms = BTreeMap::new();
        for name in formatters {
            let form = self.form(&name, formats)?;
            forms.insert(name, form);
        }
        let names = self.keys("handlers")?;
        let mut handlers = Vec::with_capacity(names.len());
        let mut unusable = Vec::new();
        for (at, name) in names.iter().enumerate() {
            let (handler, is_usable) = self.handler(name, &forms)?;
            handlers.push(handler);
            unusable.extend((!is_usable).then_some(at));
        }
        let mut loggers = Vec::new();
        for name in self.keys("loggers")? {
            loggers.push(self.logger(&name, &names)?);
        }
        if loggers.iter().all(|logger| !logger.name.is_empty()) {
            return Err(format!("{}: no logger root among the keys of [loggers]", self.name));
        }
        self.keep_own_lines(&loggers, &mut handlers, &unusable);
        Ok(LogFile { loggers, handlers, remarks: self.remarks })
    }

    /// Prevents that unsupported handlers lose the service's log lines. If only unsupported handlers would get these
    /// lines, they write to standard error. Adds a remark if the lines are redirected or lost.
    fn keep_own_lines(&mut self, loggers: &[Logger], handlers: &mut [Handler], unusable: &[usize]) {
        const OURS: &str = "freezer_api";
        let reached = Loggers(loggers.to_vec()).handlers(OURS);
        let writes =
            |at: &usize| handlers.get(*at).is_some_and(|handler| handler.target != LogTarget::Nowhere);
        if reached.iter().any(writes) {
            return;
        }
        let mut is_rescued = false;
        for at in reached.iter().filter(|at| unusable.contains(at)) {
            if let Some(handler) = handlers.get_mut(*at) {
                handler.target = LogTarget::Stderr;
                is_rescued = true;
            }
        }
        self.remarks.push(if is_rescued {
            format!("{}: no supported handler gets the lines of {OURS}; they go to standard error", self.name)
        } else {
            format!(
                "{}: no handler gets the lines of {OURS}, so the service logs nothing; give a logger with qualname = \
                 {OURS} a handler",
                self.name
            )
        });
    }

    /// Returns the names in the option `keys` of a section.
    fn keys(&self, section: &str) -> Result<Vec<String>, String> {
        let keys = self.sections.get(section).and_then(|(_, section)| section.get("keys"));
        let keys = keys.ok_or_else(|| format!("{}: no keys in a section [{section}]", self.name))?;
        Ok(listed(&keys.value))
    }

    fn section(&self, title: &str) -> Result<(usize, &SectionValues), String> {
        let found = self.sections.get(title).map(|(line, section)| (*line, section));
        found.ok_or_else(|| format!("{}: no section [{title}]", self.name))
    }

    fn remark(&mut self, line: usize, text: &str) {
        self.remarks.push(format!("{}:{line}: {text}", self.name));
    }

    fn form(&mut self, name: &str, formats: &Formats) -> Result<Form, String> {
        let title = format!("formatter_{name}");
        let (line, section) = self.section(&title)?;
        let value =
            |key: &str| section.get(key).map(|entry| entry.value.clone()).filter(|text| !text.is_empty());
        let line_of = |key: &str| section.get(key).map_or(line, |entry| entry.line);
        let (class, date, text) = (value("class"), value("datefmt"), value("format"));
        let (class_line, format_line) = (line_of("class"), line_of("format"));
        let style = value("style").filter(|style| style != "%");
        let style_line = line_of("style");
        if let Some(style) = style {
            self.remark(
                style_line,
                &format!("[{title}] style = {style}: only % is supported; lines contain only the message"),
            );
            return Ok(plain("%(message)s", None));
        }
        match class.as_deref().map_or("Formatter", class_of) {
            "ContextFormatter" => {
                let date = date.unwrap_or_else(|| PLAIN_DATE.to_owned());
                Ok(Form::Context(Box::new(Formats { date, ..formats.clone() })))
            }
            "JSONFormatter" => Ok(Form::Json),
            "Formatter" => {
                let text = text.unwrap_or_else(|| "%(message)s".to_owned());
                match Format::parse(&text) {
                    Ok(format) => {
                        let names = unknown([&format]).join(", ");
                        if !names.is_empty() {
                            self.remark(
                                format_line,
                                &format!(
                                    "[{title}] format: no line has a value for {names}; it is written as -"
                                ),
                            );
                        }
                        Ok(Form::Plain { format, date: date.unwrap_or_else(|| DATE_OF_PYTHON.to_owned()) })
                    }
                    Err(part) => {
                        self.remark(
                            format_line,
                            &format!(
                                "[{title}] format: cannot be parsed from {part:?} on; \
                                                           lines contain only the message"
                            ),
                        );
                        Ok(plain("%(message)s", date))
                    }
                }
            }
            _ => {
                let class = class.unwrap_or_default();
                self.remark(
                    class_line,
                    &format!(
                        "[{title}] class = {class}: not supported; lines have the format of ContextFormatter"
                    ),
                );
                Ok(Form::Context(Box::new(formats.clone())))
            }
        }
    }

    /// Reads a handler. The result also tells whether its target is supported.
    fn handler(&mut self, name: &str, forms: &BTreeMap<String, Form>) -> Result<(Handler, bool), String> {
        let title = format!("handler_{name}");
        let (line, section) = self.section(&title)?;
        let value = |key: &str| section.get(key).map(|entry| entry.value.clone()).unwrap_or_default();
        let line_of = |key: &str| section.get(key).map_or(line, |entry| entry.line);
        let (class, formatter, arguments) = (value("class"), value("formatter"), value("args"));
        let (level_text, kwargs) = (value("level"), value("kwargs"));
        let (class_line, args_line, level_line, kwargs_line) =
            (line_of("class"), line_of("args"), line_of("level"), line_of("kwargs"));
        let form = match formatter.as_str() {
            "" => plain("%(message)s", None),
            name => forms.get(name).cloned().ok_or_else(|| {
                format!(
                    "{}: [{title}] has a formatter {name:?}, which is not among the keys of [formatters]",
                    self.name
                )
            })?,
        };
        let all = merge_keywords(class_of(&class), split(&arguments), &kwargs).unwrap_or_else(|| {
            self.remark(
                kwargs_line,
                &format!("[{title}] kwargs = {kwargs}: not supported, so it has no effect"),
            );
            split(&arguments)
        });
        let target = target_of(class_of(&class), &all);
        let is_usable = target.is_ok();
        let target = target.unwrap_or_else(|problem| {
            let (line, what) = match problem {
                HandlerProblem::Class => (class_line, format!("class = {class}")),
                HandlerProblem::Arguments if kwargs.is_empty() => (args_line, format!("args = {arguments}")),
                HandlerProblem::Arguments => (args_line, format!("args = {arguments}, kwargs = {kwargs}")),
            };
            self.remark(line, &format!("[{title}] {what}: not supported; this handler writes nothing"));
            LogTarget::Nowhere
        });
        if class_of(&class) == "TimedRotatingFileHandler" {
            self.remark(class_line, &format!("[{title}] rotation by time is not supported; use logrotate"));
        }
        let level = self.level(&level_text, level_line, &title).unwrap_or(LevelFilter::TRACE);
        Ok((Handler { target, level, form }, is_usable))
    }

    fn level(&mut self, text: &str, line: usize, title: &str) -> Option<LevelFilter> {
        if text.is_empty() || text.eq_ignore_ascii_case("NOTSET") {
            return None;
        }
        let level = level(text);
        if level.is_none() {
            self.remark(line, &format!("[{title}] level = {text}: unknown level; INFO is used"));
        }
        level.or(Some(LevelFilter::INFO))
    }

    fn logger(&mut self, key: &str, names: &[String]) -> Result<Logger, String> {
        let title = format!("logger_{key}");
        let (line, section) = self.section(&title)?;
        let value = |key: &str| section.get(key).map(|entry| entry.value.clone());
        let level_line = section.get("level").map_or(line, |entry| entry.line);
        let name = match key {
            "root" => String::new(),
            _ => {
                value("qualname").ok_or_else(|| format!("{}:{line}: [{title}] has no qualname", self.name))?
            }
        };
        let propagate = value("propagate").is_none_or(|value| value != "0");
        let (level_text, listed) =
            (value("level").unwrap_or_default(), listed(&value("handlers").unwrap_or_default()));
        let mut handlers = Vec::with_capacity(listed.len());
        for handler in listed {
            let at = names.iter().position(|name| *name == handler);
            handlers.push(at.ok_or_else(|| {
                format!(
                    "{}: [{title}] has a handler {handler:?}, which is not among the keys of [handlers]",
                    self.name
                )
            })?);
        }
        let mut level = self.level(&level_text, level_line, &title);
        if name.is_empty() && level_text.is_empty() {
            // This is the default level of Python's root logger.
            level = Some(LevelFilter::WARN);
        }
        Ok(Logger { name, level, handlers, propagate })
    }
}

/// The date format of Python's formatter, if the file does not set another one.
const DATE_OF_PYTHON: &str = "%Y-%m-%d %H:%M:%S,%L";

fn plain(text: &str, date: Option<String>) -> Form {
    let format = Format::parse(text).unwrap_or_default();
    Form::Plain { format, date: date.unwrap_or_else(|| DATE_OF_PYTHON.to_owned()) }
}

/// Splits a list of names. Some tools write the names in quotes.
fn listed(text: &str) -> Vec<String> {
    let names = text.split(',').map(|name| name.trim().trim_matches(['"', '\'']).to_owned());
    names.filter(|name| !name.is_empty()).collect()
}

/// Returns the name of a class of Python's logging or of oslo.log without its module. For other classes, it returns "".
fn class_of(name: &str) -> &str {
    let (module, class) = name.rsplit_once('.').unwrap_or(("", name));
    let modules = ["", "logging", "handlers", "logging.handlers", "oslo_log.handlers", "oslo_log.formatters"];
    if modules.contains(&module) { class } else { "" }
}

/// Returns the last component of a dotted name.
fn last_part(name: &str) -> &str {
    name.rsplit('.').next().unwrap_or(name)
}

/// The part of a handler that is not supported.
enum HandlerProblem {
    Class,
    Arguments,
}

fn target_of(class: &str, arguments: &[String]) -> Result<LogTarget, HandlerProblem> {
    let first = arguments.first().map(String::as_str);
    let file = |rotation| {
        quoted(first.unwrap_or_default()).map(|path| LogTarget::File(PathBuf::from(path), rotation))
    };
    match class {
        "StreamHandler" | "ColorHandler" => match first {
            None | Some("sys.stderr") => Ok(LogTarget::Stderr),
            Some("sys.stdout") => Ok(LogTarget::Stdout),
            Some(_) => Err(HandlerProblem::Arguments),
        },
        "FileHandler" | "WatchedFileHandler" | "TimedRotatingFileHandler" => {
            file(None).ok_or(HandlerProblem::Arguments)
        }
        "RotatingFileHandler" => {
            let number = |at: usize| arguments.get(at).and_then(|text| text.parse::<u32>().ok()).unwrap_or(0);
            let (max_bytes, count) = (u64::from(number(2)), number(3));
            file((max_bytes > 0 && count > 0).then_some(Rotation { max_bytes, count }))
                .ok_or(HandlerProblem::Arguments)
        }
        "SysLogHandler" | "OSSysLogHandler" => {
            let is_local = first.is_none_or(|first| quoted(first).is_some_and(|path| path.starts_with("/")))
                || class == "OSSysLogHandler";
            let facility = arguments.iter().find_map(|text| {
                text.contains("LOG_").then(|| Facility::parse(last_part(text.trim_matches(['"', '\'']))))
            });
            match (is_local, facility) {
                (false, _) | (_, Some(None)) => Err(HandlerProblem::Arguments),
                (true, facility) => Ok(LogTarget::Syslog(facility.flatten().unwrap_or_default())),
            }
        }
        "OSJournalHandler" => Ok(LogTarget::Journal(Facility::default())),
        "NullHandler" => Ok(LogTarget::Nowhere),
        _ => Err(HandlerProblem::Class),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use ::oslo_config::Config;

    fn formats() -> Formats {
        let config = Config::from_text("f", "").unwrap().declare(crate::config::log_form::OPTIONS);
        Formats::read(&config, &mut Vec::new()).unwrap()
    }

    fn read(text: &str) -> Result<LogFile, String> {
        Reader::new("l.conf", text)?.read(&formats())
    }

    /// The file that openstack-helm renders.
    const HELM: &str = "\
[formatter_context]
class = oslo_log.formatters.ContextFormatter
datefmt = %Y-%m-%d %H:%M:%S
[formatter_default]
datefmt = %Y-%m-%d %H:%M:%S
format = %(message)s
[formatters]
keys = context,default
[handler_null]
args = ()
class = logging.NullHandler
formatter = default
[handler_stderr]
args = (sys.stderr,)
class = StreamHandler
formatter = context
[handler_stdout]
args = (sys.stdout,)
class = StreamHandler
formatter = context
[handlers]
keys = stdout,stderr,null
[logger_amqp]
handlers = stderr
level = WARNING
qualname = amqp
[logger_freezer]
handlers = stdout
level = INFO
qualname = freezer_api
[logger_root]
handlers = null
level = WARNING
[loggers]
keys = root,freezer,amqp
";

    #[test]
    fn the_file_of_a_deployment_tool_is_supported() {
        let file = read(HELM).unwrap();
        assert_eq!(file.remarks, Vec::<String>::new());
        let targets: Vec<_> = file.handlers.iter().map(|handler| handler.target.clone()).collect();
        assert_eq!(targets, [LogTarget::Stdout, LogTarget::Stderr, LogTarget::Nowhere]);
        assert!(matches!(&file.handlers[0].form, Form::Context(_)));
        let logger = |name: &str| file.loggers.iter().find(|logger| logger.name == name).unwrap();
        assert_eq!((logger("").level, &logger("").handlers[..]), (Some(LevelFilter::WARN), &[2][..]));
        let of_service = logger("freezer_api");
        assert_eq!((of_service.level, &of_service.handlers[..]), (Some(LevelFilter::INFO), &[0][..]));
        assert!(of_service.propagate);
    }

    fn handler(class: &str, args: &str) -> (LogTarget, Vec<String>) {
        let text = format!(
            "[loggers]\nkeys=root\n[handlers]\nkeys=h\n[formatters]\nkeys=\n[logger_root]\nhandlers=h\n\
             [handler_h]\nclass={class}\nargs={args}\n"
        );
        let file = read(&text).unwrap();
        (file.handlers[0].target.clone(), file.remarks)
    }

    #[test]
    fn handlers_of_python_and_oslo_log_have_targets() {
        let file = |rotation| LogTarget::File("/var/log/a, b.log".into(), rotation);
        for (class, args, expected) in [
            ("StreamHandler", "(sys.stdout,)", LogTarget::Stdout),
            ("logging.StreamHandler", "(sys.stderr, )", LogTarget::Stderr),
            ("StreamHandler", "()", LogTarget::Stderr),
            ("oslo_log.handlers.ColorHandler", "(sys.stdout,)", LogTarget::Stdout),
            ("FileHandler", "('/var/log/a, b.log', 'a')", file(None)),
            ("handlers.WatchedFileHandler", "(\"/var/log/a, b.log\",)", file(None)),
            (
                "logging.handlers.RotatingFileHandler",
                "('/var/log/a, b.log', 'a', 1000, 5)",
                file(Some(Rotation { max_bytes: 1000, count: 5 })),
            ),
            ("RotatingFileHandler", "('/var/log/a, b.log',)", file(None)),
            (
                "handlers.SysLogHandler",
                "('/dev/log', handlers.SysLogHandler.LOG_LOCAL3)",
                LogTarget::Syslog(Facility(19)),
            ),
            ("oslo_log.handlers.OSSysLogHandler", "()", LogTarget::Syslog(Facility(1))),
            ("oslo_log.handlers.OSJournalHandler", "()", LogTarget::Journal(Facility(1))),
            ("FileHandler", "()\nkwargs={'filename': '/var/log/a, b.log'}", file(None)),
            (
                "handlers.RotatingFileHandler",
                "('/var/log/a, b.log',)\nkwargs={'maxBytes': 1000, 'backupCount': 5}",
                file(Some(Rotation { max_bytes: 1000, count: 5 })),
            ),
        ] {
            assert_eq!(handler(class, args), (expected, Vec::new()), "{class}{args}");
        }
        for (class, args, line) in [
            ("fluent.handler.FluentHandler", "('openstack.nova', 'localhost', 24224)", 10),
            ("handlers.SysLogHandler", "(('localhost', 514),)", 11),
            ("StreamHandler", "(open('/a'),)", 11),
            ("FileHandler", "()", 11),
        ] {
            let (target, remarks) = handler(class, args);
            // This is the only handler, so its lines must not be lost.
            assert_eq!(target, LogTarget::Stderr);
            assert!(remarks[1].contains("standard error"), "{remarks:?}");
            assert!(remarks[0].starts_with(&format!("l.conf:{line}: [handler_h] ")), "{remarks:?}");
        }
    }

    #[test]
    fn lines_of_the_service_are_not_lost_without_a_remark() {
        const FLUENT: &str = "class = fluent.handler.FluentHandler";
        let nowhere = |text: &str| {
            let file = read(text).unwrap();
            let targets: Vec<_> = file.handlers.into_iter().map(|handler| handler.target).collect();
            (targets, file.remarks)
        };
        // The logger of the service has another name, and the root logger has no handler.
        let (targets, remarks) = nowhere(&HELM.replacen("qualname = freezer_api", "qualname = freezer", 1));
        assert_eq!(targets, [LogTarget::Stdout, LogTarget::Stderr, LogTarget::Nowhere]);
        assert_eq!(remarks.len(), 1, "{remarks:?}");
        assert!(remarks[0].contains("no handler gets the lines of freezer_api"), "{remarks:?}");
        // The service's handler is not supported. The handler of another logger is.
        let (targets, remarks) = nowhere(&HELM.replacen(
            "args = (sys.stdout,)\nclass = StreamHandler",
            &format!("args = ('a',)\n{FLUENT}"),
            1,
        ));
        assert_eq!(targets, [LogTarget::Stderr, LogTarget::Stderr, LogTarget::Nowhere]);
        assert!(remarks.iter().any(|remark| remark.contains("go to standard error")), "{remarks:?}");
        // The service has a second handler, which is supported.
        let (targets, remarks) = nowhere(&HELM.replacen(
            "args = ()\nclass = logging.NullHandler",
            &format!("args = ()\n{FLUENT}"),
            1,
        ));
        assert_eq!(targets, [LogTarget::Stdout, LogTarget::Stderr, LogTarget::Nowhere]);
        assert_eq!(remarks.len(), 1, "{remarks:?}");
    }

    #[test]
    fn unsupported_parts_are_reported_with_their_line() {
        for (from, to, line, named) in [
            ("class = oslo_log.formatters.ContextFormatter", "class = my.Formatter", 2, "my.Formatter"),
            ("format = %(message)s", "format = %(message)s 50%", 6, "%"),
            ("format = %(message)s", "format = %(weather)s", 6, "weather"),
            ("format = %(message)s", "format = {message}\nstyle = {", 7, "style"),
            ("level = INFO", "level = LOUD", 29, "LOUD"),
            ("args = ()", "args = ()\nkwargs = {'a': 1}", 11, "kwargs"),
        ] {
            let remarks = read(&HELM.replacen(from, to, 1)).unwrap().remarks;
            assert_eq!(remarks.len(), 1, "{remarks:?}");
            assert!(
                remarks[0].starts_with(&format!("l.conf:{line}: ")) && remarks[0].contains(named),
                "{remarks:?}"
            );
        }
    }

    #[test]
    fn files_that_python_cannot_load_are_errors() {
        for (from, to, named) in [
            ("keys = root,freezer,amqp", "keys = freezer,amqp", "no logger root"),
            ("[loggers]", "[others]", "[loggers]"),
            ("handlers = stdout", "handlers = nowhere", "nowhere"),
            ("formatter = context", "formatter = nothing", "nothing"),
            ("qualname = amqp\n", "", "qualname"),
            ("[logger_amqp]", "[logger_other]", "[logger_amqp]"),
            ("[formatter_context]", "no section", "l.conf:1: "),
        ] {
            let error = read(&HELM.replacen(from, to, 1)).err().unwrap();
            assert!(error.starts_with("l.conf:") && error.contains(named), "{error}");
        }
    }

    #[test]
    fn values_continue_in_indented_lines_and_names_may_be_quoted() {
        let text = HELM.replacen("keys = stdout,stderr,null", "keys = \"stdout\",\n  'stderr' ,\n  null", 1);
        assert_eq!(
            read(&text.replacen("args = ()", "# remark\n; another\nargs: ()", 1)).unwrap().handlers.len(),
            3
        );
    }
}
