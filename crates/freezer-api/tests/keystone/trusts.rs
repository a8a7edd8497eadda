//! Trusts of jobs: when they are created, reused and deleted, and the errors if Keystone refuses this.

use serde_json::json;

use crate::keystone::{Answer, START, token};
use crate::support::documents::{freezer_action, with};
use crate::{Central, World, job, job_called, on_both_engines, register, trust_of};

on_both_engines! {
    a_job_of_a_central_client_gets_a_trust,
    a_job_of_an_ordinary_client_gets_none,
    one_trust_serves_all_jobs_of_a_user_in_a_project,
    a_trust_is_deleted_with_its_last_job,
    the_service_deletes_the_trust_of_another_user,
    a_rejected_job_sends_no_call_to_keystone,
    a_trust_is_deleted_if_its_job_cannot_be_stored,
    enforced_trusts_apply_to_every_job,
    no_trusts_are_created_if_they_are_disabled,
    all_roles_are_delegated_if_none_are_configured,
    a_role_that_the_owner_lacks_is_422,
    a_token_that_keystone_no_longer_accepts_is_401,
    an_outage_of_keystone_is_503_and_nothing_is_stored,
    a_job_is_deleted_while_keystone_is_away,
    a_job_that_moves_to_a_central_client_gets_a_trust,
    a_replaced_job_keeps_its_trust,
}

async fn a_job_of_a_central_client_gets_a_trust(world: World) {
    let app = world.app().await;
    register(&world, &app).await;
    let ann = app.with_token("ann");
    let id = ann.add_job("p1", job("central")).await;
    let expected = json!({"trust_id": "trust-1", "trustor_user_id": "ann"});
    assert_eq!(ann.job(&id).await["user_credentials"], expected);
    let listed = app.with_token("scheduler").get("/v2/service/jobs?all_projects=True").await.json();
    assert_eq!(listed["jobs"][0]["user_credentials"], expected, "the scheduler of all projects sees it");

    let state = world.keystone.state();
    let made = state.seen.iter().find(|seen| seen.method == "POST" && seen.target.contains("TRUST")).unwrap();
    assert_eq!(made.headers["x-auth-token"], "ann", "in the owner's name");
    assert_eq!(
        made.body["trust"],
        json!({"trustor_user_id": "ann", "trustee_user_id": "service-user", "project_id": "p1",
               "impersonation": false, "allow_redelegation": false, "roles": [{"name": "member"}]})
    );
}

async fn a_job_of_an_ordinary_client_gets_none(world: World) {
    let app = world.app().await;
    register(&world, &app).await;
    let ann = app.with_token("ann");
    let id = ann.add_job("p1", job("node")).await;
    assert!(ann.job(&id).await.get("user_credentials").is_none());
    // The service must not trust the credentials that a client sends.
    let forged = with(job("node"), json!({"user_credentials": {"trust_id": "x", "trustor_user_id": "bob"}}));
    let id = ann.add_job("p1", forged).await;
    assert!(ann.job(&id).await.get("user_credentials").is_none());
    ann.delete(&format!("/v2/p1/jobs/{id}")).await.expect(204);
    assert_eq!(world.trust_calls(), 0);
}

async fn one_trust_serves_all_jobs_of_a_user_in_a_project(world: World) {
    let app = world.app().await;
    register(&world, &app).await;
    world.user("bob");
    let mut elsewhere = token("ann", &["member"], START + 9000);
    elsewhere["project"]["id"] = "p2".into();
    world.keystone.add("ann-p2", elsewhere);
    let (ann, bob) = (app.with_token("ann"), app.with_token("bob"));
    for id in ["a1", "a2"] {
        ann.add_job("p1", job_called(id, "central")).await;
    }
    bob.add_job("p1", job_called("b1", "central")).await;
    app.with_token("ann-p2").add_job("p2", job_called("a3", "central")).await;
    for (id, trust) in [("a1", "trust-1"), ("a2", "trust-1"), ("b1", "trust-2")] {
        assert_eq!(trust_of(&ann, id).await.as_deref(), Some(trust), "{id}");
    }
    let a3 = app.with_token("ann-p2").get("/v2/p2/jobs/a3").await.expect(200).json();
    assert_eq!(a3["user_credentials"]["trust_id"], "trust-3");
    assert_eq!(world.trusts(), ["trust-1", "trust-2", "trust-3"]);
}

async fn a_trust_is_deleted_with_its_last_job(world: World) {
    let app = world.app().await;
    register(&world, &app).await;
    let ann = app.with_token("ann");
    for id in ["a1", "a2"] {
        ann.add_job("p1", job_called(id, "central")).await;
    }
    ann.delete("/v2/p1/jobs/a1").await.expect(204);
    assert_eq!(world.trusts(), ["trust-1"], "a2 still uses it");
    assert_eq!(world.keystone.state().trust_calls("DELETE"), 0);
    ann.delete("/v2/p1/jobs/a2").await.expect(204);
    assert!(world.trusts().is_empty());
    // The second deletion has no effect.
    ann.delete("/v2/p1/jobs/a2").await.expect(204);
    assert_eq!(world.keystone.state().trust_calls("DELETE"), 1);
    // The deleted id is used again, with a new trust.
    ann.add_job("p1", job_called("a2", "central")).await;
    assert_eq!(trust_of(&ann, "a2").await.as_deref(), Some("trust-2"));
}

async fn the_service_deletes_the_trust_of_another_user(world: World) {
    let app = world.app().await;
    register(&world, &app).await;
    world.user("bob");
    app.with_token("ann").add_job("p1", job_called("a1", "central")).await;
    app.with_token("bob").delete("/v2/p1/jobs/a1").await.expect(204);
    assert!(world.trusts().is_empty(), "bob may not end ann's trust, the service may");
    assert_eq!(world.keystone.state().trust_calls("DELETE"), 2);
}

async fn a_rejected_job_sends_no_call_to_keystone(world: World) {
    let app = world.app_with(Central { enforced: true, ..Central::default() }, |_| {}).await;
    register(&world, &app).await;
    let ann = app.with_token("ann");
    ann.post("/v2/p1/jobs", job("nobody")).await.expect(422);
    let unable = json!({"client_id": "central", "job_actions":
        [{"freezer_action": with(freezer_action(), json!({"engine_name": "unheard-of"}))}]});
    ann.post("/v2/p1/jobs", unable).await.expect(422);
    ann.post("/v2/p1/jobs", json!({"client_id": "central", "job_actions": [{"action_id": "x"}]}))
        .await
        .expect(422);
    ann.patch("/v2/p1/jobs/missing", json!({"client_id": "central"})).await.expect(404);
    assert_eq!(world.trust_calls(), 0);
    ann.add_job("p1", job_called("taken", "central")).await;
    let calls = world.trust_calls();
    ann.post("/v2/p1/jobs", job_called("taken", "central")).await.expect(409);
    assert_eq!((world.trust_calls(), world.trusts().len()), (calls, 1));
}

async fn a_trust_is_deleted_if_its_job_cannot_be_stored(world: World) {
    let app = world.app_with(Central { enforced: true, ..Central::default() }, |_| {}).await;
    register(&world, &app).await;
    let ann = app.with_token("ann");
    for kept in [None, Some("trust-2")] {
        // The client is deleted between the first and the second run of the transaction.
        ann.add_client("p1", "short-lived").await;
        let held = if kept.is_none() { "POST" } else { "GET" };
        let before = world.keystone.state().trust_calls(held);
        world.keystone.hold_trusts(if kept.is_none() { &["POST"] } else { &["GET"] });
        let creating = {
            let ann = ann.clone();
            tokio::spawn(async move { ann.post("/v2/p1/jobs", job_called("lost", "short-lived")).await })
        };
        crate::keystone::until("Keystone is asked", || world.keystone.state().trust_calls(held) > before)
            .await;
        ann.delete("/v2/p1/clients/short-lived").await.expect(204);
        world.keystone.hold_trusts(&[]);
        creating.await.unwrap().expect(422);
        ann.get("/v2/p1/jobs/lost").await.expect(404);
        // A trust that was created for the job is deleted. A trust that another job uses is kept.
        assert_eq!(world.trusts().first().map(String::as_str), kept);
        if kept.is_none() {
            ann.add_job("p1", job_called("other", "node")).await;
        }
    }
    assert_eq!(trust_of(&ann, "other").await.as_deref(), Some("trust-2"));
}

async fn enforced_trusts_apply_to_every_job(world: World) {
    let app = world.app_with(Central { enforced: true, ..Central::default() }, |_| {}).await;
    register(&world, &app).await;
    let ann = app.with_token("ann");
    let id = ann.add_job("p1", job("node")).await;
    assert_eq!(trust_of(&ann, &id).await.as_deref(), Some("trust-1"));
    // Schedulers send these requests all day, with tokens that cannot create trusts.
    let calls = world.trust_calls();
    let patch = json!({"job_schedule": {"status": "scheduled", "event": ""}, "session_id": ""});
    ann.patch(&format!("/v2/p1/jobs/{id}"), patch).await.expect(200);
    assert_eq!(world.trust_calls(), calls);
}

async fn no_trusts_are_created_if_they_are_disabled(world: World) {
    let off = Central { enabled: false, enforced: true, ..Central::default() };
    let app = world.app_with(off, |_| {}).await;
    register(&world, &app).await;
    let ann = app.with_token("ann");
    let id = ann.add_job("p1", job("central")).await;
    assert_eq!(trust_of(&ann, &id).await, None);
    assert_eq!(world.trust_calls(), 0);
    // Older trusts are still deleted together with their jobs.
    let earlier = world.app().await;
    earlier.with_token("ann").add_job("p1", job_called("early", "central")).await;
    assert_eq!(world.trusts(), ["trust-1"]);
    ann.delete("/v2/p1/jobs/early").await.expect(204);
    assert!(world.trusts().is_empty());
}

async fn all_roles_are_delegated_if_none_are_configured(world: World) {
    let app = world.app_with(Central { roles: Vec::new(), ..Central::default() }, |_| {}).await;
    register(&world, &app).await;
    app.with_token("ann").add_job("p1", job("central")).await;
    assert_eq!(world.keystone.state().trusts[0]["roles"], json!([{"name": "member"}, {"name": "reader"}]));
}

async fn a_role_that_the_owner_lacks_is_422(world: World) {
    let roles = vec!["backup-operator".to_owned()];
    let app = world.app_with(Central { roles, ..Central::default() }, |_| {}).await;
    register(&world, &app).await;
    let ann = app.with_token("ann");
    let answer = ann.post("/v2/p1/jobs", job_called("j", "central")).await.expect(422);
    assert_eq!(answer.text("title"), "Missing required credentials");
    assert!(answer.description().contains("Could not find role"), "{answer}");
    ann.get("/v2/p1/jobs/j").await.expect(404);
    // Its action was not stored, either.
    assert_eq!(ann.get("/v2/p1/actions").await.json()["actions"], json!([]));
}

async fn a_token_that_keystone_no_longer_accepts_is_401(world: World) {
    let app = world.app().await;
    register(&world, &app).await;
    let ann = app.with_token("ann");
    ann.get("/v2/p1/jobs").await.expect(200);
    // The token is revoked, but the service does not know this because it has just validated the token.
    world.keystone.state().tokens.remove("ann");
    let answer = ann.post("/v2/p1/jobs", job_called("j", "central")).await.expect(401);
    assert!(answer.header("www-authenticate").unwrap().starts_with("Keystone uri="), "{answer}");
    ann.get("/v2/p1/jobs/j").await.expect(404);
    // The token has expired, which the service knows.
    world.keystone.add("short", token("ann", &["member"], START + 60));
    let short = app.with_token("short");
    short.get("/v2/p1/jobs").await.expect(200);
    world.time.advance(61);
    let calls = world.trust_calls();
    let answer = short.post("/v2/p1/jobs", job_called("j", "central")).await.expect(401);
    assert!(answer.header("www-authenticate").is_some());
    assert_eq!(world.trust_calls(), calls);
}

async fn an_outage_of_keystone_is_503_and_nothing_is_stored(mut world: World) {
    let app = world.app_with(Central::default(), |settings| settings.max_retries = 0).await;
    register(&world, &app).await;
    let ann = app.with_token("ann");
    ann.get("/v2/p1/jobs").await.expect(200);
    for broken in [Answer::Status(500, "{}"), Answer::Status(503, "{}"), Answer::Close] {
        world.keystone.state().on_create_trust = broken;
        let answer = ann.post("/v2/p1/jobs", job_called("j", "central")).await.expect(503);
        assert_eq!(answer.header("retry-after"), Some("5"));
        ann.get("/v2/p1/jobs/j").await.expect(404);
    }
    world.keystone.state().on_create_trust = Answer::Normal;
    world.keystone.stop().await;
    ann.post("/v2/p1/jobs", job_called("j", "central")).await.expect(503);
    ann.get("/v2/p1/jobs/j").await.expect(404);
    assert_eq!(ann.get("/v2/p1/actions").await.json()["actions"], json!([]));
    // Jobs of ordinary clients need no trust, and her token is already validated.
    ann.add_job("p1", job_called("own", "node")).await;
    world.keystone.start_again().await;
    ann.add_job("p1", job_called("j", "central")).await;
    assert_eq!(trust_of(&ann, "j").await.as_deref(), Some("trust-1"));
}

async fn a_job_is_deleted_while_keystone_is_away(mut world: World) {
    let app = world.app_with(Central::default(), |settings| settings.max_retries = 0).await;
    register(&world, &app).await;
    let ann = app.with_token("ann");
    ann.add_job("p1", job_called("j", "central")).await;
    world.keystone.stop().await;
    ann.delete("/v2/p1/jobs/j").await.expect(204);
    ann.get("/v2/p1/jobs/j").await.expect(404);
    world.keystone.start_again().await;
    // The remaining trust is reused, and it is deleted together with the next job.
    ann.add_job("p1", job_called("k", "central")).await;
    assert_eq!(world.trusts(), ["trust-1"]);
    ann.delete("/v2/p1/jobs/k").await.expect(204);
    assert!(world.trusts().is_empty());
}

async fn a_job_that_moves_to_a_central_client_gets_a_trust(world: World) {
    let app = world.app().await;
    register(&world, &app).await;
    let ann = app.with_token("ann");
    ann.add_job("p1", job_called("j", "node")).await;
    ann.patch("/v2/p1/jobs/j", json!({"description": "stays"})).await.expect(200);
    assert_eq!(world.trust_calls(), 0);
    ann.patch("/v2/p1/jobs/j", json!({"client_id": "central"})).await.expect(200);
    assert_eq!(trust_of(&ann, "j").await.as_deref(), Some("trust-1"));
    // The job is moved to another client and back. It still has the same trust.
    ann.patch("/v2/p1/jobs/j", json!({"client_id": "node"})).await.expect(200);
    ann.patch("/v2/p1/jobs/j", json!({"client_id": "central"})).await.expect(200);
    assert_eq!((trust_of(&ann, "j").await.as_deref(), world.trusts().len()), (Some("trust-1"), 1));
    // A whole document is stored under a new id.
    ann.post("/v2/p1/jobs/k", job("central")).await.expect(201);
    assert_eq!(trust_of(&ann, "k").await.as_deref(), Some("trust-1"));
}

async fn a_replaced_job_keeps_its_trust(world: World) {
    let app = world.app().await;
    register(&world, &app).await;
    world.user("bob");
    let (ann, bob) = (app.with_token("ann"), app.with_token("bob"));
    ann.add_job("p1", job_called("j", "central")).await;
    bob.post("/v2/p1/jobs/j", job("central")).await.expect(201);
    assert_eq!(ann.job("j").await["user_credentials"]["trustor_user_id"], "ann");
    assert_eq!(world.trusts(), ["trust-1"]);
}
