//! The configuration: typed lookup, checks, and information for the operator. `resolve.rs` finds values and
//! resolves references.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::{Arc, Mutex},
};

use crate::{
    decl::{OptDecl, OptionKind},
    error::{Error, Origin},
    ini::{self, IniFile},
    resolve::{Registry, Resolver},
    secret::SecretText,
    sources::{CommandLineOption, Sources},
    value::OptionValue,
};

/// An option that a file sets but no declaration contains.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownOption {
    /// The group, in lower case unless it is `DEFAULT`.
    pub group: String,
    /// The name as written in the file.
    pub name: String,
    /// The file.
    pub file: String,
    /// The line, counted from 1.
    pub line: usize,
}

/// Configuration read from files, the environment and the command line.
///
/// Values are converted when they are read; [`Config::check`] reads all of them. Options that values may
/// refer to (`$name`) must be declared with [`Config::declare`]. Otherwise a reference finds only values in
/// files, not defaults.
#[derive(Clone)]
pub struct Config {
    pub(crate) files: Vec<IniFile>,
    pub(crate) env: BTreeMap<String, String>,
    arguments: Vec<CommandLineOption>,
    registry: Registry,
    /// Deprecated names for which a warning was already logged.
    pub(crate) warned: Arc<Mutex<BTreeSet<(String, String)>>>,
}

impl fmt::Debug for Config {
    /// Prints only the sources, because values may be passwords.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("files", &self.files.iter().map(|file| &file.name).collect::<Vec<_>>())
            .field("env", &self.env.keys().collect::<Vec<_>>())
            .field("arguments", &self.arguments.iter().map(|argument| &argument.written).collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}

impl Config {
    /// Reads all sources.
    ///
    /// # Errors
    /// If a file or directory is missing or unreadable, or a line has a syntax error.
    pub fn load(sources: &Sources) -> Result<Self, Error> {
        Ok(Self::new(sources.read()?, sources.variables()).with_arguments(sources.arguments.clone()))
    }

    /// Reads a text. `name` is the file name in errors.
    ///
    /// # Errors
    /// [`Error::Parse`] at the first line with a syntax error.
    pub fn from_text(name: &str, text: &str) -> Result<Self, Error> {
        Self::from_texts(&[(name, text)], &[])
    }

    /// Reads texts in ascending order of priority, each with its name, and an environment with a higher
    /// priority.
    ///
    /// # Errors
    /// [`Error::Parse`] at the first line with a syntax error.
    pub fn from_texts(texts: &[(&str, &str)], env: &[(String, String)]) -> Result<Self, Error> {
        let files = texts.iter().map(|(name, text)| ini::parse(name, text));
        let sources = Sources { env: env.to_vec(), ..Sources::default() };
        Ok(Self::new(files.collect::<Result<_, _>>()?, sources.variables()))
    }

    fn new(files: Vec<IniFile>, env: BTreeMap<String, String>) -> Self {
        Self { files, env, arguments: Vec::new(), registry: Registry::default(), warned: Arc::default() }
    }

    /// Adds options of the command line. These options have the highest priority.
    #[must_use]
    pub fn with_arguments(mut self, arguments: Vec<CommandLineOption>) -> Self {
        self.arguments = arguments;
        self
    }

    /// Returns the names of the files that were read, in order.
    pub fn file_names(&self) -> Vec<String> {
        self.files.iter().map(|file| file.name.to_string()).collect()
    }

    /// Returns the option of the command line that sets a value.
    pub(crate) fn argument(&self, group: &str, name: &str) -> Option<&CommandLineOption> {
        self.arguments.iter().rev().find(|argument| argument.group == group && argument.name == name)
    }

    /// Makes options available to references, with their types, defaults and deprecated names.
    #[must_use]
    pub fn declare(mut self, decls: &[&OptDecl]) -> Self {
        self.registry.add(decls);
        self
    }

    fn value(&self, opt: &OptDecl, asked: &'static str, kinds: &[OptionKind]) -> Result<OptionValue, Error> {
        if !kinds.contains(&opt.kind) {
            return Err(Error::WrongKind {
                group: opt.group.to_owned(),
                option: opt.key(),
                declared: opt.kind,
                asked,
            });
        }
        Resolver::new(self, &self.registry).option(opt)
    }

    /// Returns the value of an [`OptionKind::Str`], [`OptionKind::HostAddress`] or [`OptionKind::Uri`]
    /// option.
    ///
    /// # Errors
    /// If the value is not valid for the option, or contains a reference to an unknown option. This applies
    /// to all typed lookups.
    pub fn string(&self, opt: &OptDecl) -> Result<Option<String>, Error> {
        match self.value(opt, "a string", &[OptionKind::Str, OptionKind::HostAddress, OptionKind::Uri])? {
            OptionValue::Str(text) => Ok(Some(text)),
            _ => Ok(None),
        }
    }

    /// Returns the same as [`Config::string`], as a value that is not printed.
    pub fn secret(&self, opt: &OptDecl) -> Result<Option<SecretText>, Error> {
        Ok(self.string(opt)?.map(SecretText::new))
    }

    /// Returns the value of an [`OptionKind::Bool`] option.
    pub fn bool(&self, opt: &OptDecl) -> Result<Option<bool>, Error> {
        match self.value(opt, "a boolean", &[OptionKind::Bool])? {
            OptionValue::Bool(value) => Ok(Some(value)),
            _ => Ok(None),
        }
    }

    /// Returns the value of an [`OptionKind::Int`] or [`OptionKind::Port`] option. An empty value is `None`.
    pub fn int(&self, opt: &OptDecl) -> Result<Option<i64>, Error> {
        match self.value(opt, "an integer", &[OptionKind::Int, OptionKind::Port])? {
            OptionValue::Int(number) => Ok(Some(number)),
            _ => Ok(None),
        }
    }

    /// Returns the value of an [`OptionKind::Float`] option. An empty value is `None`.
    pub fn float(&self, opt: &OptDecl) -> Result<Option<f64>, Error> {
        match self.value(opt, "a float", &[OptionKind::Float])? {
            OptionValue::Float(number) => Ok(Some(number)),
            _ => Ok(None),
        }
    }

    /// Returns the value of an [`OptionKind::Port`] option. An empty value is `None`.
    pub fn port(&self, opt: &OptDecl) -> Result<Option<u16>, Error> {
        match self.value(opt, "a port", &[OptionKind::Port])? {
            // The conversion has checked the range.
            OptionValue::Int(number) => Ok(u16::try_from(number).ok()),
            _ => Ok(None),
        }
    }

    /// Returns the items of an [`OptionKind::List`] option.
    pub fn list(&self, opt: &OptDecl) -> Result<Option<Vec<String>>, Error> {
        match self.value(opt, "a list", &[OptionKind::List])? {
            OptionValue::List(items) => Ok(Some(items)),
            _ => Ok(None),
        }
    }

    /// Returns all values of an [`OptionKind::MultiStr`] option, in the order of files and lines.
    pub fn multi(&self, opt: &OptDecl) -> Result<Option<Vec<String>>, Error> {
        match self.value(opt, "a multi-valued string", &[OptionKind::MultiStr])? {
            OptionValue::List(items) => Ok(Some(items)),
            _ => Ok(None),
        }
    }

    /// Returns the pairs of this [`OptionKind::Dict`] option.
    pub fn dict(&self, opt: &OptDecl) -> Result<Option<BTreeMap<String, String>>, Error> {
        match self.value(opt, "a dictionary", &[OptionKind::Dict])? {
            OptionValue::Dict(pairs) => Ok(Some(pairs.into_iter().collect())),
            _ => Ok(None),
        }
    }

    /// Returns the origin of the option's value, or `None` if it is not set and has no default.
    pub fn origin(&self, opt: &OptDecl) -> Option<Origin> {
        Resolver::quiet(self, &self.registry).origin(opt)
    }

    /// Returns the groups of the files, sorted, in lower case except `DEFAULT`.
    pub fn groups(&self) -> Vec<&str> {
        let names: BTreeSet<&str> =
            self.files.iter().flat_map(|file| file.groups.keys()).map(String::as_str).collect();
        names.into_iter().collect()
    }

    /// Returns the options that the files set but `decls` does not contain (by a current or deprecated name),
    /// in the order of the files.
    pub fn unknown(&self, decls: &[&OptDecl]) -> Vec<UnknownOption> {
        let known: BTreeSet<(String, String)> =
            decls.iter().flat_map(|decl| decl.names_in(decl.group)).collect();
        let mut found = Vec::new();
        for file in &self.files {
            let start = found.len();
            for (group, options) in &file.groups {
                for (name, entries) in options {
                    if known.contains(&(group.clone(), name.clone())) {
                        continue;
                    }
                    found.extend(entries.iter().map(|entry| UnknownOption {
                        group: group.clone(),
                        name: name.clone(),
                        file: file.name.clone(),
                        line: entry.line,
                    }));
                }
            }
            if let Some(of_this_file) = found.get_mut(start..) {
                of_this_file.sort_by_key(|option| option.line);
            }
        }
        found
    }

    /// Returns the options that the command line sets but `decls` does not contain, each once.
    pub fn unknown_arguments(&self, decls: &[&OptDecl]) -> Vec<&CommandLineOption> {
        let known = |argument: &CommandLineOption| {
            decls.iter().any(|decl| decl.group == argument.group && decl.key() == argument.name)
        };
        let decides =
            |argument: &&CommandLineOption| self.argument(&argument.group, &argument.name) == Some(*argument);
        self.arguments.iter().filter(decides).filter(|argument| !known(argument)).collect()
    }

    /// Returns an error for every invalid value of `decls`, and for every required option without a value.
    ///
    /// The options of `decls` may refer to each other without [`Config::declare`]. This check does not log
    /// warnings about deprecated names, because it can run before logging is set up.
    pub fn check(&self, decls: &[&OptDecl]) -> Vec<Error> {
        let mut registry = self.registry.clone();
        registry.add(decls);
        let mut errors = Vec::new();
        for decl in decls {
            match Resolver::quiet(self, &registry).option(decl) {
                Ok(OptionValue::Null) if decl.required => errors.push(decl.unset()),
                Ok(_) => {}
                Err(error) => errors.push(error),
            }
        }
        errors
    }
}

impl OptDecl {
    /// Returns the error that this option has no value.
    pub fn unset(&self) -> Error {
        Error::Unset { group: self.group.to_owned(), option: self.key() }
    }

    /// Returns the value of a required option.
    ///
    /// # Errors
    /// [`Error::Unset`] for `None`.
    pub fn need<T>(&self, value: Option<T>) -> Result<T, Error> {
        value.ok_or_else(|| self.unset())
    }
}
