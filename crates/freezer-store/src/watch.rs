//! Decides when a statement is given up: at the deadline of its request, at its limit, or if its connection
//! is silent.
//!
//! A connection can be silent although its socket is open, for example if a firewall dropped it, a proxy
//! holds it, or the server is paused. Therefore a long statement is checked at the server. If it runs there,
//! the service continues to wait.

use std::time::Duration;

use tokio::time::Instant;

use crate::control::ThreadStatus;
use crate::deadline::Deadline;
use crate::error::Outage;
use crate::mysql::Thread;
use crate::pool::Pool;

/// Time until a running statement is checked at the server, and between two checks.
const CHECK_AFTER: Duration = Duration::from_secs(3);
/// How long to wait for a statement whose server cannot be reached, because a balancer leads to other
/// servers.
const OUT_OF_REACH: Duration = Duration::from_secs(8);
/// How long to wait for the answer if the server reports that the statement has ended.
const ANSWER_TIME: Duration = Duration::from_millis(250);
/// Time for the server to report by itself that a statement reached its limit.
const GRACE: Duration = Duration::from_secs(2);

/// Waits until a statement that starts now must be given up, and returns the reason.
pub(crate) async fn given_up(
    pool: &Pool,
    thread: Option<&Thread>,
    limit: Duration,
    deadline: Deadline,
) -> (Outage, String) {
    let begun = Instant::now();
    loop {
        let left = deadline.within(limit.saturating_add(GRACE).saturating_sub(begun.elapsed()));
        tokio::time::sleep(left.min(CHECK_AFTER)).await;
        if deadline.is_over() {
            return (Outage::Slow, "the deadline of the request has passed (request_timeout)".to_owned());
        }
        if begun.elapsed() >= limit.saturating_add(GRACE) {
            return (Outage::Slow, format!("longer than {limit:?} (statement_timeout)"));
        }
        let Some(thread) = thread else { continue };
        let left = deadline.within(limit.saturating_add(GRACE).saturating_sub(begun.elapsed()));
        let check = tokio::time::timeout(left, pool.control().check(thread)).await;
        let why = match check.unwrap_or(ThreadStatus::Unknown) {
            ThreadStatus::Running | ThreadStatus::Unknown => continue,
            ThreadStatus::OutOfReach if begun.elapsed() < OUT_OF_REACH => continue,
            ThreadStatus::OutOfReach => "its server is out of reach",
            ThreadStatus::Silent => "its server does not answer",
            ThreadStatus::Idle => "its server has ended the statement",
        };
        tokio::time::sleep(ANSWER_TIME).await;
        return (Outage::Away, format!("the connection is silent: {why}"));
    }
}
