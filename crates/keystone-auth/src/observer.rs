//! [`KeystoneObserver`]: learns about the calls to Keystone and the use of the token cache, for example to count them.

use std::time::Duration;

/// Learns about calls and look-ups. Its functions run in the task of the request, so they must be fast.
pub trait KeystoneObserver: Send + Sync {
    /// A call has ended after this time, with all its attempts. `operation` is one of a few phrases, such as "validate a
    /// token".
    fn called(&self, operation: &'static str, outcome: CallOutcome, duration: Duration);

    /// A call is attempted again after a failed connection.
    fn called_again(&self, operation: &'static str);

    /// A token was looked up in the cache. Requests that share a call did not find it.
    fn looked_up(&self, is_found: bool);
}

/// The end of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CallOutcome {
    /// Keystone did what was asked.
    Success,
    /// Keystone refused, for example because a token is not valid (statuses 3xx and 4xx).
    Refused,
    /// Keystone, or a proxy in front of it, failed (statuses 5xx).
    Failed,
    /// There was no usable answer in time.
    NoAnswer,
}
