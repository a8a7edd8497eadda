//! The commands: [`db`], [`check`], [`purge`], [`policy`] and [`config`] for `freezer-manage`, [`status`] for
//! `freezer-manager-status`, and [`serve`] for `freezer-api`. The start and the check of the configuration
//! share [`prepare`] and [`open_files`]. The binaries only parse arguments, call these modules and return exit codes.

pub mod arguments;
mod authorities;
mod banner;
pub mod check;
pub mod config;
mod connect;
pub mod db;
pub mod leftovers;
mod logins;
pub mod open_files;
pub mod policy;
pub mod prepare;
pub mod purge;
pub mod schema_watch;
pub mod serve;
pub mod status;
pub mod table;
