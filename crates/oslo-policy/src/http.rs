//! [`HttpCheck`]: answers `http:` and `https:` checks by asking the server that they name, as oslo.policy's `HttpCheck` and
//! `HttpsCheck` do. What is asked and what is a yes is `remote`'s part.

use std::error::Error;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::mpsc::sync_channel;
use std::time::Duration;

use reqwest::header::CONTENT_TYPE;
use reqwest::redirect::Policy;
use reqwest::{Certificate, Client, ClientBuilder, Identity};
use tokio::runtime::Handle;

use crate::remote::{RemoteCheck, RemoteRequest, answer_allows};

/// How a server is asked: the option `remote_content_type`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ContentType {
    /// `application/x-www-form-urlencoded`, each field JSON text.
    Form,
    /// `application/json`.
    Json,
}

/// The options of `[oslo_policy]` for remote checks; the defaults are oslo.policy's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpCheckSettings {
    /// `remote_content_type`.
    pub content_type: ContentType,
    /// `remote_ssl_verify_server_crt`: whether a server must prove who it is.
    pub verify_server: bool,
    /// `remote_ssl_ca_crt_file`: PEM file of the authorities to verify it with; without it, the system's.
    pub ca_file: Option<PathBuf>,
    /// `remote_ssl_client_crt_file`: PEM file of our certificate.
    pub client_certificate: Option<PathBuf>,
    /// `remote_ssl_client_key_file`: PEM file of its key, where that is another file.
    pub client_key: Option<PathBuf>,
    /// `remote_timeout`: the longest time for a whole exchange.
    pub timeout: Duration,
}

impl Default for HttpCheckSettings {
    fn default() -> Self {
        HttpCheckSettings {
            content_type: ContentType::Form,
            verify_server: false,
            ca_file: None,
            client_certificate: None,
            client_key: None,
            timeout: Duration::from_secs(60),
        }
    }
}

/// Why no server can be asked with the settings.
#[derive(Debug, thiserror::Error)]
pub enum HttpCheckError {
    /// A file of the settings.
    #[error("[oslo_policy] {option}: {}: {reason}", path.display())]
    File {
        /// The option that names it.
        option: &'static str,
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// An HTTPS check, and no authority that could have signed its server's certificate.
    #[error(
        "a policy rule has an https: check, and this system has no CA certificates to verify its server with: install \
         them (package ca-certificates), or set [oslo_policy] remote_ssl_ca_crt_file to a PEM file"
    )]
    NoAuthorities,
    /// The HTTP client.
    #[error("no HTTP client for remote policy checks: {0}")]
    Client(String),
}

/// Asks servers over HTTP. Requests are made on a Tokio runtime; [`check`](RemoteCheck::check) blocks the thread that calls
/// it until there is an answer, so it belongs on one that may block (`tokio::task::spawn_blocking`).
pub struct HttpCheck {
    /// For `http:`. It needs none of the files.
    plain: Client,
    /// For `https:`, once a check needs it.
    encrypted: OnceLock<Client>,
    settings: HttpCheckSettings,
    runtime: Handle,
}

impl fmt::Debug for HttpCheck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpCheck").field("settings", &self.settings).finish_non_exhaustive()
    }
}

/// Bytes of an answer that are looked at; what is longer is not `True`.
const ANSWER_LIMIT: usize = 1024;
/// Time beyond the limit of an exchange after which the runtime is taken to have stopped.
const GRACE: Duration = Duration::from_secs(5);

impl HttpCheck {
    /// A client for the settings, which makes its requests on `runtime`. The files that only `https:` checks need are read
    /// by [`HttpCheck::prepare_https`], or by the first such check.
    ///
    /// # Errors
    /// [`HttpCheckError::Client`]
    pub fn new(settings: &HttpCheckSettings, runtime: Handle) -> Result<HttpCheck, HttpCheckError> {
        let plain = builder(settings).tls_certs_only([]).build();
        let plain = plain.map_err(|error| HttpCheckError::Client(causes(&error)))?;
        Ok(HttpCheck { plain, encrypted: OnceLock::new(), settings: settings.clone(), runtime })
    }

    /// Reads the files that `https:` checks need.
    ///
    /// # Errors
    /// [`HttpCheckError`] if a file cannot be read or is not what it should be, or if there are no authorities.
    pub fn prepare_https(&self) -> Result<(), HttpCheckError> {
        self.encrypted().map(|_| ())
    }

    fn encrypted(&self) -> Result<&Client, HttpCheckError> {
        if let Some(client) = self.encrypted.get() {
            return Ok(client);
        }
        let client = encrypted(&self.settings)?;
        Ok(self.encrypted.get_or_init(|| client))
    }
}

fn builder(settings: &HttpCheckSettings) -> ClientBuilder {
    Client::builder()
        .no_proxy()
        .redirect(Policy::none())
        .timeout(settings.timeout)
        // a connection for each question, as upstream: one that the server is just closing would refuse a caller
        .pool_max_idle_per_host(0)
}

fn encrypted(settings: &HttpCheckSettings) -> Result<Client, HttpCheckError> {
    let mut builder = builder(settings);
    if !settings.verify_server {
        builder = builder.tls_danger_accept_invalid_certs(true);
    } else if let Some(path) = &settings.ca_file {
        let option = "remote_ssl_ca_crt_file";
        let authorities = Certificate::from_pem_bundle(&read(option, path)?)
            .map_err(|error| file(option, path, causes(&error)))?;
        if authorities.is_empty() {
            return Err(file(option, path, "it holds no PEM certificate".to_owned()));
        }
        builder = builder.tls_certs_only(authorities);
    }
    if let Some(path) = &settings.client_certificate {
        let option = "remote_ssl_client_crt_file";
        let mut pem = read(option, path)?;
        if let Some(key) = &settings.client_key {
            pem.push(b'\n');
            pem.extend(read("remote_ssl_client_key_file", key)?);
        }
        let identity = Identity::from_pem(&pem).map_err(|error| file(option, path, causes(&error)))?;
        builder = builder.identity(identity);
    }
    builder.build().map_err(|error| match causes(&error) {
        reason if reason.contains("No CA certificates were loaded") => HttpCheckError::NoAuthorities,
        reason => HttpCheckError::Client(reason),
    })
}

impl RemoteCheck for HttpCheck {
    fn check(&self, request: &RemoteRequest<'_>) -> Result<bool, Box<dyn Error + Send + Sync>> {
        let (content_type, body) = match self.settings.content_type {
            ContentType::Json => ("application/json", request.json().to_string()),
            ContentType::Form => {
                let mut form = form_urlencoded::Serializer::new(String::new());
                form.extend_pairs(request.form());
                ("application/x-www-form-urlencoded", form.finish())
            }
        };
        let encrypted = request.url.get(..6).is_some_and(|scheme| scheme.eq_ignore_ascii_case("https:"));
        let client = if encrypted { self.encrypted()? } else { &self.plain };
        let post = client.post(request.url).header(CONTENT_TYPE, content_type).body(body);
        let (sender, answer) = sync_channel(1);
        self.runtime.spawn(async move {
            // nobody waits any more: then nobody needs the answer
            let _ = sender.send(ask(post).await.map_err(|error| causes(&error)));
        });
        // the runtime may have ended, and then nothing is ever sent
        match answer.recv_timeout(self.settings.timeout.saturating_add(GRACE)) {
            Ok(answer) => Ok(answer?),
            Err(_) => Err("no answer in time".into()),
        }
    }
}

async fn ask(post: reqwest::RequestBuilder) -> Result<bool, reqwest::Error> {
    let mut response = post.send().await?;
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        body.extend_from_slice(&chunk);
        if body.len() > ANSWER_LIMIT {
            return Ok(false);
        }
    }
    // oslo.policy looks at the text alone, whatever the status
    Ok(answer_allows(&String::from_utf8_lossy(&body)))
}

fn read(option: &'static str, path: &Path) -> Result<Vec<u8>, HttpCheckError> {
    std::fs::read(path).map_err(|error| file(option, path, error.to_string()))
}

fn file(option: &'static str, path: &Path, reason: String) -> HttpCheckError {
    HttpCheckError::File { option, path: path.to_owned(), reason }
}

/// An error with its causes. Without the URL, which whoever reports the error knows.
fn causes(error: &reqwest::Error) -> String {
    let mut text = if error.is_timeout() { "timed out".to_owned() } else { "the request failed".to_owned() };
    let mut cause = error.source();
    while let Some(inner) = cause {
        text.push_str(": ");
        text.push_str(&inner.to_string());
        cause = inner.source();
    }
    text
}
