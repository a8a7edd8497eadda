//! Agents of 7.2.0 to 18.0.0 report a run with the whole job document that they read earlier. Although the client and
//! the actions may have changed since, the report must be stored and must not undo other changes.

use serde_json::{Value, json};

use crate::support::documents::{freezer_action, job, with};
use crate::support::exchange::Caller;
use crate::support::{TestApp, on_both_engines};

on_both_engines![
    a_report_is_accepted_after_changes_of_the_client,
    a_report_is_accepted_after_changes_of_the_actions,
    a_report_undoes_no_change_of_the_list,
    a_report_moves_no_job,
    a_report_does_not_change_other_jobs_with_the_same_action,
    a_report_in_a_session,
    a_report_changes_no_membership,
    a_report_keeps_edits_of_users,
    a_report_with_an_empty_object_of_actions,
    a_report_of_other_definitions,
    a_report_is_validated,
    a_report_without_ids,
    a_repeated_report,
    changed_values_of_a_patch_are_validated,
    unchanged_values_of_a_patch_are_not_validated,
    stored_values_that_are_no_longer_valid_can_be_sent_back,
    empty_columns_are_not_shown,
];

/// Creates a client with all capabilities and a job of two actions on it. Returns the job as its agent reads it.
async fn a_job(member: &Caller) -> Value {
    member.add_client("p1", "node-1").await;
    let entries = json!([
        {"max_retries": 1, "freezer_action": with(freezer_action(), json!({"storage": "local", "engine_name": "tar"}))},
        {"mandatory": true, "freezer_action": {"action": "exec", "command": "/bin/true"}},
    ]);
    let id = member.add_job("p1", with(job("node-1"), json!({"job_actions": entries}))).await;
    member.job(&id).await
}

/// Reports a run from its start to its end like an agent. Every report must be accepted. Returns the job after the run.
async fn run(member: &Caller, read: &Value) -> Value {
    let path = format!("/v2/p1/jobs/{}", read["job_id"].as_str().unwrap());
    let mut document = read.clone();
    for (state, whole) in [
        (json!({"status": "scheduled", "event": ""}), true),
        (json!({"status": "running", "result": "", "time_started": 1_795_341_700, "time_ended": -1}), false),
        (json!({"current_pid": 77}), true),
        (json!({"current_pid": 78}), true),
        (json!({"status": "completed", "result": "success", "time_ended": 1_795_341_760}), true),
    ] {
        document["job_schedule"] = with(document["job_schedule"].clone(), state);
        let body = if whole { document.clone() } else { json!({"job_schedule": document["job_schedule"]}) };
        member.patch(&path, body).await.expect(200);
    }
    let after = member.get(&path).await.expect(200).json();
    // Only the owner of the client sees the process id, and a deleted client has none.
    for key in ["status", "result", "time_started", "time_ended", "event"] {
        assert_eq!(after["job_schedule"][key], document["job_schedule"][key], "{key}");
    }
    after
}

/// Returns the ids of a job's actions.
fn action_ids(job: &Value) -> Vec<String> {
    let actions = job["job_actions"].as_array().unwrap();
    actions.iter().map(|action| action["action_id"].as_str().unwrap().to_owned()).collect()
}

async fn a_report_is_accepted_after_changes_of_the_client(app: TestApp) {
    let member = app.member();
    for (name, registration) in [
        ("gone", None),
        ("no such action", Some(json!({"supported_actions": ["info"]}))),
        ("no such mode", Some(json!({"supported_modes": ["mysql"]}))),
        ("no such storage", Some(json!({"supported_storages": []}))),
        ("no such engine", Some(json!({"supported_engines": ["rsync"]}))),
    ] {
        let read = a_job(&member).await;
        match registration {
            None => drop(member.delete("/v2/p1/clients/node-1").await.expect(204)),
            Some(less) => {
                let body = with(json!({"client_id": "node-1", "hostname": "node-1"}), less);
                member.post("/v2/p1/clients", body).await.expect(201);
            }
        }
        let after = run(&member, &read).await;
        assert_eq!(after["job_actions"], read["job_actions"], "{name}");
        assert_eq!(after["client_id"], "node-1", "{name}");
        let mut scheduled = read.clone();
        scheduled["job_schedule"]["status"] = json!("stop");
        run(&member, &scheduled).await;
        member.delete(&format!("/v2/p1/jobs/{}", read["job_id"].as_str().unwrap())).await.expect(204);
        member.delete("/v2/p1/clients/node-1").await.expect(204);
    }
}

async fn a_report_is_accepted_after_changes_of_the_actions(app: TestApp) {
    let member = app.member();
    for edit in [
        json!({"freezer_action": {"container": "elsewhere"}}),
        json!({"freezer_action": {"mode": "mysql", "path_to_backup": null, "new": [1]}}),
        json!({"max_retries": 7, "max_retries_interval": 1, "mandatory": true}),
    ] {
        let read = a_job(&member).await;
        let id = action_ids(&read)[0].clone();
        member.patch(&format!("/v2/p1/actions/{id}"), edit).await.expect(200);
        let edited = member.job(read["job_id"].as_str().unwrap()).await["job_actions"].clone();
        assert_ne!(edited, read["job_actions"]);
        assert_eq!(run(&member, &read).await["job_actions"], edited, "the edit stays");
    }
    let read = a_job(&member).await;
    let ids = action_ids(&read);
    let other = json!({"freezer_action": {"action": "exec", "command": "/bin/false"}});
    member.post(&format!("/v2/p1/actions/{}", ids[0]), other).await.expect(201);
    assert_eq!(run(&member, &read).await["job_actions"][0]["freezer_action"]["command"], "/bin/false");
    for (deleted, left) in [(0, vec![ids[1].clone()]), (1, vec![])] {
        member.delete(&format!("/v2/p1/actions/{}", ids[deleted])).await.expect(204);
        assert_eq!(action_ids(&run(&member, &read).await), left);
    }
    member.delete("/v2/p1/clients/node-1").await.expect(204);
    run(&member, &read).await;
}

async fn a_report_undoes_no_change_of_the_list(app: TestApp) {
    let member = app.member();
    let read = a_job(&member).await;
    let path = format!("/v2/p1/jobs/{}", read["job_id"].as_str().unwrap());
    let ids = action_ids(&read);
    let added = member.add_action("p1", with(freezer_action(), json!({"backup_name": "added"}))).await;
    // From this time on, the list differs from the one at the creation of the job.
    app.advance(1);
    for list in
        [vec![&ids[1], &ids[0]], vec![&ids[0], &ids[1], &added], vec![&added], vec![&ids[0], &ids[0]], vec![]]
    {
        let entries: Vec<Value> = list.iter().map(|id| json!({"action_id": id})).collect();
        member.patch(&path, json!({"job_actions": entries})).await.expect(200);
        assert_eq!(action_ids(&run(&member, &read).await).iter().collect::<Vec<_>>(), list);
    }
}

async fn a_report_moves_no_job(app: TestApp) {
    let member = app.member();
    let read = a_job(&member).await;
    member.add_client("p1", "node-2").await;
    let path = format!("/v2/p1/jobs/{}", read["job_id"].as_str().unwrap());
    member.patch(&path, json!({"client_id": "node-2"})).await.expect(200);
    assert_eq!(run(&member, &read).await["client_id"], "node-2");
    member.delete("/v2/p1/clients/node-1").await.expect(204);
    assert_eq!(run(&member, &read).await["client_id"], "node-2");
}

async fn a_report_does_not_change_other_jobs_with_the_same_action(app: TestApp) {
    let member = app.member();
    let read = a_job(&member).await;
    let id = action_ids(&read)[0].clone();
    let entries = json!([{"action_id": id}]);
    let other = member.add_job("p1", with(job("node-1"), json!({"job_actions": entries}))).await;
    member
        .patch(&format!("/v2/p1/actions/{id}"), json!({"freezer_action": {"container": "c"}}))
        .await
        .expect(200);
    let before = member.job(&other).await;
    run(&member, &read).await;
    assert_eq!(member.job(&other).await, before);
    assert_eq!(before["job_actions"][0]["freezer_action"]["container"], "c");
}

async fn a_report_in_a_session(app: TestApp) {
    let member = app.member();
    let job_id = a_job(&member).await["job_id"].as_str().unwrap().to_owned();
    let session = member.add_session("p1", json!({"description": "s", "hold_off": 5, "schedule": {}})).await;
    member.put(&format!("/v2/p1/sessions/{session}/jobs/{job_id}")).await.expect(204);
    let mut read = member.job(&job_id).await;
    let id = action_ids(&read)[0].clone();
    member
        .patch(&format!("/v2/p1/actions/{id}"), json!({"freezer_action": {"container": "c"}}))
        .await
        .expect(200);
    member.delete("/v2/p1/clients/node-1").await.expect(204);
    let path = format!("/v2/p1/sessions/{session}/action");
    let act = |action: Value| member.post(&path, action);
    let tag = read["session_tag"].clone();
    let started = act(json!({"start": {"job_id": job_id, "current_tag": tag}})).await.expect(202).json();
    assert_eq!(started["result"], "success");
    read["session_tag"] = started["session_tag"].clone();
    let after = run(&member, &read).await;
    assert_eq!((&after["session_id"], &after["session_tag"]), (&json!(session), &started["session_tag"]));
    let end = json!({"end": {"job_id": job_id, "current_tag": started["session_tag"], "result": "success"}});
    act(end).await.expect(202);
    assert_eq!(member.session(&session).await["result"], "success");
}

/// Returns a report that the job is running, in a changed document of the job.
fn report(read: &Value, changes: Value) -> Value {
    let mut document = with(read.clone(), changes);
    document["job_schedule"]["status"] = json!("running");
    document
}

async fn a_report_changes_no_membership(app: TestApp) {
    let member = app.member();
    let read = a_job(&member).await;
    let path = format!("/v2/p1/jobs/{}", read["job_id"].as_str().unwrap());
    let new_session = async || member.add_session("p1", json!({"description": "s", "schedule": {}})).await;
    let (first, second) = (new_session().await, new_session().await);
    let job_in =
        |session: &str| format!("/v2/p1/sessions/{session}/jobs/{}", read["job_id"].as_str().unwrap());
    let is_in = async |session: &str| {
        let job = member.get(&path).await.json();
        assert_eq!(job["session_id"], session);
        job["session_tag"].clone()
    };
    member.put(&job_in(&first)).await.expect(204);
    let in_first = member.get(&path).await.json();
    let tag = is_in(&first).await;
    run(&member, &read).await;
    assert_eq!(is_in(&first).await, tag);
    // freezer-scheduler 19.0.0 sends three keys.
    for status in ["running", "completed", "completed"] {
        let of_19 = json!({"job_schedule": {"status": status}, "session_id": "", "session_tag": 9});
        member.patch(&path, of_19).await.expect(200);
        assert_eq!(is_in(&first).await, tag);
    }
    let started = report(&in_first, json!({"session_tag": 7}));
    member.patch(&path, started).await.expect(200);
    assert_eq!(is_in(&first).await, 7);
    member.delete(&job_in(&first)).await.expect(204);
    run(&member, &in_first).await;
    is_in("").await;
    member.put(&job_in(&second)).await.expect(204);
    run(&member, &in_first).await;
    is_in(&second).await;
    // A user can still change this.
    member.patch(&path, json!({"session_id": "", "session_tag": 0})).await.expect(200);
    is_in("").await;
}

async fn a_report_keeps_edits_of_users(app: TestApp) {
    let member = app.member();
    let read = a_job(&member).await;
    let path = format!("/v2/p1/jobs/{}", read["job_id"].as_str().unwrap());
    let own = read["job_actions"].as_array().unwrap().clone();
    let added = member.add_action("p1", freezer_action()).await;
    let added_entry = member.get(&format!("/v2/p1/actions/{added}")).await.json();
    let refer = json!({"action_id": added});
    let inline = json!({"freezer_action": {"action": "exec", "command": "/bin/false"}});
    for (list, left) in [
        (vec![&own[0]], 1),
        (vec![&own[0], &own[1], &refer], 3),
        (vec![&own[1]], 1),
        (vec![&own[0], &own[1], &added_entry], 3),
        (vec![], 0),
        (vec![&own[0], &inline], 2),
    ] {
        // The agent reports between the GET and the PATCH of the user.
        let scheduled = json!({"job_schedule": {"status": "scheduled"}, "session_id": "", "session_tag": 0});
        member.patch(&path, scheduled).await.expect(200);
        member.patch(&path, report(&read, json!({"job_actions": list}))).await.expect(200);
        let after = member.get(&path).await.json();
        assert_eq!(after["job_actions"].as_array().unwrap().len(), left, "{list:?}");
        member.delete(&path).await.expect(204);
        member.add_job("p1", with(read.clone(), json!({"job_actions": own}))).await;
    }
    let mut of_unknown = own.clone();
    of_unknown[0]["action_id"] = json!("unknown");
    let mut defined_otherwise = own.clone();
    defined_otherwise[0]["freezer_action"]["container"] = json!("elsewhere");
    for (changes, text) in [
        (json!({"client_id": "unknown"}), "Client not found with ID unknown"),
        (json!({"job_actions": of_unknown}), "Action id: unknown not found."),
        (json!({"job_actions": [{"action_id": "unknown"}]}), "Action id: unknown not found."),
        (json!({"job_actions": defined_otherwise}), "already exists with a different definition"),
    ] {
        let answer = member.patch(&path, report(&read, changes)).await.expect(422).json();
        let description = answer["description"].as_str().unwrap().to_owned();
        assert!(description.contains(text), "{description}");
    }
    assert_eq!(member.get(&path).await.json()["job_actions"], read["job_actions"]);
}

/// The service shows the actions of a job as a list. So no scheduler has read `{}`, but an empty list can be stale.
async fn a_report_with_an_empty_object_of_actions(app: TestApp) {
    let member = app.member();
    let read = a_job(&member).await;
    let path = format!("/v2/p1/jobs/{}", read["job_id"].as_str().unwrap());
    app.advance(1);
    let reversed: Vec<Value> = action_ids(&read).iter().rev().map(|id| json!({"action_id": id})).collect();
    for (actions, left) in [(json!([]), 2), (json!({}), 0)] {
        member.patch(&path, json!({"job_actions": reversed})).await.expect(200);
        member.patch(&path, json!({"job_schedule": {"status": "scheduled"}})).await.expect(200);
        member.patch(&path, report(&read, json!({"job_actions": actions}))).await.expect(200);
        assert_eq!(action_ids(&member.get(&path).await.json()).len(), left, "{actions}");
    }
}

async fn a_report_of_other_definitions(app: TestApp) {
    let member = app.member();
    let read = a_job(&member).await;
    let path = format!("/v2/p1/jobs/{}", read["job_id"].as_str().unwrap());
    let id = action_ids(&read)[0].clone();
    // The action of another project is ignored.
    let other = json!({"freezer_action": {"action": "exec", "command": "/bin/true"}});
    let stranger = app.as_user("u2", "p2", "member");
    stranger.add_action("p2", other["freezer_action"].clone()).await;
    let foreign = stranger.get("/v2/p2/actions").await.json()["actions"][0].clone();
    member.patch(&path, report(&read, json!({"job_actions": [foreign]}))).await.expect(422);
    let container = json!({"freezer_action": {"container": "edited"}});
    member.patch(&format!("/v2/p1/actions/{id}"), container).await.expect(200);
    let edited = member.get(&path).await.json()["job_actions"].clone();
    // The service cannot know whether an agent read the definition earlier or a user changes it again, so the stored
    // one is kept.
    let mut again = read["job_actions"].clone();
    again[0]["freezer_action"]["container"] = json!("elsewhere");
    let without_id = |mut document: Value| {
        document.as_object_mut().unwrap().remove("job_id");
        document
    };
    for document in [
        report(&read, json!({})),
        report(&read, json!({"job_actions": again})),
        without_id(report(&read, json!({"description": "no id"}))),
    ] {
        member.patch(&path, json!({"job_schedule": {"status": "scheduled"}})).await.expect(200);
        member.patch(&path, document).await.expect(200);
        let after = member.get(&path).await.json();
        assert_eq!((&after["job_actions"], &after["job_schedule"]["status"]), (&edited, &json!("running")));
    }
    member.delete(&format!("/v2/p1/actions/{id}")).await.expect(204);
    // Agents never read a deleted action without a definition.
    let refer = json!({"job_actions": [{"action_id": id}], "description": "x"});
    member.patch(&path, report(&read, refer)).await.expect(422);
    member.patch(&path, without_id(report(&read, json!({})))).await.expect(200);
}

async fn a_report_is_validated(app: TestApp) {
    let member = app.member();
    let read = a_job(&member).await;
    let path = format!("/v2/p1/jobs/{}", read["job_id"].as_str().unwrap());
    let long = "n".repeat(300);
    for changes in [
        json!({"client_id": 5}),
        json!({"client_id": null}),
        json!({"client_id": ""}),
        json!({"client_id": ["node-1"]}),
        json!({"client_id": long}),
        json!({"job_actions": "x"}),
        json!({"job_actions": 5}),
        json!({"job_actions": null}),
        json!({"job_actions": {"a": 1}}),
        json!({"job_actions": [5]}),
        json!({"job_actions": [{"action_id": "a", "freezer_action": 5}]}),
        json!({"job_actions": [read["job_actions"][0], {"action_id": 5}]}),
    ] {
        let alone = member.patch(&path, changes.clone()).await.expect(400).json();
        let answer = member.patch(&path, report(&read, changes.clone())).await.expect(400).json();
        assert_eq!(answer, alone, "{changes}");
    }
    assert_eq!(member.get(&path).await.json(), read);
}

async fn a_report_without_ids(app: TestApp) {
    let member = app.member();
    let read = a_job(&member).await;
    let path = format!("/v2/p1/jobs/{}", read["job_id"].as_str().unwrap());
    member.delete("/v2/p1/clients/node-1").await.expect(204);
    for id in [None, Some(""), Some("null")] {
        let mut actions = read["job_actions"].clone();
        for action in actions.as_array_mut().unwrap() {
            action.as_object_mut().unwrap().remove("action_id");
            match id {
                Some("null") => action["action_id"] = json!(null),
                Some(id) => action["action_id"] = json!(id),
                None => {}
            }
        }
        let document = report(&read, json!({"job_actions": actions}));
        member.patch(&path, document.clone()).await.expect(200);
        member.patch(&path, document).await.expect(200);
        let after = member.get(&path).await.json();
        assert_eq!(after["job_actions"], read["job_actions"]);
        assert_eq!(after["job_schedule"]["status"], "running");
    }
}

async fn a_repeated_report(app: TestApp) {
    let member = app.member();
    let read = report(&a_job(&member).await, json!({}));
    let path = format!("/v2/p1/jobs/{}", read["job_id"].as_str().unwrap());
    let ids = action_ids(&read);
    let repeat = async |left: &[String]| {
        member.patch(&path, read.clone()).await.expect(200);
        member.patch(&path, read.clone()).await.expect(200);
        assert_eq!(action_ids(&member.get(&path).await.json()), left);
    };
    repeat(&ids).await;
    let container = json!({"freezer_action": {"container": "edited"}});
    member.patch(&format!("/v2/p1/actions/{}", ids[0]), container).await.expect(200);
    repeat(&ids).await;
    assert_eq!(member.get(&path).await.json()["job_actions"][0]["freezer_action"]["container"], "edited");
    member.delete(&format!("/v2/p1/actions/{}", ids[1])).await.expect(204);
    repeat(&ids[..1]).await;
    member.delete("/v2/p1/clients/node-1").await.expect(204);
    repeat(&ids[..1]).await;
}

async fn changed_values_of_a_patch_are_validated(app: TestApp) {
    let member = app.member();
    let read = a_job(&member).await;
    let path = format!("/v2/p1/jobs/{}", read["job_id"].as_str().unwrap());
    let ids = action_ids(&read);
    member.delete("/v2/p1/clients/node-1").await.expect(204);
    let limited = json!({"client_id": "limited", "supported_actions": ["exec"]});
    member.post("/v2/p1/clients", limited).await.expect(201);
    let other = member.add_action("p1", freezer_action()).await;
    let mut defined_otherwise = read.clone();
    defined_otherwise["job_actions"][0]["freezer_action"]["container"] = json!("elsewhere");
    let mut of_unknown = read.clone();
    of_unknown["job_actions"][0]["action_id"] = json!("unknown");
    let mut with_new = read.clone();
    with_new["job_schedule"]["status"] = json!("running");
    with_new["job_actions"][1] = json!({"freezer_action": {"action": "exec", "command": "/bin/true"}});
    for (patch, text) in [
        (with(read.clone(), json!({"client_id": "unknown"})), "Client not found with ID unknown"),
        (
            with(read.clone(), json!({"client_id": "limited"})),
            "Client limited does not support action: backup",
        ),
        (defined_otherwise, "already exists with a different definition"),
        (of_unknown, "Action id: unknown not found."),
        (with_new, "Client not found with ID node-1"),
        (
            json!({"job_actions": [{"action_id": ids[0]}, {"action_id": other}]}),
            "Client not found with ID node-1",
        ),
        (json!({"job_actions": [{"action_id": "unknown"}]}), "Action id: unknown not found."),
    ] {
        let answer = member.patch(&path, patch).await.expect(422).json();
        let description = answer["description"].as_str().unwrap().to_owned();
        assert!(description.contains(text), "{description}");
    }
    assert_eq!(member.get(&path).await.json(), read);
    app.remark("whole documents with values that are not valid for jobs");
    for (key, value) in
        [("status", json!("fly")), ("time_started", json!(null)), ("schedule_month", json!(5))]
    {
        let mut document = read.clone();
        document["job_schedule"][key] = value;
        app.show(member.patch(&path, document).await.expect(400));
    }
    assert_eq!(member.get(&path).await.json(), read);
}

async fn unchanged_values_of_a_patch_are_not_validated(app: TestApp) {
    let member = app.member();
    let read = a_job(&member).await;
    let path = format!("/v2/p1/jobs/{}", read["job_id"].as_str().unwrap());
    let ids = action_ids(&read);
    member.delete("/v2/p1/clients/node-1").await.expect(204);
    // The user removes an action with the whole document, as the web UI does.
    let mut shorter = read.clone();
    shorter["job_actions"].as_array_mut().unwrap().remove(0);
    member.patch(&path, shorter).await.expect(200);
    assert_eq!(action_ids(&member.job(read["job_id"].as_str().unwrap()).await), ids[1..]);
    for patch in [
        json!({"client_id": "node-1"}),
        json!({"client_id": "node-1", "description": "x"}),
        json!({"job_actions": [{"action_id": ids[1]}, {"action_id": ids[1]}]}),
        json!({"job_actions": []}),
    ] {
        member.patch(&path, patch).await.expect(200);
    }
}

async fn stored_values_that_are_no_longer_valid_can_be_sent_back(app: TestApp) {
    let member = app.member();
    let id = a_job(&member).await["job_id"].as_str().unwrap().to_owned();
    let schedule = r#"{"time_created": 5, "time_started": null, "schedule_month": 5, "old_key": [1], "status": "scheduled"}"#;
    app.database().run(&format!("UPDATE jobs SET session_tag = NULL, schedule = '{schedule}'")).await;
    app.database().run("UPDATE actions SET actionmode = 'former', max_retries = NULL").await;
    let read = member.job(&id).await;
    assert_eq!(
        (&read["session_tag"], &read["job_actions"][0]["freezer_action"]["mode"]),
        (&json!(null), &json!("former"))
    );
    let path = format!("/v2/p1/jobs/{id}");
    app.remark("the shown document, then with another description");
    member.patch(&path, read.clone()).await.expect(200);
    member.patch(&path, with(read.clone(), json!({"description": "x"}))).await.expect(200);
    let after = run(&member, &read).await;
    assert_eq!(after["job_actions"], read["job_actions"]);
    assert_eq!(
        (&after["description"], &after["job_schedule"]["old_key"]),
        (&read["description"], &json!([1]))
    );
    app.remark("changed values are still validated, and so is a new job");
    app.show(member.patch(&path, with(read.clone(), json!({"session_tag": "1"}))).await.expect(400));
    app.show(member.patch("/v2/p1/jobs/unknown", read).await.expect(400));
}

async fn empty_columns_are_not_shown(app: TestApp) {
    let member = app.member();
    member.add_client("p1", "node-1").await;
    let sent = json!({"action": "exec", "command": "/bin/true"});
    let action_id = member.add_action("p1", sent.clone()).await;
    let path = format!("/v2/p1/actions/{action_id}");
    let entries = json!([{"action_id": action_id}]);
    let job_id = member.add_job("p1", with(job("node-1"), json!({"job_actions": entries}))).await;
    let shown = async || {
        let alone = member.get(&path).await.json()["freezer_action"].clone();
        assert_eq!(member.get("/v2/p1/actions").await.json()["actions"][0]["freezer_action"], alone);
        assert_eq!(member.job(&job_id).await["job_actions"][0]["freezer_action"], alone);
        assert_eq!(
            member.get("/v2/p1/jobs").await.json()["jobs"][0]["job_actions"][0]["freezer_action"],
            alone
        );
        alone
    };
    let found = async |search: Value| {
        let (actions, jobs) = (
            member.search("/v2/p1/actions", search.clone()).await,
            member.search("/v2/p1/jobs", search).await,
        );
        (actions.each("actions", "/action_id").len(), jobs.each("jobs", "/job_id").len())
    };
    assert_eq!(shown().await, sent);
    // A patch of another key adds none of these keys.
    member.patch(&path, json!({"max_retries": 3})).await.expect(200);
    assert_eq!(shown().await, sent);
    assert_eq!(found(json!({"match": [{"container": null}]})).await, (0, 0));
    // If a caller stores null, the value stays null.
    member.patch(&path, json!({"freezer_action": {"container": null, "timeout": null}})).await.expect(200);
    let with_nulls = with(sent.clone(), json!({"container": null, "timeout": null}));
    assert_eq!(shown().await, with_nulls);
    assert_eq!(found(json!({"match": [{"container": null}]})).await, (1, 1));
    assert_eq!(found(json!({"match_not": [{"container": null}]})).await, (0, 0));
    assert_eq!(found(json!({"match_not": [{"mode": null}]})).await, (1, 1));
    // Former releases showed missing keys as null. With these nulls, it is still the same action.
    let nulls = json!({"backup_name": null, "mode": null, "priority": null, "path_to_backup": null, "log_file": null});
    let entry = json!({"action_id": action_id, "freezer_action": with(with_nulls.clone(), nulls)});
    member.add_job("p1", with(job("node-1"), json!({"job_actions": [entry]}))).await;
    member.patch(&path, json!({"freezer_action": {"container": "c", "timeout": 5}})).await.expect(200);
    assert_eq!(
        member.get(&path).await.json()["freezer_action"],
        with(sent, json!({"container": "c", "timeout": 5}))
    );
}
