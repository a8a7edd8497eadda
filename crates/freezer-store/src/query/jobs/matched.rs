//! Passes a job to a matcher member by member. A poll matches every job of its result, and no search concerns
//! most members.
//!
//! The members must equal those of the serialised document (`model/job.rs`, `model/action.rs`). A test below
//! checks this.

use crate::model::{Action, Job};
use crate::query::listing::{KEYS, ListedDocument};
use crate::search::{Level, Matcher};

impl ListedDocument for Job {
    const IN_PARTS: bool = true;

    fn size(&self) -> usize {
        let text = |text: &Option<String>| text.as_ref().map_or(0, |text| text.len() * 6);
        let actions: usize = self.job_actions.iter().map(ListedDocument::size).sum();
        KEYS + self.job_schedule.get().len() + self.client_id.len() + text(&self.description) + actions
    }

    fn show_row(&self, matcher: &mut Matcher<'_>) {
        matcher.text("job_id", self.job_id.as_str(), Level::Top);
        matcher.text("project_id", self.project_id.as_str(), Level::Top);
        matcher.text("user_id", self.user_id.as_str(), Level::Top);
        matcher.json("job_schedule", &self.job_schedule, Level::Top);
        matcher.text("client_id", self.client_id.as_str(), Level::Top);
        matcher.text("session_id", self.session_id.as_deref(), Level::Top);
        matcher.scalar("session_tag", &self.session_tag, Level::Top);
        matcher.text("description", self.description.as_deref(), Level::Top);
    }

    fn show_rest(&self, matcher: &mut Matcher<'_>) {
        matcher.list("job_actions", &self.job_actions, Level::Top, show_action);
        if let Some(trust) = &self.user_credentials {
            matcher.value("user_credentials", trust, Level::Top);
        }
    }
}

/// Passes an action inside a job.
fn show_action(matcher: &mut Matcher<'_>, action: &Action) {
    matcher.text("project_id", action.project_id.as_str(), Level::Deeper);
    matcher.text("action_id", action.action_id.as_str(), Level::Deeper);
    matcher.text("user_id", action.user_id.as_str(), Level::Deeper);
    if let Some(retries) = &action.max_retries {
        matcher.scalar("max_retries", retries, Level::Deeper);
    }
    if let Some(seconds) = &action.max_retries_interval {
        matcher.scalar("max_retries_interval", seconds, Level::Deeper);
    }
    matcher.scalar("mandatory", &action.mandatory, Level::Deeper);
    matcher.json("freezer_action", &action.freezer_action, Level::Deeper);
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use crate::model::StoredTrust;
    use crate::query::jobs::SHAPE;
    use crate::search::Search;
    use serde_json::value::{RawValue, to_raw_value};
    use serde_json::{Value, json};

    fn raw(value: Value) -> Box<RawValue> {
        to_raw_value(&value).unwrap()
    }

    fn job() -> Job {
        let action = |number: i64| Action {
            project_id: "p1".to_owned(),
            action_id: format!("a{number}"),
            user_id: "u2".to_owned(),
            max_retries: Some(number),
            max_retries_interval: None,
            mandatory: number == 1,
            freezer_action: raw(json!({"action": "backup", "nested": {"description": [number, "deep"]}})),
            timeout: Some(7),
        };
        Job {
            job_id: "j1".to_owned(),
            project_id: "p1".to_owned(),
            user_id: "u1".to_owned(),
            job_schedule: raw(json!({"status": "running", "event": "", "current_pid": 12})),
            client_id: "node".to_owned(),
            session_id: None,
            session_tag: Some(3),
            description: Some("nightly".to_owned()),
            job_actions: vec![action(1), action(2)],
            user_credentials: Some(StoredTrust {
                trust_id: "t1".to_owned(),
                trustor_user_id: "u9".to_owned(),
            }),
        }
    }

    /// Collects every pair of a key and a value in a document, at any depth.
    fn pairs(document: &Value, found: &mut Vec<(String, Value)>) {
        match document {
            Value::Object(members) => {
                for (key, value) in members {
                    found.push((key.clone(), value.clone()));
                    pairs(value, found);
                }
            }
            Value::Array(items) => items.iter().for_each(|item| pairs(item, found)),
            _ => {}
        }
    }

    /// Returns every search for a single property that a document has or lacks.
    fn searches(document: &Value) -> Vec<Search> {
        let mut asked = Vec::new();
        pairs(document, &mut asked);
        let others: Vec<_> = asked.iter().map(|(key, _)| (key.clone(), json!("another"))).collect();
        asked.extend(others);
        let mut searches = Vec::new();
        for pair in asked {
            if let Some(text) = pair.1.as_str() {
                searches.push(Search { texts: vec![text.to_owned()], ..Search::default() });
                searches.push(Search { texts_not: vec![text.to_owned()], ..Search::default() });
            }
            searches.push(Search { matches: vec![pair.clone()], ..Search::default() });
            searches.push(Search { match_not: vec![pair], ..Search::default() });
        }
        searches
    }

    #[test]
    fn the_matcher_receives_the_serialised_document() {
        let job = job();
        let written = serde_json::to_value(&job).unwrap();
        let searches = searches(&written);
        assert!(searches.len() > 100);
        for search in searches {
            let wanted = search.accepts(&written, SHAPE.identity);
            let mut matcher = Matcher::new(&search, SHAPE.identity);
            let in_one_go = matcher.accepts(|matcher| {
                job.show_row(matcher);
                job.show_rest(matcher);
            });
            assert_eq!(in_one_go, wanted, "{search:?}");
            let in_parts = match matcher.match_part(|matcher| job.show_row(matcher)) {
                crate::search::MatchResult::Yes => true,
                crate::search::MatchResult::No => false,
                crate::search::MatchResult::Undecided(found) => {
                    matcher.accepts_with(found, |matcher| job.show_rest(matcher))
                }
            };
            assert_eq!(in_parts, wanted, "in parts: {search:?}");
        }
    }
}
