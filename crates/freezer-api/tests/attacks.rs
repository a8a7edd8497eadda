//! Attacks a running service. The connections and the memory of attackers must be limited, and other clients must be
//! served in the meantime.
//!
//! `connections/` tests the limits of single connections.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test stops at the first surprise")]
#![allow(clippy::print_stdout, reason = "a test says what it measured")]

mod process;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use process::{MANAGE, Scratch, Service, config};

/// This is more than the default `max_connections`.
const CROWD: usize = 8_300;
const JOBS: &[u8] = b"GET /v2/p1/jobs HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
const CHUNKED: &[u8] =
    b"POST /v2/p1/backups HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n";

fn service(scratch: &Scratch) -> Service {
    let url = format!("sqlite:///{}", scratch.path().join("freezer.db").display());
    let file = scratch.write("sync.conf", &config(1, &url));
    assert_eq!(process::run(MANAGE, &file, &["db", "sync"]).code, Some(0));
    Service::start(scratch, &url)
}

/// Sends a request from an address that the attacker does not use. Returns the time until the answer.
fn ask(address: SocketAddr) -> Duration {
    let began = Instant::now();
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::from(([127, 0, 0, 2], 0)).into()).unwrap();
    socket.connect(&address.into()).unwrap();
    let mut stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    stream.write_all(JOBS).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    began.elapsed()
}

#[test]
fn unfinished_requests_from_one_address_do_not_block_others() {
    freezer_api::server::raise_file_limit();
    let scratch = Scratch::new();
    let service = service(&scratch);
    let before = service.memory();
    let unfinished: [&[u8]; 4] = [
        b"POST /v2/p1/backups HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n\r\n{",
        b"GET /v2/p1/jobs HTTP/1.1\r\nHost",
        b"",
        CHUNKED,
    ];
    let mut crowd = Vec::with_capacity(CROWD);
    for number in 0..CROWD {
        let Ok(mut stream) = TcpStream::connect(service.address()) else {
            println!("skipped after {number} connections: the limit of open files");
            return;
        };
        stream.write_all(unfinished[number % unfinished.len()]).unwrap();
        crowd.push(stream);
    }
    std::thread::sleep(Duration::from_millis(1_500));
    let mut times: Vec<Duration> = (0..100).map(|_| ask(service.address())).collect();
    times.sort();
    let grown = service.memory().saturating_sub(before) >> 20;
    println!(
        "{CROWD} unfinished requests: median {:?}, longest {:?}, {grown} MiB more",
        times[50], times[99]
    );
    assert!(times[50] < Duration::from_millis(500), "{:?}", times[50]);
    assert!(grown < 256, "{grown} MiB");
}

#[test]
fn the_memory_of_a_body_depends_on_its_size_and_not_on_its_frames() {
    const BODIES: usize = 40;
    const BYTES: usize = 50_000;
    let scratch = Scratch::new();
    let service = service(&scratch);
    ask(service.address());
    let before = service.memory();
    let mut bodies: Vec<TcpStream> = (0..BODIES).map(|_| service.connect()).collect();
    for stream in &mut bodies {
        stream.write_all(CHUNKED).unwrap();
    }
    for _ in 0..BYTES / 1_000 {
        for stream in &mut bodies {
            stream.write_all(&b"1\r\n \r\n".repeat(1_000)).unwrap();
        }
    }
    ask(service.address());
    let grown = service.memory().saturating_sub(before);
    println!("{BODIES} bodies of {BYTES} frames: {grown} bytes more");
    assert!(grown < 24 << 20, "{grown} bytes for {} that were sent", BODIES * BYTES);
}
