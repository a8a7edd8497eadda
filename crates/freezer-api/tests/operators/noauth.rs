//! Requests without authentication: the accepted names in `Host`, and the accepted origins of web pages.

use std::io::Write;

use crate::process::{Scratch, Service, parse, read_all};
use crate::reload::start;

/// Returns the status of a request with these lines after its request line.
fn status(service: &Service, version: &str, headers: &str) -> u16 {
    status_at("/v2/p1/jobs", service, version, headers)
}

fn status_at(target: &str, service: &Service, version: &str, headers: &str) -> u16 {
    let mut stream = service.connect();
    let request = format!("GET {target} HTTP/{version}\r\n{headers}Connection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    parse(&read_all(&mut stream)).0
}

#[test]
fn only_configured_names_and_own_pages_are_served() {
    let scratch = Scratch::new();
    let service = start(&scratch, "", "[api]\nnoauth_hosts = freezer.dev.example, Other.Example.\n");
    let with_host = |host: &str| status(&service, "1.1", &format!("Host: {host}\r\n"));
    for host in [
        "freezer.dev.example",
        "FREEZER.dev.example:9090",
        "freezer.dev.example.:80",
        "other.example",
        "localhost:1",
        "LocalHost.",
        "a.localhost",
        "127.0.0.1",
        "[::1]:9090",
        "[0:0:0:0:0:0:0:1]",
    ] {
        assert_eq!(with_host(host), 200, "{host}");
    }
    for (host, expected) in [
        // The owner of such a name can let it resolve to 127.0.0.1.
        ("evil.example", 403),
        ("dev.example", 403),
        ("freezer.dev.example.evil.example:9090", 403),
        ("127.0.0.1.nip.io", 403),
        ("192.0.2.1", 403),
        ("[2001:db8::1]:9090", 403),
        ("", 403),
        ("::1", 400),
        ("freezer.dev.example:port", 400),
        ("freezer.dev.example, localhost", 400),
        ("evil.example@localhost", 400),
    ] {
        assert_eq!(with_host(host), expected, "{host}");
    }
    let with_origin =
        |host: &str, origin: &str| status(&service, "1.1", &format!("Host: {host}\r\nOrigin: {origin}\r\n"));
    assert_eq!(with_origin("freezer.dev.example:9090", "http://freezer.dev.example:9090"), 200);
    for origin in ["null", "http://evil.example", "http://freezer.dev.example", "http://localhost:9090", ""] {
        assert_eq!(with_origin("freezer.dev.example:9090", origin), 403, "{origin}");
    }
    // Browsers never send a request without Host.
    assert_eq!(status(&service, "1.0", ""), 200);
    assert_eq!(status(&service, "1.0", "Origin: http://evil.example\r\n"), 403);
    assert_eq!(status(&service, "1.0", "Host: evil.example\r\n"), 403);
    assert_eq!(status(&service, "1.1", ""), 400);
}

#[test]
fn the_host_of_an_absolute_address_is_checked_whatever_its_path() {
    let scratch = Scratch::new();
    let service = start(&scratch, "", "[api]\nnoauth_hosts = freezer.dev.example\n");
    for path in [
        "/v2/p1/jobs",
        "//v2//p1/jobs",
        "/v2/p1/jobs/",
        "/v2/p1//jobs?limit=1",
        "/./v2/p1/jobs",
        "/v2/p1/x/../jobs",
        "/v2/p1/%6aobs",
        "/v2/p1/jobs/?marker=%2F",
    ] {
        for (host, expected) in [
            ("localhost", 200),
            ("FREEZER.dev.example:9090", 200),
            ("evil.example", 403),
            ("evil.example:80", 403),
            ("localhost.evil.example", 403),
            ("localhost@evil.example", 403),
            ("localhost:1@evil.example:80", 403),
        ] {
            let target = format!("http://{host}{path}");
            let status = status_at(&target, &service, "1.1", "Host: localhost\r\n");
            // the query of the last path names no document
            let expected = if expected == 200 && path.contains("marker") { 400 } else { expected };
            assert_eq!(status, expected, "{target}");
        }
    }
}
