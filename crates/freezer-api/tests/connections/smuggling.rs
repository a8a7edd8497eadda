//! Requests that a proxy in front of the service could parse differently. Each of them must be rejected, and later
//! bytes on the connection must not be answered.

use std::time::Duration;

use crate::client::Client;
use crate::served;

const CHUNKS: &str = "2\r\n{}\r\n0\r\n\r\n";
/// A request that must not be answered after a rejected one.
const BEHIND: &str = "GET /v2/p1/jobs HTTP/1.1\r\nHost: localhost\r\n\r\n";

/// Sends a request, at once and with a pause, and expects one answer with this status, in JSON, and the end of the
/// connection.
#[track_caller]
fn refused(address: std::net::SocketAddr, request: &str, status: u16) {
    let shown: String = request.chars().take(200).collect();
    for before in ["", "GET /healthcheck HTTP/1.1\r\nHost: localhost\r\n\r\n"] {
        for pause in [false, true] {
            let text = format!("{before}{request}{BEHIND}");
            let (first, second) = text.split_at(if pause { before.len() + request.len() / 2 } else { 0 });
            let mut client = Client::connect(address);
            client.send(first);
            if pause {
                std::thread::sleep(Duration::from_millis(5));
            }
            client.send_some(second.as_bytes());
            if !before.is_empty() {
                assert_eq!(client.answer().status, 200);
            }
            let answer = client.answer();
            assert_eq!(
                (answer.status, answer.header("connection")),
                (status, Some("close")),
                "{shown:?} {pause}: {answer:?}"
            );
            let body = answer.json();
            assert!(body["title"].is_string() && body["description"].is_string(), "{shown:?}: {body}");
            assert!(answer.header("x-openstack-request-id").is_some_and(|id| id.starts_with("req-")));
            assert_eq!(answer.header("content-type"), Some("application/json"), "{shown:?}");
            client.closed();
        }
    }
}

#[test]
fn transfer_codings_other_than_one_chunked_are_rejected() {
    served(
        "codings",
        |_| (),
        |served| {
            for (coding, status) in [
                ("gzip, chunked", 501),
                ("gzip,chunked", 501),
                ("identity, chunked", 501),
                ("x\tchunked, chunked", 501),
                ("chunked;q=1, chunked", 501),
                ("gzip\r\nTransfer-Encoding: chunked", 501),
                ("deflate\r\nX: y\r\ntransfer-encoding: chunked", 501),
                ("chunked, chunked", 400),
                ("Chunked ,\tCHUNKED", 400),
                ("chunked\r\nTransfer-Encoding: chunked", 400),
                ("chunked, gzip", 400),
                ("gzip", 400),
                ("chunked\r\nTransfer-Encoding: identity", 400),
                ("xchunked", 400),
                ("\"chunked\"", 400),
                ("", 400),
            ] {
                for method in ["GET /v2/p1/jobs", "POST /v2/p1/backups", "GET /healthcheck"] {
                    let head = format!(
                        "{method} HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: {coding}\r\n\r\n"
                    );
                    refused(served.address, &format!("{head}{CHUNKS}"), status);
                }
            }
            // An empty element of a list has no meaning.
            for coding in ["chunked", "CHUNKED", ", chunked", " chunked "] {
                let mut client = Client::connect(served.address);
                client.send(format!(
                    "GET /v2/p1/jobs HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: {coding}\r\n\r\n{CHUNKS}{BEHIND}"
                ));
                assert_eq!((client.answer().status, client.answer().status), (200, 200), "{coding}");
            }
        },
    );
}

#[test]
fn a_request_must_have_one_host() {
    served(
        "hosts",
        |_| (),
        |served| {
            for hosts in [
                "",
                "Host: localhost\r\nHost: localhost\r\n",
                "Host: localhost\r\nX: y\r\nhost: g\r\n",
                "Host: a, b\r\n",
                "Host: a b\r\n",
                "Host: user@f\r\n",
                "Host: http://f\r\n",
                "Host: f:port\r\n",
                "Host: f:99999\r\n",
                "Host: [::1\r\n",
                "Host: f/..\r\n",
            ] {
                for path in ["/", "/v2/p1/jobs", "http://f/v2/p1/jobs"] {
                    refused(served.address, &format!("GET {path} HTTP/1.1\r\n{hosts}\r\n"), 400);
                }
                if !hosts.is_empty() {
                    refused_in_1_0(served.address, hosts);
                }
            }
            for host in ["Host: f", "Host: [::1]:9090", "Host: freezer_api:9090", "Host:", "HOST: 127.0.0.1"]
            {
                let mut client = Client::connect(served.address);
                // Without authentication, other paths are only served for loopback names.
                client.send(format!("GET /healthcheck HTTP/1.1\r\n{host}\r\n\r\n"));
                assert_eq!(client.answer().status, 200, "{host}");
            }
            let mut client = Client::connect(served.address);
            client.send("GET /v2/p1/jobs HTTP/1.0\r\n\r\n");
            assert_eq!(client.answer().status, 200, "HTTP/1.0 needs no Host");
        },
    );
}

fn refused_in_1_0(address: std::net::SocketAddr, hosts: &str) {
    let mut client = Client::connect(address);
    client.send(format!("GET / HTTP/1.0\r\nConnection: keep-alive\r\n{hosts}\r\n{BEHIND}"));
    assert_eq!(client.answer().status, 400, "{hosts}");
    client.closed();
}

#[test]
fn ambiguous_heads_and_lengths_are_rejected() {
    served(
        "two_ways",
        |_| (),
        |served| {
            for headers in [
                "X: a\r\n b\r\n",
                " X: a\r\n",
                "\tTransfer-Encoding: chunked\r\n",
                "X : a\r\n",
                "Content-Length : 2\r\n",
                "Transfer-Encoding\t: chunked\r\n",
                "X: a\rb\r\n",
                "X: a\r\r\n",
                "X\r: a\r\n",
                "X: a\0b\r\n",
                "X\r\n",
                ": x\r\n",
                "X(y): z\r\n",
                "Content-Length: 2\r\nContent-Length: 3\r\n",
                "Content-Length: 2, 2\r\n",
                "Content-Length: 2, 3\r\n",
                "Content-Length: 2,\r\n",
                "Content-Length: 2\r\nContent-Length: +2\r\n",
                "Content-Length: 2\r\nContent-Length: 18446744073709551615\r\n",
                "Content-Length: 2 2\r\n",
                "Content-Length: 2x\r\n",
                "Content-Length: 0x2\r\n",
                "Content-Length: -2\r\n",
                "Content-Length: +2\r\n",
                "Content-Length: \r\n",
                "Content-Length: 18446744073709551616\r\n",
                "Content-Length: 0018446744073709551616\r\n",
                "Content-Length: +18446744073709551615\r\n",
                "Content-Length: 99999999999999999999999999999999999999999999999999999999999999999999\r\n",
                "Content-Length: 2\r\nTransfer-Encoding: chunked\r\n",
                "Transfer-Encoding: chunked\r\nContent-Length: 0\r\n",
            ] {
                let request = format!("GET /v2/p1/jobs HTTP/1.1\r\nHost: localhost\r\n{headers}\r\n{{}}");
                refused(served.address, &request, 400);
            }
            // The largest numbers that are in range, and the first ones that are not.
            for length in [
                "18446744073709551615",
                "18446744073709551614",
                "18446744073709551613",
                "0018446744073709551615",
                "9223372036854775808",
                "18446744073709551615\r\nContent-Length: 18446744073709551615",
            ] {
                for path in ["/v2/p1/backups", "/healthcheck"] {
                    let post = format!(
                        "POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n\r\n"
                    );
                    let is_read = length.starts_with('9') || length.ends_with("613");
                    if path == "/v2/p1/backups" || !is_read {
                        refused(served.address, &post, 413);
                    }
                }
            }
            for line in ["GET  /v2/p1/jobs HTTP/1.1", "GET /v2/p1 jobs HTTP/1.1", "GET /v2/p1/jobs HTTP/1.2"]
            {
                refused(served.address, &format!("{line}\r\nHost: localhost\r\n\r\n"), 400);
            }
            let chunked =
                "POST /v2/p1/backups HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n";
            for chunks in [
                "0x2\r\n{}\r\n0\r\n\r\n",
                "+2\r\n{}\r\n0\r\n\r\n",
                "2\n{}\n0\n\n",
                "2 x\r\n{}\r\n0\r\n\r\n",
                "2;a\nb\r\n{}\r\n0\r\n\r\n",
                "2\r\n{}0\r\n\r\n",
                "10000000000000002\r\n{}\r\n0\r\n\r\n",
                "2\r\n{}\r\n0\r\nNo colon\r\n\r\n",
            ] {
                refused(served.address, &format!("{chunked}{chunks}"), 400);
            }
            // Leading zeros are ignored.
            let mut client = Client::connect(served.address);
            let zeros = "0".repeat(100);
            client.send(format!(
                "GET /v2/p1/jobs HTTP/1.1\r\nHost: localhost\r\nContent-Length: {zeros}2\r\n\r\n{{}}{BEHIND}"
            ));
            assert_eq!((client.answer().status, client.answer().status), (200, 200));
            // Two equal lengths count as one.
            let mut client = Client::connect(served.address);
            client.send(format!(
                "GET /v2/p1/jobs HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\n{{}}{BEHIND}"
            ));
            assert_eq!((client.answer().status, client.answer().status), (200, 200));
        },
    );
}

#[test]
fn heads_over_a_limit_are_rejected_in_json() {
    served(
        "over",
        |_| (),
        |served| {
            let many: String = (0..120).map(|number| format!("X-{number}: y\r\n")).collect();
            for (head, status) in [
                (format!("GET / HTTP/1.1\r\nHost: localhost\r\n{many}\r\n"), 431),
                (format!("GET / HTTP/1.1\r\nHost: localhost\r\nX: {}\r\n\r\n", "x".repeat(132_000)), 431),
                (format!("GET /{} HTTP/1.1\r\nHost: localhost\r\n\r\n", "x".repeat(70_000)), 414),
            ] {
                refused(served.address, &head, status);
            }
        },
    );
}

#[test]
fn http_1_0_keeps_a_connection_only_on_request() {
    served(
        "http_1_0",
        |_| (),
        |served| {
            let keep = "GET /v2/p1/jobs HTTP/1.0\r\nConnection: keep-alive\r\n\r\n";
            let mut client = Client::connect(served.address);
            for _ in 0..3 {
                client.send(keep);
                let answer = client.answer();
                assert_eq!((answer.status, answer.header("connection")), (200, Some("keep-alive")));
            }
            client.send("GET /v2/p1/jobs HTTP/1.0\r\n\r\n");
            assert_eq!(client.answer().status, 200);
            client.closed();
            let chunked = "POST /v2/p1/backups HTTP/1.0\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n";
            let mut client = Client::connect(served.address);
            client.send(format!("{chunked}{CHUNKS}{BEHIND}"));
            let answer = client.answer();
            assert_eq!((answer.status, answer.json()["title"].as_str()), (400, Some("Malformed request")));
            client.closed();
        },
    );
}
