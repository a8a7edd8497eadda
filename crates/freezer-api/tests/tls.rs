//! TLS to MySQL and MariaDB: the effect of each URL parameter, on servers with certificates for these tests. The logs
//! of the servers tell whether a connection was encrypted. If PyMySQL has the same parameters, its results are
//! compared.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test stops at the first surprise")]

#[path = "tls/cases.rs"]
mod cases;
#[path = "tls/certificates.rs"]
mod certificates;
mod process;
#[path = "tls/server.rs"]
mod server;
mod support;

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use cases::{CASES, Case, Expected, Host, Python};
use certificates::Certificates;
use freezer_store::{ConnectSettings, DatabaseUrl, PoolSettings, Store};
use server::Listening;

/// The servers for the cases.
struct Servers {
    right: Listening,
    other: Listening,
    version_1: Listening,
    authority: Listening,
    critical: Listening,
    pss: Listening,
    plain: Listening,
    certificates: Certificates,
}

impl Servers {
    async fn start() -> Option<Servers> {
        let certificates = Certificates::make();
        let start = |name, certificate| Listening::start(name, &certificates, certificate);
        Some(Servers {
            right: start("tls-right", Some(("right", "ca.pem"))).await?,
            other: start("tls-other", Some(("other", "ca.pem"))).await?,
            version_1: start("tls-version-1", Some(("version-1-server", "version-1-ca.pem"))).await?,
            authority: start("tls-authority", Some(("authority-server", "authority-server.pem"))).await?,
            critical: start("tls-critical", Some(("critical-server", "ca.pem"))).await?,
            pss: start("tls-pss", Some(("pss-server", "ca.pem"))).await?,
            plain: start("tls-plain", None).await?,
            certificates,
        })
    }

    fn server(&self, host: Host) -> &Listening {
        match host {
            Host::Right => &self.right,
            Host::Other => &self.other,
            Host::Version1 | Host::Version1ByAddress => &self.version_1,
            Host::Authority => &self.authority,
            Host::Critical => &self.critical,
            Host::Pss => &self.pss,
            Host::Plain => &self.plain,
        }
    }

    fn url(&self, case: &Case) -> String {
        let Case { host, driver, user, parameters, .. } = case;
        let server = self.server(*host);
        let name = if *host == Host::Version1 { "localhost" } else { "127.0.0.1" };
        let password = if *user == "odd" { "p/w?x:y" } else { "secret" };
        let parameters = parameters
            .replace("{dir}", &self.certificates.path().display().to_string())
            .replace("{socket}", &server.socket().display().to_string());
        format!("{driver}://{user}:{password}@{name}:{}/freezer?charset=utf8mb4&{parameters}", server.port)
    }
}

/// Opens a connection like the service.
async fn open(url: &str) -> Result<(), String> {
    let url = DatabaseUrl::parse(url).map_err(|error| error.to_string())?;
    let pool = PoolSettings { max_open: 1, ..PoolSettings::default() };
    let store = Store::new(url, ConnectSettings::default(), pool);
    store.schema_state().await.map(drop).map_err(|error| error.to_string())
}

#[test]
fn every_parameter_encrypts_and_verifies_as_documented() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(support::bounded(async {
        let Some(servers) = Servers::start().await else { return };
        check_cases(&servers).await;
        compare_with_python(&servers);
        use_the_authorities_of_the_system(&servers);
        read_renewed_files_again(&servers).await;
    }));
}

async fn check_cases(servers: &Servers) {
    let mut failures = Vec::new();
    for case in CASES {
        let server = servers.server(case.host);
        let mut seen = 0;
        server.connections(&mut seen);
        let result = open(&servers.url(case)).await;
        let came = server.connections(&mut seen);
        let as_expected = match (case.expected, &result) {
            (Expected::Encrypted, Ok(())) => came == ["SSL/TLS"],
            (Expected::Plain, Ok(())) => came == ["TCP/IP"],
            (Expected::Socket, Ok(())) => came == ["Socket"],
            (Expected::Refused(part), Err(error)) => {
                // The password must not occur in messages, and unless the URL permits it, no login may be sent in plain
                // text.
                let in_plain = came.iter().any(|how| how != "SSL/TLS");
                let may_be_plain = case.parameters.contains("ssl_disabled=true");
                error.contains(part) && !error.contains("secret") && (may_be_plain || !in_plain)
            }
            _ => false,
        };
        if !as_expected {
            failures.push(format!("{case:?}: {result:?}, connections {came:?}"));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// Sets `SSL_CERT_FILE`, the system's authorities for OpenSSL, to the authority of the servers, or to another one.
fn use_the_authorities_of_the_system(servers: &Servers) {
    let scratch = process::Scratch::new();
    let python = std::env::var_os("FREEZER_TEST_PYTHON").filter(|path| !path.is_empty());
    for (host, ca, parameters, accepted, same_in_python) in [
        (Host::Right, "ca.pem", "ssl_verify_cert=true", true, true),
        (Host::Other, "ca.pem", "ssl_verify_cert=true", true, true),
        (Host::Right, "other-ca.pem", "ssl_verify_cert=true", false, true),
        (Host::Right, "ca.pem", "ssl_verify_identity=true", true, true),
        // PyMySQL does not verify the name without its own CA.
        (Host::Other, "ca.pem", "ssl_verify_identity=true", false, false),
        (Host::Other, "ca.pem", "ssl_verify_identity=false", true, true),
        (Host::Other, "ca.pem", "ssl_verify_cert=true&ssl_ca={dir}/other-ca.pem", true, true),
        (Host::Right, "other-ca.pem", "ssl_ca={dir}/ca.pem", true, true),
    ] {
        let driver = "mysql+pymysql";
        let (expected, as_python) = (Expected::Encrypted, Python::Same);
        let url = servers.url(&Case { host, driver, user: "any", parameters, expected, python: as_python });
        let system = servers.certificates.path().join(ca);
        let config = scratch.write("f.conf", &process::config(process::free_port(), &url));
        let mut command = process::command(process::MANAGE);
        command
            .arg("--config-file")
            .arg(&config)
            .args(["db", "sync", "--dry-run"])
            .env("SSL_CERT_FILE", &system);
        let done = process::finish(command);
        assert_eq!(done.code == Some(0), accepted, "{parameters} with {ca}: {done:#?}");
        if let Some(python) = &python {
            let outcome = python_outcomes(Path::new(python), &[url], Some(&system)).remove(0);
            let same = (outcome == "encrypted") == accepted;
            assert_eq!(same, same_in_python, "{parameters} with {ca}: PyMySQL {outcome}");
        }
    }
}

/// A renewed authority must be used without a restart.
async fn read_renewed_files_again(servers: &Servers) {
    let file = |name: &str| servers.certificates.path().join(name);
    std::fs::copy(file("other-ca.pem"), file("renewed.pem")).unwrap();
    let (host, user, expected, python) = (Host::Right, "any", Expected::Encrypted, Python::NotAsked);
    let parameters = "ssl_ca={dir}/renewed.pem";
    let case = Case { host, driver: "mysql+pymysql", user, parameters, expected, python };
    let url = DatabaseUrl::parse(&servers.url(&case)).unwrap();
    let store = Store::new(url, ConnectSettings::default(), PoolSettings::default());
    store.schema_state().await.expect_err("another authority");
    std::fs::copy(file("ca.pem"), file("renewed.pem")).unwrap();
    store.schema_state().await.expect("the file is read again");
}

fn compare_with_python(servers: &Servers) {
    let Some(python) = std::env::var_os("FREEZER_TEST_PYTHON").filter(|path| !path.is_empty()) else {
        support::skipped("tls", "FREEZER_TEST_PYTHON is not set");
        return;
    };
    let asked: Vec<&Case> = CASES.iter().filter(|case| case.python != Python::NotAsked).collect();
    let urls: Vec<String> = asked.iter().map(|case| servers.url(case)).collect();
    let outcomes = python_outcomes(Path::new(&python), &urls, None);
    let mut failures = Vec::new();
    for (case, outcome) in asked.iter().zip(&outcomes) {
        let same = match case.expected {
            Expected::Encrypted => outcome == "encrypted",
            Expected::Plain | Expected::Socket => outcome == "plain",
            Expected::Refused(_) => outcome.starts_with("failed"),
        };
        if same != (case.python == Python::Same) {
            failures.push(format!("{case:?}: PyMySQL {outcome}"));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// Returns the results of PyMySQL. `authorities` are those of the system.
fn python_outcomes(python: &Path, urls: &[String], authorities: Option<&Path>) -> Vec<String> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/tls/connect.py");
    let mut command = Command::new(python);
    match authorities {
        Some(file) => command.env("SSL_CERT_FILE", file),
        None => command.env_remove("SSL_CERT_FILE"),
    };
    let mut child =
        command.arg(script).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("Python starts");
    let list = serde_json::to_string(urls).unwrap();
    child.stdin.take().unwrap().write_all(list.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "connect.py failed");
    serde_json::from_slice(&output.stdout).unwrap()
}
