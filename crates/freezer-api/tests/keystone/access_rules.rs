//! Application credentials with access rules: the permitted requests, in every form of a path.

use http::Method;
use serde_json::json;

use crate::keystone::{START, token};
use crate::support::Caller;
use crate::{Central, World, on_both_engines};

on_both_engines![access_rules_apply_to_the_served_resource];

/// Creates a caller with an application credential that has these rules.
fn limited(world: &World, app: &crate::support::TestApp, name: &str, rules: &[(&str, &str)]) -> Caller {
    let mut document = token(name, &["member", "reader"], START + 9000);
    let rules: Vec<_> = rules
        .iter()
        .map(|(method, path)| json!({"id": "r", "service": "backup", "method": method, "path": path}))
        .collect();
    document["application_credential"] = json!({"id": "ac", "restricted": true, "access_rules": rules});
    document["catalog"] = json!([{"type": "backup", "id": "s", "name": "freezer", "endpoints": []}]);
    world.keystone.add(name, document);
    app.with_token(name)
}

async fn access_rules_apply_to_the_served_resource(world: World) {
    let app =
        world.app_with(Central::default(), |settings| settings.service_type = Some("backup".into())).await;
    for (number, rule) in
        ["/v2/*/jobs", "/v2/*/jobs/", "/v2/{project_id}/jobs/", "/v2/p1/**"].iter().enumerate()
    {
        let caller = limited(&world, &app, &format!("lists-{number}"), &[("GET", rule)]);
        for path in ["/v2/p1/jobs", "/v2/p1/jobs/", "/v2/p1/jobs/?limit=1", "//v2/p1//jobs/", "/v2/p1/./jobs"]
        {
            assert_eq!(caller.get(path).await.status, 200, "{rule} on {path}");
        }
        caller.post("/v2/p1/clients", json!({"client_id": "n"})).await.expect(401);
        caller.get("/v2").await.expect(401);
    }
    // A rule for one job does not permit the list in any form of its path.
    let one = limited(&world, &app, "one", &[("GET", "/v2/*/jobs/*")]);
    for path in ["/v2/p1/jobs/j", "/v2/p1/jobs/j/", "//v2/p1/jobs//j", "/v2/p1/jobs/a%2Fb", "/v2/p1/jobs/%2E"]
    {
        one.get(path).await.expect(404);
    }
    for path in [
        "/v2/p1/jobs",
        "/v2/p1/jobs/",
        "/v2/p1/jobs/.",
        "/v2/p1/jobs//",
        "/v2/p1/jobs/j/..",
        "/v2/p1/jobs/../clients",
    ] {
        one.get(path).await.expect(401);
    }
    one.ask(Method::DELETE, "/v2/p1/jobs/j", None).await.expect(401);
}
