//! Documents with many small values take many times the memory of their texts. The limits are about this memory.

use std::time::{Duration, Instant};

use http::Method;
use serde_json::{Value, json};

use crate::support::documents::{backup, freezer_action, job, with};
use crate::support::{Answer, Engine, TestApp, on_both_engines};

on_both_engines![
    large_bodies_of_many_projects_wait_for_memory,
    bodies_with_many_values_are_not_kept_while_they_wait,
    changes_of_documents_with_many_values_wait_for_memory,
    a_document_with_too_many_values_is_not_changed,
];

const MIB: usize = 1 << 20;

/// Values whose texts have about this number of bytes and that take 90 to 140 times as much memory.
fn dense(bytes: usize) -> [Value; 3] {
    [json!(vec![1; bytes / 2]), json!(vec![json!({"": 0}); bytes / 7]), json!(vec![json!([[[]]]); bytes / 8])]
}

async fn bodies_with_many_values_are_not_kept_while_they_wait(app: TestApp) {
    let app = app.with_http(|http| {
        http.waiting.bytes = 8 * MIB;
        http.request_timeout = Duration::from_secs(60);
    });
    let member = app.member();
    let backup_id = member.add_backup("p1", backup("b")).await;
    let action_id = member.add_action("p1", freezer_action()).await;
    let [numbers, objects, lists] = dense(20_000);
    let text = json!("x".repeat(20_000));
    for (value, is_dense) in [(numbers, true), (objects, true), (lists, true), (text, false)] {
        for (method, path, body) in [
            (Method::POST, "backups".to_owned(), with(backup("new"), json!({"k": value}))),
            (Method::PATCH, format!("backups/{backup_id}"), json!({"backup_metadata": {"k": value}})),
            (Method::PATCH, format!("actions/{action_id}"), json!({"freezer_action": {"k": value}})),
        ] {
            let lock = app.database().lock().await;
            // on MariaDB, only the table of backups is locked
            let is_blocked = path.starts_with("backups") || app.engine() == Engine::Sqlite;
            let ask = |_| {
                let (member, method, body) = (member.clone(), method.clone(), body.clone());
                let path = format!("/v2/p1/{path}");
                tokio::spawn(async move { member.ask(method, &path, Some(body)).await })
            };
            let requests: Vec<_> = (0..12).map(ask).collect();
            let ended = || requests.iter().filter(|request| request.is_finished()).count();
            let (begun, soon) = (Instant::now(), if is_dense { 10 } else { 0 });
            while begun.elapsed() < Duration::from_millis(400) || ended() < soon {
                assert!(begun.elapsed() < Duration::from_secs(20), "{method} {path}: {} of 12", ended());
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            lock.release().await;
            let mut served = 0;
            for request in requests {
                let answer: Answer = request.await.unwrap();
                match answer.status.as_u16() {
                    503 => assert_eq!(answer.header("retry-after"), Some("5"), "{answer}"),
                    200 | 201 => served += 1,
                    _ => panic!("{method} {path}: {answer}"),
                }
            }
            let expected = if is_dense && is_blocked { 1..=2 } else { 12..=12 };
            assert!(expected.contains(&served), "{method} {path}: {served} of 12");
        }
    }
}

/// Stores a text in every column of JSON.
async fn store_everywhere(app: &TestApp, text: &str) {
    let statements = format!(
        "UPDATE backups SET backup_metadata = '{text}'; UPDATE jobs SET schedule = '{text}'; \
         UPDATE actions SET backup_metadata = '{text}'; UPDATE sessions SET job = '{text}'"
    );
    app.database().run(&statements).await;
}

/// Stores a document of each kind. Returns changes of them.
async fn changes(app: &TestApp) -> Vec<(Method, String, Value)> {
    let member = app.member();
    member.add_client("p1", "c1").await;
    let backup_id = member.add_backup("p1", backup("b")).await;
    let job_id = member.add_job("p1", job("c1")).await;
    let action_id = member.job(&job_id).await["job_actions"][0]["action_id"].as_str().unwrap().to_owned();
    let session_id = member.add_session("p1", json!({"description": "s", "schedule": {}})).await;
    let start = json!({"start": {"job_id": job_id, "current_tag": 0}});
    vec![
        (Method::PATCH, format!("backups/{backup_id}"), json!({"status": "error"})),
        (Method::PATCH, format!("actions/{action_id}"), json!({"max_retries": 4})),
        (Method::POST, format!("actions/{action_id}"), json!({"freezer_action": freezer_action()})),
        (Method::PATCH, format!("jobs/{job_id}"), json!({"description": "d"})),
        (Method::POST, format!("jobs/{job_id}/event"), json!({"start": null})),
        (Method::PATCH, format!("sessions/{session_id}"), json!({"description": "d"})),
        (Method::POST, format!("sessions/{session_id}/action"), start),
    ]
}

async fn changes_of_documents_with_many_values_wait_for_memory(app: TestApp) {
    let app = app.with_http(|http| {
        http.max_answers = 32 * MIB;
        http.scans.wait = Duration::from_millis(50);
    });
    let member = app.member();
    let changes = changes(&app).await;
    // answers that are not read take the part of the project
    let page_id = member.add_backup("p1", backup("page")).await;
    let page = format!("/v2/p1/backups/{page_id}");
    for value in dense(80_000) {
        store_everywhere(&app, &json!({"k": value}).to_string()).await;
        let large = json!({"x": "x".repeat(900_000)}).to_string();
        let enlarge = format!("UPDATE backups SET backup_metadata = '{large}' WHERE id = '{page_id}'");
        app.database().run(&enlarge).await;
        let mut unread = Vec::new();
        while let Some(answer) = Some(member.get(&page).await).filter(|answer| answer.status == 200) {
            unread.push(answer);
        }
        assert!(unread.len() > 5, "{}", unread.len());
        for (method, path, body) in &changes {
            let path = format!("/v2/p1/{path}");
            let refused = member.ask(method.clone(), &path, Some(body.clone())).await.expect(429);
            assert_eq!(refused.header("retry-after"), Some("5"), "{path}");
        }
        drop(unread);
        for (method, path, body) in &changes {
            let answer = member.ask(method.clone(), &format!("/v2/p1/{path}"), Some(body.clone())).await;
            // the session does not have the job
            let is_start = path.ends_with("/action");
            assert!(answer.status.is_success() || (is_start && answer.status == 400), "{path}: {answer}");
        }
    }
}

async fn a_document_with_too_many_values_is_not_changed(app: TestApp) {
    let app = app.with_http(|http| {
        http.max_answers = 32 * MIB;
        http.max_document = 100_000;
    });
    let member = app.member();
    let changes = changes(&app).await;
    for (values, served) in [(130_000, true), (250_000, false)] {
        store_everywhere(&app, &json!({"k": vec![1; values]}).to_string()).await;
        let sessions = changes.iter().filter(|(_, path, _)| !path.ends_with("/action"));
        for (method, path, body) in sessions {
            let answer = member.ask(method.clone(), &format!("/v2/p1/{path}"), Some(body.clone())).await;
            if served {
                assert!(answer.status.is_success(), "{path}: {answer}");
                continue;
            }
            assert_eq!(answer.status, 413, "{path}: {answer}");
            assert!(answer.description().contains("max_answer_bytes"), "{path}: {answer}");
        }
    }
    for (method, path, _) in &changes {
        if *method == Method::PATCH {
            member.ask(Method::DELETE, &format!("/v2/p1/{path}"), None).await.expect(204);
        }
    }
}

async fn large_bodies_of_many_projects_wait_for_memory(app: TestApp) {
    // The memory is that of production, so six bodies of this size have room.
    let projects: Vec<_> = (0..8)
        .map(|at| {
            let project = format!("project-{at}");
            let member = app.as_user("u1", &project, "member");
            tokio::spawn(async move {
                for value in dense(100_000) {
                    let body = with(backup("large"), json!({"x": value}));
                    member.post(&format!("/v2/{project}/backups"), body).await.expect(201);
                }
            })
        })
        .collect();
    for project in projects {
        project.await.unwrap();
    }
}
