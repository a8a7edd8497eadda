//! The metrics of calls to Keystone and of the token cache.

use std::time::Duration;

use freezer_api::metrics::rows;
use freezer_store::Killed;

use crate::scrape::Scrape;
use crate::scrape::documents::{check_queries, documented, exported};
use crate::support::TestApp;
use crate::{Central, World, job, on_both_engines, register};

on_both_engines! {
    calls_and_look_ups_are_counted,
    failing_calls_are_counted_by_result,
    every_metric_is_documented_and_used,
}

const CALLS: &str = "freezer_keystone_call_duration_seconds_count";

fn scrape(app: &TestApp) -> Scrape {
    Scrape::parse(&freezer_api::metrics::text(app.app()).unwrap())
}

fn calls(scrape: &Scrape, operation: &str, result: &str) -> f64 {
    scrape.sum(CALLS, &[("operation", operation), ("result", result)])
}

fn lookups(scrape: &Scrape, result: &str) -> f64 {
    scrape.one("freezer_token_cache_lookups_total", &[("result", result)])
}

async fn calls_and_look_ups_are_counted(world: World) {
    let app = world.app().await;
    world.user("ann");
    for _ in 0..3 {
        app.with_token("ann").get("/v2/p1/jobs").await.expect(200);
    }
    app.with_token("unknown").get("/v2/p1/jobs").await.expect(401);
    let first = scrape(&app);
    assert_eq!(calls(&first, "authenticate this service", "success"), 1.0);
    assert_eq!(calls(&first, "validate a token", "success"), 1.0);
    assert_eq!(calls(&first, "validate a token", "refused"), 1.0);
    assert_eq!((lookups(&first, "hit"), lookups(&first, "miss")), (2.0, 2.0));
    assert_eq!(first.one("freezer_keystone_outage", &[]), 0.0);
    assert!((0.0..=2.0).contains(&first.one("freezer_token_cache_entries", &[])));
    let sum = first.sum("freezer_keystone_call_duration_seconds_sum", &[]);
    assert!((0.0..60.0).contains(&sum) && sum > 0.0, "{sum}");
    // a job of a central client needs a trust
    register(&world, &app).await;
    app.with_token("ann").post("/v2/p1/jobs", job("central")).await.expect(201);
    assert_eq!(calls(&scrape(&app), "create a trust", "success"), 1.0);
}

async fn failing_calls_are_counted_by_result(mut world: World) {
    let app = world.app_with(Central::default(), |settings| settings.max_retries = 2).await;
    world.user("ann");
    app.with_token("ann").get("/v2/p1/jobs").await.expect(200);
    world.keystone.stop().await;
    world.user("bob");
    app.with_token("bob").get("/v2/p1/jobs").await.expect(503);
    app.with_token("ann").get("/v2/p1/jobs").await.expect(200);
    let during = scrape(&app);
    assert_eq!(calls(&during, "validate a token", "no_answer"), 1.0);
    assert_eq!(during.sum("freezer_keystone_call_retries_total", &[("operation", "validate a token")]), 2.0);
    assert_eq!(during.one("freezer_keystone_outage", &[]), 1.0);
    world.keystone.start_again().await;
    app.with_token("bob").get("/v2/p1/jobs").await.expect(200);
    let after = scrape(&app);
    assert_eq!(after.one("freezer_keystone_outage", &[]), 0.0);
    assert_eq!(calls(&after, "validate a token", "success"), 2.0);
}

async fn every_metric_is_documented_and_used(mut world: World) {
    let app = world.app().await;
    world.user("ann");
    let ann = app.with_token("ann");
    ann.get("/v2/p1/jobs").await.expect(200);
    world.keystone.stop().await;
    app.with_token("bob").get("/v2/p1/jobs").await.expect(503);
    rows::measure(app.app()).await;
    // the faults of a database, which other tests cause
    let store = app.app().metrics.of_store();
    store.ended("jobs.list", Duration::ZERO, Some("busy"));
    store.runs_again("jobs.list", "contended");
    store.killed("jobs.list", Killed::TimeLimit);
    let (exported, documented) = (exported(&scrape(&app)), documented());
    for (name, described) in &exported {
        assert_eq!(documented.get(name), Some(described), "{name} in docs/metrics.md");
    }
    for name in documented.keys() {
        assert!(exported.contains_key(name), "{name} of docs/metrics.md is not exported");
    }
    check_queries(&exported);
    for (name, (kind, labels)) in &exported {
        assert!(name.starts_with("freezer_") || name.starts_with("process_"), "{name}");
        assert_eq!(name.ends_with("_total"), kind == "counter", "{name}");
        assert!(!labels.iter().any(|label| label.contains("project")), "{name}");
    }
}
