//! Decides when a statement is given up: at the deadline of its request, at its limit, or if its connection
//! is silent.
//!
//! A connection can be silent although its socket is open, for example if a firewall dropped it, a proxy
//! holds it, or the server is paused. Therefore a long statement is checked at the server. If it runs there,
//! the service continues to wait. If the server has ended the statement, its rows may still wait in the socket
//! for a service that lacks CPU time. Therefore a statement whose rows are being read is never silent.

use std::time::Duration;

use tokio::time::Instant;

use crate::class::Outage;
use crate::control::ThreadStatus;
use crate::deadline::Deadline;
use crate::engine::Watched;
use crate::pool::Pool;

/// Time until a running statement is checked at the server, and between two checks.
const CHECK_AFTER: Duration = Duration::from_secs(3);
/// How long to wait for a statement whose server cannot be reached, because a balancer leads to other
/// servers.
const OUT_OF_REACH: Duration = Duration::from_secs(8);
/// Time for the server to report by itself that a statement reached its limit.
const GRACE: Duration = Duration::from_secs(2);

/// Waits until a statement that starts now must be given up, and returns the reason. The caller must poll the
/// statement first. A statement on a file is not `watched`.
pub(crate) async fn given_up(
    pool: &Pool,
    watched: Option<&Watched>,
    limit: Duration,
    deadline: Deadline,
) -> (Outage, String) {
    let begun = Instant::now();
    loop {
        let rows = watched.map_or(0, |watched| watched.progress.rows());
        let left = deadline.within(limit.saturating_add(GRACE).saturating_sub(begun.elapsed()));
        tokio::time::sleep(left.min(CHECK_AFTER)).await;
        if deadline.is_over() {
            return (Outage::Slow, "the deadline of the request has passed (request_timeout)".to_owned());
        }
        if begun.elapsed() >= limit.saturating_add(GRACE) {
            return (Outage::Slow, format!("longer than {limit:?} (statement_timeout)"));
        }
        let Some(Watched { thread, progress }) = watched else { continue };
        if progress.is_made_since(rows) {
            continue;
        }
        let left = deadline.within(limit.saturating_add(GRACE).saturating_sub(begun.elapsed()));
        let check = tokio::time::timeout(left, pool.control().check(thread)).await;
        let why = match check.unwrap_or(ThreadStatus::Unknown) {
            ThreadStatus::Running | ThreadStatus::Unknown => continue,
            ThreadStatus::OutOfReach if begun.elapsed() < OUT_OF_REACH => continue,
            ThreadStatus::OutOfReach => "its server is out of reach",
            ThreadStatus::Silent => "its server does not answer",
            ThreadStatus::Idle => "its server has ended the statement",
        };
        if progress.is_missing_since(rows).await {
            return (Outage::Away, format!("the connection is silent: {why}"));
        }
    }
}
