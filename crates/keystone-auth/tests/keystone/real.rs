//! Tests with a real Keystone, on demand: `cargo test -p keystone-auth -- --ignored`. The service's
//! credentials are in the usual `OS_*` variables, and `SUBJECT_TOKEN` is a project-scoped token of another
//! user.

use std::time::Duration;

use keystone_auth::{
    AuthError, KeystoneClient, PasswordCredentials, Rejection, ServiceCredentials, Settings, system_clock,
};

#[tokio::test]
#[ignore = "needs a real Keystone: OS_* variables of a service user and SUBJECT_TOKEN of another user"]
async fn tokens_and_trusts_of_a_real_keystone() {
    let env = |name: &str| std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set"));
    let settings = Settings {
        auth_url: env("OS_AUTH_URL"),
        credentials: ServiceCredentials::Password(PasswordCredentials {
            username: Some(env("OS_USERNAME")),
            user_domain_name: Some(env("OS_USER_DOMAIN_NAME")),
            password: env("OS_PASSWORD").into(),
            project_name: Some(env("OS_PROJECT_NAME")),
            project_domain_name: Some(env("OS_PROJECT_DOMAIN_NAME")),
            ..PasswordCredentials::default()
        }),
        rejection_cache_time: Duration::ZERO,
        ..Settings::default()
    };
    let client = KeystoneClient::new(&settings, system_clock()).unwrap();
    let token = env("SUBJECT_TOKEN");
    let user = client.validate(&token).await.unwrap();
    assert!(!user.expired_at(system_clock()()));
    let project = user.project_id.clone().expect("SUBJECT_TOKEN is project-scoped");
    assert!(!user.roles.is_empty() && !user.user_domain_id.is_empty());
    assert!(user.project_name.is_some() && user.project_domain_id.is_some());

    for unknown in ["nonsense", &format!("{token}x")] {
        let error = client.validate(unknown).await.unwrap_err();
        assert!(matches!(error, AuthError::Invalid(Rejection::Unknown)), "{error:?}");
    }

    let role = vec![user.roles.last().unwrap().clone()];
    let service = client.service_user_id().await.unwrap();
    let trust = client.create_trust(&token, &user.user_id, &project, &role, false).await.unwrap();
    assert_eq!((&trust.trustor_user_id, &trust.trustee_user_id), (&user.user_id, &service));
    let listed = client.list_trusts(&token, &user.user_id, &project).await.unwrap();
    assert!(listed.iter().any(|listed| listed.id == trust.id), "{listed:?}");
    let found = client.find_or_create_trust(&token, &user.user_id, &project, &role, false).await.unwrap();
    assert_eq!(found.trust.id, listed[0].id);
    client.delete_trust(&token, &trust.id).await.unwrap();
    let error = client.delete_trust(&token, &trust.id).await.unwrap_err();
    assert!(matches!(&error, AuthError::Refused { status, .. } if status.as_u16() == 404), "{error:?}");
    let no_role = vec!["no-such-role-here".to_owned()];
    let error = client.create_trust(&token, &user.user_id, &project, &no_role, false).await.unwrap_err();
    assert!(matches!(&error, AuthError::Refused { status, .. } if status.as_u16() == 404), "{error:?}");
    let error = client.create_trust(&token, &service, &project, &role, false).await.unwrap_err();
    assert!(matches!(&error, AuthError::Refused { status, .. } if status.as_u16() == 403), "{error:?}");
}
