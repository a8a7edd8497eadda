//! The programs as processes, for tests from outside: a directory and a database of the test's own, a configuration
//! file, a command that must end in time, and the service on a free port.
//!
//! Tests inside one process are built on `support/`.

#![allow(dead_code, reason = "each test program uses its own part")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test stops at the first surprise")]
#![allow(clippy::print_stdout, reason = "a test that is skipped says so")]

mod answer;

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

pub use answer::{parse, read_all};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection};

/// `freezer-api`.
pub const API: &str = env!("CARGO_BIN_EXE_freezer-api");
/// `freezer-manage`.
pub const MANAGE: &str = env!("CARGO_BIN_EXE_freezer-manage");
/// `freezer-manager-status`.
pub const STATUS: &str = env!("CARGO_BIN_EXE_freezer-manager-status");

/// Longest time for anything: far more than a slow machine needs, since it only ends what hangs.
const PATIENCE: Duration = Duration::from_secs(90);
/// Time between two looks at something that will change.
const PAUSE: Duration = Duration::from_millis(20);

static COUNTER: AtomicU32 = AtomicU32::new(0);

fn unique(name: &str) -> String {
    format!("{name}_{}_{}", std::process::id(), COUNTER.fetch_add(1, Ordering::Relaxed))
}

/// Waits until `done` gives something; fails with `what` when that takes too long.
pub fn wait_for<T>(what: &str, mut done: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(value) = done() {
            return value;
        }
        assert!(Instant::now() < deadline, "{what}: not within {PATIENCE:?}");
        std::thread::sleep(PAUSE);
    }
}

/// A directory of the test's own; removed at the end.
pub struct Scratch(PathBuf);

impl Scratch {
    /// An empty directory.
    pub fn new() -> Scratch {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(unique("process"));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).unwrap();
        Scratch(path)
    }

    /// The directory.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Writes a file and returns its path.
    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.join(name);
        fs::write(&path, text).unwrap();
        path
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Which database a test runs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Engine {
    /// A file in the scratch directory.
    Sqlite,
    /// A database at the server of `FREEZER_TEST_MYSQL_URL`.
    MySql,
}

/// An empty database of the test's own; dropped at the end.
pub struct Database {
    url: String,
    on_server: Option<(Server, String)>,
}

impl Database {
    /// Nothing where the engine is not at hand; says so.
    pub fn create(engine: Engine, scratch: &Scratch) -> Option<Database> {
        if engine == Engine::Sqlite {
            let url = format!("sqlite:///{}", scratch.path().join("freezer.db").display());
            return Some(Database { url, on_server: None });
        }
        let Some(server) = Server::of_environment() else {
            println!("skipped: FREEZER_TEST_MYSQL_URL is not set");
            return None;
        };
        let name = unique("freezer_process");
        server.run(&format!("CREATE DATABASE {name} CHARACTER SET utf8mb4"));
        Some(Database {
            url: format!("{}/{name}?charset=utf8mb4", server.url),
            on_server: Some((server, name)),
        })
    }

    /// As `[database] connection` takes it.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The URL as messages may show it: without driver, password and parameters.
    pub fn shown(&self) -> String {
        match &self.on_server {
            None => self.url.clone(),
            Some((Server { user, host, port, .. }, name)) => format!("mysql://{user}@{host}:{port}/{name}"),
        }
    }

    /// As [`Database::url`], with another password.
    pub fn url_with_password(&self, password: &str) -> String {
        let (Server { user, .. }, _) = self.on_server.as_ref().expect("a database at a server");
        self.url_of(user, password)
    }

    /// As [`Database::url`], of another user.
    pub fn url_of(&self, user: &str, password: &str) -> String {
        let (Server { host, port, .. }, name) = self.on_server.as_ref().expect("a database at a server");
        format!("mysql+pymysql://{user}:{password}@{host}:{port}/{name}")
    }

    /// As [`Database::url`], with another port of this machine.
    pub fn url_at_port(&self, port: u16) -> String {
        let (Server { user, password, .. }, name) = self.on_server.as_ref().expect("a database at a server");
        format!("mysql+pymysql://{user}:{password}@127.0.0.1:{port}/{name}")
    }

    /// `host:port` of the server.
    pub fn server_address(&self) -> String {
        let (Server { host, port, .. }, _) = self.on_server.as_ref().expect("a database at a server");
        format!("{host}:{port}")
    }

    /// Which engine it is.
    pub fn engine(&self) -> Engine {
        if self.on_server.is_some() { Engine::MySql } else { Engine::Sqlite }
    }

    /// Runs statements.
    pub fn run(&self, sql: &str) {
        match &self.on_server {
            Some((server, name)) => server.run(&format!("USE {name}; {sql}")),
            None => self.run_on_file(sql),
        }
    }

    /// Runs statements at the server, also if it lacks the database.
    pub fn run_on_server(&self, sql: &str) {
        let (server, _) = self.on_server.as_ref().expect("a database at a server");
        server.run(sql);
    }

    /// Runs the statements of a file.
    pub fn load(&self, dump: &Path) {
        match &self.on_server {
            Some((server, name)) => server.run(&format!("USE {name};\nsource {}", dump.display())),
            None => self.run_on_file(&fs::read_to_string(dump).unwrap()),
        }
    }

    fn run_on_file(&self, sql: &str) {
        let path = self.url.strip_prefix("sqlite:///").expect("a file");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let options = SqliteConnectOptions::new().filename(path).create_if_missing(true);
            let mut connection = options.connect().await.expect("the file opens");
            sqlx::raw_sql(AssertSqlSafe(sql.to_owned()))
                .execute(&mut connection)
                .await
                .expect("SQL of the test");
            connection.close().await.expect("the file closes");
        });
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        if let Some((server, name)) = &self.on_server {
            server.run(&format!("DROP DATABASE IF EXISTS {name}"));
        }
    }
}

/// The server of `FREEZER_TEST_MYSQL_URL`, `mysql://user:password@host:port`.
struct Server {
    url: String,
    user: String,
    password: String,
    host: String,
    port: String,
}

impl Server {
    fn of_environment() -> Option<Server> {
        let url = std::env::var("FREEZER_TEST_MYSQL_URL").ok().filter(|url| !url.is_empty())?;
        let rest = url.split_once("://").expect("mysql://user:password@host:port").1;
        let (user, place) = rest.split_once('@').expect("a user in FREEZER_TEST_MYSQL_URL");
        let (user, password) = user.split_once(':').unwrap_or((user, ""));
        let place = place.split(['/', '?']).next().unwrap_or(place);
        let (host, port) = place.split_once(':').unwrap_or((place, "3306"));
        let base = format!("mysql+pymysql://{user}:{password}@{host}:{port}");
        let [user, password, host, port] = [user, password, host, port].map(str::to_owned);
        Some(Server { url: base, user, password, host, port })
    }

    fn run(&self, sql: &str) {
        let mut command = Command::new("mariadb");
        command.args(["--no-defaults", "--protocol=tcp", "--connect-timeout=20", "--execute", sql]);
        command.args(["--host", &self.host, "--port", &self.port, "--user", &self.user]);
        command.env("MYSQL_PWD", &self.password);
        let done = finish(command);
        assert!(done.code == Some(0) || std::thread::panicking(), "{sql}: {}", done.stderr);
    }
}

/// What a command left behind.
#[derive(Debug)]
pub struct Done {
    /// Exit code; none after a signal.
    pub code: Option<i32>,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl Done {
    /// Fails unless the command ended with this code and its standard error holds all of these.
    #[track_caller]
    pub fn refused(&self, code: i32, words: &[&str]) -> &Done {
        assert_eq!(self.code, Some(code), "{self:#?}");
        for word in words {
            assert!(self.stderr.contains(word), "no {word:?} in {self:#?}");
        }
        self
    }

    /// Fails unless the command ended with 0; returns its standard output.
    #[track_caller]
    pub fn succeeded(&self) -> &str {
        assert_eq!(self.code, Some(0), "{self:#?}");
        &self.stdout
    }

    /// Fails where the text is anywhere in the output.
    #[track_caller]
    pub fn without(&self, secret: &str) -> &Done {
        assert!(!self.stdout.contains(secret) && !self.stderr.contains(secret), "{self:#?}");
        self
    }
}

/// A command of ours: no standard input, and nothing of the environment that configures it.
pub fn command(program: &str) -> Command {
    let mut command = Command::new(program);
    command.stdin(Stdio::null());
    for (key, _) in std::env::vars_os().filter(|(key, _)| key.to_string_lossy().starts_with("OS_")) {
        command.env_remove(key);
    }
    command
}

/// Runs a command to its end, which must come in time.
pub fn finish(command: Command) -> Done {
    begin(command).done()
}

/// As [`finish`], for a command with a standard input of its own.
pub fn finish_with(command: Command) -> Done {
    running(command).done()
}

/// Starts a command.
pub fn begin(mut command: Command) -> Running {
    command.stdin(Stdio::null());
    running(command)
}

fn running(mut command: Command) -> Running {
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = Killed(command.spawn().expect("the program starts"));
    // read in threads, so that a full pipe does not stop the program
    let stdout = reader(child.0.stdout.take().unwrap());
    let stderr = reader(child.0.stderr.take().unwrap());
    Running { what: format!("the end of {command:?}"), child, stdout, stderr }
}

/// A command that was started; killed where nobody waits for its end.
pub struct Running {
    what: String,
    child: Killed,
    stdout: std::thread::JoinHandle<String>,
    stderr: std::thread::JoinHandle<String>,
}

impl Running {
    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.0.id()
    }

    /// Whether it has not ended.
    pub fn is_running(&mut self) -> bool {
        self.child.0.try_wait().unwrap().is_none()
    }

    /// Waits for its end, which must come in time.
    pub fn done(mut self) -> Done {
        let status = wait_for(&self.what, || self.child.0.try_wait().unwrap());
        Done { code: status.code(), stdout: self.stdout.join().unwrap(), stderr: self.stderr.join().unwrap() }
    }
}

fn reader(mut from: impl Read + Send + 'static) -> std::thread::JoinHandle<String> {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        let _ = from.read_to_end(&mut bytes);
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

/// Runs one of our commands with a configuration file.
pub fn run(program: &str, config: &Path, arguments: &[&str]) -> Done {
    let mut command = command(program);
    command.arg("--config-file").arg(config).args(arguments);
    finish(command)
}

/// A child that does not outlive the test.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        if matches!(self.0.try_wait(), Ok(None)) {
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }
}

/// A port below 32768 on which nobody listens now.
pub fn free_port() -> u16 {
    let tried = COUNTER.fetch_add(1, Ordering::Relaxed).wrapping_mul(7_919);
    let first = std::process::id().wrapping_mul(104_729).wrapping_add(tried);
    let mut ports = (0..500u32).map(|n| 20_000 + u16::try_from(first.wrapping_add(n * 13) % 12_000).unwrap());
    ports.find(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok()).expect("a free port")
}

/// A configuration as operators write it, without authentication.
pub fn config(port: u16, database: &str) -> String {
    let mut text = String::from("# a file in the form of oslo.config\n[DEFAULT]\n");
    writeln!(text, "bind_host = 127.0.0.1\nbind_port = {port}\nauth_strategy = noauth\n").unwrap();
    writeln!(text, "[storage]\nbackend = sqlalchemy\ndriver = sqlalchemy\n").unwrap();
    writeln!(text, "[database]\nconnection = {database}\nmax_retries = 0\n").unwrap();
    // an option of a group that the service does not know, as such files have them
    writeln!(text, "[cors]\nallowed_origin = http://127.0.0.1\n").unwrap();
    text
}

/// The service as a process; killed at the end of the test unless it has ended.
pub struct Service {
    child: Killed,
    port: u16,
    log: PathBuf,
}

impl Service {
    /// Starts the service on a free port, on a database that has its tables.
    pub fn start(scratch: &Scratch, database: &str) -> Service {
        Service::start_with(scratch, |port| config(port, database), |_| ())
    }

    /// Starts the service with the configuration that is made for its port, as a process that is prepared.
    pub fn start_with(
        scratch: &Scratch,
        config: impl Fn(u16) -> String,
        prepare: impl Fn(&mut Command),
    ) -> Service {
        // a port can be taken between the look and the start
        for _ in 0..5 {
            let port = free_port();
            let file = scratch.write("freezer-api.conf", &config(port));
            let mut start = command(API);
            start.arg("--config-file").arg(file);
            prepare(&mut start);
            let service = Service::spawn(start, port, scratch);
            match service {
                Ok(service) => return service,
                Err(log) => assert!(log.contains("Address already in use"), "the service ended:\n{log}"),
            }
        }
        panic!("no port was free");
    }

    /// Starts a command that will listen on the port; its log, where it ended instead.
    pub fn spawn(command: Command, port: u16, scratch: &Scratch) -> Result<Service, String> {
        Service::spawn_until(command, port, scratch, |service| service.log().contains("listening on"))
    }

    /// As [`Service::spawn`], for a service that logs elsewhere than to its output.
    pub fn spawn_silent(command: Command, port: u16, scratch: &Scratch) -> Result<Service, String> {
        Service::spawn_until(command, port, scratch, |service| TcpStream::connect(service.address()).is_ok())
    }

    fn spawn_until(
        mut command: Command,
        port: u16,
        scratch: &Scratch,
        listens: impl Fn(&Service) -> bool,
    ) -> Result<Service, String> {
        let log = scratch.path().join("service.log");
        let file = File::create(&log).unwrap();
        command.stdout(file.try_clone().unwrap()).stderr(file);
        let child = Killed(command.spawn().expect("the service starts"));
        let mut service = Service { child, port, log };
        let listening = wait_for("the service listens", || {
            if service.child.0.try_wait().unwrap().is_some() {
                return Some(false);
            }
            listens(&service).then_some(true)
        });
        if listening { Ok(service) } else { Err(service.log()) }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.port).into()
    }

    /// Its address as a URL.
    pub fn url(&self) -> String {
        format!("http://{}", self.address())
    }

    /// Bytes of memory that it has in use.
    pub fn memory(&self) -> usize {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.0.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("the memory in use");
        line.trim().trim_end_matches(" kB").parse::<usize>().unwrap() * 1_024
    }

    /// What it has logged so far.
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.log).unwrap()).into_owned()
    }

    /// A connection on which nothing waits for ever.
    pub fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect_timeout(&self.address(), PATIENCE).expect("the service accepts");
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        stream
    }

    /// Sends a request on a connection of its own; the status and the body of the answer.
    pub fn request(&self, method: &str, path: &str, body: &str) -> (u16, String) {
        self.request_with("", method, path, body)
    }

    /// As [`Service::request`], with more header lines, each with its line end.
    pub fn request_with(&self, headers: &str, method: &str, path: &str, body: &str) -> (u16, String) {
        let mut stream = self.connect();
        let length = body.len();
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nContent-Type: application/json\r\n\
             Content-Length: {length}\r\n{headers}\r\n",
            self.address()
        );
        stream.write_all(head.as_bytes()).unwrap();
        stream.write_all(body.as_bytes()).unwrap();
        parse(&read_all(&mut stream))
    }

    /// Sends SIGTERM.
    pub fn terminate(&self) {
        self.signal("TERM");
    }

    /// Sends a signal by its name.
    pub fn signal(&self, name: &str) {
        let mut kill = Command::new("sh");
        kill.args(["-c", &format!("kill -{name} {}", self.child.0.id())]);
        assert_eq!(finish(kill).code, Some(0));
    }

    /// The exit code, when it has ended by itself.
    pub fn exit_code(mut self) -> Option<i32> {
        wait_for("the end of the service", || self.child.0.try_wait().unwrap()).code()
    }
}
