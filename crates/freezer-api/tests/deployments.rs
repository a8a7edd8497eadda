//! Configurations that deployment tools write (`tests/deployments/` in the root directory). Each of them is checked,
//! its database is migrated, and the service is started and serves requests with a token. These tests use the real
//! programs, a fake Keystone and both engines.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test stops at the first surprise")]

#[path = "../../keystone-auth/tests/keystone/support/mod.rs"]
mod keystone;
mod process;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use freezer_api::clock::Clock;
use keystone::{FakeKeystone, PASSWORD, START, TestClock, token};
use process::{API, Database, Engine, MANAGE, STATUS, Scratch, Service, command, finish, free_port};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use serde_json::{Value, json};
use tokio::runtime::Runtime;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;

/// The content of `tests/deployments/<tool>/deployment`.
struct Deployment {
    files: PathBuf,
    lines: Vec<(String, String)>,
}

impl Deployment {
    fn all() -> Vec<Deployment> {
        let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/deployments");
        let mut found: Vec<Deployment> = fs::read_dir(directory)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.is_dir())
            .map(Deployment::read)
            .collect();
        found.sort_by(|a, b| a.files.cmp(&b.files));
        found
    }

    fn read(files: PathBuf) -> Deployment {
        let text = fs::read_to_string(files.join("deployment")).unwrap();
        let pair = |line: &str| {
            let (name, value) =
                line.split_once(" = ").unwrap_or_else(|| panic!("{}: {line}", files.display()));
            let names = [
                "tool",
                "argument",
                "service_argument",
                "variable",
                "directory",
                "keystone",
                "database_parameters",
                "log",
                "expects",
            ];
            assert!(names.contains(&name), "{}: {line}", files.display());
            (name.to_owned(), value.to_owned())
        };
        Deployment { lines: text.lines().map(pair).collect(), files }
    }

    fn name(&self) -> String {
        self.files.file_name().unwrap().to_string_lossy().into_owned()
    }

    fn values(&self, name: &str) -> impl Iterator<Item = &str> {
        self.lines.iter().filter(move |(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// A deployment on this machine: its files, which are in a directory instead of `/`, and its servers.
struct Node<'d> {
    deployment: &'d Deployment,
    scratch: Scratch,
    keystone: FakeKeystone,
    database: Database,
    port: u16,
}

impl Node<'_> {
    /// Installs a deployment. Returns `None` if the engine is not available.
    fn install<'d>(deployment: &'d Deployment, engine: Engine, runtime: &Runtime) -> Option<Node<'d>> {
        let scratch = Scratch::new();
        let database = Database::create(engine, &scratch)?;
        let clock = TestClock::new();
        let now = Clock::system().now().0;
        clock.advance(now - START);
        let encrypted = deployment.values("keystone").any(|value| value == "https");
        let tls = encrypted.then(|| authority(&scratch.path().join("etc/freezer/certs")));
        let keystone = runtime.block_on(FakeKeystone::start_with(clock, tls));
        let mut ann = token("ann", &["member", "reader"], now + 9000);
        ann["project"]["id"] = "p1".into();
        keystone.add("token-of-ann", ann);
        let node = Node { deployment, scratch, keystone, database, port: free_port() };
        for directory in deployment.values("directory") {
            fs::create_dir_all(node.scratch.path().join(directory)).unwrap();
        }
        node.copy(&deployment.files, node.scratch.path(), engine);
        Some(node)
    }

    fn copy(&self, from: &Path, to: &Path, engine: Engine) {
        fs::create_dir_all(to).unwrap();
        for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
            let target = to.join(entry.file_name());
            if entry.path().is_dir() {
                self.copy(&entry.path(), &target, engine);
            } else {
                let text = fs::read_to_string(entry.path()).unwrap();
                let parameters = self.deployment.values("database_parameters").next();
                let url = self.database.url();
                let database = match (engine, parameters) {
                    (Engine::MySql, Some(parameters)) => {
                        format!("{}{parameters}", url.split('?').next().unwrap())
                    }
                    (Engine::MySql, None) => url.split('?').next().unwrap().to_owned(),
                    (Engine::Sqlite, _) => url.to_owned(),
                };
                fs::write(target, self.fill(&text).replace("@database@", &database)).unwrap();
            }
        }
    }

    fn fill(&self, text: &str) -> String {
        text.replace("@root@", &self.scratch.path().display().to_string())
            .replace("@address@", "127.0.0.1")
            .replace("@port@", &self.port.to_string())
            .replace("@keystone@", &self.keystone.url)
            .replace("@password@", PASSWORD)
    }

    fn command(&self, program: &str) -> Command {
        let mut command = command(program);
        for variable in ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"] {
            command.env_remove(variable);
        }
        for variable in self.deployment.values("variable") {
            let (name, value) = variable.split_once('=').unwrap();
            command.env(name, self.fill(value));
        }
        command.args(self.deployment.values("argument").map(|argument| self.fill(argument)));
        command
    }

    fn manage(&self, arguments: &[&str]) -> process::Done {
        let mut command = self.command(MANAGE);
        command.args(arguments);
        finish(command)
    }

    fn start(&self) -> Service {
        let mut command = self.command(API);
        command.args(self.deployment.values("service_argument").map(|argument| self.fill(argument)));
        let started = Service::spawn_silent(command, self.port, &self.scratch);
        started.unwrap_or_else(|log| panic!("{}: the service ended:\n{log}", self.deployment.name()))
    }
}

/// Creates a certificate authority, which is written as `ca.crt`, and a TLS server for 127.0.0.1 with a certificate of
/// this authority.
fn authority(directory: &Path) -> TlsAcceptor {
    let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    fs::create_dir_all(directory).unwrap();
    fs::write(directory.join("ca.crt"), issuer.pem()).unwrap();
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
    let certificate = params.signed_by(&key, &issuer).unwrap();
    let key = PrivateKeyDer::Pkcs8(key.serialize_der().into());
    let config = ServerConfig::builder().with_no_client_auth();
    let config = config.with_single_cert(vec![certificate.der().clone()], key).unwrap();
    TlsAcceptor::from(Arc::new(config))
}

/// Runs `test` with each deployment. Failures contain the name of the deployment.
fn with_each(engine: Engine, test: impl Fn(&Node<'_>)) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let deployments = Deployment::all();
    assert!(deployments.len() >= 9, "all tools are there");
    for deployment in &deployments {
        let Some(node) = Node::install(deployment, engine, &runtime) else { return };
        test(&node);
    }
}

fn check(node: &Node<'_>) {
    let name = node.deployment.name();
    let checked = node.manage(&["config", "check"]);
    assert!(matches!(checked.code, Some(0 | 1)), "{name}: {checked:#?}");
    for expected in node.deployment.values("expects") {
        assert!(checked.stdout.contains(expected), "{name}: no {expected:?} in {checked:#?}");
    }
    checked.without(PASSWORD);
    // All unexpected findings must be notes.
    let warnings = checked.stdout.lines().filter(|line| line.starts_with("warning"));
    let known = ["auth_uri: deprecated name", "cors", "use_journal", "use_syslog"];
    for warning in warnings {
        let expected = node.deployment.values("expects").any(|expected| warning.contains(expected));
        assert!(expected || known.iter().any(|known| warning.contains(known)), "{name}: {warning}");
    }
}

fn serve(node: &Node<'_>) {
    let name = node.deployment.name();
    let service = node.start();
    let (status, _) = service.request("GET", "/healthcheck", "");
    assert_eq!(status, 200, "{name}");
    let (status, _) = service.request("GET", "/v2/p1/clients", "");
    assert_eq!(status, 401, "{name}");
    let headers = "X-Auth-Token: token-of-ann\r\nAccept: application/json\r\n";
    let client = json!({"client_id": "node-1", "hostname": "node-1"}).to_string();
    let (status, body) = service.request_with(headers, "POST", "/v2/p1/clients", &client);
    assert_eq!(status, 201, "{name}: {body}\n{}", service.log());
    let (status, body) = service.request_with(headers, "GET", "/v2/p1/clients", "");
    let listed: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(status, 200, "{name}: {body}");
    assert_eq!(listed["clients"][0]["client"]["client_id"], "node-1", "{name}: {body}");
    service.terminate();
    assert_eq!(service.exit_code(), Some(0), "{name}");
    for log in node.deployment.values("log") {
        let text = fs::read_to_string(node.scratch.path().join(log))
            .unwrap_or_else(|error| panic!("{name}: {log}: {error}"));
        assert!(text.contains("listening on"), "{name}: {log}: {text}");
        assert!(!text.contains(PASSWORD) && !text.contains("token-of-ann"), "{name}: {log}");
    }
}

fn moves_in(engine: Engine) {
    with_each(engine, |node| {
        check(node);
        node.manage(&["db", "sync"]).succeeded();
        let mut upgrade = node.command(STATUS);
        upgrade.args(["upgrade", "check"]);
        let upgrade = finish(upgrade);
        assert!(matches!(upgrade.code, Some(0 | 1)), "{}: {upgrade:#?}", node.deployment.name());
        serve(node);
    });
}

#[test]
fn each_deployment_is_checked_migrated_and_served_on_sqlite() {
    moves_in(Engine::Sqlite);
}

#[test]
fn each_deployment_is_checked_migrated_and_served_on_mariadb() {
    moves_in(Engine::MySql);
}

/// Tests the check of connections with every deployment. It must name the part that failed.
fn connects(engine: Engine) {
    with_each(engine, |node| {
        let name = node.deployment.name();
        let connect = |verdicts: &[i32], expected: &[&str]| {
            let done = node.manage(&["config", "check", "--connect"]);
            assert!(done.code.is_some_and(|code| verdicts.contains(&code)), "{name}: {done:#?}");
            for expected in expected {
                assert!(done.stdout.contains(expected), "{name}: no {expected:?} in {done:#?}");
            }
            done.without(PASSWORD);
        };
        let logged_in = "note     [keystone_authtoken]: logged in at";
        if engine == Engine::MySql {
            // Pending migrations are not a failure.
            connect(&[1], &[logged_in, "warning  the database ", "db sync"]);
        }
        node.manage(&["db", "sync"]).succeeded();
        connect(&[0, 1], &[logged_in, "note     the database ", "its tables can be served"]);
        node.keystone.state().on_authenticate = keystone::Answer::Status(401, "{}");
        let failed = "failure  [keystone_authtoken]: http";
        let working = "note     the database ";
        connect(&[2], &[failed, "is not available to authenticate this service", working]);
        node.keystone.state().on_authenticate = keystone::Answer::Normal;
        node.keystone.state().on_validate = keystone::Answer::Status(403, "{}");
        connect(&[2], &[failed, "is not available to validate a token", working]);
    });
}

#[test]
fn config_check_connects_on_sqlite() {
    connects(Engine::Sqlite);
}

#[test]
fn config_check_connects_on_mariadb() {
    connects(Engine::MySql);
}

#[test]
fn outages_of_the_database_and_of_keystone_are_distinguished() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let deployments = Deployment::all();
    let kolla = deployments.iter().find(|deployment| deployment.name() == "kolla").unwrap();
    let node = Node::install(kolla, Engine::Sqlite, &runtime).unwrap();
    let file = node.scratch.path().join("etc/freezer/freezer.conf");
    let text = fs::read_to_string(&file).unwrap();
    let silent = std::net::TcpListener::bind(("127.0.0.1", free_port())).unwrap();
    for (port, what) in [(free_port(), "is not available"), (silent.local_addr().unwrap().port(), "within")] {
        let url = format!("mysql+pymysql://freezer:s3cret@127.0.0.1:{port}/freezer");
        fs::write(&file, text.replace(node.database.url(), &url)).unwrap();
        let done = node.manage(&["config", "check", "--connect"]);
        assert_eq!(done.code, Some(2), "{done:#?}");
        let failure = done.stdout.lines().find(|line| line.starts_with("failure")).unwrap();
        assert!(failure.contains("database"), "{what}: {failure}");
        assert!(done.stdout.contains("note     [keystone_authtoken]: logged in"), "{done:#?}");
        done.without("s3cret");
    }
}
