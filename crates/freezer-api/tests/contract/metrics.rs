//! The metrics after known requests. `docs/metrics.md` describes them. `failure/metrics.rs` has those of a failing database,
//! `keystone/metrics.rs` those of Keystone, and `operators/metrics.rs` the listener.

use std::time::Duration;

use freezer_api::api::rejection::RejectionReason;
use freezer_api::metrics::{rows, text};
use freezer_api::readiness::Wait;
use freezer_api::service::scans::ScanLimits;
use freezer_store::query::Page;
use freezer_store::slots::Slot;
use freezer_store::{Deadline, Scope, Search};
use http::Method;
use serde_json::json;

use crate::scrape::Scrape;
use crate::support::documents::{backup, freezer_action, job, with};
use crate::support::{Engine, TestApp, on_both_engines};

on_both_engines![
    requests_are_counted_by_route_method_and_status,
    rejected_requests_are_counted_by_reason,
    requests_in_progress_and_waiting_searches_are_shown,
    reads_and_writes_are_measured_by_name,
    the_pools_show_their_connections,
    the_sizes_of_batches_are_measured,
    keys_are_counted_by_their_use,
    rows_are_counted_by_table_and_status,
    rows_of_large_tables_are_estimated,
    limits_and_the_process_have_values,
];

pub fn scrape(app: &TestApp) -> Scrape {
    Scrape::parse(&text(app.app()).unwrap())
}

async fn requests_are_counted_by_route_method_and_status(app: TestApp) {
    let member = app.member();
    member.add_client("p1", "node-1").await;
    for number in 0..3 {
        member.add_job("p1", with(job("node-1"), json!({"job_id": format!("job-{number}")}))).await;
    }
    member.get("/v2/p1/jobs/job-0").await.expect(200);
    member.get("/v2/p1//jobs/job-1/").await.expect(200);
    member.get("/v2/p1/jobs/hidden-id").await.expect(404);
    member.get("/v2/p1/jobs?limit=1").await.expect(200);
    member.ask(Method::HEAD, "/v2/p1/jobs", None).await.expect(200);
    member.get("/healthcheck").await.expect(200);
    member.get("/hidden/path").await.expect(404);
    member.ask(Method::from_bytes(b"BREW").unwrap(), "/v2/p1/jobs", None).await.expect(405);
    app.as_user("u1", "p1", "nothing").get("/v2/p1/jobs").await.expect(403);
    let scrape = scrape(&app);
    const JOBS: &str = "/v2/{project_id}/jobs";
    const JOB: &str = "/v2/{project_id}/jobs/{job_id}";
    for (method, route, status, expected) in [
        ("POST", "/v2/{project_id}/clients", "201", 1.0),
        ("POST", JOBS, "201", 3.0),
        ("GET", JOB, "200", 2.0),
        ("GET", JOB, "404", 1.0),
        ("GET", JOBS, "200", 1.0),
        ("GET", JOBS, "403", 1.0),
        ("HEAD", JOBS, "200", 1.0),
        ("other", JOBS, "405", 1.0),
        ("GET", "/healthcheck", "200", 1.0),
        ("GET", "none", "404", 1.0),
    ] {
        let labels = [("method", method), ("route", route), ("status", status)];
        assert_eq!(scrape.sum("freezer_http_requests_total", &labels), expected, "{labels:?}: {scrape:?}");
    }
    assert_eq!(scrape.sum("freezer_http_requests_total", &[]), 13.0);
    assert_eq!(scrape.sum("freezer_http_request_duration_seconds_count", &[]), 13.0);
    let of_jobs = [("method", "POST"), ("route", JOBS)];
    assert_eq!(scrape.one("freezer_http_request_duration_seconds_count", &of_jobs), 3.0);
    let in_30_s = [("method", "POST"), ("route", JOBS), ("le", "30.0")];
    assert_eq!(scrape.one("freezer_http_request_duration_seconds_bucket", &in_30_s), 3.0);
    assert_eq!(scrape.one("freezer_http_requests_in_flight", &[]), 0.0);
    // nothing that a client has sent
    let text = text(app.app()).unwrap();
    for sent in ["p1", "job-0", "hidden", "node-1", "u1", "BREW", "nothing"] {
        assert!(!text.contains(sent), "{sent} in {text}");
    }
}

/// Takes a slot of p1 for searches, as a long search does.
async fn hold_search(app: &TestApp) -> Option<Slot> {
    let count = Page { count: true, ..Page::at(1, 0) };
    let scans = app.app().queues.scans();
    scans.slot(&Scope::project("p1"), &Search::default(), &count, Deadline::NONE).await.unwrap()
}

async fn rejected_requests_are_counted_by_reason(app: TestApp) {
    let app = app.with_http(|http| {
        let wait = Duration::from_millis(50);
        http.scans = ScanLimits { per_project: 1, in_all: 1, waiting: 0, wait };
        http.max_body = 4_096;
        http.max_job_actions = 1;
    });
    let member = app.member();
    member.add_client("p1", "node-1").await;
    let rejected = |reason| scrape(&app).one("freezer_http_rejected_requests_total", &[("reason", reason)]);
    for reason in RejectionReason::ALL {
        assert_eq!(rejected(reason.name()), 0.0, "{reason:?}");
    }
    let held = hold_search(&app).await;
    member.get("/v2/p1/jobs?with_count=true").await.expect(429);
    app.as_user("u2", "p2", "member").get("/v2/p2/jobs?with_count=true").await.expect(503);
    assert_eq!((rejected("project_searches"), rejected("searches")), (1.0, 1.0));
    drop(held);
    member.post("/v2/p1/jobs", json!({"description": "x".repeat(5_000)})).await.expect(413);
    let action = json!({"freezer_action": freezer_action()});
    let two = with(job("node-1"), json!({"job_actions": [action, action]}));
    member.post("/v2/p1/jobs", two).await.expect(413);
    assert_eq!((rejected("body_size"), rejected("job_actions")), (1.0, 1.0));
    app.app().readiness.set(Some(Wait::Tables));
    member.get("/v2/p1/jobs").await.expect(503);
    member.get("/v2/p1/jobs").await.expect(503);
    assert_eq!(rejected("not_ready"), 2.0);
    assert_eq!(scrape(&app).one("freezer_ready", &[]), 0.0);
    app.app().readiness.set(None);
    // mistakes of clients are no rejections
    member.get("/v2/p1/jobs/unknown").await.expect(404);
    member.post("/v2/p1/jobs", json!([])).await.expect(400);
    app.as_user("u1", "p1", "nothing").get("/v2/p1/jobs").await.expect(403);
    assert_eq!(scrape(&app).sum("freezer_http_rejected_requests_total", &[]), 6.0);
}

async fn requests_in_progress_and_waiting_searches_are_shown(app: TestApp) {
    let app = app.with_http(|http| {
        let wait = Duration::from_secs(60);
        http.scans = ScanLimits { per_project: 1, in_all: 1, waiting: 10, wait };
        http.request_timeout = wait;
    });
    let held = hold_search(&app).await;
    let mut waiting = tokio::task::JoinSet::new();
    for _ in 0..3 {
        let member = app.member();
        waiting.spawn(async move { member.get("/v2/p1/jobs?with_count=true").await });
    }
    let values = || {
        let scrape = scrape(&app);
        ["http_requests_in_flight", "waiting_requests", "searches", "searches_waiting"]
            .map(|name| scrape.one(&format!("freezer_{name}"), &[]))
    };
    for _ in 0..500 {
        if values() == [3.0, 3.0, 1.0, 3.0] {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(values(), [3.0, 3.0, 1.0, 3.0]);
    drop(held);
    for answer in waiting.join_all().await {
        answer.expect(200);
    }
    assert_eq!(values(), [0.0; 4]);
}

async fn reads_and_writes_are_measured_by_name(app: TestApp) {
    let member = app.member();
    member.add_client("p1", "node-1").await;
    let before = scrape(&app);
    for number in 0..3 {
        member.add_job("p1", with(job("node-1"), json!({"job_id": format!("j{number}")}))).await;
    }
    member.get("/v2/p1/jobs").await.expect(200);
    member.post("/v2/p1/jobs/j0", with(job("node-1"), json!({"job_id": "j0"}))).await;
    let after = scrape(&app);
    let more = |operation, kind| {
        let name = format!("freezer_database_operation_{kind}");
        after.sum(&name, &[("operation", operation)]) - before.sum(&name, &[("operation", operation)])
    };
    assert_eq!(more("jobs.create", "duration_seconds_count"), 3.0);
    assert_eq!(more("jobs.list", "duration_seconds_count"), 1.0);
    assert!(more("jobs.create", "duration_seconds_sum") > 0.0);
    // every bucket contains the smaller ones
    let buckets = &after.samples["freezer_database_operation_duration_seconds_bucket"];
    let of_create: Vec<f64> = buckets
        .iter()
        .filter(|sample| sample.labels["operation"] == "jobs.create")
        .map(|sample| sample.value)
        .collect();
    assert_eq!(of_create.len(), 15);
    assert!(of_create.is_sorted() && of_create.last() == Some(&3.0), "{of_create:?}");
    assert_eq!(more("jobs.create", "errors_total"), 0.0);
    let statements = |scrape: &Scrape| scrape.one("freezer_database_statements_total", &[]);
    assert!(statements(&after) >= statements(&before) + 8.0);
    let waits = |scrape: &Scrape| scrape.one("freezer_database_connection_wait_seconds_count", &[]);
    assert!(waits(&after) >= waits(&before) + 4.0);
}

async fn the_pools_show_their_connections(app: TestApp) {
    app.member().get("/v2/p1/jobs").await.expect(200);
    let scrape = scrape(&app);
    let (pool, limit) = if app.engine() == Engine::Sqlite { ("read", 55.0) } else { ("all", 55.0) };
    let connections =
        |state| scrape.one("freezer_database_pool_connections", &[("pool", pool), ("state", state)]);
    assert_eq!(connections("in_use"), 0.0);
    assert!(connections("idle") >= 1.0);
    assert_eq!(scrape.one("freezer_database_pool_limit", &[("pool", pool)]), limit);
    assert_eq!(scrape.one("freezer_database_pool_waiting", &[("pool", pool)]), 0.0);
    if app.engine() == Engine::Sqlite {
        assert_eq!(scrape.one("freezer_database_pool_limit", &[("pool", "write")]), 1.0);
    }
    assert_eq!(scrape.one("freezer_database_row_waiting", &[]), 0.0);
    assert_eq!(scrape.one("freezer_database_outage", &[]), 0.0);
    assert_eq!(scrape.one("freezer_database_outages_total", &[]), 0.0);
    assert_eq!(scrape.one("freezer_ready", &[]), 1.0);
    assert_eq!(scrape.one("freezer_draining", &[]), 0.0);
}

async fn the_sizes_of_batches_are_measured(app: TestApp) {
    let member = app.member();
    member.add_client("p1", "node-1").await;
    member.add_job("p1", with(job("node-1"), json!({"job_id": "j"}))).await;
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..20 {
        let member = member.clone();
        tasks.spawn(async move { member.add_backup("p1", backup(&format!("b{number}"))).await });
    }
    tasks.join_all().await;
    member.get("/v2/p1/jobs/j").await.expect(200);
    let scrape = scrape(&app);
    let of = |queue, kind: &str| scrape.one(&format!("freezer_batch_size_{kind}"), &[("queue", queue)]);
    assert_eq!(of("backups", "sum"), 20.0, "each report is in one batch");
    assert!((1.0..=20.0).contains(&of("backups", "count")));
    assert_eq!((of("jobs", "sum"), of("jobs", "count")), (1.0, 1.0));
    assert_eq!((of("polls", "count"), of("session_actions", "count")), (0.0, 0.0));
}

async fn keys_are_counted_by_their_use(app: TestApp) {
    let member = app.member();
    let send = async |key: &str, name: &str| {
        let body = backup(name).to_string();
        member.raw(Method::POST, "/v2/p1/backups", &[("idempotency-key", key)], body).await
    };
    send("one", "a").await.expect(201);
    send("one", "a").await.expect(201);
    send("one", "b").await.expect(422);
    send("two", "b").await.expect(201);
    let scrape = scrape(&app);
    for (result, expected) in [
        ("carried_out", 2.0),
        ("replayed", 1.0),
        ("other_request", 1.0),
        ("under_way", 0.0),
        ("failed", 0.0),
        ("without_table", 0.0),
    ] {
        let found = scrape.one("freezer_idempotency_requests_total", &[("result", result)]);
        assert_eq!(found, expected, "{result}");
    }
}

async fn rows_are_counted_by_table_and_status(app: TestApp) {
    let member = app.member();
    assert!(!scrape(&app).types.contains_key("freezer_rows"), "nothing was measured");
    member.add_client("p1", "node-1").await;
    for (number, status) in ["running", "scheduled", "completed", "completed"].into_iter().enumerate() {
        let job = with(job("node-1"), json!({"job_id": format!("j{number}")}));
        let schedule = json!({"schedule_interval": "1 days", "status": status});
        member.add_job("p1", with(job, json!({"job_schedule": schedule}))).await;
    }
    member.delete("/v2/p1/jobs/j0").await.expect(204);
    // statuses that the service would reject, or that only other services store
    app.database().run("UPDATE jobs SET schedule = '{broken' WHERE id = 'j1'").await;
    member.add_backup("p1", backup("a")).await;
    member.add_backup("p1", backup("b")).await;
    app.database().run("UPDATE backups SET status = 'gone astray' WHERE id = (SELECT * FROM (SELECT MIN(id) FROM backups) AS b)").await;
    rows::measure(app.app()).await;
    let scrape = scrape(&app);
    let rows = |table, status| scrape.sum("freezer_rows", &[("table", table), ("status", status)]);
    assert_eq!((rows("clients", "live"), rows("clients", "deleted")), (1.0, 0.0));
    assert_eq!((rows("jobs", "completed"), rows("jobs", "none"), rows("jobs", "deleted")), (2.0, 1.0, 1.0));
    assert_eq!((rows("backups", "available"), rows("backups", "other")), (1.0, 1.0));
    assert_eq!(scrape.sum("freezer_rows", &[("table", "jobs")]), 4.0);
    assert_eq!(rows("freezer_idempotency", "live"), 0.0);
    for table in ["clients", "jobs", "backups", "sessions", "actions", "job_actions"] {
        assert_eq!(scrape.one("freezer_rows_is_estimate", &[("table", table)]), 0.0, "{table}");
    }
    assert_eq!(scrape.one("freezer_rows_measured_timestamp_seconds", &[]), app.now() as f64);
    assert_eq!(scrape.one("freezer_rows_measurement_failures_total", &[]), 0.0);
    // without its tables, a measurement fails, and the last numbers stay
    app.database().run("DROP TABLE job_actions").await;
    rows::measure(app.app()).await;
    let scrape = crate::metrics::scrape(&app);
    assert_eq!(scrape.one("freezer_rows_measurement_failures_total", &[]), 1.0);
    assert_eq!(scrape.sum("freezer_rows", &[("table", "jobs")]), 4.0);
}

async fn rows_of_large_tables_are_estimated(app: TestApp) {
    app.database().run("INSERT INTO action_reports (id, user_id, deleted) VALUES ('0', 'u1', 0)").await;
    let mut rows = 1.0;
    for letter in 'a'..='p' {
        let id = match app.engine() {
            Engine::Sqlite => format!("id || '{letter}'"),
            _ => format!("CONCAT(id, '{letter}')"),
        };
        let doubled = format!(
            "INSERT INTO action_reports (id, user_id, deleted) SELECT {id}, user_id, deleted FROM action_reports"
        );
        app.database().run(&doubled).await;
        rows *= 2.0;
        if rows < 10_000.0 {
            continue;
        }
        if app.engine() != Engine::Sqlite {
            app.database().texts("ANALYZE TABLE action_reports").await;
        }
        rows::measure(app.app()).await;
        let scrape = scrape(&app);
        let is_estimate = scrape.one("freezer_rows_is_estimate", &[("table", "action_reports")]);
        assert_eq!(is_estimate == 1.0, rows > 20_000.0, "{rows}");
        let status = if rows > 20_000.0 { "all" } else { "live" };
        let found = scrape.one("freezer_rows", &[("table", "action_reports"), ("status", status)]);
        assert_eq!(scrape.sum("freezer_rows", &[("table", "action_reports")]), found, "{rows}");
        let is_close = if is_estimate == 1.0 { (found - rows).abs() < rows / 2.0 } else { found == rows };
        assert!(is_close, "{found} of {rows}");
        assert_eq!(scrape.one("freezer_rows_is_estimate", &[("table", "jobs")]), 0.0);
    }
}

async fn limits_and_the_process_have_values(app: TestApp) {
    let few = app.with_http(|http| {
        http.waiting.requests = 77;
        http.waiting.bytes = 1 << 20;
        http.max_answers = 2 << 20;
        http.scans.in_all = 3;
        http.connections.max = 99;
    });
    let scrape = scrape(&few);
    for (name, expected) in [
        ("waiting_requests_limit", 77.0),
        ("waiting_limit_bytes", 1_048_576.0),
        ("answers_limit_bytes", 2_097_152.0),
        ("searches_limit", 3.0),
        ("http_connections_limit", 99.0),
        ("waiting_requests", 0.0),
        ("waiting_bytes", 0.0),
        ("answers_bytes", 0.0),
        ("searches", 0.0),
        ("searches_waiting", 0.0),
        ("idempotency_abandoned_claims", 0.0),
    ] {
        assert_eq!(scrape.one(&format!("freezer_{name}"), &[]), expected, "{name}");
    }
    assert_eq!(scrape.one("freezer_build_info", &[("version", env!("CARGO_PKG_VERSION"))]), 1.0);
    let process = |name| scrape.one(&format!("process_{name}"), &[]);
    assert!(process("cpu_seconds_total") >= 0.0 && process("threads") >= 2.0);
    assert!(process("resident_memory_bytes") > 1e6 && process("virtual_memory_bytes") > 1e6);
    assert!((3.0..process("max_fds")).contains(&process("open_fds")));
    #[expect(clippy::disallowed_methods, reason = "the process has no other clock")]
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs_f64();
    assert!((now - 86_400.0..now + 2.0).contains(&process("start_time_seconds")));
}
