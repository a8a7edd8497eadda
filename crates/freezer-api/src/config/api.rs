//! `[api]`: limits of requests. Only this service has these options.

use std::net::IpAddr;
use std::time::Duration;

use ::oslo_config::{Config, OptDecl};

use super::{ConfigError, oslo_middleware};
use crate::app::{BodyLimits, ConnectionLimits, HttpSettings};
use crate::auth::noauth;
use crate::service::admission;
use crate::service::scans::ScanLimits;

const MAX_LIMIT: OptDecl = OptDecl::integer("api", "max_limit").unset_if_empty().default("10000").min(0).help(
    "Maximum number of documents on a page of a list. A request for a larger page gets this many documents and a \
     link to the next page. 0: no maximum. With less than 10, schedulers miss jobs, because they take a page of fewer \
     than 10 jobs for the last one.",
);

const MAX_PAGE_BYTES: OptDecl = OptDecl::integer("api", "max_page_bytes").unset_if_empty().default("33554432").min(0).help(
    "Maximum size of the documents on a page of a list, in bytes. A larger page ends early, after one document or \
     more, and has a link to the next page. 0: no maximum. Schedulers miss jobs if 10 of them do not fit on a page, \
     because they take a page of fewer than 10 jobs for the last one.",
);

const MAX_ANSWER_BYTES: OptDecl = OptDecl::integer("api", "max_answer_bytes")
    .unset_if_empty()
    .default("268435456")
    .min(1_048_576)
    .help(
        "Maximum size of all large answers (over 32 KiB) in memory, in bytes: while they are made and until their clients \
         have read them. One project can have half of it. An eighth is kept for answers of at most 256 KiB, such as polls. \
         A request for a large answer waits for at most search_wait_timeout, and is then answered with 429 if answers of its own project hold it up, else with 503. \
         While a page is made, it needs up to twice max_page_bytes, but never more than this half. A stored document can be \
         read up to a quarter of this size, or up to four times max_document_bytes or 4 MiB if that is more. \
         Lists leave out larger documents.",
    );

/// Largest JSON text that a column can store.
const LARGEST_DOCUMENT: i64 = (1 << 24) - 1;

const MAX_DOCUMENT_BYTES: OptDecl = OptDecl::integer("api", "max_document_bytes").unset_if_empty()
    .default("1048576")
    .min(4_096)
    .max(LARGEST_DOCUMENT)
    .help(
        "Maximum size of a stored document in bytes: the metadata of a backup, an action, all actions of a job, a \
         schedule, the jobs of a session. A request that would create a larger one is answered with 413. Existing \
         larger documents can be read, and they can be changed if they do not grow.",
    );

const MAX_JOB_ACTIONS: OptDecl = OptDecl::integer("api", "max_job_actions")
    .unset_if_empty()
    .default("200")
    .min(1)
    .max(10_000)
    .help(
        "Maximum number of actions of a job. An action that a job contains several times counts each time. A request \
         that would give a job more of them is answered with 413. Existing jobs with more actions keep them. Clients send \
         whole jobs back, so [oslo_middleware] max_request_body_size should be at least 512 bytes for each action, and 8192 more.",
    );

const MAX_SEARCH_CONDITIONS: OptDecl =
    OptDecl::integer("api", "max_search_conditions").unset_if_empty().default("50").min(1).max(400).help(
        "Maximum number of pairs and texts in a search. A search with more of them is answered with 400.",
    );

/// One day. Longer times are not useful, and this limit keeps sums of times in range.
const LONGEST: i64 = 86_400;

const BODY_IDLE_TIMEOUT: OptDecl = OptDecl::integer("api", "body_idle_timeout").unset_if_empty()
    .default("30")
    .min(1)
    .max(LONGEST)
    .help("Maximum pause in seconds while a request body arrives. If it is exceeded, the request is answered with \
           408.");
const BODY_TIMEOUT: OptDecl = OptDecl::integer("api", "body_timeout").unset_if_empty().default("60").min(1).max(LONGEST).help(
    "Seconds in which a request body must arrive. If they are exceeded, the request is answered with 408.",
);

const REPEATED_BACKUP_WINDOW: OptDecl =
    OptDecl::integer("api", "repeated_backup_window").unset_if_empty().default("600").min(0).max(LONGEST).help(
        "Seconds in which a backup with the same user, hostname, backup_name, container, time_stamp, \
         curr_backup_level and job_id is a repeated report, which gets the id of the stored backup. 0: never.",
    );
const ANSWER_TIMEOUT: OptDecl = OptDecl::integer("api", "answer_timeout")
    .unset_if_empty()
    .default("30")
    .min(1)
    .max(LONGEST)
    .help("Seconds after which the connection is closed if the client does not read its answer.");
const MIN_ANSWER_RATE: OptDecl = OptDecl::integer("api", "min_answer_rate")
    .unset_if_empty()
    .default("32768")
    .min(0)
    .help(
        "Bytes per second that a client must read of its answer. After answer_timeout, the connection is closed if the client \
         has read less. 0: no minimum.",
    );
const MAX_CONNECTIONS: OptDecl =
    OptDecl::integer("api", "max_connections").unset_if_empty().default("8192").min(1).max(1_000_000).help(
        "Maximum number of open connections. It is reduced if the limit of open files requires this. If all are in \
         use, those that have waited longest for their clients are closed. A few more are accepted for /healthcheck.",
    );
const MAX_CONNECTIONS_PER_PEER: OptDecl =
    OptDecl::integer("api", "max_connections_per_peer").unset_if_empty().default("0").min(0).max(1_000_000).help(
        "Maximum number of open connections from one address (IPv6: one /64 network). Requests on further \
         connections are answered with 429. 0: no limit. This is necessary behind a balancer, because all connections \
         come from its address.",
    );
const REQUEST_TIMEOUT: OptDecl = OptDecl::integer("api", "request_timeout").unset_if_empty().default("30").min(1).max(LONGEST).help(
    "Seconds that Keystone and the database may take for a request together, including waiting, connecting, calls, \
     statements and retries. The time for reading its body is not counted. If one of them is not available, the request is \
     answered with 503 after this time.",
);
const MAX_WAITING_REQUESTS: OptDecl =
    OptDecl::integer("api", "max_waiting_requests").unset_if_empty().default("10000").min(1).help(
        "Maximum number of requests that wait for the database, or for another request with the same Idempotency-Key. Further ones are \
         answered with 503 at once.",
    );
const MAX_WAITING_BYTES: OptDecl =
    OptDecl::integer("api", "max_waiting_bytes").unset_if_empty().default("402653184").min(1).help(
        "Maximum memory that the bodies of these requests take while they wait, in bytes, as estimated from their \
         values: a text takes about three times its size, and a list of numbers about 270 times. Large bodies may take \
         half of it, and those of one project a quarter. A large body waits for room for up to five seconds. Other requests \
         are answered with 503 at once.",
    );

const MAX_SEARCHES_PER_PROJECT: OptDecl =
    OptDecl::integer("api", "max_searches_per_project").unset_if_empty().default("2").min(1).max(10_000).help(
        "Maximum number of searches, counts and pages of more than 1,000 documents that run at the same time for one \
         project. Others wait. Polls of schedulers are not limited.",
    );
const MAX_SEARCHES: OptDecl = OptDecl::integer("api", "max_searches").unset_if_empty().default("8").min(1).max(10_000).help(
    "The same for all projects together. At most half of the database connections are used, so that other requests \
     always get one.",
);
const MAX_WAITING_SEARCHES: OptDecl = OptDecl::integer("api", "max_waiting_searches")
    .unset_if_empty()
    .default("1000")
    .min(0)
    .max(1_000_000)
    .help("Maximum number of waiting searches of one project. Further ones are answered with 429.");
const SEARCH_WAIT_TIMEOUT: OptDecl =
    OptDecl::integer("api", "search_wait_timeout").unset_if_empty().default("20").min(1).max(LONGEST).help(
        "Seconds that a search may wait. After this time, it is answered with 429 if it waits for searches of its \
         own project, otherwise with 503.",
    );

const NOAUTH_HOSTS: OptDecl = OptDecl::list("api", "noauth_hosts").default("").help(
    "With auth_strategy = noauth: host names, without a port, that requests may have in the Host header, in addition \
     to bind_host, localhost, *.localhost and loopback addresses. Requests with other names are answered with 403.",
);

pub(super) const OPTIONS: &[&OptDecl] = &[
    &MAX_LIMIT,
    &MAX_PAGE_BYTES,
    &MAX_ANSWER_BYTES,
    &MAX_DOCUMENT_BYTES,
    &MAX_JOB_ACTIONS,
    &MAX_SEARCH_CONDITIONS,
    &BODY_IDLE_TIMEOUT,
    &BODY_TIMEOUT,
    &ANSWER_TIMEOUT,
    &MIN_ANSWER_RATE,
    &MAX_CONNECTIONS,
    &MAX_CONNECTIONS_PER_PEER,
    &MAX_SEARCHES_PER_PROJECT,
    &MAX_SEARCHES,
    &MAX_WAITING_SEARCHES,
    &SEARCH_WAIT_TIMEOUT,
    &REPEATED_BACKUP_WINDOW,
    &REQUEST_TIMEOUT,
    &MAX_WAITING_REQUESTS,
    &MAX_WAITING_BYTES,
    &NOAUTH_HOSTS,
];

/// Page size of a scheduler's polls. The scheduler takes a shorter page for the last one.
const POLL: u64 = 10;

/// Approximate size of a job apart from its schedule and its actions, in bytes, for [`remarks`].
const BESIDE: u64 = 8 << 10;
/// Bytes of a typical action in a job that is shown, for [`remarks`].
const TYPICAL_ACTION: u64 = 512;

/// Returns warnings about limits that hide jobs from schedulers, or that do not fit together.
pub(super) fn remarks(config: &Config) -> Vec<String> {
    let mut remarks = Vec::new();
    if let Ok(Some(limit)) = max_limit(config)
        && limit < POLL
    {
        remarks.push(format!(
            "[api] max_limit = {limit}: schedulers request pages of {POLL} jobs and never see the jobs after a \
             shorter page"
        ));
    }
    if let (Ok(Some(page)), Ok(document)) = (max_page(config), max_document(config)) {
        // The job has one schedule and its actions.
        let job = (document as u64).saturating_mul(2).saturating_add(BESIDE);
        if page < job.saturating_mul(POLL) {
            remarks.push(format!(
                "[api] max_page_bytes = {page}: a page may contain fewer than {POLL} jobs of max_document_bytes = \
                 {document}, and schedulers never see the jobs after such a page; set max_page_bytes to {} or more",
                job.saturating_mul(POLL)
            ));
        }
    }
    if let (Ok(actions), Ok(body)) = (max_job_actions(config), oslo_middleware::max_body(config)) {
        let (actions, body) = (actions as u64, body as u64);
        let whole = actions.saturating_mul(TYPICAL_ACTION).saturating_add(BESIDE);
        if body < whole {
            let fitting = (body.saturating_sub(BESIDE) / TYPICAL_ACTION).max(1);
            remarks.push(format!(
                "[api] max_job_actions = {actions}: clients that send a whole job back, as dashboards do, cannot do so with so \
                 many actions of {TYPICAL_ACTION} bytes; set [oslo_middleware] max_request_body_size = {body} to {whole} or \
                 more, or max_job_actions to {fitting} or less"
            ));
        }
    }
    remarks
}

/// Returns the maximum number of documents on a page. `None`: no maximum.
pub(super) fn max_limit(config: &Config) -> Result<Option<u64>, ConfigError> {
    let limit = MAX_LIMIT.need(config.int(&MAX_LIMIT)?)?;
    Ok(u64::try_from(limit).ok().filter(|limit| *limit > 0))
}

/// Returns the time in which a repeated report of a backup is recognized. `None`: reports are never compared.
pub(super) fn repeat_window(config: &Config) -> Result<Option<Duration>, ConfigError> {
    let seconds = REPEATED_BACKUP_WINDOW.need(config.int(&REPEATED_BACKUP_WINDOW)?)?;
    Ok(u64::try_from(seconds).ok().filter(|seconds| *seconds > 0).map(Duration::from_secs))
}

/// Returns the maximum size of a page in bytes. `None`: no maximum.
pub(super) fn max_page(config: &Config) -> Result<Option<u64>, ConfigError> {
    let bytes = MAX_PAGE_BYTES.need(config.int(&MAX_PAGE_BYTES)?)?;
    Ok(u64::try_from(bytes).ok().filter(|bytes| *bytes > 0))
}

/// Returns the maximum size of all large answers in bytes.
pub(super) fn max_answers(config: &Config) -> Result<usize, ConfigError> {
    number(config, &MAX_ANSWER_BYTES)
}

/// Returns the maximum size of a stored document in bytes.
pub(super) fn max_document(config: &Config) -> Result<usize, ConfigError> {
    let bytes = MAX_DOCUMENT_BYTES.need(config.int(&MAX_DOCUMENT_BYTES)?)?;
    Ok(usize::try_from(bytes).unwrap_or_default())
}

/// Returns the size of the largest stored document that a request can read. Commands for the database use this size, too. If an
/// option is invalid, they use its default, because only the service reports it.
pub(super) fn largest_readable(config: &Config) -> u64 {
    let default = HttpSettings::default();
    let max_answers = max_answers(config).unwrap_or(default.max_answers);
    let max_document = max_document(config).unwrap_or(default.max_document);
    HttpSettings { max_answers, max_document, ..default }.largest_readable()
}

/// Returns the maximum number of actions of a job.
pub(super) fn max_job_actions(config: &Config) -> Result<usize, ConfigError> {
    number(config, &MAX_JOB_ACTIONS)
}

/// Returns the maximum number of pairs and texts in a search.
pub(super) fn max_conditions(config: &Config) -> Result<usize, ConfigError> {
    let conditions = MAX_SEARCH_CONDITIONS.need(config.int(&MAX_SEARCH_CONDITIONS)?)?;
    Ok(usize::try_from(conditions).unwrap_or_default())
}

/// Returns the time limits of request bodies.
pub(super) fn body_limits(config: &Config) -> Result<BodyLimits, ConfigError> {
    Ok(BodyLimits { idle: seconds(config, &BODY_IDLE_TIMEOUT)?, total: seconds(config, &BODY_TIMEOUT)? })
}

/// Returns the limits of simultaneous searches for a pool of this size.
pub(super) fn scan_limits(config: &Config, connections: usize) -> Result<ScanLimits, ConfigError> {
    Ok(ScanLimits {
        per_project: number(config, &MAX_SEARCHES_PER_PROJECT)?,
        in_all: number(config, &MAX_SEARCHES)?.min((connections / 2).max(1)),
        waiting: number(config, &MAX_WAITING_SEARCHES)?,
        wait: seconds(config, &SEARCH_WAIT_TIMEOUT)?,
    })
}

/// Returns the limits of connections.
pub(super) fn connection_limits(config: &Config) -> Result<ConnectionLimits, ConfigError> {
    let per_peer = number(config, &MAX_CONNECTIONS_PER_PEER)?;
    Ok(ConnectionLimits {
        max: number(config, &MAX_CONNECTIONS)?,
        per_peer: (per_peer > 0).then_some(per_peer),
        answer_timeout: seconds(config, &ANSWER_TIMEOUT)?,
        min_answer_rate: number(config, &MIN_ANSWER_RATE)? as u64,
        ..ConnectionLimits::default()
    })
}

/// Returns the host names that requests may use without authentication: `bind_host`, if it is a name, and the listed
/// names. They are in lower case, without a final dot.
pub(super) fn noauth_hosts(config: &Config, bind_host: &str) -> Result<Vec<String>, ConfigError> {
    let listed = config.list(&NOAUTH_HOSTS)?.unwrap_or_default();
    let plain = |name: &str| noauth::plain_name(name.trim());
    let mut names = Vec::new();
    for name in listed.iter().filter(|name| !name.trim().is_empty()) {
        names.push(plain(name).ok_or_else(|| {
            ConfigError::Unusable {
                option: "[api] noauth_hosts",
                value: name.clone(),
                reason:
                    "not a host name; write a name or an address without scheme, port and wildcards, such as \
                     freezer.dev.example"
                        .to_owned(),
            }
        })?);
    }
    // Loopback addresses are always served, and other addresses must be listed.
    let is_address = bind_host.parse::<IpAddr>().is_ok();
    names.extend(plain(bind_host).filter(|_| !is_address));
    Ok(names)
}

fn number(config: &Config, option: &OptDecl) -> Result<usize, ConfigError> {
    let number = option.need(config.int(option)?)?;
    Ok(usize::try_from(number).unwrap_or_default())
}

/// Returns the time that the database may take for a request.
pub(super) fn request_timeout(config: &Config) -> Result<Duration, ConfigError> {
    seconds(config, &REQUEST_TIMEOUT)
}

/// Returns the limits of requests that wait for the database.
pub(super) fn waiting(config: &Config) -> Result<admission::AdmissionLimits, ConfigError> {
    Ok(admission::AdmissionLimits {
        requests: number(config, &MAX_WAITING_REQUESTS)?,
        bytes: number(config, &MAX_WAITING_BYTES)?,
    })
}

fn seconds(config: &Config, option: &OptDecl) -> Result<Duration, ConfigError> {
    let seconds = option.need(config.int(option)?)?;
    Ok(Duration::from_secs(u64::try_from(seconds).unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn jobs_should_fit_into_request_bodies() {
        let remarks = |actions: &str, body: &str| {
            let text = format!(
                "[api]\nmax_job_actions = {actions}\n[oslo_middleware]\nmax_request_body_size = {body}\n"
            );
            let options: Vec<&OptDecl> = [OPTIONS, oslo_middleware::OPTIONS].concat();
            super::remarks(&Config::from_text("f", &text).unwrap().declare(&options))
        };
        for (actions, body) in
            [("", ""), ("200", ""), ("1", "8704"), ("1000", "1000000"), ("10000", "5128192")]
        {
            assert_eq!(remarks(actions, body), Vec::<String>::new(), "{actions} {body}");
        }
        for (actions, body, named) in [
            (
                "1000",
                "",
                ["max_job_actions = 1000", "114688 to 520192 or more", "max_job_actions to 208 or less"],
            ),
            ("", "65536", ["max_job_actions = 200", "65536 to 110592 or more", "to 112 or less"]),
            (
                "10000",
                "5128191",
                ["max_job_actions = 10000", "5128191 to 5128192 or more", "to 9999 or less"],
            ),
            ("1", "0", ["max_job_actions = 1:", "0 to 8704 or more", "to 1 or less"]),
        ] {
            let remarks = remarks(actions, body);
            assert_eq!(remarks.len(), 1, "{remarks:?}");
            assert!(named.iter().all(|part| remarks[0].contains(part)), "{remarks:?}");
        }
    }

    #[test]
    fn configured_host_names_are_read_without_authentication() {
        let names = |bind_host: &str, hosts: &str| {
            let text = format!("[api]\nnoauth_hosts = {hosts}\n");
            noauth_hosts(&Config::from_text("f", &text).unwrap().declare(OPTIONS), bind_host)
        };
        assert_eq!(names("0.0.0.0", "").unwrap(), Vec::<String>::new());
        assert_eq!(names("::1", "").unwrap(), Vec::<String>::new());
        assert_eq!(names("Freezer.Dev.Example.", "").unwrap(), ["freezer.dev.example"]);
        let listed = names("dev-host", " A.example ,192.0.2.1,,[2001:DB8:0::1], b. ").unwrap();
        assert_eq!(listed, ["a.example", "192.0.2.1", "2001:db8::1", "b", "dev-host"]);
        for bad in ["http://a", "a:9090", "*", "*.example", "a b", "a/b", "user@a"] {
            let error = names("localhost", &format!("ok.example, {bad}")).unwrap_err().to_string();
            assert!(error.starts_with(&format!("[api] noauth_hosts = {bad}: not a host name")), "{error}");
        }
    }
}
