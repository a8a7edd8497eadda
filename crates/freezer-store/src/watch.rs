//! When a statement is given up: at the deadline of its request, at its limit, or because its connection is silent.
//!
//! A connection can be silent although its socket is open: a firewall forgot it, a proxy holds it, the server is paused. So a
//! statement that takes long is looked for at the server. One that runs there is waited for.

use std::time::Duration;

use tokio::time::Instant;

use crate::control::Seen;
use crate::deadline::Deadline;
use crate::error::Outage;
use crate::mysql::Thread;
use crate::pool::Pool;

/// How long a statement may take before it is looked for at the server, each time.
const LOOK_AFTER: Duration = Duration::from_secs(3);
/// How long a statement is waited for whose server cannot be asked, because a balancer leads to others.
const OUT_OF_REACH: Duration = Duration::from_secs(8);
/// Time for an answer that is under way while the server says that the statement has ended.
const ON_ITS_WAY: Duration = Duration::from_millis(250);
/// Time for the server to say itself that a statement reached its limit.
const GRACE: Duration = Duration::from_secs(2);

/// Returns when a statement that begins now is to be given up, and why.
pub(crate) async fn given_up(
    pool: &Pool,
    thread: Option<&Thread>,
    limit: Duration,
    deadline: Deadline,
) -> (Outage, String) {
    let begun = Instant::now();
    loop {
        let left = deadline.within(limit.saturating_add(GRACE).saturating_sub(begun.elapsed()));
        tokio::time::sleep(left.min(LOOK_AFTER)).await;
        if deadline.is_over() {
            return (Outage::Slow, "the deadline of the request has passed (request_timeout)".to_owned());
        }
        if begun.elapsed() >= limit.saturating_add(GRACE) {
            return (Outage::Slow, format!("longer than {limit:?} (statement_timeout)"));
        }
        let Some(thread) = thread else { continue };
        let left = deadline.within(limit.saturating_add(GRACE).saturating_sub(begun.elapsed()));
        let look = tokio::time::timeout(left, pool.control().look(thread)).await;
        let why = match look.unwrap_or(Seen::Unknown) {
            Seen::Running | Seen::Unknown => continue,
            Seen::OutOfReach if begun.elapsed() < OUT_OF_REACH => continue,
            Seen::OutOfReach => "its server is out of reach",
            Seen::Silent => "its server does not answer",
            Seen::Idle => "its server has ended the statement",
        };
        tokio::time::sleep(ON_ITS_WAY).await;
        return (Outage::Away, format!("the connection is silent: {why}"));
    }
}
