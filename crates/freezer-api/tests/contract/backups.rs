//! Backups.

use serde_json::json;

use crate::support::documents::{backup, with};
use crate::support::{TestApp, on_both_engines};

on_both_engines![
    create_and_show,
    invalid_backups_are_rejected,
    every_status_is_accepted,
    the_container_may_be_missing_in_some_states,
    metadata_is_open,
    metadata_of_more_than_64_kib_is_stored,
    a_patch_accepts_flat_and_nested_keys,
    a_patch_need_not_follow_the_rules_of_a_creation,
    an_invalid_patch_is_400,
    delete,
    a_delete_of_a_missing_document_is_404,
    services_can_store_backups_for_users,
];

async fn create_and_show(app: TestApp) {
    let member = app.member();
    app.show(member.get("/v2/p1/backups").await.expect(200));
    let answer = member.post("/v2/p1/backups", backup("etc")).await.expect(201);
    let backup_id = app.show(answer).text("backup_id");
    app.show(member.get(&format!("/v2/p1/backups/{backup_id}")).await.expect(200));
    app.remark("the server always chooses the id");
    let with_id = with(backup("home"), json!({"backup_id": "mine", "status": "creating"}));
    app.show(member.post("/v2/p1/backups", with_id).await.expect(201));
    app.show(member.get("/v2/p1/backups").await.expect(200));
    app.show(member.get("/v2/p1/backups/mine").await.expect(404));
}

async fn invalid_backups_are_rejected(app: TestApp) {
    let member = app.member();
    for body in [
        json!({}),
        json!({"container": "c", "hostname": "h"}),
        json!({"backup_name": "b", "hostname": "h"}),
        json!({"backup_name": "b", "container": "c"}),
        json!({"backup_name": "b", "container": "c", "hostname": null}),
        json!({"backup_name": "b", "container": "", "hostname": "h"}),
        json!({"backup_name": "", "container": "c", "hostname": "h"}),
        json!({"backup_name": 5, "container": "c", "hostname": "h"}),
        json!({"backup_name": "b", "container": "c", "hostname": "h", "status": "lost"}),
        json!({"backup_name": "b", "container": "c", "hostname": "h", "status": null}),
        json!({"status": "creating"}),
    ] {
        app.show(member.post("/v2/p1/backups", body).await.expect(400));
    }
    assert_eq!(member.get("/v2/p1/backups").await.json(), json!({"backups": []}));
}

async fn every_status_is_accepted(app: TestApp) {
    let member = app.member();
    for status in ["creating", "available", "restoring", "error", "deleting", "deleted"] {
        let id = member.add_backup("p1", with(backup("b"), json!({"status": status}))).await;
        let path = format!("/v2/p1/backups/{id}");
        assert_eq!(member.get(&path).await.json()["status"], status);
        for other in ["available", status] {
            let answer = member.patch(&path, json!({"status": other})).await.expect(200);
            assert_eq!(answer.json()["status"], other);
        }
    }
    assert_eq!(member.get("/v2/p1/backups").await.each("backups", "/status").len(), 6);
}

async fn the_container_may_be_missing_in_some_states(app: TestApp) {
    let member = app.member();
    for (status, taken) in [
        ("creating", true),
        ("error", true),
        ("deleting", true),
        ("available", false),
        ("restoring", false),
        ("deleted", false),
    ] {
        for place in [json!({}), json!({"container": null, "hostname": null})] {
            let body = with(json!({"backup_name": "b", "status": status}), place);
            let answer = member.post("/v2/p1/backups", body.clone()).await;
            answer.expect(if taken { 201 } else { 400 });
        }
    }
}

async fn metadata_is_open(app: TestApp) {
    let member = app.member();
    let sent = with(
        backup("etc"),
        json!({
            "project_id": "somebody", "user_id": "nobody", "job_id": "j", "nested": {"list": [1, null, {"a": []}]},
            "curr_backup_level": "0", "Ünïcode key": "wert", "": "empty key", "size": 12_345_678_901_234_567_i64,
        }),
    );
    let id = member.add_backup("p1", sent.clone()).await;
    let shown = member.get(&format!("/v2/p1/backups/{id}")).await.json();
    assert_eq!(shown["backup_metadata"], sent);
    assert_eq!((&shown["project_id"], &shown["user_id"]), (&json!("p1"), &json!("u1")));
    assert_eq!(member.get("/v2/p1/backups").await.json()["backups"][0], shown);
}

async fn metadata_of_more_than_64_kib_is_stored(app: TestApp) {
    let member = app.member();
    // The body has 100 KB. The column needs more, because every non-ASCII character takes six bytes there.
    let text = "x".repeat(60_000) + &"é".repeat(20_000);
    let sent = with(backup("large"), json!({"manifest": text}));
    assert!(sent.to_string().len() > 100_000);
    let id = member.add_backup("p1", sent.clone()).await;
    let path = format!("/v2/p1/backups/{id}");
    assert_eq!(member.get(&path).await.json()["backup_metadata"], sent);
    member.patch(&path, json!({"status": "restoring"})).await.expect(200);
    assert_eq!(member.get(&path).await.json()["backup_metadata"], sent);
}

async fn a_patch_accepts_flat_and_nested_keys(app: TestApp) {
    let member = app.member();
    let creating = json!({"backup_name": "vol", "status": "creating", "cinder_vol_id": "v1"});
    let id = member.add_backup("p1", creating).await;
    let path = format!("/v2/p1/backups/{id}");
    app.remark("the flat document of an agent of 19.0.0 for a volume");
    let flat = json!({"status": "available", "container": "c", "hostname": "node-1", "time_stamp": 5});
    app.show(member.patch(&path, flat).await.expect(200));
    app.remark("the nested document of the command");
    app.show(
        member.patch(&path, json!({"backup_metadata": {"level": 1, "hostname": "node-2"}})).await.expect(200),
    );
    app.remark("ids in a patch are ignored");
    let ids = json!({"backup_id": "x", "project_id": "p2", "user_id": "u2", "note": "kept"});
    app.show(app.as_user("u2", "p1", "member").patch(&path, ids).await.expect(200));
    app.show(member.get(&path).await.expect(200));
}

async fn a_patch_need_not_follow_the_rules_of_a_creation(app: TestApp) {
    let member = app.member();
    let id = member.add_backup("p1", json!({"backup_name": "vol", "status": "creating"})).await;
    let path = format!("/v2/p1/backups/{id}");
    app.remark("as in 19.0.0: agents forget a backup if its change is rejected");
    app.show(member.patch(&path, json!({"status": "available"})).await.expect(200));
    app.show(member.patch(&path, json!({"backup_metadata": {"hostname": null}})).await.expect(200));
}

async fn an_invalid_patch_is_400(app: TestApp) {
    let member = app.member();
    let id = member.add_backup("p1", backup("etc")).await;
    let path = format!("/v2/p1/backups/{id}");
    let before = member.get(&path).await.json();
    for body in [
        json!({}),
        json!([]),
        json!({"status": "lost"}),
        json!({"status": 1}),
        json!({"backup_metadata": null}),
        json!({"backup_metadata": ["a"]}),
        json!({"job_id": "j".repeat(37)}),
    ] {
        app.show(member.patch(&path, body).await.expect(400));
    }
    assert_eq!(member.get(&path).await.json(), before);
    app.show(member.patch("/v2/p1/backups/unknown", json!({"status": "error"})).await.expect(404));
}

async fn delete(app: TestApp) {
    let member = app.member();
    let id = member.add_backup("p1", backup("etc")).await;
    let path = format!("/v2/p1/backups/{id}");
    app.show(member.delete(&path).await.expect(204));
    app.show(member.get(&path).await.expect(404));
    app.show(member.get("/v2/p1/backups").await.expect(200));
    app.show(member.patch(&path, json!({"status": "available"})).await.expect(404));
}

async fn a_delete_of_a_missing_document_is_404(app: TestApp) {
    let member = app.member();
    app.show(member.delete("/v2/p1/backups/unknown").await.expect(404));
    let id = member.add_backup("p1", backup("etc")).await;
    let path = format!("/v2/p1/backups/{id}");
    member.delete(&path).await.expect(204);
    app.show(member.delete(&path).await.expect(404));
    let other = app.as_user("u2", "p2", "member");
    let foreign = other.add_backup("p2", backup("theirs")).await;
    member.delete(&format!("/v2/p1/backups/{foreign}")).await.expect(404);
    other.get(&format!("/v2/p2/backups/{foreign}")).await.expect(200);
}

async fn services_can_store_backups_for_users(app: TestApp) {
    let service = app.as_user("freezer", "service", "service");
    let id = service.add_backup("p1", backup("etc")).await;
    app.show(app.member().get(&format!("/v2/p1/backups/{id}")).await.expect(200));
    service.patch(&format!("/v2/p1/backups/{id}"), json!({"status": "error"})).await.expect(200);
    service.delete(&format!("/v2/p1/backups/{id}")).await.expect(204);
}
