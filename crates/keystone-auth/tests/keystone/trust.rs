//! Trusts between a user and the service user.

use keystone_auth::AuthError;
use serde_json::json;

use crate::support::{Answer, START, setup, setup_with, token};

fn roles(names: &[&str]) -> Vec<String> {
    names.iter().map(|&name| name.to_owned()).collect()
}

fn status<T: std::fmt::Debug>(result: Result<T, AuthError>) -> u16 {
    match result {
        Err(AuthError::Refused { status, message, .. }) => {
            assert!(!message.is_empty());
            status.as_u16()
        }
        other => panic!("expected Refused, got {other:?}"),
    }
}

#[tokio::test]
async fn a_trust_goes_from_the_user_to_the_service_user() {
    let (keystone, _, client) = setup().await;
    keystone.add("user", token("ann", &["member"], START + 9000));
    let trust = client.create_trust("user", "ann", "p1", &roles(&["member"]), false).await.unwrap();
    assert_eq!(
        (&*trust.id, &*trust.trustor_user_id, &*trust.trustee_user_id),
        ("trust-1", "ann", "service-user")
    );
    assert_eq!(trust.project_id.as_deref(), Some("p1"));
    assert!(!trust.impersonation && trust.usable_at(START));
    let state = keystone.state();
    let seen = state.seen.last().unwrap();
    assert_eq!((&*seen.method, &*seen.target), ("POST", "/v3/OS-TRUST/trusts"));
    assert_eq!(seen.headers["x-auth-token"], "user", "made by the user, not by the service");
    assert_eq!(
        seen.body,
        json!({"trust": {
        "trustor_user_id": "ann", "trustee_user_id": "service-user", "project_id": "p1",
        "impersonation": false, "allow_redelegation": false, "roles": [{"name": "member"}]}})
    );
}

#[tokio::test]
async fn refusals_have_the_status_of_keystone() {
    let (keystone, _, client) = setup().await;
    keystone.add("user", token("ann", &["member"], START + 9000));
    assert_eq!(status(client.create_trust("user", "bob", "p1", &roles(&["member"]), false).await), 403);
    assert_eq!(status(client.create_trust("user", "ann", "p1", &roles(&["none"]), false).await), 404);
    assert_eq!(status(client.delete_trust("user", "trust-9").await), 404);
    assert_eq!(status(client.delete_trust("user", "").await), 404);
    let result = client.create_trust("gone", "ann", "p1", &roles(&["member"]), false).await;
    assert!(matches!(result, Err(AuthError::Invalid(_))), "{result:?}");
    let result = client.delete_trust(" ", "trust-9").await;
    assert!(matches!(result, Err(AuthError::Missing)), "{result:?}");
}

#[tokio::test]
async fn only_a_usable_trust_of_trustor_trustee_and_project_is_reused() {
    let (keystone, _, client) = setup().await;
    keystone.add("user", token("ann", &["member"], START + 9000));
    let trust = |id: &str, trustor: &str, trustee: &str, project: &str| {
        json!({"id": id, "trustor_user_id": trustor, "trustee_user_id": trustee, "project_id": project,
               "impersonation": false, "expires_at": null, "deleted_at": null, "remaining_uses": null})
    };
    let mut ended = trust("ended", "ann", "service-user", "p1");
    ended["expires_at"] = "2026-11-22T09:59:59.000000Z".into();
    let mut counted = trust("counted", "ann", "service-user", "p1");
    counted["remaining_uses"] = 1.into();
    let mut as_trustor = trust("as-trustor", "ann", "service-user", "p1");
    as_trustor["impersonation"] = true.into();
    let mut good = trust("good", "ann", "service-user", "p1");
    good["expires_at"] = "2026-11-22T10:00:01.000000Z".into();
    keystone.state().trusts = vec![
        trust("other-trustor", "bob", "service-user", "p1"),
        trust("other-trustee", "ann", "somebody", "p1"),
        trust("other-project", "ann", "service-user", "p2"),
        ended,
        counted,
        as_trustor,
        good,
    ];
    let listed = client.list_trusts("user", "ann", "p1").await.unwrap();
    let ids: Vec<_> = listed.iter().map(|trust| &*trust.id).collect();
    assert_eq!(ids, ["as-trustor", "good"]);
    let found = client.find_or_create_trust("user", "ann", "p1", &roles(&["member"]), false).await.unwrap();
    assert!(found.trust.id == "good" && !found.is_new, "{found:?}");

    keystone.state().trusts.pop();
    let made = client.find_or_create_trust("user", "ann", "p1", &roles(&["member"]), false).await.unwrap();
    assert!(made.trust.id == "trust-1" && made.is_new, "{made:?}");
}

#[tokio::test]
async fn a_failed_list_does_not_prevent_the_creation() {
    let (keystone, _, client) = setup().await;
    keystone.add("user", token("ann", &["member"], START + 9000));
    keystone.state().on_list_trusts = Answer::Status(403, "{}");
    let made = client.find_or_create_trust("user", "ann", "p1", &roles(&["member"]), false).await.unwrap();
    assert!(made.trust.id == "trust-1" && made.is_new, "{made:?}");
}

#[tokio::test]
async fn the_trustor_can_delete_a_trust() {
    let (keystone, _, client) = setup().await;
    keystone.add("user", token("ann", &["member"], START + 9000));
    keystone.add("other", token("bob", &["member"], START + 9000));
    let trust = client.create_trust("user", "ann", "p1", &roles(&["member"]), false).await.unwrap();
    assert_eq!(status(client.delete_trust("other", &trust.id).await), 403);
    client.delete_trust("user", &trust.id).await.unwrap();
    assert!(keystone.state().trusts.is_empty());
}

#[tokio::test]
async fn a_creation_with_an_unknown_result_is_not_repeated() {
    let (keystone, _, client) = setup_with(|settings| settings.max_retries = 3).await;
    keystone.add("user", token("ann", &["member"], START + 9000));
    client.service_user_id().await.unwrap();
    keystone.state().on_create_trust = Answer::Close;
    let result = client.create_trust("user", "ann", "p1", &roles(&["member"]), false).await;
    assert!(matches!(result, Err(AuthError::Unavailable { .. })), "{result:?}");
    let posts = keystone.state().seen.iter().filter(|seen| seen.target.contains("OS-TRUST")).count();
    assert_eq!(posts, 1);
}
