//! Incomplete requests end in time and do not delay a shutdown.

use std::time::{Duration, Instant};

use freezer_api::app::{BodyLimits, HttpSettings};

use crate::client::Client;
use crate::served;
use crate::support::documents::backup;

const POST: &str = "POST /v2/p1/backups HTTP/1.1\r\nHost: localhost\r\n";

fn short(http: &mut HttpSettings) {
    http.body = BodyLimits { idle: Duration::from_secs(1), total: Duration::from_secs(3) };
}

fn seconds(from: f32, to: f32, began: Instant, what: &str) {
    let took = began.elapsed().as_secs_f32();
    assert!(from <= took && took <= to, "{what}: {took} s");
}

#[test]
fn a_body_that_pauses_is_answered_408() {
    served("pauses", short, |served| {
        for (what, sent) in [
            ("nothing of it", "Content-Length: 100\r\n\r\n"),
            ("some of it", "Content-Length: 100\r\n\r\n{\"backup_name\""),
            ("no chunk", "Transfer-Encoding: chunked\r\n\r\n"),
            ("part of a chunk", "Transfer-Encoding: chunked\r\n\r\n10\r\n{\"backup"),
            ("no last chunk", "Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n"),
            ("after 100 Continue", "Content-Length: 100\r\nExpect: 100-continue\r\n\r\n"),
        ] {
            let mut client = Client::connect(served.address);
            let began = Instant::now();
            client.send(format!("{POST}{sent}"));
            if sent.contains("Expect") {
                assert_eq!(client.answer().status, 100);
            }
            let answer = client.answer();
            assert_eq!(
                (answer.status, answer.header("connection")),
                (408, Some("close")),
                "{what}: {answer:?}"
            );
            assert_eq!(answer.json()["title"], "Request Timeout", "{what}");
            assert!(
                answer.header("x-openstack-request-id").is_some_and(|id| id.starts_with("req-")),
                "{what}"
            );
            client.closed();
            seconds(0.9, 2.8, began, what);
        }
    });
}

#[test]
fn a_slow_body_is_answered_408_after_the_total_time() {
    served("trickles", short, |served| {
        let mut client = Client::connect(served.address);
        let began = Instant::now();
        client.send(format!("{POST}Content-Length: 1000\r\n\r\n"));
        for _ in 0..14 {
            client.send_some(b" ");
            std::thread::sleep(Duration::from_millis(200));
        }
        assert_eq!(client.answer().status, 408);
        seconds(2.7, 5.0, began, "trickle");
        // A body that arrives just in time is served.
        let body = backup("slow").to_string();
        let mut client = Client::connect(served.address);
        client.send(format!("{POST}Content-Length: {}\r\n\r\n", body.len()));
        for piece in body.as_bytes().chunks(body.len() / 6) {
            std::thread::sleep(Duration::from_millis(300));
            client.send(piece);
        }
        assert_eq!(client.answer().status, 201);
        let one_by_one = backup("bytes").to_string();
        client.send(format!("{POST}Transfer-Encoding: chunked\r\n\r\n"));
        for byte in one_by_one.as_bytes() {
            client.send([b"1\r\n", &[*byte][..], b"\r\n"].concat());
        }
        client.send("0\r\n\r\n");
        assert_eq!(client.answer().status, 201);
    });
}

#[test]
fn an_unread_body_does_not_delay_the_answer() {
    served("unread_pause", short, |served| {
        for (path, status) in
            [("/v2/p1/backups/unknown", 404), ("/healthcheck", 200), ("/v2/p1/nothing", 404)]
        {
            for length in [100, 10_000_000] {
                let began = Instant::now();
                let mut client = Client::connect(served.address);
                client.send(format!(
                    "GET {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n\r\nx"
                ));
                assert_eq!(client.answer().status, status);
                seconds(0.0, 1.0, began, path);
                client.closed();
                seconds(0.0, 4.0, began, path);
            }
        }
    });
}

#[test]
fn unfinished_requests_do_not_delay_a_shutdown() {
    served(
        "stop",
        |_| (),
        |served| {
            let mut clients = Vec::new();
            for sent in [
                "",
                "GET /v2/p1/jobs HT",
                "GET /v2/p1/jobs HTTP/1.1\r\nHost: localhost\r\n",
                "POST /v2/p1/backups HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{",
                "POST /v2/p1/backups HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n",
                // These bodies are not read. The service waits for a small rest and discards a large one.
                "GET /v2/p1/backups/x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\nx",
                "GET /v2/p1/backups/x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10000000\r\n\r\nx",
                "POST /v2/p1/backups HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\nExpect: 100-continue\r\n\r\n",
                // This is the second request of a connection.
                "GET /healthcheck HTTP/1.1\r\nHost: localhost\r\n\r\nGET /healthcheck HT",
            ] {
                let mut client = Client::connect(served.address);
                client.send(sent);
                clients.push(client);
            }
            std::thread::sleep(Duration::from_millis(300));
            let mut under_way = Client::connect(served.address);
            let body = backup("late").to_string();
            under_way.send(format!("{POST}Content-Length: {}\r\n\r\n", body.len()));
            let mut trickle = Client::connect(served.address);
            trickle.send(format!("{POST}Content-Length: 1000\r\n\r\n"));
            std::thread::sleep(Duration::from_millis(200));
            let later = std::thread::spawn(move || {
                std::thread::sleep(Duration::from_millis(700));
                under_way.send(&body);
                let answer = under_way.answer();
                for _ in 0..40 {
                    trickle.send_some(b" ");
                    std::thread::sleep(Duration::from_millis(200));
                }
                answer
            });
            let app = served.app.clone();
            let runtime = served.runtime;
            let took = served.stop();
            assert!(took < Duration::from_secs(8), "{took:?}");
            assert_eq!(later.join().unwrap().status, 201, "a request under way is served");
            let stored = runtime.block_on(async { app.member().get("/v2/p1/backups").await });
            assert_eq!(stored.each("backups", "/backup_metadata/backup_name"), ["late"]);
            for client in &mut clients {
                client.ended();
            }
        },
    );
}
