//! The part of the command line that all programs share: where the configuration is, and the options of 19.0.0 that
//! override it. What only one program takes is declared in its binary.
//!
//! The options are declared on every level of subcommands instead of as clap's global arguments: a global argument
//! that is given on two levels keeps only one of its values.

use std::ffi::OsString;
use std::io::Write;
use std::path::PathBuf;

use clap::builder::PossibleValuesParser;
use clap::error::{ContextKind, ErrorKind};
use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Command, Parser, value_parser};
use clap_complete::Shell;
use oslo_config::{CommandLineOption, DEFAULT, Sources};

/// An option of the command line that sets an option of the group `DEFAULT`.
pub struct Setter {
    /// Its name, and that of the option that it sets, with `-`.
    name: &'static str,
    /// Names of former releases.
    aliases: &'static [&'static str],
    short: Option<char>,
    kind: Kind,
    help: &'static str,
    hidden: bool,
}

#[derive(Clone, Copy)]
enum Kind {
    /// It takes a value, which the help calls by this name.
    Value(&'static str),
    /// It sets a boolean, and this option unsets it.
    Flag(&'static str),
}

impl Setter {
    const fn new(name: &'static str, kind: Kind, help: &'static str) -> Setter {
        Setter { name, aliases: &[], short: None, kind, help, hidden: false }
    }

    const fn aliases(self, aliases: &'static [&'static str]) -> Setter {
        Setter { aliases, ..self }
    }

    const fn short(self, short: char) -> Setter {
        Setter { short: Some(short), ..self }
    }

    const fn hidden(self) -> Setter {
        Setter { hidden: true, ..self }
    }
}

/// Where `freezer-api` listens.
pub const LISTEN: &[Setter] = &[
    Setter::new("bind-host", Kind::Value("HOST"), "Address to listen on"),
    Setter::new("bind-port", Kind::Value("PORT"), "Port to listen on"),
];

/// What is logged and where, as oslo.log registers it.
pub const LOG: &[Setter] = &[
    Setter::new("debug", Kind::Flag("nodebug"), "Log at DEBUG instead of INFO").short('d'),
    Setter::new("log-config-append", Kind::Value("PATH"), "Configuration file of Python's logging module")
        .aliases(&["log-config", "log_config"]),
    Setter::new("log-date-format", Kind::Value("FORMAT"), "Format of the time in log lines"),
    Setter::new("log-file", Kind::Value("PATH"), "File to log to").aliases(&["logfile"]),
    Setter::new("log-dir", Kind::Value("DIR"), "Directory of the log file").aliases(&["logdir"]),
    Setter::new("use-syslog", Kind::Flag("nouse-syslog"), "Log to syslog"),
    Setter::new("syslog-log-facility", Kind::Value("FACILITY"), "Facility of lines in syslog and journal"),
    Setter::new("use-journal", Kind::Flag("nouse-journal"), "Log to systemd's journal"),
    Setter::new("use-json", Kind::Flag("nouse-json"), "Log a JSON object in each line"),
    // of oslo.log before 8.0
    Setter::new("watch-log-file", Kind::Flag("nowatch-log-file"), "Reopen a moved log file").hidden(),
];

/// The shared part of a parsed command line.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CommandLine {
    /// `--config-file`, in order.
    pub files: Vec<PathBuf>,
    /// `--config-dir`, in order.
    pub dirs: Vec<PathBuf>,
    /// How many files stand before each of `dirs`.
    pub files_before: Vec<usize>,
    /// Options that are set on the command line.
    pub arguments: Vec<CommandLineOption>,
}

impl CommandLine {
    /// The sources to read, with the variables of the environment given.
    pub fn sources(&self, env: Vec<(String, String)>, home: Option<PathBuf>) -> Sources {
        let found = oslo_config::default_sources("freezer", "freezer-api", home.as_deref());
        // as oslo.config does: the default files are read unless files are named, the default directories unless directories
        // are, and both before what is named
        let mut sources = Sources { env, arguments: self.arguments.clone(), ..Sources::default() };
        if self.files.is_empty() {
            sources.files = found.files;
        }
        let default_files = sources.files.len();
        if self.dirs.is_empty() {
            sources.files_before = vec![default_files; found.dirs.len()];
            sources.dirs = found.dirs;
        }
        sources.files.extend(self.files.iter().cloned());
        sources.files_before.extend(self.files_before.iter().map(|before| default_files + before));
        sources.dirs.extend(self.dirs.iter().cloned());
        sources
    }

    /// Sets an option of the group `DEFAULT`, as if `written` stood on the command line.
    pub fn set(&mut self, name: &str, value: &str, written: &str) {
        self.arguments.retain(|argument| argument.name != name);
        let (group, name) = (DEFAULT.to_owned(), name.to_owned());
        self.arguments.push(CommandLineOption {
            group,
            name,
            value: value.to_owned(),
            written: written.to_owned(),
        });
    }

    /// What was written to set an option, if it was set.
    pub fn written(&self, name: &str) -> Option<&str> {
        self.arguments.iter().find(|argument| argument.name == name).map(|argument| argument.written.as_str())
    }

    /// An error about where to log, with the options of the command line that say so.
    pub fn blame_log(&self, error: std::io::Error) -> std::io::Error {
        let places = ["log_file", "log_dir", "log_config_append", "use_syslog", "use_journal"];
        let given: Vec<&str> = places.into_iter().filter_map(|name| self.written(name)).collect();
        if given.is_empty() {
            return error;
        }
        std::io::Error::new(error.kind(), format!("{error} ({BLAMED}{})", given.join(", ")))
    }

    /// Adds what one level of subcommands has.
    fn read(&mut self, matches: &ArgMatches, setters: &[&'static [Setter]]) {
        let given = |id: &str| {
            let paths = matches.get_many::<PathBuf>(id).into_iter().flatten().cloned();
            matches.indices_of(id).into_iter().flatten().zip(paths).collect::<Vec<_>>()
        };
        let files = given(CONFIG_FILE).into_iter().map(|(at, path)| (at, false, path));
        let mut paths: Vec<_> =
            files.chain(given(CONFIG_DIR).into_iter().map(|(at, path)| (at, true, path))).collect();
        paths.sort_unstable();
        for (_, is_dir, path) in paths {
            if is_dir {
                self.files_before.push(self.files.len());
                self.dirs.push(path);
            } else {
                self.files.push(path);
            }
        }
        for setter in setters.iter().copied().flatten() {
            let name = setter.name.replace('-', "_");
            match setter.kind {
                Kind::Value(_) => {
                    if let Some(value) = matches.get_one::<String>(setter.name) {
                        self.set(&name, value, &format!("--{}", setter.name));
                    }
                }
                Kind::Flag(inverse) => {
                    let (yes, no) = (last(matches, setter.name), last(matches, inverse));
                    if yes.is_some() || no.is_some() {
                        let (value, written) =
                            if yes > no { ("true", setter.name) } else { ("false", inverse) };
                        self.set(&name, value, &format!("--{written}"));
                    }
                }
            }
        }
        if let Some((_, below)) = matches.subcommand() {
            self.read(below, setters);
        }
    }
}

/// How [`CommandLine::blame_log`] names options.
pub const BLAMED: &str = "set on the command line: ";
const CONFIG_FILE: &str = "config-file";
const CONFIG_DIR: &str = "config-dir";
/// oslo.config spells it with an underscore.
const SHELL_COMPLETION: &str = "shell_completion";

/// The position of a flag's last occurrence.
fn last(matches: &ArgMatches, id: &str) -> Option<usize> {
    let given = matches.value_source(id) == Some(ValueSource::CommandLine);
    given.then(|| matches.indices_of(id)?.next_back()).flatten()
}

/// Parses the command line of the process. Ends the process with exit code 2 if it is wrong, and with 0 if it asks for
/// help, for the version or for a completion script.
pub fn parse<P: Parser>(setters: &[&'static [Setter]]) -> (P, CommandLine) {
    let mut command = command::<P>(setters);
    let name = command.get_name().to_owned();
    match try_parse(&mut command, std::env::args_os(), setters) {
        Ok(Parsed::Arguments(arguments, line)) => (arguments, line),
        Ok(Parsed::Completion(shell)) => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut command, name, &mut script);
            // a reader that closes the pipe early has read enough
            let _ = std::io::stdout().write_all(&script);
            std::process::exit(0)
        }
        Err(error) => error.exit(),
    }
}

/// What a command line asks for.
enum Parsed<P> {
    Arguments(P, CommandLine),
    Completion(Shell),
}

/// A program's command line, with the shared options.
pub fn command<P: Parser>(setters: &[&'static [Setter]]) -> Command {
    let completion = Arg::new(SHELL_COMPLETION)
        .long(SHELL_COMPLETION)
        .value_name("SHELL")
        .value_parser(PossibleValuesParser::new(["bash", "zsh"]))
        .help("Print a script that completes this command line in a shell");
    let command = P::command().infer_long_args(true).args_override_self(true);
    with_options(command, setters, true).arg(completion)
}

fn with_options(command: Command, setters: &[&'static [Setter]], top: bool) -> Command {
    let path = |id: &'static str, value: &'static str, help: &'static str| {
        let arg = Arg::new(id).long(id).value_name(value).help(help);
        arg.action(ArgAction::Append).value_parser(value_parser!(PathBuf))
    };
    let mut command = command
        .arg(path(
            CONFIG_FILE,
            "PATH",
            "Configuration file; may be repeated, later ones win, also over directories before them. Default: freezer-api.conf in ~/.freezer, ~, \
             /etc/freezer, /etc",
        ))
        .arg(path(CONFIG_DIR, "DIR", "Directory of *.conf files, read in the order of the command line; may be repeated"));
    for setter in setters.iter().copied().flatten() {
        // the help of each subcommand would repeat them
        let hidden = setter.hidden || !top;
        let arg = Arg::new(setter.name).long(setter.name).aliases(setter.aliases.iter().copied());
        let arg = arg.help(setter.help).hide(hidden);
        let arg = match setter.short {
            Some(short) => arg.short(short),
            None => arg,
        };
        command = match setter.kind {
            Kind::Value(value) => command.arg(arg.value_name(value).allow_negative_numbers(true)),
            Kind::Flag(inverse) => {
                let help = format!("The inverse of --{}", setter.name);
                let unset = Arg::new(inverse).long(inverse).help(help).hide(hidden);
                command.arg(arg.action(ArgAction::SetTrue)).arg(unset.action(ArgAction::SetTrue))
            }
        };
    }
    command.mut_subcommands(|below| with_options(below, setters, false))
}

fn try_parse<P: Parser>(
    command: &mut Command,
    args: impl IntoIterator<Item = OsString>,
    setters: &[&'static [Setter]],
) -> Result<Parsed<P>, clap::Error> {
    let args: Vec<OsString> = args.into_iter().collect();
    let tree = command.clone();
    let mut matches = match command.try_get_matches_from_mut(&args) {
        Ok(matches) => matches,
        // a completion script needs no subcommand
        Err(error) if error.kind() == ErrorKind::MissingSubcommand => {
            let matches = tree.subcommand_required(false).try_get_matches_from(&args);
            return matches.ok().as_ref().and_then(completion).map(Parsed::Completion).ok_or(error);
        }
        Err(error) => return Err(with_place(error, &tree)),
    };
    if let Some(shell) = completion(&matches) {
        return Ok(Parsed::Completion(shell));
    }
    let mut line = CommandLine::default();
    line.read(&matches, setters);
    let arguments = P::from_arg_matches_mut(&mut matches).map_err(|error| error.format(command))?;
    Ok(Parsed::Arguments(arguments, line))
}

/// The shell that a completion script is asked for.
fn completion(matches: &ArgMatches) -> Option<Shell> {
    let shell = matches.get_one::<String>(SHELL_COMPLETION)?;
    Some(if shell == "zsh" { Shell::Zsh } else { Shell::Bash })
}

/// Suggests a subcommand of another level, such as `db sync` for `sync`, if clap finds none of the right level.
fn with_place(mut error: clap::Error, tree: &Command) -> clap::Error {
    if error.kind() == ErrorKind::InvalidSubcommand
        && error.get(ContextKind::SuggestedSubcommand).is_none()
        && let Some(clap::error::ContextValue::String(word)) = error.get(ContextKind::InvalidSubcommand)
    {
        let similar =
            |name: &&&str| strsim::jaro(word, name) > SIMILAR || strsim::osa_distance(word, name) <= MISTYPED;
        let near = paths(tree).into_iter().filter(|path| path.last().filter(similar).is_some());
        let near: Vec<String> = near.map(|path| path.join(" ")).collect();
        if !near.is_empty() {
            error.insert(ContextKind::SuggestedSubcommand, clap::error::ContextValue::Strings(near));
        }
    }
    error
}

/// Words are similar from this measure on; clap takes 0.7 for those of the right level.
const SIMILAR: f64 = 0.8;
/// So many characters may be wrong in a short word, where this measure fails.
const MISTYPED: usize = 1;

/// Every visible subcommand with those above it.
fn paths(command: &Command) -> Vec<Vec<&str>> {
    let mut all = Vec::new();
    for below in command.get_subcommands().filter(|below| !below.is_hide_set()) {
        all.push(vec![below.get_name()]);
        for mut path in paths(below) {
            path.insert(0, below.get_name());
            all.push(path);
        }
    }
    all
}

/// The environment and home directory of the process, for [`CommandLine::sources`]. Only the binaries call it.
pub fn of_process() -> (Vec<(String, String)>, Option<PathBuf>) {
    let env = std::env::vars_os()
        .filter_map(|(key, value)| Some((key.into_string().ok()?, value.into_string().ok()?)));
    (env.collect(), std::env::var_os("HOME").map(PathBuf::from))
}
