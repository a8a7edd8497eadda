//! Configuration: the options, one file per INI section, and [`Settings`], all of them read and checked at start.
//!
//! The INI dialect is the crate `oslo-config`. Here are names, defaults and meaning, as freezer-api 19.0.0 and the
//! libraries that it uses have them, so that an operator's file works unchanged. Nothing reads options later:
//! settings are values, passed to where they are needed.

mod api;
mod authorities;
mod centralized_scheduler;
mod database;
mod default;
mod findings;
mod former_options;
mod healthcheck;
mod keystone_authtoken;
mod known_options;
mod log_arguments;
mod log_file;
mod log_form;
mod logging;
mod oslo_middleware;
mod oslo_policy;
mod places;
mod storage;

use std::fmt;
use std::path::{Path, PathBuf};

use ::oslo_config::{CommandLineOption, Config, OptDecl, Origin, Sources};

pub use centralized_scheduler::CentralSettings;
pub use database::DatabaseSettings;
pub use default::{AuthStrategy, Listen};
pub use findings::{Finding, of_options};
pub use log_form::{Form, Formats};
pub use logging::{Facility, Handler, LogSettings, Logger, NamedBy, OWN, Place, Rotation};
pub use oslo_policy::{MISSING as MISSING_POLICY, PolicySettings};
pub use places::Places;

use freezer_store::DatabaseUrl;

use crate::app::HttpSettings;
use crate::health::HealthSettings;

/// Everything that the configuration says.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Address to listen on.
    pub listen: Listen,
    /// How callers are known.
    pub auth_strategy: AuthStrategy,
    /// Without authentication: names that a `Host` header may have beside those of the loopback interface.
    pub noauth_hosts: Vec<String>,
    /// What is logged, and where to.
    pub log: LogSettings,
    /// The database and its pool.
    pub database: DatabaseSettings,
    /// Keystone, where `auth_strategy` asks for it.
    pub keystone: Option<keystone_auth::Settings>,
    /// Trusts for central schedulers; none without Keystone.
    pub central: Option<CentralSettings>,
    /// Where policy rules come from.
    pub policy: ::oslo_policy::Options,
    /// How servers are asked that policy rules name.
    pub remote_policy: ::oslo_policy::HttpCheckSettings,
    /// Limits and switches of the HTTP side.
    pub http: HttpSettings,
    /// What there is to say about the files: options that are unknown or without effect.
    pub remarks: Vec<Finding>,
    /// Where options were set.
    pub places: Places,
}

/// Why the configuration cannot be used. Every problem is named, not only the first.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// Options, as `oslo-config` words them, with file and line.
    #[error("{}", list(.0))]
    Options(Vec<::oslo_config::Error>),
    /// An option that is well formed but cannot be used.
    #[error("{option} = {value}: {reason}")]
    Unusable {
        /// `[group] name`.
        option: &'static str,
        /// The value, never of a secret option.
        value: String,
        /// What is wrong, and what to do.
        reason: String,
    },
    /// The same, with the place where it was set.
    #[error("{origin}: {error}")]
    Located {
        /// Where the option was set.
        origin: Origin,
        /// What is wrong with it.
        error: Box<ConfigError>,
    },
    /// The database's URL.
    #[error("[database] connection: {0}")]
    Url(#[from] freezer_store::UrlError),
}

impl ConfigError {
    /// Adds the place where the value was set that cannot be used.
    fn located(self, config: &Config) -> ConfigError {
        let named = |decl: &&OptDecl| match &self {
            ConfigError::Unusable { option, .. } => format!("[{}] {}", decl.group, decl.key()) == *option,
            ConfigError::Url(_) => decl.group == "database" && decl.key() == "connection",
            ConfigError::Options(errors) => match errors.as_slice() {
                [::oslo_config::Error::Unset { group, option }] => {
                    decl.group == group && decl.key() == *option
                }
                _ => false,
            },
            ConfigError::Located { .. } => false,
        };
        match declarations().into_iter().find(named).and_then(|decl| config.origin(decl)) {
            None | Some(Origin::Default) => self,
            Some(origin) => ConfigError::Located { origin, error: Box::new(self) },
        }
    }

    /// The same without its place.
    pub fn unlocated(&self) -> &ConfigError {
        match self {
            ConfigError::Located { error, .. } => error.unlocated(),
            error => error,
        }
    }
}

/// Name of the SQLite file of `--dev`, in the working directory.
pub const DEV_DATABASE: &str = "freezer-dev.db";

fn list(errors: &[::oslo_config::Error]) -> String {
    errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

impl From<::oslo_config::Error> for ConfigError {
    fn from(error: ::oslo_config::Error) -> Self {
        ConfigError::Options(vec![error])
    }
}

/// How messages name the group with the service's own login.
pub const KEYSTONE: &str = "[keystone_authtoken]";
/// How messages name the group with the login of the user that jobs are entrusted to.
pub const TRUSTEE: &str = "the group that [centralized_scheduler] auth_section names";

/// The sections and their options, in the order of the sample file.
const SECTIONS: &[(&str, &[&OptDecl])] = &[
    (::oslo_config::DEFAULT, default::OPTIONS),
    (::oslo_config::DEFAULT, logging::OPTIONS),
    (::oslo_config::DEFAULT, log_form::OPTIONS),
    ("storage", storage::OPTIONS),
    ("database", database::OPTIONS),
    ("keystone_authtoken", keystone_authtoken::OPTIONS),
    ("centralized_scheduler", centralized_scheduler::OPTIONS),
    ("oslo_policy", oslo_policy::OPTIONS),
    ("oslo_middleware", oslo_middleware::OPTIONS),
    ("api", api::OPTIONS),
    ("healthcheck", healthcheck::OPTIONS),
];

/// Every option that the service knows.
pub fn declarations() -> Vec<&'static OptDecl> {
    SECTIONS.iter().flat_map(|(_, options)| options.iter().copied()).collect()
}

/// A configuration file with every option commented out, in the layout of oslo-config-generator.
pub fn sample() -> String {
    let groups: Vec<_> = SECTIONS
        .iter()
        .map(|(name, options)| ::oslo_config::sample::Group {
            name,
            help: "",
            source: "freezer-api",
            options,
        })
        .collect();
    ::oslo_config::sample::render(&groups)
}

impl Settings {
    /// Reads the files and checks every option.
    ///
    /// # Errors
    /// [`ConfigError`], naming each bad value with file and line.
    pub fn load(sources: &Sources) -> Result<Settings, ConfigError> {
        let config = Config::load(sources)?.declare(&declarations());
        Settings::read(&config, sources).map_err(|error| error.located(&config))
    }

    /// What `--dev` means: no authentication, a SQLite file in `directory`, a loopback address. Options of the command
    /// line can change where it listens and what it logs.
    ///
    /// # Errors
    /// [`ConfigError`], naming the option of the command line.
    pub fn dev(directory: &Path, arguments: Vec<CommandLineOption>) -> Result<Settings, ConfigError> {
        let url = DatabaseUrl::Sqlite { path: directory.join(DEV_DATABASE) };
        let text =
            "[DEFAULT]\nbind_host = 127.0.0.1\nauth_strategy = noauth\n[database]\nconnection = sqlite:////";
        let config = Config::from_text("--dev", text)?.with_arguments(arguments).declare(&declarations());
        let settings =
            Settings::read(&config, &Sources::default()).map_err(|error| error.located(&config))?;
        Ok(Settings {
            database: DatabaseSettings::new(url),
            // a first look reads no files of the system
            policy: ::oslo_policy::Options::default(),
            http: HttpSettings::default(),
            ..settings
        })
    }

    /// Reads the database settings alone: what `freezer-manage` needs, which works without Keystone.
    ///
    /// # Errors
    /// [`ConfigError`]
    pub fn load_database(sources: &Sources) -> Result<DatabaseSettings, ConfigError> {
        let config = Config::load(sources)?.declare(&declarations());
        check(
            &config,
            &[default::OPTIONS, logging::OPTIONS, log_form::OPTIONS, storage::OPTIONS, database::OPTIONS]
                .concat(),
        )?;
        storage::check(&config)
            .and_then(|()| DatabaseSettings::read(&config))
            .map_err(|error| error.located(&config))
    }

    /// Reads where policy rules come from, and nothing else: what the commands for policy need.
    ///
    /// # Errors
    /// [`ConfigError`]
    pub fn load_policy(sources: &Sources) -> Result<PolicySettings, ConfigError> {
        let config = Config::load(sources)?.declare(&declarations());
        check(&config, oslo_policy::OPTIONS)?;
        Ok(PolicySettings {
            options: oslo_policy::read(&config, &config_dirs(sources))?,
            named: oslo_policy::names_a_file(&config),
        })
    }

    /// The logins at Keystone, each with the group that holds it, as messages name it.
    pub fn logins(&self) -> impl Iterator<Item = (&'static str, &keystone_auth::Settings)> {
        let trustee = self.central.as_ref().and_then(|central| central.trustee.as_ref());
        let own = self.keystone.iter().map(|login| (KEYSTONE, login));
        own.chain(trustee.map(|login| (TRUSTEE, login)))
    }

    /// The sections in which `other` says something else that takes effect at a start only. Logging is not among them.
    pub fn differences(&self, other: &Settings) -> Vec<&'static str> {
        fn differ(a: &impl fmt::Debug, b: &impl fmt::Debug) -> bool {
            format!("{a:?}") != format!("{b:?}")
        }
        // beside those of [oslo_middleware], [healthcheck] and [DEFAULT], all limits are of [api]
        let of_api = |http: &HttpSettings| HttpSettings {
            max_body: self.http.max_body,
            proxy_headers: self.http.proxy_headers,
            health: self.http.health.clone(),
            stop: self.http.stop,
            ..http.clone()
        };
        let of_middleware = |http: &HttpSettings| (http.max_body, http.proxy_headers);
        [
            ("[DEFAULT] shutdown_delay, graceful_shutdown_timeout", self.http.stop != other.http.stop),
            ("[DEFAULT] bind_host, bind_port, backlog, reuse_port", differ(&self.listen, &other.listen)),
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
            ("[api]", differ(&of_api(&self.http), &of_api(&other.http))),
            ("[healthcheck]", differ(&self.http.health, &other.http.health)),
        ]
        .into_iter()
        .filter_map(|(section, differs)| differs.then_some(section))
        .collect()
    }

    fn read(config: &Config, sources: &Sources) -> Result<Settings, ConfigError> {
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
        let of_connection = findings::of_connection(&database);
        let policy = oslo_policy::read(config, &config_dirs(sources))?;
        let remarks = remarks(config, &log, &health).into_iter().chain(of_connection);
        let places = Places::of(config);
        let remarks = remarks.chain(oslo_policy::missing(config, &policy));
        let remarks = remarks.chain(authorities::unusable(&sources.env));
        let remarks = remarks.map(|finding| places.locate(finding)).collect();
        let scans = api::scan_limits(config, database.pool.max_open)?;
        Ok(Settings {
            remarks,
            places,
            noauth_hosts: api::noauth_hosts(config, &listen.host)?,
            listen,
            auth_strategy,
            log,
            database,
            keystone,
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
                max_limit: api::max_limit(config)?,
                repeat_window: api::repeat_window(config)?,
                max_page: api::max_page(config)?,
                max_document: api::max_document(config)?,
                max_job_actions: api::max_job_actions(config)?,
                max_conditions: api::max_conditions(config)?,
            },
        })
    }
}

fn remarks(config: &Config, log: &LogSettings, health: &HealthSettings) -> Vec<Finding> {
    let fixed = logging::remark(config).into_iter().chain(healthcheck::remark(config, health));
    let fixed = fixed.map(str::to_owned).chain(log.remarks.iter().cloned());
    let ignored = config.unknown_arguments(&declarations()).into_iter();
    let ignored = ignored.map(|argument| format!("{}: accepted, without effect", argument.written));
    let unheeded = fixed.chain(storage::remark(config)).chain(api::remarks(config)).chain(ignored);
    let unheeded = unheeded.map(Finding::without_effect).chain(database::remark(config));
    unheeded.chain(of_options(config)).collect()
}

impl LogSettings {
    /// Reads the options of the command line alone: what another program than the service logs, and where to.
    ///
    /// # Errors
    /// [`ConfigError`], naming the option of the command line.
    pub fn of_arguments(
        program: &'static str,
        arguments: Vec<CommandLineOption>,
    ) -> Result<LogSettings, ConfigError> {
        let options = [logging::OPTIONS, log_form::OPTIONS].concat();
        let config = Config::from_texts(&[], &[])?.with_arguments(arguments).declare(&options);
        check(&config, &options)?;
        LogSettings::read(&config, program).map_err(|error| error.located(&config))
    }
}

fn check(config: &Config, options: &[&'static OptDecl]) -> Result<(), ConfigError> {
    let errors = config.check(options);
    if errors.is_empty() { Ok(()) } else { Err(ConfigError::Options(errors)) }
}

/// Where a relative `policy_file` is looked for: beside the configuration files, then in /etc/freezer.
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
    fn an_empty_number_or_switch_means_the_default() {
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
