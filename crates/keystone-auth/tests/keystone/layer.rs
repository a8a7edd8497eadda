//! The tower layer around a small service.

use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use http::header::WWW_AUTHENTICATE;
use http::{HeaderMap, Request, Response, StatusCode};
use keystone_auth::{AuthError, AuthTokenLayer, Authenticated, KeystoneClient};
use tower::{Layer, Service, ServiceExt, service_fn};

use crate::support::{Answer, START, setup, setup_with, token};

type Heard = Arc<Mutex<Option<(HeaderMap, Option<Authenticated>)>>>;

/// A service inside the layer that records its request and answers `status`.
fn service(
    client: &KeystoneClient,
    status: StatusCode,
) -> (impl Service<Request<String>, Response = Response<String>, Error = Infallible> + Clone, Heard) {
    let heard: Heard = Arc::default();
    let note = Arc::clone(&heard);
    let inner = service_fn(move |request: Request<String>| {
        let note = Arc::clone(&note);
        async move {
            let who = request.extensions().get::<Authenticated>().cloned();
            *note.lock().unwrap() = Some((request.headers().clone(), who));
            let answer = Response::builder().status(status).body(request.into_body());
            Ok::<_, Infallible>(answer.unwrap())
        }
    });
    let layer = AuthTokenLayer::new(client.clone(), |error: AuthError| {
        let status = if error.needs_authentication() { 401 } else { 503 };
        Response::builder().status(status).body(error.to_string()).unwrap()
    });
    (layer.layer(inner), heard)
}

fn request(pairs: &[(&str, &str)]) -> Request<String> {
    let mut request = Request::builder().uri("/v2/p1/jobs");
    for (name, value) in pairs {
        request = request.header(*name, *value);
    }
    request.body("the body".to_owned()).unwrap()
}

#[tokio::test]
async fn an_authenticated_request_passes_with_forged_headers_removed() {
    let (keystone, _, client) = setup().await;
    keystone.add("user", token("ann", &["member"], START + 9000));
    let (service, heard) = service(&client, StatusCode::OK);
    let forged = [
        "X-Identity-Status",
        "X-Service-Identity-Status",
        "X-Is-Admin-Project",
        "X-Service-Catalog",
        "X-User-Id",
        "X-User-Name",
        "X-User-Domain-Id",
        "X-User-Domain-Name",
        "X-Roles",
        "X-Role",
        "X-User",
        "X-Tenant",
        "X-Tenant-Id",
        "X-Tenant-Name",
        "X-Project-Id",
        "X-Project-Name",
        "X-Project-Domain-Id",
        "X-Project-Domain-Name",
        "X-Domain-Id",
        "X-Domain-Name",
        "X-Service-User-Id",
        "X-Service-User-Name",
        "X-Service-User-Domain-Id",
        "X-Service-User-Domain-Name",
        "X-Service-Project-Id",
        "X-Service-Project-Name",
        "X-Service-Project-Domain-Id",
        "X-Service-Project-Domain-Name",
        "X-Service-Domain-Id",
        "X-Service-Domain-Name",
        "X-Service-Roles",
        "OpenStack-System-Scope",
    ];
    let mut pairs: Vec<(&str, &str)> = forged.iter().map(|name| (*name, "forged")).collect();
    pairs.extend([("X-Auth-Token", "user"), ("X-Client", "kept")]);
    let response = service.oneshot(request(&pairs)).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(response.body(), "the body");
    assert_eq!(response.headers().get(WWW_AUTHENTICATE), None);

    let (headers, who) = heard.lock().unwrap().take().unwrap();
    let left: Vec<_> = headers.keys().map(http::HeaderName::as_str).collect();
    assert_eq!(left.len(), 2, "{left:?}");
    assert_eq!(
        (&headers["x-auth-token"], &headers["x-client"]),
        (&"user".parse().unwrap(), &"kept".parse().unwrap())
    );
    let who = who.unwrap();
    assert_eq!((&*who.user.user_id, who.service), ("ann", None));
}

#[tokio::test]
async fn a_refused_request_never_reaches_the_service() {
    let (_keystone, _, client) = setup_with(|settings| {
        settings.www_authenticate_uri = Some("https://cloud.example/identity".to_owned());
    })
    .await;
    let (service, heard) = service(&client, StatusCode::OK);
    for pairs in [&[][..], &[("x-auth-token", "t-forged")], &[("x-user-id", "ann")]] {
        let response = service.clone().oneshot(request(pairs)).await.unwrap();
        assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
        let header = &response.headers()[WWW_AUTHENTICATE];
        assert_eq!(header, "Keystone uri=\"https://cloud.example/identity\"");
        assert!(!response.body().contains("t-forged"), "{}", response.body());
    }
    assert!(heard.lock().unwrap().is_none());
}

#[tokio::test]
async fn an_outage_gives_the_response_of_refuse_without_the_header() {
    let (keystone, _, client) = setup().await;
    keystone.state().on_authenticate = Answer::Status(503, "{}");
    let (service, heard) = service(&client, StatusCode::OK);
    let response = service.oneshot(request(&[("x-auth-token", "user")])).await.unwrap();
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(response.headers().get(WWW_AUTHENTICATE), None);
    assert!(heard.lock().unwrap().is_none());
}

#[tokio::test]
async fn a_401_of_the_inner_service_gets_the_header_too() {
    let (keystone, _, client) = setup().await;
    keystone.add("user", token("ann", &["member"], START + 9000));
    let (service, _) = service(&client, StatusCode::UNAUTHORIZED);
    let response = service.oneshot(request(&[("x-auth-token", "user")])).await.unwrap();
    assert_eq!(response.headers()[WWW_AUTHENTICATE], format!("Keystone uri=\"{}\"", keystone.url));
}

#[test]
fn the_layer_can_be_shared_between_threads() {
    fn shared<T: Clone + Send + Sync + 'static>(_: &T) {}
    fn check<F: Fn(AuthError) -> Response<String> + Send + Sync + 'static>(layer: &AuthTokenLayer<F>) {
        shared(layer);
        shared(&layer.layer(()));
    }
    // This test only has to compile.
    let _ = check::<fn(AuthError) -> Response<String>>;
}
