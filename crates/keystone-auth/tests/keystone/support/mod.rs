//! Helpers of all tests: settings, a manual clock, token documents and a bounded wait. The fake Keystone is
//! in `fake`. Tests of the service include this module, too.

#![allow(dead_code, reason = "each test program uses its own part")]

pub mod fake;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use keystone_auth::{KeystoneClient, PasswordCredentials, ServiceCredentials, Settings, UnixClock};
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

pub use fake::{Answer, FakeKeystone};

/// 2026-11-22T10:00:00Z.
pub const START: i64 = 1_795_341_600;
pub const PASSWORD: &str = "service-password-7731";

/// A clock that the test advances.
#[derive(Clone)]
pub struct TestClock(Arc<AtomicI64>);

impl TestClock {
    pub fn new() -> Self {
        Self(Arc::new(AtomicI64::new(START)))
    }

    pub fn now(&self) -> i64 {
        self.0.load(Ordering::SeqCst)
    }

    pub fn advance(&self, seconds: i64) {
        self.0.fetch_add(seconds, Ordering::SeqCst);
    }

    pub fn clock(&self) -> UnixClock {
        let time = self.clone();
        Arc::new(move || time.now())
    }
}

/// Settings for `keystone`. Rejections are cached for an hour, because the system clock limits their time too
/// and a slow machine must not make a test fail.
pub fn settings(keystone: &FakeKeystone) -> Settings {
    Settings {
        auth_url: keystone.url.clone(),
        credentials: ServiceCredentials::Password(PasswordCredentials {
            username: Some("freezer".to_owned()),
            user_domain_name: Some("Default".to_owned()),
            password: PASSWORD.into(),
            project_name: Some("service".to_owned()),
            project_domain_name: Some("Default".to_owned()),
            ..PasswordCredentials::default()
        }),
        retry_delay: Duration::from_millis(1),
        token_cache_time: Some(Duration::from_secs(3600)),
        rejection_cache_time: Duration::from_secs(3600),
        ..Settings::default()
    }
}

/// Creates a fake Keystone, a clock and a client with [`settings`].
pub async fn setup() -> (FakeKeystone, TestClock, KeystoneClient) {
    setup_with(|_| {}).await
}

/// Like [`setup`], with changed settings.
pub async fn setup_with(change: impl FnOnce(&mut Settings)) -> (FakeKeystone, TestClock, KeystoneClient) {
    let time = TestClock::new();
    let keystone = FakeKeystone::start(time.clone()).await;
    let mut settings = settings(&keystone);
    change(&mut settings);
    let client = KeystoneClient::new(&settings, time.clock()).unwrap();
    (keystone, time, client)
}

pub fn iso(seconds: i64) -> String {
    OffsetDateTime::from_unix_timestamp(seconds).unwrap().format(&Rfc3339).unwrap()
}

/// Returns a project-scoped token of `user` that expires at `expires_at`.
pub fn token(user: &str, roles: &[&str], expires_at: i64) -> Value {
    let roles: Vec<Value> = roles.iter().map(|name| json!({"id": name, "name": name})).collect();
    json!({
        "methods": ["password"],
        "user": {"id": user, "name": user, "domain": {"id": "default", "name": "Default"}},
        "project": {"id": "p1", "name": "demo", "domain": {"id": "default", "name": "Default"}},
        "roles": roles,
        "expires_at": iso(expires_at),
        "issued_at": iso(START),
    })
}

/// Waits until `condition` holds. Fails the test after a minute.
pub async fn until(what: &str, condition: impl Fn() -> bool) {
    for _ in 0..12_000 {
        if condition() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("not within a minute: {what}");
}
