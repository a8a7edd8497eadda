//! HTTP to Keystone: the clients with their time limits, the base URL of an identity endpoint, retries, and
//! log lines about outages. TLS settings are in `tls`.

use std::error::Error as _;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use http::{HeaderMap, HeaderValue, Method, StatusCode};
use reqwest::{Client, ClientBuilder, Request, Url};
use tokio::time::Instant;

use crate::error::{AuthError, SettingsError};
use crate::observer::{CallOutcome, KeystoneObserver};
use crate::outage::KeystoneOutage;
use crate::secret::Secret;
use crate::settings::Settings;
use crate::tls;

/// Longest pause between two attempts.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
/// A call that had less time than this says nothing about Keystone if it got no answer.
const TELLING: Duration = Duration::from_secs(1);
/// How long an idle connection is kept. It is shorter than the limit of Keystone's front ends (Apache: 5 s),
/// because using a connection while it is being closed costs a retry.
const IDLE_CONNECTION: Duration = Duration::from_secs(4);

/// Largest accepted answer, in bytes. A token with the catalog of a large cloud has some hundred KiB.
const LARGEST_ANSWER: usize = 4 << 20;

/// Base URL of an identity endpoint, without version and without a slash at its end.
#[derive(Debug, Clone)]
pub(crate) struct Endpoint(Url);

impl Endpoint {
    /// Parses a URL with or without `/v3` (or the old `/v2.0`) or a slash at its end.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let mut url = Url::parse(text.trim()).map_err(|error| error.to_string())?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(format!("the scheme {:?} is not supported", url.scheme()));
        }
        // The parser accepts any number of slashes, unlike the clients of OpenStack.
        let behind = text.trim().get(url.scheme().len()..).unwrap_or_default();
        if behind.strip_prefix("://").is_none_or(|rest| rest.starts_with(['/', '\\'])) {
            return Err("it has no \"//\" before the host".to_owned());
        }
        let is_name = |host: &str| host.chars().all(|c| c.is_ascii_alphanumeric() || "-._[]:".contains(c));
        if !url.host_str().is_some_and(is_name) {
            return Err("the host name is not valid".to_owned());
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err("it has a user name or password in it".to_owned());
        }
        let path = url.path().trim_end_matches('/');
        let path = path.strip_suffix("/v3").or_else(|| path.strip_suffix("/v2.0")).unwrap_or(path);
        let path = path.trim_end_matches('/').to_owned();
        url.set_path(&path);
        url.set_query(None);
        url.set_fragment(None);
        Ok(Self(url))
    }

    /// Returns the URL of a resource of the v3 API. Each part becomes one encoded path segment.
    pub(crate) fn v3(&self, parts: &[&str]) -> Url {
        let mut url = self.0.clone();
        // This fails only for URLs without a host, which `parse` rejects.
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().push("v3").extend(parts);
        }
        url
    }
}

/// The complete answer of Keystone.
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
    /// The message of an error, shortened. Empty if there is none.
    pub(crate) message: String,
}

impl Reply {
    /// Describes an error answer for the log.
    pub(crate) fn complaint(&self) -> String {
        format!("it answered {}: {}", self.status, self.message)
    }
}

/// A call to Keystone.
pub(crate) struct KeystoneCall {
    /// The operation, as a phrase for errors and logs.
    pub(crate) operation: &'static str,
    pub(crate) method: Method,
    pub(crate) url: Url,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Option<Vec<u8>>,
    /// A password in the body. Tokens in headers are marked as sensitive.
    pub(crate) secret: Secret,
    /// Whether the call may be sent twice. Otherwise it is retried only if no connection was established.
    pub(crate) repeatable: bool,
}

pub(crate) struct Transport {
    /// For `http://`. It has no authorities and no certificate, because their files are not needed without
    /// TLS.
    plain: Client,
    /// For `https://`, created when an endpoint needs it.
    encrypted: OnceLock<Client>,
    settings: Settings,
    outage: KeystoneOutage,
    observer: Option<Arc<dyn KeystoneObserver>>,
}

impl Transport {
    /// Builds the client. If `auth_url` is HTTPS, the files for TLS are read now. If only the catalog
    /// contains an HTTPS endpoint, they are read before the first call to it.
    pub(crate) fn new(
        settings: &Settings,
        observer: Option<Arc<dyn KeystoneObserver>>,
    ) -> Result<Self, SettingsError> {
        let plain = builder(settings).tls_certs_only([]).build();
        let plain = plain.map_err(|error| SettingsError::Client(cause(error)))?;
        let transport = Self {
            plain,
            encrypted: OnceLock::new(),
            settings: settings.clone(),
            outage: KeystoneOutage::default(),
            observer,
        };
        // The client reports an unusable URL when it parses it.
        if let Ok(url) = Endpoint::parse(&settings.auth_url) {
            transport.client(&url.0)?;
        }
        Ok(transport)
    }

    fn client(&self, url: &Url) -> Result<&Client, SettingsError> {
        if url.scheme() != "https" {
            return Ok(&self.plain);
        }
        if let Some(client) = self.encrypted.get() {
            return Ok(client);
        }
        if self.settings.insecure {
            tracing::warn!("insecure is set: Keystone's certificate is not verified");
        }
        let client = tls::client(builder(&self.settings), &self.settings, url.as_str())?;
        Ok(self.encrypted.get_or_init(|| client))
    }

    /// Makes the call. Retries it after a failed connection, as often as the settings say. All attempts together
    /// end at the deadline. An answer with any HTTP status is a result.
    pub(crate) async fn send(&self, call: &KeystoneCall, deadline: Instant) -> Result<Reply, AuthError> {
        let started = Instant::now();
        let result = self.send_until(call, deadline, started).await;
        if let Some(observer) = &self.observer {
            let outcome = match &result {
                Ok(reply) if reply.status.is_success() => CallOutcome::Success,
                Ok(reply) if reply.status.is_server_error() => CallOutcome::Failed,
                Ok(_) => CallOutcome::Refused,
                Err(_) => CallOutcome::NoAnswer,
            };
            observer.called(call.operation, outcome, started.elapsed());
        }
        result
    }

    async fn send_until(
        &self,
        call: &KeystoneCall,
        deadline: Instant,
        started: Instant,
    ) -> Result<Reply, AuthError> {
        let mut pause = self.settings.retry_delay.min(LONGEST_PAUSE);
        let mut retries_left = self.settings.max_retries;
        if started >= deadline {
            return Err(out_of_time(call.operation));
        }
        let client = self.client(&call.url).map_err(|error| {
            tracing::error!(operation = call.operation, "Keystone cannot be called: {error}");
            AuthError::Unavailable { operation: call.operation, reason: error.to_string() }
        })?;
        loop {
            let limit = remaining(deadline).min(self.settings.request_timeout);
            let (again, reason) = match once(client, call, limit).await {
                Ok(reply) => {
                    self.record_answer(call, &reply, started);
                    return Ok(reply);
                }
                Err(CallFailure::Http(error)) => {
                    let again = error.is_connect() || (call.repeatable && !error.is_timeout());
                    (again, cause(error))
                }
                Err(CallFailure::TooLarge) => {
                    (false, format!("the answer is larger than {} MiB", LARGEST_ANSWER >> 20))
                }
            };
            // An attempt that cannot begin before the deadline would only delay the answer.
            if !again || retries_left == 0 || remaining(deadline) <= pause {
                if limit >= TELLING.min(self.settings.request_timeout) {
                    self.record_failure(call, &reason, started);
                }
                return Err(AuthError::Unavailable { operation: call.operation, reason });
            }
            if self.outage.is_on() {
                tracing::debug!(operation = call.operation, reason, retries_left, "{RETRYING}");
            } else {
                tracing::warn!(operation = call.operation, reason, retries_left, "{RETRYING}");
            }
            retries_left -= 1;
            if let Some(observer) = &self.observer {
                observer.called_again(call.operation);
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }
}

/// Returns the time until a deadline.
fn remaining(deadline: Instant) -> Duration {
    deadline.saturating_duration_since(Instant::now())
}

/// Returns the error for a request whose time is used up before the operation could begin.
pub(crate) fn out_of_time(operation: &'static str) -> AuthError {
    AuthError::Unavailable { operation, reason: "the time of the request was used up".to_owned() }
}

const RETRYING: &str = "the connection to Keystone failed, trying again";

impl Transport {
    /// Returns the state of the outage, if any.
    pub(crate) fn outage(&self) -> &KeystoneOutage {
        &self.outage
    }

    fn record_failure(&self, call: &KeystoneCall, reason: &str, started: Instant) {
        let operation = call.operation;
        let begins = self.outage.begins(started.into_std());
        let is_first = self.outage.is_on() && self.outage.repeats(reason);
        if begins {
            tracing::error!(
                operation,
                "Keystone is not available (the end of this outage will be logged): {reason}"
            );
        } else if is_first {
            tracing::warn!(operation, "Keystone is still not available: {reason}");
        }
    }

    /// Records an answer. A status of the class 5xx means that Keystone, or a proxy in front of it, cannot
    /// serve.
    fn record_answer(&self, call: &KeystoneCall, reply: &Reply, started: Instant) {
        if reply.status.is_server_error() {
            self.record_failure(call, &reply.complaint(), started);
        } else if let Some((duration, requests)) = self.outage.ends() {
            let seconds = duration.as_secs_f64();
            tracing::warn!("Keystone is available again after {seconds:.1} s; affected requests: {requests}");
        }
    }
}

fn builder(settings: &Settings) -> ClientBuilder {
    Client::builder()
        // The environment must not decide which proxy receives the tokens.
        .no_proxy()
        // A redirect could send the tokens to a host that is not in the configuration.
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(settings.connect_timeout)
        .pool_idle_timeout(IDLE_CONNECTION)
        .user_agent(&settings.user_agent)
}

/// The reason why a call has no answer.
enum CallFailure {
    Http(reqwest::Error),
    TooLarge,
}

impl From<reqwest::Error> for CallFailure {
    fn from(error: reqwest::Error) -> CallFailure {
        CallFailure::Http(error)
    }
}

/// Makes one attempt, which may take this long, including the connection and the body of the answer.
async fn once(client: &Client, call: &KeystoneCall, limit: Duration) -> Result<Reply, CallFailure> {
    let mut request = Request::new(call.method.clone(), call.url.clone());
    *request.timeout_mut() = Some(limit);
    request.headers_mut().extend(call.headers.clone());
    request.headers_mut().insert(http::header::ACCEPT, HeaderValue::from_static("application/json"));
    if let Some(body) = &call.body {
        request
            .headers_mut()
            .insert(http::header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        *request.body_mut() = Some(body.clone().into());
    }
    let mut response = client.execute(request).await?;
    let status = response.status();
    let headers = response.headers().clone();
    let declared = response.content_length().and_then(|length| usize::try_from(length).ok()).unwrap_or(0);
    if declared > LARGEST_ANSWER {
        return Err(CallFailure::TooLarge);
    }
    let mut body = Vec::with_capacity(declared);
    while let Some(piece) = response.chunk().await? {
        if piece.len() > LARGEST_ANSWER - body.len() {
            return Err(CallFailure::TooLarge);
        }
        body.extend_from_slice(&piece);
    }
    let message = message(status, &body, call);
    Ok(Reply { status, headers, body, message })
}

/// Returns the message of an error body in Keystone's format (`{"error": {"message": …}}`), shortened.
/// Keystone repeats parts of the request ("Could not find token: …"), so the secrets of the call are masked.
fn message(status: StatusCode, body: &[u8], call: &KeystoneCall) -> String {
    if status.is_redirection() {
        return "a redirect, which is not followed with tokens in hand; \
                name the right URL in auth_url or the catalog"
            .to_owned();
    }
    if status.is_success() {
        return String::new();
    }
    let said = serde_json::from_slice::<serde_json::Value>(body)
        .ok()
        .and_then(|body| body.get("error")?.get("message")?.as_str().map(str::to_owned))
        .unwrap_or_default();
    let tokens = call.headers.values().filter(|value| value.is_sensitive());
    let secrets = tokens.filter_map(|value| value.to_str().ok()).chain([call.secret.expose()]);
    secrets
        .filter(|secret| !secret.is_empty())
        .fold(said, |said, secret| said.replace(secret, "***"))
        .chars()
        .take(300)
        .collect()
}

/// Returns a URL for an error message, but masks it if it could contain a password.
pub(crate) fn shown_url(text: &str) -> String {
    if text.contains('@') { "(not shown)".to_owned() } else { text.to_owned() }
}

/// Formats an error with its causes, because reqwest's own text does not contain "connection refused". The
/// URL helps operators and stays, because tokens are only in headers.
pub(crate) fn cause(error: reqwest::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        text.push_str(": ");
        text.push_str(&inner.to_string());
        source = inner.source();
    }
    text
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

    use super::*;

    #[test]
    fn endpoints_are_parsed_with_or_without_version_and_slash() {
        for (text, expected) in [
            ("http://k:5000", "http://k:5000/v3/auth/tokens"),
            ("http://k:5000/", "http://k:5000/v3/auth/tokens"),
            ("http://k:5000/v3", "http://k:5000/v3/auth/tokens"),
            ("http://k:5000/v3/", "http://k:5000/v3/auth/tokens"),
            ("http://k:5000/v2.0", "http://k:5000/v3/auth/tokens"),
            ("https://k/identity", "https://k/identity/v3/auth/tokens"),
            ("https://k/identity/v3//", "https://k/identity/v3/auth/tokens"),
            ("http://[::1]:5000/v3", "http://[::1]:5000/v3/auth/tokens"),
            (" http://k/dev3 ", "http://k/dev3/v3/auth/tokens"),
        ] {
            let endpoint = Endpoint::parse(text).unwrap();
            assert_eq!(endpoint.v3(&["auth", "tokens"]).as_str(), expected, "{text}");
        }
        for text in ["", "keystone", "ftp://k/", "mailto:a@b", "http://u:p@k/"] {
            assert!(Endpoint::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn path_parts_are_encoded() {
        let url = Endpoint::parse("http://k").unwrap().v3(&["OS-TRUST", "trusts", "../x?y#z"]);
        assert_eq!(url.as_str(), "http://k/v3/OS-TRUST/trusts/..%2Fx%3Fy%23z");
    }
}
