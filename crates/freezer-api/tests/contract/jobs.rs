//! Jobs: creating, showing, patching, replacing and deleting them, and the fields that callers see.

use serde_json::{Value, json};

use crate::support::documents::{freezer_action, job, with};
use crate::support::{TestApp, on_both_engines};

on_both_engines![
    create_minimal,
    create_whole,
    invalid_jobs_are_rejected,
    an_id_given_by_the_client_is_used_once,
    invalid_schedules_are_rejected,
    words_and_times_of_a_schedule,
    event_is_always_shown,
    action_defaults_set_missing_keys_of_actions,
    actions_by_id,
    mandatory_is_kept,
    the_client_of_a_job_must_exist,
    the_client_must_support_every_action,
    all_projects_is_honoured_where_permitted,
    only_the_owner_of_the_client_sees_current_pid,
];

async fn create_minimal(app: TestApp) {
    let member = app.member();
    member.add_client("p1", "node-1").await;
    app.show(member.get("/v2/p1/jobs").await.expect(200));
    let body = json!({"client_id": "node-1", "job_actions": []});
    let job_id = app.show(member.post("/v2/p1/jobs", body).await.expect(201)).text("job_id");
    app.show(member.get(&format!("/v2/p1/jobs/{job_id}")).await.expect(200));
    app.show(member.get("/v2/p1/jobs").await.expect(200));
    app.show(member.get("/v2/p1/jobs/unknown").await.expect(404));
}

async fn create_whole(app: TestApp) {
    let member = app.member();
    member.add_client("p1", "node-1").await;
    let body = json!({
        "job_id": "nightly",
        "client_id": "node-1",
        "description": "every night",
        "session_id": "",
        "session_tag": 3,
        "job_schedule": {
            "time_created": 1, "time_started": 2, "time_ended": 3,
            "event": "start", "status": "stop", "result": "fail", "schedule_interval": "2 days",
            "schedule_start_date": "2026-11-22T10:00:00", "schedule_end_date": "2027-01-01T00:00:00Z",
        },
        "job_actions": [
            {
                "max_retries": 1, "max_retries_interval": 2, "mandatory": true,
                "freezer_action": with(freezer_action(), json!({"storage": "local", "engine_name": "tar"})),
            },
            {"freezer_action": {"action": "exec", "command": "/bin/true"}},
        ],
    });
    app.show(member.post("/v2/p1/jobs", body).await.expect(201));
    app.remark("the times in the document are ignored: a new job has neither started nor ended");
    app.show(member.get("/v2/p1/jobs/nightly").await.expect(200));
    app.remark("its actions are separate actions");
    app.show(member.get("/v2/p1/actions").await.expect(200));
}

async fn invalid_jobs_are_rejected(app: TestApp) {
    let member = app.member();
    member.add_client("p1", "node-1").await;
    for body in [
        json!({}),
        json!({"client_id": "node-1"}),
        json!({"job_actions": []}),
        json!({"client_id": null, "job_actions": []}),
        json!({"client_id": "two words", "job_actions": []}),
        json!({"client_id": "node-1", "job_actions": null}),
        json!({"client_id": "node-1", "job_actions": {"a": 1}}),
        json!({"client_id": "node-1", "job_actions": [5]}),
        json!({"client_id": "node-1", "job_actions": [{}]}),
        json!({"client_id": "node-1", "job_actions": [{"freezer_action": {}}]}),
        json!({"client_id": "node-1", "job_actions": [{"freezer_action": {"action": null}}]}),
        json!({"client_id": "node-1", "job_actions": [{"freezer_action": {"action": "fly"}}]}),
        json!({"client_id": "node-1", "job_actions": [{"freezer_action": {"action": "backup", "mode": "fly"}}]}),
        json!({"client_id": "node-1", "job_actions": [{"freezer_action": null}]}),
        json!({"client_id": "node-1", "job_actions": [], "unknown_key": 1}),
        json!({"client_id": "node-1", "job_actions": [], "description": 5}),
        json!({"client_id": "node-1", "job_actions": [], "session_tag": "1"}),
        json!({"client_id": "node-1", "job_actions": [], "job_id": "two words"}),
        json!({"client_id": "node-1", "job_actions": [], "job_schedule": null}),
        json!({"client_id": "node-1", "job_actions": [], "job_schedule": []}),
        json!({"client_id": "node-1", "action_defaults": {"mode": "fs"}}),
    ] {
        app.show(member.post("/v2/p1/jobs", body).await.expect(400));
    }
    assert_eq!(member.get("/v2/p1/jobs").await.json(), json!({"jobs": []}));
    assert_eq!(member.get("/v2/p1/actions").await.json(), json!({"actions": []}));
}

async fn an_id_given_by_the_client_is_used_once(app: TestApp) {
    let member = app.member();
    member.add_client("p1", "node-1").await;
    let body = with(job("node-1"), json!({"job_id": "nightly"}));
    app.show(member.post("/v2/p1/jobs", body.clone()).await.expect(201));
    let before = member.job("nightly").await;
    app.show(member.post("/v2/p1/jobs", body).await.expect(409));
    assert_eq!(member.job("nightly").await, before);
    assert_eq!(member.get("/v2/p1/actions").await.each("actions", "/action_id").len(), 1, "nothing is left");
    for asks_for_one in [json!(""), json!(null)] {
        let id = member.add_job("p1", with(job("node-1"), json!({"job_id": asks_for_one}))).await;
        assert_eq!(id.len(), 32, "{id}");
    }
}

async fn invalid_schedules_are_rejected(app: TestApp) {
    let member = app.member();
    member.add_client("p1", "node-1").await;
    for schedule in [
        json!({"schedule_minutes": "5"}),
        json!({"event": "fly"}),
        json!({"event": null}),
        json!({"status": "fly"}),
        json!({"result": "fly"}),
        json!({"schedule_interval": "5 fortnights"}),
        json!({"schedule_interval": "days"}),
        json!({"schedule_date": "tomorrow"}),
        json!({"schedule_year": "26"}),
        json!({"schedule_month": 5}),
        json!({"current_pid": "5"}),
    ] {
        let body = with(job("node-1"), json!({"job_schedule": schedule}));
        app.show(member.post("/v2/p1/jobs", body).await.expect(400));
    }
}

async fn words_and_times_of_a_schedule(app: TestApp) {
    let member = app.member();
    member.add_client("p1", "node-1").await;
    let whole = json!({
        "event": "abort", "status": "running", "result": "aborted",
        "schedule_date": "2026-11-22T10:00:00", "schedule_interval": "continuous",
        "schedule_start_date": "2026-11-22T10:00:00.123+05:30", "schedule_end_date": "-2026-11-22T10:00:00Z",
        "schedule_year": "2026", "schedule_month": "1-6", "schedule_day": "*/2", "schedule_week": "1",
        "schedule_day_of_week": "mon-fri", "schedule_hour": "10", "schedule_minute": "0", "schedule_second": "0",
        "current_pid": 4711,
    });
    let job_id = member.add_job("p1", with(job("node-1"), json!({"job_schedule": whole.clone()}))).await;
    let stored = member.job(&job_id).await["job_schedule"].clone();
    for (key, value) in whole.as_object().unwrap() {
        assert_eq!(&stored[key], value, "{key}");
    }
    for (key, words) in [
        ("event", vec!["", "stop", "start", "abort", "remove"]),
        ("status", vec!["", "completed", "stop", "scheduled", "running", "aborting", "removed"]),
        ("result", vec!["", "success", "fail", "aborted"]),
        ("schedule_interval", vec!["1 weeks", "2 days", "3 hours", "45  minutes", "10 seconds"]),
    ] {
        for word in words {
            let patch = json!({"job_schedule": {key: word}});
            member.patch(&format!("/v2/p1/jobs/{job_id}"), patch).await.expect(200);
            assert_eq!(member.job(&job_id).await["job_schedule"][key], word);
        }
    }
}

async fn event_is_always_shown(app: TestApp) {
    let member = app.member();
    member.add_client("p1", "node-1").await;
    let without = [
        json!({"client_id": "node-1", "job_actions": []}),
        json!({"client_id": "node-1", "job_actions": [], "job_schedule": {}}),
        json!({"client_id": "node-1", "job_actions": [], "job_schedule": {"status": "completed"}}),
    ];
    for body in &without {
        let job_id = member.add_job("p1", body.clone()).await;
        assert_eq!(member.job(&job_id).await["job_schedule"]["event"], "");
    }
    member.post("/v2/p1/jobs/replaced", without[0].clone()).await.expect(201);
    member.post("/v2/p1/jobs/replaced", without[0].clone()).await.expect(201);
    let events = member.get("/v2/p1/jobs").await.each("jobs", "/job_schedule/event");
    assert_eq!(events, ["", "", "", ""]);
    let found = member.search("/v2/p1/jobs", json!({"match": [{"event": ""}]})).await;
    assert_eq!(found.each("jobs", "/job_id").len(), 4, "and is searched as it is shown");
}

async fn action_defaults_set_missing_keys_of_actions(app: TestApp) {
    let member = app.member();
    member.add_client("p1", "node-1").await;
    let body = json!({
        "client_id": "node-1",
        "action_defaults": {"action": "backup", "mode": "fs", "container": "default", "storage": "s3", "timeout": 5},
        "job_actions": [
            {"freezer_action": {"backup_name": "a"}},
            {"freezer_action": {"backup_name": "b", "container": "own", "storage": null, "mode": "mysql"}},
        ],
    });
    let job_id = member.add_job("p1", body).await;
    app.show(member.get(&format!("/v2/p1/jobs/{job_id}")).await.expect(200));
    app.remark("in a patch, too");
    let patch = json!({
        "action_defaults": {"action": "exec", "command": "/bin/true"}, "job_actions": [{"freezer_action": {}}],
    });
    member.patch(&format!("/v2/p1/jobs/{job_id}"), patch).await.expect(200);
    app.show(member.get(&format!("/v2/p1/jobs/{job_id}")).await.expect(200));
    let defaults_alone = json!({"action_defaults": {"mode": "fs"}});
    app.show(member.patch(&format!("/v2/p1/jobs/{job_id}"), defaults_alone).await.expect(400));
}

async fn actions_by_id(app: TestApp) {
    let member = app.member();
    member.add_client("p1", "node-1").await;
    let action_id = member.add_action("p1", freezer_action()).await;
    let job_with = |entries: Value| with(job("node-1"), json!({"job_actions": entries}));
    app.remark("by id only, with an unchanged definition, twice in one job, and together with inline ones");
    let entries = json!([
        {"action_id": action_id},
        {"freezer_action": {"action": "exec", "command": "/bin/true"}},
        {"action_id": action_id, "freezer_action": freezer_action()},
    ]);
    let job_id = app.show(member.post("/v2/p1/jobs", job_with(entries)).await.expect(201)).text("job_id");
    app.show(member.get(&format!("/v2/p1/jobs/{job_id}")).await.expect(200));
    app.remark("an unknown action; a changed definition; an action of another project");
    app.show(member.post("/v2/p1/jobs", job_with(json!([{"action_id": "unknown"}]))).await.expect(422));
    let otherwise = with(freezer_action(), json!({"container": "elsewhere"}));
    let entries = json!([{"action_id": action_id, "freezer_action": otherwise}]);
    app.show(member.post("/v2/p1/jobs", job_with(entries)).await.expect(422));
    let other = app.as_user("u2", "p2", "member");
    let foreign = other.add_action("p2", freezer_action()).await;
    app.show(member.post("/v2/p1/jobs", job_with(json!([{"action_id": foreign}]))).await.expect(422));
    app.remark("a job shows the current definition of an action");
    let patch = json!({"freezer_action": {"container": "moved"}, "max_retries": 1});
    member.patch(&format!("/v2/p1/actions/{action_id}"), patch).await.expect(200);
    let shown = member.job(&job_id).await;
    for position in [0, 2] {
        let action = &shown["job_actions"][position];
        assert_eq!(action["freezer_action"]["container"], "moved");
        assert_eq!(action["max_retries"], 1);
    }
}

async fn mandatory_is_kept(app: TestApp) {
    let member = app.member();
    member.add_client("p1", "node-1").await;
    let entries = json!([
        {"mandatory": true, "freezer_action": freezer_action()},
        {"mandatory": false, "freezer_action": freezer_action()},
        {"freezer_action": freezer_action()},
        {"freezer_action": with(freezer_action(), json!({"mandatory": true}))},
        {"mandatory": false, "freezer_action": with(freezer_action(), json!({"mandatory": true}))},
    ]);
    let job_id = member.add_job("p1", with(job("node-1"), json!({"job_actions": entries}))).await;
    let flags = |job: Value| -> Vec<bool> {
        let actions = job["job_actions"].as_array().unwrap().clone();
        actions.iter().map(|action| action["mandatory"].as_bool().unwrap()).collect()
    };
    assert_eq!(flags(member.job(&job_id).await), [true, false, false, true, false]);
    let patch = json!({"job_actions": [{"mandatory": true, "freezer_action": freezer_action()}]});
    member.patch(&format!("/v2/p1/jobs/{job_id}"), patch).await.expect(200);
    let shown = member.job(&job_id).await;
    assert_eq!(flags(shown.clone()), [true]);
    let action_id = shown["job_actions"][0]["action_id"].as_str().unwrap();
    assert_eq!(member.get(&format!("/v2/p1/actions/{action_id}")).await.json()["mandatory"], true);
}

async fn the_client_of_a_job_must_exist(app: TestApp) {
    let member = app.member();
    let other = app.as_user("u2", "p2", "member");
    other.add_client("p2", "theirs").await;
    member.add_client("p1", "gone").await;
    member.delete("/v2/p1/clients/gone").await.expect(204);
    for client in ["unknown", "theirs", "gone"] {
        app.show(member.post("/v2/p1/jobs", job(client)).await.expect(422));
    }
    assert_eq!(member.get("/v2/p1/actions").await.json(), json!({"actions": []}), "nothing is left");
    let central = json!({"client_id": "central", "hostname": "h", "is_central": true});
    app.as_user("op", "service", "admin").post("/v2/service/clients", central).await.expect(201);
    member.add_job("p1", job("central")).await;
}

async fn the_client_must_support_every_action(app: TestApp) {
    let member = app.member();
    let limited = json!({
        "client_id": "limited", "supported_actions": ["backup"], "supported_modes": ["fs"],
        "supported_storages": ["local"], "supported_engines": ["tar"],
    });
    member.post("/v2/p1/clients", limited).await.expect(201);
    let job_with = |more: Value| {
        let entry = json!({"freezer_action": with(freezer_action(), more)});
        with(job("limited"), json!({"job_actions": [{"freezer_action": freezer_action()}, entry]}))
    };
    for more in [
        json!({"action": "restore"}),
        json!({"mode": "mysql"}),
        json!({"storage": "s3"}),
        json!({"engine": "rsync"}),
        json!({"engine_name": "rsync"}),
        json!({"storage": 5}),
        json!({"storage": ["s3"]}),
    ] {
        app.show(member.post("/v2/p1/jobs", job_with(more)).await.expect(422));
    }
    for more in [
        json!({"storage": "local", "engine": "tar", "engine_name": "tar"}),
        json!({"storage": "", "engine": null, "mode": null}),
        json!({"storage": [], "engine": {}}),
        json!({"storage": 0, "engine": false}),
        json!({"storage": 0.0}),
    ] {
        member.post("/v2/p1/jobs", job_with(more)).await.expect(201);
    }
    app.remark("an action by id is checked, too");
    let action_id = member.add_action("p1", json!({"action": "restore"})).await;
    let body = with(job("limited"), json!({"job_actions": [{"action_id": action_id}]}));
    app.show(member.post("/v2/p1/jobs", body).await.expect(422));
}

async fn all_projects_is_honoured_where_permitted(app: TestApp) {
    let admin = app.admin();
    for project in ["p1", "p2", "p3"] {
        admin.add_client(project, &format!("node-{project}")).await;
        admin
            .add_job(
                project,
                with(job(&format!("node-{project}")), json!({"job_id": format!("job-{project}")})),
            )
            .await;
        app.advance(1);
    }
    let (all, own) = (vec!["job-p1", "job-p2", "job-p3"], vec!["job-p1"]);
    let service = app.as_user("freezer", "service", "service");
    let reader = app.as_user("r1", "p1", "reader");
    for (caller, query, expected) in [
        (&admin, "", &own),
        (&admin, "?all_projects=False", &own),
        (&admin, "?all_projects=True", &all),
        (&admin, "?all_projects=true", &all),
        (&service, "?all_projects=True", &all),
        (&service, "?all_projects=False", &own),
        (&app.member(), "?all_projects=True", &own),
        (&reader, "?all_projects=True", &own),
    ] {
        let found = caller.get(&format!("/v2/p1/jobs{query}")).await.expect(200);
        assert_eq!(&found.each("jobs", "/job_id"), expected, "\n{found}");
    }
    let search = json!({"match": [{"client_id": "node-p2"}]});
    let found = service.search("/v2/p1/jobs?all_projects=True", search.clone()).await;
    assert_eq!(found.each("jobs", "/job_id"), ["job-p2"]);
    let found = service.search("/v2/p1/jobs?all_projects=False", search).await;
    assert!(found.each("jobs", "/job_id").is_empty());
    app.show(admin.get("/v2/p1/jobs?all_projects=perhaps").await.expect(400));
    app.remark("callers that can see all projects find a job with any path");
    service.get("/v2/p1/jobs/job-p3").await.expect(200);
    admin.get("/v2/p1/jobs/job-p3").await.expect(200);
    app.show(app.member().get("/v2/p1/jobs/job-p3").await.expect(404));
}

async fn only_the_owner_of_the_client_sees_current_pid(app: TestApp) {
    let member = app.member();
    let operator = app.as_user("op", "service", "admin");
    member.add_client("p1", "own").await;
    let central = json!({"client_id": "central", "hostname": "h", "is_central": true});
    operator.post("/v2/service/clients", central).await.expect(201);
    let running = json!({"job_schedule": {"status": "running", "current_pid": 4711}});
    member.add_job("p1", with(job("own"), with(running.clone(), json!({"job_id": "on-own"})))).await;
    member.add_job("p1", with(job("central"), with(running, json!({"job_id": "on-central"})))).await;
    let pid = |job: Value| job["job_schedule"].get("current_pid").cloned();
    let reader = app.as_user("r1", "p1", "reader");
    for (caller, job_id, expected) in [
        (&member, "on-own", Some(json!(4711))),
        (&member, "on-central", None),
        (&reader, "on-own", Some(json!(4711))),
        (&reader, "on-central", None),
        (&operator, "on-own", Some(json!(4711))),
        (&operator, "on-central", Some(json!(4711))),
    ] {
        assert_eq!(pid(caller.job(job_id).await), expected, "{job_id}");
        let listed = caller.search("/v2/p1/jobs", json!({"match": [{"job_id": job_id}]})).await.json();
        assert_eq!(pid(listed["jobs"][0].clone()), expected, "{job_id} in the list");
    }
    // The field is hidden, but it must not be lost if a document without it is sent.
    let document = member.job("on-central").await;
    member
        .patch("/v2/p1/jobs/on-central", json!({"job_schedule": document["job_schedule"]}))
        .await
        .expect(200);
    assert_eq!(pid(operator.job("on-central").await), Some(json!(4711)));
}
