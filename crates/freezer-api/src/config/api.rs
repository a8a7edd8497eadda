//! `[api]`: limits of requests that only this service has.

use std::time::Duration;

use ::oslo_config::{Config, OptDecl};

use super::ConfigError;
use crate::app::BodyLimits;

const MAX_LIMIT: OptDecl = OptDecl::integer("api", "max_limit").unset_if_empty().default("10000").min(0).help(
    "Largest page of a list. A request for a larger page gets this many documents and a link to the next page. \
     0: no maximum. Below 10, schedulers miss jobs, because they take a page of fewer than 10 for the last one.",
);

/// A day: no body takes longer, and the sum of all times stays in range.
const LONGEST: i64 = 86_400;

const BODY_IDLE_TIMEOUT: OptDecl = OptDecl::integer("api", "body_idle_timeout").unset_if_empty()
    .default("30")
    .min(1)
    .max(LONGEST)
    .help("Seconds that a request body may pause while it arrives. A request that exceeds them is answered with 408.");
const BODY_TIMEOUT: OptDecl = OptDecl::integer("api", "body_timeout").unset_if_empty().default("60").min(1).max(LONGEST).help(
    "Seconds in which a request body must have arrived. A request that exceeds them is answered with 408.",
);

pub(super) const OPTIONS: &[&OptDecl] = &[&MAX_LIMIT, &BODY_IDLE_TIMEOUT, &BODY_TIMEOUT];

/// Jobs that a scheduler asks for at a time. It takes a page of fewer jobs for the last one.
const POLL: u64 = 10;

/// A remark on a maximum that hides jobs from schedulers.
pub(super) fn remark(config: &Config) -> Option<String> {
    let limit = max_limit(config).ok()??;
    (limit < POLL).then(|| {
        format!(
            "[api] max_limit = {limit}: schedulers ask for pages of {POLL} jobs and never see the jobs behind a \
             shorter page"
        )
    })
}

/// Documents on a page at most; none: no maximum.
pub(super) fn max_limit(config: &Config) -> Result<Option<u64>, ConfigError> {
    let limit = MAX_LIMIT.need(config.int(&MAX_LIMIT)?)?;
    Ok(u64::try_from(limit).ok().filter(|limit| *limit > 0))
}

/// Time limits of request bodies.
pub(super) fn body_limits(config: &Config) -> Result<BodyLimits, ConfigError> {
    let seconds = |option: &OptDecl| {
        let seconds = option.need(config.int(option)?)?;
        Ok::<_, ConfigError>(Duration::from_secs(u64::try_from(seconds).unwrap_or_default()))
    };
    Ok(BodyLimits { idle: seconds(&BODY_IDLE_TIMEOUT)?, total: seconds(&BODY_TIMEOUT)? })
}
