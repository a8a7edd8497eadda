//! Answers about tokens. Lives here: [`TokenCache`], bounded and expiring, in which many callers asking about one token
//! share one call to Keystone. How to ask Keystone is the caller's business.
//!
//! Two clocks: the injected one decides whether an entry is still good, moka's own (monotonic) one bounds how long it
//! stays in memory, so that a clock set back cannot keep a token alive.

use std::sync::Arc;
use std::time::{Duration, Instant};

use moka::future::Cache;
use moka::ops::compute::Op;
use sha2::{Digest, Sha256};

use crate::clock::Clock;
use crate::error::{AuthError, Rejection};
use crate::token::ValidatedToken;

/// moka counts in nanoseconds: a token that ends in the year 9999 would overflow them.
const LONGEST_KEEP_SECONDS: i64 = 365 * 86_400;

type Validated = Result<Arc<ValidatedToken>, AuthError>;

/// What an entry is found by. Never the token itself: memory dumps and bugs must not give tokens away.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Key {
    token: [u8; 32],
    /// Asked with `allow_expired`: a different question, with a different answer once the token has expired.
    allow_expired: bool,
}

#[derive(Clone)]
struct Entry {
    answer: Result<Arc<ValidatedToken>, Rejection>,
    fresh_until: i64,
    keep: Duration,
}

struct PerEntry;

impl moka::Expiry<Key, Entry> for PerEntry {
    fn expire_after_create(&self, _: &Key, entry: &Entry, _: Instant) -> Option<Duration> {
        Some(entry.keep)
    }

    fn expire_after_update(
        &self,
        _: &Key,
        entry: &Entry,
        _: Instant,
        _: Option<Duration>,
    ) -> Option<Duration> {
        Some(entry.keep)
    }
}

pub(crate) struct TokenCache {
    /// `None`: caching is off.
    entries: Option<Cache<Key, Entry>>,
    /// Longest life of a good answer, in seconds; 0: the token's own.
    valid_seconds: i64,
    /// Life of a refusal, in seconds.
    rejected_seconds: i64,
    clock: Clock,
}

impl TokenCache {
    /// `valid_for`: `None` switches the cache off, zero means until the token expires.
    pub(crate) fn new(
        capacity: u64,
        valid_for: Option<Duration>,
        rejected_for: Duration,
        clock: Clock,
    ) -> Self {
        let entries =
            valid_for.map(|_| Cache::builder().max_capacity(capacity).expire_after(PerEntry).build());
        let seconds = |duration: Duration| i64::try_from(duration.as_secs()).unwrap_or(i64::MAX);
        Self {
            entries,
            valid_seconds: seconds(valid_for.unwrap_or_default()),
            rejected_seconds: seconds(rejected_for),
            clock,
        }
    }

    /// The kept answer about `token`, or that of `ask`, which is awaited by one of all present callers.
    ///
    /// Refusals are kept for a short time, good answers as the settings say; a failure to ask is handed to everyone
    /// who waits for it and then forgotten.
    pub(crate) async fn get_or_ask(
        &self,
        token: &str,
        allow_expired: bool,
        ask: impl Future<Output = Validated>,
    ) -> Validated {
        let Some(entries) = &self.entries else { return ask.await };
        let hash: [u8; 32] = Sha256::digest(token.as_bytes()).into();
        if allow_expired {
            // A token known to be good needs no second question.
            let plain = Key { token: hash, allow_expired: false };
            if let Some(Entry { answer: Ok(token), .. }) = self.fresh(entries, &plain).await {
                return Ok(token);
            }
        }
        let key = Key { token: hash, allow_expired };
        if let Some(entry) = self.fresh(entries, &key).await {
            return entry.answer.map_err(AuthError::Invalid);
        }
        let made = entries.try_get_with(key, async { self.entry(ask.await, allow_expired) }).await;
        match made {
            Ok(entry) => entry.answer.map_err(AuthError::Invalid),
            Err(error) => Err((*error).clone()),
        }
    }

    /// The entry at `key` if it is still good. One that is not is taken out, unless somebody has replaced it meanwhile.
    async fn fresh(&self, entries: &Cache<Key, Entry>, key: &Key) -> Option<Entry> {
        let entry = entries.get(key).await?;
        if (self.clock)() < entry.fresh_until {
            return Some(entry);
        }
        entries
            .entry(*key)
            .and_compute_with(|present| {
                let stale = present.is_some_and(|present| (self.clock)() >= present.value().fresh_until);
                std::future::ready(if stale { Op::Remove } else { Op::Nop })
            })
            .await;
        None
    }

    fn entry(&self, answer: Validated, allow_expired: bool) -> Result<Entry, AuthError> {
        let now = (self.clock)();
        let (answer, seconds) = match answer {
            Ok(token) => {
                let left = token.expires_at.saturating_sub(now);
                // Beside a service token an expired token may go on being used: its expiry is no limit then.
                let seconds = match (allow_expired && left <= 0, self.valid_seconds) {
                    (true, limit) => limit,
                    (false, 0) => left,
                    (false, limit) => left.min(limit),
                };
                (Ok(token), seconds)
            }
            Err(AuthError::Invalid(rejection)) => (Err(rejection), self.rejected_seconds),
            Err(failure) => return Err(failure),
        };
        let seconds = seconds.max(0);
        Ok(Entry {
            answer,
            fresh_until: now.saturating_add(seconds),
            keep: Duration::from_secs(seconds.min(LONGEST_KEEP_SECONDS).unsigned_abs()),
        })
    }
}
