//! A minimal Keystone for measuring the cost of a token. It supports the service's login by password, and the validation of
//! the token that all requests of the benchmark use. It checks nothing, because this is not a test of authentication, and
//! a cached token causes no request to Keystone.

use std::io;
use std::time::Duration;

use serde_json::json;
use time::OffsetDateTime;
use time::macros::format_description;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use crate::clock;
use crate::dataset::USER;

/// The lifetime of tokens.
const LIFE: Duration = Duration::from_secs(24 * 3_600);

/// A running Keystone.
pub struct Keystone {
    /// The URL.
    pub url: String,
    task: JoinHandle<()>,
}

impl Keystone {
    /// Stops the server.
    pub fn stop(self) {
        self.task.abort();
    }
}

/// Starts a server on a port of loopback. Every token belongs to the benchmark's user in `project`.
///
/// # Errors
/// If the port is not available.
pub async fn start(port: u16, project: &str) -> io::Result<Keystone> {
    let listener = TcpListener::bind(("127.0.0.1", port)).await?;
    let url = format!("http://{}", listener.local_addr()?);
    let token = token(project);
    let task = tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            // The client reports the failure of its connection.
            tokio::spawn(serve(stream, token.clone()));
        }
    });
    Ok(Keystone { url, task })
}

/// Returns the answers to `POST` and `GET /v3/auth/tokens` of the Identity API v3.
fn token(project: &str) -> String {
    let format = format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].000000Z");
    let at = |time: OffsetDateTime| time.format(&format).unwrap_or_default();
    let now = clock::now();
    json!({"token": {
        "methods": ["password"],
        "issued_at": at(now),
        "expires_at": at(now + LIFE),
        "user": {"id": USER, "name": USER, "domain": {"id": "default", "name": "Default"}},
        "project": {"id": project, "name": "bench", "domain": {"id": "default", "name": "Default"}},
        "roles": [{"id": "r1", "name": "member"}, {"id": "r2", "name": "reader"}],
        "audit_ids": ["freezer-bench"],
        "is_domain": false,
        "catalog": []
    }})
    .to_string()
}

async fn serve(mut stream: TcpStream, token: String) -> io::Result<()> {
    let mut received = Vec::new();
    loop {
        let Some(length) = request_length(&received) else {
            if stream.read_buf(&mut received).await? == 0 {
                return Ok(());
            }
            continue;
        };
        let status = if received.starts_with(b"POST") { "201 Created" } else { "200 OK" };
        received.drain(..length);
        let head = format!(
            "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nX-Subject-Token: freezer-bench-service\r\n\
             Content-Length: {}\r\n\r\n",
            token.len()
        );
        stream.write_all((head + &token).as_bytes()).await?;
    }
}

/// Returns the length of a complete request, or none if it is incomplete.
fn request_length(received: &[u8]) -> Option<usize> {
    let head = received.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
    let text = String::from_utf8_lossy(received.get(..head)?).to_ascii_lowercase();
    let length = text.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse().ok());
    let whole = head + length.unwrap_or(0);
    (received.len() >= whole).then_some(whole)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use crate::http::{Authority, Connection};

    #[test]
    fn a_request_is_complete_with_its_body() {
        let text = b"POST / HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}G";
        assert_eq!(request_length(text), Some(text.len() - 1));
        assert_eq!(request_length(&text[..text.len() - 2]), None);
        assert_eq!(request_length(b"GET / HTTP/1.1\r\n\r\n"), Some(18));
    }

    #[tokio::test]
    async fn a_login_and_a_validation_on_one_connection() {
        let keystone = start(0, "p1").await.unwrap();
        let server = Authority::from_url(&keystone.url).unwrap();
        let mut connection = Connection::open(&server).await.unwrap();
        for (method, body, status) in [("POST", "{}", 201), ("GET", "", 200)] {
            let request = server.request(method, "/v3/auth/tokens", &[], body);
            let answer = connection.exchange(&request).await.unwrap();
            let document: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
            assert_eq!((answer.status, &document["token"]["project"]["id"]), (status, &json!("p1")));
        }
        keystone.stop();
    }
}
