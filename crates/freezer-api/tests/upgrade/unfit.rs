//! Values of `freezer_action` that their columns cannot store. They stay in the JSON of the action: the service shows them,
//! keeps them if they are sent back, and the entry is counted and kept in `freezer_leftovers`.

use freezer_api::manage::db;
use freezer_store::migrations::Wishes;
use serde_json::{Value, json};

use crate::entries::{numbers, options};
use crate::obstacles::{on, shape_of};
use crate::support::{Engine, TestApp, TestDatabase};
use crate::{loadable, store};

/// Keys with values that do not fit, each in a job of its own.
fn unfit() -> Vec<(&'static str, Value)> {
    let long = || json!("/data/".repeat(50));
    let mut unfit = vec![
        ("action", json!("x".repeat(300))),
        ("timeout", json!("1h")),
        ("priority", json!(1.5)),
        ("timeout", json!(true)),
        ("priority", json!(1_u64 << 40)),
        ("timeout", json!([60])),
        ("path_to_backup", json!(["/a", "/b"])),
        ("container", json!({"name": "c"})),
    ];
    for key in ["path_to_backup", "backup_name", "container", "mode", "log_file"] {
        unfit.push((key, long()));
    }
    unfit
}

/// Keys with values that fit after a conversion, and the values that are shown.
fn fit() -> Vec<(&'static str, Value, Value)> {
    let mut fit = vec![("timeout", json!("60"), json!(60))];
    for key in ["path_to_backup", "container"] {
        fit.push((key, json!(5), json!("5")));
        fit.push((key, json!(1.5), json!("1.5")));
        fit.push((key, json!(true), json!("1")));
        fit.push((key, json!(""), json!("")));
    }
    fit
}

fn definition(key: &str, value: &Value) -> Value {
    let mut definition = json!({"action": "backup", "mode": "fs", "storage": "s3"});
    definition[key] = value.clone();
    definition
}

async fn plant(database: &TestDatabase, job: &str, definition: &Value) {
    let list = json!([{"freezer_action": definition, "max_retries": 1}]).to_string();
    database
        .run(&format!(
            "INSERT INTO jobs (id, project_id, user_id, client_id, session_id, session_tag, description, schedule, \
             job_actions, deleted) VALUES ('{job}', 'p', 'u', 'c', '', 0, 'd', '{{}}', '{list}', 0)"
        ))
        .await;
}

async fn keeps_values_that_do_not_fit(database: &TestDatabase) {
    for (at, (key, value)) in unfit().iter().enumerate() {
        plant(database, &format!("unfit-{at:02}"), &definition(key, value)).await;
    }
    for (at, (key, value, _)) in fit().iter().enumerate() {
        plant(database, &format!("fit-{at:02}"), &definition(key, value)).await;
    }
    let store = store(database);
    let mut out = Vec::new();
    db::dry_run(&store, Wishes::default(), &mut out).await.unwrap();
    let plan = String::from_utf8(out).unwrap();
    let line = plan.lines().find(|line| line.contains("cannot be moved")).unwrap();
    let planned = numbers(line);
    let expected = store.unmovable().await.unwrap();
    assert_eq!(planned, (expected.values, expected.rows), "{line}");
    let mut out = Vec::new();
    db::sync(&store, &options(), &mut out).await.unwrap();
    let said = String::from_utf8(out).unwrap();
    assert_eq!(numbers(said.lines().last().unwrap()), planned);

    let mut kept = database.texts("SELECT CAST(row_id AS CHAR) FROM freezer_leftovers").await;
    kept.retain(|row| row.starts_with("unfit-") || row.starts_with("fit-"));
    kept.sort();
    let jobs: Vec<String> = (0..unfit().len()).map(|at| format!("unfit-{at:02}")).collect();
    assert_eq!(kept, jobs);

    let app = TestApp::on(database, crate::store(database));
    let member = app.as_user("u", "p", "member");
    for (job, (key, value)) in jobs.iter().zip(unfit()) {
        // A search finds it, by a key that jobs do not have themselves.
        if value.is_string() {
            let search = json!({"match": [{key: value}]});
            let found = member.search("/v2/p/jobs", search.clone()).await.expect(200);
            assert!(found.each("jobs", "/job_id").contains(job), "{job}: {key}");
            let found = member.search("/v2/p/actions", search).await.expect(200);
            assert_eq!(found.json()["actions"][0]["freezer_action"][key], value, "{job}: {key}");
        }
        is_shown_and_kept(&app, job, key, &value).await;
    }
    for (at, (key, _, shown)) in fit().into_iter().enumerate() {
        let job = member.get(&format!("/v2/p/jobs/fit-{at:02}")).await.expect(200).json();
        assert_eq!(job["job_actions"][0]["freezer_action"][key], shown, "fit-{at:02}: {key}");
    }
    let checks = app.store().check().await.unwrap();
    let terms = checks.iter().find(|check| check.name == "action_terms").unwrap();
    assert_eq!(terms.count, 0, "{terms:?}");
}

/// The job and the action show the value. PATCHes that send it back keep it, and a PATCH with another value that does not
/// fit is refused.
async fn is_shown_and_kept(app: &TestApp, job: &str, key: &str, value: &Value) {
    let member = app.as_user("u", "p", "member");
    let job_path = format!("/v2/p/jobs/{job}");
    let shown = member.get(&job_path).await.expect(200).json();
    let entry = &shown["job_actions"][0];
    assert_eq!(entry["freezer_action"], definition(key, value), "{job}");
    let path = format!("/v2/p/actions/{}", entry["action_id"].as_str().unwrap());
    let action = member.get(&path).await.expect(200).json();
    let definition = &action["freezer_action"];
    assert_eq!(definition[key], *value, "{job}");
    for patch in [
        json!({"freezer_action": definition}),
        json!({"freezer_action": {key: value}}),
        json!({"freezer_action": {"storage": "ssh"}}),
        json!({"max_retries": 3}),
        action.clone(),
    ] {
        member.patch(&path, patch.clone()).await.expect(200);
        let after = member.get(&path).await.expect(200).json();
        assert_eq!(after["freezer_action"][key], *value, "{job} after {patch}");
    }
    for patch in [json!({"job_actions": shown["job_actions"]}), shown.clone(), json!({"description": "e"})] {
        // The entry must be the action as it is now.
        member.patch(&path, json!({"freezer_action": {"storage": "s3"}, "max_retries": 1})).await.expect(200);
        member.patch(&job_path, patch.clone()).await.expect(200);
        let after = member.get(&job_path).await.expect(200).json();
        assert_eq!(after["job_actions"], shown["job_actions"], "{job} after {patch}");
    }
    let other = match value {
        Value::String(text) if text.len() > 255 => json!(format!("{text}-")),
        Value::Number(_) => json!(1_u64 << 41),
        _ => json!(["other"]),
    };
    let refused = member.patch(&path, json!({"freezer_action": {key: other}})).await.expect(400);
    assert!(refused.description().contains(&format!("freezer_action.{key}")), "{}", refused.description());
    let fitting = if ["timeout", "priority"].contains(&key) { json!(7) } else { json!("short") };
    member.patch(&path, json!({"freezer_action": {key: fitting}})).await.expect(200);
    let after = member.get(&path).await.expect(200).json();
    assert_eq!(after["freezer_action"][key], fitting, "{job}");
    // The API rounds a fraction for the column.
    let refused = if *value == json!(1.5) { 200 } else { 400 };
    member.patch(&path, json!({"freezer_action": {key: value}})).await.expect(refused);
}

fn upgraded(engine: Engine, shape: &str) {
    on(engine, "unfit", async |database| {
        store(database).schema_state().await.unwrap();
        let engine = if engine == Engine::Sqlite { engine } else { Engine::MariaDb };
        database.run(&loadable(database.engine(), &shape_of(engine, shape))).await;
        keeps_values_that_do_not_fit(database).await;
    });
}

#[test]
fn values_that_do_not_fit_are_shown_and_kept_from_7_0_0() {
    upgraded(Engine::MariaDb, "a-7.0.0");
}

#[test]
fn values_that_do_not_fit_are_shown_and_kept_from_7_2_0() {
    upgraded(Engine::MariaDb, "b-7.2.0");
}

#[test]
fn values_that_do_not_fit_are_shown_and_kept_from_15_0_0() {
    upgraded(Engine::MariaDb, "c-15.0.0");
}

#[test]
fn values_that_do_not_fit_are_shown_and_kept_from_18_0_0() {
    upgraded(Engine::MariaDb, "f-18.0.0-utf8mb4");
    upgraded(Engine::MySql, "f-18.0.0-utf8mb4");
    upgraded(Engine::Sqlite, "f-18.0.0");
}
