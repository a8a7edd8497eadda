//! `[storage]`: the storage engine. This service only supports SQL. The options are still accepted because every
//! freezer-api.conf contains them.
//!
//! In freezer-api 19.0.0, `driver` selects the engine by its alias or by the path of its class. `backend` is only the
//! name of the section with options of the engine, and the SQL engine reads none of them.

use ::oslo_config::{Config, OptDecl, Origin};

use super::ConfigError;

const BACKEND: OptDecl = OptDecl::string("storage", "backend").default(SQLALCHEMY).help(
    "Name of the section with options of the storage engine. The engine sqlalchemy has none, so the name has no effect.",
);
const DRIVER: OptDecl = OptDecl::string("storage", "driver")
    .default(SQLALCHEMY)
    .help("Storage engine. Only sqlalchemy, a SQL database, is supported.");

pub(super) const OPTIONS: &[&OptDecl] = &[&BACKEND, &DRIVER];

const SQLALCHEMY: &str = "sqlalchemy";
/// The path of the class with this alias. 19.0.0 accepts both.
const SQL_CLASS: &str = "freezer_api.db.sqlalchemy.driver.SQLDriver";
const ELASTICSEARCH: &str = "elasticsearch";

/// Rejects all engines other than SQL.
pub(super) fn check(config: &Config) -> Result<(), ConfigError> {
    let driver = DRIVER.need(config.string(&DRIVER)?)?;
    if is_elasticsearch(&driver) {
        return Err(unusable("[storage] driver", driver, MOVE));
    }
    if driver != SQLALCHEMY && driver != SQL_CLASS {
        return Err(unusable("[storage] driver", driver, "unknown engine; set driver = sqlalchemy"));
    }
    let backend = backend(config)?;
    // Releases before 19.0.0 chose Elasticsearch when no driver was named.
    if is_elasticsearch(&backend) && !is_set(config, &DRIVER) {
        return Err(unusable("[storage] backend", backend, MOVE));
    }
    Ok(())
}

const MOVE: &str = "this service stores its data in MySQL, MariaDB or SQLite; set [storage] driver = sqlalchemy and \
                    [database] connection. Data in Elasticsearch is not read";

/// Returns a warning if the name of the section is unusual.
pub(super) fn remark(config: &Config) -> Option<String> {
    let backend = backend(config).ok().filter(|name| name != SQLALCHEMY && is_set(config, &BACKEND))?;
    Some(format!(
        "[storage] backend = {backend}: this is only the name of a section and has no effect; [storage] driver \
         selects the engine"
    ))
}

fn backend(config: &Config) -> Result<String, ConfigError> {
    Ok(config.string(&BACKEND)?.unwrap_or_default())
}

fn is_set(config: &Config, option: &OptDecl) -> bool {
    !matches!(config.origin(option), None | Some(Origin::Default))
}

/// Returns whether this is the alias of the Elasticsearch engine, or the path of one of its classes in releases 2.0.0
/// to 19.0.0.
fn is_elasticsearch(name: &str) -> bool {
    let name = name.to_lowercase();
    name == ELASTICSEARCH || (name.starts_with("freezer_api.") && name.contains("elastic"))
}

fn unusable(option: &'static str, value: String, reason: &str) -> ConfigError {
    ConfigError::Unusable { option, value, reason: reason.to_owned() }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn read(text: &str) -> (Result<(), ConfigError>, Option<String>) {
        let config = Config::from_text("f", &format!("[storage]\n{text}\n")).unwrap().declare(OPTIONS);
        (check(&config), remark(&config))
    }

    #[test]
    fn the_driver_selects_the_engine_and_the_backend_names_a_section() {
        for text in ["", "driver = sqlalchemy", "backend = sqlalchemy\ndriver = sqlalchemy"] {
            let (checked, remark) = read(text);
            checked.unwrap();
            assert_eq!(remark, None, "{text}");
        }
        read(&format!("driver = {SQL_CLASS}")).0.unwrap();
        for backend in ["sqlachemy", "sql", "elasticsearch", "", "SQLAlchemy"] {
            let (checked, remark) = read(&format!("backend = {backend}\ndriver = sqlalchemy"));
            checked.unwrap();
            assert!(remark.unwrap().contains(&format!("backend = {backend}: ")), "{backend}");
        }
        // The default driver is used.
        read("backend = sqlachemy").0.unwrap();
    }

    #[test]
    fn other_engines_are_rejected() {
        for (text, option) in [
            ("backend = elasticsearch", "[storage] backend = elasticsearch"),
            ("driver = elasticsearch", "[storage] driver = elasticsearch"),
            ("backend = sqlalchemy\ndriver = elasticsearch", "[storage] driver = elasticsearch"),
            (
                "driver = freezer_api.storage.elastic.ElasticSearchEngine",
                "[storage] driver = freezer_api.storage",
            ),
            (
                "driver = freezer_api.db.elasticsearch.driver.ElasticSearchDB",
                "[storage] driver = freezer_api.db",
            ),
        ] {
            let error = read(text).0.unwrap_err().to_string();
            assert!(error.starts_with(option) && error.contains("Elasticsearch"), "{text}: {error}");
        }
        for text in ["driver = sqlachemy", "driver =", "driver = SQLAlchemy"] {
            let error = read(text).0.unwrap_err().to_string();
            assert!(error.contains("set driver = sqlalchemy"), "{text}: {error}");
        }
    }
}
