//! Many connections: idle and slow clients must not block others, and the service must abandon answers that are not
//! read.

use std::time::{Duration, Instant};

use freezer_api::app::{ConnectionLimits, HttpSettings};
use serde_json::json;

use crate::client::{Answer, Client};
use crate::support::documents::{backup, with};
use crate::{Served, served};

const JOBS: &str = "GET /v2/p1/jobs HTTP/1.1\r\nHost: localhost\r\n\r\n";
const HEALTH: &str = "GET /healthcheck HTTP/1.1\r\nHost: localhost\r\n\r\n";

fn at_most(max: usize) -> impl FnOnce(&mut HttpSettings) {
    move |http| http.connections = ConnectionLimits { max, ..ConnectionLimits::default() }
}

fn ask(served: &Served<'_>, request: &str) -> Answer {
    let mut client = Client::connect(served.address);
    client.send(request);
    client.answer()
}

#[test]
fn idle_and_slow_connections_do_not_block_others() {
    const MOST: usize = 8;
    for (what, sent) in [
        ("nothing sent", ""),
        ("part of a head", "GET /v2/p1/jobs HTTP/1.1\r\nHost:"),
        (
            "a body that pauses",
            "POST /v2/p1/backups HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{",
        ),
        ("no chunk", "POST /v2/p1/backups HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"),
        (
            "an unread body",
            "GET /v2/p1/jobs/x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9000000\r\n\r\nx",
        ),
        ("kept alive", HEALTH),
        ("the second head", &format!("{HEALTH}GET /v2")),
    ] {
        served("idle", at_most(MOST), |served| {
            let mut held: Vec<Client> = (0..MOST).map(|_| Client::connect(served.address)).collect();
            for client in &mut held {
                client.send(sent);
            }
            std::thread::sleep(Duration::from_millis(1_200));
            let began = Instant::now();
            for _ in 0..2 * MOST {
                assert_eq!(ask(&served, JOBS).status, 200, "{what}");
            }
            assert!(began.elapsed() < Duration::from_secs(2), "{what}: {:?}", began.elapsed());
        });
    }
}

#[test]
fn a_slow_connection_is_closed_for_a_new_one() {
    const MOST: usize = 4;
    served("trickle_room", at_most(MOST), |served| {
        let mut held: Vec<Client> = (0..MOST).map(|_| Client::connect(served.address)).collect();
        for client in &mut held {
            client.send("POST /v2/p1/backups HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n");
        }
        for _ in 0..12 {
            std::thread::sleep(Duration::from_millis(100));
            held.iter_mut().for_each(|client| client.send_some(b" "));
        }
        let began = Instant::now();
        assert_eq!(ask(&served, JOBS).status, 200);
        assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
    });
}

#[test]
fn the_peer_with_most_idle_connections_loses_one_first() {
    served("peers", at_most(8), |served| {
        // The quiet client has the oldest connection.
        let mut quiet = Client::connect_from(served.runtime, [127, 0, 0, 2], served.address);
        quiet.send(HEALTH);
        assert_eq!(quiet.answer().status, 200);
        let crowd: Vec<Client> = (0..7).map(|_| Client::connect(served.address)).collect();
        std::thread::sleep(Duration::from_millis(1_200));
        for _ in 0..6 {
            assert_eq!(ask(&served, JOBS).status, 200);
        }
        quiet.send(HEALTH);
        assert_eq!(quiet.answer().status, 200, "its connection was left alone");
        drop(crowd);
    });
}

#[test]
fn busy_connections_are_not_closed_and_health_checks_are_still_answered() {
    served("work", at_most(2), |served| {
        let release = served.hold_writes();
        let body = backup("held").to_string();
        let post = format!(
            "POST /v2/p1/backups HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let mut working: Vec<Client> = (0..2).map(|_| Client::connect(served.address)).collect();
        working.iter_mut().for_each(|client| client.send(&post));
        std::thread::sleep(Duration::from_millis(1_200));
        let began = Instant::now();
        assert_eq!(ask(&served, HEALTH).status, 200);
        assert_eq!(ask(&served, "GET //healthcheck/ready/ HTTP/1.1\r\nHost: localhost\r\n\r\n").status, 200);
        for path in ["/livez", "/readyz"] {
            assert_eq!(ask(&served, &format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n")).status, 200);
        }
        assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
        let refused = ask(&served, JOBS);
        assert_eq!((refused.status, refused.header("retry-after")), (503, Some("5")), "{refused:?}");
        assert_eq!(refused.json()["description"], "All connections of the service are in use.");
        // A request on a reserved connection is served as soon as another connection ends.
        let mut waiting = Client::connect(served.address);
        waiting.send(JOBS);
        std::thread::sleep(Duration::from_millis(300));
        release();
        assert_eq!(waiting.answer().status, 200);
        for client in &mut working {
            assert_eq!(client.answer().status, 201);
        }
    });
}

#[test]
fn waiting_requests_do_not_use_up_the_reserve() {
    served("reserve", at_most(1), |served| {
        let release = served.hold_writes();
        let body = backup("held").to_string();
        let length = body.len();
        let mut working = Client::connect(served.address);
        working.send(format!(
            "POST /v2/p1/backups HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n\r\n{body}"
        ));
        std::thread::sleep(Duration::from_millis(100));
        let mut crowd: Vec<Client> = (0..200).map(|_| Client::connect(served.address)).collect();
        crowd.iter_mut().for_each(|client| client.send(JOBS));
        let began = Instant::now();
        assert_eq!(ask(&served, HEALTH).status, 200);
        assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
        release();
        assert_eq!(working.answer().status, 201);
        for client in &mut crowd {
            assert!(matches!(client.answer().status, 200 | 503));
        }
    });
}

#[test]
fn the_connections_of_a_peer_are_limited() {
    let limited = |http: &mut HttpSettings| http.connections.per_peer = Some(3);
    served("per_peer", limited, |served| {
        let mut held: Vec<Client> = (0..3).map(|_| Client::connect(served.address)).collect();
        std::thread::sleep(Duration::from_millis(100));
        assert_eq!(ask(&served, HEALTH).status, 200, "a health check is answered in any case");
        let refused = ask(&served, JOBS);
        assert_eq!((refused.status, refused.header("retry-after")), (429, Some("5")), "{refused:?}");
        assert!(refused.json()["description"].as_str().unwrap().contains("address of the client"));
        let mut other = Client::connect_from(served.runtime, [127, 0, 0, 2], served.address);
        other.send(JOBS);
        assert_eq!(other.answer().status, 200, "another peer is served");
        held.pop();
        std::thread::sleep(Duration::from_millis(200));
        assert_eq!(ask(&served, JOBS).status, 200);
        // Hundreds of connections at once must neither use all slots nor crash the service.
        let crowd: Vec<Client> = (0..300).map(|_| Client::connect(served.address)).collect();
        other.send(JOBS);
        assert_eq!(other.answer().status, 200);
        drop(crowd);
    });
}

fn large_backup(served: &Served<'_>, bytes: usize) -> String {
    let document = with(backup("large"), json!({"padding": "x".repeat(bytes)}));
    let id = served.runtime.block_on(async { served.app.member().add_backup("p1", document).await });
    format!("GET /v2/p1/backups/{id} HTTP/1.1\r\nHost: localhost\r\n\r\n")
}

fn hasty(http: &mut HttpSettings) {
    http.max_body = 20_000_000;
    http.max_document = 20_000_000;
    http.connections.answer_timeout = Duration::from_secs(1);
}

#[test]
fn an_answer_that_is_not_read_is_abandoned() {
    served("unread_answer", hasty, |served| {
        let request = large_backup(&served, 12_000_000);
        let mut client = Client::with_small_buffer(served.runtime, served.address);
        client.send(&request);
        std::thread::sleep(Duration::from_millis(3_500));
        let read = client.read_until_ended();
        assert!(read < 12_000_000, "{read} bytes were kept for the client");
    });
}

/// Reads a large answer with about 200 kB per second.
fn read_steadily(name: &str, bytes: usize, min_rate: u64) -> (usize, Duration) {
    let (mut read, mut time) = (0, Duration::ZERO);
    let change = |http: &mut HttpSettings| {
        hasty(http);
        http.connections.min_answer_rate = min_rate;
    };
    served(name, change, |served| {
        let request = large_backup(&served, bytes);
        let mut client = Client::with_small_buffer(served.runtime, served.address);
        client.send(&request);
        let began = Instant::now();
        read = client.read_steadily(10_000, Duration::from_millis(50), Duration::from_secs(30));
        time = began.elapsed();
    });
    (read, time)
}

#[test]
fn a_client_that_reads_its_answer_too_slowly_is_given_up() {
    let bytes = 12_000_000;
    let (read, time) = read_steadily("too_slow", bytes, 10_000_000);
    assert!(read < bytes, "{read}");
    assert!(time < Duration::from_secs(25), "{time:?}");
}

#[test]
fn a_client_that_reads_fast_enough_gets_its_whole_answer() {
    let bytes = 3_000_000;
    for (name, min_rate) in [("fast_enough", 32_768), ("no_rate", 0)] {
        let (read, time) = read_steadily(name, bytes, min_rate);
        assert!(read > bytes, "{read}");
        assert!(
            time > Duration::from_secs(3),
            "longer than the time limit of a client that reads nothing: {time:?}"
        );
    }
}

#[test]
fn an_answer_that_is_read_slowly_arrives() {
    served("slow_reader", hasty, |served| {
        let request = large_backup(&served, 2_500_000);
        let mut client = Client::with_small_buffer(served.runtime, served.address)
            .reading(400_000, Duration::from_millis(10));
        client.send(&request);
        let began = Instant::now();
        assert!(client.answer().body.len() > 2_500_000);
        assert!(began.elapsed() > Duration::from_secs(2), "slower than the time limit");
    });
}
