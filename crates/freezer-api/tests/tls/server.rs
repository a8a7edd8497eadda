//! MariaDB servers with certificates for these tests. They report how each connection was made.

use std::path::PathBuf;

use sqlx::{AssertSqlSafe, Connection};

use super::certificates::Certificates;
use crate::support::database::connect;
use crate::support::mariadbd::Server;

/// A server that listens on a port of 127.0.0.1.
pub struct Listening {
    server: Server,
    pub port: u16,
    log: PathBuf,
}

/// Accounts of every server. All have the password `secret`.
const ACCOUNTS: &str = "\
    CREATE DATABASE freezer; \
    CREATE USER any IDENTIFIED BY 'secret'; \
    CREATE USER encrypted IDENTIFIED BY 'secret' REQUIRE SSL; \
    CREATE USER certified IDENTIFIED BY 'secret' REQUIRE X509; \
    CREATE USER odd IDENTIFIED BY 'p/w?x:y'; \
    GRANT ALL PRIVILEGES ON freezer.* TO any, encrypted, certified, odd";

impl Listening {
    /// Starts a server. Without `certificate`, it does not support TLS. Returns `None` if MariaDB is not wanted or not
    /// installed.
    pub async fn start(
        name: &str,
        certificates: &Certificates,
        certificate: Option<(&str, &str)>,
    ) -> Option<Listening> {
        let file = |name: &str| certificates.path().join(name).display().to_string();
        let log = certificates.path().join(format!("{name}.log"));
        let port = crate::process::free_port();
        let mut arguments = vec![
            "--bind-address=127.0.0.1".to_owned(),
            format!("--port={port}"),
            "--skip-name-resolve".to_owned(),
            "--general-log".to_owned(),
            format!("--general-log-file={}", log.display()),
        ];
        match certificate {
            None => arguments.push("--skip-ssl".to_owned()),
            Some((certificate, ca)) => arguments.extend([
                format!("--ssl-cert={}", file(&format!("{certificate}.pem"))),
                format!("--ssl-key={}", file(&format!("{certificate}.key"))),
                format!("--ssl-ca={}", file(ca)),
            ]),
        }
        let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
        let server = Server::start_with(name, &arguments).await?;
        let freezer_store::DatabaseUrl::MySql(root) = server.url("mysql") else { panic!("not MySQL") };
        let mut connection = connect(&root).await;
        sqlx::raw_sql(AssertSqlSafe(ACCOUNTS)).execute(&mut connection).await.expect("accounts");
        connection.close().await.expect("the server hears the goodbye");
        Some(Listening { server, port, log })
    }

    /// Returns the path of its Unix socket.
    pub fn socket(&self) -> PathBuf {
        self.server.socket()
    }

    /// Returns the types of the connections since the last call, with the words of the server's log: `SSL/TLS`,
    /// `TCP/IP` or `Socket`.
    pub fn connections(&self, seen: &mut usize) -> Vec<String> {
        let log = std::fs::read(&self.log).unwrap();
        let new = String::from_utf8_lossy(&log[*seen..]).into_owned();
        *seen = log.len();
        let came = |line: &str| line.split_once(" on freezer using ").map(|(_, how)| how.trim().to_owned());
        new.lines().filter(|line| line.contains("Connect\t")).filter_map(came).collect()
    }
}
