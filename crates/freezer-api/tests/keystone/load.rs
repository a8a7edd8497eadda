//! Many callers, and an outage of Keystone at the same time: the calls that Keystone gets, and the answers to the
//! callers.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use crate::keystone::{START, token, until};
use crate::support::TestApp;
use crate::{Central, World, on_both_engines};

on_both_engines! {
    a_thousand_requests_with_a_new_token_need_one_validation,
    keystone_stops_and_starts_under_load,
}

async fn a_thousand_requests_with_a_new_token_need_one_validation(world: World) {
    let app = world.app().await;
    world.user("ann");
    world.keystone.hold(true);
    let callers: Vec<_> = (0..1000)
        .map(|_| {
            let ann = app.with_token("ann");
            tokio::spawn(async move { ann.get("/v2/p1/jobs").await.status.as_u16() })
        })
        .collect();
    until("one question arrives", || world.keystone.validations() > 0).await;
    world.keystone.hold(false);
    for caller in callers {
        assert_eq!(caller.await.unwrap(), 200);
    }
    let state = world.keystone.state();
    // There is one login of the service and one validation of ann's token.
    assert_eq!((state.authentications(), state.validations(), state.seen.len()), (1, 1, 2));
}

/// Number of answers with each status that one kind of callers got.
#[derive(Default)]
struct Count {
    ok: AtomicUsize,
    unavailable: AtomicUsize,
}

impl Count {
    fn ok(&self) -> usize {
        self.ok.load(Ordering::SeqCst)
    }

    fn unavailable(&self) -> usize {
        self.unavailable.load(Ordering::SeqCst)
    }
}

/// Polls until it is stopped. All answers must be 200, or 503 with Retry-After.
async fn poll(app: TestApp, tokens: impl Fn(usize) -> String, count: Arc<Count>, stop: Arc<AtomicBool>) {
    for n in 0.. {
        if stop.load(Ordering::SeqCst) {
            return;
        }
        let answer = app.with_token(&tokens(n)).get("/v2/p1/jobs").await;
        match answer.status.as_u16() {
            200 => count.ok.fetch_add(1, Ordering::SeqCst),
            503 => {
                assert_eq!(answer.header("retry-after"), Some("5"), "{answer}");
                count.unavailable.fetch_add(1, Ordering::SeqCst)
            }
            _ => panic!("{answer}"),
        };
        tokio::task::yield_now().await;
    }
}

async fn keystone_stops_and_starts_under_load(mut world: World) {
    // Ten failing connections are enough for one test. The tests of keystone-auth cover the number of attempts.
    let app = world.app_with(Central::default(), |settings| settings.max_retries = 0).await;
    for n in 0..4 {
        world.user(&format!("known-{n}"));
        app.with_token(&format!("known-{n}")).get("/v2/p1/jobs").await.expect(200);
    }
    for n in 0..20_000 {
        world.keystone.add(&format!("new-{n}"), token("bob", &["member"], START + 9000));
    }
    let (known, new) = (Arc::new(Count::default()), Arc::new(Count::default()));
    let stop = Arc::new(AtomicBool::new(false));
    let mut polls = Vec::new();
    for n in 0..4 {
        let name = format!("known-{n}");
        polls.push(tokio::spawn(poll(app.clone(), move |_| name.clone(), known.clone(), stop.clone())));
        // Each of these requests has a new token.
        let name = move |i: usize| format!("new-{}", n + 4 * i);
        polls.push(tokio::spawn(poll(app.clone(), name, new.clone(), stop.clone())));
    }
    until("both kinds are served", || known.ok() > 20 && new.ok() > 20).await;
    for _ in 0..3 {
        world.keystone.stop().await;
        // One request may have been in progress.
        let (before, served) = (known.ok(), new.unavailable());
        until("kept tokens are served, others wait for Keystone", || {
            known.ok() > before + 40 && new.unavailable() > served + 40
        })
        .await;
        let while_away = new.ok();
        until("more of the others", || new.unavailable() > served + 80).await;
        assert_eq!(new.ok(), while_away, "no new caller is accepted during the outage of Keystone");
        world.keystone.start_again().await;
        until("new tokens are served again", || new.ok() > while_away + 20).await;
    }
    stop.store(true, Ordering::SeqCst);
    for poll in polls {
        poll.await.unwrap();
    }
    assert_eq!(known.unavailable(), 0, "a kept token needs no Keystone");
    let state = world.keystone.state();
    let of_known = |token: &String| token.starts_with("known-");
    let asked = state.seen.iter().filter(|seen| seen.headers.get("x-subject-token").is_some_and(of_known));
    assert_eq!(asked.count(), 4, "each kept token was asked about once");
}
