//! The Unix socket of `bind_unix_socket`, and sockets of the service manager.

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use crate::client::TIME_LIMIT;
use crate::process::{self, API, MANAGE, Scratch, Service, command, finish, free_port};
use crate::{count, database};

const JOBS: &str = "/v2/p1/jobs";

static COUNTER: AtomicU32 = AtomicU32::new(0);

/// A directory with a short path, because the path of a socket must be short.
struct Directory(PathBuf);

impl Directory {
    fn new() -> Directory {
        let number = COUNTER.fetch_add(1, Ordering::Relaxed);
        let parent = std::env::var_os("FREEZER_TEST_SCRATCH").filter(|path| !path.is_empty());
        let parent = parent.map_or_else(std::env::temp_dir, PathBuf::from);
        let path = parent.join(format!("fz-{}-unix-{number}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Directory(path)
    }

    fn socket(&self) -> PathBuf {
        self.0.join("f.sock")
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Returns a configuration with a Unix socket, and without a TCP address.
fn config(database: &str, socket: &Path, more: &str) -> String {
    let text = process::config(0, database).replace("bind_host = 127.0.0.1\nbind_port = 0\n", "");
    assert!(!text.contains("bind_"), "{text}");
    text.replace("[DEFAULT]\n", &format!("[DEFAULT]\nbind_unix_socket = {}\n{more}", socket.display()))
}

fn start(scratch: &Scratch, database: &str, socket: &Path, more: &str) -> Service {
    let file = scratch.write("freezer-api.conf", &config(database, socket, more));
    let mut start = command(API);
    start.arg("--config-file").arg(file);
    Service::spawn(start, 0, scratch).expect("the service starts")
}

fn connect(socket: &Path) -> UnixStream {
    let stream = UnixStream::connect(socket).expect("the service accepts");
    stream.set_read_timeout(Some(TIME_LIMIT)).unwrap();
    stream.set_write_timeout(Some(TIME_LIMIT)).unwrap();
    stream
}

fn ask(socket: &Path, path: &str, headers: &str) -> (u16, String) {
    let mut stream = connect(socket);
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{headers}\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    process::parse(&process::read_all(&mut stream))
}

#[test]
fn a_proxy_on_the_same_machine_is_served_through_the_socket() {
    let (scratch, directory) = (Scratch::new(), Directory::new());
    let (url, socket) = (database(&scratch), directory.socket());
    let sections =
        "[api]\nmax_connections_per_peer = 2\n[healthcheck]\nallowed_source_ranges = 127.0.0.0/8\n";
    let file = scratch.write("freezer-api.conf", &(config(&url, &socket, "") + sections));
    let mut start = command(API);
    start.arg("--config-file").arg(file);
    let service = Service::spawn(start, 0, &scratch).expect("the service starts");
    assert!(
        service.log().contains(&format!("listening on unix:{}\n", socket.display())),
        "{}",
        service.log()
    );
    assert_eq!(fs::metadata(&socket).unwrap().permissions().mode() & 0o777, 0o660);
    assert_eq!(ask(&socket, JOBS, "").0, 200);
    assert_eq!(ask(&socket, "/healthcheck", "").0, 200, "the socket counts as the loopback interface");
    // The headers of the proxy are trusted.
    let forwarded =
        "X-Forwarded-Proto: https\r\nX-Forwarded-Host: cloud.example\r\nX-Forwarded-Prefix: /backup\r\n";
    assert!(ask(&socket, "/", forwarded).1.contains("\"https://cloud.example/backup/v2/\""));
    assert!(ask(&socket, "/", "").1.contains("\"http://localhost/v2/\""));
    // A proxy has more connections than a client may have.
    let _idle: Vec<UnixStream> = (0..20).map(|_| connect(&socket)).collect();
    assert_eq!(ask(&socket, JOBS, "").0, 200);
    // Without authentication, other web pages and hosts are refused as on TCP.
    for header in ["Origin: http://evil.example\r\n", "X-Forwarded-Host: a\r\nOrigin: http://a\r\n"] {
        assert_eq!(ask(&socket, JOBS, header).0, 403, "{header}");
    }
    let mut curl = Command::new("curl");
    curl.args(["--silent", "--show-error", "--max-time", "30", "--unix-socket"]).arg(&socket);
    curl.args(["--write-out", "%{http_code}", "http://localhost/v2/p1/jobs"]);
    assert_eq!(finish(curl).succeeded(), "{\"jobs\":[]}200");
    service.terminate();
    assert_eq!(service.exit_code(), Some(0));
    assert!(!socket.exists(), "the socket is removed at the stop");
}

#[test]
fn the_socket_is_used_beside_a_configured_address() {
    let (scratch, directory) = (Scratch::new(), Directory::new());
    let (url, socket) = (database(&scratch), directory.socket());
    let more = format!("[DEFAULT]\nbind_unix_socket = {}\nbind_unix_socket_mode = 0600\n", socket.display());
    let service = Service::start_with(&scratch, |port| process::config(port, &url) + &more, |_| ());
    let names = format!("listening on {}, unix:{}\n", service.address(), socket.display());
    assert!(service.log().contains(&names), "{}", service.log());
    assert_eq!((service.request("GET", JOBS, "").0, ask(&socket, JOBS, "").0), (200, 200));
    assert_eq!(fs::metadata(&socket).unwrap().permissions().mode() & 0o777, 0o600);
    // On TCP, the headers of a proxy are not trusted.
    let (_, versions) = service.request_with("X-Forwarded-Host: cloud\r\n", "GET", "/", "");
    assert!(!versions.contains("cloud"), "{versions}");
    // A busy socket does not delay the other one.
    let _idle: Vec<UnixStream> = (0..200).map(|_| connect(&socket)).collect();
    for _ in 0..20 {
        assert_eq!((service.request("GET", JOBS, "").0, ask(&socket, JOBS, "").0), (200, 200));
    }
}

#[test]
fn only_a_stale_socket_is_replaced() {
    let (scratch, directory) = (Scratch::new(), Directory::new());
    let (url, socket) = (database(&scratch), directory.socket());
    // A process that was killed leaves its file.
    let service = start(&scratch, &url, &socket, "");
    service.signal("KILL");
    assert_eq!(service.exit_code(), None);
    assert!(socket.exists() && UnixStream::connect(&socket).is_err());
    let service = start(&scratch, &url, &socket, "");
    assert_eq!(ask(&socket, JOBS, "").0, 200);
    // A second process does not take the socket of the first one.
    let file = scratch.path().join("freezer-api.conf");
    let words = ["[DEFAULT] bind_unix_socket = ", "another process uses this socket; stop this process"];
    process::run(API, &file, &[]).refused(1, &words);
    assert_eq!(ask(&socket, JOBS, "").0, 200);
    // For the check of a running service's configuration, this is no error.
    process::run(MANAGE, &file, &["config", "check"]).succeeded();
    // A socket of another process in its place is not removed at the stop.
    fs::remove_file(&socket).unwrap();
    let other = UnixListener::bind(&socket).unwrap();
    service.terminate();
    assert_eq!(service.exit_code(), Some(0));
    assert!(socket.exists());
    drop(other);
}

#[test]
fn an_unusable_path_ends_the_start() {
    let (scratch, directory) = (Scratch::new(), Directory::new());
    let url = database(&scratch);
    let file = directory.0.join("file");
    fs::write(&file, "content").unwrap();
    let long = directory.0.join("x".repeat(120));
    for (path, reason) in [
        (PathBuf::from("f.sock"), "the path must begin with /"),
        (long, "bytes, but the path of a socket can have at most 107"),
        (
            directory.0.join("none/f.sock"),
            "No such file or directory (os error 2); create it, for example with RuntimeDirectory=",
        ),
        (file.join("f.sock"), "is not a directory"),
        (file.clone(), "there is a file that is not a socket; remove it"),
        (directory.0.clone(), "there is a file that is not a socket; remove it"),
    ] {
        let config = scratch.write("f.conf", &config(&url, &path, ""));
        let check = process::run(MANAGE, &config, &["config", "check"]);
        assert!(check.code == Some(2) && check.stdout.contains(reason), "{reason}: {check:#?}");
        let option = format!("[DEFAULT] bind_unix_socket = {}", path.display());
        process::run(API, &config, &[]).refused(1, &[&option, reason]);
    }
    assert_eq!(fs::read_to_string(&file).unwrap(), "content");
}

#[test]
fn a_stop_answers_the_requests_of_the_socket() {
    let (scratch, directory) = (Scratch::new(), Directory::new());
    let (url, socket) = (database(&scratch), directory.socket());
    let service = start(&scratch, &url, &socket, "");
    let body = r#"{"schedule": {}}"#;
    let (first, rest) = body.split_at(7);
    let mut clients: Vec<UnixStream> = (0..40)
        .map(|number| {
            let mut stream = connect(&socket);
            if number % 2 == 0 {
                let head = format!(
                    "POST /v2/p1/sessions HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n{first}",
                    body.len()
                );
                stream.write_all(head.as_bytes()).unwrap();
            }
            stream
        })
        .collect();
    service.terminate();
    for (number, stream) in clients.iter_mut().enumerate() {
        let (request, status) = match number % 2 {
            0 => (rest.to_owned(), 201),
            _ => (format!("GET {JOBS} HTTP/1.1\r\nHost: localhost\r\n\r\n"), 200),
        };
        stream.write_all(request.as_bytes()).unwrap();
        let answer = process::read_all(stream);
        assert_eq!(process::parse(&answer).0, status, "{number}: {answer}");
        assert!(answer.contains("connection: close"), "{answer}");
    }
    assert_eq!(service.exit_code(), Some(0));
    assert!(!socket.exists());
}

/// Returns a command that gets two sockets from a service manager.
fn with_sockets(first: OwnedFd, second: OwnedFd, file: &Path) -> Command {
    let mut start = command("sh");
    // The service keeps its log on the former standard output.
    let script = r#"exec 3<&0 4<&1 </dev/null >&2; LISTEN_PID=$$ LISTEN_FDS=2 exec "$0" --config-file "$1""#;
    start.args(["-c", script, API]).arg(file);
    start.stdin(Stdio::from(first));
    start.stdout(Stdio::from(second));
    start
}

#[test]
fn a_service_manager_can_pass_sockets_of_both_kinds() {
    let (scratch, directory) = (Scratch::new(), Directory::new());
    let (url, socket) = (database(&scratch), directory.socket());
    let unused = directory.0.join("unused.sock");
    let file = scratch.write("freezer-api.conf", &config(&url, &unused, ""));
    let port = free_port();
    let tcp = TcpListener::bind(("127.0.0.1", port)).unwrap();
    let unix = UnixListener::bind(&socket).unwrap();
    for reversed in [false, true] {
        let fds = || (OwnedFd::from(tcp.try_clone().unwrap()), OwnedFd::from(unix.try_clone().unwrap()));
        let (tcp, unix) = fds();
        let (first, second) = if reversed { (unix, tcp) } else { (tcp, unix) };
        let log = scratch.path().join("log");
        let mut start = with_sockets(first, second, &file);
        start.stderr(fs::File::create(&log).unwrap());
        let mut child = start.spawn().unwrap();
        let (status, _) = ask(&socket, JOBS, "");
        assert_eq!(status, 200);
        let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        stream.set_read_timeout(Some(TIME_LIMIT)).unwrap();
        stream
            .write_all(
                format!("GET {JOBS} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").as_bytes(),
            )
            .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        let text = fs::read_to_string(&log).unwrap();
        assert!(text.contains("bind_host, bind_port and bind_unix_socket are not used"), "{text}");
        assert!(!unused.exists());
        let mut kill = Command::new("sh");
        kill.args(["-c", &format!("kill -TERM {}", child.id())]);
        assert_eq!(finish(kill).code, Some(0));
        process::wait_for("the end", || child.try_wait().unwrap());
        assert!(socket.exists(), "the service manager keeps its socket");
    }
}

#[test]
fn the_mode_and_the_socket_are_checked_with_the_other_options() {
    let (scratch, directory) = (Scratch::new(), Directory::new());
    let url = database(&scratch);
    let config = scratch.write("f.conf", &config(&url, &directory.socket(), "bind_unix_socket_mode = rw\n"));
    let done = process::run(MANAGE, &config, &["config", "check"]);
    assert!(
        done.code == Some(2)
            && done.stdout.contains("[DEFAULT] bind_unix_socket_mode = rw: must be a file mode"),
        "{done:#?}"
    );
    let service = start(&scratch, &url, &directory.socket(), "");
    assert_eq!(count(&service, "WARNING"), 0, "{}", service.log());
}
