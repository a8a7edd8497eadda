//! The file of `log_config_append`: a configuration of Python's logging, as deployment tools write it.
//!
//! Read are the levels of loggers, the handlers that write to streams, files, syslog and the journal, and the formatters
//! of oslo.log and of Python. What is not understood is left out and named with its line; a file that Python's
//! `fileConfig` could not load is an error, as it is for oslo.log.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use tracing_subscriber::filter::LevelFilter;

use super::ConfigError;
use super::log_arguments::{quoted, split, with_keywords};
use super::log_form::{Form, Formats, PLAIN_DATE, unknown};
use super::logging::{Facility, Handler, Logger, Place, Rotation, level};
use crate::logging::{Format, Loggers};

/// What a file says.
pub(super) struct LogFile {
    pub(super) loggers: Vec<Logger>,
    pub(super) handlers: Vec<Handler>,
    /// What was not understood.
    pub(super) remarks: Vec<String>,
}

/// Reads a file; `formats` are the options of `ContextFormatter`.
pub(super) fn read(path: &Path, formats: &Formats) -> Result<LogFile, ConfigError> {
    let shown = path.display().to_string();
    let parsed = std::fs::read_to_string(path)
        .map_err(|error| error.to_string())
        .and_then(|text| Reader::new(&shown, &text)?.read(formats));
    parsed.map_err(|reason| ConfigError::Unusable {
        option: "[DEFAULT] log_config_append",
        reason: format!("Error loading logging config {shown}: {reason}"),
        value: shown,
    })
}

/// One value and its line.
struct Entry {
    value: String,
    line: usize,
}

type Section = BTreeMap<String, Entry>;

struct Reader<'a> {
    name: &'a str,
    /// Sections with the lines of their headers.
    sections: BTreeMap<String, (usize, Section)>,
    remarks: Vec<String>,
}

impl Reader<'_> {
    /// The grammar of Python's configparser.
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
                reader.sections.entry(title.clone()).or_insert_with(|| (number, Section::new()));
                (section, key) = (Some(title), None);
            } else if let Some((name, value)) = content.split_once(['=', ':'])
                && let Some((_, open)) = section.as_ref().and_then(|name| reader.sections.get_mut(name))
            {
                let name = name.trim().to_lowercase();
                open.insert(name.clone(), Entry { value: value.trim().to_owned(), line: number });
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

    /// Ensures that lines of the service are not lost because of handlers that are not understood: if no other handler
    /// gets them, those write to standard error. Remarks if no handler gets them.
    fn keep_own_lines(&mut self, loggers: &[Logger], handlers: &mut [Handler], unusable: &[usize]) {
        const OURS: &str = "freezer_api";
        let reached = Loggers(loggers.to_vec()).handlers(OURS);
        let writes = |at: &usize| handlers.get(*at).is_some_and(|handler| handler.place != Place::Nowhere);
        if reached.iter().any(writes) {
            return;
        }
        let mut is_rescued = false;
        for at in reached.iter().filter(|at| unusable.contains(at)) {
            if let Some(handler) = handlers.get_mut(*at) {
                handler.place = Place::Stderr;
                is_rescued = true;
            }
        }
        self.remarks.push(if is_rescued {
            format!("{}: no handler that is understood gets the lines of {OURS}; they go to standard error", self.name)
        } else {
            format!(
                "{}: no handler gets the lines of {OURS}, so the service logs nothing; give a logger with qualname = \
                 {OURS} a handler",
                self.name
            )
        });
    }

    /// The names that `keys` of a section lists.
    fn keys(&self, section: &str) -> Result<Vec<String>, String> {
        let keys = self.sections.get(section).and_then(|(_, section)| section.get("keys"));
        let keys = keys.ok_or_else(|| format!("{}: no keys in a section [{section}]", self.name))?;
        Ok(listed(&keys.value))
    }

    fn section(&self, title: &str) -> Result<(usize, &Section), String> {
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
        let place = |key: &str| section.get(key).map_or(line, |entry| entry.line);
        let (class, date, text) = (value("class"), value("datefmt"), value("format"));
        let (class_line, format_line) = (place("class"), place("format"));
        let style = value("style").filter(|style| style != "%");
        let style_line = place("style");
        if let Some(style) = style {
            self.remark(
                style_line,
                &format!("[{title}] style = {style}: only % is understood; the message alone is written"),
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
                                &format!("[{title}] format: no line has {names}; written as -"),
                            );
                        }
                        Ok(Form::Plain { format, date: date.unwrap_or_else(|| DATE_OF_PYTHON.to_owned()) })
                    }
                    Err(part) => {
                        self.remark(format_line, &format!("[{title}] format: not understood from {part:?} on; the message alone is written"));
                        Ok(plain("%(message)s", date))
                    }
                }
            }
            _ => {
                let class = class.unwrap_or_default();
                self.remark(
                    class_line,
                    &format!(
                        "[{title}] class = {class}: not understood; lines have the form of ContextFormatter"
                    ),
                );
                Ok(Form::Context(Box::new(formats.clone())))
            }
        }
    }

    /// Reads a handler, and whether its place is understood.
    fn handler(&mut self, name: &str, forms: &BTreeMap<String, Form>) -> Result<(Handler, bool), String> {
        let title = format!("handler_{name}");
        let (line, section) = self.section(&title)?;
        let value = |key: &str| section.get(key).map(|entry| entry.value.clone()).unwrap_or_default();
        let place = |key: &str| section.get(key).map_or(line, |entry| entry.line);
        let (class, formatter, arguments) = (value("class"), value("formatter"), value("args"));
        let (level_text, kwargs) = (value("level"), value("kwargs"));
        let (class_line, args_line, level_line, kwargs_line) =
            (place("class"), place("args"), place("level"), place("kwargs"));
        let form = match formatter.as_str() {
            "" => plain("%(message)s", None),
            name => forms.get(name).cloned().ok_or_else(|| {
                format!(
                    "{}: [{title}] has a formatter {name:?}, which is not among the keys of [formatters]",
                    self.name
                )
            })?,
        };
        let all = with_keywords(class_of(&class), split(&arguments), &kwargs).unwrap_or_else(|| {
            self.remark(
                kwargs_line,
                &format!("[{title}] kwargs = {kwargs}: not understood, so it has no effect"),
            );
            split(&arguments)
        });
        let place = place_of(class_of(&class), &all);
        let is_usable = place.is_ok();
        let place = place.unwrap_or_else(|problem| {
            let (line, what) = match problem {
                Problem::Class => (class_line, format!("class = {class}")),
                Problem::Arguments if kwargs.is_empty() => (args_line, format!("args = {arguments}")),
                Problem::Arguments => (args_line, format!("args = {arguments}, kwargs = {kwargs}")),
            };
            self.remark(line, &format!("[{title}] {what}: not understood; this handler writes nothing"));
            Place::Nowhere
        });
        if class_of(&class) == "TimedRotatingFileHandler" {
            self.remark(
                class_line,
                &format!("[{title}] files are not rotated by time; have logrotate move them away"),
            );
        }
        let level = self.level(&level_text, level_line, &title).unwrap_or(LevelFilter::TRACE);
        Ok((Handler { place, level, form }, is_usable))
    }

    fn level(&mut self, text: &str, line: usize, title: &str) -> Option<LevelFilter> {
        if text.is_empty() || text.eq_ignore_ascii_case("NOTSET") {
            return None;
        }
        let level = level(text);
        if level.is_none() {
            self.remark(line, &format!("[{title}] level = {text}: not a level; taken for INFO"));
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
            // Python's root logger
            level = Some(LevelFilter::WARN);
        }
        Ok(Logger { name, level, handlers, propagate })
    }
}

/// The form of a date where Python's formatter is not told any.
const DATE_OF_PYTHON: &str = "%Y-%m-%d %H:%M:%S,%L";

fn plain(text: &str, date: Option<String>) -> Form {
    let format = Format::parse(text).unwrap_or_default();
    Form::Plain { format, date: date.unwrap_or_else(|| DATE_OF_PYTHON.to_owned()) }
}

/// Names between commas, some tools write them in quotes.
fn listed(text: &str) -> Vec<String> {
    let names = text.split(',').map(|name| name.trim().trim_matches(['"', '\'']).to_owned());
    names.filter(|name| !name.is_empty()).collect()
}

/// A class of Python's logging or of oslo.log without its module; "" for others.
fn class_of(name: &str) -> &str {
    let (module, class) = name.rsplit_once('.').unwrap_or(("", name));
    let modules = ["", "logging", "handlers", "logging.handlers", "oslo_log.handlers", "oslo_log.formatters"];
    if modules.contains(&module) { class } else { "" }
}

/// The last name of a dotted one.
fn last_part(name: &str) -> &str {
    name.rsplit('.').next().unwrap_or(name)
}

/// Returns the parts of a handler that are not understood.
enum Problem {
    Class,
    Arguments,
}

fn place_of(class: &str, arguments: &[String]) -> Result<Place, Problem> {
    let first = arguments.first().map(String::as_str);
    let file =
        |rotation| quoted(first.unwrap_or_default()).map(|path| Place::File(PathBuf::from(path), rotation));
    match class {
        "StreamHandler" | "ColorHandler" => match first {
            None | Some("sys.stderr") => Ok(Place::Stderr),
            Some("sys.stdout") => Ok(Place::Stdout),
            Some(_) => Err(Problem::Arguments),
        },
        "FileHandler" | "WatchedFileHandler" | "TimedRotatingFileHandler" => {
            file(None).ok_or(Problem::Arguments)
        }
        "RotatingFileHandler" => {
            let number = |at: usize| arguments.get(at).and_then(|text| text.parse::<u32>().ok()).unwrap_or(0);
            let (max_bytes, count) = (u64::from(number(2)), number(3));
            file((max_bytes > 0 && count > 0).then_some(Rotation { max_bytes, count }))
                .ok_or(Problem::Arguments)
        }
        "SysLogHandler" | "OSSysLogHandler" => {
            let is_local = first.is_none_or(|first| quoted(first).is_some_and(|path| path.starts_with("/")))
                || class == "OSSysLogHandler";
            let facility = arguments.iter().find_map(|text| {
                text.contains("LOG_").then(|| Facility::parse(last_part(text.trim_matches(['"', '\'']))))
            });
            match (is_local, facility) {
                (false, _) | (_, Some(None)) => Err(Problem::Arguments),
                (true, facility) => Ok(Place::Syslog(facility.flatten().unwrap_or_default())),
            }
        }
        "OSJournalHandler" => Ok(Place::Journal(Facility::default())),
        "NullHandler" => Ok(Place::Nowhere),
        _ => Err(Problem::Class),
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

    /// As openstack-helm renders it.
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
    fn the_file_of_a_deployment_tool_is_understood() {
        let file = read(HELM).unwrap();
        assert_eq!(file.remarks, Vec::<String>::new());
        let places: Vec<_> = file.handlers.iter().map(|handler| handler.place.clone()).collect();
        assert_eq!(places, [Place::Stdout, Place::Stderr, Place::Nowhere]);
        assert!(matches!(&file.handlers[0].form, Form::Context(_)));
        let logger = |name: &str| file.loggers.iter().find(|logger| logger.name == name).unwrap();
        assert_eq!((logger("").level, &logger("").handlers[..]), (Some(LevelFilter::WARN), &[2][..]));
        let of_service = logger("freezer_api");
        assert_eq!((of_service.level, &of_service.handlers[..]), (Some(LevelFilter::INFO), &[0][..]));
        assert!(of_service.propagate);
    }

    fn handler(class: &str, args: &str) -> (Place, Vec<String>) {
        let text = format!(
            "[loggers]\nkeys=root\n[handlers]\nkeys=h\n[formatters]\nkeys=\n[logger_root]\nhandlers=h\n\
             [handler_h]\nclass={class}\nargs={args}\n"
        );
        let file = read(&text).unwrap();
        (file.handlers[0].place.clone(), file.remarks)
    }

    #[test]
    fn handlers_of_python_and_of_oslo_log_have_places() {
        let file = |rotation| Place::File("/var/log/a, b.log".into(), rotation);
        for (class, args, expected) in [
            ("StreamHandler", "(sys.stdout,)", Place::Stdout),
            ("logging.StreamHandler", "(sys.stderr, )", Place::Stderr),
            ("StreamHandler", "()", Place::Stderr),
            ("oslo_log.handlers.ColorHandler", "(sys.stdout,)", Place::Stdout),
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
                Place::Syslog(Facility(19)),
            ),
            ("oslo_log.handlers.OSSysLogHandler", "()", Place::Syslog(Facility(1))),
            ("oslo_log.handlers.OSJournalHandler", "()", Place::Journal(Facility(1))),
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
            let (place, remarks) = handler(class, args);
            // the only handler: its lines are not lost
            assert_eq!(place, Place::Stderr);
            assert!(remarks[1].contains("standard error"), "{remarks:?}");
            assert!(remarks[0].starts_with(&format!("l.conf:{line}: [handler_h] ")), "{remarks:?}");
        }
    }

    #[test]
    fn lines_of_the_service_have_a_handler_or_a_remark() {
        const FLUENT: &str = "class = fluent.handler.FluentHandler";
        let nowhere = |text: &str| {
            let file = read(text).unwrap();
            let places: Vec<_> = file.handlers.into_iter().map(|handler| handler.place).collect();
            (places, file.remarks)
        };
        // the logger of the service has another name, and the root writes nothing
        let (places, remarks) = nowhere(&HELM.replacen("qualname = freezer_api", "qualname = freezer", 1));
        assert_eq!(places, [Place::Stdout, Place::Stderr, Place::Nowhere]);
        assert_eq!(remarks.len(), 1, "{remarks:?}");
        assert!(remarks[0].contains("no handler gets the lines of freezer_api"), "{remarks:?}");
        // the service's handler is not understood, and another logger's is
        let (places, remarks) = nowhere(&HELM.replacen(
            "args = (sys.stdout,)\nclass = StreamHandler",
            &format!("args = ('a',)\n{FLUENT}"),
            1,
        ));
        assert_eq!(places, [Place::Stderr, Place::Stderr, Place::Nowhere]);
        assert!(remarks.iter().any(|remark| remark.contains("go to standard error")), "{remarks:?}");
        // another handler of the service is understood
        let (places, remarks) = nowhere(&HELM.replacen(
            "args = ()\nclass = logging.NullHandler",
            &format!("args = ()\n{FLUENT}"),
            1,
        ));
        assert_eq!(places, [Place::Stdout, Place::Stderr, Place::Nowhere]);
        assert_eq!(remarks.len(), 1, "{remarks:?}");
    }

    #[test]
    fn what_is_not_understood_is_named_with_its_line() {
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
    fn what_python_cannot_load_is_an_error() {
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
    fn values_go_on_in_indented_lines_and_names_may_be_quoted() {
        let text = HELM.replacen("keys = stdout,stderr,null", "keys = \"stdout\",\n  'stderr' ,\n  null", 1);
        assert_eq!(
            read(&text.replacen("args = ()", "# remark\n; another\nargs: ()", 1)).unwrap().handlers.len(),
            3
        );
    }
}
