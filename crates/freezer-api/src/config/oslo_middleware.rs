//! `[oslo_middleware]`: limits of requests.

use ::oslo_config::{Config, OptDecl};

use super::ConfigError;

const MAX_BODY: OptDecl = OptDecl::integer("oslo_middleware", "max_request_body_size")
    .default("114688")
    .min(1)
    .help("Largest request body, in bytes.");

pub(super) const OPTIONS: &[&OptDecl] = &[&MAX_BODY];

/// Largest request body, bytes.
pub(super) fn max_body(config: &Config) -> Result<usize, ConfigError> {
    let bytes = MAX_BODY.need(config.int(&MAX_BODY)?)?;
    Ok(usize::try_from(bytes).unwrap_or(usize::MAX))
}
