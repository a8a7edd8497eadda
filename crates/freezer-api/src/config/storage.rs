//! `[storage]`: which kind of storage. Only SQL is served here; the options stay, because every
//! freezer-api.conf has them.

use ::oslo_config::{Config, OptDecl};

use super::ConfigError;

const BACKEND: OptDecl = OptDecl::string("storage", "backend")
    .default("sqlalchemy")
    .help("Kind of storage; sqlalchemy means a SQL database.");
const DRIVER: OptDecl = OptDecl::string("storage", "driver")
    .default("sqlalchemy")
    .help("Driver of the storage; sqlalchemy means a SQL database.");

pub(super) const OPTIONS: &[&OptDecl] = &[&BACKEND, &DRIVER];

/// Refuses any other storage than SQL.
pub(super) fn check(config: &Config) -> Result<(), ConfigError> {
    for (option, name) in [(&BACKEND, "[storage] backend"), (&DRIVER, "[storage] driver")] {
        let value = option.need(config.string(option)?)?;
        if value != "sqlalchemy" {
            return Err(ConfigError::Unusable {
                option: name,
                value,
                reason: "this service stores in MySQL, MariaDB or SQLite only; set backend and driver to sqlalchemy \
                         and [database] connection to the database"
                    .to_owned(),
            });
        }
    }
    Ok(())
}
