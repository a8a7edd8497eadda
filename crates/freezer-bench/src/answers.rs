//! [`AnswerCache`]: a cache of correct answers, so the same answer is parsed only once.
//!
//! The check itself is in `scenario.rs`. If the same request gets the same bytes again, they are still correct. Without this
//! cache, parsing ten jobs for each poll took more than a tenth of the CPU time of the load generator.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use crate::dataset::Dataset;
use crate::http::Answer;
use crate::scenario::Scenario;

/// The maximum number of cached answers. The largest answers contain ten jobs.
const KEPT: usize = 20_000;

/// The correct answers by request.
#[derive(Debug, Default)]
pub struct AnswerCache(Mutex<HashMap<Vec<u8>, Answer>>);

impl AnswerCache {
    /// Checks the answer to the request with this number.
    ///
    /// # Errors
    /// Those of [`Scenario::check`].
    pub fn check(
        &self,
        scenario: Scenario,
        number: u64,
        data: &Dataset,
        request: &[u8],
        answer: Answer,
    ) -> Result<(), String> {
        let mut answers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if answers.get(request) == Some(&answer) {
            return Ok(());
        }
        scenario.check(number, data, &answer)?;
        if scenario.reads() && answers.len() < KEPT {
            answers.insert(request.to_vec(), answer);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use crate::dataset::ObjectKind;
    use crate::dataset::tests::small;

    fn job(data: &Dataset, more: &str) -> Answer {
        let id = data.id(ObjectKind::Job, 0);
        let body = format!(r#"{{"job_id": "{id}", "client_id": "bench-0", "job_actions": [{more}]}}"#);
        Answer { status: 200, body: body.into_bytes(), keep_alive: true }
    }

    #[test]
    fn an_answer_is_right_only_as_it_was_and_to_the_same_request() {
        let (answers, data) = (AnswerCache::default(), small());
        let check = |request: &str, number, answer| {
            answers.check(Scenario::GetJob, number, &data, request.as_bytes(), answer)
        };
        for _ in 0..2 {
            assert_eq!(check("a", 0, job(&data, "{}")), Ok(()));
        }
        assert_eq!(answers.0.lock().unwrap().len(), 1);
        assert!(check("a", 0, job(&data, "")).unwrap_err().contains("0 actions"), "another body");
        assert!(check("a", 0, Answer { status: 500, ..job(&data, "{}") }).is_err(), "another status");
        assert!(check("b", 1, job(&data, "{}")).is_err(), "another request");
        assert_eq!(check("a", 0, job(&data, r#"{"more": 1}"#)), Ok(()), "read again");
    }

    #[test]
    fn answers_to_changes_are_not_kept() {
        let (answers, data) = (AnswerCache::default(), small());
        let answer = Answer { status: 201, body: br#"{"backup_id": "b"}"#.to_vec(), keep_alive: true };
        assert_eq!(answers.check(Scenario::PostBackup, 0, &data, b"a", answer), Ok(()));
        assert!(answers.0.lock().unwrap().is_empty());
    }
}
