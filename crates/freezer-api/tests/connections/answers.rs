//! Clients must receive complete answers, even if the service has not read the body of the request.

use std::time::Duration;

use serde_json::json;

use crate::client::Client;
use crate::support::documents::{backup, with};
use crate::{Served, served};

/// Number of repetitions of each case, because a reset overtakes the answer only sometimes.
const TIMES: usize = 12;

fn large_backup(served: &Served<'_>, bytes: usize) -> String {
    let document = with(backup("large"), json!({"padding": "x".repeat(bytes)}));
    served.runtime.block_on(async { served.app.member().add_backup("p1", document).await })
}

fn chunked(body: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for chunk in body.chunks(10_000) {
        bytes.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
        bytes.extend_from_slice(chunk);
        bytes.extend_from_slice(b"\r\n");
    }
    bytes.extend_from_slice(b"0\r\n\r\n");
    bytes
}

#[test]
fn the_answer_to_an_unread_body_arrives() {
    served(
        "unread",
        |_| (),
        |served| {
            let document = format!("/v2/p1/backups/{}", large_backup(&served, 70_000));
            let body = vec![b' '; 3_000_000];
            for (what, method, path, headers, status) in [
                ("one document", "GET", document.as_str(), "", 200),
                ("one document, its head", "HEAD", &document, "", 200),
                ("not there", "GET", "/v2/p1/backups/unknown", "", 404),
                ("no path", "POST", "/v2/p1/nothing", "", 404),
                ("no method", "PUT", "/v2/p1/backups", "", 405),
                ("not acceptable", "POST", "/v2/p1/backups", "Accept: text/html\r\n", 406),
                ("not known", "POST", "/v2/p1/backups", "X-Identity-Status: Invalid\r\n", 401),
                ("not allowed", "POST", "/v2/p1/backups", "X-Roles: nobody\r\nX-Project-Id: p1\r\n", 403),
                ("too large", "POST", "/v2/p1/backups", "", 413),
                ("too large a search", "GET", "/v2/p1/jobs", "", 413),
                ("nothing to delete", "DELETE", "/v2/p1/clients/unknown", "", 204),
                ("expectation", "POST", "/v2/p1/backups", "Expect: wonders\r\n", 417),
                ("open to all", "GET", "/healthcheck", "", 200),
            ] {
                for version in ["1.1", "1.0"] {
                    for chunks in [false, true] {
                        if chunks && version == "1.0" {
                            continue;
                        }
                        let length = if chunks {
                            "Transfer-Encoding: chunked".to_owned()
                        } else {
                            format!("Content-Length: {}", body.len())
                        };
                        let head = format!(
                            "{method} {path} HTTP/{version}\r\nHost: localhost\r\n{headers}{length}\r\n\r\n"
                        );
                        let sent = if chunks { chunked(&body) } else { body.clone() };
                        for time in 0..TIMES {
                            let case = format!("{what}, HTTP/{version}, chunks {chunks}, time {time}");
                            let mut client = Client::connect(served.address);
                            if time % 3 == 1 {
                                client = client.reading(7_001, Duration::from_millis(1));
                            }
                            client.send(&head);
                            client.send(&sent);
                            if time % 3 == 2 {
                                std::thread::sleep(Duration::from_millis(20));
                            }
                            let answer =
                                if method == "HEAD" { client.answer_to_head() } else { client.answer() };
                            assert_eq!(answer.status, status, "{case}: {answer:?}");
                            if document == path && method == "GET" {
                                assert!(answer.body.len() > 70_000, "{case}");
                            }
                            client.closed();
                        }
                    }
                }
            }
        },
    );
}

#[test]
fn the_answer_to_an_invalid_head_arrives() {
    served(
        "heads",
        |_| (),
        |served| {
            let more = vec![b'x'; 2_000_000];
            for (head, status) in [
                ("GET / HTTP/1.1\r\nHost: localhost\r\nNo colon\r\n\r\n".to_owned(), 400),
                (
                    "POST /v2/p1/backups HTTP/1.1\r\nHost: localhost\r\nContent-Length: many\r\n\r\n"
                        .to_owned(),
                    400,
                ),
                (format!("GET /{} HTTP/1.1\r\nHost: localhost\r\n\r\n", "x".repeat(70_000)), 414),
                (format!("GET / HTTP/1.1\r\nHost: localhost\r\nX: {}", "x".repeat(600_000)), 431),
            ] {
                for time in 0..TIMES {
                    let mut client = Client::connect(served.address);
                    client.send_some(head.as_bytes());
                    client.send_some(&more);
                    let answer = client.answer();
                    assert_eq!(answer.status, status, "{head:.60} {time}");
                }
            }
        },
    );
}

#[test]
fn a_client_that_sends_before_it_reads_gets_a_large_answer() {
    served(
        "both_ways",
        |http| {
            http.max_body = 20_000_000;
            http.max_document = 20_000_000;
        },
        |served| {
            let document = format!("/v2/p1/backups/{}", large_backup(&served, 12_000_000));
            let body = vec![b' '; 24_000_000];
            let mut client = Client::with_small_buffer(served.runtime, served.address);
            client.send(format!(
                "GET {document} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n",
                body.len()
            ));
            client.send(&body);
            let answer = client.answer();
            assert_eq!(answer.status, 200);
            assert!(answer.body.len() > 12_000_000);
        },
    );
}

#[test]
fn a_connection_is_kept_after_a_small_unread_body() {
    served(
        "kept",
        |_| (),
        |served| {
            let document = format!("/v2/p1/backups/{}", large_backup(&served, 70_000));
            for pause in [0, 50] {
                let mut client = Client::connect(served.address);
                for _ in 0..5 {
                    let body = vec![b' '; 20_000];
                    client.send(format!(
                        "GET {document} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n",
                        body.len()
                    ));
                    let (first, second) = body.split_at(5_000);
                    client.send(first);
                    std::thread::sleep(Duration::from_millis(pause));
                    client.send(second);
                    let answer = client.answer();
                    assert_eq!((answer.status, answer.header("connection")), (200, None), "{answer:?}");
                }
            }
            // A large unread body causes the service to announce the end of the connection.
            let mut client = Client::connect(served.address);
            client.send(format!(
                "GET {document} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5000000\r\n\r\n"
            ));
            let answer = client.answer();
            assert_eq!((answer.status, answer.header("connection")), (200, Some("close")), "{answer:?}");
            client.closed();
        },
    );
}

#[test]
fn pipelined_requests_are_all_answered() {
    served(
        "pipelined",
        |_| (),
        |served| {
            let document = format!("/v2/p1/backups/{}", large_backup(&served, 70_000));
            let search = r#"{"match_not": [{"status": "completed"}]}"#;
            let mut requests = String::new();
            for _ in 0..4 {
                requests.push_str(&format!(
                    "GET {document} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\n\r\n    "
                ));
                let length = search.len();
                requests.push_str(&format!(
                    "GET /v2/p1/jobs HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n\r\n{search}"
                ));
                requests.push_str(
                    "GET /v2/p1/jobs HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n",
                );
                requests.push_str("2\r\n{}\r\n0\r\n\r\n");
                requests.push_str("GET /v1 HTTP/1.1\r\nHost: localhost\r\n\r\n");
            }
            requests.push_str("GET /healthcheck HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
            // Bytes after the last request get no answer, but the answers before them must not be lost.
            requests.push_str(&"GET /healthcheck HTTP/1.1\r\nHost: localhost\r\n\r\n".repeat(20_000));
            for _ in 0..TIMES {
                let mut client = Client::connect(served.address).reading(5_003, Duration::from_micros(100));
                client.send(&requests);
                for _ in 0..4 {
                    assert!(client.answer().body.len() > 70_000);
                    assert_eq!(client.answer().json(), json!({"jobs": []}));
                    assert_eq!(client.answer().json(), json!({"jobs": []}));
                    assert_eq!(client.answer().status, 404);
                }
                assert_eq!(client.answer().body, b"OK");
                client.closed();
            }
        },
    );
}

#[test]
fn a_client_that_closed_its_sending_side_gets_its_answers() {
    served(
        "half-closed",
        |_| (),
        |served| {
            let large = format!("/v2/p1/backups/{}", large_backup(&served, 70_000));
            let headers = "Host: localhost\r\nX-Roles: member\r\nX-User-Id: u1\r\nX-Project-Id: p1\r\n";
            let get = |path: &str| format!("GET {path} HTTP/1.1\r\n{headers}\r\n").into_bytes();
            let post = |name: &str| {
                let body = json!({"client_id": name}).to_string();
                let length = body.len();
                format!("POST /v2/p1/clients HTTP/1.1\r\n{headers}Content-Length: {length}\r\n\r\n{body}")
                    .into_bytes()
            };
            for round in 0..TIMES {
                let (one, two) = (format!("one-{round}"), format!("two-{round}"));
                for (requests, statuses) in [
                    (get("/v2/p1/jobs"), &[200][..]),
                    (get(&large), &[200]),
                    (post(&one), &[201]),
                    ([get("/v2/p1/jobs"), post(&two), get(&large)].concat(), &[200, 201, 200]),
                ] {
                    let mut client = Client::connect(served.address);
                    client.send(&requests);
                    client.close_sending();
                    for status in statuses {
                        assert_eq!(client.answer().status, *status, "{}", String::from_utf8_lossy(&requests));
                    }
                    client.closed();
                }
                for name in [one, two] {
                    let mut client = Client::connect(served.address);
                    client.send(get(&format!("/v2/p1/clients/{name}")));
                    assert_eq!(client.answer().status, 200, "{name}");
                }
            }
        },
    );
}
