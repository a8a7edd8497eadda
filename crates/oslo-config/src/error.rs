//! The errors. Their texts tell the operator the problem, its place and the remedy.

use std::{fmt, io, path::PathBuf};

use crate::decl::OptionKind;

/// The place at which a value was set.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Origin {
    /// A line of a configuration file, or of a text with this name.
    File {
        /// The path of the file.
        file: String,
        /// The line of the key, counted from 1. Continuation lines follow it.
        line: usize,
    },
    /// An environment variable.
    Environment {
        /// The variable's name.
        variable: String,
    },
    /// An option on the command line.
    CommandLine {
        /// The spelling on the command line, such as `--bind-port`.
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

/// An option with a wrong value, and the place at which the value was set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// The option's group.
    pub group: String,
    /// The option's name.
    pub option: String,
    /// The place at which the value was set.
    pub origin: Origin,
}

impl fmt::Display for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: [{}] {}", self.origin, self.group, self.option)
    }
}

/// The syntax error of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SyntaxProblem {
    /// The line is neither a section, nor a comment, nor an assignment.
    #[error("expected `name = value` or `name: value`")]
    NoAssignment,
    /// A byte order mark, which oslo.config refuses, too.
    #[error("the file begins with a byte order mark (BOM); save it as UTF-8 without one")]
    ByteOrderMark,
    /// `= value`.
    #[error("the name before `=` or `:` is empty")]
    EmptyKey,
    /// An indented line that follows no assignment.
    #[error(
        "an indented line continues the value above it, but there is none; a comment or an empty line ends a value"
    )]
    StrayContinuation,
    /// `[section` without the bracket at the end.
    #[error("a section header must end with `]`; a comment must be on a line of its own")]
    OpenSection,
    /// `[]`.
    #[error("the section has no name")]
    EmptySection,
    /// An assignment before the first section.
    #[error("an option must be below a section header such as [DEFAULT]")]
    NoSection,
}

/// An error in reading or interpreting the configuration. No text contains the value of a secret option.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A configured file does not exist or cannot be read.
    #[error("cannot read configuration file {}: {source}", path.display())]
    ReadFile {
        /// The file.
        path: PathBuf,
        /// The error of the operating system.
        source: io::Error,
    },
    /// A configured directory does not exist or cannot be listed.
    #[error("cannot list configuration directory {}: {source}", path.display())]
    ReadDir {
        /// The directory.
        path: PathBuf,
        /// The error of the operating system.
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
    /// A line has a syntax error.
    #[error("{file}:{line}: {problem}: {text:?}")]
    Parse {
        /// The file.
        file: String,
        /// The line, counted from 1.
        line: usize,
        /// The syntax error.
        problem: SyntaxProblem,
        /// The text of the line, shortened. This text is masked if it may contain a password.
        text: String,
    },
    /// A value is not valid for its option.
    #[error("{setting} = {value}: {reason}")]
    BadValue {
        /// The option.
        setting: Box<Setting>,
        /// The text of the value, shortened; `***` for a secret.
        value: String,
        /// A description of the accepted values.
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
        /// The option with the reference.
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
        /// The option with the reference.
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
        /// The option with the reference.
        setting: Box<Setting>,
        /// The text after the dollar sign; `***` for a secret.
        reference: String,
    },
    /// Options refer to each other in a cycle, or in a chain that is too long.
    #[error("[{group}] {option} refers to itself, or through too many options: {chain}")]
    ReferenceLoop {
        /// The group of the option at the end of the chain.
        group: String,
        /// The name of the option at the end of the chain.
        option: String,
        /// The options of the chain, in order.
        chain: String,
    },
    /// The references of a value make it larger than [`crate::LONGEST_VALUE`].
    #[error("{setting} becomes larger than 1 MiB with the options that it refers to")]
    TooLong {
        /// The option.
        setting: Box<Setting>,
    },
    /// The program read an option as another type than the declared one. This is an error in the program.
    #[error("[{group}] {option} is declared as {declared:?} but was read as {asked}")]
    WrongKind {
        /// The option's group.
        group: String,
        /// The option's name.
        option: String,
        /// The declared type.
        declared: OptionKind,
        /// The requested type.
        asked: &'static str,
    },
}

impl Error {
    /// Returns the option with the wrong value, if the error is about an option that was set.
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
