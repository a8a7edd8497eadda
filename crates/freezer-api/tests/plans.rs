//! The cost of a request must not grow with its project. For every statement of the service, this test asks the
//! database for the query plan. It fails if a request reads or sorts a whole table or a whole project.
//!
//! The statements are recorded while the service handles all kinds of requests (`requests`), so new statements are
//! included without a list. The plans are made for a database in which one project has [`ROWS`] rows in the tables that
//! grow with a project.
//!
//! A search by a key without a column reads the part of an index that belongs to the project. Its cost grows with the
//! project, but this is not visible in a plan.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test stops at the first surprise")]

mod support;

use freezer_store::query::jobs::{self, JobRows, Poll};
use freezer_store::{PlanStep, QueryPlan, Scope, read};
use serde_json::json;
use support::documents::{backup, freezer_action, job, with};
use support::{Engine, Options, TestApp, TestDatabase, bounded, with_database};

/// Rows of the project in the largest tables, and in the others. SQLite chooses its plans without counting rows.
const ROWS: [u32; 2] = [100_000, 5_000];
const ROWS_ON_SQLITE: [u32; 2] = [2_000, 2_000];

/// Tables that grow with a project.
const LARGE: [&str; 7] =
    ["clients", "jobs", "job_actions", "actions", "action_reports", "sessions", "backups"];

/// Returns a query for numbers from 0 on any engine, at most 100,000.
fn numbers(count: u32) -> String {
    let digits = "(SELECT 0 AS d UNION ALL SELECT 1 UNION ALL SELECT 2 UNION ALL SELECT 3 UNION ALL SELECT 4 UNION ALL \
                  SELECT 5 UNION ALL SELECT 6 UNION ALL SELECT 7 UNION ALL SELECT 8 UNION ALL SELECT 9)";
    format!(
        "(SELECT a.d + 10 * b.d + 100 * c.d + 1000 * e.d + 10000 * f.d AS n \
         FROM {digits} a, {digits} b, {digits} c, {digits} e, {digits} f) numbers WHERE n < {count}"
    )
}

async fn seed(database: &TestDatabase) {
    let time = "CONCAT('2026-0', 1 + n % 9, '-', 10 + n % 18, ' 00:', 10 + n % 49, ':', 10 + n % 47)";
    let [most, others] = match database.engine() {
        Engine::MariaDb | Engine::MySql => ROWS,
        Engine::Sqlite => ROWS_ON_SQLITE,
    };
    let fill = |table: &str, columns: &str, values: &str| {
        let count = if ["clients", "sessions", "action_reports"].contains(&table) { others } else { most };
        format!(
            "INSERT INTO {table} (id, deleted, created_at, {columns}) \
             SELECT CONCAT('{table}-', n), 0, {time}, {values} FROM {};\n",
            numbers(count)
        )
    };
    let owned = |table: &str, columns: &str, values: &str| {
        fill(table, &format!("project_id, user_id, {columns}"), &format!("'p1', 'u1', {values}"))
    };
    let mut sql = String::new();
    sql.push_str(&owned(
        "clients",
        "client_id, uuid, hostname",
        "CONCAT('node-', n), CONCAT('clients-', n), 'host'",
    ));
    sql.push_str(&owned(
        "jobs",
        "client_id, session_id, session_tag, schedule",
        r#"CONCAT('node-', n % 10000), '', 0, '{"status": "scheduled", "event": ""}'"#,
    ));
    sql.push_str(&owned(
        "actions",
        "action, actionmode, backup_metadata",
        r#"'backup', 'fs', '{"compression": "gzip"}'"#,
    ));
    sql.push_str(&owned("action_reports", "log", "NULL"));
    sql.push_str(&fill(
        "job_actions",
        "job_id, action_id, position",
        "CONCAT('jobs-', n), CONCAT('actions-', n), 0",
    ));
    sql.push_str(&owned("sessions", "session_tag, schedule", "0, '{}'"));
    // These rows have terms and times of other metadata, so the index excludes all of them.
    let metadata = r#"'{"backup_name": "etc", "mode": "fs"}'"#;
    let checksum = match database.engine() {
        Engine::MariaDb | Engine::MySql => format!("CRC32({metadata})"),
        Engine::Sqlite => "7".to_owned(),
    };
    sql.push_str(&owned(
        "backups",
        "status, backup_metadata, fz_search_terms, fz_search_crc, fz_time, fz_time_crc",
        &format!("'available', {metadata}, x'000001', {checksum}, n, {checksum}"),
    ));
    if database.engine() == Engine::MariaDb {
        sql.push_str(&format!("ANALYZE TABLE {}", LARGE.join(", ")));
    }
    database.run(&sql).await;
}

/// Sends all kinds of requests. The project has many rows, and a few of them belong to the test.
async fn requests(app: &TestApp) {
    let (member, admin) = (app.member(), app.admin());
    member.add_client("p1", "node-x").await;
    member.add_client("p1", "node-x").await;
    member.post("/v2/p1/clients", json!({"client_id": "node-x", "description": "again"})).await.expect(201);
    admin
        .post("/v2/p1/clients", json!({"client_id": "central", "hostname": "h", "is_central": true}))
        .await
        .expect(201);
    let job_id = member.add_job("p1", job("node-x")).await;
    let action_id = member.add_action("p1", freezer_action()).await;
    let session_id = member.add_session("p1", json!({"schedule": {}})).await;
    let backup_id = member.add_backup("p1", backup("etc")).await;
    for (list, marker) in [
        ("clients", "clients-5"),
        ("jobs", "jobs-5"),
        ("actions", "actions-5"),
        ("sessions", "sessions-5"),
        ("backups", "backups-5"),
    ] {
        for query in ["", "?limit=5&offset=7", "?marker=", "?sort=created_at:desc"] {
            member.get(&format!("/v2/p1/{list}{query}")).await.expect(200);
        }
        for sort in ["asc", "desc"] {
            member.get(&format!("/v2/p1/{list}?marker={marker}&sort=created_at:{sort}")).await.expect(200);
        }
        for search in [
            json!({"match": [{"user_id": "u1"}]}),
            json!({"match_not": [{"description": "none"}]}),
            json!({"match": [{"client_id": "node-7"}]}),
        ] {
            for query in
                ["".to_owned(), format!("?marker={marker}"), format!("?marker={marker}&sort=created_at:desc")]
            {
                member.search(&format!("/v2/p1/{list}{query}"), search.clone()).await.expect(200);
            }
        }
    }
    // This search compares row by row after the statement of a list without a search, so a small list is sufficient.
    member.search("/v2/p1/sessions", json!({"match": [{"_all": "e"}]})).await.expect(200);
    for search in [
        json!({"match": [{"mode": "fs"}]}),
        json!({"match": [{"status": "none"}]}),
        json!({"match": [{"mode": "fs"}, {"level": 0}], "match_not": [{"mode": "nova"}]}),
    ] {
        member.search("/v2/p1/backups", search.clone()).await.expect(200);
        member.search("/v2/p1/backups?sort=created_at:desc&marker=backups-5", search).await.expect(200);
    }
    // Few backups have the first time, and most have the second one. The times in the seed are the smallest possible
    // numbers.
    let [few, most] = [f64::from_bits(100), f64::from_bits(90_000)];
    for search in [json!({"time_before": few}), json!({"time_after": 0, "time_before": most})] {
        for query in ["", "?sort=created_at:desc", "?with_count=true&marker=backups-5"] {
            member.search(&format!("/v2/p1/backups{query}"), search.clone()).await.expect(200);
        }
    }
    for search in [
        json!({"match_not": [{"mode": "nova"}]}),
        json!({"match_not": [{"mode": "nova"}, {"level": 0}], "time_before": few}),
    ] {
        member.search("/v2/p1/backups?with_count=true", search).await.expect(200);
    }
    for query in ["?with_count=true", "?sort=created_at:desc"] {
        member
            .search(&format!("/v2/p1/backups{query}"), json!({"match": [{"_all": "none"}]}))
            .await
            .expect(200);
    }
    for search in [
        json!({"match": [{"client_id": "node-7"}], "match_not": [{"status": "completed"}]}),
        json!({"match": [{"client_id": "node-7"}], "match_not": [{"status": "scheduled"}]}),
        json!({"match": [{"job_id": "jobs-7"}]}),
        json!({"match": [{"mode": "fs"}]}),
    ] {
        member.search("/v2/p1/jobs?limit=3", search.clone()).await.expect(200);
        member.search("/v2/p1/jobs?limit=3&offset=2", search.clone()).await.expect(200);
        admin.search("/v2/p1/jobs?limit=3&all_projects=True", search).await.expect(200);
    }
    at_once(app).await;
    admin.get("/v2/p1/jobs?all_projects=True").await.expect(200);
    admin.get("/v2/p1/jobs?all_projects=True&sort=created_at:desc").await.expect(200);
    for order in ["asc", "desc"] {
        let path = format!("/v2/p1/jobs?all_projects=True&marker=jobs-5&sort=created_at:{order}");
        admin.get(&path).await.expect(200);
    }
    for path in [
        "clients/node-x".to_owned(),
        format!("jobs/{job_id}"),
        format!("actions/{action_id}"),
        format!("sessions/{session_id}"),
        format!("backups/{backup_id}"),
    ] {
        member.get(&format!("/v2/p1/{path}")).await.expect(200);
        admin.get(&format!("/v2/p1/{path}")).await.expect(200);
    }
    changes(app, [&job_id, &action_id, &session_id, &backup_id]).await;
}

/// Sends simultaneous requests that share a statement.
async fn at_once(app: &TestApp) {
    let named = |name: &str| (11..14).map(|number| format!("{name}-{number}")).collect::<Vec<_>>();
    let (ids, clients) = (named("jobs"), named("node"));
    for scope in [Scope::project("p1"), Scope::AllProjects] {
        let rows = read!(app.store(), "jobs.show", |db| jobs::rows_of_ids(db, &scope, &ids).await);
        let found = rows.unwrap().into_iter().map(|rows| rows.map(JobRows::job));
        assert!(found.into_iter().all(|job| job.unwrap().unwrap().is_some()));
    }
    let poll =
        |client_id| Poll { client_id, limit: 10, look_ahead: false, max_bytes: u64::MAX, readable: u64::MAX };
    let polls: Vec<Poll> = clients.into_iter().map(poll).collect();
    let rows = read!(app.store(), "jobs.list", |db| jobs::rows_of_polls(db, "p1", &polls).await).unwrap();
    for (poll, rows) in polls.iter().zip(rows) {
        assert!(rows.unwrap().page(poll).unwrap().is_some(), "{poll:?}");
    }
}

/// Sends changes of each kind, and deletes the documents at the end.
async fn changes(app: &TestApp, [job_id, action_id, session_id, backup_id]: [&String; 4]) {
    let member = app.member();
    let (a_job, session) = (format!("/v2/p1/jobs/{job_id}"), format!("/v2/p1/sessions/{session_id}"));
    member.patch(&a_job, json!({"description": "changed"})).await.expect(200);
    member.add_client("p1", "node-y").await;
    member.patch(&a_job, json!({"client_id": "node-y"})).await.expect(200);
    member.patch(&a_job, json!({"job_actions": [{"action_id": action_id}]})).await.expect(200);
    member.post(&a_job, job("node-x")).await.expect(201);
    member.post("/v2/p1/jobs/another", job("node-x")).await.expect(201);
    member.post(&format!("{a_job}/event"), json!({"start": null})).await.expect(202);
    member.put(&format!("{session}/jobs/{job_id}")).await.expect(204);
    member
        .post(&format!("{session}/action"), json!({"start": {"job_id": job_id, "current_tag": 0}}))
        .await
        .expect(202);
    member
        .post(&format!("{session}/action"), json!({"end": {"job_id": job_id, "result": "success"}}))
        .await
        .expect(202);
    member.patch(&session, json!({"description": "changed"})).await.expect(200);
    member.post(&session, json!({"session_tag": 0, "schedule": {}})).await.expect(201);
    member.delete(&format!("{session}/jobs/{job_id}")).await.expect(204);
    let action = format!("/v2/p1/actions/{action_id}");
    member.patch(&action, json!({"freezer_action": {"mode": "fs"}})).await.expect(200);
    member.post(&action, json!({"freezer_action": freezer_action()})).await.expect(201);
    let a_backup = format!("/v2/p1/backups/{backup_id}");
    member.patch(&a_backup, json!({"backup_metadata": {"more": 1}})).await.expect(200);
    for path in [&a_job, &action, &session, &a_backup, &"/v2/p1/clients/node-x".to_owned()] {
        member.delete(path).await.expect(204);
    }
    // This id was used before.
    member.add_job("p1", with(job("node-y"), json!({"job_id": job_id}))).await;
}

/// Returns the problem of a step of a plan on MariaDB.
fn objection(step: &PlanStep) -> Option<&'static str> {
    let large = LARGE.contains(&step.table.as_str());
    match step.access.as_str() {
        "ALL" if large && step.rows > 1 => Some("reads the whole table"),
        "index" if large => Some("reads a whole index"),
        _ if step.extra.contains("filesort") && step.rows > 1_000 => Some("sorts more than a page"),
        _ if step.extra.contains("temporary") && step.rows > 1_000 => Some("makes a temporary table"),
        _ => None,
    }
}

/// Returns the problem of a line of a plan on SQLite. SQLite is not intended for large projects, so it may sort.
fn objection_of_sqlite(line: &str) -> Option<&'static str> {
    let scans = line.starts_with("SCAN") && LARGE.iter().any(|table| line.contains(table));
    scans.then_some("reads the whole table")
}

/// Checks that each page and batch begins at its first row, also if many rows have the same time. Then the range of the
/// index has a condition on both the time and the id.
fn begin_at_their_markers(plans: &[QueryPlan], engine: Engine, wrong: &mut Vec<String>) {
    let forms: &[&str] = match engine {
        Engine::Sqlite => &[r#""id") > (?, ?)"#, r#""id") < (?, ?)"#],
        Engine::MariaDb | Engine::MySql => &["`created_at` > ? OR (", "`created_at` < ? OR ("],
    };
    for form in forms {
        // A statement without a hint finds its few rows along another index.
        let continued = |plan: &&QueryPlan| {
            plan.sql.contains(form) && (engine == Engine::Sqlite || plan.sql.contains("FORCE INDEX"))
        };
        let continued: Vec<&QueryPlan> = plans.iter().filter(continued).collect();
        assert!(continued.len() >= 15, "only {} statements have {form}", continued.len());
        for plan in continued {
            let begins = plan.steps.iter().any(|step| match engine {
                Engine::Sqlite => step.table.contains("(created_at,id)"),
                Engine::MariaDb | Engine::MySql => {
                    step.access == "range" && step.key.as_deref().is_some_and(|key| key.starts_with("fz_"))
                }
            });
            if !begins {
                wrong.push(format!(
                    "{}: begins before its marker: {:?}\n    {}",
                    plan.doing, plan.steps, plan.sql
                ));
            }
        }
    }
}

async fn every_statement_uses_an_index(database: &TestDatabase, engine: Engine) {
    let app = TestApp::start(database, Options::default()).await;
    seed(database).await;
    app.store().explain();
    requests(&app).await;
    let plans = app.store().take_plans();
    assert!(plans.len() > 150, "only {} statements were explained", plans.len());
    let mut wrong = Vec::new();
    for plan in &plans {
        assert_eq!(plan.refused, None, "{} was not explained", plan.doing);
        for step in &plan.steps {
            let objection = match engine {
                Engine::MariaDb | Engine::MySql => objection(step),
                Engine::Sqlite => objection_of_sqlite(&step.table),
            };
            if let Some(objection) = objection {
                wrong.push(format!("{}: {objection}: {step:?}\n    {}", plan.doing, plan.sql));
            }
        }
    }
    // For a search by terms or times, the index alone must decide which rows are read.
    let by_index = plans.iter().filter(|plan| plan.sql.contains("AS `fz_row`")).collect::<Vec<_>>();
    assert_eq!(by_index.len() < 20, engine == Engine::Sqlite);
    for plan in by_index {
        let step = &plan.steps[0];
        let few = step.key.as_deref() == Some("fz_backups_time");
        let is_sorted = few || !step.extra.contains("filesort");
        let along = few || step.key.as_deref() == Some("fz_backups_project");
        let rows_by_key = plan.steps.len() == 2 && plan.steps[1].access == "eq_ref";
        if !along || !is_sorted || !rows_by_key || !step.extra.contains("Using index") {
            wrong.push(format!(
                "{}: reads rows that the index excludes: {step:?}\n    {}",
                plan.doing, plan.sql
            ));
        }
    }
    // A poll must skip completed jobs without reading them.
    let polls = plans.iter().filter(|plan| plan.sql.contains("fz_completed")).collect::<Vec<_>>();
    assert_eq!(polls.is_empty(), engine == Engine::Sqlite);
    for plan in polls {
        let step = plan.steps.iter().find(|step| step.table == "jobs").expect("jobs are read");
        if step.key.as_deref() != Some("fz_jobs_poll") {
            wrong.push(format!("{}: reads completed jobs: {step:?}\n    {}", plan.doing, plan.sql));
        }
    }
    // The polls of several clients must be read in the requested order.
    let of_several =
        |sql: &str| sql.contains("`client_id` IN (") && sql.contains("ORDER BY `jobs`.`client_id`");
    let of_several = plans.iter().filter(|plan| of_several(&plan.sql)).collect::<Vec<_>>();
    assert_eq!(of_several.is_empty(), engine == Engine::Sqlite);
    for plan in of_several {
        let step = &plan.steps[0];
        if step.key.as_deref() != Some("fz_jobs_poll") || step.extra.contains("filesort") {
            wrong.push(format!("{}: not along the clients: {step:?}\n    {}", plan.doing, plan.sql));
        }
    }
    begin_at_their_markers(&plans, engine, &mut wrong);
    wrong.sort();
    wrong.dedup();
    assert!(wrong.is_empty(), "{} statements:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn sqlite() {
    with_database(Engine::Sqlite, "plans", |runtime, database| {
        runtime.block_on(bounded(every_statement_uses_an_index(database, Engine::Sqlite)));
    });
}

#[test]
fn mariadb() {
    with_database(Engine::MariaDb, "plans", |runtime, database| {
        runtime.block_on(bounded(every_statement_uses_an_index(database, Engine::MariaDb)));
    });
}
