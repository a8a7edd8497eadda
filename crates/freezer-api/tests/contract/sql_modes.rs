//! The service behaves the same in every `sql_mode` of the server, or refuses to start in it.

use freezer_store::{ConnectSettings, PoolSettings, Store, StoreError};
use http::Method;
use serde_json::{Value, json};

use crate::support::documents::{backup, freezer_action, job, with};
use crate::support::{Engine, TestApp, TestDatabase, bounded, with_database};

/// Modes that the service refuses.
const REFUSED: [&str; 2] = ["ORACLE", "EMPTY_STRING_IS_NULL"];

/// Combinations of modes in addition to single ones.
const COMBINED: [&str; 3] =
    ["ANSI,TRADITIONAL", "ANSI,NO_BACKSLASH_ESCAPES,HIGH_NOT_PRECEDENCE", "traditional"];

const TABLES: [&str; 8] = [
    "job_actions",
    "user_credentials",
    "action_reports",
    "jobs",
    "actions",
    "sessions",
    "clients",
    "backups",
];

/// Returns the modes that the server knows. Each has a bit of its own.
async fn modes(database: &TestDatabase) -> Vec<String> {
    let mut modes = Vec::new();
    for bit in 0..64 {
        let sql = format!("SET sql_mode = 1 << {bit}; SELECT @@sql_mode");
        let names = database.try_texts(&sql).await.unwrap_or_default();
        // MySQL has bits without a meaning.
        modes.extend(names.into_iter().filter(|name| !name.is_empty()));
    }
    modes
}

/// Sends requests of all kinds, and returns the answers. The values contain everything that a mode may change: empty texts,
/// quotation marks, backslashes, spaces at the end, and numbers.
async fn answers(app: &TestApp) -> Vec<String> {
    let mut answers = Vec::new();
    let mut send = async |method: Method, path: &str, body: Value| -> Value {
        let answer = app.member().ask(method.clone(), path, (!body.is_null()).then_some(body.clone())).await;
        assert!(method == Method::GET || answer.status.is_success(), "{answer}");
        answers.push(format!("{method} {path} {body}: {answer}"));
        serde_json::from_slice(&answer.body).unwrap_or_default()
    };
    let strange = r#"a "b" 'c' \ `d` || e  "#;
    let (get, post, patch, put, delete) =
        (Method::GET, Method::POST, Method::PATCH, Method::PUT, Method::DELETE);
    for description in ["", strange] {
        let client = json!({"client_id": format!("node-{}", description.len()), "hostname": "h", "description": description});
        send(post.clone(), "/v2/p1/clients", client.clone()).await;
        send(post.clone(), "/v2/p1/clients", with(client, json!({"description": "changed"}))).await;
    }
    let mut ids = Vec::new();
    for (n, description) in ["", strange, "x"].into_iter().enumerate() {
        let action =
            with(freezer_action(), json!({"backup_name": description, "log_file": "", "mode": "fs"}));
        let document = with(
            job("node-0"),
            json!({"description": description, "job_actions": [{"freezer_action": action, "max_retries": n}],
                "job_schedule": {"status": (["scheduled", "running", "completed"][n]), "event": ""}}),
        );
        ids.push(send(post.clone(), "/v2/p1/jobs", document).await["job_id"].as_str().unwrap().to_owned());
    }
    let one =
        send(post.clone(), "/v2/p1/actions", json!({"freezer_action": freezer_action(), "mandatory": true}))
            .await;
    let action = format!("/v2/p1/actions/{}", one["action_id"].as_str().unwrap());
    send(patch.clone(), &action, json!({"freezer_action": {"path_to_backup": "", "log_file": strange}}))
        .await;
    let one = send(post.clone(), "/v2/p1/sessions", json!({"description": "", "schedule": {}})).await;
    let session = format!("/v2/p1/sessions/{}", one["session_id"].as_str().unwrap());
    for id in &ids[..2] {
        send(put.clone(), &format!("{session}/jobs/{id}"), Value::Null).await;
    }
    send(post.clone(), &format!("{session}/action"), json!({"start": {"job_id": ids[0], "current_tag": 0}}))
        .await;
    let end = json!({"end": {"job_id": ids[0], "current_tag": 1, "result": "success"}});
    send(post.clone(), &format!("{session}/action"), end).await;
    send(patch.clone(), &session, json!({"description": strange})).await;
    for (name, comment) in [("b1", ""), ("b2", strange), (strange, "x")] {
        let one = send(post.clone(), "/v2/p1/backups", with(backup(name), json!({"comment": comment}))).await;
        let path = format!("/v2/p1/backups/{}", one["backup_id"].as_str().unwrap());
        send(
            patch.clone(),
            &path,
            json!({"backup_metadata": {"more": comment, "time_stamp": 1_700_000_000}}),
        )
        .await;
        send(get.clone(), &path, Value::Null).await;
    }
    for event in ["start", "stop", "abort"] {
        send(post.clone(), &format!("/v2/p1/jobs/{}/event", ids[0]), json!({event: null})).await;
    }
    send(
        patch.clone(),
        &format!("/v2/p1/jobs/{}", ids[1]),
        json!({"description": "", "job_schedule": {"result": ""}}),
    )
    .await;
    for list in ["clients", "jobs", "actions", "sessions", "backups"] {
        let mut all = send(get.clone(), &format!("/v2/p1/{list}?with_count=true"), Value::Null).await;
        let first = all[list][0].take();
        let id =
            first["client"]["uuid"].as_str().or(first[format!("{}_id", &list[..list.len() - 1])].as_str());
        for order in ["asc", "desc"] {
            let path = format!("/v2/p1/{list}?sort=created_at:{order}&marker={}", id.unwrap());
            send(get.clone(), &path, Value::Null).await;
        }
        for (key, value) in [
            ("description", ""),
            ("description", strange),
            ("status", "completed"),
            ("client_id", "node-0"),
            ("backup_name", ""),
            ("backup_name", strange),
            ("comment", strange),
            ("comment", ""),
            ("log_file", ""),
            ("mode", "fs"),
            ("_all", r"\"),
            ("event", ""),
            ("session_id", ""),
        ] {
            for kind in ["match", "match_not"] {
                let path = format!("/v2/p1/{list}?with_count=true");
                send(get.clone(), &path, json!({kind: [{key: value}]})).await;
            }
        }
    }
    send(
        get.clone(),
        "/v2/p1/backups?with_count=true",
        json!({"time_after": 1, "time_before": 1_800_000_000}),
    )
    .await;
    let poll = json!({"match": [{"client_id": "node-0"}], "match_not": [{"status": "completed"}]});
    send(get.clone(), "/v2/p1/jobs", poll).await;
    for path in [
        format!("{session}/jobs/{}", ids[0]),
        session.clone(),
        action.clone(),
        format!("/v2/p1/jobs/{}", ids[2]),
    ] {
        send(delete.clone(), &path, Value::Null).await;
        send(get.clone(), &path, Value::Null).await;
    }
    send(delete, "/v2/p1/clients/node-0", Value::Null).await;
    answers
}

fn store(database: &TestDatabase, mode: Option<&str>) -> Store {
    let connect = ConnectSettings { mysql_sql_mode: mode.map(str::to_owned), ..ConnectSettings::default() };
    Store::new(database.url(), connect, PoolSettings::default())
}

async fn every_mode_behaves_the_same_or_is_refused(database: &TestDatabase) {
    store(database, Some("TRADITIONAL")).sync().await.unwrap();
    let known = modes(database).await;
    assert!(known.len() > 15 && known.iter().any(|mode| mode == "NO_BACKSLASH_ESCAPES"), "{known:?}");
    let mut expected: Option<Vec<String>> = None;
    let mut wrong = Vec::new();
    for mode in ["TRADITIONAL"].into_iter().chain(known.iter().map(String::as_str)).chain(COMBINED) {
        let store = store(database, Some(mode));
        let checked = store.check_schema().await;
        if mode.split(',').any(|name| REFUSED.contains(&name)) {
            let error = checked.expect_err(mode);
            assert!(matches!(error, StoreError::Setting { .. }), "{error:?}");
            let text = error.to_string();
            assert!(text.starts_with(&format!("[database] mysql_sql_mode = {mode}: ")), "{text}");
            assert!(
                REFUSED.iter().any(|name| text.contains(&format!("in the mode {name}, which"))),
                "{text}"
            );
            continue;
        }
        if let Err(error) = checked {
            wrong.push(format!("{mode}: {error}"));
            continue;
        }
        let clear: String = TABLES.iter().map(|table| format!("DELETE FROM {table};")).collect();
        database.run(&format!("{clear} DELETE FROM fz_action_terms WHERE action_id <> '';")).await;
        let found = answers(&TestApp::on(database, store)).await;
        let expected = expected.get_or_insert_with(|| found.clone());
        for (found, expected) in found.iter().zip(expected.iter()) {
            if found != expected {
                wrong.push(format!("{mode}:\n{found}\ninstead of\n{expected}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
    let expected = expected.unwrap();
    let succeeded = expected.iter().filter(|answer| answer.contains("\n\n20")).count();
    assert!(succeeded * 10 > expected.len() * 8, "{succeeded} of {}", expected.len());
}

#[test]
fn every_mode_on_mariadb() {
    with_database(Engine::MariaDb, "sql_modes", |runtime, database| {
        runtime.block_on(bounded(every_mode_behaves_the_same_or_is_refused(database)));
    });
}

#[test]
fn every_mode_on_mysql() {
    with_database(Engine::MySql, "sql_modes", |runtime, database| {
        runtime.block_on(bounded(every_mode_behaves_the_same_or_is_refused(database)));
    });
}
