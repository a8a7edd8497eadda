//! Requests of web pages of other origins, on real sockets. `config/cors.rs` compares all answers with those of
//! oslo.middleware; this file tests where they come from: errors of every kind, and preflight requests without a token.

use std::net::SocketAddr;
use std::process::Command;
use std::sync::Arc;

use freezer_api::app::HttpSettings;
use freezer_api::config::{AuthStrategy, Listen};
use freezer_api::cors::Cors;
use freezer_api::readiness::Wait;
use freezer_api::server;
use http::HeaderValue;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::oneshot;

use crate::keystone::{START, token};
use crate::support::{TestApp, bounded};
use crate::{World, on_both_engines};

on_both_engines! {
    every_answer_can_be_read_by_an_allowed_page,
    preflight_requests_need_no_token,
    without_origins_nothing_changes,
}

const PAGE: &str = "Origin: https://horizon.example\r\n";
const ALLOWED: &str = "access-control-allow-origin: https://horizon.example\r\n";

fn with_origin(http: &mut HttpSettings) {
    http.cors = Some(Arc::new(Cors {
        origins: vec![HeaderValue::from_static("https://horizon.example")],
        credentials: true,
        exposed: Some(HeaderValue::from_static("X-Openstack-Request-Id")),
        max_age: Some(HeaderValue::from_static("3600")),
        methods: ["GET", "POST", "DELETE"].map(str::to_owned).to_vec(),
        headers: vec!["X-Auth-Token".to_owned()],
    }));
}

/// The service on a socket. It stops when this value is dropped.
struct Served {
    address: SocketAddr,
    _stop: oneshot::Sender<()>,
}

async fn serve(app: &TestApp) -> Served {
    let (stop, stopped) = oneshot::channel::<()>();
    for port in (20_000..32_000).skip(usize::try_from(std::process::id() % 9_000).unwrap()) {
        if let Ok(listener) = server::listen(&Listen::on("127.0.0.1", port), AuthStrategy::NoAuth).await {
            let address = listener.local_addr().unwrap();
            tokio::spawn(server::serve(listener, app.app().clone(), async {
                let _ = stopped.await;
            }));
            return Served { address, _stop: stop };
        }
    }
    panic!("no port was free");
}

impl Served {
    /// Sends a request. Returns the head of the answer in lower case, and its body.
    async fn ask(&self, method: &str, path: &str, headers: &str, body: &str) -> (String, String) {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        let length = body.len();
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: {length}\r\n{headers}\r\n{body}"
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        bounded(stream.read_to_string(&mut answer)).await.unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (format!("{head}\r\n").to_lowercase(), body.to_owned())
    }
}

async fn every_answer_can_be_read_by_an_allowed_page(world: World) {
    world.user("ann");
    world.keystone.add("stranger", token("stranger", &["nobody"], START + 9000));
    let app = world.app_with_http(with_origin).await;
    let served = serve(&app).await;
    let (ann, stranger) = ("X-Auth-Token: ann\r\n", "X-Auth-Token: stranger\r\n");
    let large = "x".repeat(200_000);
    for (status, method, path, headers, body, vary) in [
        (200, "GET", "/v2/p1/jobs", ann, "", "origin"),
        (201, "POST", "/v2/p1/sessions", ann, "{\"schedule\": {}}", "origin"),
        (204, "DELETE", "/v2/p1/jobs/unknown", ann, "", "origin"),
        (300, "GET", "/", "", "", "origin"),
        (200, "GET", "/healthcheck", "", "", "origin"),
        (400, "POST", "/v2/p1/sessions", ann, "{", "accept,origin"),
        (401, "GET", "/v2/p1/jobs", "", "", "origin"),
        (401, "GET", "/v2/p1/jobs", "X-Auth-Token: unknown\r\n", "", "origin"),
        (403, "GET", "/v2/p1/jobs", stranger, "", "accept,origin"),
        (404, "GET", "/v2/p1/jobs/unknown", ann, "", ""),
        (404, "GET", "/v2/p1/unknown", ann, "", "accept,origin"),
        (405, "PUT", "/v2/p1/jobs", ann, "", "accept,origin"),
        (413, "POST", "/v2/p1/sessions", ann, &large, "accept,origin"),
    ] {
        let (head, _) = served.ask(method, path, &format!("{PAGE}{headers}"), body).await;
        assert!(head.starts_with(&format!("http/1.1 {status} ")), "{method} {path}: {head}");
        assert!(head.contains(ALLOWED), "{method} {path}: {head}");
        assert!(head.contains("access-control-allow-credentials: true\r\n"), "{head}");
        assert!(head.contains("access-control-expose-headers: x-openstack-request-id\r\n"), "{head}");
        assert!(vary.is_empty() || head.contains(&format!("vary: {vary}\r\n")), "{method} {path}: {head}");
        // A page of another origin, and clients that are not browsers
        for headers in [format!("Origin: https://evil.example\r\n{headers}"), headers.to_owned()] {
            let (head, _) = served.ask(method, path, &headers, body).await;
            assert!(!head.contains("access-control") && !head.contains("origin"), "{method} {path}: {head}");
        }
    }
    // Busy: too many connections of an address
    let limited = |http: &mut HttpSettings| {
        with_origin(http);
        http.connections.per_peer = Some(1);
    };
    let busy = world.app_with_http(limited).await;
    let served = serve(&busy).await;
    let _first = TcpStream::connect(served.address).await.unwrap();
    tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    let (head, _) = served.ask("GET", "/v2/p1/jobs", &format!("{PAGE}{ann}"), "").await;
    assert!(head.starts_with("http/1.1 429 ") && head.contains(ALLOWED), "{head}");
    let preflight = format!("{PAGE}Access-Control-Request-Method: GET\r\n");
    let (head, _) = served.ask("OPTIONS", "/v2/p1/jobs", &preflight, "").await;
    assert!(head.starts_with("http/1.1 200 ") && head.contains(ALLOWED), "{head}");
    // The database is not ready.
    let waiting = world.app_with_http(with_origin).await;
    waiting.app().readiness.set(Some(Wait::Database));
    let served = serve(&waiting).await;
    let (head, _) = served.ask("GET", "/v2/p1/jobs", &format!("{PAGE}{ann}"), "").await;
    assert!(
        head.starts_with("http/1.1 503 ") && head.contains(ALLOWED) && head.contains("retry-after"),
        "{head}"
    );
    let (head, _) = served.ask("OPTIONS", "/v2/p1/jobs", &preflight, "").await;
    assert!(head.starts_with("http/1.1 200 ") && head.contains(ALLOWED), "{head}");
}

async fn preflight_requests_need_no_token(world: World) {
    let app = world.app_with_http(with_origin).await;
    let served = serve(&app).await;
    let calls = |world: &World| world.keystone.state().seen.len();
    let before = calls(&world);
    let asks = "Access-Control-Request-Method: POST\r\nAccess-Control-Request-Headers: x-auth-token, content-type\r\n";
    for path in ["/v2/p1/jobs", "/v2/p1/jobs/j/event", "/v2/p1/unknown", "/", "/healthcheck"] {
        let (head, body) = served.ask("OPTIONS", path, &format!("{PAGE}{asks}"), "").await;
        assert!(head.starts_with("http/1.1 200 ") && body.is_empty(), "{path}: {head}");
        for line in [
            ALLOWED,
            "access-control-allow-methods: post\r\n",
            "access-control-allow-headers: x-auth-token,content-type\r\n",
            "access-control-max-age: 3600\r\n",
            "vary: origin\r\n",
            "x-openstack-request-id: req-",
        ] {
            assert!(head.contains(line), "{path}: no {line} in {head}");
        }
        for refused in [
            format!("Origin: https://evil.example\r\n{asks}"),
            format!("{PAGE}Access-Control-Request-Method: PUT\r\n"),
            format!(
                "{PAGE}Access-Control-Request-Method: POST\r\nAccess-Control-Request-Headers: X-Other\r\n"
            ),
            PAGE.to_owned(),
        ] {
            let (head, _) = served.ask("OPTIONS", path, &refused, "").await;
            assert!(
                head.starts_with("http/1.1 200 ") && !head.contains("access-control"),
                "{refused}: {head}"
            );
        }
    }
    assert_eq!(calls(&world), before, "Keystone is not called");
    // A request that breaks the rules of HTTP is refused.
    let (head, _) = served.ask("OPTIONS", "/v2/p1/jobs", &format!("{PAGE}{asks}Host: other\r\n"), "").await;
    assert!(head.starts_with("http/1.1 400 "), "{head}");
}

async fn without_origins_nothing_changes(world: World) {
    world.user("ann");
    let app = world.app().await;
    let served = serve(&app).await;
    let preflight = format!("{PAGE}Access-Control-Request-Method: GET\r\n");
    let (head, _) = served.ask("OPTIONS", "/v2/p1/jobs", &preflight, "").await;
    assert!(head.starts_with("http/1.1 401 ") && !head.contains("access-control"), "{head}");
    let (head, _) = served.ask("GET", "/v2/p1/jobs", &format!("{PAGE}X-Auth-Token: ann\r\n"), "").await;
    assert!(
        head.starts_with("http/1.1 200 ") && !head.contains("access-control") && !head.contains("vary"),
        "{head}"
    );
}

/// The recorded answers are those of the installed oslo.middleware.
#[test]
fn recorded_answers_are_current() {
    let Some(python) = std::env::var_os("FREEZER_TEST_PYTHON").filter(|python| !python.is_empty()) else {
        crate::support::skipped("cors", "FREEZER_TEST_PYTHON is not set");
        return;
    };
    let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/oracle");
    let mut check = Command::new(python);
    check.args(["cors.py", "--check", "cors.json"]).current_dir(directory);
    let done = check.output().unwrap();
    assert!(
        done.status.success(),
        "{}{}",
        String::from_utf8_lossy(&done.stdout),
        String::from_utf8_lossy(&done.stderr)
    );
}
