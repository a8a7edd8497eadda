//! What the commands do: [`db`] for `freezer-manage`, [`status`] for `freezer-manager-status`, and [`serve`] for
//! `freezer-api` itself. The binaries only parse arguments, call and turn the result into an exit code.

pub mod arguments;
pub mod db;
pub mod serve;
pub mod status;
