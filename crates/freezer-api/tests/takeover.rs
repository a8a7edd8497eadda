//! A new process replaces an old one under load, and no request fails.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test stops at the first surprise")]
#![allow(clippy::print_stdout, reason = "a test says what it measured")]

mod process;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use process::{API, MANAGE, Scratch, Service, command, config, free_port};

/// Number of requests during the replacements.
const REQUESTS: usize = 10_000;
const TIME_LIMIT: Duration = Duration::from_secs(20);

/// Clients that send requests until they are stopped.
struct Load {
    stop: Arc<AtomicBool>,
    done: Arc<AtomicUsize>,
    clients: Vec<std::thread::JoinHandle<Outcome>>,
}

#[derive(Debug, Default)]
struct Outcome {
    failures: Vec<String>,
    longest: Duration,
}

impl Load {
    /// Starts the load. `kept`: half of the clients keep their connections until an answer ends them.
    fn start(address: SocketAddr) -> Load {
        let (stop, done) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let client = |number: usize| {
            let (stop, done) = (stop.clone(), done.clone());
            std::thread::spawn(move || {
                let mut outcome = Outcome::default();
                let mut kept = None;
                while !stop.load(Ordering::Relaxed) {
                    let began = Instant::now();
                    match ask(address, number, &mut kept) {
                        Ok(()) => {}
                        Err(error) => outcome.failures.push(error),
                    }
                    outcome.longest = outcome.longest.max(began.elapsed());
                    done.fetch_add(1, Ordering::Relaxed);
                }
                outcome
            })
        };
        let clients = (0..8).map(client).collect();
        Load { stop, done, clients }
    }

    fn done(&self) -> usize {
        self.done.load(Ordering::Relaxed)
    }

    fn wait_for(&self, more: usize) {
        let wanted = self.done() + more;
        let deadline = Instant::now() + Duration::from_secs(60);
        while self.done() < wanted {
            assert!(Instant::now() < deadline, "the load stands still at {}", self.done());
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    fn end(self, what: &str) {
        self.stop.store(true, Ordering::Relaxed);
        let mut failures = Vec::new();
        let mut longest = Duration::ZERO;
        for client in self.clients {
            let outcome = client.join().unwrap();
            failures.extend(outcome.failures);
            longest = longest.max(outcome.longest);
        }
        let done = self.done.load(Ordering::Relaxed);
        println!("{what}: {done} requests, {} failed, the longest took {longest:?}", failures.len());
        assert!(failures.is_empty(), "{what}: {} of {done} failed: {:?}", failures.len(), failures.first());
        assert!(done >= REQUESTS, "{what}: only {done} requests");
    }
}

/// Sends one request: a read by id or a write.
fn ask(address: SocketAddr, number: usize, kept: &mut Option<TcpStream>) -> Result<(), String> {
    let failed = |doing: &'static str| move |error: std::io::Error| format!("{doing}: {error}");
    let keeps = number % 2 == 1;
    let mut stream = match kept.take() {
        Some(stream) => stream,
        None => TcpStream::connect_timeout(&address, TIME_LIMIT).map_err(failed("connect"))?,
    };
    stream.set_read_timeout(Some(TIME_LIMIT)).map_err(failed("set"))?;
    let connection = if keeps { "keep-alive" } else { "close" };
    let body = r#"{"schedule": {}}"#;
    let (method, path, length) = match number {
        0 => ("POST", "sessions", body.len()),
        _ => ("GET", "jobs/none", 0),
    };
    let request = format!(
        "{method} /v2/p1/{path} HTTP/1.1\r\nHost: {address}\r\nConnection: {connection}\r\nContent-Length: {length}\r\n\r\n{}",
        &body[..length]
    );
    stream.write_all(request.as_bytes()).map_err(failed("send"))?;
    let mut answer = Vec::new();
    let mut part = [0; 4096];
    loop {
        let text = String::from_utf8_lossy(&answer).to_lowercase();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.split("content-length: ").nth(1).and_then(|rest| rest.lines().next());
            if length.is_none_or(|length| body.len() >= length.trim().parse().unwrap()) {
                let expected = if method == "POST" { "http/1.1 201" } else { "http/1.1 404" };
                if !head.starts_with(expected) {
                    return Err(text);
                }
                if keeps && !head.contains("connection: close") {
                    *kept = Some(stream);
                }
                return Ok(());
            }
        }
        match stream.read(&mut part).map_err(failed("read"))? {
            0 => return Err(format!("closed after {text:?}")),
            read => answer.extend_from_slice(&part[..read]),
        }
    }
}

fn synchronized(scratch: &Scratch, more: &str) -> (u16, std::path::PathBuf) {
    let port = free_port();
    let url = format!("sqlite:///{}", scratch.path().join("freezer.db").display());
    let file = scratch.write("freezer-api.conf", &format!("{}[DEFAULT]\n{more}\n", config(port, &url)));
    assert_eq!(process::run(MANAGE, &file, &["db", "sync"]).code, Some(0));
    (port, file)
}

/// Replaces the service several times under load, then waits for the required number of requests.
fn replace_under_load(what: &str, address: SocketAddr, start: impl Fn() -> Service) {
    let mut service = start();
    let load = Load::start(address);
    for _ in 0..5 {
        load.wait_for(500);
        let successor = start();
        load.wait_for(200);
        service.terminate();
        assert_eq!(service.exit_code(), Some(0));
        service = successor;
    }
    let done = load.done();
    load.wait_for(REQUESTS.saturating_sub(done).max(500));
    load.end(what);
}

#[test]
fn processes_that_share_their_port_replace_each_other_without_a_failed_request() {
    let scratch = Scratch::new();
    let (port, file) = synchronized(&scratch, "reuse_port = true");
    replace_under_load("reuse_port", ([127, 0, 0, 1], port).into(), || {
        let logs = Scratch::new();
        let mut start = command(API);
        start.arg("--config-file").arg(&file);
        Service::spawn(start, port, &logs).expect("the service starts")
    });
}

#[test]
fn processes_that_inherit_a_socket_replace_each_other_without_a_failed_request() {
    let scratch = Scratch::new();
    let (_, file) = synchronized(&scratch, "");
    let port = free_port();
    let socket = TcpListener::bind(("127.0.0.1", port)).unwrap();
    replace_under_load("LISTEN_FDS", ([127, 0, 0, 1], port).into(), || {
        let logs = Scratch::new();
        let service = Service::spawn(with_socket(&socket, &file), port, &logs).expect("the service starts");
        assert!(service.log().contains("the service manager passed 127.0.0.1:"), "{}", service.log());
        service
    });
    // Between two processes, connections wait in the queue.
    let mut waiting = TcpStream::connect(("127.0.0.1", port)).unwrap();
    waiting.write_all(b"GET /healthcheck HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").unwrap();
    let logs = Scratch::new();
    let _service = Service::spawn(with_socket(&socket, &file), port, &logs).expect("the service starts");
    waiting.set_read_timeout(Some(TIME_LIMIT)).unwrap();
    let mut answer = String::new();
    waiting.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

/// Returns a command that gets the socket as file descriptor 3, like from a service manager.
fn with_socket(socket: &TcpListener, file: &std::path::Path) -> Command {
    let mut start = command("sh");
    let script = r#"exec 3<&0 </dev/null; LISTEN_PID=$$ LISTEN_FDS=1 exec "$0" --config-file "$1""#;
    start.args(["-c", script, API]).arg(file);
    start.stdin(Stdio::from(OwnedFd::from(socket.try_clone().unwrap())));
    start
}

#[test]
fn an_unusable_socket_ends_the_start() {
    let scratch = Scratch::new();
    let (_, file) = synchronized(&scratch, "");
    let open = TcpListener::bind(("0.0.0.0", 0)).unwrap();
    let refused = process::finish_with(with_socket(&open, &file));
    refused.refused(1, &["loopback"]);
    let (unix, _) = std::os::unix::net::UnixStream::pair().unwrap();
    let mut start = with_socket(&open, &file);
    start.stdin(Stdio::from(OwnedFd::from(unix)));
    process::finish_with(start).refused(1, &["LISTEN_FDS", "ListenStream="]);
}
