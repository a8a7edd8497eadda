//! Configuration in the INI dialect of OpenStack's oslo.config.
//!
//! This crate reads configuration files of Python services with the same result: sections, repeated keys,
//! continuation lines, `$name` references, deprecated names, and environment variables
//! `OS_<GROUP>__<OPTION>`. A program declares its options, and reads these options as typed values.
//!
//! ```
//! use oslo_config::{Config, OptDecl};
//!
//! const HOST: OptDecl = OptDecl::host_address("DEFAULT", "bind_host").default("0.0.0.0");
//! const PORT: OptDecl = OptDecl::port("DEFAULT", "bind_port").default("9090");
//! const URL: OptDecl = OptDecl::uri("DEFAULT", "url").default("http://$bind_host:${bind_port}/");
//! const ALL: &[&OptDecl] = &[&HOST, &PORT, &URL];
//!
//! let config = Config::from_text("example.conf", "[DEFAULT]\nbind_port = 80\n")?.declare(ALL);
//! assert!(config.check(ALL).is_empty());
//! assert_eq!(config.port(&PORT)?, Some(80));
//! assert_eq!(config.string(&URL)?.as_deref(), Some("http://0.0.0.0:80/"));
//! # Ok::<(), oslo_config::Error>(())
//! ```
//!
//! # Priority
//! The command line has the highest priority, then the environment, then files and the files of directories,
//! of which the later one wins. Within a file, the last assignment of a key wins. A multi-valued option
//! collects all assignments of all files. The program parses its command line and passes the options that it
//! sets ([`CommandLineOption`]).
//!
//! # Differences from oslo.config 10.7, all deliberate
//! * A reference to an option that a file sets but no declaration contains is replaced by its text.
//!   oslo.config stops at this reference. But a program may declare fewer options than the Python service whose file it
//!   reads. `${DEFAULT.name}` works too.
//! * An environment variable gives a multi-valued option one value. oslo.config makes one value of every
//!   character.
//! * A reference by a deprecated name also works if the option has a hyphen in its name or moved to
//!   `DEFAULT`. oslo.config does not replace such a reference.
//! * Whole numbers have at most 64 bits, and digits are ASCII. Host names are ASCII and contain no line feed.
//! * If an option that is declared as a path has an empty value, it is not set, and its default applies. In
//!   oslo.config it is the empty path, which each library treats in its own way.
//! * A directory on the command line that cannot be listed is an error. oslo.config treats it as empty.
//! * If a program has the name of its project, its default file is read once, not twice.
//! * A chain of more than 64 references is an error, and so is a value that references make larger than
//!   [`LONGEST_VALUE`]. In oslo.config the interpreter's stack sets the limit.
//! * The command line has priority over every file. In oslo.config, a file on the command line has priority
//!   over the options before it.
//! * There are no alternative sources (`config_source`), no Snap directories, and no checks against regular
//!   expressions.

mod config;
mod decl;
mod error;
mod ini;
mod net;
pub mod reference;
mod resolve;
pub mod sample;
mod secret;
mod sources;
mod template;
mod text;
mod value;

pub use config::{Config, UnknownOption};
pub use decl::{DEFAULT, OptDecl, OptionKind};
pub use error::{Error, Origin, Setting, SyntaxProblem};
pub use resolve::LONGEST_VALUE;
pub use secret::SecretText;
pub use sources::{CommandLineOption, Sources, default_sources, default_sources_under};
