//! Keystone is stopped, slow or broken: which calls are retried, and that a cached token still works.

use std::time::Duration;

use keystone_auth::AuthError;

use crate::support::{Answer, START, setup, setup_with, token};

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
