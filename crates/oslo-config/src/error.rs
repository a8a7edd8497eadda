//! What can go wrong, in words for the operator: what, where, and what to do.

use std::{fmt, io, path::PathBuf};

use crate::decl::Kind;

/// Where a value was set.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Origin {
    /// A configuration file (or the name given to a text), at a line counted from 1.
    File {
        /// The path of the file.
        file: String,
        /// The line of the key; continuation lines follow it.
        line: usize,
    },
    /// An environment variable.
    Environment {
        /// The variable's name.
        variable: String,
    },
    /// An option of the command line.
    CommandLine {
        /// What was written, such as `--bind-port`.
        option: String,
    },
    /// The option's declared default.
    Default,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { file, line } => write!(f, "{file}:{line}"),
            Self::Environment { variable } => write!(f, "environment variable {variable}"),
            Self::CommandLine { option } => write!(f, "command line option {option}"),
            Self::Default => f.write_str("the built-in default"),
        }
    }
}

/// An option whose value is wrong, and where the value was set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// The option's group.
    pub group: String,
    /// The option's name.
    pub option: String,
    /// Where the value was set.
    pub origin: Origin,
}

impl fmt::Display for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: [{}] {}", self.origin, self.group, self.option)
    }
}

/// Why a line is not in the dialect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// Neither a section, nor a comment, nor an assignment.
    #[error("expected `name = value` or `name: value`")]
    NoAssignment,
    /// `= value`.
    #[error("the name before `=` or `:` is empty")]
    EmptyKey,
    /// An indented line that follows no assignment.
    #[error("an indented line continues the value above it, and there is none")]
    StrayContinuation,
    /// `[section` without the bracket at the end of the line.
    #[error("a section header must end with `]`")]
    OpenSection,
    /// `[]`.
    #[error("the section has no name")]
    EmptySection,
    /// An assignment before the first section.
    #[error("an option must stand below a section header such as [DEFAULT]")]
    NoSection,
}

/// An error of reading or understanding configuration. No text of it holds the value of an option
/// declared secret.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file that was named does not exist or cannot be read.
    #[error("cannot read configuration file {}: {source}", path.display())]
    ReadFile {
        /// The file.
        path: PathBuf,
        /// The operating system's reason.
        source: io::Error,
    },
    /// A directory that was named does not exist or cannot be listed.
    #[error("cannot list configuration directory {}: {source}", path.display())]
    ReadDir {
        /// The directory.
        path: PathBuf,
        /// The operating system's reason.
        source: io::Error,
    },
    /// A file is not UTF-8.
    #[error("{file}:{line}: the file is not UTF-8 text; save it as UTF-8")]
    NotUtf8 {
        /// The file.
        file: String,
        /// The first line that is not UTF-8, counted from 1.
        line: usize,
    },
    /// A line is not in the dialect.
    #[error("{file}:{line}: {problem}: {text:?}")]
    Parse {
        /// The file.
        file: String,
        /// The line, counted from 1.
        line: usize,
        /// What is wrong with it.
        problem: Problem,
        /// The line's text, shortened; not shown when it may hold a password.
        text: String,
    },
    /// A value does not fit its option.
    #[error("{setting} = {value}: {reason}")]
    BadValue {
        /// The option.
        setting: Box<Setting>,
        /// The value as written, shortened; `***` for a secret.
        value: String,
        /// What the option accepts.
        reason: String,
    },
    /// A required option has no value.
    #[error("[{group}] {option} is not set: set it in a configuration file")]
    Unset {
        /// The option's group.
        group: String,
        /// The option's name.
        option: String,
    },
    /// A value refers to an option that is neither declared nor set.
    #[error(
        "{setting} refers to the unknown option {reference}; \
         write $$ for a dollar sign"
    )]
    UnknownReference {
        /// The option that holds the reference.
        setting: Box<Setting>,
        /// The text after the dollar sign; `***` for a secret.
        reference: String,
    },
    /// A value refers to an option of a group that does not exist.
    #[error(
        "{setting} refers to an option of an unknown group, {reference}; \
         write $$ for a dollar sign"
    )]
    UnknownGroup {
        /// The option that holds the reference.
        setting: Box<Setting>,
        /// The text after the dollar sign; `***` for a secret.
        reference: String,
    },
    /// A value refers to a whole group.
    #[error(
        "{setting} refers to the whole group {reference}; \
         name one of its options as ${{group.option}}, or write $$ for a dollar sign"
    )]
    GroupReference {
        /// The option that holds the reference.
        setting: Box<Setting>,
        /// The text after the dollar sign; `***` for a secret.
        reference: String,
    },
    /// Options refer to each other in a ring, or in a chain too long to be meant.
    #[error("[{group}] {option} refers to itself, or through too many options: {chain}")]
    ReferenceLoop {
        /// The group of the option where the ring closes.
        group: String,
        /// The name of the option where the ring closes.
        option: String,
        /// The options passed, in order.
        chain: String,
    },
    /// Substitution would make a value larger than [`crate::LONGEST_VALUE`].
    #[error("{setting} grows beyond 1 MiB by the options it refers to")]
    TooLong {
        /// The option.
        setting: Box<Setting>,
    },
    /// The program asked for an option as another type than it declared: a mistake in the program.
    #[error("[{group}] {option} is declared as {declared:?} and was asked for as {asked}")]
    WrongKind {
        /// The option's group.
        group: String,
        /// The option's name.
        option: String,
        /// The declared type.
        declared: Kind,
        /// The type asked for.
        asked: &'static str,
    },
}

impl Error {
    /// The option whose value is wrong, if the error is about one that was set.
    pub fn setting(&self) -> Option<&Setting> {
        match self {
            Self::BadValue { setting, .. }
            | Self::UnknownReference { setting, .. }
            | Self::UnknownGroup { setting, .. }
            | Self::GroupReference { setting, .. }
            | Self::TooLong { setting } => Some(setting),
            _ => None,
        }
    }
}
