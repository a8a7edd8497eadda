//! What the commands do: [`db`], [`check`], [`purge`], [`policy`] and [`config`] for `freezer-manage`, [`status`] for `freezer-manager-status`, and
//! [`serve`] for `freezer-api` itself. [`prepare`] is what a start and a check of the configuration share. The binaries only parse arguments, call and turn the result into an exit code.

pub mod arguments;
pub mod check;
pub mod config;
mod connect;
pub mod db;
pub mod leftovers;
pub mod policy;
pub mod prepare;
pub mod purge;
pub mod schema_watch;
pub mod serve;
pub mod status;
pub mod table;
