//! Simultaneous requests: no change is lost or applied twice, and no request fails.

use http::Method;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::support::documents::{job, with};
use crate::support::exchange::{Answer, Caller};
use crate::support::{TestApp, on_both_engines};

on_both_engines![
    twenty_jobs_start_and_end_one_session,
    many_registrations_make_one_client,
    many_registrations_of_different_clients,
    twenty_patches_of_one_job,
    twenty_patches_of_one_backup,
    concurrent_creations_with_one_id_create_one_document,
    twenty_jobs_join_one_session,
    an_event_is_stored_once,
    simultaneous_reads_return_the_requested_jobs,
    simultaneous_polls_have_the_same_answers_as_single_ones,
];

/// Sends all requests at once. Returns the answers in the order of the requests.
async fn at_once(caller: &Caller, requests: Vec<(Method, String, Option<Value>)>) -> Vec<Answer> {
    let mut tasks = JoinSet::new();
    for (position, (method, path, body)) in requests.into_iter().enumerate() {
        let caller = caller.clone();
        tasks.spawn(async move { (position, caller.ask(method, &path, body).await) });
    }
    let mut answers = tasks.join_all().await;
    answers.sort_by_key(|(position, _)| *position);
    answers.into_iter().map(|(_, answer)| answer).collect()
}

fn count(answers: &[Answer], status: u16) -> usize {
    answers.iter().filter(|answer| answer.status.as_u16() == status).count()
}

async fn twenty_jobs(app: &TestApp) -> Vec<String> {
    let member = app.member();
    member.add_client("p1", "node-1").await;
    let mut ids = Vec::new();
    for number in 0..20 {
        ids.push(member.add_job("p1", with(job("node-1"), json!({"job_id": format!("job-{number}")}))).await);
    }
    ids
}

async fn twenty_jobs_start_and_end_one_session(app: TestApp) {
    let member = app.member();
    let jobs = twenty_jobs(&app).await;
    let session_id = member.add_session("p1", json!({"schedule": {}, "hold_off": 60})).await;
    for id in &jobs {
        member.put(&format!("/v2/p1/sessions/{session_id}/jobs/{id}")).await.expect(204);
    }
    let action = format!("/v2/p1/sessions/{session_id}/action");
    for run in 0..2 {
        app.advance(1_000);
        let starts = jobs.iter().map(|id| {
            (Method::POST, action.clone(), Some(json!({"start": {"job_id": id, "current_tag": run}})))
        });
        for answer in at_once(&member, starts.collect()).await {
            assert_eq!(answer.expect(202).json(), json!({"result": "success", "session_tag": run + 1}));
        }
        let session = member.session(&session_id).await;
        assert_eq!(session["status"], "running");
        assert_eq!(session["session_tag"], run + 1, "one of them began the run, the others joined it");
        let started = session["jobs"].as_object().unwrap();
        assert_eq!(started.len(), 20);
        assert!(started.values().all(|job| job["status"] == "running"), "{session}");
        let ends = jobs.iter().map(|id| {
            (Method::POST, action.clone(), Some(json!({"end": {"job_id": id, "result": "success"}})))
        });
        for answer in at_once(&member, ends.collect()).await {
            answer.expect(202);
        }
        let session = member.session(&session_id).await;
        let ended = session["jobs"].as_object().unwrap();
        assert!(ended.values().all(|job| job["status"] == "completed"), "{session}");
        assert_eq!((&session["status"], &session["result"]), (&json!("completed"), &json!("success")));
    }
}

async fn many_registrations_make_one_client(app: TestApp) {
    let member = app.member();
    let body = json!({"client_id": "node-1", "hostname": "node-1"});
    let requests = (0..32).map(|_| (Method::POST, "/v2/p1/clients".to_owned(), Some(body.clone())));
    for answer in at_once(&member, requests.collect()).await {
        answer.expect(201);
    }
    assert_eq!(member.get("/v2/p1/clients").await.each("clients", "/client/client_id"), ["node-1"]);
    // The client is registered again after it was deleted, which restores the old row.
    member.delete("/v2/p1/clients/node-1").await.expect(204);
    let requests = (0..32).map(|_| (Method::POST, "/v2/p1/clients".to_owned(), Some(body.clone())));
    for answer in at_once(&member, requests.collect()).await {
        answer.expect(201);
    }
    assert_eq!(member.get("/v2/p1/clients").await.each("clients", "/client/client_id"), ["node-1"]);
}

async fn many_registrations_of_different_clients(app: TestApp) {
    let member = app.member();
    // These nodes boot together.
    let requests = (0..32).map(|number| {
        (Method::POST, "/v2/p1/clients".to_owned(), Some(json!({"client_id": format!("node-{number}")})))
    });
    for answer in at_once(&member, requests.collect()).await {
        answer.expect(201);
    }
    assert_eq!(member.get("/v2/p1/clients?limit=100").await.each("clients", "/client/client_id").len(), 32);
}

async fn twenty_patches_of_one_job(app: TestApp) {
    let member = app.member();
    member.add_client("p1", "node-1").await;
    let document = with(job("node-1"), json!({"job_schedule": {}}));
    let job_id = member.add_job("p1", document).await;
    let mut patches: Vec<Value> = vec![
        json!({"description": "patched"}),
        json!({"session_tag": 7}),
        json!({"session_id": "s"}),
        json!({"job_schedule": {"event": "stop"}}),
        json!({"job_schedule": {"status": "running"}}),
        json!({"job_schedule": {"result": "fail"}}),
        json!({"job_schedule": {"current_pid": 4711}}),
        json!({"job_schedule": {"time_started": 5}}),
        json!({"job_schedule": {"time_ended": 6}}),
        json!({"job_schedule": {"time_created": 4}}),
    ];
    let expected = patches.clone();
    patches.extend(expected.clone());
    let path = format!("/v2/p1/jobs/{job_id}");
    let requests = patches.into_iter().map(|patch| (Method::PATCH, path.clone(), Some(patch)));
    for answer in at_once(&member, requests.collect()).await {
        answer.expect(200);
    }
    let stored = member.job(&job_id).await;
    for patch in expected {
        for (key, value) in patch.as_object().unwrap() {
            match value.as_object() {
                Some(schedule) => {
                    for (key, value) in schedule {
                        assert_eq!(&stored["job_schedule"][key], value, "{key} in {stored}");
                    }
                }
                None => assert_eq!(&stored[key], value, "{key} in {stored}"),
            }
        }
    }
}

async fn twenty_patches_of_one_backup(app: TestApp) {
    let member = app.member();
    let id = member.add_backup("p1", crate::support::documents::backup("b")).await;
    let path = format!("/v2/p1/backups/{id}");
    let requests = (0..20).map(|n| (Method::PATCH, path.clone(), Some(json!({format!("key-{n}"): n}))));
    for answer in at_once(&member, requests.collect()).await {
        answer.expect(200);
    }
    let stored = member.get(&path).await.json();
    for n in 0..20 {
        assert_eq!(stored["backup_metadata"][format!("key-{n}")], n);
    }
}

async fn concurrent_creations_with_one_id_create_one_document(app: TestApp) {
    let member = app.member();
    member.add_client("p1", "node-1").await;
    let document = with(job("node-1"), json!({"job_id": "mine"}));
    for round in 0..4 {
        let requests =
            (0..2).map(|_| (Method::POST, "/v2/p1/jobs".to_owned(), Some(document.clone()))).collect();
        let answers = at_once(&member, requests).await;
        assert_eq!((count(&answers, 201), count(&answers, 409)), (1, 1), "round {round}: {answers:?}");
        let actions = member.job("mine").await["job_actions"].as_array().unwrap().len();
        assert_eq!(actions, 1, "not two jobs in one");
        // The next round restores the row.
        member.delete("/v2/p1/jobs/mine").await.expect(204);
    }
    let body = json!({"action_id": "mine", "freezer_action": {"action": "exec"}});
    let requests = (0..8).map(|_| (Method::POST, "/v2/p1/actions".to_owned(), Some(body.clone())));
    let answers = at_once(&member, requests.collect()).await;
    assert_eq!((count(&answers, 201), count(&answers, 409)), (1, 7));
}

async fn twenty_jobs_join_one_session(app: TestApp) {
    let member = app.member();
    let jobs = twenty_jobs(&app).await;
    let session_id = member.add_session("p1", json!({"schedule": {}})).await;
    let path = |id: &String| format!("/v2/p1/sessions/{session_id}/jobs/{id}");
    let requests = jobs.iter().map(|id| (Method::PUT, path(id), None));
    for answer in at_once(&member, requests.collect()).await {
        answer.expect(204);
    }
    assert_eq!(member.session(&session_id).await["jobs"].as_object().unwrap().len(), 20);
    let requests = jobs.iter().map(|id| (Method::DELETE, path(id), None));
    for answer in at_once(&member, requests.collect()).await {
        answer.expect(204);
    }
    assert_eq!(member.session(&session_id).await["jobs"], json!({}));
    for id in &jobs {
        assert_eq!(member.job(id).await["session_id"], "");
    }
}

async fn an_event_is_stored_once(app: TestApp) {
    let member = app.member();
    member.add_client("p1", "node-1").await;
    let job_id = member.add_job("p1", job("node-1")).await;
    let path = format!("/v2/p1/jobs/{job_id}/event");
    let requests = (0..8).map(|_| (Method::POST, path.clone(), Some(json!({"start": null}))));
    let answers = at_once(&member, requests.collect()).await;
    let success = answers.iter().filter(|answer| answer.json()["result"] == "success").count();
    let repeated =
        answers.iter().filter(|answer| answer.json()["result"] == "start already requested").count();
    assert_eq!((success, repeated), (1, 7));
}

/// Sends requests one by one, then all at once. The answers must be the same.
async fn same_at_once(caller: &Caller, requests: Vec<(String, Option<Value>)>) {
    let mut expected = Vec::new();
    for (path, body) in &requests {
        expected.push(caller.ask(Method::GET, path, body.clone()).await);
    }
    let all = requests.iter().map(|(path, body)| (Method::GET, path.clone(), body.clone()));
    let answers = at_once(caller, all.collect()).await;
    for ((request, expected), answer) in requests.iter().zip(expected).zip(answers) {
        assert_eq!((answer.status, answer.body), (expected.status, expected.body), "{request:?}");
    }
}

async fn simultaneous_reads_return_the_requested_jobs(app: TestApp) {
    let member = app.member();
    let ids = twenty_jobs(&app).await;
    let in_own_project = |id: &str| (format!("/v2/p1/jobs/{id}"), None);
    let twice = ids.iter().chain(&ids).map(|id| in_own_project(id));
    same_at_once(&member, twice.collect()).await;
    // These jobs do not exist for the caller: one belongs to another project, and for one, the database may return
    // another row.
    let stranger = app.as_user("u2", "p2", "member");
    stranger.add_client("p2", "node-1").await;
    stranger.add_job("p2", with(job("node-1"), json!({"job_id": "foreign"}))).await;
    let with_unknown = ["job-1", "foreign", "unknown", "JOB-2", "job-2", "job-3"].map(in_own_project);
    same_at_once(&member, with_unknown.to_vec()).await;
    same_at_once(&member, ["unknown", "none"].map(in_own_project).to_vec()).await;
    // An admin reads all projects, together with callers that do not.
    same_at_once(&app.admin(), ["foreign", "job-1", "job-2"].map(in_own_project).to_vec()).await;
}

async fn simultaneous_polls_have_the_same_answers_as_single_ones(app: TestApp) {
    let member = app.member();
    for node in 0..6 {
        let name = format!("node-{node}");
        member.add_client("p1", &name).await;
        for number in 0..node {
            let status = if number == 1 { "completed" } else { "scheduled" };
            let document = json!({"job_id": format!("{name}-{number}"), "job_schedule": {"status": status}});
            member.add_job("p1", with(job(&name), document)).await;
        }
    }
    let poll = |client: String, limit: usize| {
        let body = json!({"match": [{"client_id": client}], "match_not": [{"status": "completed"}]});
        (format!("/v2/p1/jobs/?limit={limit}&offset=0"), Some(body))
    };
    let of_all = |limit| (0..6).map(move |node| poll(format!("node-{node}"), limit)).collect::<Vec<_>>();
    same_at_once(&member, [of_all(10), of_all(10), of_all(10)].concat()).await;
    // Pages of other sizes, a client name in another case, and a client without jobs.
    let others = vec![poll("NODE-3".to_owned(), 10), poll("none".to_owned(), 10)];
    same_at_once(&member, [of_all(2), of_all(10), others].concat()).await;
    // These are more jobs than a shared statement reads.
    for number in 10..60 {
        member.add_job("p1", with(job("node-1"), json!({"job_id": format!("node-1-{number}")}))).await;
    }
    same_at_once(&member, [of_all(10), of_all(3)].concat()).await;
}
