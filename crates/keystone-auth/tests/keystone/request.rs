//! Headers of a request: which tokens are read, and the rules about service tokens and access rules.

use http::{HeaderMap, HeaderName, HeaderValue, Method};
use keystone_auth::{AuthError, Authenticated, KeystoneClient, Rejection, authenticate_request};
use serde_json::json;

use crate::support::{Answer, FakeKeystone, START, setup, setup_with, token};

fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
    pairs
        .iter()
        .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_str(value).unwrap()))
        .collect()
}

async fn ask(client: &KeystoneClient, pairs: &[(&'static str, &str)]) -> Result<Authenticated, AuthError> {
    authenticate(client, &headers(pairs)).await
}

async fn authenticate(client: &KeystoneClient, headers: &HeaderMap) -> Result<Authenticated, AuthError> {
    authenticate_request(client, &Method::GET, "/v2/p1/jobs", headers).await
}

fn is_invalid(result: Result<Authenticated, AuthError>, expected: Rejection) {
    match result {
        Err(AuthError::Invalid(rejection)) => assert_eq!(rejection, expected),
        other => panic!("expected Invalid({expected:?}), got {other:?}"),
    }
}

fn people(keystone: &FakeKeystone) {
    keystone.add("user", token("ann", &["member"], START + 9000));
    keystone.add("nova", token("nova", &["service", "admin"], START + 9000));
    keystone.add("other", token("bob", &["member"], START + 9000));
}

#[tokio::test]
async fn a_user_token_without_a_service_token() {
    let (keystone, _, client) = setup().await;
    people(&keystone);
    let found = ask(&client, &[("x-auth-token", " user ")]).await.unwrap();
    assert_eq!(found.user.user_id, "ann");
    assert_eq!(found.service, None);
    let found = ask(&client, &[("x-storage-token", "user")]).await.unwrap();
    assert_eq!(found.user.user_id, "ann");
    let both = [("x-auth-token", "user"), ("x-storage-token", "other")];
    assert_eq!(ask(&client, &both).await.unwrap().user.user_id, "ann");
}

#[tokio::test]
async fn a_request_without_a_token_is_missing_and_makes_no_call() {
    let (keystone, _, client) = setup().await;
    people(&keystone);
    let cases: [&[(&'static str, &str)]; 4] = [
        &[],
        &[("x-auth-token", "")],
        &[("x-auth-token", "  "), ("x-storage-token", "user")],
        &[("x-service-token", "nova"), ("x-user-id", "ann"), ("x-identity-status", "Confirmed")],
    ];
    for case in cases {
        let error = ask(&client, case).await.unwrap_err();
        assert!(matches!(error, AuthError::Missing), "{error:?}");
        assert!(error.needs_authentication());
    }
    assert_eq!((keystone.validations(), keystone.authentications()), (0, 0));
}

#[tokio::test]
async fn two_tokens_or_invalid_bytes_are_rejected() {
    let (keystone, _, client) = setup().await;
    people(&keystone);
    let mut two = headers(&[("x-auth-token", "user")]);
    two.append("x-auth-token", HeaderValue::from_static("other"));
    is_invalid(authenticate(&client, &two).await, Rejection::Malformed);
    let mut same = headers(&[("x-auth-token", "user")]);
    same.append("x-auth-token", HeaderValue::from_static("user"));
    assert_eq!(authenticate(&client, &same).await.unwrap().user.user_id, "ann");
    let mut bytes = HeaderMap::new();
    bytes.insert("x-auth-token", HeaderValue::from_bytes(b"t\xff").unwrap());
    is_invalid(authenticate(&client, &bytes).await, Rejection::Malformed);
}

#[tokio::test]
async fn a_service_token_with_the_role_is_returned() {
    let (keystone, _, client) = setup().await;
    people(&keystone);
    let found = ask(&client, &[("x-auth-token", "user"), ("x-service-token", "nova")]).await.unwrap();
    assert_eq!(found.user.user_id, "ann");
    assert_eq!(found.service.unwrap().user_id, "nova");
}

#[tokio::test]
async fn a_service_token_without_the_role_fails_the_request_if_the_role_is_required() {
    let (keystone, _, client) = setup().await;
    people(&keystone);
    let result = ask(&client, &[("x-auth-token", "user"), ("x-service-token", "other")]).await;
    is_invalid(result, Rejection::ServiceTokenRole);
}

#[tokio::test]
async fn one_of_the_configured_roles_is_enough() {
    let (keystone, _, client) =
        setup_with(|settings| settings.service_token_roles = vec!["x".into(), "admin".into()]).await;
    people(&keystone);
    ask(&client, &[("x-auth-token", "user"), ("x-service-token", "nova")]).await.unwrap();
}

#[tokio::test]
async fn an_optional_role_lets_a_service_token_pass_but_accepts_no_expired_token() {
    let (keystone, time, client) = setup_with(|settings| settings.service_token_roles_required = false).await;
    people(&keystone);
    let pair = [("x-auth-token", "user"), ("x-service-token", "other")];
    let found = ask(&client, &pair).await.unwrap();
    assert_eq!(found.service.unwrap().user_id, "bob");
    keystone.add("user", token("ann", &["member"], START + 10));
    keystone.add("old", token("ann", &["member"], START + 10));
    time.advance(20);
    is_invalid(
        ask(&client, &[("x-auth-token", "old"), ("x-service-token", "other")]).await,
        Rejection::Unknown,
    );
    ask(&client, &[("x-auth-token", "old"), ("x-service-token", "nova")]).await.unwrap();
}

#[tokio::test]
async fn an_unknown_service_token_fails_the_request() {
    let (keystone, _, client) = setup().await;
    people(&keystone);
    let result = ask(&client, &[("x-auth-token", "user"), ("x-service-token", "nobody")]).await;
    is_invalid(result, Rejection::ServiceToken);
    let subjects: Vec<_> = keystone
        .state()
        .seen
        .iter()
        .filter_map(|seen| seen.headers.get("x-subject-token").cloned())
        .collect();
    assert_eq!(subjects, ["nobody"], "the user's token is not validated in vain");
}

#[tokio::test]
async fn an_expired_user_token_is_accepted_with_a_service_token() {
    let (keystone, time, client) = setup().await;
    people(&keystone);
    keystone.add("old", token("ann", &["member"], START + 10));
    time.advance(20);
    is_invalid(ask(&client, &[("x-auth-token", "old")]).await, Rejection::Unknown);
    let pair = [("x-auth-token", "old"), ("x-service-token", "nova")];
    let found = ask(&client, &pair).await.unwrap();
    assert_eq!(found.user.user_id, "ann");
    assert!(found.user.expired_at(time.now()));
    is_invalid(ask(&client, &[("x-auth-token", "old")]).await, Rejection::Unknown);
}

#[tokio::test]
async fn an_expired_service_token_accepts_no_expired_user_token() {
    let (keystone, time, client) = setup().await;
    people(&keystone);
    keystone.add("old", token("ann", &["member"], START + 10));
    keystone.add("old-nova", token("nova", &["service"], START + 10));
    time.advance(20);
    let result = ask(&client, &[("x-auth-token", "old"), ("x-service-token", "old-nova")]).await;
    is_invalid(result, Rejection::ServiceToken);
}

#[tokio::test]
async fn an_outage_during_the_validation_of_the_service_token_is_unavailable() {
    let (keystone, _, client) = setup().await;
    people(&keystone);
    keystone.state().on_validate = Answer::Status(503, "{}");
    let result = ask(&client, &[("x-auth-token", "user"), ("x-service-token", "nova")]).await;
    assert!(matches!(result, Err(AuthError::Unavailable { .. })), "{result:?}");
}

#[tokio::test]
async fn a_kerberos_bound_token_is_rejected_without_a_service_token() {
    let (keystone, _, client) = setup().await;
    people(&keystone);
    let mut bound = token("ann", &["member"], START + 9000);
    bound["bind"] = json!({"kerberos": "ANN@REALM"});
    keystone.add("bound", bound);
    let mut odd = token("ann", &["member"], START + 9000);
    odd["bind"] = json!({"moonphase": "full"});
    keystone.add("odd", odd);
    is_invalid(ask(&client, &[("x-auth-token", "bound")]).await, Rejection::Bound);
    ask(&client, &[("x-auth-token", "bound"), ("x-service-token", "nova")]).await.unwrap();
    ask(&client, &[("x-auth-token", "odd")]).await.expect("permissive: unknown bindings pass");
}

#[tokio::test]
async fn access_rules_are_checked_against_method_and_path() {
    let (keystone, _, client) =
        setup_with(|settings| settings.service_type = Some("backup".to_owned())).await;
    people(&keystone);
    let mut limited = token("ann", &["member"], START + 9000);
    limited["application_credential"] = json!({"id": "ac", "access_rules": [
        {"id": "1", "service": "backup", "method": "GET", "path": "/v2/{project}/jobs"}]});
    limited["catalog"] = json!([{"type": "backup", "endpoints": []}]);
    keystone.add("limited", limited);

    let only_token = headers(&[("x-auth-token", "limited")]);
    let request = |method: Method, path: &'static str| {
        let (client, headers) = (client.clone(), only_token.clone());
        async move { authenticate_request(&client, &method, path, &headers).await }
    };
    request(Method::GET, "/v2/p1/jobs").await.unwrap();
    is_invalid(request(Method::POST, "/v2/p1/jobs").await, Rejection::AccessRules);
    is_invalid(request(Method::GET, "/v2/p1/sessions").await, Rejection::AccessRules);
    let with_service = headers(&[("x-auth-token", "limited"), ("x-service-token", "nova")]);
    authenticate_request(&client, &Method::POST, "/x", &with_service).await.unwrap();
    let targets: Vec<_> = keystone
        .state()
        .seen
        .iter()
        .filter(|seen| seen.headers.get("x-subject-token").is_some_and(|token| token == "limited"))
        .map(|seen| seen.target.clone())
        .collect();
    assert_eq!(targets, ["/v3/auth/tokens?nocatalog", "/v3/auth/tokens"], "catalog only when needed");
}

#[tokio::test]
async fn a_service_token_without_an_optional_role_skips_no_check() {
    let (keystone, _, client) = setup_with(|settings| {
        settings.service_type = Some("backup".to_owned());
        settings.service_token_roles_required = false;
    })
    .await;
    people(&keystone);
    let mut limited = token("ann", &["member"], START + 9000);
    limited["application_credential"] = json!({"id": "ac", "access_rules": [
        {"id": "1", "service": "backup", "method": "GET", "path": "/v2/{project}/jobs"}]});
    limited["catalog"] = json!([{"type": "backup", "endpoints": []}]);
    keystone.add("limited", limited);
    let mut bound = token("ann", &["member"], START + 9000);
    bound["bind"] = json!({"kerberos": "ANN@REALM"});
    keystone.add("bound", bound);
    let ask = |user: &'static str, service: &'static str, method: Method| {
        let (client, headers) =
            (client.clone(), headers(&[("x-auth-token", user), ("x-service-token", service)]));
        async move { authenticate_request(&client, &method, "/v2/p1/jobs", &headers).await }
    };
    // Any user can send a token of their own as the service token.
    for service in ["other", "limited"] {
        ask("limited", service, Method::GET).await.unwrap();
        is_invalid(ask("limited", service, Method::DELETE).await, Rejection::AccessRules);
        is_invalid(ask("bound", service, Method::GET).await, Rejection::Bound);
    }
    ask("limited", "nova", Method::DELETE).await.unwrap();
    ask("bound", "nova", Method::DELETE).await.unwrap();
}

#[tokio::test]
async fn access_rules_without_a_service_type_reject_every_request() {
    let (keystone, _, client) = setup().await;
    let mut limited = token("ann", &["member"], START + 9000);
    limited["application_credential"] = json!({"id": "ac", "access_rules": [
        {"id": "1", "service": "backup", "method": "GET", "path": "/**"}]});
    keystone.add("limited", limited);
    let only_token = headers(&[("x-auth-token", "limited")]);
    let result = authenticate_request(&client, &Method::GET, "/v2", &only_token).await;
    is_invalid(result, Rejection::AccessRules);
}

#[tokio::test]
async fn scopes_other_than_a_project() {
    let (keystone, _, client) = setup().await;
    let without_project = || {
        let mut document = token("ann", &[], START + 9000);
        document.as_object_mut().unwrap().remove("project");
        document
    };
    keystone.add("unscoped", without_project());
    let mut domain = without_project();
    domain["domain"] = json!({"id": "d1", "name": "One"});
    keystone.add("domain", domain);
    let mut system = without_project();
    system["system"] = json!({"all": true});
    keystone.add("system", system);
    let mut trust = token("ann", &["member"], START + 9000);
    trust["OS-TRUST:trust"] = json!({"id": "t9", "impersonation": true,
        "trustor_user": {"id": "ann"}, "trustee_user": {"id": "service-user"}});
    keystone.add("trust", trust);

    let user = |name: &'static str| {
        let client = client.clone();
        async move { ask(&client, &[("x-auth-token", name)]).await.unwrap().user }
    };
    let unscoped = user("unscoped").await;
    assert_eq!((&unscoped.project_id, &unscoped.domain_id, &unscoped.system_scope), (&None, &None, &None));
    assert_eq!(user("domain").await.domain_id.as_deref(), Some("d1"));
    assert_eq!(user("system").await.system_scope.as_deref(), Some("all"));
    assert_eq!(user("trust").await.trust_id.as_deref(), Some("t9"));
}
