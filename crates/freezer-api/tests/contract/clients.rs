//! Clients: registering, listing and deleting nodes, and central clients.

use serde_json::json;

use crate::support::{TestApp, on_both_engines};

on_both_engines![
    register_and_show,
    registering_again_updates_description_and_capabilities_only,
    invalid_registrations_are_rejected,
    client_names_are_accepted_or_rejected,
    a_uuid_identifies_one_client,
    delete,
    a_deleted_client_can_register_again,
    a_central_client_is_seen_from_every_project,
    a_central_client_is_changed_by_its_owner_only,
    a_central_client_does_not_replace_clients_of_projects,
    only_admins_and_services_register_central_clients,
    a_client_of_the_project_has_precedence_over_a_central_one,
];

async fn register_and_show(app: TestApp) {
    let member = app.member();
    app.show(member.get("/v2/p1/clients").await.expect(200));
    app.show(member.post("/v2/p1/clients", json!({"client_id": "node-1"})).await.expect(201));
    let whole = json!({
        "client_id": "p1_node-2.example.org",
        "hostname": "node-2.example.org",
        "description": "the second",
        "uuid": "5f1c3b52-7d1e-4b0e-9b53-0f0a61c8a4d7",
        "is_central": false,
        "supported_actions": ["backup", "restore"],
        "supported_modes": ["fs"],
        "supported_storages": ["local", "s3"],
        "supported_engines": ["tar"],
    });
    app.advance(1);
    app.show(member.post("/v2/p1/clients", whole).await.expect(201));
    app.show(member.get("/v2/p1/clients").await.expect(200));
    app.show(member.get("/v2/p1/clients/p1_node-2.example.org").await.expect(200));
    app.show(member.get("/v2/p1/clients/unknown").await.expect(404));
}

async fn registering_again_updates_description_and_capabilities_only(app: TestApp) {
    let member = app.member();
    let first = json!({"client_id": "node-1", "hostname": "old-name", "description": "old"});
    member.post("/v2/p1/clients", first.clone()).await.expect(201);
    let before = member.get("/v2/p1/clients/node-1").await.json();
    app.advance(60);
    member.post("/v2/p1/clients", first).await.expect(201);
    assert_eq!(member.get("/v2/p1/clients/node-1").await.json(), before, "nothing new was said");
    let colleague = app.as_user("u2", "p1", "member");
    let second = json!({
        "client_id": "node-1", "hostname": "new-name", "description": "new", "uuid": "another",
        "supported_actions": ["exec"],
    });
    app.show(colleague.post("/v2/p1/clients", second).await.expect(201));
    app.show(member.get("/v2/p1/clients").await.expect(200));
}

async fn invalid_registrations_are_rejected(app: TestApp) {
    let member = app.member();
    for body in [
        json!({}),
        json!({"hostname": "node-1"}),
        json!({"client_id": ""}),
        json!({"client_id": "two words"}),
        json!({"client_id": null}),
        json!({"client_id": 5}),
        json!({"client_id": "node-1", "is_central": "yes"}),
        json!({"client_id": "node-1", "supported_actions": "backup"}),
        json!({"client_id": "node-1", "supported_actions": ["fly"]}),
        json!({"client_id": "node-1", "supported_modes": ["fly"]}),
        json!({"client_id": "node-1", "supported_storages": ["fly"]}),
        json!({"client_id": "node-1", "supported_engines": ["fly"]}),
        json!({"client_id": "node-1", "hostname": null}),
        json!({"client_id": "node-1", "description": 1}),
        json!({"client_id": "node-1", "uuid": ["a"]}),
    ] {
        app.show(member.post("/v2/p1/clients", body).await.expect(400));
    }
    assert_eq!(member.get("/v2/p1/clients").await.json(), json!({"clients": []}));
}

async fn client_names_are_accepted_or_rejected(app: TestApp) {
    let member = app.member();
    for name in ["node", "node-1.example.org", "project_node", "tenant-a_b_node.example", "1", "a.b.c"] {
        member.post("/v2/p1/clients", json!({"client_id": name})).await.expect(201);
        let shown = member.get(&format!("/v2/p1/clients/{name}")).await.expect(200).json();
        assert_eq!(shown["client"]["client_id"], name);
    }
    for name in ["-node", "node-", "node.", ".node", "no de", "nöde", "node\n", "a/b", "node:1", "_"] {
        member.post("/v2/p1/clients", json!({"client_id": name})).await.expect(400);
    }
}

async fn a_uuid_identifies_one_client(app: TestApp) {
    let member = app.member();
    let one = json!({"client_id": "node-1", "uuid": "the-uuid"});
    member.post("/v2/p1/clients", one).await.expect(201);
    app.show(
        member.post("/v2/p1/clients", json!({"client_id": "node-2", "uuid": "the-uuid"})).await.expect(409),
    );
    let stranger = app.as_user("u2", "p2", "member");
    app.show(
        stranger.post("/v2/p2/clients", json!({"client_id": "node-3", "uuid": "the-uuid"})).await.expect(409),
    );
    assert_eq!(member.get("/v2/p1/clients").await.each("clients", "/client/client_id"), ["node-1"]);
}

async fn delete(app: TestApp) {
    let member = app.member();
    member.add_client("p1", "node-1").await;
    app.show(member.delete("/v2/p1/clients/node-1").await.expect(204));
    app.show(member.get("/v2/p1/clients/node-1").await.expect(404));
    app.show(member.get("/v2/p1/clients").await.expect(200));
    app.remark("again, like a client that did not get the answer");
    app.show(member.delete("/v2/p1/clients/node-1").await.expect(204));
    app.show(member.delete("/v2/p1/clients/never-there").await.expect(204));
}

async fn a_deleted_client_can_register_again(app: TestApp) {
    let member = app.member();
    for uuid in [json!({}), json!({"uuid": "the-uuid"})] {
        let mut body = json!({"client_id": "node-1", "description": "first life"});
        body.as_object_mut().unwrap().extend(uuid.as_object().cloned().unwrap());
        member.post("/v2/p1/clients", body.clone()).await.expect(201);
        member.delete("/v2/p1/clients/node-1").await.expect(204);
        body["description"] = json!("second life");
        member.post("/v2/p1/clients", body).await.expect(201);
        let again = member.get("/v2/p1/clients/node-1").await.expect(200).json();
        assert_eq!(again["client"]["description"], "second life");
        assert_eq!(member.get("/v2/p1/clients").await.each("clients", "/client/client_id"), ["node-1"]);
        member.delete("/v2/p1/clients/node-1").await.expect(204);
    }
}

async fn a_central_client_is_seen_from_every_project(app: TestApp) {
    let service = app.as_user("freezer", "service", "service");
    // In freezer-api 19.0.0, a service may only register as a central client if it may register clients at all.
    let owner = app.as_user("op", "service", "admin");
    app.remark("the role service alone may not register (clients:create)");
    let central = json!({"client_id": "central", "hostname": "scheduler-1", "is_central": true});
    app.show(service.post("/v2/service/clients", central.clone()).await.expect(403));
    app.show(owner.post("/v2/service/clients", central).await.expect(201));
    let member = app.member();
    app.advance(1);
    member.add_client("p1", "node-1").await;
    app.show(member.get("/v2/p1/clients").await.expect(200));
    app.show(member.get("/v2/p1/clients/central").await.expect(200));
    let other = app.as_user("u2", "p2", "member");
    assert_eq!(other.get("/v2/p2/clients").await.each("clients", "/client/client_id"), ["central"]);
    let found = other.search("/v2/p2/clients", json!({"match": [{"client_id": "central"}]})).await;
    assert_eq!(found.each("clients", "/client/client_id"), ["central"]);
}

async fn a_central_client_is_changed_by_its_owner_only(app: TestApp) {
    let owner = app.as_user("op", "service", "admin");
    let central = json!({"client_id": "central", "hostname": "scheduler-1", "is_central": true});
    owner.post("/v2/service/clients", central.clone()).await.expect(201);
    let before = owner.get("/v2/service/clients").await.json();
    let member = app.member();
    app.remark("its name is not available, neither for an ordinary client nor for a central one");
    app.show(member.post("/v2/p1/clients", json!({"client_id": "central"})).await.expect(409));
    app.show(app.admin().post("/v2/p1/clients", central.clone()).await.expect(409));
    app.show(member.delete("/v2/p1/clients/central").await.expect(403));
    app.show(app.admin().delete("/v2/p1/clients/central").await.expect(403));
    assert_eq!(owner.get("/v2/service/clients").await.json(), before);
    app.remark("a second host under the same name is another client");
    let second = json!({"client_id": "central", "hostname": "scheduler-2", "is_central": true});
    app.show(owner.post("/v2/service/clients", second).await.expect(201));
    let hosts = owner.get("/v2/service/clients").await.each("clients", "/client/hostname");
    assert_eq!(hosts.len(), 2, "{hosts:?}");
    app.remark("the owner updates and deletes");
    let mut changed = central;
    changed["description"] = json!("moved to rack 2");
    app.show(owner.post("/v2/service/clients", changed).await.expect(201));
    let shown = owner.search("/v2/service/clients", json!({"match": [{"hostname": "scheduler-1"}]})).await;
    app.show(shown);
    app.show(owner.delete("/v2/service/clients/central").await.expect(204));
    app.show(member.get("/v2/p1/clients/central").await.expect(404));
}

async fn a_central_client_does_not_replace_clients_of_projects(app: TestApp) {
    let member = app.member();
    let ordinary = json!({"client_id": "node-1", "hostname": "h1"});
    member.post("/v2/p1/clients", ordinary).await.expect(201);
    let before = member.get("/v2/p1/clients").await.json();
    let operator = app.as_user("op", "service", "admin");
    app.remark("name and host of an ordinary client of another project");
    let same = json!({"client_id": "node-1", "hostname": "h1", "is_central": true});
    app.show(operator.post("/v2/service/clients", same).await.expect(409));
    assert_eq!(member.get("/v2/p1/clients").await.json(), before);
    app.remark("the same name on another host is another client");
    let other = json!({"client_id": "node-1", "hostname": "h2", "is_central": true});
    app.show(operator.post("/v2/service/clients", other).await.expect(201));
    assert_eq!(member.get("/v2/p1/clients/node-1").await.json()["client"]["hostname"], "h1");
}

async fn only_admins_and_services_register_central_clients(app: TestApp) {
    let central = json!({"client_id": "central", "hostname": "h", "is_central": true});
    app.show(app.member().post("/v2/p1/clients", central.clone()).await.expect(403));
    app.as_user("u3", "p1", "member,service").post("/v2/p1/clients", central).await.expect(201);
}

async fn a_client_of_the_project_has_precedence_over_a_central_one(app: TestApp) {
    let member = app.member();
    member.post("/v2/p1/clients", json!({"client_id": "name", "hostname": "own"})).await.expect(201);
    let central = json!({"client_id": "name", "hostname": "central", "is_central": true});
    app.as_user("op", "service", "admin").post("/v2/service/clients", central).await.expect(201);
    let hostname = |answer: serde_json::Value| answer["client"]["hostname"].clone();
    assert_eq!(hostname(member.get("/v2/p1/clients/name").await.json()), "own");
    let other = app.as_user("u2", "p2", "member");
    assert_eq!(hostname(other.get("/v2/p2/clients/name").await.json()), "central");
    member.delete("/v2/p1/clients/name").await.expect(204);
    assert_eq!(hostname(member.get("/v2/p1/clients/name").await.json()), "central");
}
