//! The part of the command line that all programs share: the location of the configuration, and the options
//! of 19.0.0 that override it. Other options are declared in the binaries.
//!
//! Every level of subcommands declares these options, instead of using clap's global arguments, because clap
//! keeps only one value of a global argument on two levels.

use std::ffi::OsString;
use std::io::Write;
use std::path::{Path, PathBuf};

use clap::builder::PossibleValuesParser;
use clap::error::{ContextKind, ErrorKind};
use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Command, Parser, value_parser};
use clap_complete::Shell;
use oslo_config::{CommandLineOption, DEFAULT, Sources};

/// An option of the command line that sets an option of the group `DEFAULT`.
pub struct OptionArgument {
    /// The name of both options, with `-`.
    name: &'static str,
    /// Names in former releases.
    aliases: &'static [&'static str],
    short: Option<char>,
    kind: ArgumentKind,
    help: &'static str,
    hidden: bool,
}

#[derive(Clone, Copy)]
enum ArgumentKind {
    /// It has a value. The help uses this name for it.
    Value(&'static str),
    /// It sets a boolean. This is the name of the option that resets it.
    Flag(&'static str),
}

impl OptionArgument {
    const fn new(name: &'static str, kind: ArgumentKind, help: &'static str) -> OptionArgument {
        OptionArgument { name, aliases: &[], short: None, kind, help, hidden: false }
    }

    const fn aliases(self, aliases: &'static [&'static str]) -> OptionArgument {
        OptionArgument { aliases, ..self }
    }

    const fn short(self, short: char) -> OptionArgument {
        OptionArgument { short: Some(short), ..self }
    }

    const fn hidden(self) -> OptionArgument {
        OptionArgument { hidden: true, ..self }
    }
}

/// Options for the address of `freezer-api`.
pub const LISTEN: &[OptionArgument] = &[
    OptionArgument::new("bind-host", ArgumentKind::Value("HOST"), "Address to listen on"),
    OptionArgument::new("bind-port", ArgumentKind::Value("PORT"), "Port to listen on"),
];

/// The options of oslo.log.
pub const LOG: &[OptionArgument] = &[
    OptionArgument::new("debug", ArgumentKind::Flag("nodebug"), "Log at DEBUG instead of INFO").short('d'),
    OptionArgument::new(
        "log-config-append",
        ArgumentKind::Value("PATH"),
        "Configuration file of Python's logging module",
    )
    .aliases(&["log-config", "log_config"]),
    OptionArgument::new("log-date-format", ArgumentKind::Value("FORMAT"), "Format of the time in log lines"),
    OptionArgument::new("log-file", ArgumentKind::Value("PATH"), "File to log to").aliases(&["logfile"]),
    OptionArgument::new("log-dir", ArgumentKind::Value("DIR"), "Directory of the log file")
        .aliases(&["logdir"]),
    OptionArgument::new("use-syslog", ArgumentKind::Flag("nouse-syslog"), "Log to syslog"),
    OptionArgument::new(
        "syslog-log-facility",
        ArgumentKind::Value("FACILITY"),
        "Facility of lines in syslog and journal",
    ),
    OptionArgument::new("use-journal", ArgumentKind::Flag("nouse-journal"), "Log to systemd's journal"),
    OptionArgument::new("use-json", ArgumentKind::Flag("nouse-json"), "Log a JSON object in each line"),
    // From oslo.log before 8.0.
    OptionArgument::new("watch-log-file", ArgumentKind::Flag("nowatch-log-file"), "Reopen a moved log file")
        .hidden(),
];

/// The shared part of a parsed command line.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CommandLine {
    /// `--config-file`, in order.
    pub files: Vec<PathBuf>,
    /// `--config-dir`, in order.
    pub dirs: Vec<PathBuf>,
    /// For each of `dirs`, the number of files before it.
    pub files_before: Vec<usize>,
    /// Options that the command line sets.
    pub arguments: Vec<CommandLineOption>,
}

impl CommandLine {
    /// Returns the sources of the configuration, with the given environment.
    pub fn sources(&self, env: Vec<(String, String)>, home: Option<PathBuf>) -> Sources {
        let found = oslo_config::default_sources("freezer", "freezer-api", home.as_deref());
        // As in oslo.config, the default files are read unless the command line contains files, and the
        // default directories unless it contains directories. Both are read before those of the command line.
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

    /// Sets an option of the group `DEFAULT`, as if the command line contained `written`.
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

    /// Returns the spelling of an option on the command line, if it is set there.
    pub fn written(&self, name: &str) -> Option<&str> {
        self.arguments.iter().find(|argument| argument.name == name).map(|argument| argument.written.as_str())
    }

    /// Adds the options of the command line to an error of the log file.
    pub fn blame_log(&self, error: std::io::Error) -> std::io::Error {
        let places = ["log_file", "log_dir", "log_config_append", "use_syslog", "use_journal"];
        let given: Vec<&str> = places.into_iter().filter_map(|name| self.written(name)).collect();
        if given.is_empty() {
            return error;
        }
        std::io::Error::new(error.kind(), format!("{error} ({BLAMED}{})", given.join(", ")))
    }

    /// Reads the arguments of one level of subcommands.
    fn read(&mut self, matches: &ArgMatches, options: &[&'static [OptionArgument]]) {
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
        for option in options.iter().copied().flatten() {
            let name = option.name.replace('-', "_");
            match option.kind {
                ArgumentKind::Value(_) => {
                    if let Some(value) = matches.get_one::<String>(option.name) {
                        self.set(&name, value, &format!("--{}", option.name));
                    }
                }
                ArgumentKind::Flag(inverse) => {
                    let (yes, no) = (last(matches, option.name), last(matches, inverse));
                    if yes.is_some() || no.is_some() {
                        let (value, written) =
                            if yes > no { ("true", option.name) } else { ("false", inverse) };
                        self.set(&name, value, &format!("--{written}"));
                    }
                }
            }
        }
        if let Some((_, below)) = matches.subcommand() {
            self.read(below, options);
        }
    }
}

/// Marks the options that [`CommandLine::blame_log`] adds.
pub const BLAMED: &str = "set on the command line: ";
const CONFIG_FILE: &str = "config-file";
const CONFIG_DIR: &str = "config-dir";
/// The name in oslo.config has an underscore.
const SHELL_COMPLETION: &str = "shell_completion";
/// Hidden, because only the build of packages needs it.
const MAN_PAGES: &str = "man-pages";

/// Returns the position of a flag's last occurrence.
fn last(matches: &ArgMatches, id: &str) -> Option<usize> {
    let given = matches.value_source(id) == Some(ValueSource::CommandLine);
    given.then(|| matches.indices_of(id)?.next_back()).flatten()
}

/// Parses the command line of the process. Ends the process with exit code 2 if it is not valid, and with 0
/// if it requests the help, the version or a completion script.
pub fn parse<P: Parser>(options: &[&'static [OptionArgument]]) -> (P, CommandLine) {
    let mut command = command::<P>(options);
    let name = command.get_name().to_owned();
    match try_parse(&mut command, std::env::args_os(), options) {
        Ok(Parsed::Arguments(arguments, line)) => (arguments, line),
        Ok(Parsed::Completion(shell)) => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut command, name, &mut script);
            // A reader may close the pipe before the end.
            let _ = std::io::stdout().write_all(&script);
            std::process::exit(0)
        }
        // Parsing has added the subcommand `help` to the other command.
        Ok(Parsed::ManPages(directory)) => match man_pages(self::command::<P>(options), &directory) {
            Ok(()) => std::process::exit(0),
            Err(error) => {
                crate::logging::print_error(&name, &format!("{}: {error}", directory.display()));
                std::process::exit(1)
            }
        },
        Err(error) => error.exit(),
    }
}

/// The result of parsing a command line.
enum Parsed<P> {
    Arguments(P, CommandLine),
    Completion(Shell),
    ManPages(PathBuf),
}

/// Writes a man page for the program and for each of its subcommands.
fn man_pages(command: Command, directory: &Path) -> std::io::Result<()> {
    fn without_help(command: Command) -> Command {
        command.disable_help_subcommand(true).mut_subcommands(without_help)
    }
    clap_mangen::generate_to(without_help(command), directory)
}

/// Returns the command line of a program, with the shared options.
pub fn command<P: Parser>(options: &[&'static [OptionArgument]]) -> Command {
    let completion = Arg::new(SHELL_COMPLETION)
        .long(SHELL_COMPLETION)
        .value_name("SHELL")
        .value_parser(PossibleValuesParser::new(["bash", "zsh"]))
        .help("Print a script that completes this command line in a shell");
    let man_pages = Arg::new(MAN_PAGES).long(MAN_PAGES).value_name("DIR").hide(true);
    let man_pages = man_pages.value_parser(value_parser!(PathBuf));
    let command = P::command().infer_long_args(true).args_override_self(true);
    with_options(command, options, true).arg(completion).arg(man_pages)
}

fn with_options(command: Command, options: &[&'static [OptionArgument]], top: bool) -> Command {
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
    for option in options.iter().copied().flatten() {
        // Otherwise the help of each subcommand would repeat them.
        let hidden = option.hidden || !top;
        let arg = Arg::new(option.name).long(option.name).aliases(option.aliases.iter().copied());
        let arg = arg.help(option.help).hide(hidden);
        let arg = match option.short {
            Some(short) => arg.short(short),
            None => arg,
        };
        command = match option.kind {
            ArgumentKind::Value(value) => command.arg(arg.value_name(value).allow_negative_numbers(true)),
            ArgumentKind::Flag(inverse) => {
                let help = format!("The inverse of --{}", option.name);
                let unset = Arg::new(inverse).long(inverse).help(help).hide(hidden);
                command.arg(arg.action(ArgAction::SetTrue)).arg(unset.action(ArgAction::SetTrue))
            }
        };
    }
    command.mut_subcommands(|below| with_options(below, options, false))
}

fn try_parse<P: Parser>(
    command: &mut Command,
    args: impl IntoIterator<Item = OsString>,
    options: &[&'static [OptionArgument]],
) -> Result<Parsed<P>, clap::Error> {
    let args: Vec<OsString> = args.into_iter().collect();
    let tree = command.clone();
    let mut matches = match command.try_get_matches_from_mut(&args) {
        Ok(matches) => matches,
        // A completion script needs no subcommand.
        Err(error) if error.kind() == ErrorKind::MissingSubcommand => {
            let matches = tree.subcommand_required(false).try_get_matches_from(&args);
            return matches.ok().as_ref().and_then(generated).ok_or(error);
        }
        Err(error) => return Err(with_suggestion(error, &tree)),
    };
    if let Some(generated) = generated(&matches) {
        return Ok(generated);
    }
    let mut line = CommandLine::default();
    line.read(&matches, options);
    let arguments = P::from_arg_matches_mut(&mut matches).map_err(|error| error.format(command))?;
    Ok(Parsed::Arguments(arguments, line))
}

/// Returns the requested completion script or man pages.
fn generated<P>(matches: &ArgMatches) -> Option<Parsed<P>> {
    if let Some(directory) = matches.get_one::<PathBuf>(MAN_PAGES) {
        return Some(Parsed::ManPages(directory.clone()));
    }
    let shell = matches.get_one::<String>(SHELL_COMPLETION)?;
    Some(Parsed::Completion(if shell == "zsh" { Shell::Zsh } else { Shell::Bash }))
}

/// Suggests a subcommand of another level, such as `db sync` for `sync`, if clap finds none on the present
/// level.
fn with_suggestion(mut error: clap::Error, tree: &Command) -> clap::Error {
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

/// Words with at least this measure are similar. clap uses 0.7 on the present level.
const SIMILAR: f64 = 0.8;
/// Number of wrong characters in a short word, for which the measure is not suitable.
const MISTYPED: usize = 1;

/// Returns every visible subcommand with its parents.
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

/// Returns the environment and home directory of the process, for [`CommandLine::sources`]. Only binaries may
/// call it.
pub fn process_environment() -> (Vec<(String, String)>, Option<PathBuf>) {
    let env = std::env::vars_os()
        .filter_map(|(key, value)| Some((key.into_string().ok()?, value.into_string().ok()?)));
    (env.collect(), std::env::var_os("HOME").map(PathBuf::from))
}
