//! A MariaDB server of the test's own, to be killed, stopped and started again: [`Server`].
//!
//! It listens on a Unix socket in a temporary directory and, unless its arguments say otherwise, on no port.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use freezer_store::{DatabaseUrl, MySqlUrl};

use super::database::TestDatabase;

/// Longest time for the server to begin to answer: it recovers first where it was killed.
const STARTUP: Duration = Duration::from_secs(120);
const PAUSE: Duration = Duration::from_millis(100);

/// A server; it is killed and its files are removed when the test ends, however it ends.
pub struct Server {
    directory: PathBuf,
    arguments: Vec<String>,
    child: Option<Child>,
}

impl Server {
    /// Makes the files of a new server and starts it; none where MariaDB is not installed, or where tests on it are not
    /// wanted (`FREEZER_TEST_MYSQL_URL` is not set).
    pub async fn start(name: &str) -> Option<Server> {
        Server::start_with(name, &["--skip-networking", "--loose-skip-ssl"]).await
    }

    /// As [`Server::start`], with options of mariadbd.
    pub async fn start_with(name: &str, arguments: &[&str]) -> Option<Server> {
        if std::env::var_os("FREEZER_TEST_MYSQL_URL").is_none() {
            super::skipped(name, "FREEZER_TEST_MYSQL_URL is not set");
            return None;
        }
        // a path of a socket has at most 107 characters, so not below the target directory
        let directory = std::env::temp_dir().join(format!("fz-{}-{name}", std::process::id()));
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

    /// Starts the server on the files that are there, and waits until it answers.
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

    /// Kills the server (SIGKILL): what it has not written is lost.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Stops the server where it stands (SIGSTOP): connections stay open and nothing answers.
    pub fn freeze(&self) {
        self.signal("-STOP");
    }

    /// Lets it go on.
    pub fn thaw(&self) {
        self.signal("-CONT");
    }

    /// An empty database on the server.
    pub async fn database(&self) -> TestDatabase {
        let DatabaseUrl::MySql(url) = self.url("freezer") else { panic!("not MySQL") };
        TestDatabase::at(DatabaseUrl::MySql(url), self.directory.join("scratch")).await
    }

    /// The address of a database, as root, over the socket.
    pub fn url(&self, database: &str) -> DatabaseUrl {
        DatabaseUrl::MySql(MySqlUrl {
            socket: Some(self.socket()),
            user: "root".to_owned(),
            database: database.to_owned(),
            ..MySqlUrl::default()
        })
    }

    /// The socket that it listens on.
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
        // a server that starts deletes the temporary tables of others in a directory that they share
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

/// Servers are installed where ordinary users' PATH does not lead.
fn found(program: &str) -> PathBuf {
    let beside = Path::new("/usr/sbin").join(program);
    if beside.exists() { beside } else { PathBuf::from(program) }
}

fn running_as_root() -> bool {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0)
}
