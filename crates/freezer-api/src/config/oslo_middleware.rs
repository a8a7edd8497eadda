//! `[oslo_middleware]`: the limit of request bodies, and the headers of proxies.

use ::oslo_config::{Config, OptDecl};

use super::ConfigError;

const MAX_BODY: OptDecl = OptDecl::integer("oslo_middleware", "max_request_body_size")
    .unset_if_empty()
    .default("114688")
    .help("Maximum size of a request body, in bytes; 0 rejects every body.");

const PROXY_HEADERS: OptDecl = OptDecl::boolean("oslo_middleware", "enable_proxy_headers_parsing").unset_if_empty()
    .default("false")
    .help(
        "Trust Forwarded, X-Forwarded-Proto, X-Forwarded-Host and X-Forwarded-Prefix in links, and Forwarded and \
         X-Forwarded-For in the access log. Only enable this if all requests come through a proxy that sets them.",
    );

pub(super) const OPTIONS: &[&OptDecl] = &[&MAX_BODY, &PROXY_HEADERS];

/// Returns whether the headers of proxies are trusted.
pub(super) fn proxy_headers(config: &Config) -> Result<bool, ConfigError> {
    Ok(config.bool(&PROXY_HEADERS)?.unwrap_or(false))
}

/// Returns the maximum size of a request body in bytes.
pub(super) fn max_body(config: &Config) -> Result<usize, ConfigError> {
    let bytes = MAX_BODY.need(config.int(&MAX_BODY)?)?;
    Ok(usize::try_from(bytes.max(0)).unwrap_or(usize::MAX))
}
