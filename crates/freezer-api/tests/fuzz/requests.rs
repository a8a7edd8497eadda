//! Requests of clients: bodies, searches and schedules. The service runs in this process. Each answer must have a
//! status below 500 and follow the rules in `support/exchange.rs`.

use http::Method;
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use super::support::documents::{backup, job};
use super::support::{Engine, Options, TestApp, bounded, with_database};
use super::target;

/// The service on a SQLite file with a few documents.
pub struct Service<'a> {
    runtime: &'a Runtime,
    app: TestApp,
}

fn with_service(body: &mut dyn FnMut(&Service<'_>)) {
    with_database(Engine::Sqlite, "fuzz", |runtime, database| {
        let app = runtime.block_on(bounded(async {
            let app = TestApp::start(database, Options::default()).await;
            let member = app.member();
            member.add_client("p1", "node-1").await;
            for id in ["j1", "j2"] {
                member.post(&format!("/v2/p1/jobs/{id}"), job("node-1")).await.expect(201);
            }
            member.post("/v2/p1/sessions/s1", json!({"schedule": {}, "session_tag": 0})).await.expect(201);
            member.put("/v2/p1/sessions/s1/jobs/j1").await.expect(204);
            member.post("/v2/p1/actions/a1", json!({"freezer_action": {"action": "exec"}})).await.expect(201);
            for name in ["etc", "home", "\u{1F4BE}"] {
                member.add_backup("p1", backup(name)).await;
            }
            app
        }));
        body(&Service { runtime, app });
    });
}

/// Routes that accept a body. The first byte of an input selects one.
const PLACES: [(Method, &str); 12] = [
    (Method::POST, "/v2/p1/jobs"),
    (Method::PATCH, "/v2/p1/jobs/j1"),
    (Method::POST, "/v2/p1/jobs/j2"),
    (Method::POST, "/v2/p1/jobs/j1/event"),
    (Method::POST, "/v2/p1/clients"),
    (Method::POST, "/v2/p1/actions"),
    (Method::PATCH, "/v2/p1/actions/a1"),
    (Method::POST, "/v2/p1/sessions"),
    (Method::PATCH, "/v2/p1/sessions/s1"),
    (Method::POST, "/v2/p1/sessions/s1/action"),
    (Method::POST, "/v2/p1/backups"),
    (Method::POST, "/v2/p1/actions/a1"),
];

target!(
    body,
    &[
        "\"client_id\": ",
        "\"node-1\"",
        "\"job_actions\": [",
        "\"freezer_action\": {",
        "\"job_schedule\": {",
        "\"action\": ",
        "\"job_id\": ",
        "\"start\": {",
        "\"end\": {",
        "\"current_tag\": ",
        "\"session_tag\": ",
        "\"hold_off\": ",
        "\"event\": ",
        "\"jobs\": {",
        "null",
        "true",
        "1.5",
        "\"$serde_json::private::Number\": ",
        "\"$serde_json::private::RawValue\": ",
    ],
    super::any_body,
    super::with_service,
    super::any_body
);

/// Sends a body to one of the [`PLACES`].
fn any_body(service: &Service<'_>, input: &[u8]) {
    let (first, body) = input.split_first().unwrap_or((&0, input));
    let (method, path) = &PLACES[usize::from(*first) % PLACES.len()];
    let answer = service.runtime.block_on(bounded(service.app.member().raw(
        method.clone(),
        path,
        &[("content-type", "application/json")],
        body,
    )));
    assert!(answer.status.as_u16() < 500, "{method} {path}: {answer}");
    for list in ["jobs", "sessions", "actions", "clients", "backups"] {
        if path.contains(list) {
            let path = format!("/v2/p1/{list}?limit=3");
            let answer = service.runtime.block_on(bounded(service.app.member().get(&path)));
            assert_eq!(answer.status, 200, "stored documents can be listed: {answer}");
        }
    }
}

target!(
    search,
    &[
        "\"match\": [",
        "\"match_not\": [",
        "\"_all\": ",
        "\"time_after\": ",
        "\"time_before\": ",
        "{\"status\": \"completed\"}",
        "{\"client_id\": \"node-1\"}",
        "\"backup_name\": ",
        "null",
        "1.0",
        "1e2",
        "[[",
        "\\\"",
    ],
    super::any_search,
    super::with_service,
    super::any_search
);

/// Sends a search to every list.
fn any_search(service: &Service<'_>, input: &[u8]) {
    for list in ["jobs", "backups", "sessions", "actions", "clients"] {
        let path = format!("/v2/p1/{list}?with_count=true&limit=5");
        let answer = service.runtime.block_on(bounded(service.app.member().raw(
            Method::GET,
            &path,
            &[("content-type", "application/json")],
            input,
        )));
        assert!([200, 400, 413].contains(&answer.status.as_u16()), "{list}: {answer}");
    }
}

target!(
    schedule,
    &[
        "\"schedule_interval\": ",
        "\"schedule_date\": ",
        "\"schedule_start_date\": ",
        "\"schedule_month\": ",
        "\"schedule_day_of_week\": ",
        "\"2026-02-30T25:61:00\"",
        "\"5 minutes\"",
        "\"continuous\"",
        "\"mon-fri\"",
        "\"*/5\"",
        "\"status\": ",
        "\"event\": ",
        "\"result\": ",
        "\"time_created\": ",
        "\"current_pid\": ",
        "null",
    ],
    super::any_schedule,
    super::with_service,
    super::any_schedule
);

/// Creates a job with a schedule. If it is stored, the shown document can be sent back without a change.
fn any_schedule(service: &Service<'_>, input: &[u8]) {
    let Ok(schedule) = serde_json::from_slice::<Value>(input) else { return };
    service.runtime.block_on(bounded(async {
        let member = service.app.member();
        let document = json!({
            "client_id": "node-1", "job_schedule": schedule, "job_actions": [{"freezer_action": {"action": "exec"}}],
        });
        let created = member.post("/v2/p1/jobs", document).await;
        assert!(created.status.as_u16() < 500, "{created}");
        if created.status != 201 {
            return;
        }
        let path = format!("/v2/p1/jobs/{}", created.text("job_id"));
        let shown = member.get(&path).await.expect(200).json();
        let patch = json!({"job_schedule": shown["job_schedule"]});
        member.patch(&path, patch).await.expect(200);
        let again = member.get(&path).await.expect(200).json();
        assert_eq!(again["job_schedule"], shown["job_schedule"], "sent back as it was shown");
        member.delete(&path).await.expect(204);
    }));
}
