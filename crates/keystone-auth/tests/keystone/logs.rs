//! The log never contains a token or a password, at any level.

use std::io::Write;
use std::sync::{Arc, Mutex};

use http::{HeaderMap, HeaderValue, Method};
use keystone_auth::authenticate_request;
use tracing_subscriber::fmt::MakeWriter;

use crate::support::{Answer, PASSWORD, START, setup, token};

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, text: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(text);
        Ok(text.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

#[tokio::test]
async fn no_secret_is_logged() {
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_ansi(false)
        .with_writer(log.clone())
        .finish();
    // The subscriber is global because tracing caches for each call site whether a subscriber is interested,
    // and parallel tests without a subscriber would fill that cache. Their log lines do no harm.
    tracing::subscriber::set_global_default(subscriber).unwrap();

    let (keystone, _, client) = setup().await;
    keystone.add("secret-user", token("ann", &["member"], START + 9000));
    keystone.add("secret-service", token("nova", &["service"], START + 9000));
    let headers = |user: &'static str, service: &'static str| {
        let mut headers = HeaderMap::new();
        headers.insert("x-auth-token", HeaderValue::from_static(user));
        headers.insert("x-service-token", HeaderValue::from_static(service));
        headers
    };
    let found =
        authenticate_request(&client, &Method::GET, "/v2/p1/jobs", &headers("secret-user", "secret-service"))
            .await
            .unwrap();
    let mut shown = format!("{found:?} {client:?}");
    let roles = ["member".to_owned()];
    let trust = client.find_or_create_trust("secret-user", "ann", "p1", &roles, false).await.unwrap().trust;
    client.delete_trust("secret-user", &trust.id).await.unwrap();
    for (user, service) in [("secret-none", "secret-service"), ("secret-user", "secret-none")] {
        let error = authenticate_request(&client, &Method::GET, "/v2/p1/jobs", &headers(user, service))
            .await
            .unwrap_err();
        shown += &format!("{error} {error:?}");
    }
    keystone.state().own.clear();
    keystone.state().on_validate = Answer::Close;
    let error = client.validate("secret-late").await.unwrap_err();
    shown += &format!("{error} {error:?}");
    keystone.state().on_authenticate = Answer::Status(401, r#"{"error": {"message": "no secret-x"}}"#);
    keystone.state().on_validate = Answer::Status(401, "{}");
    let error = client.validate("secret-later").await.unwrap_err();
    shown += &format!("{error} {error:?}");

    let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert!(log.contains("Keystone accepted a token"), "the log was written: {log}");
    assert!(log.contains("created a trust"), "{log}");
    assert!(log.contains("could not authenticate at Keystone"), "{log}");
    for secret in ["secret-", "own-token-", PASSWORD] {
        assert!(!log.contains(secret), "{secret} in {log}");
        assert!(!shown.contains(secret), "{secret} in {shown}");
    }
}
