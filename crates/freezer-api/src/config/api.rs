//! `[api]`: limits of requests that only this service has.

use ::oslo_config::{Config, OptDecl};

use super::ConfigError;

const MAX_LIMIT: OptDecl = OptDecl::integer("api", "max_limit").default("10000").min(0).help(
    "Largest page of a list. A request for a larger page gets this many documents and a link to the next page. \
     0: no maximum. Below 10, schedulers miss jobs, because they take a page of fewer than 10 for the last one.",
);

pub(super) const OPTIONS: &[&OptDecl] = &[&MAX_LIMIT];

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
