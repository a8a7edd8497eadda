//! Lines about changes, runs and refusals: an operator can follow a job from its creation to a failed run, and sees why a
//! request was refused.

use serde_json::{Value, json};

use crate::process::{Scratch, Service, wait_for};
use crate::reload::start;

const MEMBER: &str = "X-User-Id: u1\r\nX-Project-Id: p1\r\nX-Roles: member\r\n";

/// Sends a request of a member and returns the answer.
fn send(service: &Service, method: &str, path: &str, body: &Value) -> Value {
    let (status, answer) = service.request_with(MEMBER, method, path, &body.to_string());
    assert!((200..300).contains(&status), "{method} {path}: {answer}");
    serde_json::from_str(&answer).unwrap_or(Value::Null)
}

/// Returns the new lines of these loggers, from the level on, without the brackets and the ids.
fn new_lines(service: &Service, seen: &mut usize, loggers: &str, number: usize, ids: &[&str]) -> Vec<String> {
    let lines = wait_for(&format!("{number} lines"), || {
        let log = service.log();
        let lines: Vec<String> = log
            .lines()
            .filter(|line| line.contains(&format!(" {loggers}")))
            .skip(*seen)
            .map(|line| {
                let level = line.split(' ').nth(3).unwrap();
                let said = line.split_once("] ").unwrap().1;
                ids.iter().enumerate().fold(format!("{level} {said}"), |line, (number, id)| {
                    line.replace(id, &format!("<{number}>"))
                })
            })
            .collect();
        (lines.len() >= number).then_some(lines)
    });
    *seen += lines.len();
    lines
}

#[test]
fn the_first_lines_name_the_configuration() {
    let scratch = Scratch::new();
    let service = start(&scratch, "colour = blue\n", "[api]\nmax_limit = 77\n");
    wait_for("the database", || service.log().contains("is in use").then_some(()));
    let log = service.log();
    let line = |words: &str| {
        log.lines().find(|line| line.contains(words)).unwrap_or_else(|| panic!("no {words} in {log}"))
    };
    let version = line(" INFO freezer_api.manage.banner [-] freezer-api ");
    assert!(version.contains(env!("CARGO_PKG_VERSION")) && version.ends_with(" starts"), "{version}");
    let files = line("configuration files: ");
    let file = scratch.path().join("freezer-api.conf");
    assert!(files.contains(&format!("configuration files: {}", file.display())), "{files}");
    assert!(files.contains("unknown_options=\"[DEFAULT] colour\""), "{files}");
    line("database: sqlite:///");
    line("Keystone: none");
    line("policy files: none enforce_scope=true");
    let limits = line(" limits ");
    assert!(limits.contains("max_limit=77") && limits.contains("max_request_body_size=114688"), "{limits}");
    let database = line("is in use");
    assert!(
        database.contains("engine=\"sqlite\"") && database.contains("revision=\"7a3b9c1d2e4f\""),
        "{database}"
    );
}

#[test]
fn the_run_of_a_job_can_be_followed() {
    let scratch = Scratch::new();
    let service = start(&scratch, "", "");
    send(&service, "POST", "/v2/p1/clients", &json!({"client_id": "n1"}));
    let job = json!({"client_id": "n1", "job_schedule": {"status": "scheduled"},
        "job_actions": [{"freezer_action": {"action": "backup"}}]});
    let job = send(&service, "POST", "/v2/p1/jobs", &job)["job_id"].as_str().unwrap().to_owned();
    let path = format!("/v2/p1/jobs/{job}");
    let report = |schedule: Value| send(&service, "PATCH", &path, &json!({"job_schedule": schedule}));
    send(&service, "POST", &format!("{path}/event"), &json!({"start": null}));
    send(&service, "POST", &format!("{path}/event"), &json!({"start": null}));
    report(json!({"status": "running", "result": "", "event": "", "time_started": 10}));
    report(json!({"status": "scheduled", "result": "success", "time_ended": 20}));
    report(json!({"status": "running", "time_started": 30}));
    report(json!({"status": "scheduled", "result": "fail", "time_ended": 40}));
    report(json!({"status": "running", "time_started": 50}));
    report(json!({"status": "scheduled", "result": "fail", "time_ended": 60}));
    send(&service, "PATCH", &path, &json!({"description": "d"}));
    report(json!({"status": "completed", "result": "aborted", "time_ended": 70}));
    send(&service, "DELETE", &path, &Value::Null);
    let lines = new_lines(&service, &mut 0, "freezer_api.api.v2.jobs", 12, &[&job]);
    let of_job = |rest: &str| format!("id=\"<0>\" in_project=p1 {rest}");
    let expected = [
        ("INFO job created", "client=\"n1\""),
        ("INFO job event requested", "event=\"start\" client=\"n1\" status_before=\"scheduled\" status=\"\""),
        ("INFO job event was already requested", "event=\"start\" client=\"n1\""),
        ("INFO job updated", "client=\"n1\" status_before=\"\" status=\"running\""),
        (
            "INFO job updated",
            "client=\"n1\" status_before=\"running\" status=\"scheduled\" result=\"success\"",
        ),
        (
            "INFO job updated",
            "client=\"n1\" status_before=\"scheduled\" status=\"running\" result=\"success\"",
        ),
        (
            "WARNING job failed",
            "client=\"n1\" status_before=\"running\" status=\"scheduled\" result=\"fail\"",
        ),
        ("INFO job updated", "client=\"n1\" status_before=\"scheduled\" status=\"running\" result=\"fail\""),
        (
            "WARNING job failed",
            "client=\"n1\" status_before=\"running\" status=\"scheduled\" result=\"fail\"",
        ),
        ("INFO job updated", "client=\"n1\" status=\"scheduled\" result=\"fail\""),
        (
            "INFO job updated",
            "client=\"n1\" status_before=\"scheduled\" status=\"completed\" result=\"aborted\"",
        ),
        ("INFO job deleted", ""),
    ];
    let expected: Vec<String> = expected
        .iter()
        .map(|(said, rest)| format!("{said} {}", of_job(rest)).trim_end().to_owned())
        .collect();
    assert_eq!(lines, expected);
}

#[test]
fn the_run_of_a_session_can_be_followed() {
    let scratch = Scratch::new();
    let service = start(&scratch, "", "");
    send(&service, "POST", "/v2/p1/clients", &json!({"client_id": "n1"}));
    let new_job = || {
        let job = json!({"client_id": "n1", "job_actions": [{"freezer_action": {"action": "backup"}}]});
        send(&service, "POST", "/v2/p1/jobs", &job)["job_id"].as_str().unwrap().to_owned()
    };
    let (a, b) = (new_job(), new_job());
    let session = send(&service, "POST", "/v2/p1/sessions", &json!({"hold_off": 60, "schedule": {}}));
    let session = session["session_id"].as_str().unwrap().to_owned();
    let path = format!("/v2/p1/sessions/{session}");
    for job in [&a, &b] {
        send(&service, "PUT", &format!("{path}/jobs/{job}"), &Value::Null);
    }
    let action = |body: Value| send(&service, "POST", &format!("{path}/action"), &body);
    action(json!({"start": {"job_id": a, "current_tag": 0}}));
    action(json!({"start": {"job_id": b, "current_tag": 0}}));
    action(json!({"end": {"job_id": a, "result": "fail"}}));
    action(json!({"end": {"job_id": b, "result": "success"}}));
    let lines = new_lines(&service, &mut 0, "freezer_api.api.v2.sessions", 8, &[&session, &a, &b]);
    let expected = [
        "INFO session created id=\"<0>\" in_project=p1",
        "INFO job added to session id=\"<0>\" in_project=p1 job=\"<1>\"",
        "INFO job added to session id=\"<0>\" in_project=p1 job=\"<2>\"",
        "INFO session start requested id=\"<0>\" in_project=p1 job=\"<1>\" answer=\"success\" tag=1 status_before=\"active\" \
         status=\"running\"",
        "INFO session start requested id=\"<0>\" in_project=p1 job=\"<2>\" answer=\"success\" tag=1 status=\"running\"",
        "WARNING job of session failed id=\"<0>\" in_project=p1 job=\"<1>\" result=\"fail\" status=\"running\"",
        "INFO job of session ended id=\"<0>\" in_project=p1 job=\"<2>\" result=\"success\" status_before=\"running\" \
         status=\"completed\"",
        "WARNING session failed id=\"<0>\" in_project=p1 status_before=\"running\" status=\"completed\" result=\"fail\"",
    ];
    assert_eq!(lines, expected);
}

#[test]
fn refusals_name_their_reason_and_side_questions_are_silent() {
    let scratch = Scratch::new();
    let service = start(&scratch, "", "");
    let mut seen = 0;
    let ask = |headers: &str, method: &str, path: &str, body: &str| {
        let (status, answer) = service.request_with(headers, method, path, body);
        let answer: Value = serde_json::from_str(&answer).unwrap_or(Value::Null);
        (
            status,
            answer["title"].as_str().unwrap_or_default().to_owned(),
            answer["description"].as_str().unwrap_or_default().to_owned(),
        )
    };
    // Whether the caller may see all projects, and the pids of nodes, is asked and no refusal.
    assert_eq!(ask(MEMBER, "GET", "/v2/p1/jobs?all_projects=True", "").0, 200);
    assert_eq!(ask(MEMBER, "GET", "/v2/p1/jobs/x", "").0, 404);
    let reader = "X-User-Id: u1\r\nX-Project-Id: p1\r\nX-Roles: reader\r\n";
    let system = "X-User-Id: u1\r\nX-Roles: admin\r\nOpenStack-System-Scope: all\r\n";
    let fails = "its check fails for these credentials";
    for (headers, method, path, body, rule, roles, reason) in [
        (reader, "PATCH", "/v2/p1/jobs/x", "{}", "jobs:update", "reader", fails),
        (MEMBER, "GET", "/v2/p2/backups", "", "backups:get_all", "member", fails),
        (
            "X-User-Id: u1\r\nX-Project-Id: p1\r\nX-Roles: a, b\r\n",
            "DELETE",
            "/v2/p1/sessions/s",
            "",
            "sessions:delete",
            "a, b",
            fails,
        ),
        (
            MEMBER,
            "POST",
            "/v2/p1/clients",
            "{\"client_id\": \"c\", \"is_central\": true}",
            "clients:create_central",
            "member",
            fails,
        ),
        (
            system,
            "GET",
            "/v2/p1/jobs",
            "",
            "jobs:get_all",
            "admin",
            "it needs a token of scope project, the token's is system",
        ),
    ] {
        let scope = if reason == fails { String::new() } else { format!(": {reason}") };
        let description = format!("You are not allowed to access this resource: policy rule {rule}{scope}");
        assert_eq!(ask(headers, method, path, body), (403, "Access Forbidden".to_owned(), description));
        let lines = new_lines(&service, &mut seen, "freezer_api.api.response", 1, &[]);
        assert_eq!(lines, [format!("INFO refused: {rule} denied to roles [{roles}]: {reason} status=403")]);
    }
    assert_eq!(ask("X-Identity-Status: Invalid\r\n", "GET", "/v2/p1/jobs", "").0, 401);
    let lines = new_lines(&service, &mut seen, "freezer_api.api.response", 1, &[]);
    let reason = "the request could not be authenticated: X-Identity-Status is Invalid, not Confirmed";
    assert_eq!(lines, [format!("INFO refused: {reason} status=401")]);
    assert_eq!(service.log().matches("refused: ").count(), 6, "{}", service.log());
}
