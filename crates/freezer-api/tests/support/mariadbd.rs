//! A MariaDB server for one test, which can be killed, stopped and started again: [`Server`].
//!
//! It listens on a Unix socket in a temporary directory and, unless its arguments say otherwise, on no port.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use freezer_store::{DatabaseUrl, MySqlUrl};

use super::database::TestDatabase;

/// Time limit for the start of the server. If it was killed, it must recover first.
const STARTUP: Duration = Duration::from_secs(120);
const PAUSE: Duration = Duration::from_millis(100);

/// A server. When the test ends in any way, it is killed and its files are removed.
pub struct Server {
    directory: PathBuf,
    arguments: Vec<String>,
    child: Option<Child>,
}

impl Server {
    /// Creates the files of a new server and starts it. Returns `None` if MariaDB is not installed, or if tests on it
    /// are not wanted (`FREEZER_TEST_MYSQL_URL` is not set).
    pub async fn start(name: &str) -> Option<Server> {
        Server::start_with(name, &["--skip-networking", "--loose-skip-ssl"]).await
    }

    /// Does the same as [`Server::start`] with options of mariadbd.
    pub async fn start_with(name: &str, arguments: &[&str]) -> Option<Server> {
        if std::env::var_os("FREEZER_TEST_MYSQL_URL").is_none() {
            super::skipped(name, "FREEZER_TEST_MYSQL_URL is not set");
            return None;
        }
        // The path of a socket has at most 107 characters, so this cannot be in the target directory.
        let parent = std::env::var_os("FREEZER_TEST_SCRATCH").filter(|path| !path.is_empty());
        let parent = parent.map_or_else(std::env::temp_dir, PathBuf::from);
        let directory = parent.join(format!("fz-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&directory).expect("a temporary directory");
        let mut server = Server {
            directory,
            arguments: arguments.iter().map(|argument| (*argument).to_owned()).collect(),
            child: None,
        };
        let made = server
            .command("mariadb-install-db")
            .args(["--auth-root-authentication-method=normal", "--skip-test-db"])
            .output();
        match made {
            Err(_) => {
                super::skipped(name, "mariadb-install-db is not installed");
                return None;
            }
            Ok(output) => assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout)),
        }
        server.start_again().await;
        Some(server)
    }

    /// Starts the server with the existing files, and waits until it answers.
    pub async fn start_again(&mut self) {
        let log = std::fs::File::create(self.directory.join("log")).expect("a log file");
        let child = self
            .command("mariadbd")
            .args(["--skip-log-bin", "--innodb-buffer-pool-size=32M"])
            .args(&self.arguments)
            .arg(format!("--socket={}", self.socket().display()))
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("mariadbd starts");
        self.child = Some(child);
        let mut waited = Duration::ZERO;
        while !super::database::answers(&self.url("mysql")).await {
            assert!(waited < STARTUP, "mariadbd does not answer: {}", self.log());
            tokio::time::sleep(PAUSE).await;
            waited += PAUSE;
        }
    }

    /// Kills the server (SIGKILL). It loses everything that it has not written.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Stops the process of the server (SIGSTOP). Connections stay open, but it does not answer.
    pub fn freeze(&self) {
        self.signal("-STOP");
        // The other threads run until one of them has received the signal, which takes a while on a busy machine.
        let mut waited = Duration::ZERO;
        while !self.is_frozen() {
            assert!(waited < STARTUP, "mariadbd does not stop");
            std::thread::sleep(Duration::from_millis(5));
            waited += Duration::from_millis(5);
        }
    }

    /// Returns whether all threads of the server are stopped.
    fn is_frozen(&self) -> bool {
        let child = self.child.as_ref().expect("the server runs");
        let threads = std::fs::read_dir(format!("/proc/{}/task", child.id())).expect("the server's threads");
        threads.flatten().all(|thread| {
            // A thread can end meanwhile. The state follows the name, which is in parentheses.
            let stat = std::fs::read_to_string(thread.path().join("stat")).unwrap_or_default();
            stat.rsplit_once(')').is_none_or(|(_, rest)| rest.trim_start().starts_with('T'))
        })
    }

    /// Continues the process of the server.
    pub fn thaw(&self) {
        self.signal("-CONT");
    }

    /// Creates an empty database on the server.
    pub async fn database(&self) -> TestDatabase {
        let DatabaseUrl::MySql(url) = self.url("freezer") else { panic!("not MySQL") };
        TestDatabase::at(DatabaseUrl::MySql(url), self.directory.join("scratch")).await
    }

    /// Returns the URL of a database on the socket, with the user root.
    pub fn url(&self, database: &str) -> DatabaseUrl {
        DatabaseUrl::MySql(MySqlUrl {
            socket: Some(self.socket()),
            user: "root".to_owned(),
            database: database.to_owned(),
            ..MySqlUrl::default()
        })
    }

    pub fn socket(&self) -> PathBuf {
        self.directory.join("socket")
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.directory.join("log")).unwrap_or_default()
    }

    fn signal(&self, signal: &str) {
        let child = self.child.as_ref().expect("the server runs");
        let sent = Command::new("kill").args([signal, &child.id().to_string()]).status();
        assert!(sent.expect("kill runs").success());
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(found(program));
        command.arg("--no-defaults").arg(format!("--datadir={}", self.directory.join("data").display()));
        // If servers share this directory, each start deletes the temporary tables of the others.
        command.arg(format!("--tmpdir={}", self.directory.display()));
        if running_as_root() {
            command.arg("--user=root");
        }
        command
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

/// Returns the path of a program. The PATH of ordinary users may not contain the directory of servers.
fn found(program: &str) -> PathBuf {
    let beside = Path::new("/usr/sbin").join(program);
    if beside.exists() { beside } else { PathBuf::from(program) }
}

fn running_as_root() -> bool {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0)
}
