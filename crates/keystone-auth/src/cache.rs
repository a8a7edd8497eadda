//! [`TokenCache`]: a bounded cache of validation results whose entries expire. Concurrent callers with the
//! same token share one call to Keystone.
//!
//! Two clocks are involved. The injected clock decides whether an entry is still valid. The monotonic clock
//! of moka limits how long an entry stays in memory, so that a clock that is set back cannot keep a token
//! valid.

use std::sync::Arc;
use std::time::{Duration, Instant};

use moka::future::Cache;
use moka::ops::compute::Op;
use sha2::{Digest, Sha256};

use crate::clock::UnixClock;
use crate::error::{AuthError, Rejection};
use crate::observer::KeystoneObserver;
use crate::token::ValidatedToken;

/// moka counts nanoseconds in 64 bits, which the lifetime of a token until the year 9999 would overflow.
const LONGEST_KEEP_SECONDS: i64 = 365 * 86_400;

type Validated = Result<Arc<ValidatedToken>, AuthError>;

/// CacheKey of an entry. It never contains the token itself, because memory dumps must not reveal tokens.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct CacheKey {
    token: [u8; 32],
    /// Whether the validation used `allow_expired`. Such a result differs if the token has expired.
    allow_expired: bool,
}

#[derive(Clone)]
struct CachedToken {
    answer: Result<Arc<ValidatedToken>, Rejection>,
    fresh_until: i64,
    keep: Duration,
}

struct PerEntry;

impl moka::Expiry<CacheKey, CachedToken> for PerEntry {
    fn expire_after_create(&self, _: &CacheKey, entry: &CachedToken, _: Instant) -> Option<Duration> {
        Some(entry.keep)
    }

    fn expire_after_update(
        &self,
        _: &CacheKey,
        entry: &CachedToken,
        _: Instant,
        _: Option<Duration>,
    ) -> Option<Duration> {
        Some(entry.keep)
    }
}

pub(crate) struct TokenCache {
    /// `None` if caching is off.
    entries: Option<Cache<CacheKey, CachedToken>>,
    /// Longest lifetime of a valid token's entry, in seconds. 0 means until the token expires.
    valid_seconds: i64,
    /// Lifetime of a rejected token's entry, in seconds.
    rejected_seconds: i64,
    clock: UnixClock,
    observer: Option<Arc<dyn KeystoneObserver>>,
}

impl TokenCache {
    /// Creates a cache. `valid_for`: `None` switches the cache off, zero means until the token expires.
    pub(crate) fn new(
        capacity: u64,
        valid_for: Option<Duration>,
        rejected_for: Duration,
        clock: UnixClock,
        observer: Option<Arc<dyn KeystoneObserver>>,
    ) -> Self {
        let entries =
            valid_for.map(|_| Cache::builder().max_capacity(capacity).expire_after(PerEntry).build());
        let seconds = |duration: Duration| i64::try_from(duration.as_secs()).unwrap_or(i64::MAX);
        Self {
            entries,
            valid_seconds: seconds(valid_for.unwrap_or_default()),
            rejected_seconds: seconds(rejected_for),
            clock,
            observer,
        }
    }

    /// Returns the approximate number of entries.
    pub(crate) fn len(&self) -> u64 {
        self.entries.as_ref().map_or(0, Cache::entry_count)
    }

    fn note(&self, is_found: bool) {
        if let Some(observer) = &self.observer {
            observer.looked_up(is_found);
        }
    }

    /// Returns the cached result for `token`, or awaits `ask`, which concurrent callers share.
    ///
    /// Rejections are cached for a short time, and valid tokens as long as the settings say. All waiting
    /// callers get the error of a failed call, which is not cached.
    pub(crate) async fn get_or_ask(
        &self,
        token: &str,
        allow_expired: bool,
        ask: impl Future<Output = Validated>,
    ) -> Validated {
        let Some(entries) = &self.entries else { return ask.await };
        let hash: [u8; 32] = Sha256::digest(token.as_bytes()).into();
        if allow_expired {
            // A token that is known to be valid needs no second validation.
            let plain = CacheKey { token: hash, allow_expired: false };
            if let Some(CachedToken { answer: Ok(token), .. }) = self.fresh(entries, &plain).await {
                self.note(true);
                return Ok(token);
            }
        }
        let key = CacheKey { token: hash, allow_expired };
        let found = self.fresh(entries, &key).await;
        self.note(found.is_some());
        if let Some(entry) = found {
            return entry.answer.map_err(AuthError::Invalid);
        }
        let made = entries.try_get_with(key, async { self.entry(ask.await, allow_expired) }).await;
        match made {
            Ok(entry) => entry.answer.map_err(AuthError::Invalid),
            Err(error) => Err((*error).clone()),
        }
    }

    /// Returns the entry of `key` if it is still valid. Removes an expired entry, unless another task has
    /// replaced it.
    async fn fresh(&self, entries: &Cache<CacheKey, CachedToken>, key: &CacheKey) -> Option<CachedToken> {
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

    fn entry(&self, answer: Validated, allow_expired: bool) -> Result<CachedToken, AuthError> {
        let now = (self.clock)();
        let (answer, seconds) = match answer {
            Ok(token) => {
                let left = token.expires_at.saturating_sub(now);
                // With a service token, an expired token stays usable, so its expiry does not limit the
                // entry.
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
        Ok(CachedToken {
            answer,
            fresh_until: now.saturating_add(seconds),
            keep: Duration::from_secs(seconds.min(LONGEST_KEEP_SECONDS).unsigned_abs()),
        })
    }
}
