//! A shutdown answers all accepted requests.

use std::time::{Duration, Instant};

use freezer_api::app::{HttpSettings, StopSettings};

use crate::client::Client;
use crate::served;
use crate::support::documents::backup;

const JOBS: &str = "GET /v2/p1/jobs HTTP/1.1\r\nHost: localhost\r\n\r\n";

#[test]
fn requests_that_were_not_read_before_the_shutdown_are_answered() {
    served(
        "unread_requests",
        |_| (),
        |served| {
            let mut fresh: Vec<Client> = (0..20).map(|_| Client::connect(served.address)).collect();
            let mut kept: Vec<Client> = (0..20).map(|_| Client::connect(served.address)).collect();
            for client in &mut kept {
                client.send(JOBS);
                assert_eq!(client.answer().status, 200);
            }
            let mut half = Client::connect(served.address);
            half.send(&JOBS[..20]);
            std::thread::sleep(Duration::from_millis(100));
            let clients = std::thread::spawn(move || {
                std::thread::sleep(Duration::from_millis(250));
                for client in kept.iter_mut().chain(&mut fresh) {
                    client.send(JOBS);
                }
                half.send(&JOBS[20..]);
                for client in kept.iter_mut().chain(&mut fresh).chain([&mut half]) {
                    let answer = client.answer();
                    assert_eq!((answer.status, answer.header("connection")), (200, Some("close")));
                    client.closed();
                }
            });
            let took = served.stop();
            clients.join().unwrap();
            assert!(took < Duration::from_secs(4), "{took:?}");
        },
    );
}

#[test]
fn silent_connections_end_soon_after_the_shutdown() {
    served(
        "silent",
        |_| (),
        |served| {
            let mut clients: Vec<Client> = (0..50).map(|_| Client::connect(served.address)).collect();
            for client in &mut clients[..25] {
                client.send(JOBS);
                assert_eq!(client.answer().status, 200);
            }
            std::thread::sleep(Duration::from_millis(100));
            let took = served.stop();
            assert!(took < Duration::from_secs(4), "{took:?}");
            clients.iter_mut().for_each(Client::ended);
        },
    );
}

#[test]
fn requests_are_served_while_readiness_reports_the_shutdown() {
    let delayed = |http: &mut HttpSettings| {
        http.stop = StopSettings { delay: Duration::from_secs(2), ..StopSettings::default() };
    };
    served("draining", delayed, |served| {
        let address = served.address;
        let ask = move |path: &str| {
            let mut client = Client::connect(address);
            client
                .send(format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nAccept: application/json\r\n\r\n"));
            client.answer()
        };
        assert_eq!(ask("/healthcheck/ready").status, 200);
        let clients = std::thread::spawn(move || {
            let began = Instant::now();
            std::thread::sleep(Duration::from_millis(200));
            let ready = ask("/healthcheck/ready");
            assert_eq!((ready.status, ready.json()["reasons"][0].as_str()), (503, Some("DRAINING")));
            assert_eq!(ask("/healthcheck").status, 200);
            let mut kept = Client::connect(address);
            while began.elapsed() < Duration::from_millis(1_700) {
                assert_eq!(ask("/v2/p1/jobs").status, 200);
                kept.send(JOBS);
                let answer = kept.answer();
                assert_eq!((answer.status, answer.header("connection")), (200, None));
                std::thread::sleep(Duration::from_millis(50));
            }
        });
        let took = served.stop();
        clients.join().unwrap();
        assert!(took >= Duration::from_secs(2) && took < Duration::from_secs(6), "{took:?}");
    });
}

#[test]
fn a_shutdown_waits_for_requests_in_progress() {
    served(
        "under_way",
        |_| (),
        |served| {
            let release = served.hold_writes();
            let body = backup("held").to_string();
            let length = body.len();
            let mut client = Client::connect(served.address);
            client.send(format!(
                "POST /v2/p1/backups HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n\r\n{body}"
            ));
            std::thread::sleep(Duration::from_millis(200));
            let later = std::thread::spawn(move || {
                std::thread::sleep(Duration::from_secs(3));
                release();
                client.answer().status
            });
            let took = served.stop();
            assert_eq!(later.join().unwrap(), 201);
            assert!(took >= Duration::from_secs(2), "{took:?}");
        },
    );
}

#[test]
fn a_shutdown_ends_within_its_time_limit() {
    let short = |http: &mut HttpSettings| {
        http.stop = StopSettings { timeout: Duration::from_secs(1), ..StopSettings::default() };
    };
    served("limit_of_stop", short, |served| {
        let release = served.hold_writes();
        let mut client = Client::connect(served.address);
        let body = backup("held").to_string();
        let length = body.len();
        client.send(format!(
            "POST /v2/p1/backups HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n\r\n{body}"
        ));
        std::thread::sleep(Duration::from_millis(300));
        let took = served.stop();
        assert!(took >= Duration::from_secs(1) && took < Duration::from_secs(3), "{took:?}");
        release();
    });
}
