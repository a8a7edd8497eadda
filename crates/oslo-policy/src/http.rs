//! [`HttpCheck`]: asks the server that an `http:` or `https:` check names, as oslo.policy's `HttpCheck` and `HttpsCheck`
//! do. The content of requests and answers belongs in `remote`.

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

/// The format of requests: the option `remote_content_type`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ContentType {
    /// `application/x-www-form-urlencoded`. Each field is JSON text.
    Form,
    /// `application/json`.
    Json,
}

/// The options of `[oslo_policy]` for remote checks. The defaults are those of oslo.policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpCheckSettings {
    /// `remote_content_type`.
    pub content_type: ContentType,
    /// `remote_ssl_verify_server_crt`: whether to verify the server's certificate.
    pub verify_server: bool,
    /// `remote_ssl_ca_crt_file`: PEM file of the CA certificates. If unset, those of the system apply.
    pub ca_file: Option<PathBuf>,
    /// `remote_ssl_client_crt_file`: PEM file of the client certificate.
    pub client_certificate: Option<PathBuf>,
    /// `remote_ssl_client_key_file`: PEM file of its key, if it is not in the same file.
    pub client_key: Option<PathBuf>,
    /// `remote_timeout`: the time limit of the whole request.
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

/// Why the settings do not allow remote checks.
#[derive(Debug, thiserror::Error)]
pub enum HttpCheckError {
    /// A file that the settings name cannot be used.
    #[error("[oslo_policy] {option}: {}: {reason}", path.display())]
    File {
        /// The option that names the file.
        option: &'static str,
        /// The file.
        path: PathBuf,
        /// The problem with the file.
        reason: String,
    },
    /// A rule has an `https:` check, but there are no CA certificates.
    #[error(
        "a policy rule has an https: check, but this system has no CA certificates to verify its server with: install \
         them (package ca-certificates), or set [oslo_policy] remote_ssl_ca_crt_file to a PEM file"
    )]
    NoAuthorities,
    /// The HTTP client cannot be created.
    #[error("cannot create the HTTP client for remote policy checks: {0}")]
    Client(String),
}

/// Asks servers over HTTP. Requests run on a Tokio runtime. [`check`](RemoteCheck::check) blocks the calling thread until
/// the server answers, so call it on a thread that may block (`tokio::task::spawn_blocking`).
pub struct HttpCheck {
    /// For `http:`. It does not need the files.
    plain: Client,
    /// For `https:`. Created when a check first needs it.
    encrypted: OnceLock<Client>,
    settings: HttpCheckSettings,
    runtime: Handle,
}

impl fmt::Debug for HttpCheck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpCheck").field("settings", &self.settings).finish_non_exhaustive()
    }
}

/// The maximum size of an answer in bytes. A longer answer is not `True`.
const ANSWER_LIMIT: usize = 1024;
/// If there is no answer this long after the time limit of the request, the runtime must have stopped.
const GRACE: Duration = Duration::from_secs(5);

impl HttpCheck {
    /// Creates a client that runs its requests on `runtime`. The files that only `https:` checks need are read by
    /// [`HttpCheck::prepare_https`], or by the first such check.
    ///
    /// # Errors
    /// [`HttpCheckError::Client`] if the HTTP client cannot be created.
    pub fn new(settings: &HttpCheckSettings, runtime: Handle) -> Result<HttpCheck, HttpCheckError> {
        let plain = builder(settings).tls_certs_only([]).build();
        let plain = plain.map_err(|error| HttpCheckError::Client(causes(&error)))?;
        Ok(HttpCheck { plain, encrypted: OnceLock::new(), settings: settings.clone(), runtime })
    }

    /// Reads the files that `https:` checks need.
    ///
    /// # Errors
    /// [`HttpCheckError`] if a file cannot be read or has the wrong content, or if there are no CA certificates.
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
        // As in oslo.policy, each request has its own connection. A request on a kept connection fails if the server is
        // just closing it.
        .pool_max_idle_per_host(0)
}

fn encrypted(settings: &HttpCheckSettings) -> Result<Client, HttpCheckError> {
    let mut builder = builder(settings);
    if !settings.verify_server {
        builder = builder.tls_danger_accept_invalid_certs(true);
    } else if let Some(path) = &settings.ca_file {
        let option = "remote_ssl_ca_crt_file";
        let certificates = Certificate::from_pem_bundle(&read(option, path)?)
            .map_err(|error| file_error(option, path, causes(&error)))?;
        if certificates.is_empty() {
            return Err(file_error(option, path, "it contains no PEM certificate".to_owned()));
        }
        builder = builder.tls_certs_only(certificates);
    } else if let Err((path, error)) = bounded_files::check_cert_file() {
        return Err(file_error("environment variable SSL_CERT_FILE", &path, error.to_string()));
    }
    if let Some(path) = &settings.client_certificate {
        let option = "remote_ssl_client_crt_file";
        let mut pem = read(option, path)?;
        if let Some(key) = &settings.client_key {
            pem.push(b'\n');
            pem.extend(read("remote_ssl_client_key_file", key)?);
        } else if !String::from_utf8_lossy(&pem).contains("PRIVATE KEY-----") {
            let reason = "it contains no private key, and remote_ssl_client_key_file is not set; set that option to the key of \
                          this certificate";
            return Err(file_error(option, path, reason.to_owned()));
        }
        let identity = Identity::from_pem(&pem).map_err(|error| file_error(option, path, causes(&error)))?;
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
            // Sending fails if the caller has stopped waiting.
            let _ = sender.send(ask(post).await.map_err(|error| causes(&error)));
        });
        // The time limit matters if the runtime has stopped, because then the task never runs.
        match answer.recv_timeout(self.settings.timeout.saturating_add(GRACE)) {
            Ok(answer) => Ok(answer?),
            Err(_) => Err("no answer within the time limit".into()),
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
    // Like oslo.policy, this ignores the status.
    Ok(answer_allows(&String::from_utf8_lossy(&body)))
}

fn read(option: &'static str, path: &Path) -> Result<Vec<u8>, HttpCheckError> {
    bounded_files::read(path).map_err(|error| file_error(option, path, error.to_string()))
}

fn file_error(option: &'static str, path: &Path, reason: String) -> HttpCheckError {
    HttpCheckError::File { option, path: path.to_owned(), reason }
}

/// Returns the text of an error and its causes, without the URL, which the caller adds.
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
