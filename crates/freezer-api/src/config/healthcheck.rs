//! `[healthcheck]`: how an operator takes a node out of the balancer.

use std::path::PathBuf;

use ::oslo_config::{Config, OptDecl};

use super::ConfigError;

const DISABLE_BY_FILE: OptDecl = OptDecl::path("healthcheck", "disable_by_file_path")
    .default("/etc/freezer/healthcheck_disable")
    .help("While this file is there, the health check answers 503.");

pub(super) const OPTIONS: &[&OptDecl] = &[&DISABLE_BY_FILE];

/// The file that switches the health check off.
pub(super) fn disabled_by(config: &Config) -> Result<Option<PathBuf>, ConfigError> {
    Ok(config.string(&DISABLE_BY_FILE)?.map(PathBuf::from))
}
