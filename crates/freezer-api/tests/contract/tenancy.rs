//! A project can neither see nor change resources of another project, for all paths and ids.

use freezer_api::api::v2::{Route, routes};
use http::Method;
use serde_json::{Map, Value, json};

use crate::support::documents::{backup, freezer_action, job, with};
use crate::support::exchange::Caller;
use crate::support::{TestApp, on_both_engines};

on_both_engines![
    a_member_of_another_project_is_rejected_on_every_route,
    ids_of_another_project_are_not_found,
    an_admin_cannot_change_documents_with_the_path_of_another_project,
    lists_and_searches_only_show_the_own_project,
    an_id_of_another_project_is_a_conflict_without_its_owner,
    a_job_cannot_refer_to_resources_of_another_project,
];

const LISTS: [&str; 5] = ["clients", "actions", "jobs", "sessions", "backups"];

/// Stores a resource of each kind in a project. They refer to each other. Returns their ids by their names in paths.
async fn furnish(app: &TestApp, project: &str) -> Map<String, Value> {
    let owner = app.as_user(&format!("owner-of-{project}"), project, "member");
    let client_id = owner.add_client(project, &format!("node-of-{project}")).await;
    let action_id = owner.add_action(project, freezer_action()).await;
    let entries = json!([{"action_id": action_id}, {"freezer_action": freezer_action()}]);
    let job_id = owner.add_job(project, with(job(&client_id), json!({"job_actions": entries}))).await;
    let session_id = owner.add_session(project, json!({"schedule": {}})).await;
    owner.put(&format!("/v2/{project}/sessions/{session_id}/jobs/{job_id}")).await.expect(204);
    let backup_id = owner.add_backup(project, backup(&format!("of-{project}"))).await;
    let ids = json!({
        "client_id": client_id, "action_id": action_id, "job_id": job_id, "session_id": session_id,
        "backup_id": backup_id,
    });
    ids.as_object().cloned().unwrap()
}

/// Returns everything that members of a project can see in it.
async fn dump(app: &TestApp, project: &str) -> Vec<Value> {
    let owner = app.as_user("owner", project, "member");
    let mut lists = Vec::new();
    for list in LISTS {
        lists.push(owner.get(&format!("/v2/{project}/{list}?limit=100")).await.expect(200).json());
    }
    lists
}

/// Returns the path of a route with its parameters replaced.
fn path_of(route: &Route, project: &str, ids: &Map<String, Value>) -> String {
    let mut path = route.path.replace("{project_id}", project);
    for (name, id) in ids {
        path = path.replace(&format!("{{{name}}}"), id.as_str().unwrap());
    }
    assert!(!path.contains('{'), "{path}");
    path
}

/// Returns a valid body for the route that refers to resources of `ids`.
fn body_of(route: &Route, ids: &Map<String, Value>) -> Option<Value> {
    let job_id = &ids["job_id"];
    Some(match (route.method.as_str(), route.path.rsplit('/').next().unwrap()) {
        ("POST", "clients") => json!({"client_id": "intruder"}),
        ("POST", "actions" | "{action_id}") => {
            json!({"freezer_action": {"action": "exec", "command": "/bin/false"}})
        }
        ("PATCH", "{action_id}") => json!({"freezer_action": {"command": "/bin/false"}}),
        ("POST", "jobs" | "{job_id}") => json!({"client_id": ids["client_id"], "job_actions": []}),
        ("PATCH", "{job_id}") => json!({"description": "changed", "job_actions": []}),
        ("POST", "event") => json!({"abort": null}),
        ("POST", "sessions" | "{session_id}") => json!({"session_tag": 99, "schedule": {}, "jobs": {}}),
        ("PATCH", "{session_id}") => json!({"description": "changed"}),
        ("POST", "action") => json!({"end": {"job_id": job_id, "result": "fail"}}),
        ("POST", "backups") => backup("intruder"),
        ("PATCH", "{backup_id}") => {
            json!({"status": "deleted", "backup_metadata": {"container": "elsewhere"}})
        }
        _ => return None,
    })
}

async fn ask(caller: &Caller, route: &Route, project: &str, ids: &Map<String, Value>) -> u16 {
    let (path, body) = (path_of(route, project, ids), body_of(route, ids));
    caller.ask(route.method.clone(), &path, body).await.status.as_u16()
}

async fn a_member_of_another_project_is_rejected_on_every_route(app: TestApp) {
    let ids = furnish(&app, "p1").await;
    let before = dump(&app, "p1").await;
    for roles in ["member", "reader", "member,reader"] {
        let stranger = app.as_user("stranger", "p2", roles);
        for route in routes() {
            assert_eq!(ask(&stranger, &route, "p1", &ids).await, 403, "{} {}", route.method, route.path);
        }
    }
    assert_eq!(dump(&app, "p1").await, before);
}

async fn ids_of_another_project_are_not_found(app: TestApp) {
    let theirs = furnish(&app, "p1").await;
    furnish(&app, "p2").await;
    let before = dump(&app, "p1").await;
    let stranger = app.as_user("stranger", "p2", "member");
    for route in routes().iter().filter(|route| route.path.matches('{').count() > 1) {
        let status = ask(&stranger, route, "p2", &theirs).await;
        let expected: &[u16] = match (route.method.as_str(), route.path.rsplit('/').next().unwrap()) {
            // Deleting a missing backup is a 404, as before.
            ("DELETE", "{backup_id}") => &[404],
            ("DELETE", _) if !route.path.contains("/jobs/{job_id}") || !route.path.contains("session") => {
                &[204]
            }
            // The request is rejected because of the client, or because the id exists.
            ("POST", "{job_id}") => &[422],
            ("POST", "{action_id}" | "{session_id}") => &[409],
            _ => &[404],
        };
        assert!(expected.contains(&status), "{} {}: {status}", route.method, route.path);
        assert_eq!(dump(&app, "p1").await, before, "{} {}", route.method, route.path);
    }
}

async fn an_admin_cannot_change_documents_with_the_path_of_another_project(app: TestApp) {
    let theirs = furnish(&app, "p1").await;
    furnish(&app, "p2").await;
    let before = dump(&app, "p1").await;
    for roles in ["admin", "service", "admin,member,service"] {
        let caller = app.as_user("op", "p2", roles);
        for route in routes().iter().filter(|route| route.path.matches('{').count() > 1) {
            let status = ask(&caller, route, "p2", &theirs).await;
            // Callers that may see all projects can read a job with the path of any project. A central scheduler does
            // this.
            let reads_job = route.method == Method::GET && route.path.ends_with("/jobs/{job_id}");
            assert_eq!(status == 200, reads_job, "{roles}: {} {}: {status}", route.method, route.path);
        }
        assert_eq!(dump(&app, "p1").await, before, "{roles}");
    }
}

async fn lists_and_searches_only_show_the_own_project(app: TestApp) {
    furnish(&app, "p1").await;
    furnish(&app, "p2").await;
    let member = app.as_user("stranger", "p2", "member");
    for list in LISTS {
        let path = format!("/v2/p2/{list}?limit=100&all_projects=True");
        for search in [
            json!({}),
            json!({"match_not": [{"nothing": 1}]}),
            json!({"match": [{"_all": ""}]}),
            json!({"match_not": [{"project_id": "p2"}]}),
            json!({"match": [{"project_id": "p1"}]}),
            json!({"match": [{"_all": "of-p1"}]}),
        ] {
            let found = member.search(&path, search.clone()).await.expect(200);
            for project in found.each(list, "/project_id") {
                assert_eq!(project, "p2", "{list} {search}");
            }
        }
    }
}

async fn an_id_of_another_project_is_a_conflict_without_its_owner(app: TestApp) {
    let owner = app.as_user("owner", "p1", "member");
    owner.add_client("p1", "node-of-p1").await;
    owner.post("/v2/p1/actions/taken", json!({"freezer_action": freezer_action()})).await.expect(201);
    owner.post("/v2/p1/jobs/taken", job("node-of-p1")).await.expect(201);
    owner.post("/v2/p1/sessions/taken", json!({"session_tag": 1, "schedule": {}})).await.expect(201);
    let before = dump(&app, "p1").await;
    let stranger = app.as_user("stranger", "p2", "member");
    stranger.add_client("p2", "node-of-p2").await;
    let action = json!({"action_id": "taken", "freezer_action": freezer_action()});
    let job_document = with(job("node-of-p2"), json!({"job_id": "taken"}));
    let session = json!({"session_tag": 1, "schedule": {}});
    for (path, body) in [
        ("/v2/p2/actions", action.clone()),
        ("/v2/p2/actions/taken", action),
        ("/v2/p2/jobs", job_document),
        ("/v2/p2/jobs/taken", job("node-of-p2")),
        ("/v2/p2/sessions/taken", session),
    ] {
        let refused = app.show(stranger.post(path, body).await.expect(409));
        assert!(!String::from_utf8_lossy(&refused.body).contains("p1"));
    }
    assert_eq!(dump(&app, "p1").await, before);
    // After its deletion, the id is still not available, because the row belongs to the other project.
    owner.delete("/v2/p1/actions/taken").await.expect(204);
    let action = json!({"action_id": "taken", "freezer_action": freezer_action()});
    stranger.post("/v2/p2/actions", action.clone()).await.expect(409);
    owner.post("/v2/p1/actions", action).await.expect(201);
    let actions = stranger.get("/v2/p2/actions").await.json();
    assert_eq!(actions, json!({"actions": []}), "a refused job leaves no action behind");
}

async fn a_job_cannot_refer_to_resources_of_another_project(app: TestApp) {
    let theirs = furnish(&app, "p1").await;
    let ours = furnish(&app, "p2").await;
    let before = dump(&app, "p1").await;
    let member = app.as_user("stranger", "p2", "member");
    let (client, action) = (theirs["client_id"].as_str().unwrap(), &theirs["action_id"]);
    let own_client = ours["client_id"].as_str().unwrap();
    let own_job = format!("/v2/p2/jobs/{}", ours["job_id"].as_str().unwrap());
    let with_their_action = json!({"job_actions": [{"action_id": action}]});
    member.post("/v2/p2/jobs", job(client)).await.expect(422);
    member.post("/v2/p2/jobs", with(job(own_client), with_their_action.clone())).await.expect(422);
    member.patch(&own_job, json!({"client_id": client})).await.expect(422);
    member.patch(&own_job, with_their_action).await.expect(422);
    // Callers cannot add a foreign job to their session, nor their job to a foreign session.
    let (their_job, their_session) =
        (theirs["job_id"].as_str().unwrap(), theirs["session_id"].as_str().unwrap());
    let (our_job, our_session) = (ours["job_id"].as_str().unwrap(), ours["session_id"].as_str().unwrap());
    for (session, job) in [(our_session, their_job), (their_session, our_job)] {
        member.put(&format!("/v2/p2/sessions/{session}/jobs/{job}")).await.expect(404);
    }
    member.delete(&format!("/v2/p2/sessions/{our_session}/jobs/{their_job}")).await.expect(204);
    assert_eq!(dump(&app, "p1").await, before);
}
