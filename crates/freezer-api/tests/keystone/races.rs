//! Simultaneous changes around one trust. Keystone has no locks, but in the end every job must have an existing trust.

use std::collections::BTreeSet;

use crate::keystone::until;
use crate::{World, job_called, on_both_engines, register, trust_of};

on_both_engines! {
    a_trust_that_was_deleted_before_its_job_is_stored_is_created_again,
    a_trust_that_was_deleted_after_its_reuse_is_created_again,
    simultaneous_changes_leave_no_job_without_a_trust,
}

async fn a_trust_that_was_deleted_before_its_job_is_stored_is_created_again(world: World) {
    let app = world.app().await;
    register(&world, &app).await;
    let ann = app.with_token("ann");
    world.keystone.hold_trusts(&["POST"]);
    let creating = {
        let ann = ann.clone();
        tokio::spawn(async move { ann.post("/v2/p1/jobs", job_called("j", "central")).await })
    };
    until("a trust is asked for", || world.keystone.state().trust_calls("POST") == 1).await;
    // This is the check of the trust after the job was stored.
    world.keystone.hold_trusts(&["GET"]);
    until("the second look", || world.keystone.state().trust_calls("GET") == 2).await;
    assert_eq!(trust_of(&ann, "j").await.as_deref(), Some("trust-1"));
    world.keystone.state().trusts.clear();
    world.keystone.hold_trusts(&[]);
    creating.await.unwrap().expect(201);
    assert_eq!(trust_of(&ann, "j").await.as_deref(), Some("trust-2"));
    assert_eq!(world.trusts(), ["trust-2"]);
}

async fn a_trust_that_was_deleted_after_its_reuse_is_created_again(world: World) {
    let app = world.app().await;
    register(&world, &app).await;
    let ann = app.with_token("ann");
    ann.add_job("p1", job_called("last", "central")).await;
    world.keystone.hold_trusts(&["DELETE"]);
    let deleting = {
        let ann = ann.clone();
        tokio::spawn(async move { ann.delete("/v2/p1/jobs/last").await })
    };
    until("the end of the trust is asked for", || world.keystone.state().trust_calls("DELETE") == 1).await;
    ann.add_job("p1", job_called("next", "central")).await;
    assert_eq!(trust_of(&ann, "next").await.as_deref(), Some("trust-1"));
    world.keystone.hold_trusts(&[]);
    deleting.await.unwrap().expect(204);
    assert_eq!(trust_of(&ann, "next").await.as_deref(), Some("trust-2"));
    assert_eq!(world.trusts(), ["trust-2"]);
}

async fn simultaneous_changes_leave_no_job_without_a_trust(world: World) {
    let app = world.app().await;
    register(&world, &app).await;
    let ann = app.with_token("ann");
    let tasks: Vec<_> = (0..12)
        .map(|n| {
            let ann = ann.clone();
            tokio::spawn(async move {
                let id = format!("job-{n}");
                for _ in 0..4 {
                    ann.add_job("p1", job_called(&id, "central")).await;
                    ann.delete(&format!("/v2/p1/jobs/{id}")).await.expect(204);
                }
                if n % 3 == 0 {
                    ann.add_job("p1", job_called(&id, "central")).await;
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    let there: BTreeSet<String> = world.trusts().into_iter().collect();
    for n in [0, 3, 6, 9] {
        let trust = trust_of(&ann, &format!("job-{n}")).await.expect("a trust");
        assert!(there.contains(&trust), "job-{n}: {trust} is not among {there:?}");
    }
}
