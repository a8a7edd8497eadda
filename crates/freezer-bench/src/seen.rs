//! [`Seen`]: right answers of a load, so that the same one need not be read as JSON each time it comes.
//!
//! What a right answer is, `scenario.rs` says. Here is only that the same bytes to the same request are as right as they were
//! before: reading ten jobs each time was more than a tenth of the driver's work.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use crate::dataset::Dataset;
use crate::http::Answer;
use crate::scenario::Scenario;

/// Answers kept at most; the largest are of ten jobs.
const KEPT: usize = 20_000;

/// Answers that were right, by their requests.
#[derive(Debug, Default)]
pub struct Seen(Mutex<HashMap<Vec<u8>, Answer>>);

impl Seen {
    /// Says what is wrong with the answer to the request with this number.
    ///
    /// # Errors
    /// As [`Scenario::check`].
    pub fn check(
        &self,
        scenario: Scenario,
        number: u64,
        data: &Dataset,
        request: &[u8],
        answer: Answer,
    ) -> Result<(), String> {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.get(request) == Some(&answer) {
            return Ok(());
        }
        scenario.check(number, data, &answer)?;
        if scenario.reads() && seen.len() < KEPT {
            seen.insert(request.to_vec(), answer);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use crate::dataset::Kind;
    use crate::dataset::tests::small;

    fn job(data: &Dataset, more: &str) -> Answer {
        let id = data.id(Kind::Job, 0);
        let body = format!(r#"{{"job_id": "{id}", "client_id": "bench-0", "job_actions": [{more}]}}"#);
        Answer { status: 200, body: body.into_bytes(), keep_alive: true }
    }

    #[test]
    fn an_answer_is_right_only_as_it_was_and_to_the_same_request() {
        let (seen, data) = (Seen::default(), small());
        let check = |request: &str, number, answer| {
            seen.check(Scenario::GetJob, number, &data, request.as_bytes(), answer)
        };
        for _ in 0..2 {
            assert_eq!(check("a", 0, job(&data, "{}")), Ok(()));
        }
        assert_eq!(seen.0.lock().unwrap().len(), 1);
        assert!(check("a", 0, job(&data, "")).unwrap_err().contains("0 actions"), "another body");
        assert!(check("a", 0, Answer { status: 500, ..job(&data, "{}") }).is_err(), "another status");
        assert!(check("b", 1, job(&data, "{}")).is_err(), "another request");
        assert_eq!(check("a", 0, job(&data, r#"{"more": 1}"#)), Ok(()), "read again");
    }

    #[test]
    fn answers_to_changes_are_not_kept() {
        let (seen, data) = (Seen::default(), small());
        let answer = Answer { status: 201, body: br#"{"backup_id": "b"}"#.to_vec(), keep_alive: true };
        assert_eq!(seen.check(Scenario::PostBackup, 0, &data, b"a", answer), Ok(()));
        assert!(seen.0.lock().unwrap().is_empty());
    }
}
