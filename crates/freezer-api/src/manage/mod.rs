//! What the commands do: [`db`], [`check`], [`purge`], [`policy`] and [`config`] for `freezer-manage`, [`status`] for `freezer-manager-status`, and
//! [`serve`] for `freezer-api` itself. The binaries only parse arguments, call and turn the result into an exit code.

pub mod arguments;
pub mod check;
pub mod config;
pub mod db;
mod former_options;
mod known_options;
pub mod policy;
pub mod purge;
pub mod serve;
pub mod status;
pub mod table;
