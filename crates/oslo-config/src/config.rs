//! The configuration read: typed lookup, checks, and what the operator may be told about it.
//! Not here: how a value is found and its references resolved (`resolve.rs`).

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::{Arc, Mutex},
};

use crate::{
    decl::{Kind, OptDecl},
    error::{Error, Origin},
    ini::{self, IniFile},
    resolve::{Registry, Resolver},
    secret::Secret,
    sources::{Argument, Sources},
    value::Value,
};

/// An option that a file sets and that no declaration knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownOption {
    /// The group, in lower case unless it is `DEFAULT`.
    pub group: String,
    /// The name as the file has it.
    pub name: String,
    /// The file.
    pub file: String,
    /// The line, counted from 1.
    pub line: usize,
}

/// Configuration read from files, the environment and the command line.
///
/// Values stay texts until they are asked for; [`Config::check`] asks for all of them. Options that
/// values may refer to (`$name`) must be made known with [`Config::declare`], or such a reference
/// finds only what a file sets, not defaults.
#[derive(Clone)]
pub struct Config {
    pub(crate) files: Vec<IniFile>,
    pub(crate) env: BTreeMap<String, String>,
    arguments: Vec<Argument>,
    registry: Registry,
    /// Old names already warned about.
    pub(crate) warned: Arc<Mutex<BTreeSet<(String, String)>>>,
}

impl fmt::Debug for Config {
    /// Shows where the configuration came from, not what it says: values may be passwords.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("files", &self.files.iter().map(|file| &file.name).collect::<Vec<_>>())
            .field("env", &self.env.keys().collect::<Vec<_>>())
            .field("arguments", &self.arguments.iter().map(|argument| &argument.written).collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}

impl Config {
    /// Reads everything that `sources` names.
    ///
    /// # Errors
    /// A file or directory that is missing or unreadable, or the first line outside the dialect.
    pub fn load(sources: &Sources) -> Result<Self, Error> {
        Ok(Self::new(sources.read()?, sources.variables()).with_arguments(sources.arguments.clone()))
    }

    /// Reads one text; `name` stands for it in errors.
    ///
    /// # Errors
    /// [`Error::Parse`] at the first line outside the dialect.
    pub fn from_text(name: &str, text: &str) -> Result<Self, Error> {
        Self::from_texts(&[(name, text)], &[])
    }

    /// Reads texts in rising order of priority, each with its name, and an environment above them.
    ///
    /// # Errors
    /// [`Error::Parse`] at the first line outside the dialect.
    pub fn from_texts(texts: &[(&str, &str)], env: &[(String, String)]) -> Result<Self, Error> {
        let files = texts.iter().map(|(name, text)| ini::parse(name, text));
        let sources = Sources { env: env.to_vec(), ..Sources::default() };
        Ok(Self::new(files.collect::<Result<_, _>>()?, sources.variables()))
    }

    fn new(files: Vec<IniFile>, env: BTreeMap<String, String>) -> Self {
        Self { files, env, arguments: Vec::new(), registry: Registry::default(), warned: Arc::default() }
    }

    /// Puts options of the command line above everything else.
    #[must_use]
    pub fn with_arguments(mut self, arguments: Vec<Argument>) -> Self {
        self.arguments = arguments;
        self
    }

    /// The option of the command line that decides a value.
    pub(crate) fn argument(&self, group: &str, name: &str) -> Option<&Argument> {
        self.arguments.iter().rev().find(|argument| argument.group == group && argument.name == name)
    }

    /// Makes options known to references, with their types, defaults and old names.
    #[must_use]
    pub fn declare(mut self, decls: &[&OptDecl]) -> Self {
        self.registry.add(decls);
        self
    }

    fn value(&self, opt: &OptDecl, asked: &'static str, kinds: &[Kind]) -> Result<Value, Error> {
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

    /// The value of a [`Kind::Str`], [`Kind::HostAddress`] or [`Kind::Uri`] option.
    ///
    /// # Errors
    /// The value does not fit, or refers to what does not exist.
    pub fn string(&self, opt: &OptDecl) -> Result<Option<String>, Error> {
        match self.value(opt, "a string", &[Kind::Str, Kind::HostAddress, Kind::Uri])? {
            Value::Str(text) => Ok(Some(text)),
            _ => Ok(None),
        }
    }

    /// [`Config::string`] for a value that must not be printed.
    ///
    /// # Errors
    /// As [`Config::string`].
    pub fn secret(&self, opt: &OptDecl) -> Result<Option<Secret>, Error> {
        Ok(self.string(opt)?.map(Secret::new))
    }

    /// The value of a [`Kind::Bool`] option.
    ///
    /// # Errors
    /// As [`Config::string`].
    pub fn bool(&self, opt: &OptDecl) -> Result<Option<bool>, Error> {
        match self.value(opt, "a boolean", &[Kind::Bool])? {
            Value::Bool(value) => Ok(Some(value)),
            _ => Ok(None),
        }
    }

    /// The value of a [`Kind::Int`] or [`Kind::Port`] option; `None` also for an empty value.
    ///
    /// # Errors
    /// As [`Config::string`].
    pub fn int(&self, opt: &OptDecl) -> Result<Option<i64>, Error> {
        match self.value(opt, "an integer", &[Kind::Int, Kind::Port])? {
            Value::Int(number) => Ok(Some(number)),
            _ => Ok(None),
        }
    }

    /// The value of a [`Kind::Float`] option; `None` also for an empty value.
    ///
    /// # Errors
    /// As [`Config::string`].
    pub fn float(&self, opt: &OptDecl) -> Result<Option<f64>, Error> {
        match self.value(opt, "a float", &[Kind::Float])? {
            Value::Float(number) => Ok(Some(number)),
            _ => Ok(None),
        }
    }

    /// The value of a [`Kind::Port`] option; `None` also for an empty value.
    ///
    /// # Errors
    /// As [`Config::string`].
    pub fn port(&self, opt: &OptDecl) -> Result<Option<u16>, Error> {
        match self.value(opt, "a port", &[Kind::Port])? {
            // The range was checked with the type.
            Value::Int(number) => Ok(u16::try_from(number).ok()),
            _ => Ok(None),
        }
    }

    /// The items of a [`Kind::List`] option.
    ///
    /// # Errors
    /// As [`Config::string`].
    pub fn list(&self, opt: &OptDecl) -> Result<Option<Vec<String>>, Error> {
        match self.value(opt, "a list", &[Kind::List])? {
            Value::List(items) => Ok(Some(items)),
            _ => Ok(None),
        }
    }

    /// Every value of a [`Kind::MultiStr`] option, in the order of files and lines.
    ///
    /// # Errors
    /// As [`Config::string`].
    pub fn multi(&self, opt: &OptDecl) -> Result<Option<Vec<String>>, Error> {
        match self.value(opt, "a multi-valued string", &[Kind::MultiStr])? {
            Value::List(items) => Ok(Some(items)),
            _ => Ok(None),
        }
    }

    /// The pairs of a [`Kind::Dict`] option.
    ///
    /// # Errors
    /// As [`Config::string`].
    pub fn dict(&self, opt: &OptDecl) -> Result<Option<BTreeMap<String, String>>, Error> {
        match self.value(opt, "a dictionary", &[Kind::Dict])? {
            Value::Dict(pairs) => Ok(Some(pairs.into_iter().collect())),
            _ => Ok(None),
        }
    }

    /// Where the option's value comes from; `None` when it is not set and has no default.
    pub fn origin(&self, opt: &OptDecl) -> Option<Origin> {
        Resolver::quiet(self, &self.registry).origin(opt)
    }

    /// The groups that the files open, sorted, in lower case except `DEFAULT`.
    pub fn groups(&self) -> Vec<&str> {
        let names: BTreeSet<&str> =
            self.files.iter().flat_map(|file| file.groups.keys()).map(String::as_str).collect();
        names.into_iter().collect()
    }

    /// What the files set and `decls` do not know by a current or an old name, in the files' order.
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

    /// What the command line sets and `decls` do not know, each option once.
    pub fn unknown_arguments(&self, decls: &[&OptDecl]) -> Vec<&Argument> {
        let known = |argument: &Argument| {
            decls.iter().any(|decl| decl.group == argument.group && decl.key() == argument.name)
        };
        let decides =
            |argument: &&Argument| self.argument(&argument.group, &argument.name) == Some(*argument);
        self.arguments.iter().filter(decides).filter(|argument| !known(argument)).collect()
    }

    /// Every value of `decls` that does not fit, and every required option without a value.
    ///
    /// The options of `decls` may refer to each other without [`Config::declare`]. Old names are
    /// not warned about here, so that a check before logging is set up swallows no warning.
    pub fn check(&self, decls: &[&OptDecl]) -> Vec<Error> {
        let mut registry = self.registry.clone();
        registry.add(decls);
        let mut errors = Vec::new();
        for decl in decls {
            match Resolver::quiet(self, &registry).option(decl) {
                Ok(Value::Null) if decl.required => errors.push(decl.unset()),
                Ok(_) => {}
                Err(error) => errors.push(error),
            }
        }
        errors
    }
}

impl OptDecl {
    /// The error that this option has no value.
    pub fn unset(&self) -> Error {
        Error::Unset { group: self.group.to_owned(), option: self.key() }
    }

    /// The value, where the caller cannot go on without one.
    ///
    /// # Errors
    /// [`Error::Unset`] for `None`.
    pub fn need<T>(&self, value: Option<T>) -> Result<T, Error> {
        value.ok_or_else(|| self.unset())
    }
}
