//! Runs the programs as processes: a scratch directory, a database for one test, a configuration file, a command with a
//! time limit, and the service on a free port.
//!
//! Tests in the process of the service use `support/`.

#![allow(dead_code, reason = "each test program uses its own part")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test stops at the first surprise")]
#![allow(clippy::print_stdout, reason = "a test that is skipped says so")]

mod answer;
pub mod supervisor;

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

pub const API: &str = env!("CARGO_BIN_EXE_freezer-api");
pub const MANAGE: &str = env!("CARGO_BIN_EXE_freezer-manage");
pub const STATUS: &str = env!("CARGO_BIN_EXE_freezer-manager-status");

/// Time limit for every wait. It is much longer than a slow machine needs, because it only ends hanging tests.
const TIME_LIMIT: Duration = Duration::from_secs(90);
/// Pause between two checks of a condition.
const PAUSE: Duration = Duration::from_millis(20);

static COUNTER: AtomicU32 = AtomicU32::new(0);

fn unique(name: &str) -> String {
    format!("{name}_{}_{}", std::process::id(), COUNTER.fetch_add(1, Ordering::Relaxed))
}

/// Waits until `done` returns a value. After the time limit, it panics and names the condition.
pub fn wait_for<T>(what: &str, mut done: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + TIME_LIMIT;
    loop {
        if let Some(value) = done() {
            return value;
        }
        assert!(Instant::now() < deadline, "{what}: not within {TIME_LIMIT:?}");
        std::thread::sleep(PAUSE);
    }
}

/// A directory for one test, which is deleted at the end.
pub struct Scratch(PathBuf);

impl Scratch {
    /// Creates an empty directory.
    pub fn new() -> Scratch {
        // The same directory as that of `support/`.
        let named = std::env::var_os("FREEZER_TEST_SCRATCH").filter(|path| !path.is_empty());
        let root = PathBuf::from(named.unwrap_or_else(|| env!("CARGO_TARGET_TMPDIR").into()));
        let path = root.join(unique("process"));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).unwrap();
        Scratch(path)
    }

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

/// The database engine of a test.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Engine {
    /// A file in the scratch directory.
    Sqlite,
    /// A database on the server of `FREEZER_TEST_MYSQL_URL`.
    MySql,
}

/// An empty database for one test, which is dropped at the end.
pub struct Database {
    url: String,
    on_server: Option<(Server, String)>,
}

impl Database {
    /// Creates a database. Prints a note and returns `None` if the engine is not available.
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

    /// Returns the URL for `[database] connection`.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Returns the URL as it may occur in messages: without driver, password and parameters.
    pub fn shown(&self) -> String {
        match &self.on_server {
            None => self.url.clone(),
            Some((Server { user, host, port, .. }, name)) => format!("mysql://{user}@{host}:{port}/{name}"),
        }
    }

    /// Returns the URL with another password.
    pub fn url_with_password(&self, password: &str) -> String {
        let (Server { user, .. }, _) = self.on_server.as_ref().expect("a database at a server");
        self.url_of(user, password)
    }

    /// Returns the URL with another user.
    pub fn url_of(&self, user: &str, password: &str) -> String {
        let (Server { host, port, .. }, name) = self.on_server.as_ref().expect("a database at a server");
        format!("mysql+pymysql://{user}:{password}@{host}:{port}/{name}")
    }

    /// Returns the URL with another port on this machine.
    pub fn url_at_port(&self, port: u16) -> String {
        let (Server { user, password, .. }, name) = self.on_server.as_ref().expect("a database at a server");
        format!("mysql+pymysql://{user}:{password}@127.0.0.1:{port}/{name}")
    }

    /// Returns `host:port` of the server.
    pub fn server_address(&self) -> String {
        let (Server { host, port, .. }, _) = self.on_server.as_ref().expect("a database at a server");
        format!("{host}:{port}")
    }

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

    /// Runs statements on the server, even if the database does not exist.
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

/// The result of a command.
#[derive(Debug)]
pub struct Done {
    /// The exit code. `None` after a signal.
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Done {
    /// Asserts that the command ended with this code and that its standard error contains all of these words.
    #[track_caller]
    pub fn refused(&self, code: i32, words: &[&str]) -> &Done {
        assert_eq!(self.code, Some(code), "{self:#?}");
        for word in words {
            assert!(self.stderr.contains(word), "no {word:?} in {self:#?}");
        }
        self
    }

    /// Asserts that the command succeeded. Returns its standard output.
    #[track_caller]
    pub fn succeeded(&self) -> &str {
        assert_eq!(self.code, Some(0), "{self:#?}");
        &self.stdout
    }

    /// Asserts that the output does not contain a text.
    #[track_caller]
    pub fn without(&self, secret: &str) -> &Done {
        assert!(!self.stdout.contains(secret) && !self.stderr.contains(secret), "{self:#?}");
        self
    }
}

/// Returns a command for one of our programs, without standard input and without environment variables that configure
/// it.
pub fn command(program: &str) -> Command {
    let mut command = Command::new(program);
    command.stdin(Stdio::null());
    for (key, _) in std::env::vars_os().filter(|(key, _)| key.to_string_lossy().starts_with("OS_")) {
        command.env_remove(key);
    }
    command
}

/// Runs a command until it ends, with a time limit.
pub fn finish(command: Command) -> Done {
    begin(command).done()
}

/// Runs a command that has its own standard input until it ends, with a time limit.
pub fn finish_with(command: Command) -> Done {
    running(command).done()
}

pub fn begin(mut command: Command) -> Running {
    command.stdin(Stdio::null());
    running(command)
}

fn running(mut command: Command) -> Running {
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = Killed(command.spawn().expect("the program starts"));
    // Threads read the output, because the program would stop at a full pipe.
    let stdout = reader(child.0.stdout.take().unwrap());
    let stderr = reader(child.0.stderr.take().unwrap());
    Running { what: format!("the end of {command:?}"), child, stdout, stderr }
}

/// A running command. It is killed when it is dropped.
pub struct Running {
    what: String,
    child: Killed,
    stdout: std::thread::JoinHandle<String>,
    stderr: std::thread::JoinHandle<String>,
}

impl Running {
    pub fn id(&self) -> u32 {
        self.child.0.id()
    }

    pub fn is_running(&mut self) -> bool {
        self.child.0.try_wait().unwrap().is_none()
    }

    /// Waits until the command ends, with a time limit.
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

/// Runs one of our programs with a configuration file.
pub fn run(program: &str, config: &Path, arguments: &[&str]) -> Done {
    let mut command = command(program);
    command.arg("--config-file").arg(config).args(arguments);
    finish(command)
}

/// A child process that is killed when it is dropped.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        if matches!(self.0.try_wait(), Ok(None)) {
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }
}

/// Returns a port below 32768 that is not in use at this time.
pub fn free_port() -> u16 {
    let tried = COUNTER.fetch_add(1, Ordering::Relaxed).wrapping_mul(7_919);
    let first = std::process::id().wrapping_mul(104_729).wrapping_add(tried);
    let mut ports = (0..500u32).map(|n| 20_000 + u16::try_from(first.wrapping_add(n * 13) % 12_000).unwrap());
    ports.find(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok()).expect("a free port")
}

/// Returns a typical configuration without authentication.
pub fn config(port: u16, database: &str) -> String {
    let mut text = String::from("# a file in the form of oslo.config\n[DEFAULT]\n");
    writeln!(text, "bind_host = 127.0.0.1\nbind_port = {port}\nauth_strategy = noauth\n").unwrap();
    writeln!(text, "[storage]\nbackend = sqlalchemy\ndriver = sqlalchemy\n").unwrap();
    writeln!(text, "[database]\nconnection = {database}\nmax_retries = 0\n").unwrap();
    // The service does not know all options of this group. Such files contain some of them.
    writeln!(text, "[oslo_messaging_notifications]\ndriver = noop\n").unwrap();
    text
}

/// The service as a process. It is killed at the end of the test if it is still running.
pub struct Service {
    child: Killed,
    port: u16,
    log: PathBuf,
}

impl Service {
    /// Starts the service on a free port with an existing database.
    pub fn start(scratch: &Scratch, database: &str) -> Service {
        Service::start_with(scratch, |port| config(port, database), |_| ())
    }

    /// Starts the service with a configuration for its port and a changed command.
    pub fn start_with(
        scratch: &Scratch,
        config: impl Fn(u16) -> String,
        prepare: impl Fn(&mut Command),
    ) -> Service {
        // Another process can take the port before the service starts.
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

    /// Starts a command that will listen on the port. Returns its log if it ends instead.
    pub fn spawn(command: Command, port: u16, scratch: &Scratch) -> Result<Service, String> {
        Service::spawn_until(command, port, scratch, |service| service.log().contains("listening on"))
    }

    /// Does the same as [`Service::spawn`] for a service whose log does not go to its output.
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

    pub fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.port).into()
    }

    /// Returns the address as a URL.
    pub fn url(&self) -> String {
        format!("http://{}", self.address())
    }

    /// Returns the used memory in bytes.
    pub fn memory(&self) -> usize {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.0.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("the memory in use");
        line.trim().trim_end_matches(" kB").parse::<usize>().unwrap() * 1_024
    }

    /// Returns the log up to now.
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.log).unwrap()).into_owned()
    }

    /// Opens a connection with time-outs.
    pub fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect_timeout(&self.address(), TIME_LIMIT).expect("the service accepts");
        stream.set_read_timeout(Some(TIME_LIMIT)).unwrap();
        stream.set_write_timeout(Some(TIME_LIMIT)).unwrap();
        stream
    }

    /// Sends a request on a new connection. Returns the status and the body of the answer.
    pub fn request(&self, method: &str, path: &str, body: &str) -> (u16, String) {
        self.request_with("", method, path, body)
    }

    /// Does the same as [`Service::request`] with additional header lines, which must include their line ends.
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

    /// Returns the exit code after the service has ended without a signal of the test.
    pub fn exit_code(mut self) -> Option<i32> {
        wait_for("the end of the service", || self.child.0.try_wait().unwrap()).code()
    }
}
