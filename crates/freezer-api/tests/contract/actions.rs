//! Actions, which are definitions that jobs can share.

use freezer_store::model::{ActionColumns, ActionDefinition};
use freezer_store::query::actions;
use freezer_store::{StoreError, Timestamp, transaction};
use serde_json::{Value, json};

use crate::support::documents::{freezer_action, job, with};
use crate::support::{TestApp, on_both_engines};

on_both_engines![
    create_and_show,
    an_id_given_by_the_client_is_used_once,
    invalid_actions_are_rejected,
    freezer_action_accepts_unknown_keys,
    a_patch_keeps_keys_that_it_does_not_contain,
    a_patch_of_a_missing_document_is_404,
    a_replacement_creates_or_overwrites,
    a_deleted_action_is_removed_from_jobs,
    a_deleted_id_can_be_used_again,
    numbers_as_text_and_text_as_numbers,
    of_many_actions_each_id_is_used_once,
];

/// Statements of the store write many actions at once. Each is created by the rules for one.
async fn of_many_actions_each_id_is_used_once(app: TestApp) {
    let member = app.member();
    let body = |id: &str| json!({"action_id": id, "freezer_action": freezer_action()});
    for id in ["live", "gone"] {
        member.post("/v2/p1/actions", body(id)).await.expect(201);
    }
    member.delete("/v2/p1/actions/gone").await.expect(204);
    let definition = |name: &str| ActionDefinition {
        max_retries: 1,
        max_retries_interval: 1,
        mandatory: false,
        freezer_action: json!({"action": "backup", "name": name}).as_object().unwrap().clone(),
        columns: ActionColumns { action: "backup".to_owned(), ..ActionColumns::default() },
    };
    let create = async |project: &str, ids: &[&str]| {
        let definitions: Vec<_> = ids.iter().map(|id| definition(id)).collect();
        let new: Vec<_> = ids.iter().copied().zip(&definitions).collect();
        let now = Timestamp(app.now());
        transaction!(app.store(), "t", |db| actions::create_all(db, project, "u1", &new, now).await)
    };
    create("p1", &[]).await.unwrap();
    // a deleted one is restored, beside new ones
    create("p1", &["a", "gone", "b"]).await.unwrap();
    for id in ["a", "gone", "b"] {
        let shown = member.get(&format!("/v2/p1/actions/{id}")).await.expect(200).json();
        assert_eq!(shown["freezer_action"]["name"], json!(id));
    }
    // of those whose id is in use, the first is named, and none is created
    let many: Vec<String> = (0..250).map(|at| format!("n{at}")).collect();
    let mut ids: Vec<&str> = many.iter().map(String::as_str).collect();
    ids.insert(180, "live");
    ids.push("a");
    for (project, ids, named) in [
        ("p1", &ids[..], "live"),
        ("p1", &["c", "c"], "c"),
        ("p2", &["d", "gone"], "gone"),
        ("p1", &["b"], "b"),
    ] {
        match create(project, ids).await.unwrap_err() {
            StoreError::Duplicate { table: "actions", id } => assert_eq!(id, named),
            other => panic!("{other}"),
        }
    }
    let left = member.get("/v2/p1/actions?limit=500").await.expect(200).each("actions", "/action_id");
    assert_eq!(
        left.into_iter().collect::<std::collections::BTreeSet<_>>(),
        ["a", "b", "gone", "live"].map(str::to_owned).into()
    );
}

async fn create_and_show(app: TestApp) {
    let member = app.member();
    app.show(member.get("/v2/p1/actions").await.expect(200));
    let body = json!({"freezer_action": freezer_action()});
    let action_id = app.show(member.post("/v2/p1/actions", body).await.expect(201)).text("action_id");
    app.show(member.get(&format!("/v2/p1/actions/{action_id}")).await.expect(200));
    let whole = json!({
        "max_retries": 2,
        "max_retries_interval": 60,
        "mandatory": true,
        "freezer_action": with(freezer_action(), json!({"timeout": 3600, "priority": 1, "log_file": "/log"})),
    });
    app.show(member.post("/v2/p1/actions", whole).await.expect(201));
    app.remark("the list also shows timeout at the top level, as in 19.0.0");
    app.show(member.get("/v2/p1/actions").await.expect(200));
    app.show(member.get("/v2/p1/actions/unknown").await.expect(404));
}

async fn an_id_given_by_the_client_is_used_once(app: TestApp) {
    let member = app.member();
    let body = json!({"action_id": "nightly", "freezer_action": freezer_action()});
    app.show(member.post("/v2/p1/actions", body.clone()).await.expect(201));
    app.show(member.post("/v2/p1/actions", body).await.expect(409));
    for asks_for_one in [json!(""), json!(null)] {
        let body = json!({"action_id": asks_for_one, "freezer_action": freezer_action()});
        let id = member.post("/v2/p1/actions", body).await.expect(201).text("action_id");
        assert_eq!(id.len(), 32, "{id}");
    }
}

async fn invalid_actions_are_rejected(app: TestApp) {
    let member = app.member();
    for body in [
        json!({}),
        json!({"action_id": "a"}),
        json!({"freezer_action": {}}),
        json!({"freezer_action": {"action": ""}}),
        json!({"freezer_action": {"action": null}}),
        json!({"freezer_action": null}),
        json!({"freezer_action": "backup"}),
        json!({"freezer_action": freezer_action(), "max_retries": "often"}),
        json!({"freezer_action": freezer_action(), "mandatory": "yes"}),
        json!({"freezer_action": with(freezer_action(), json!({"timeout": "long"}))}),
        json!({"freezer_action": with(freezer_action(), json!({"priority": 2_147_483_648_i64}))}),
        json!({"freezer_action": with(freezer_action(), json!({"mode": ["fs"]}))}),
        json!({"freezer_action": freezer_action(), "action_id": "two words"}),
    ] {
        app.show(member.post("/v2/p1/actions", body).await.expect(400));
    }
    assert_eq!(member.get("/v2/p1/actions").await.json(), json!({"actions": []}));
}

async fn freezer_action_accepts_unknown_keys(app: TestApp) {
    let member = app.member();
    let sent = json!({
        "action": "backup", "mode": "fs", "backup_name": "etc", "container": "c", "path_to_backup": "/etc",
        "log_file": null, "timeout": null, "priority": null,
        "storage": "local", "engine_name": "tar", "max_level": 7, "always_level": 0.5, "dry_run": false,
        "lvm_snapsize": null, "exclude": ["*.o", {"deep": [1, [2, [3]]]}], "Ünïcode key": "wert", "": "empty key",
    });
    let action_id = member.add_action("p1", sent.clone()).await;
    let shown = member.get(&format!("/v2/p1/actions/{action_id}")).await.json();
    assert_eq!(shown["freezer_action"], sent);
}

async fn a_patch_keeps_keys_that_it_does_not_contain(app: TestApp) {
    let member = app.member();
    let body = json!({
        "max_retries": 2, "max_retries_interval": 60, "mandatory": true,
        "freezer_action": with(freezer_action(), json!({"timeout": 3600, "storage": "local"})),
    });
    let action_id = member.post("/v2/p1/actions", body).await.expect(201).text("action_id");
    let path = format!("/v2/p1/actions/{action_id}");
    app.show(member.get(&path).await.expect(200));
    for patch in [
        json!({"freezer_action": {"container": "elsewhere"}}),
        json!({"max_retries": 9}),
        json!({"mandatory": false}),
        json!({"freezer_action": {"storage": "s3", "mode": null}}),
        json!({}),
    ] {
        app.show(member.patch(&path, patch).await.expect(200));
        app.show(member.get(&path).await.expect(200));
    }
    for patch in [
        json!({"freezer_action": []}),
        json!({"freezer_action": {"action": ""}}),
        json!({"max_retries": []}),
        json!({"freezer_action": {"timeout": true}}),
    ] {
        app.show(member.patch(&path, patch).await.expect(400));
    }
}

async fn a_patch_of_a_missing_document_is_404(app: TestApp) {
    let member = app.member();
    app.show(member.patch("/v2/p1/actions/unknown", json!({"max_retries": 1})).await.expect(404));
    let action_id = member.add_action("p1", freezer_action()).await;
    let path = format!("/v2/p1/actions/{action_id}");
    member.delete(&path).await.expect(204);
    member.patch(&path, json!({"max_retries": 1})).await.expect(404);
}

async fn a_replacement_creates_or_overwrites(app: TestApp) {
    let member = app.member();
    let body = json!({"max_retries": 3, "freezer_action": freezer_action()});
    app.show(member.post("/v2/p1/actions/mine", body).await.expect(201));
    app.show(member.get("/v2/p1/actions/mine").await.expect(200));
    let colleague = app.as_user("u2", "p1", "member");
    let other = json!({"freezer_action": {"action": "exec", "command": "/bin/true"}});
    app.show(colleague.post("/v2/p1/actions/mine", other).await.expect(201));
    app.remark("the whole definition is replaced, but its creator is kept");
    app.show(member.get("/v2/p1/actions/mine").await.expect(200));
    app.show(member.post("/v2/p1/actions/mine", json!({"max_retries": 3})).await.expect(400));
}

async fn a_deleted_action_is_removed_from_jobs(app: TestApp) {
    let member = app.member();
    member.add_client("p1", "node-1").await;
    let mut ids = Vec::new();
    for name in ["one", "two", "three"] {
        ids.push(member.add_action("p1", with(freezer_action(), json!({"backup_name": name}))).await);
    }
    let entries: Vec<Value> = ids.iter().map(|id| json!({"action_id": id})).collect();
    let job_id = member.add_job("p1", with(job("node-1"), json!({"job_actions": entries}))).await;
    let names = |job: &Value| -> Vec<String> {
        let actions = job["job_actions"].as_array().unwrap();
        actions.iter().map(|a| a["freezer_action"]["backup_name"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(names(&member.job(&job_id).await), ["one", "two", "three"]);
    app.show(member.delete(&format!("/v2/p1/actions/{}", ids[1])).await.expect(204));
    assert_eq!(names(&member.job(&job_id).await), ["one", "three"]);
    app.show(member.get(&format!("/v2/p1/actions/{}", ids[1])).await.expect(404));
    app.show(member.delete(&format!("/v2/p1/actions/{}", ids[1])).await.expect(204));
    app.show(member.delete("/v2/p1/actions/never-there").await.expect(204));
}

async fn a_deleted_id_can_be_used_again(app: TestApp) {
    let member = app.member();
    member.add_client("p1", "node-1").await;
    let first = json!({"action_id": "a", "max_retries": 1, "freezer_action": freezer_action()});
    member.post("/v2/p1/actions", first).await.expect(201);
    let job_id =
        member.add_job("p1", with(job("node-1"), json!({"job_actions": [{"action_id": "a"}]}))).await;
    member.delete("/v2/p1/actions/a").await.expect(204);
    app.advance(5);
    let colleague = app.as_user("u2", "p1", "member");
    let second = json!({"action_id": "a", "freezer_action": {"action": "exec", "command": "/bin/true"}});
    app.show(colleague.post("/v2/p1/actions", second).await.expect(201));
    app.remark("nothing of the deleted document is left");
    app.show(member.get("/v2/p1/actions/a").await.expect(200));
    assert_eq!(member.job(&job_id).await["job_actions"], json!([]), "not put back into old jobs");
    member.delete("/v2/p1/actions/a").await.expect(204);
    member.post("/v2/p1/actions/a", json!({"freezer_action": freezer_action()})).await.expect(201);
    member.get("/v2/p1/actions/a").await.expect(200);
}

async fn numbers_as_text_and_text_as_numbers(app: TestApp) {
    let member = app.member();
    let body = json!({
        "max_retries": "4",
        "max_retries_interval": 1.5,
        "freezer_action": with(freezer_action(), json!({"timeout": "60", "priority": "2.5", "container": 7})),
    });
    let action_id = member.post("/v2/p1/actions", body).await.expect(201).text("action_id");
    app.show(member.get(&format!("/v2/p1/actions/{action_id}")).await.expect(200));
}
