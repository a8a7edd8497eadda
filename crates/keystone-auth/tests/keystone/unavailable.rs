//! Keystone is stopped, slow or broken: which calls are retried, and that a cached token still works.

use std::time::{Duration, Instant};

use keystone_auth::{AuthError, KeystoneClient};

use crate::support::{Answer, FakeKeystone, START, setup, setup_with, token};

fn reason<T: std::fmt::Debug>(result: Result<T, AuthError>) -> String {
    match result {
        Err(error @ AuthError::Unavailable { .. }) => {
            assert!(!error.needs_authentication());
            error.to_string()
        }
        other => panic!("expected Unavailable, got {other:?}"),
    }
}

#[tokio::test]
async fn an_outage_is_unavailable_but_a_cached_token_still_works() {
    let (mut keystone, time, client) = setup().await;
    keystone.add("t1", token("ann", &[], START + 90_000));
    client.validate("t1").await.unwrap();
    keystone.stop().await;
    assert_eq!(client.validate("t1").await.unwrap().user_id, "ann");
    let text = reason(client.validate("t2").await);
    assert!(text.contains("validate a token") && text.contains("refused"), "{text}");
    assert!(!text.contains("t2"), "{text}");
    time.advance(3600);
    reason(client.validate("t1").await);
}

#[tokio::test]
async fn a_failure_is_not_cached() {
    let (keystone, _, client) = setup().await;
    keystone.add("t1", token("ann", &[], START + 9000));
    keystone.state().on_validate = Answer::Status(500, "{}");
    reason(client.validate("t1").await);
    keystone.state().on_validate = Answer::Normal;
    client.validate("t1").await.unwrap();
}

#[tokio::test]
async fn a_broken_connection_is_retried_max_retries_times() {
    for (retries, expected) in [(0, 1), (3, 4)] {
        let (keystone, _, client) = setup_with(|settings| settings.max_retries = retries).await;
        client.service_user_id().await.unwrap();
        keystone.state().on_validate = Answer::Close;
        reason(client.validate("t1").await);
        assert_eq!(keystone.validations(), expected, "max_retries = {retries}");
        keystone.state().on_authenticate = Answer::Close;
    }
}

#[tokio::test]
async fn the_services_own_authentication_is_retried_too() {
    let (keystone, _, client) = setup_with(|settings| settings.max_retries = 2).await;
    keystone.state().on_authenticate = Answer::Close;
    let text = reason(client.validate("t1").await);
    assert!(text.contains("authenticate this service"), "{text}");
    assert_eq!((keystone.validations(), keystone.authentications()), (0, 3));
}

#[tokio::test]
async fn answers_are_not_retried() {
    for status in [400, 403, 413, 429, 500, 502, 503, 504] {
        let (keystone, _, client) = setup().await;
        keystone.state().on_validate =
            Answer::Status(status, r#"{"error": {"message": "the database is away"}}"#);
        let text = reason(client.validate("t1").await);
        assert!(text.contains(&status.to_string()), "{text}");
        assert!(text.contains("the database is away"), "{text}");
        assert_eq!(keystone.validations(), 1);
    }
}

#[tokio::test]
async fn a_time_out_is_not_retried() {
    let (keystone, _, client) =
        setup_with(|settings| settings.request_timeout = Duration::from_millis(300)).await;
    client.service_user_id().await.unwrap();
    keystone.state().on_validate = Answer::Never;
    let text = reason(client.validate("t1").await);
    assert!(text.contains("timed out"), "{text}");
    assert_eq!(keystone.validations(), 1);
}

#[tokio::test]
async fn an_unreadable_answer_is_unavailable() {
    let (keystone, _, client) = setup().await;
    for body in ["<html>It works!</html>", "{}", r#"{"token": {}}"#] {
        keystone.state().on_validate = Answer::Status(200, body);
        let text = reason(client.validate("t1").await);
        assert!(text.contains("cannot be read"), "{text}");
    }
    keystone.state().on_authenticate = Answer::Status(201, "{}");
    keystone.state().own.clear();
    keystone.state().on_validate = Answer::Normal;
    let text = reason(client.validate("t1").await);
    assert!(text.contains("X-Subject-Token"), "{text}");
}

#[tokio::test]
async fn secrets_in_keystones_messages_are_masked() {
    let (keystone, _, client) = setup().await;
    keystone.state().on_authenticate =
        Answer::Status(400, r#"{"error": {"message": "service-password-7731 is too short"}}"#);
    let text = reason(client.validate("t-secret-1").await);
    assert!(text.contains("*** is too short"), "{text}");
    keystone.state().on_authenticate = Answer::Normal;
    keystone.state().on_validate =
        Answer::Status(500, r#"{"error": {"message": "own-token-2 asked about t-secret-1"}}"#);
    let text = reason(client.validate("t-secret-1").await);
    assert!(text.contains("*** asked about ***"), "{text}");
}

#[tokio::test]
async fn redirects_are_not_followed() {
    let (keystone, _, client) = setup().await;
    keystone.state().on_validate = Answer::Status(302, "");
    let text = reason(client.validate("t1").await);
    assert!(text.contains("302") && text.contains("redirect"), "{text}");
    assert!(!keystone.state().seen.iter().any(|seen| seen.target.contains("elsewhere")));
}

/// Returns the document of a token, padded to `length` bytes.
fn padded(length: usize) -> &'static str {
    let mut text = serde_json::json!({"token": token("ann", &["member"], START + 9000)}).to_string();
    text.extend(std::iter::repeat_n(' ', length - text.len()));
    Box::leak(text.into_boxed_str())
}

#[tokio::test]
async fn answers_are_read_up_to_four_mebibytes() {
    const LIMIT: usize = 4 << 20;
    let (keystone, _, client) = setup().await;
    client.service_user_id().await.unwrap();
    keystone.state().on_validate = Answer::Status(200, padded(LIMIT));
    assert_eq!(client.validate("t1").await.unwrap().user_id, "ann");
    for (at, length) in [LIMIT + 1, 2 * LIMIT].into_iter().enumerate() {
        keystone.state().on_validate = Answer::Status(200, padded(length));
        let before = keystone.validations();
        let text = reason(client.validate(&format!("large-{at}")).await);
        assert!(text.contains("larger than 4 MiB"), "{text}");
        assert_eq!(keystone.validations(), before + 1, "there is no retry");
    }
    keystone.state().on_validate = Answer::Unmeasured(padded(2 * LIMIT));
    let text = reason(client.validate("unmeasured").await);
    assert!(text.contains("larger than 4 MiB"), "{text}");
    keystone.state().on_validate = Answer::Unmeasured(padded(LIMIT));
    assert_eq!(client.validate("t2").await.unwrap().user_id, "ann");
}

/// Time limit of a request in the tests of the deadline.
const LIMIT: Duration = Duration::from_secs(1);

/// Starts a client whose requests may take [`LIMIT`], and that would retry and wait for much longer.
async fn limited() -> (FakeKeystone, KeystoneClient) {
    let (keystone, _, client) = setup_with(|settings| {
        settings.max_validations = 4;
        settings.max_retries = 100;
        settings.service_type = Some("backup".to_owned());
    })
    .await;
    (keystone, client)
}

/// Validates this number of tokens at the same time, and checks that no request takes longer than it may.
async fn validate_in_time(client: &KeystoneClient, what: &str, tokens: usize) {
    let asked: Vec<_> = (0..tokens)
        .map(|at| {
            let (client, token) = (client.within(LIMIT), format!("{what}-{at}"));
            tokio::spawn(async move {
                let began = Instant::now();
                let result = client.validate(&token).await;
                (began.elapsed(), reason(result))
            })
        })
        .collect();
    for asked in asked {
        let (took, reason) = asked.await.unwrap();
        assert!(took < LIMIT + Duration::from_millis(800), "{what}: {took:?}, {reason}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_deadline_covers_queue_login_calls_and_retries() {
    let late = Duration::from_millis(700);
    for (what, delay, on_authenticate, on_validate) in [
        ("login-hangs", Duration::ZERO, Answer::Never, Answer::Normal),
        ("validation-hangs", Duration::ZERO, Answer::Normal, Answer::Never),
        ("login-drips", Duration::ZERO, Answer::Drip, Answer::Normal),
        ("validation-drips", Duration::ZERO, Answer::Normal, Answer::Drip),
        ("login-closes", Duration::ZERO, Answer::Close, Answer::Normal),
        ("validation-closes", Duration::ZERO, Answer::Normal, Answer::Close),
        ("login-closes-late", late, Answer::Close, Answer::Normal),
        ("validation-closes-late", late, Answer::Normal, Answer::Close),
        ("own-token-refused-late", late / 2, Answer::Normal, Answer::Status(401, "{}")),
        ("both-refused-late", late, Answer::Status(401, "{}"), Answer::Status(401, "{}")),
    ] {
        let (keystone, client) = limited().await;
        {
            let mut state = keystone.state();
            (state.delay, state.on_authenticate, state.on_validate) = (delay, on_authenticate, on_validate);
        }
        validate_in_time(&client, what, 40).await;
        assert!(keystone.authentications() <= 40, "{what}: {} logins", keystone.authentications());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_deadline_covers_all_tokens_and_calls_of_an_operation() {
    let (keystone, client) = limited().await;
    let mut restricted = token("ann", &["member"], START + 9000);
    restricted["application_credential"] = serde_json::json!({"id": "c", "access_rules": []});
    keystone.add("restricted", restricted);
    keystone.add("ann", token("ann", &["member"], START + 9000));
    keystone.add("service", token("service", &["service"], START + 9000));
    client.service_user_id().await.unwrap();
    keystone.state().delay = Duration::from_millis(600);

    let began = Instant::now();
    reason(client.within(LIMIT).validate("restricted").await);
    let mut headers = http::HeaderMap::new();
    headers.insert("x-auth-token", "ann".parse().unwrap());
    headers.insert("x-service-token", "service".parse().unwrap());
    let two =
        keystone_auth::authenticate_request(&client.within(LIMIT), &http::Method::GET, "/", &headers).await;
    reason(two);
    let roles = ["member".to_owned()];
    reason(client.within(LIMIT).find_or_create_trust("ann", "ann", "p1", &roles, false).await);
    keystone.state().own.clear();
    reason(client.within(LIMIT).try_login().await);
    assert!(began.elapsed() < 4 * LIMIT + Duration::from_secs(2), "{:?}", began.elapsed());

    // without a limit of the caller, it is that of one call
    let (keystone, _, client) = setup_with(|settings| settings.request_timeout = LIMIT).await;
    keystone.state().delay = Duration::from_millis(600);
    let began = Instant::now();
    reason(client.validate("ann").await);
    assert!(began.elapsed() < LIMIT + Duration::from_millis(800), "{:?}", began.elapsed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_with_more_time_is_not_refused_because_of_another() {
    let (keystone, _, client) = setup().await;
    keystone.add("t1", token("ann", &[], START + 9000));
    keystone.state().delay = Duration::from_millis(500);
    let short = client.within(Duration::from_millis(200));
    let hurried = tokio::spawn(async move { short.validate("t0").await });
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(client.validate("t1").await.unwrap().user_id, "ann");
    reason(hurried.await.unwrap());
}
