//! Limits of searches: the number of conditions, their depth, and the memory that they leave allocated.

use std::time::{Duration, Instant};

use http::Method;
use serde_json::{Map, Value, json};

use crate::support::documents::{backup, freezer_action, job, with};
use crate::support::mariadbd::Server;
use crate::support::{Options, TestApp, bounded, on_both_engines};

on_both_engines![
    conditions_are_counted,
    the_configured_number_of_conditions_is_accepted,
    deeply_nested_values_are_rejected_or_accepted,
    a_large_search_lets_others_run,
    searches_do_not_match_a_hidden_process_id,
];

const LISTS: [&str; 5] = ["clients", "actions", "jobs", "sessions", "backups"];

fn pairs(count: usize) -> Vec<Value> {
    (0..count).map(|n| json!({format!("k{n}"): n})).collect()
}

async fn one_of_each(app: &TestApp) {
    let member = app.member();
    member.add_client("p1", "c1").await;
    member.add_job("p1", job("c1")).await;
    member.add_session("p1", json!({"description": "s", "schedule": {}})).await;
    member.add_backup("p1", backup("b")).await;
}

async fn conditions_are_counted(app: TestApp) {
    one_of_each(&app).await;
    let member = app.member();
    for list in LISTS {
        let path = format!("/v2/p1/{list}");
        for count in [51, 1_000, 7_500] {
            for search in [
                json!({"match": pairs(count)}),
                json!({"match_not": pairs(count)}),
                json!({"match": [{"_all": Value::from(pairs(count)).to_string()}]}),
                json!({"match": vec![json!({"_all": "x"}); count]}),
            ] {
                if search.to_string().len() > 114_688 {
                    continue;
                }
                let answer = member.search(&path, search).await.expect(400);
                let text = answer.description();
                assert!(text.contains(&format!("{count} conditions; the maximum is 50")), "{text}");
            }
        }
        member.search(&path, json!({"match": pairs(25), "match_not": pairs(25)})).await.expect(200);
        member.search(&path, json!({"match": pairs(50)})).await.expect(200);
        member.search(&path, json!({"match": vec![json!({"_all": "x"}); 50]})).await.expect(200);
    }
}

/// The largest value of `max_search_conditions`.
const MOST: usize = 400;

async fn the_configured_number_of_conditions_is_accepted(app: TestApp) {
    one_of_each(&app).await;
    let wide = app.with_http(|http| http.max_conditions = MOST);
    let found = pairs(MOST - 1).into_iter().chain([json!({"mode": "fs"})]).collect::<Vec<_>>();
    let texts = |count: usize| (0..count).map(|n| json!({"_all": format!("t{n}")})).collect::<Vec<_>>();
    let of_columns = |count: usize| -> Vec<Value> {
        let keys = ["description", "client_id", "session_id", "hostname", "path_to_backup", "status", "mode"];
        (0..count).map(|n| json!({keys[n % keys.len()]: format!("v{n}")})).collect()
    };
    let mixed: Vec<Value> = pairs(80).into_iter().chain(of_columns(80)).chain(texts(40)).collect();
    for list in LISTS {
        let path = format!("/v2/p1/{list}");
        for search in [
            json!({"match": pairs(MOST)}),
            json!({"match_not": pairs(MOST)}),
            json!({"match": found}),
            json!({"match": of_columns(MOST)}),
            json!({"match_not": of_columns(MOST)}),
            json!({"match": vec![json!({"status": "x"}); MOST]}),
            json!({"match_not": vec![json!({"description": "x"}); MOST]}),
            json!({"match": vec![json!({"_all": "x"}); MOST]}),
            json!({"match": texts(MOST)}),
            json!({"match_not": texts(MOST)}),
            json!({"match": [{"_all": Value::from(pairs(MOST)).to_string()}]}),
            json!({"match": mixed, "match_not": mixed}),
        ] {
            wide.member().search(&path, search).await.expect(200);
        }
        wide.member().search(&path, json!({"match": pairs(MOST + 1)})).await.expect(400);
    }
    // The actions of one job satisfy the maximum number of conditions.
    let keys = (0..MOST).map(|n| (format!("k{n}"), json!(n))).collect::<Map<_, _>>();
    let wanted = with(
        job("c1"),
        json!({"description": "wide", "job_actions": [
            {"freezer_action": with(freezer_action(), keys.into())}
        ]}),
    );
    app.member().add_job("p1", wanted).await;
    let answer = wide.member().search("/v2/p1/jobs", json!({"match": pairs(MOST)})).await.expect(200);
    assert_eq!(answer.each("jobs", "/description"), ["wide"]);
    let but: Vec<Value> = pairs(MOST - 1).into_iter().chain([json!({"k0": "other"})]).collect();
    let answer = wide.member().search("/v2/p1/jobs", json!({"match": but})).await.expect(200);
    assert_eq!(answer.each("jobs", "/description").len(), 0);
    let answer = wide
        .member()
        .search("/v2/p1/jobs", json!({"match": [{"k7": 7}], "match_not": pairs(MOST - 1)}))
        .await;
    assert_eq!(answer.expect(200).each("jobs", "/description").len(), 0);
    wide.member()
        .delete(&format!(
            "/v2/p1/jobs/{}",
            app.member().get("/v2/p1/jobs?limit=100").await.expect(200).json()["jobs"]
                .as_array()
                .unwrap()
                .iter()
                .find(|job| job["description"] == "wide")
                .unwrap()["job_id"]
                .as_str()
                .unwrap()
        ))
        .await
        .expect(204);
    // Different actions of one job satisfy the conditions.
    let actions =
        (0..40).map(|n| json!({"freezer_action": with(freezer_action(), json!({format!("k{n}"): n}))}));
    let all = with(job("c1"), json!({"description": "all", "job_actions": actions.collect::<Vec<_>>()}));
    app.member().add_job("p1", all).await;
    let answer = app.member().search("/v2/p1/jobs", json!({"match": pairs(40)})).await.expect(200);
    assert_eq!(answer.each("jobs", "/description"), ["all"]);
    app.member().search("/v2/p1/jobs", json!({"match": pairs(41)})).await.expect(200);
    let answer = app.member().search("/v2/p1/jobs", json!({"match": pairs(41)})).await.expect(200);
    assert_eq!(answer.each("jobs", "/description").len(), 0);
}

async fn deeply_nested_values_are_rejected_or_accepted(app: TestApp) {
    one_of_each(&app).await;
    let member = app.member();
    let lists = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    for list in LISTS {
        let path = format!("/v2/p1/{list}");
        for depth in [10, 100, 124, 128, 1_000, 50_000] {
            let body = format!(r#"{{"match": [{{"a": {}}}]}}"#, lists(depth));
            let status = if depth <= 124 { 200 } else { 400 };
            member.raw(Method::GET, &path, &[], body).await.expect(status);
            let inner = format!(r#"[{{"a": {}}}]"#, lists(depth));
            let answer = member.search(&path, json!({"match": [{"_all": inner}]})).await;
            assert!(matches!(answer.status.as_u16(), 200 | 400), "{answer}");
        }
        for reserved in
            [r#"[{"$serde_json::private::Number": "1"}]"#, r#"[{"\u0024serde_json::private::x": "1"}]"#]
        {
            let answer = member.search(&path, json!({"match": [{"_all": reserved}]})).await.expect(400);
            assert!(answer.description().contains("reserved"), "{answer}");
        }
    }
}

/// Measures the longest time for which a future blocks the other tasks of its thread.
async fn longest_wait<T>(done: impl Future<Output = T>) -> (T, Duration) {
    let mut longest = Duration::ZERO;
    let ticking = async {
        loop {
            let begin = Instant::now();
            tokio::time::sleep(Duration::from_millis(1)).await;
            longest = longest.max(begin.elapsed());
        }
    };
    // Both futures belong to one task, so only one of them can run at a time.
    let done = tokio::select! {
        done = done => done,
        () = ticking => unreachable!("it ticks for ever"),
    };
    (done, longest)
}

/// There are 60 backups with 9,000 keys, and the search is as large as a body can be.
async fn a_large_search_lets_others_run(app: TestApp) {
    let metadata = |n: usize| -> Value {
        let keys = (0..9_000).map(|key| (format!("k{key}"), json!(n)));
        keys.chain([("backup_name".to_owned(), json!(n))]).collect::<Map<_, _>>().into()
    };
    let mut sql = String::new();
    for n in 0..60 {
        let text = metadata(n).to_string();
        sql.push_str(&format!(
            "INSERT INTO backups (id, project_id, user_id, deleted, created_at, status, backup_metadata) VALUES \
             ('b{n}', 'p1', 'u', 0, '2026-01-01 00:00:00', 'available', '{text}');\n"
        ));
    }
    app.database().run(&sql).await;
    let wide = app.with_http(|http| http.max_conditions = 100);
    // The database cannot decide whether a row contains these numbers.
    let search = json!({
        "match": (0..50).map(|n| json!({format!("k{n}"): -1})).collect::<Vec<_>>(),
        "match_not": (0..50).map(|n| json!({format!("x{n}"): n})).collect::<Vec<_>>(),
    });
    let begin = Instant::now();
    let (answer, longest) = longest_wait(wide.member().search("/v2/p1/backups", search)).await;
    assert_eq!(answer.expect(200).each("backups", "/backup_id").len(), 0);
    assert!(begin.elapsed() < Duration::from_secs(60), "{:?}", begin.elapsed());
    assert!(longest < Duration::from_secs(2), "another task waited {longest:?}");
}

async fn searches_do_not_match_a_hidden_process_id(app: TestApp) {
    let (member, operator) = (app.member(), app.as_user("op", "service", "admin"));
    member.add_client("p1", "own").await;
    let central = json!({"client_id": "central", "hostname": "h", "is_central": true});
    operator.post("/v2/service/clients", central).await.expect(201);
    for client in ["own", "central"] {
        let schedule = json!({"status": "running", "current_pid": 4711, "schedule_day": client});
        let running = json!({"description": client, "job_schedule": schedule});
        member.add_job("p1", with(job(client), running)).await;
    }
    let shown = member.get("/v2/p1/jobs").await.json()["jobs"].clone();
    let schedules: Vec<Value> =
        shown.as_array().unwrap().iter().map(|job| job["job_schedule"].clone()).collect();
    let with_pid = schedules.iter().find(|schedule| schedule["current_pid"] == 4711).unwrap();
    let without = schedules.iter().find(|schedule| schedule["current_pid"] == Value::Null).unwrap();
    let mut hidden = without.clone();
    hidden["current_pid"] = json!(4711);
    for (search, of_member, of_operator) in [
        (json!({"match": [{"current_pid": 4711}]}), vec!["own"], vec!["own", "central"]),
        (json!({"match_not": [{"current_pid": 4711}]}), vec!["central"], vec![]),
        (json!({"match": [{"_all": "[{\"current_pid\": 4711}]"}]}), vec!["own"], vec!["own", "central"]),
        (json!({"match_not": [{"_all": "[{\"current_pid\": 4711.0}]"}]}), vec!["central"], vec![]),
        (json!({"match": [{"job_schedule": without}]}), vec!["central"], vec![]),
        (json!({"match": [{"job_schedule": hidden}]}), vec![], vec!["central"]),
        (json!({"match": [{"job_schedule": with_pid}]}), vec!["own"], vec!["own"]),
        (json!({"match": [{"current_pid": 4711}, {"mode": "fs"}]}), vec!["own"], vec!["own", "central"]),
        (
            json!({"match": [{"client_id": "central"}], "match_not": [{"status": "completed"}, {"current_pid": 4711}]}),
            vec!["central"],
            vec![],
        ),
    ] {
        let found = async |caller: &crate::support::Caller, with: &str| {
            let path = format!("/v2/p1/jobs?limit=100{with}");
            let answer = caller.search(&path, search.clone()).await.expect(200);
            answer.each("jobs", "/description")
        };
        assert_eq!(found(&member, "").await, of_member, "{search}");
        assert_eq!(found(&operator, "").await, of_operator, "{search}");
        let path = "/v2/p1/jobs?with_count=true&limit=1";
        let counted = member.search(path, search.clone()).await.expect(200).json();
        assert_eq!(counted["count"], json!(of_member.len()), "{search}");
    }
}

/// Each search has another shape. The server must not keep memory for all of these statements.
#[test]
fn statements_of_searches_do_not_fill_the_memory() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(bounded(async {
        let Some(server) = Server::start("attacks").await else { return };
        let database = server.database().await;
        let app = TestApp::start(&database, Options::default()).await;
        one_of_each(&app).await;
        let status = async |name: &str| {
            let sql = format!(
                "SELECT CAST(variable_value AS SIGNED) FROM information_schema.global_status WHERE variable_name = '{name}'"
            );
            database.number(&sql).await
        };
        let shape = |n: usize| -> Vec<Value> {
            (0..40).map(|key| json!({format!("k{key}{}", "x".repeat(n + 1)): "v".repeat(key + n)})).collect()
        };
        app.member().search("/v2/p1/jobs", json!({"match": shape(0)})).await.expect(200);
        let before = status("Memory_used").await;
        for n in 0..120 {
            let list = if n % 2 == 0 { "jobs" } else { "backups" };
            app.member().search(&format!("/v2/p1/{list}"), json!({"match": shape(n)})).await.expect(200);
            // A statement with few pairs is cached, until there are too many.
            let pair = json!({"match": shape(n)[..1 + n % 3].to_vec(), "match_not": shape(n)[..n % 5].to_vec()});
            app.member().search(&format!("/v2/p1/{list}"), pair).await.expect(200);
        }
        let (grown, prepared) = (status("Memory_used").await - before, status("Prepared_stmt_count").await);
        assert!(grown < 64 << 20, "the server keeps {grown} bytes, with {prepared} statements");
        assert!(prepared < 400, "{prepared} statements are kept");
        #[expect(clippy::print_stderr, reason = "a figure for the reader")]
        {
            eprintln!("server memory grew by {grown} bytes; {prepared} statements are prepared");
        }
    }));
}
