//! Configuration in the INI dialect of OpenStack's oslo.config.
//!
//! This crate reads files that operators wrote for a Python service and means the same by them:
//! sections, repeated keys, continuation lines, `$name` references, old names, the environment's
//! `OS_<GROUP>__<OPTION>`. It knows options only as the declarations that a program hands to it.
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
//! # What wins
//! The command line, then the environment, then files and the files of directories, the later one each time; within
//! a file the last assignment of a key. A multi-valued option collects all assignments of all files.
//! The program parses its command line itself and hands over the options that it sets ([`Argument`]).
//!
//! # Differences from oslo.config 10.7, all deliberate
//! * A reference to an option that a file sets and no declaration knows is replaced by its text.
//!   oslo.config stops there; but a program may declare fewer options than the Python service whose
//!   file it reads. `${DEFAULT.name}` works too.
//! * A variable of the environment gives a multi-valued option one value. oslo.config makes one value
//!   of every character.
//! * A reference by an old name works also for an option that has a hyphen in its name or that moved
//!   to `DEFAULT`; there oslo.config leaves the reference as it stands.
//! * Whole numbers have at most 64 bits, and digits are ASCII; host names are ASCII and hold no
//!   line feed.
//! * An empty text of an option declared as a path means that the option is not set: its default applies, as if the line
//!   were not there. In oslo.config it is the empty path, which each library treats in its own way.
//! * A directory that was named and cannot be listed is an error; oslo.config reads it as empty.
//! * A program with its project's name reads its default file once, not twice.
//! * Chains of more than 64 references are errors, as are values that references make larger than
//!   [`LONGEST_VALUE`]. In oslo.config the interpreter's stack sets the limit.
//! * The command line wins over every file. In oslo.config, a file that is named after an option wins over this option.
//! * There are no alternative sources (`config_source`), no Snap directories, and no values checked
//!   against regular expressions.

mod config;
mod decl;
mod error;
mod ini;
mod net;
mod resolve;
pub mod sample;
mod secret;
mod sources;
mod template;
mod text;
mod value;

pub use config::{Config, UnknownOption};
pub use decl::{DEFAULT, Kind, OptDecl};
pub use error::{Error, Origin, Problem, Setting};
pub use resolve::LONGEST_VALUE;
pub use secret::Secret;
pub use sources::{Argument, Sources, default_sources, default_sources_under};
