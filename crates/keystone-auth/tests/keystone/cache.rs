//! Validation and its cache: which calls reach Keystone, and when.

use std::sync::Arc;
use std::time::Duration;

use keystone_auth::{AuthError, Rejection};

use crate::support::{START, setup, setup_with, token, until};

fn is_invalid<T: std::fmt::Debug>(result: Result<T, AuthError>, expected: Rejection) {
    match result {
        Err(AuthError::Invalid(rejection)) => assert_eq!(rejection, expected),
        other => panic!("expected Invalid({expected:?}), got {other:?}"),
    }
}

#[tokio::test]
async fn a_valid_token_is_validated_once() {
    let (keystone, _, client) = setup().await;
    keystone.add("t1", token("ann", &["member", "reader"], START + 9000));
    for _ in 0..5 {
        let validated = client.validate("t1").await.unwrap();
        assert_eq!((&*validated.user_id, &*validated.user_name), ("ann", "ann"));
        assert_eq!(validated.project_id.as_deref(), Some("p1"));
        assert_eq!(validated.roles, ["member", "reader"]);
        assert_eq!(validated.expires_at, START + 9000);
    }
    client.validate("  t1 ").await.expect("white space around a token is not part of it");
    assert_eq!((keystone.validations(), keystone.authentications()), (1, 1));

    let state = keystone.state();
    let seen = state.seen.last().unwrap();
    assert_eq!(seen.target, "/v3/auth/tokens?nocatalog");
    assert_eq!(seen.headers["x-subject-token"], "t1");
    assert_eq!(seen.headers["x-auth-token"], "own-token-1");
    assert_eq!(seen.headers["openstack-identity-access-rules"], "1");
}

#[tokio::test]
async fn different_tokens_are_validated_separately() {
    let (keystone, _, client) = setup().await;
    keystone.add("t1", token("ann", &[], START + 9000));
    keystone.add("t2", token("bob", &[], START + 9000));
    assert_eq!(client.validate("t1").await.unwrap().user_id, "ann");
    assert_eq!(client.validate("t2").await.unwrap().user_id, "bob");
    assert_eq!(client.validate("t1").await.unwrap().user_id, "ann");
    assert_eq!(keystone.validations(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_thousand_callers_of_one_token_share_one_call() {
    let (keystone, _, client) = setup().await;
    keystone.add("t1", token("ann", &["member"], START + 9000));
    keystone.hold(true);
    let callers: Vec<_> = (0..1000)
        .map(|_| {
            let client = client.clone();
            tokio::spawn(async move { client.validate("t1").await })
        })
        .collect();
    until("one validation arrives", || keystone.validations() > 0).await;
    keystone.hold(false);
    for caller in callers {
        assert_eq!(caller.await.unwrap().unwrap().user_id, "ann");
    }
    assert_eq!((keystone.validations(), keystone.authentications()), (1, 1));
}

#[tokio::test]
async fn a_cancelled_caller_does_not_cancel_the_others() {
    let (keystone, _, client) = setup().await;
    keystone.add("t1", token("ann", &[], START + 9000));
    keystone.hold(true);
    let call =
        |client: keystone_auth::KeystoneClient| tokio::spawn(async move { client.validate("t1").await });
    let first = call(client.clone());
    until("the first validation arrives", || keystone.validations() == 1).await;
    let second = call(client.clone());
    tokio::task::yield_now().await;
    first.abort();
    assert!(first.await.unwrap_err().is_cancelled());
    keystone.hold(false);
    let validated = tokio::time::timeout(Duration::from_secs(10), second).await.unwrap();
    assert_eq!(validated.unwrap().unwrap().user_id, "ann");
}

#[tokio::test]
async fn a_cached_result_expires_after_the_cache_time() {
    let (keystone, time, client) = setup().await;
    keystone.add("t1", token("ann", &["member"], START + 90_000));
    client.validate("t1").await.unwrap();
    time.advance(3599);
    client.validate("t1").await.unwrap();
    assert_eq!(keystone.validations(), 1);
    keystone.add("t1", token("ann", &["reader"], START + 90_000));
    time.advance(1);
    assert_eq!(client.validate("t1").await.unwrap().roles, ["reader"]);
    assert_eq!(keystone.validations(), 2);
}

#[tokio::test]
async fn a_cached_result_expires_with_its_token() {
    let (keystone, time, client) = setup().await;
    keystone.add("t1", token("ann", &[], START + 100));
    client.validate("t1").await.unwrap();
    time.advance(99);
    client.validate("t1").await.unwrap();
    assert_eq!(keystone.validations(), 1);
    time.advance(1);
    is_invalid(client.validate("t1").await, Rejection::Unknown);
    assert_eq!(keystone.validations(), 2);
}

#[tokio::test]
async fn cache_time_zero_caches_until_the_token_expires() {
    let (keystone, time, client) =
        setup_with(|settings| settings.token_cache_time = Some(Duration::ZERO)).await;
    keystone.add("t1", token("ann", &[], START + 90_000));
    client.validate("t1").await.unwrap();
    time.advance(89_999);
    client.validate("t1").await.unwrap();
    assert_eq!(keystone.validations(), 1);
    time.advance(1);
    is_invalid(client.validate("t1").await, Rejection::Unknown);
}

#[tokio::test]
async fn without_a_cache_every_request_is_validated() {
    let (keystone, _, client) = setup_with(|settings| settings.token_cache_time = None).await;
    keystone.add("t1", token("ann", &[], START + 9000));
    for _ in 0..3 {
        client.validate("t1").await.unwrap();
        is_invalid(client.validate("unknown").await, Rejection::Unknown);
    }
    assert_eq!((keystone.validations(), keystone.authentications()), (6, 1));
}

#[tokio::test]
async fn a_token_that_expires_between_answer_and_use_is_rejected() {
    // Keystone's clock is behind ours, so it accepts a token that has expired here.
    let (keystone, time, client) = setup().await;
    keystone.add("t1", token("ann", &[], START + 100));
    client.validate("t1").await.unwrap();
    let behind = crate::support::TestClock::new();
    let other = crate::support::FakeKeystone::start(behind).await;
    other.add("t1", token("ann", &[], START + 100));
    time.advance(100);
    let client = keystone_auth::KeystoneClient::new(&crate::support::settings(&other), time.clock()).unwrap();
    is_invalid(client.validate("t1").await, Rejection::Expired);
}

#[tokio::test]
async fn a_rejection_is_cached_for_a_short_time() {
    let (keystone, time, client) =
        setup_with(|settings| settings.rejection_cache_time = Duration::from_secs(600)).await;
    for _ in 0..4 {
        is_invalid(client.validate("t1").await, Rejection::Unknown);
    }
    assert_eq!(keystone.validations(), 1);
    keystone.add("t1", token("ann", &[], START + 9000));
    time.advance(599);
    is_invalid(client.validate("t1").await, Rejection::Unknown);
    time.advance(1);
    assert_eq!(client.validate("t1").await.unwrap().user_id, "ann");
    assert_eq!(keystone.validations(), 2);
}

#[tokio::test]
async fn a_revoked_token_is_rejected_after_the_cache_time() {
    let (keystone, time, client) = setup().await;
    keystone.add("t1", token("ann", &[], START + 90_000));
    client.validate("t1").await.unwrap();
    keystone.state().tokens.clear();
    client.validate("t1").await.expect("a revocation takes effect after token_cache_time");
    time.advance(3600);
    is_invalid(client.validate("t1").await, Rejection::Unknown);
}

#[tokio::test]
async fn expired_tokens_are_accepted_only_with_allow_expired_and_cached_separately() {
    let (keystone, time, client) = setup().await;
    keystone.add("t1", token("ann", &[], START + 100));
    time.advance(200);
    is_invalid(client.validate("t1").await, Rejection::Unknown);
    let expired = client.validate_allow_expired("t1").await.unwrap();
    assert!(expired.expired_at(time.now()));
    client.validate_allow_expired("t1").await.unwrap();
    is_invalid(client.validate("t1").await, Rejection::Unknown);
    assert_eq!(keystone.validations(), 2, "one validation with and one without allow_expired");
    let target = keystone.state().seen.last().unwrap().target.clone();
    assert_eq!(target, "/v3/auth/tokens?nocatalog&allow_expired=1");
    time.advance(3600);
    client.validate_allow_expired("t1").await.unwrap();
    assert_eq!(keystone.validations(), 3);
}

#[tokio::test]
async fn a_cached_valid_token_needs_no_second_validation_with_allow_expired() {
    let (keystone, _, client) = setup().await;
    keystone.add("t1", token("ann", &[], START + 9000));
    let plain = client.validate("t1").await.unwrap();
    let allowed = client.validate_allow_expired("t1").await.unwrap();
    assert!(Arc::ptr_eq(&plain, &allowed));
    assert_eq!(keystone.validations(), 1);
}

#[tokio::test]
async fn impossible_tokens_are_not_sent_to_keystone() {
    let (keystone, _, client) = setup().await;
    assert!(matches!(client.validate(" ").await, Err(AuthError::Missing)));
    let too_long = "x".repeat(16 * 1024 + 1);
    for impossible in ["a\nb", "a b", "a\tb", "a\u{7f}", "tökén", "\u{0}", &too_long] {
        is_invalid(client.validate(impossible).await, Rejection::Malformed);
        is_invalid(client.validate_allow_expired(impossible).await, Rejection::Malformed);
    }
    assert_eq!((keystone.validations(), keystone.authentications()), (0, 0));
}

#[tokio::test]
async fn a_full_cache_still_answers() {
    let (keystone, _, client) = setup_with(|settings| settings.cache_capacity = 2).await;
    for n in 0..50 {
        let name = format!("t{n}");
        keystone.add(&name, token(&name, &[], START + 9000));
        assert_eq!(client.validate(&name).await.unwrap().user_id, name);
    }
}

#[tokio::test]
async fn a_token_of_the_maximum_length_is_validated() {
    let (keystone, _, client) = setup().await;
    let longest = "x".repeat(16 * 1024);
    keystone.add(&longest, token("ann", &[], START + 9000));
    assert_eq!(client.validate(&longest).await.unwrap().user_id, "ann");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn invalid_tokens_leave_permits_for_known_tokens() {
    let (keystone, time, client) = setup_with(|settings| {
        settings.max_validations = 8;
        settings.request_timeout = Duration::from_secs(20);
    })
    .await;
    keystone.add("known", token("ann", &[], START + 90_000));
    client.validate("known").await.unwrap();
    // The cached result has expired, so the token must be validated again.
    time.advance(3600);
    keystone.hold(true);
    let strangers: Vec<_> = (0..100)
        .map(|at| {
            let client = client.clone();
            tokio::spawn(async move { client.validate(&format!("made-up-{at}")).await })
        })
        .collect();
    until("six of eight permits are taken", || keystone.validations() == 1 + 6).await;
    let known = tokio::spawn({
        let client = client.clone();
        async move { client.validate("known").await }
    });
    until("the known token is validated", || {
        keystone
            .state()
            .seen
            .iter()
            .filter(|seen| seen.headers.get("x-subject-token").is_some_and(|t| t == "known"))
            .count()
            == 2
    })
    .await;
    assert_eq!(keystone.validations(), 1 + 6 + 1, "the others wait");
    keystone.hold(false);
    assert_eq!(known.await.unwrap().unwrap().user_id, "ann");
    for stranger in strangers {
        is_invalid(stranger.await.unwrap(), Rejection::Unknown);
    }
}

#[tokio::test]
async fn a_validation_without_a_permit_in_time_is_not_served() {
    let (keystone, _, client) = setup_with(|settings| {
        settings.max_validations = 2;
        settings.request_timeout = Duration::from_millis(500);
        settings.max_retries = 0;
    })
    .await;
    client.validate("warm").await.unwrap_err();
    keystone.hold(true);
    let first = tokio::spawn({
        let client = client.clone();
        async move { client.validate("made-up-1").await }
    });
    until("the first validation has started", || keystone.validations() == 2).await;
    let second = client.validate("made-up-2").await;
    assert!(matches!(second, Err(AuthError::Unavailable { .. })), "{second:?}");
    assert!(matches!(first.await.unwrap(), Err(AuthError::Unavailable { .. })));
}
