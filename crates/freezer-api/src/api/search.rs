//! Reads a search from the body of a GET.
//!
//! The body has the form `{"match": [{k: v}, …], "match_not": […], "time_before": t, "time_after": t}`. Its meaning is
//! documented at `freezer_store::Search`. An invalid search is an error that names the invalid part. It must never match all
//! documents, because a scheduler runs every job that it receives.

use freezer_store::query::Page;
use freezer_store::query::jobs::Poll;
use freezer_store::{Scope, Search};
use serde_json::{Map, Value};

use super::json;
use crate::error::Error;
use crate::service::job_reads::JobQuery;

/// Whether a list supports `time_before` and `time_after`, which limit the `time_stamp` of backups.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum TimeConditions {
    /// The list of backups supports them.
    Supported,
    /// Other lists do not.
    Unsupported,
}

/// Reads a search with at most `max_conditions` pairs and texts. `{}` is a search without conditions.
///
/// # Errors
/// [`Error::BadDocument`] with the name of the invalid part.
pub fn parse(body: &Value, times: TimeConditions, max_conditions: usize) -> Result<Search, Error> {
    let Value::Object(body) = body else {
        return Err(bad("the search must be an object with \"match\" or \"match_not\""));
    };
    let mut search = Search::default();
    for (key, value) in body {
        match key.as_str() {
            "match" => pairs("match", value, &mut search.matches, &mut search.texts)?,
            "match_not" => pairs("match_not", value, &mut search.match_not, &mut search.texts_not)?,
            "time_after" if times == TimeConditions::Supported => {
                search.time_after = Some(time("time_after", value)?)
            }
            "time_before" if times == TimeConditions::Supported => {
                search.time_before = Some(time("time_before", value)?)
            }
            "time_after" | "time_before" => {
                return Err(bad(&format!("{key}: only backups are searched by time")));
            }
            _ => return Err(bad(&format!("{key}: unknown key; use match or match_not"))),
        }
    }
    let Search { matches, match_not, texts, texts_not, .. } = &search;
    let conditions = matches.len() + match_not.len() + texts.len() + texts_not.len();
    if conditions > max_conditions {
        return Err(bad(&format!("{conditions} conditions; the maximum is {max_conditions}")));
    }
    Ok(search)
}

/// Returns the query for a list of jobs. Only this function recognizes polls. A poll reads the first page of the jobs of a
/// client that are not completed.
pub fn job_query(scope: Scope, search: Search, page: Page) -> JobQuery {
    let is_first = page.offset == 0 && page.marker.is_none() && !page.newest_first && !page.count;
    match (scope, polling_client(&search)) {
        (Scope::Project(project_id), Some(client_id)) if is_first => {
            let (client_id, Page { limit, look_ahead, max_bytes, readable, .. }) =
                (client_id.to_owned(), page);
            let poll = Poll { client_id, limit, look_ahead, max_bytes, readable };
            JobQuery::Poll { project_id, poll }
        }
        (scope, _) => JobQuery::Search { scope, search, page },
    }
}

/// Returns the client, if a search has the conditions of a poll and no others.
fn polling_client(search: &Search) -> Option<&str> {
    let Search { matches, match_not, texts, texts_not, time_after: None, time_before: None } = search else {
        return None;
    };
    let ([(key, Value::String(client_id))], [(excluded_key, excluded)]) = (&matches[..], &match_not[..])
    else {
        return None;
    };
    let is_poll = key == "client_id" && excluded_key == "status" && excluded == "completed";
    (is_poll && !client_id.is_empty() && texts.is_empty() && texts_not.is_empty()).then_some(client_id)
}

fn pairs(
    part: &str,
    value: &Value,
    found: &mut Vec<(String, Value)>,
    texts: &mut Vec<String>,
) -> Result<(), Error> {
    let Value::Array(items) = value else {
        return Err(bad(&format!(
            "{part}: must be a list of objects such as [{{\"client_id\": \"node1\"}}]"
        )));
    };
    for (position, item) in items.iter().enumerate() {
        // an empty object would match every document
        let Some(pairs) = item.as_object().filter(|pairs| !pairs.is_empty()) else {
            return Err(bad(&format!(
                "{part}[{position}]: must be an object with a key, such as {{\"status\": \"completed\"}}"
            )));
        };
        for (key, value) in pairs {
            if key == "_all" {
                free_text(part, position, value, found, texts)?;
            } else {
                found.push((key.clone(), value.clone()));
            }
        }
    }
    Ok(())
}

/// Reads `_all`: a text that is searched in the whole document, or a JSON list of pairs, as the `freezer` command documents it.
fn free_text(
    part: &str,
    position: usize,
    value: &Value,
    found: &mut Vec<(String, Value)>,
    texts: &mut Vec<String>,
) -> Result<(), Error> {
    let Value::String(text) = value else {
        return Err(bad(&format!("{part}[{position}]._all: must be a string")));
    };
    if let Some(pairs) =
        list_of_objects(text).map_err(|error| bad(&format!("{part}[{position}]._all: {error}")))?
    {
        if let Some(empty) = pairs.iter().position(Map::is_empty) {
            return Err(bad(&format!("{part}[{position}]._all[{empty}]: must be an object with a key")));
        }
        found.extend(pairs.into_iter().flatten());
    } else if !text.is_empty() {
        texts.push(text.clone());
    }
    Ok(())
}

/// Returns the objects of a JSON list of objects. Returns none if the text is not such a list.
fn list_of_objects(text: &str) -> Result<Option<Vec<Map<String, Value>>>, Error> {
    let items = match json::parse(text.as_bytes()) {
        Ok(Value::Array(items)) => items,
        Ok(_) | Err(Error::MalformedJson(_)) => return Ok(None),
        Err(error) => return Err(error),
    };
    let object = |item| if let Value::Object(map) = item { Some(map) } else { None };
    Ok(items.into_iter().map(object).collect())
}

fn time(part: &str, value: &Value) -> Result<f64, Error> {
    let seconds = match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    };
    seconds
        .filter(|seconds| seconds.is_finite())
        .ok_or_else(|| bad(&format!("{part}: must be a time in seconds since 1970")))
}

fn bad(reason: &str) -> Error {
    Error::BadDocument(format!("Invalid search: {reason}"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use serde_json::json;

    fn error(body: Value) -> String {
        parse(&body, TimeConditions::Unsupported, 50).unwrap_err().to_string()
    }

    #[test]
    fn the_poll_of_a_scheduler() {
        let body = json!({"match_not": [{"status": "completed"}], "match": [{"client_id": "node"}]});
        let search = parse(&body, TimeConditions::Unsupported, 50).unwrap();
        assert_eq!(search.matches, [("client_id".to_owned(), json!("node"))]);
        assert_eq!(search.match_not, [("status".to_owned(), json!("completed"))]);
    }

    fn query(scope: Scope, body: Value, page: Page) -> JobQuery {
        job_query(scope, parse(&body, TimeConditions::Unsupported, 50).unwrap(), page)
    }

    /// Returns the body of a poll.
    fn poll() -> Value {
        json!({"match_not": [{"status": "completed"}], "match": [{"client_id": "node"}]})
    }

    #[test]
    fn polls_are_recognized() {
        let bounded = Page { look_ahead: true, max_bytes: 7, readable: 9, ..Page::at(5, 0) };
        for body in [
            poll(),
            json!({"match": [{"client_id": "node"}], "match_not": [{"status": "completed"}]}),
            json!({"match": [{"_all": "[{\"client_id\": \"node\"}]"}], "match_not": [{"status": "completed"}]}),
        ] {
            let client_id = "node".to_owned();
            let expected = Poll { client_id, limit: 5, look_ahead: true, max_bytes: 7, readable: 9 };
            let JobQuery::Poll { project_id, poll } = query(Scope::project("p1"), body, bounded.clone())
            else {
                panic!("not a poll")
            };
            assert_eq!((project_id.as_str(), &poll), ("p1", &expected));
            assert_eq!(poll.page(), bounded);
            assert_eq!(poll.search(), parse(&super::tests::poll(), TimeConditions::Unsupported, 50).unwrap());
        }
    }

    #[test]
    fn other_lists_are_searches() {
        let with = |pairs: Value| {
            let mut body = poll();
            body.as_object_mut().unwrap().extend(pairs.as_object().unwrap().clone());
            body
        };
        for body in [
            json!({}),
            with(json!({"match": []})),
            with(json!({"match_not": []})),
            with(json!({"match": [{"client_id": ""}]})),
            with(json!({"match": [{"client_id": 5}]})),
            with(json!({"match": [{"client_id": null}]})),
            with(json!({"match": [{"client": "node"}]})),
            with(json!({"match": [{"client_id": "node"}, {"client_id": "node"}]})),
            with(json!({"match": [{"client_id": "node", "description": "nightly"}]})),
            with(json!({"match": [{"client_id": "node"}, {"_all": "text"}]})),
            with(json!({"match_not": [{"status": "running"}]})),
            with(json!({"match_not": [{"status": ["completed"]}]})),
            with(json!({"match_not": [{"result": "completed"}]})),
            with(json!({"match_not": [{"status": "completed"}, {"event": "stop"}]})),
            with(json!({"match_not": [{"status": "completed"}, {"_all": "text"}]})),
        ] {
            let search = parse(&body, TimeConditions::Unsupported, 50).unwrap();
            let (scope, page) = (Scope::project("p1"), Page::at(10, 0));
            let expected =
                JobQuery::Search { scope: scope.clone(), search: search.clone(), page: page.clone() };
            assert_eq!(job_query(scope, search, page), expected, "{body}");
        }
        for page in [
            Page::at(10, 1),
            Page { count: true, ..Page::at(10, 0) },
            Page { newest_first: true, ..Page::at(10, 0) },
            Page { marker: Some("job-1".to_owned()), ..Page::at(10, 0) },
        ] {
            let found = query(Scope::project("p1"), poll(), page.clone());
            assert!(matches!(found, JobQuery::Search { .. }), "{page:?}");
        }
        assert!(matches!(query(Scope::AllProjects, poll(), Page::at(10, 0)), JobQuery::Search { .. }));
        let timed =
            Search { time_after: Some(1.0), ..parse(&poll(), TimeConditions::Unsupported, 50).unwrap() };
        let found = job_query(Scope::project("p1"), timed, Page::at(10, 0));
        assert!(matches!(found, JobQuery::Search { .. }));
    }

    #[test]
    fn conditions_are_counted_in_all_parts_of_a_search() {
        let many = |count: usize| -> Vec<Value> { (0..count).map(|n| json!({format!("k{n}"): n})).collect() };
        let nested = |count: usize| Value::from(many(count)).to_string();
        let one: Value = (0..51).map(|n| (format!("k{n}"), json!(n))).collect::<Map<_, _>>().into();
        for too_many in [
            json!({"match": many(51)}),
            json!({"match_not": many(51)}),
            json!({"match": many(25), "match_not": many(26)}),
            json!({"match": [one]}),
            json!({"match": [{"_all": nested(51)}]}),
            json!({"match": many(49), "match_not": [{"_all": "text"}, {"_all": "other"}]}),
        ] {
            assert!(error(too_many).contains("51 conditions; the maximum is 50"));
        }
        assert!(
            parse(&json!({"match": many(25), "match_not": many(25)}), TimeConditions::Unsupported, 50)
                .is_ok()
        );
    }

    #[test]
    fn all_is_a_list_of_pairs_or_a_text() {
        let all =
            |text: &str| parse(&json!({"match": [{"_all": text}]}), TimeConditions::Unsupported, 50).unwrap();
        let pairs = all(r#"[{"client_id": "n"}, {"status": 1, "x": null}]"#);
        assert_eq!(pairs.matches.len(), 3);
        assert_eq!(all("nightly").texts, ["nightly"]);
        assert_eq!(all("[1]").texts, ["[1]"]);
        assert!(all("").is_empty());
        for all in [json!({}), json!({"match": []}), json!({"match": [], "match_not": []})] {
            assert!(parse(&all, TimeConditions::Unsupported, 50).unwrap().is_empty(), "{all}");
        }
        let both = parse(&json!({"match": [{"a": 1, "b": 2}]}), TimeConditions::Unsupported, 50).unwrap();
        assert_eq!(both.matches.len(), 2, "every pair of an element counts");
    }

    #[test]
    fn invalid_parts_are_refused_and_named() {
        for (body, named) in [
            (json!([1]), "must be an object"),
            (json!(null), "must be an object"),
            (json!({"match": {"a": 1}}), "match: must be a list"),
            (json!({"match": null}), "match: must be a list"),
            (json!({"match_not": [1]}), "match_not[0]"),
            (json!({"match": [{}]}), "match[0]"),
            (json!({"match": [{"a": 1}, {}]}), "match[1]"),
            (json!({"match_not": [{}]}), "match_not[0]"),
            (json!({"match": [[]]}), "match[0]"),
            (json!({"match": [{"_all": "[{}]"}]}), "match[0]._all[0]"),
            (json!({"match": [{"a": 1, "_all": "[{\"a\": 1}, {}]"}]}), "match[0]._all[1]"),
            (json!({"match": [{"_all": 5}]}), "match[0]._all"),
            (json!({"matches": []}), "matches"),
            (json!({"time_after": 5}), "time_after: only backups"),
        ] {
            assert!(error(body.clone()).contains(named), "{body}: {}", error(body.clone()));
        }
        assert!(parse(&json!({"time_after": "x"}), TimeConditions::Supported, 50).is_err());
        assert_eq!(
            parse(&json!({"time_after": "5"}), TimeConditions::Supported, 50).unwrap().time_after,
            Some(5.0)
        );
    }
}
