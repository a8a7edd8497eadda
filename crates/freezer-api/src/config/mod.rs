//! Reads and checks the configuration at start: the options, one file for each INI section, and [`Settings`].
//!
//! The crate `oslo-config` implements the INI dialect. This directory has the names, defaults and meanings of the
//! options. They are those of freezer-api 19.0.0 and its libraries, so that an operator's file works unchanged. No
//! other code reads options: settings are values that are passed to the code that needs them.

mod api;
mod authorities;
mod centralized_scheduler;
mod contradictions;
mod cors;
mod database;
mod default;
mod error;
mod finding;
mod findings;
mod former_options;
mod healthcheck;
mod keystone_authtoken;
mod known_options;
mod log_arguments;
mod log_file;
mod log_form;
mod log_settings;
mod logging;
mod metrics;
mod origins;
mod oslo_middleware;
mod oslo_policy;
mod sections;
mod ssl;
mod storage;

use std::fmt;
use std::path::{Path, PathBuf};

use ::oslo_config::{CommandLineOption, Config, OptDecl, Sources};

pub use authorities::Authorities;
pub use centralized_scheduler::CentralSettings;
pub use database::DatabaseSettings;
pub use default::{AuthStrategy, Listen, UnixListen};
pub use error::ConfigError;
pub use finding::Finding;
pub use findings::option_findings;
pub use keystone_authtoken::LoginGroups;
pub use log_form::{Form, Formats};
pub use log_settings::{Facility, Handler, LogFileOptions, LogSettings, LogTarget, Logger, OWN, Rotation};
pub use metrics::MetricsSettings;
pub use origins::OptionOrigins;
pub use oslo_policy::{MISSING as MISSING_POLICY, PolicySettings};
pub use sections::{declarations, reference, sample};
pub use ssl::{SslSettings, TlsVersions};

use freezer_store::DatabaseUrl;

use crate::app::HttpSettings;
use crate::health::HealthSettings;

/// All settings of the service.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Addresses to listen on.
    pub listen: Listen,
    /// TLS of TCP connections. `None`: they are not encrypted.
    pub ssl: Option<SslSettings>,
    /// How callers are authenticated.
    pub auth_strategy: AuthStrategy,
    /// Host names that requests may use under `auth_strategy = noauth`, in addition to those of the loopback interface.
    pub noauth_hosts: Vec<String>,
    /// The levels, format and targets of log lines.
    pub log: LogSettings,
    /// The database and its pool.
    pub database: DatabaseSettings,
    /// The login at Keystone. `None` under `auth_strategy = noauth`.
    pub keystone: Option<keystone_auth::Settings>,
    /// The groups with the options of this login.
    pub keystone_groups: LoginGroups,
    /// Trusts for central schedulers. `None` without Keystone.
    pub central: Option<CentralSettings>,
    /// The files and switches of the policy.
    pub policy: ::oslo_policy::Options,
    /// How the servers that policy rules name are called.
    pub remote_policy: ::oslo_policy::HttpCheckSettings,
    /// The listener of the metrics. `None`: there is none.
    pub metrics: Option<MetricsSettings>,
    /// Limits and switches of the HTTP server.
    pub http: HttpSettings,
    /// The names of the configuration files, in the order in which they were read.
    pub files: Vec<String>,
    /// Warnings and notes about the files, for example about unknown options.
    pub remarks: Vec<Finding>,
    /// The variables of the environment that replace the certificate authorities of the system.
    pub authorities: Authorities,
    /// Where each option is set.
    pub origins: OptionOrigins,
}

/// Name of the SQLite file of `--dev`, in the working directory.
pub const DEV_DATABASE: &str = "freezer-dev.db";

impl Settings {
    /// Reads the files and checks every option.
    ///
    /// # Errors
    /// A [`ConfigError`] that names each invalid value with file and line.
    pub fn load(sources: &Sources) -> Result<Settings, ConfigError> {
        Settings::read(&Config::load(sources)?.declare(&declarations()), sources)
    }

    /// Checks every option of a configuration that was read from `sources`. Its [`declarations`] must be declared.
    ///
    /// # Errors
    /// Those of [`Settings::load`].
    pub fn read(config: &Config, sources: &Sources) -> Result<Settings, ConfigError> {
        Settings::from_config(config, sources).map_err(|error| error.located(config))
    }

    /// Returns the settings of `--dev`: no authentication, a SQLite file in `directory` and a loopback address. Options
    /// of the command line can change the address and the logging.
    ///
    /// # Errors
    /// A [`ConfigError`] that names the option of the command line.
    pub fn dev(directory: &Path, arguments: Vec<CommandLineOption>) -> Result<Settings, ConfigError> {
        let url = DatabaseUrl::Sqlite { path: directory.join(DEV_DATABASE) };
        let text =
            "[DEFAULT]\nbind_host = 127.0.0.1\nauth_strategy = noauth\n[database]\nconnection = sqlite:////";
        let config = Config::from_text("--dev", text)?.with_arguments(arguments).declare(&declarations());
        let settings = Settings::read(&config, &Sources::default())?;
        Ok(Settings {
            database: DatabaseSettings::new(url),
            // A first run should not depend on files of the system.
            policy: ::oslo_policy::Options::default(),
            http: HttpSettings::default(),
            ..settings
        })
    }

    /// Reads only the settings of the database, for commands of `freezer-manage` that do not need Keystone.
    pub fn load_database(sources: &Sources) -> Result<DatabaseSettings, ConfigError> {
        Settings::read_database(&Config::load(sources)?.declare(&declarations()))
    }

    /// Does the same as [`Settings::load_database`] with a configuration that was read. Also checks the files of the URL.
    pub fn read_database(config: &Config) -> Result<DatabaseSettings, ConfigError> {
        check(
            config,
            &[default::OPTIONS, logging::OPTIONS, log_form::OPTIONS, storage::OPTIONS, database::OPTIONS]
                .concat(),
        )?;
        storage::check(config)
            .and_then(|()| DatabaseSettings::read(config))
            .and_then(|database| database.check_files().map(|()| database))
            .map_err(|error| error.located(config))
    }

    /// Reads only the settings of the policy, for the commands that inspect it.
    pub fn load_policy(sources: &Sources) -> Result<PolicySettings, ConfigError> {
        let config = Config::load(sources)?.declare(&declarations());
        check(&config, oslo_policy::OPTIONS)?;
        Ok(PolicySettings {
            options: oslo_policy::read(&config, &config_dirs(sources))?,
            named: oslo_policy::names_a_file(&config),
        })
    }

    /// Returns the logins at Keystone, each with its groups.
    pub fn logins(&self) -> impl Iterator<Item = (LoginGroups, &keystone_auth::Settings)> {
        let trustee = self.central.as_ref();
        let trustee = trustee.and_then(|central| Some((central.trustee_groups, central.trustee.as_ref()?)));
        self.keystone.iter().map(|login| (self.keystone_groups, login)).chain(trustee)
    }

    /// Returns the sections that differ from those of `other` and need a restart. A reload can change the logging, so
    /// it is not compared.
    pub fn differences(&self, other: &Settings) -> Vec<&'static str> {
        fn differ(a: &impl fmt::Debug, b: &impl fmt::Debug) -> bool {
            format!("{a:?}") != format!("{b:?}")
        }
        // All limits that do not belong to [oslo_middleware], [cors], [healthcheck] or [DEFAULT] belong to [api].
        let of_api = |http: &HttpSettings| HttpSettings {
            max_body: self.http.max_body,
            proxy_headers: self.http.proxy_headers,
            cors: self.http.cors.clone(),
            health: self.http.health.clone(),
            stop: self.http.stop,
            ..http.clone()
        };
        let of_middleware = |http: &HttpSettings| (http.max_body, http.proxy_headers);
        [
            ("[DEFAULT] shutdown_delay, graceful_shutdown_timeout", self.http.stop != other.http.stop),
            (
                "[DEFAULT] bind_host, bind_port, bind_unix_socket, bind_unix_socket_mode, backlog, reuse_port",
                differ(&self.listen, &other.listen),
            ),
            ("[ssl]", self.ssl != other.ssl),
            ("[DEFAULT] auth_strategy", self.auth_strategy != other.auth_strategy),
            ("[api] noauth_hosts", self.noauth_hosts != other.noauth_hosts),
            ("[database]", differ(&self.database, &other.database)),
            ("[keystone_authtoken]", differ(&self.keystone, &other.keystone)),
            ("[centralized_scheduler]", differ(&self.central, &other.central)),
            (
                "[oslo_policy]",
                differ(&self.policy, &other.policy) || self.remote_policy != other.remote_policy,
            ),
            ("[oslo_middleware]", of_middleware(&self.http) != of_middleware(&other.http)),
            ("[cors]", self.http.cors != other.http.cors),
            ("[api]", differ(&of_api(&self.http), &of_api(&other.http))),
            ("[healthcheck]", differ(&self.http.health, &other.http.health)),
            ("[metrics]", self.metrics != other.metrics),
        ]
        .into_iter()
        .filter_map(|(section, differs)| differs.then_some(section))
        .collect()
    }

    fn from_config(config: &Config, sources: &Sources) -> Result<Settings, ConfigError> {
        check(config, &declarations())?;
        storage::check(config)?;
        let auth_strategy = AuthStrategy::read(config)?;
        let mut keystone = None;
        let mut central = None;
        if auth_strategy == AuthStrategy::Keystone {
            keystone = Some(keystone_authtoken::read(config, keystone_authtoken::GROUP)?);
            central = Some(CentralSettings::read(config)?);
        }
        let trustee = central.as_mut().and_then(|central| central.trustee.as_mut());
        for login in keystone.as_mut().into_iter().chain(trustee) {
            keystone_authtoken::trust_environment(login, &sources.env);
        }
        let listen = Listen::read(config)?;
        let health = healthcheck::read(config, listen.port)?;
        let database = DatabaseSettings::read(config)?;
        let log = LogSettings::read(config, logging::SERVICE)?;
        let connection_findings = findings::connection_findings(&database);
        let policy = oslo_policy::read(config, &config_dirs(sources))?;
        let connections = database.pool.max_open;
        let remarks = remarks(config, &log, &health, connections).into_iter().chain(connection_findings);
        let origins = OptionOrigins::read(config);
        let remarks = remarks.chain(oslo_policy::missing(config, &policy));
        let remarks = remarks.map(|finding| origins.locate(finding)).collect();
        let scans = api::scan_limits(config, database.pool.max_open)?;
        let metrics = MetricsSettings::read(config, listen.reuse_port)?;
        Ok(Settings {
            files: config.file_names(),
            remarks,
            origins,
            noauth_hosts: api::noauth_hosts(config, &listen.host)?,
            listen,
            ssl: SslSettings::read(config)?,
            metrics,
            auth_strategy,
            log,
            database,
            keystone,
            keystone_groups: LoginGroups::read(config, keystone_authtoken::GROUP)?,
            authorities: Authorities::read(&sources.env),
            central,
            policy,
            remote_policy: oslo_policy::remote(config)?,
            http: HttpSettings {
                max_body: oslo_middleware::max_body(config)?,
                body: api::body_limits(config)?,
                connections: api::connection_limits(config)?,
                scans,
                stop: default::stop_settings(config)?,
                request_timeout: api::request_timeout(config)?,
                waiting: api::waiting(config)?,
                health,
                proxy_headers: oslo_middleware::proxy_headers(config)?,
                cors: cors::read(config)?,
                max_limit: api::max_limit(config)?,
                repeat_window: api::repeat_window(config)?,
                max_page: api::max_page(config)?,
                max_answers: api::max_answers(config)?,
                max_document: api::max_document(config)?,
                max_job_actions: api::max_job_actions(config)?,
                max_conditions: api::max_conditions(config)?,
            },
        })
    }
}

fn remarks(config: &Config, log: &LogSettings, health: &HealthSettings, connections: usize) -> Vec<Finding> {
    let fixed = logging::remark(config).into_iter().chain(healthcheck::remark(config, health));
    let fixed = fixed.map(str::to_owned).chain(log.remarks.iter().cloned());
    let ignored = config.unknown_arguments(&declarations()).into_iter();
    let ignored = ignored.map(|argument| format!("{}: accepted, without effect", argument.written));
    let unheeded = fixed.chain(storage::remark(config)).chain(api::remarks(config));
    let unheeded = unheeded.chain(metrics::remarks(config)).chain(ignored);
    let unheeded = unheeded.chain(healthcheck::impossible_files(health));
    let unheeded = unheeded.chain(ssl::remark(config)).chain(cors::remarks(config));
    let unheeded =
        unheeded.chain(contradictions::remarks(config, connections)).chain(oslo_policy::remark(config));
    let unheeded = unheeded.map(Finding::without_effect).chain(database::remark(config));
    unheeded.chain(option_findings(config)).collect()
}

fn check(config: &Config, options: &[&'static OptDecl]) -> Result<(), ConfigError> {
    let errors = config.check(options);
    if errors.is_empty() { Ok(()) } else { Err(ConfigError::Options(errors)) }
}

/// Returns the directories that may contain a relative `policy_file`: those of the configuration files, then
/// /etc/freezer.
fn config_dirs(sources: &Sources) -> Vec<PathBuf> {
    let mut dirs: Vec<PathBuf> =
        sources.files.iter().filter_map(|file| file.parent()).map(Path::to_path_buf).collect();
    dirs.extend(sources.dirs.iter().cloned());
    dirs.push(PathBuf::from("/etc/freezer"));
    dirs
}

#[cfg(test)]
mod tests {
    use ::oslo_config::OptionKind;

    use super::declarations;

    #[test]
    fn empty_numbers_and_switches_have_their_default() {
        for option in declarations() {
            if matches!(
                option.kind,
                OptionKind::Int | OptionKind::Float | OptionKind::Port | OptionKind::Bool
            ) {
                assert!(option.unset_if_empty, "[{}] {}", option.group, option.name);
            }
        }
    }
}
