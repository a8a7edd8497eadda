//! A slow Keystone: each request is answered at its deadline, which covers Keystone and the database.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::keystone::{Answer, START, token};
use crate::support::{Caller, Engine, with_database};
use crate::{World, job, on_both_engines, register};

on_both_engines! {
    requests_of_a_hanging_keystone_are_answered_in_time,
    calls_about_trusts_end_at_the_deadline,
}

const LIMIT: Duration = Duration::from_secs(2);

/// Checks that the answer is a 503 at the deadline.
async fn expect_in_time(caller: &Caller, path: &str, body: Option<Value>) {
    let began = Instant::now();
    let method = if body.is_some() { http::Method::POST } else { http::Method::GET };
    let answer = caller.ask(method, path, body).await.expect(503);
    assert_eq!(answer.header("retry-after"), Some("5"), "{answer}");
    let took = began.elapsed();
    assert!(took < LIMIT + Duration::from_secs(1), "{path}: {took:?}");
}

async fn requests_of_a_hanging_keystone_are_answered_in_time(world: World) {
    let app = world.app_until(LIMIT).await;
    for answer in [Answer::Never, Answer::Drip] {
        world.keystone.state().on_validate = answer;
        let callers: Vec<_> = (0..150)
            .map(|at| {
                let caller = app.with_token(&format!("unknown-{at}"));
                tokio::spawn(async move { expect_in_time(&caller, "/v2/p1/jobs", None).await })
            })
            .collect();
        for caller in callers {
            caller.await.unwrap();
        }
    }
}

async fn calls_about_trusts_end_at_the_deadline(world: World) {
    let app = world.app_until(LIMIT).await;
    register(&world, &app).await;
    let ann = app.with_token("ann");
    let id = ann.add_job("p1", job("central")).await;
    world.user("bob");
    let bob = app.with_token("bob");
    bob.get("/v2/p1/jobs").await.expect(200);
    // The list of trusts arrives in time, and the new trust does not.
    world.keystone.state().delay = LIMIT * 3 / 5;
    expect_in_time(&bob, "/v2/p1/jobs", Some(job("central"))).await;
    world.keystone.state().delay = Duration::ZERO;
    world.keystone.hold_trusts(&["GET", "POST", "DELETE"]);
    expect_in_time(&bob, "/v2/p1/jobs", Some(job("central"))).await;
    let began = Instant::now();
    ann.delete(&format!("/v2/p1/jobs/{id}")).await.expect(204);
    assert!(began.elapsed() < LIMIT + Duration::from_secs(1), "{:?}", began.elapsed());
}

#[test]
fn keystone_and_the_database_share_the_deadline() {
    with_database(Engine::MariaDb, "keystone__shared_deadline", |runtime, database| {
        runtime.block_on(crate::bounded(async {
            let time = crate::TestClock::new();
            let keystone = crate::FakeKeystone::start(time.clone()).await;
            let world = World { keystone, time, database: database.clone() };
            let app = world.app_until(LIMIT).await;
            world.user("ann");
            let ann = app.with_token("ann");
            ann.add_client("p1", "warm").await;
            database
                .run("CREATE TRIGGER slow BEFORE INSERT ON clients FOR EACH ROW SET @slept = SLEEP(1.5)")
                .await;
            let client = |id: &str| json!({"client_id": id, "hostname": id});
            ann.post("/v2/p1/clients", client("in-time")).await.expect(201);
            world.keystone.add("bob", token("bob", &["member", "reader"], START + 9000));
            world.keystone.state().delay = Duration::from_secs(1);
            expect_in_time(&app.with_token("bob"), "/v2/p1/clients", Some(client("late"))).await;
        }));
    });
}
