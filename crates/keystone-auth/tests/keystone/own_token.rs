//! The service's own token: renewal, rejection, scope, and the endpoint of the catalog.

use keystone_auth::{
    ApplicationCredential, AuthError, KeystoneClient, PasswordCredentials, ServiceCredentials, SettingsError,
};
use serde_json::json;

use crate::support::{Answer, PASSWORD, START, TestClock, settings, setup, setup_with, token};

#[tokio::test]
async fn the_token_is_renewed_before_it_expires() {
    let (keystone, time, client) = setup_with(|settings| settings.token_cache_time = None).await;
    keystone.add("t1", token("ann", &[], START + 90_000));
    client.validate("t1").await.unwrap();
    time.advance(3600 - 121);
    client.validate("t1").await.unwrap();
    assert_eq!(keystone.authentications(), 1);
    time.advance(1);
    client.validate("t1").await.unwrap();
    assert_eq!((keystone.validations(), keystone.authentications()), (3, 2));
}

#[tokio::test]
async fn a_short_lived_token_is_not_renewed_at_every_request() {
    let (keystone, time, client) = setup_with(|settings| settings.token_cache_time = None).await;
    keystone.state().own_life = 60;
    keystone.add("t1", token("ann", &[], START + 90_000));
    client.validate("t1").await.unwrap();
    time.advance(44);
    client.validate("t1").await.unwrap();
    assert_eq!(keystone.authentications(), 1);
    time.advance(1);
    client.validate("t1").await.unwrap();
    assert_eq!(keystone.authentications(), 2);
}

#[tokio::test]
async fn a_rejected_own_token_is_replaced_once() {
    let (keystone, _, client) = setup().await;
    keystone.add("t1", token("ann", &[], START + 9000));
    keystone.add("t2", token("bob", &[], START + 9000));
    client.validate("t1").await.unwrap();
    keystone.state().own.clear();
    assert_eq!(client.validate("t2").await.unwrap().user_id, "bob");
    assert_eq!((keystone.validations(), keystone.authentications()), (3, 2));
}

#[tokio::test]
async fn a_rejected_new_own_token_means_unavailable() {
    let (keystone, _, client) = setup().await;
    keystone.state().on_validate = Answer::Status(401, "{}");
    let error = client.validate("t1").await.unwrap_err();
    assert!(matches!(error, AuthError::Unavailable { .. }), "{error:?}");
    assert_eq!((keystone.validations(), keystone.authentications()), (2, 2), "one retry");
}

#[tokio::test]
async fn rejected_credentials_of_the_service_do_not_reject_the_users_token() {
    let (keystone, _, client) = setup_with(|settings| {
        settings.credentials = ServiceCredentials::Password(PasswordCredentials {
            user_id: Some("service-user".to_owned()),
            password: "wrong-secret-1".into(),
            ..PasswordCredentials::default()
        });
    })
    .await;
    let error = client.validate("t1").await.unwrap_err();
    assert!(matches!(error, AuthError::Unavailable { .. }), "{error:?}");
    assert!(!error.needs_authentication());
    let text = error.to_string();
    assert!(text.contains("rejected the service's own credentials"), "{text}");
    assert!(!format!("{text}{error:?}").contains("wrong-secret-1"));
    assert_eq!(keystone.validations(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn waiting_callers_share_the_failure() {
    let (keystone, _, client) = setup_with(|settings| settings.max_retries = 0).await;
    keystone.state().on_authenticate = Answer::Status(503, "{}");
    let callers: Vec<_> = (0..200)
        .map(|n| {
            let client = client.clone();
            tokio::spawn(async move { client.validate(&format!("t{n}")).await })
        })
        .collect();
    for caller in callers {
        let error = caller.await.unwrap().unwrap_err();
        assert!(matches!(error, AuthError::Unavailable { .. }), "{error:?}");
    }
    // The machine decides how many callers arrive during one attempt. Without sharing there would be 200
    // attempts.
    assert!(keystone.authentications() < 200, "{}", keystone.authentications());
    keystone.state().on_authenticate = Answer::Normal;
    keystone.add("t1", token("ann", &[], START + 9000));
    client.validate("t1").await.expect("a failure is not cached");
}

#[tokio::test]
async fn each_type_of_credentials_has_its_request_body() {
    let time = TestClock::new();
    let keystone = crate::support::FakeKeystone::start(time.clone()).await;
    let some = |text: &str| Some(text.to_owned());
    let password = |change: fn(&mut PasswordCredentials)| {
        let mut credentials = PasswordCredentials {
            username: some("freezer"),
            user_domain_id: some("default"),
            user_domain_name: some("Default"),
            password: PASSWORD.into(),
            ..PasswordCredentials::default()
        };
        change(&mut credentials);
        ServiceCredentials::Password(credentials)
    };
    let user = json!({"name": "freezer", "domain": {"id": "default"}, "password": PASSWORD});
    let with_scope = |scope: serde_json::Value| json!({"identity": {"methods": ["password"], "password": {"user": user}}, "scope": scope});
    let cases = [
        (
            password(|p| {
                p.project_name = Some("service".into());
                p.project_domain_name = Some("Default".into());
            }),
            with_scope(json!({"project": {"name": "service", "domain": {"name": "Default"}}})),
        ),
        (password(|p| p.project_id = Some("p9".into())), with_scope(json!({"project": {"id": "p9"}}))),
        (password(|p| p.domain_name = Some("D".into())), with_scope(json!({"domain": {"name": "D"}}))),
        (password(|p| p.system_scope = true), with_scope(json!({"system": {"all": true}}))),
        (
            password(|p| p.user_id = Some("u1".into())),
            json!({"identity": {"methods": ["password"],
                "password": {"user": {"id": "u1", "password": PASSWORD}}}}),
        ),
        (
            ServiceCredentials::ApplicationCredential(ApplicationCredential {
                id: some("ac1"),
                secret: PASSWORD.into(),
                ..ApplicationCredential::default()
            }),
            json!({"identity": {"methods": ["application_credential"],
                "application_credential": {"id": "ac1", "secret": PASSWORD}}}),
        ),
        (
            ServiceCredentials::ApplicationCredential(ApplicationCredential {
                name: some("backup"),
                username: some("freezer"),
                user_domain_name: some("Default"),
                secret: PASSWORD.into(),
                ..ApplicationCredential::default()
            }),
            json!({"identity": {"methods": ["application_credential"],
                "application_credential": {"name": "backup", "secret": PASSWORD,
                    "user": {"name": "freezer", "domain": {"name": "Default"}}}}}),
        ),
    ];
    for (credentials, expected) in cases {
        let mut settings = settings(&keystone);
        settings.credentials = credentials;
        let client = KeystoneClient::new(&settings, time.clock()).unwrap();
        assert_eq!(client.service_user_id().await.unwrap(), "service-user");
        let sent = keystone.state().seen.last().unwrap().body.clone();
        assert_eq!(sent, json!({ "auth": expected }));
    }
}

#[tokio::test]
async fn errors_name_unusable_settings() {
    let (keystone, time, _) = setup().await;
    let refused = |change: fn(&mut keystone_auth::Settings)| {
        let mut settings = settings(&keystone);
        change(&mut settings);
        KeystoneClient::new(&settings, time.clock()).unwrap_err()
    };
    let error = refused(|settings| settings.auth_url = "keystone:5000".into());
    assert!(matches!(error, SettingsError::Url { option: "auth_url", .. }), "{error}");
    let error = refused(|settings| settings.auth_url = "http://u:pw7@keystone/".into());
    assert!(!format!("{error} {error:?}").contains("pw7"), "{error}");
    let error = refused(|settings| settings.www_authenticate_uri = Some("no url".into()));
    assert!(matches!(error, SettingsError::Url { option: "www_authenticate_uri", .. }), "{error}");
    let error = refused(|settings| settings.credentials = ServiceCredentials::default());
    assert!(error.to_string().contains("username"), "{error}");
    let error = refused(|settings| {
        settings.credentials = ServiceCredentials::Password(PasswordCredentials {
            user_id: Some("u".into()),
            project_id: Some("p".into()),
            system_scope: true,
            ..PasswordCredentials::default()
        });
    });
    assert!(error.to_string().contains("one scope"), "{error}");
    let error = refused(|settings| {
        settings.credentials = ServiceCredentials::ApplicationCredential(ApplicationCredential::default());
    });
    assert!(error.to_string().contains("application_credential_id"), "{error}");
}

#[tokio::test]
async fn the_catalogs_endpoint_of_interface_and_region_is_used() {
    let time = TestClock::new();
    let keystone = crate::support::FakeKeystone::start(time.clone()).await;
    let url = keystone.url.clone();
    let endpoint = |interface: &str, region: &str, url: String| json!({"id": "e", "interface": interface, "region": region, "region_id": region, "url": url});
    keystone.state().catalog = json!([
        {"type": "compute", "endpoints": [endpoint("internal", "R1", "http://127.0.0.1:1/".into())]},
        {"type": "identity", "name": "keystone", "endpoints": [
            endpoint("public", "R1", "http://127.0.0.1:1/".into()),
            endpoint("internal", "R2", "http://127.0.0.1:1/".into()),
            endpoint("internal", "R1", format!("{url}/identity/v3/")),
        ]},
    ]);
    keystone.add("t1", token("ann", &[], START + 9000));

    let mut with = settings(&keystone);
    with.region_name = Some("R1".to_owned());
    with.interface = "internalURL".to_owned();
    let client = KeystoneClient::new(&with, time.clock()).unwrap();
    client.validate("t1").await.unwrap();
    let target =
        |keystone: &crate::support::FakeKeystone| keystone.state().seen.last().unwrap().target.clone();
    assert_eq!(target(&keystone), "/identity/v3/auth/tokens?nocatalog");

    with.region_name = Some("elsewhere".to_owned());
    let client = KeystoneClient::new(&with, time.clock()).unwrap();
    client.validate("t1").await.expect("without a match, auth_url is used");
    assert_eq!(target(&keystone), "/v3/auth/tokens?nocatalog");
}

#[tokio::test]
async fn try_login_names_the_failed_step() {
    let (keystone, _, client) = setup().await;
    assert_eq!(client.try_login().await.unwrap(), "service-user");
    keystone.state().on_validate = Answer::Status(403, "{}");
    let error = client.try_login().await.unwrap_err().to_string();
    assert!(error.contains("validate a token") && error.contains("403"), "{error}");
    let (keystone, _, client) = setup().await;
    keystone.state().on_authenticate = Answer::Status(401, "{}");
    let error = client.try_login().await.unwrap_err().to_string();
    assert!(error.contains("authenticate this service") && error.contains("own credentials"), "{error}");
}
