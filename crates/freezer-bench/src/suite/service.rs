//! Starts and stops the services: this one from its binaries, and freezer-api 19.0.0 with uwsgi from a Python environment.
//!
//! Each service has its own directory, listens on loopback and trusts identity headers. When the value is dropped, the
//! process is killed.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use std::{fs, io};

use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep, timeout};

use crate::dataset::Dataset;
use crate::http::{Authority, Connection, HttpError};
use crate::scenario::Scenario;

/// The number of processes of the Python service. Each has one thread, as upstream's deployment guide recommends.
const PEER_PROCESSES: &str = "2";
/// The time limit for the start and the stop of a service.
const PATIENCE: Duration = Duration::from_secs(60);
/// The time limit of a command, which may process all rows.
const COMMAND_PATIENCE: Duration = Duration::from_secs(600);

/// Why a service cannot be started.
#[derive(Debug, thiserror::Error)]
pub enum ServiceError {
    /// A file or a program cannot be used.
    #[error("{what}: {source}")]
    Io {
        /// The name of it.
        what: String,
        /// The error of the operating system.
        source: io::Error,
    },
    /// A command failed.
    #[error("{command} failed; see {log}", log = log.display())]
    Command {
        /// The name of it.
        command: String,
        /// The file with its output.
        log: PathBuf,
    },
    /// The service does not answer.
    #[error("{label} does not answer on {url} within {PATIENCE:?} ({last}); see {log}", log = log.display())]
    Silent {
        /// The label of the service.
        label: String,
        /// A URL is invalid.
        url: String,
        /// The last error.
        last: String,
        /// The file with its output.
        log: PathBuf,
    },
    /// The port is in use.
    #[error("port {0} is in use; choose another with --port")]
    Port(u16),
    /// A URL is invalid.
    #[error(transparent)]
    Http(#[from] HttpError),
}

/// The authentication of callers.
#[derive(Debug, Clone)]
pub enum Authentication {
    /// The service trusts identity headers.
    Headers,
    /// The service validates tokens with the Keystone at this URL.
    Keystone(String),
}

/// The setup of a service.
#[derive(Debug, Clone)]
pub struct Setup {
    /// The label in the table.
    pub label: String,
    /// The directory of its files.
    pub directory: PathBuf,
    /// The SQLAlchemy URL of its database.
    pub connection: String,
    /// The port.
    pub port: u16,
    /// The kind of service.
    pub kind: ServiceKind,
}

/// A kind of service.
#[derive(Debug, Clone)]
pub enum ServiceKind {
    /// This service.
    Own {
        /// The directory of `freezer-api` and `freezer-manage`.
        binaries: PathBuf,
        /// The authentication of callers.
        authentication: Authentication,
    },
    /// freezer-api 19.0.0.
    Peer {
        /// The Python environment.
        environment: PathBuf,
        /// The WSGI file.
        wsgi: PathBuf,
    },
}

/// A running service.
#[derive(Debug)]
pub struct Service {
    /// The setup.
    pub setup: Setup,
    /// The main process. The others are its children.
    pub pid: u32,
    child: Child,
}

impl Setup {
    /// Returns the URL.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    fn file(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    fn log(&self) -> PathBuf {
        self.file("service.log")
    }

    /// Writes the configuration and creates the tables with the `freezer-manage` of this service.
    pub async fn prepare(&self) -> Result<(), ServiceError> {
        fs::create_dir_all(&self.directory).map_err(io_error(&self.directory))?;
        let configuration = self.file("freezer-api.conf");
        fs::write(&configuration, self.configuration()).map_err(io_error(&configuration))?;
        if let ServiceKind::Peer { environment, .. } = &self.kind {
            // These are the pipelines of the release, without the filter for Keystone.
            let shipped = environment.join("etc/freezer/freezer-paste.ini");
            let text = fs::read_to_string(&shipped).map_err(io_error(&shipped))?;
            let (paste, disabled) = (self.file("paste.ini"), self.file("disabled"));
            fs::write(&paste, without_keystone(&text, &disabled)).map_err(io_error(&paste))?;
        }
        self.command(&["db", "sync"]).await
    }

    async fn command(&self, arguments: &[&str]) -> Result<(), ServiceError> {
        let log = self.file("manage.log");
        let file = fs::File::create(&log).map_err(io_error(&log))?;
        let errors = file.try_clone().map_err(io_error(&log))?;
        let program = match &self.kind {
            ServiceKind::Own { binaries, .. } => binaries.join("freezer-manage"),
            ServiceKind::Peer { environment, .. } => environment.join("bin/freezer-manage"),
        };
        let mut command = Command::new(&program);
        command.arg("--config-file").arg(self.file("freezer-api.conf")).args(arguments);
        command.stdin(Stdio::null()).stdout(file).stderr(errors).kill_on_drop(true);
        let mut child = command.spawn().map_err(io_error(&program))?;
        match timeout(COMMAND_PATIENCE, child.wait()).await {
            Ok(Ok(status)) if status.success() => Ok(()),
            _ => Err(ServiceError::Command { command: program.display().to_string(), log }),
        }
    }

    fn configuration(&self) -> String {
        let Setup { connection, port, .. } = self;
        let storage = "[storage]\nbackend = sqlalchemy\ndriver = sqlalchemy\n";
        let database = format!("{storage}[database]\nconnection = {connection}\n");
        match &self.kind {
            ServiceKind::Own { authentication: Authentication::Headers, .. } => format!(
                "[DEFAULT]\nbind_host = 127.0.0.1\nbind_port = {port}\nauth_strategy = noauth\n{database}"
            ),
            ServiceKind::Own { authentication: Authentication::Keystone(url), .. } => format!(
                "[DEFAULT]\nbind_host = 127.0.0.1\nbind_port = {port}\n{database}[keystone_authtoken]\n\
                 auth_url = {url}\nwww_authenticate_uri = {url}\nauth_type = password\nusername = freezer\n\
                 password = freezer-bench\nproject_name = service\nuser_domain_name = Default\n\
                 project_domain_name = Default\n"
            ),
            ServiceKind::Peer { .. } => format!(
                "[DEFAULT]\nuse_stderr = true\n[paste_deploy]\nconfig_file = {}\n{database}",
                self.file("paste.ini").display()
            ),
        }
    }

    /// Starts the service. Returns the time until the first correct answer to a request that needs the database.
    pub async fn start(&self, data: &Dataset) -> Result<(Service, Duration), ServiceError> {
        if std::net::TcpStream::connect(("127.0.0.1", self.port)).is_ok() {
            return Err(ServiceError::Port(self.port));
        }
        let log = self.log();
        let file = fs::OpenOptions::new().create(true).append(true).open(&log).map_err(io_error(&log))?;
        let errors = file.try_clone().map_err(io_error(&log))?;
        let mut command = self.server();
        command.stdin(Stdio::null()).stdout(file).stderr(errors).kill_on_drop(true);
        let begun = Instant::now();
        let child = command.spawn().map_err(io_error(&self.directory))?;
        let pid = child.id().unwrap_or_default();
        // A script uses this file to stop the service if this program was killed.
        let pid_file = self.file("pid");
        fs::write(&pid_file, pid.to_string()).map_err(io_error(&pid_file))?;
        let service = Service { setup: self.clone(), pid, child };
        let mut last = String::new();
        while begun.elapsed() < PATIENCE {
            match first_answer(&self.url(), data).await {
                Ok(()) => return Ok((service, begun.elapsed())),
                Err(reason) => last = reason,
            }
            sleep(Duration::from_millis(1)).await;
        }
        service.stop().await;
        Err(ServiceError::Silent { label: self.label.clone(), url: self.url(), last, log })
    }

    fn server(&self) -> Command {
        match &self.kind {
            ServiceKind::Own { binaries, .. } => {
                let mut command = Command::new(binaries.join("freezer-api"));
                command.arg("--config-file").arg(self.file("freezer-api.conf"));
                command
            }
            ServiceKind::Peer { environment, wsgi } => {
                let mut command = Command::new(environment.join("bin/uwsgi"));
                command.args(["--http-socket", &format!("127.0.0.1:{}", self.port), "--master"]);
                command.arg("--virtualenv").arg(environment).arg("--wsgi-file").arg(wsgi);
                command.args(["--processes", PEER_PROCESSES, "--threads", "1", "--enable-threads"]);
                command.args([
                    "--lazy-apps",
                    "--need-app",
                    "--die-on-term",
                    "--no-orphans",
                    "--thunder-lock",
                ]);
                // uwsgi closes every connection on this kind of socket. The header tells the client.
                command.args([
                    "--buffer-size",
                    "65535",
                    "--listen",
                    "100",
                    "--add-header",
                    "Connection: close",
                ]);
                command.env("PEER_CONF", self.file("freezer-api.conf"));
                command
            }
        }
    }
}

impl Service {
    /// Returns the URL.
    pub fn url(&self) -> String {
        self.setup.url()
    }

    /// Stops the service and drops it.
    pub async fn stop(mut self) {
        self.end().await;
    }

    /// Sends SIGTERM to the service and waits for its end. Kills it after the time limit.
    pub async fn end(&mut self) {
        let _ = Command::new("kill").args(["-TERM", &self.pid.to_string()]).status().await;
        if timeout(Duration::from_secs(10), self.child.wait()).await.is_err() {
            let _ = self.child.kill().await;
        }
        let _ = fs::remove_file(self.setup.file("pid"));
    }
}

/// Requests one job, because the service must read the database for this answer.
async fn first_answer(url: &str, data: &Dataset) -> Result<(), String> {
    let server = Authority::from_url(url).map_err(|error| error.to_string())?;
    let request = Scenario::GetJob.request(0, data, &server);
    let answer = async { Connection::open(&server).await?.exchange(&request).await };
    let answer = timeout(PATIENCE, answer).await.map_err(|_| "no answer".to_owned())?;
    Scenario::GetJob.check(0, data, &answer.map_err(|error| error.to_string())?)
}

/// Returns a paste file without the filter for Keystone, and without a health check that depends on a foreign file.
fn without_keystone(paste: &str, disabled: &Path) -> String {
    let lines = paste.lines().map(|line| match line {
        line if line.starts_with("pipeline") => line.replace(" authtoken", ""),
        line if line.starts_with("disable_by_file_path") => {
            format!("disable_by_file_path = {}", disabled.display())
        }
        line => line.to_owned(),
    });
    lines.collect::<Vec<_>>().join("\n")
}

fn io_error(path: &Path) -> impl Fn(io::Error) -> ServiceError {
    let what = path.display().to_string();
    move |source| ServiceError::Io { what: what.clone(), source }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn setup(kind: ServiceKind) -> Setup {
        let connection = "mysql://u:p@h:1/d".to_owned();
        Setup { label: "x".to_owned(), directory: PathBuf::from("/d"), connection, port: 9_090, kind }
    }

    #[test]
    fn the_keystone_filter_is_removed_from_every_pipeline() {
        let shipped = "[pipeline:a]\npipeline = x authtoken context app\n[filter:authtoken]\nfactory = y";
        let paste = without_keystone(shipped, Path::new("/f"));
        assert_eq!(paste, "[pipeline:a]\npipeline = x context app\n[filter:authtoken]\nfactory = y");
    }

    #[test]
    fn our_service_is_told_how_callers_are_known() {
        let with = |authentication| {
            setup(ServiceKind::Own { binaries: PathBuf::new(), authentication }).configuration()
        };
        let headers = with(Authentication::Headers);
        assert!(headers.contains("auth_strategy = noauth\n") && !headers.contains("keystone"), "{headers}");
        let keystone = with(Authentication::Keystone("http://k:5".to_owned()));
        assert!(keystone.contains("auth_url = http://k:5\n") && !keystone.contains("noauth"), "{keystone}");
        assert!(keystone.contains("connection = mysql://u:p@h:1/d\n"), "{keystone}");
    }
}
