//! Unusual HTTP messages: expectations, conflicting lengths, invalid lengths and chunks, and unusual paths.

use std::time::Duration;

use freezer_api::health::Network;

use crate::client::{Answer, Client};
use crate::served;
use crate::support::documents::backup;

fn ask(address: std::net::SocketAddr, request: &str) -> Answer {
    let mut client = Client::connect(address);
    client.send(request);
    client.answer()
}

#[test]
fn expectations_are_answered_or_rejected() {
    served(
        "expect",
        |_| (),
        |served| {
            let expect = "Expect: 100-continue\r\n";
            for (what, headers, length, status) in [
                ("too large", "", 200_000_000, 413),
                ("too large by one", "", 114_689, 413),
                ("not known", "X-Identity-Status: Invalid\r\n", 100, 401),
                ("not allowed", "X-Roles: nobody\r\n", 100, 403),
            ] {
                let head = format!(
                    "POST /v2/p1/backups HTTP/1.1\r\nHost: localhost\r\n{headers}{expect}Content-Length: {length}\r\n\r\n"
                );
                let mut client = Client::connect(served.address);
                client.send(&head);
                let answer = client.answer();
                assert_eq!(
                    (answer.status, answer.header("connection")),
                    (status, Some("close")),
                    "{what}: {answer:?}"
                );
                client.closed();
                // A client that sends the body without waiting must get its answer, too.
                let mut client = Client::connect(served.address);
                client.send(&head);
                client.send_some(&vec![b' '; 1_000_000.min(length)]);
                assert_eq!(client.answer().status, status, "{what}");
            }
            let body = backup("b").to_string();
            for expect in ["100-continue", "100-Continue"] {
                let mut client = Client::connect(served.address);
                let length = body.len();
                client.send(format!(
                "POST /v2/p1/backups HTTP/1.1\r\nHost: localhost\r\nExpect: {expect}\r\nContent-Length: {length}\r\n\r\n"
            ));
                assert_eq!(client.answer().status, 100);
                client.send(&body);
                assert_eq!(client.answer().status, 201);
            }
            for expect in ["200-ok", "100-continue, 200-ok", "100"] {
                let answer = ask(
                    served.address,
                    &format!("GET /v2/p1/jobs HTTP/1.1\r\nHost: localhost\r\nExpect: {expect}\r\n\r\n"),
                );
                assert_eq!(
                    (answer.status, answer.json()["title"].as_str()),
                    (417, Some("Expectation Failed")),
                    "{expect}"
                );
            }
        },
    );
}

#[test]
fn a_request_with_two_kinds_of_length_is_400() {
    served(
        "lengths",
        |_| (),
        |served| {
            let chunks = "2\r\n{}\r\n0\r\n\r\n";
            for lengths in [
                "Transfer-Encoding: chunked\r\nContent-Length: 12",
                "Content-Length: 12\r\nTransfer-Encoding: chunked",
                "content-length: 0\r\nX: y\r\ntransfer-encoding: Chunked",
                "Content-Length:                                                                12\r\nTransfer-Encoding: chunked",
            ] {
                for before in ["", "GET /healthcheck HTTP/1.1\r\nHost: localhost\r\n\r\n"] {
                    for pause in [false, true] {
                        let mut client = Client::connect(served.address);
                        let text = format!(
                            "{before}GET /v2/p1/jobs HTTP/1.1\r\nHost: localhost\r\n{lengths}\r\n\r\n{chunks}"
                        );
                        let (first, second) = text.split_at(if pause { text.len() - 30 } else { 0 });
                        client.send(first);
                        if pause {
                            std::thread::sleep(Duration::from_millis(20));
                        }
                        client.send(second);
                        if !before.is_empty() {
                            assert_eq!(client.answer().status, 200);
                        }
                        let answer = client.answer();
                        assert_eq!(answer.status, 400, "{lengths}: {answer:?}");
                        assert!(answer.json()["description"].as_str().unwrap().contains("Content-Length"));
                        assert!(answer.header("x-openstack-request-id").is_some());
                        client.closed();
                    }
                }
            }
            let alone = "GET /v2/p1/jobs HTTP/1.1\r\nHost: localhost\r\n";
            for (lengths, status) in [
                (format!("Transfer-Encoding: chunked\r\n\r\n{chunks}"), 200),
                ("Content-Length: 2\r\n\r\n{}".to_owned(), 200),
                ("Content-Length: 2\r\nContent-Length: 2\r\n\r\n{}".to_owned(), 200),
                ("Content-Length: 2\r\nContent-Length: 3\r\n\r\n{} ".to_owned(), 400),
                ("Content-Length: 2, 3\r\n\r\n{}".to_owned(), 400),
                ("Content-Length: -2\r\n\r\n{}".to_owned(), 400),
                ("Content-Length: +2\r\n\r\n{}".to_owned(), 400),
                ("Content-Length: 0x2\r\n\r\n{}".to_owned(), 400),
                ("Transfer-Encoding: gzip\r\n\r\n{}".to_owned(), 400),
                ("Transfer-Encoding: chunked, identity\r\n\r\n{}".to_owned(), 400),
            ] {
                assert_eq!(ask(served.address, &format!("{alone}{lengths}")).status, status, "{lengths}");
            }
            let old = "GET /v2/p1/jobs HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n";
            assert_eq!(ask(served.address, old).status, 400);
        },
    );
}

#[test]
fn invalid_chunks_are_400() {
    served(
        "chunks",
        |_| (),
        |served| {
            for chunks in [
                "size\r\n{}\r\n",
                "-2\r\n{}\r\n",
                "2\r\n{}x\r\n0\r\n\r\n",
                "\r\n\r\n",
                "fffffffffffffffff\r\n",
                "2 2\r\n{}\r\n",
            ] {
                let head =
                    "POST /v2/p1/backups HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n";
                let mut client = Client::connect(served.address);
                client.send(format!("{head}{chunks}"));
                client.send_some(&vec![b'x'; 300_000]);
                let answer = client.answer();
                assert_eq!(
                    (answer.status, answer.header("connection")),
                    (400, Some("close")),
                    "{chunks:?}: {answer:?}"
                );
                assert_eq!(answer.json()["title"], "Malformed request", "{chunks:?}");
            }
        },
    );
}

#[test]
fn the_health_check_knows_the_address_of_its_caller() {
    for (network, status) in [("127.0.0.0/8", 200), ("10.0.0.0/8", 404)] {
        served(
            "peer",
            |http| http.health.allowed = vec![Network::parse(network).unwrap()],
            |served| {
                let answer = ask(served.address, "GET /healthcheck HTTP/1.1\r\nHost: localhost\r\n\r\n");
                assert_eq!(answer.status, status, "{network}");
            },
        );
    }
}

#[test]
fn paths_are_served_as_they_are_sent() {
    served(
        "paths",
        |_| (),
        |served| {
            for (path, status) in [
                ("//v2/p1/jobs/", 200),
                ("/v2//p1/jobs", 200),
                ("/v2/p1//jobs//", 200),
                ("///v2/./p1/jobs/./", 200),
                ("/v2/p1/clients//x", 404),
                ("/v2/p1/%6aobs", 200),
                ("/%762/p1/%6A%6F%62%73/", 200),
                ("/he%61lthcheck", 200),
                ("/v2/p1%2Fjobs", 404),
                ("/v2/p1/%256aobs", 404),
                ("//healthcheck", 200),
                ("//", 300),
                ("http://localhost//v2/p1/jobs/", 200),
                ("http://other.example//v2/p1/jobs/", 403),
            ] {
                let answer = ask(served.address, &format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n"));
                assert_eq!(answer.status, status, "{path}: {answer:?}");
            }
        },
    );
}
