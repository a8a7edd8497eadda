//! `[oslo_middleware]`: limits of requests, and what proxies say of them.

use ::oslo_config::{Config, OptDecl};

use super::ConfigError;

const MAX_BODY: OptDecl = OptDecl::integer("oslo_middleware", "max_request_body_size")
    .unset_if_empty()
    .default("114688")
    .help("Largest request body, in bytes; 0 refuses every body.");

const PROXY_HEADERS: OptDecl = OptDecl::boolean("oslo_middleware", "enable_proxy_headers_parsing").unset_if_empty()
    .default("false")
    .help(
        "Believe Forwarded, X-Forwarded-Proto, X-Forwarded-Host and X-Forwarded-Prefix; for a service that is reached \
         through a proxy only, which sets them.",
    );

pub(super) const OPTIONS: &[&OptDecl] = &[&MAX_BODY, &PROXY_HEADERS];

/// Whether what proxies say of a request is believed.
pub(super) fn proxy_headers(config: &Config) -> Result<bool, ConfigError> {
    Ok(config.bool(&PROXY_HEADERS)?.unwrap_or(false))
}

/// Largest request body, bytes.
pub(super) fn max_body(config: &Config) -> Result<usize, ConfigError> {
    let bytes = MAX_BODY.need(config.int(&MAX_BODY)?)?;
    Ok(usize::try_from(bytes.max(0)).unwrap_or(usize::MAX))
}
