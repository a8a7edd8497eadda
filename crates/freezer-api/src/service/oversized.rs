//! [`Oversized`]: the warnings about stored documents that are too large to be read.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// A document is named in the log at most once in this time. Schedulers ask for it every minute.
const PAUSE: Duration = Duration::from_secs(3_600);

/// Number of documents whose warnings are remembered. The log does not name more of them in [`PAUSE`].
const REMEMBERED: usize = 100;

/// The documents that the log has named, with the times.
#[derive(Debug, Default)]
pub struct Oversized(Mutex<HashMap<String, Instant>>);

impl Oversized {
    /// Returns whether the log should name this document now. If so, it should not do so again for an hour.
    pub fn is_due(&self, id: &str, now: Instant) -> bool {
        let mut named = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        named.retain(|_, since| now.saturating_duration_since(*since) < PAUSE);
        let is_due = named.len() < REMEMBERED && !named.contains_key(id);
        if is_due {
            named.insert(id.to_owned(), now);
        }
        is_due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_document_is_named_once_an_hour() {
        let (oversized, start) = (Oversized::default(), Instant::now());
        for (id, seconds, is_due) in [
            ("a", 0, true),
            ("a", 60, false),
            ("b", 60, true),
            ("a", 3_599, false),
            ("a", 3_600, true),
            ("b", 3_600, false),
            ("b", 3_660, true),
        ] {
            let now = start + Duration::from_secs(seconds);
            assert_eq!(oversized.is_due(id, now), is_due, "{id} after {seconds} s");
        }
    }

    #[test]
    fn many_documents_do_not_fill_the_memory_or_the_log() {
        let (oversized, now) = (Oversized::default(), Instant::now());
        let named = (0..1_000).filter(|id| oversized.is_due(&id.to_string(), now)).count();
        assert_eq!(named, REMEMBERED);
        assert!(oversized.is_due("0", now + PAUSE));
    }
}
