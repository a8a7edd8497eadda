//! [`ConfigError`]: the reasons why a configuration cannot be used.

use ::oslo_config::{Config, OptDecl, Origin};

use super::declarations;

/// The reasons why the configuration cannot be used. It contains every problem, not only the first.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// Errors of `oslo-config`, with file and line.
    #[error("{}", list(.0))]
    Options(Vec<::oslo_config::Error>),
    /// An option with a well-formed value that cannot be used.
    #[error("{option} = {value}: {reason}")]
    Unusable {
        /// `[group] name`.
        option: &'static str,
        /// The value. Secret options are never reported this way.
        value: String,
        /// A description of the problem with its solution.
        reason: String,
    },
    /// The same error with the place where the option is set.
    #[error("{origin}: {error}")]
    Located {
        /// Where the option is set.
        origin: Origin,
        /// The error.
        error: Box<ConfigError>,
    },
    /// The database URL is not valid.
    #[error("{option}: {error}")]
    Url {
        /// `[group] name` of the option that contains the invalid part.
        option: &'static str,
        /// The error.
        error: freezer_store::UrlError,
    },
}

impl ConfigError {
    /// Adds the place where the invalid value is set.
    pub(super) fn located(self, config: &Config) -> ConfigError {
        let named = |decl: &&OptDecl| match &self {
            ConfigError::Unusable { option, .. } | ConfigError::Url { option, .. } => {
                format!("[{}] {}", decl.group, decl.key()) == *option
            }
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

    /// Returns the same error without its place.
    pub fn unlocated(&self) -> &ConfigError {
        match self {
            ConfigError::Located { error, .. } => error.unlocated(),
            error => error,
        }
    }
}

fn list(errors: &[::oslo_config::Error]) -> String {
    errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

impl From<::oslo_config::Error> for ConfigError {
    fn from(error: ::oslo_config::Error) -> Self {
        ConfigError::Options(vec![error])
    }
}
