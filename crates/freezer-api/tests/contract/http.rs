//! Rules for every path: versions, home document, health check, methods, headers, and bodies that are not documents.

use http::Method;
use serde_json::{Value, json};

use crate::support::documents::{backup, freezer_action, job};
use crate::support::{TestApp, on_both_engines};

on_both_engines![
    versions,
    home_document,
    head_is_get_without_a_body,
    options_lists_the_methods,
    unknown_paths_are_404,
    unsupported_methods_are_405,
    a_trailing_slash_is_accepted_everywhere,
    repeated_slashes_and_dots_count_as_in_19_0_0,
    clients_must_accept_json,
    request_ids,
    an_unconfirmed_identity_is_401,
    malformed_json_is_400,
    a_body_of_the_wrong_type_is_a_400_that_names_the_field,
    a_missing_body_counts_as_an_empty_document,
    a_body_over_the_limit_is_413,
    any_content_type_is_json,
    ids_of_a_path_are_decoded,
];

async fn versions(app: TestApp) {
    let member = app.member();
    app.show(member.get("/").await.expect(300));
    app.remark("no authentication is necessary");
    app.show(member.raw(Method::GET, "/", &[("x-identity-status", "Invalid")], "").await.expect(300));
}

async fn home_document(app: TestApp) {
    let member = app.member();
    let home = app.show(member.get("/v2").await.expect(200));
    assert_eq!(member.get("/v2/").await.expect(200).body, home.body);
    app.remark("a caller with any token may read it");
    app.as_user("nobody", "p1", "").get("/v2").await.expect(200);
    app.show(member.raw(Method::GET, "/v2", &[("x-identity-status", "Invalid")], "").await.expect(401));
}

async fn head_is_get_without_a_body(app: TestApp) {
    let member = app.member();
    let backup_id = member.add_backup("p1", backup("etc")).await;
    for path in [
        "/".to_owned(),
        "/v2".to_owned(),
        "/healthcheck".to_owned(),
        "/v2/p1/backups".to_owned(),
        format!("/v2/p1/backups/{backup_id}"),
        "/v2/p1/jobs/unknown".to_owned(),
    ] {
        let get = member.get(&path).await;
        let head = app.show(member.ask(Method::HEAD, &path, None).await);
        assert_eq!((head.status, head.header("content-type")), (get.status, get.header("content-type")));
        assert!(head.body.is_empty(), "{head}");
    }
    app.as_user("nobody", "p1", "").ask(Method::HEAD, "/v2/p1/jobs", None).await.expect(403);
}

async fn options_lists_the_methods(app: TestApp) {
    for path in ["/", "/v2", "/healthcheck", "/v2/p1/jobs", "/v2/p1/jobs/j", "/v2/p1/sessions/s/jobs/j"] {
        app.show(app.member().ask(Method::OPTIONS, path, None).await.expect(200));
    }
}

async fn unknown_paths_are_404(app: TestApp) {
    for path in ["/v1", "/v2/p1", "/v2/p1/volumes", "/v2/p1/jobs/j/events", "/v2/p1/jobs/j/event/x", "/x"] {
        app.show(app.member().get(path).await.expect(404));
    }
    let unknown = app.member().raw(Method::GET, "/v1", &[("x-identity-status", "Invalid")], "").await;
    app.remark("a caller without an identity does not learn which paths exist");
    app.show(unknown.expect(401));
}

async fn unsupported_methods_are_405(app: TestApp) {
    for (method, path) in [
        (Method::POST, "/"),
        (Method::DELETE, "/v2"),
        (Method::POST, "/healthcheck"),
        (Method::PUT, "/v2/p1/jobs"),
        (Method::DELETE, "/v2/p1/jobs"),
        (Method::PUT, "/v2/p1/jobs/j"),
        (Method::PATCH, "/v2/p1/clients/c"),
        (Method::POST, "/v2/p1/backups/b"),
        (Method::GET, "/v2/p1/jobs/j/event"),
        (Method::GET, "/v2/p1/sessions/s/action"),
        (Method::GET, "/v2/p1/sessions/s/jobs/j"),
    ] {
        app.show(app.member().ask(method, path, None).await.expect(405));
    }
}

async fn a_trailing_slash_is_accepted_everywhere(app: TestApp) {
    let member = app.member();
    member.add_client("p1", "node-1").await;
    let job_id = member.post("/v2/p1/jobs/", job("node-1")).await.expect(201).text("job_id");
    let session_id =
        member.post("/v2/p1/sessions/", json!({"schedule": {}})).await.expect(201).text("session_id");
    member.post("/v2/p1/backups/", backup("b")).await.expect(201);
    member.post("/v2/p1/actions/", json!({"freezer_action": freezer_action()})).await.expect(201);
    member.get(&format!("/v2/p1/jobs/{job_id}/")).await.expect(200);
    member.post(&format!("/v2/p1/jobs/{job_id}/event/"), json!({"start": 1})).await.expect(202);
    member.put(&format!("/v2/p1/sessions/{session_id}/jobs/{job_id}/")).await.expect(204);
    member.get("/healthcheck/").await.expect(200);
    assert_eq!(
        member.get("/v2/p1/jobs/?limit=1&offset=1").await.json(),
        json!({"jobs": []}),
        "the query stays"
    );
    assert_eq!(member.get("/v2/p1/clients/").await.each("clients", "/client/client_id"), ["node-1"]);
}

async fn repeated_slashes_and_dots_count_as_in_19_0_0(app: TestApp) {
    let member = app.member();
    member.add_client("p1", "node-1").await;
    let job_id = member.post("//v2//p1/jobs//", job("node-1")).await.expect(201).text("job_id");
    for path in [
        "//v2/p1/jobs/",
        "/v2//p1/jobs",
        "/v2/p1//jobs",
        "/v2/p1/jobs//",
        "/./v2/p1/./jobs/.",
        "/v2/p1/x/../jobs",
    ] {
        assert_eq!(member.get(path).await.expect(200).each("jobs", "/job_id"), [job_id.as_str()], "{path}");
        app.as_user("nobody", "p1", "").get(path).await.expect(403);
        member.raw(Method::GET, path, &[("x-identity-status", "Invalid")], "").await.expect(401);
        member.put(path).await.expect(405);
    }
    for path in [format!("/v2/p1/jobs//{job_id}"), format!("///v2/p1/jobs/{job_id}//")] {
        assert_eq!(member.get(&path).await.expect(200).text("job_id"), job_id, "{path}");
        member.patch(&path, json!({"description": path})).await.expect(200);
    }
    member.post(&format!("/v2/p1/jobs/{job_id}//event"), json!({"start": null})).await.expect(202);
    member.get("/v2/p1/clients//node-1").await.expect(200);
    member.get("//healthcheck//").await.expect(200);
    member.get("/v2//").await.expect(200);
    member.get("//").await.expect(300);
    // Only the path may have a trailing slash, not the query.
    member.get("/v2/p1/jobs?x=//y/./").await.expect(200);
    // These characters may occur in an id.
    for id in ["a/b", "a//b", "/", "..", ".", ".hidden", "a..b", "node.example."] {
        let encoded = id.replace('/', "%2F");
        let encoded = if matches!(id, "." | "..") { id.replace('.', "%2E") } else { encoded };
        let owner = app.as_user("u1", id, "member");
        owner.add_backup(&encoded, backup("b")).await;
        for path in [format!("/v2/{encoded}/backups"), format!("//v2//{encoded}/./backups/")] {
            assert_eq!(owner.get(&path).await.expect(200).each("backups", "/project_id"), [id], "{path}");
        }
    }
    // Missing resources are still missing.
    for path in
        ["/v2/p1", "//v2//p1//", "/v2/p1/jobs/..", "/v2/p1/jobs/%2F%2F", "/v2/p1%2Fjobs", "/%2Fv2/p1/jobs"]
    {
        member.get(path).await.expect(404);
    }
}

async fn clients_must_accept_json(app: TestApp) {
    let member = app.member();
    for (accept, status) in [
        ("application/json", 200),
        ("application/*", 200),
        ("*/*", 200),
        ("text/html, application/json;q=0.1", 200),
        ("text/html", 406),
        ("application/json;q=0", 406),
        ("application/json;q=0, */*", 406),
        ("application/xml", 406),
    ] {
        let answer = member.raw(Method::GET, "/v2/p1/jobs", &[("accept", accept)], "").await.expect(status);
        if accept == "text/html" {
            app.show(answer);
        }
    }
    member.raw(Method::GET, "/", &[("accept", "text/html")], "").await.expect(406);
}

async fn request_ids(app: TestApp) {
    let member = app.member();
    let id = |answer: &crate::support::Answer| answer.header("x-openstack-request-id").unwrap().to_owned();
    let global = "req-9d1b2f4e-3a61-4f0e-8f55-0c8e7f1b2a3c";
    let mut seen = std::collections::HashSet::new();
    for answer in [
        member.get("/").await,
        member.get("/healthcheck").await,
        member.get("/v2/p1/jobs").await,
        member.get("/v2/p1/jobs/unknown").await,
        member.get("/x").await,
        app.as_user("nobody", "p1", "").get("/v2/p1/jobs").await,
        member.raw(Method::GET, "/v2/p1/jobs", &[("x-openstack-request-id", global)], "").await,
        member.raw(Method::GET, "/v2/p1/jobs", &[("x-openstack-request-id", "req-forged\\nline")], "").await,
    ] {
        let id = id(&answer);
        assert_ne!(id, global, "an id that comes in is the operation's, not the request's");
        assert!(seen.insert(id), "each request has its own");
    }
}

async fn an_unconfirmed_identity_is_401(app: TestApp) {
    let invalid = [("x-identity-status", "Invalid")];
    app.show(app.member().raw(Method::GET, "/v2/p1/jobs", &invalid, "").await.expect(401));
    app.member().raw(Method::POST, "/v2/p1/backups", &invalid, backup("b").to_string()).await.expect(401);
    assert_eq!(app.member().get("/v2/p1/backups").await.json(), json!({"backups": []}));
}

/// A path for each kind of body.
const WRITES: [(Method, &str); 14] = [
    (Method::POST, "/v2/p1/clients"),
    (Method::POST, "/v2/p1/actions"),
    (Method::PATCH, "/v2/p1/actions/x"),
    (Method::POST, "/v2/p1/actions/x"),
    (Method::POST, "/v2/p1/jobs"),
    (Method::PATCH, "/v2/p1/jobs/x"),
    (Method::POST, "/v2/p1/jobs/x"),
    (Method::POST, "/v2/p1/jobs/x/event"),
    (Method::POST, "/v2/p1/sessions"),
    (Method::PATCH, "/v2/p1/sessions/x"),
    (Method::POST, "/v2/p1/sessions/x"),
    (Method::POST, "/v2/p1/sessions/x/action"),
    (Method::POST, "/v2/p1/backups"),
    (Method::PATCH, "/v2/p1/backups/x"),
];

async fn malformed_json_is_400(app: TestApp) {
    let member = app.member();
    let broken: [(&str, &[u8]); 9] = [
        ("cut off", b"{\"a\": "),
        ("no JSON", b"hello"),
        ("two documents", b"{}{}"),
        ("not UTF-8", b"{\"a\": \"\xff\"}"),
        ("half of a character", b"{\"a\": \"\\ud83d\"}"),
        ("a number that is none", b"{\"a\": NaN}"),
        ("a control character", b"{\"a\": \"\n\"}"),
        ("single quotes", b"{'a': 1}"),
        ("blanks", b"  "),
    ];
    for (what, bytes) in broken {
        app.remark(what);
        app.show(member.raw(Method::POST, "/v2/p1/backups", &[], bytes).await.expect(400));
    }
    for (method, path) in WRITES {
        let answer = member.raw(method, path, &[], "{\"a\": ").await.expect(400);
        assert_eq!(answer.text("title"), "Malformed JSON", "{answer}");
    }
    let reserved = r#"{"metadata": {"$serde_json::private::Number": "1"}}"#;
    let answer = member.raw(Method::POST, "/v2/p1/backups", &[], reserved).await.expect(400);
    assert!(answer.text("description").contains("reserved"), "{answer}");
    assert_eq!(answer.header("vary"), Some("Accept"));
    for list in ["clients", "actions", "jobs", "sessions", "backups"] {
        let answer =
            member.raw(Method::GET, &format!("/v2/p1/{list}"), &[], "{\"match\": ").await.expect(400);
        assert_eq!(answer.text("title"), "Malformed JSON", "{answer}");
    }
}

async fn a_body_of_the_wrong_type_is_a_400_that_names_the_field(app: TestApp) {
    let member = app.member();
    for (method, path) in WRITES {
        for body in [json!([1]), json!("text"), json!(5), json!(true), json!(null)] {
            let answer = member.ask(method.clone(), path, Some(body)).await.expect(400);
            assert!(!answer.description().is_empty(), "{answer}");
        }
    }
    for (path, body, field) in [
        ("/v2/p1/jobs", json!({"client_id": "c", "job_actions": [], "job_schedule": null}), "job_schedule"),
        ("/v2/p1/jobs", json!({"client_id": "c", "job_actions": null}), "job_actions"),
        ("/v2/p1/jobs", json!({"client_id": "c", "job_actions": [null]}), "job_actions[0]"),
        ("/v2/p1/actions", json!({"freezer_action": null}), "freezer_action"),
        ("/v2/p1/actions", json!({"freezer_action": []}), "freezer_action"),
        ("/v2/p1/sessions", json!({"schedule": null}), "schedule"),
        ("/v2/p1/sessions", json!({"schedule": {}, "hold_off": "soon"}), "hold_off"),
        ("/v2/p1/backups", json!({"backup_name": null, "container": "c", "hostname": "h"}), "backup_name"),
        ("/v2/p1/clients", json!({"client_id": "c", "supported_modes": null}), "supported_modes"),
    ] {
        let answer = member.post(path, body).await.expect(400);
        assert!(answer.description().starts_with(&format!("{field}: ")), "{answer}");
    }
}

async fn a_missing_body_counts_as_an_empty_document(app: TestApp) {
    let member = app.member();
    for (method, path) in WRITES {
        let without = member.ask(method.clone(), path, None).await;
        let empty = member.ask(method, path, Some(json!({}))).await;
        assert_eq!((without.status, without.body), (empty.status, empty.body), "{path}");
    }
}

async fn a_body_over_the_limit_is_413(app: TestApp) {
    let member = app.member();
    let limit = app.app().http.max_body;
    let body_of = |size: usize| {
        let document = with_padding(0).to_string().len();
        let body = with_padding(size - document).to_string();
        assert_eq!(body.len(), size);
        body
    };
    fn with_padding(length: usize) -> Value {
        json!({"backup_name": "b", "container": "c", "hostname": "h", "padding": "x".repeat(length)})
    }
    member.raw(Method::POST, "/v2/p1/backups", &[], body_of(limit)).await.expect(201);
    let over = member.raw(Method::POST, "/v2/p1/backups", &[], body_of(limit + 1)).await.expect(413);
    assert_eq!(over.text("description"), format!("the request body is larger than {limit} bytes"));
    for (method, path) in WRITES {
        member.raw(method, path, &[], vec![b' '; limit + 1]).await.expect(413);
    }
    member.raw(Method::GET, "/v2/p1/jobs", &[], vec![b' '; limit + 1]).await.expect(413);
    assert_eq!(member.get("/v2/p1/backups").await.each("backups", "/backup_id").len(), 1);
}

async fn any_content_type_is_json(app: TestApp) {
    for content_type in ["application/json", "text/plain", "application/x-www-form-urlencoded", ""] {
        let headers = [("content-type", content_type)];
        let body = backup("b").to_string();
        app.member().raw(Method::POST, "/v2/p1/backups", &headers, body).await.expect(201);
    }
}

async fn ids_of_a_path_are_decoded(app: TestApp) {
    let member = app.as_user("u1", "p 1", "member");
    member.add_backup("p%201", backup("b")).await;
    assert_eq!(member.get("/v2/p%201/backups").await.each("backups", "/project_id"), ["p 1"]);
    let umlaut = json!({"action_id": "nächtlich", "freezer_action": freezer_action()});
    let plain = app.member();
    plain.post("/v2/p1/actions", umlaut).await.expect(201);
    plain.get("/v2/p1/actions/n%C3%A4chtlich").await.expect(200);
    plain.get("/v2/p1/actions/a%2Fb").await.expect(404);
    app.show(plain.get("/v2/p1/actions/%FF").await.expect(400));
    let long = "p".repeat(37);
    app.show(app.as_user("u1", &long, "member").get(&format!("/v2/{long}/jobs")).await.expect(400));
    app.show(app.as_user(&"u".repeat(65), "p1", "member").get("/v2/p1/jobs").await.expect(400));
}
