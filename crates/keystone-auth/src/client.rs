//! [`KeystoneClient`] asks Keystone about tokens. This file contains its construction and the validation of a
//! token. `request` reads the headers of a request and has the rules about service tokens; `trust` has the
//! calls about trusts.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, HeaderValue, Method, StatusCode};
use tokio::time::{Instant, timeout_at};

use crate::cache::TokenCache;
use crate::clock::UnixClock;
use crate::error::{AuthError, Rejection, SettingsError};
use crate::observer::KeystoneObserver;
use crate::own_token::{OwnToken, OwnTokens};
use crate::secret::Secret;
use crate::settings::{Settings, www_authenticate};
use crate::token::{self, ValidatedToken};
use crate::transport::{Endpoint, KeystoneCall, Reply, Transport, out_of_time, shown_url};
use crate::validation_limit::ValidationLimit;

const VALIDATE: &str = "validate a token";
/// Longest token, in bytes. Tokens of Keystone have some hundred bytes; the old PKI tokens had up to 8 KiB.
const LONGEST_TOKEN: usize = 16 * 1024;

/// How long a request waits after its deadline for a validation that it shares, because that may return a more
/// precise error.
const GRACE: Duration = Duration::from_millis(500);

/// The service's connection to Keystone. Clones are cheap; they share the cache, the connections and the
/// service's own token.
///
/// Each operation has one deadline for everything that it waits for: the queue, the login of the service,
/// all calls, and their retries. It is `request_timeout` after the start of the operation, or the deadline of
/// [`Self::within`].
#[derive(Clone)]
pub struct KeystoneClient {
    inner: Arc<ClientInner>,
    deadline: Option<Instant>,
}

struct ClientInner {
    transport: Transport,
    own_tokens: OwnTokens,
    cache: TokenCache,
    validation_limit: ValidationLimit,
    clock: UnixClock,
    request_timeout: Duration,
    service_type: Option<String>,
    service_token_roles: Vec<String>,
    service_token_roles_required: bool,
    www_authenticate: HeaderValue,
}

impl KeystoneClient {
    /// Builds the client without sending anything, so that a service can start while Keystone is not
    /// available.
    ///
    /// # Errors
    /// If a URL, a certificate file or the credentials in `settings` are unusable.
    pub fn new(settings: &Settings, clock: UnixClock) -> Result<Self, SettingsError> {
        Self::build(settings, clock, None)
    }

    /// Does the same as [`Self::new`], and reports calls and look-ups to an observer.
    ///
    /// # Errors
    /// Those of [`Self::new`].
    pub fn observed(
        settings: &Settings,
        clock: UnixClock,
        observer: Arc<dyn KeystoneObserver>,
    ) -> Result<Self, SettingsError> {
        Self::build(settings, clock, Some(observer))
    }

    fn build(
        settings: &Settings,
        clock: UnixClock,
        observer: Option<Arc<dyn KeystoneObserver>>,
    ) -> Result<Self, SettingsError> {
        if let Some(uri) = settings.www_authenticate_uri.as_deref().filter(|uri| !uri.is_empty()) {
            Endpoint::parse(uri).map_err(|reason| SettingsError::Url {
                option: "www_authenticate_uri",
                value: shown_url(uri),
                reason,
            })?;
        }
        if !settings.service_token_roles_required {
            tracing::warn!(
                "service_token_roles_required is false: every valid token is accepted as a service token"
            );
        }
        let inner = ClientInner {
            transport: Transport::new(settings, observer.clone())?,
            own_tokens: OwnTokens::new(settings, Arc::clone(&clock))?,
            cache: TokenCache::new(
                settings.cache_capacity,
                settings.token_cache_time,
                settings.rejection_cache_time,
                Arc::clone(&clock),
                observer,
            ),
            validation_limit: ValidationLimit::new(settings.max_validations, VALIDATE),
            clock,
            request_timeout: settings.request_timeout,
            service_type: settings.service_type.clone().filter(|kind| !kind.is_empty()),
            service_token_roles: settings.service_token_roles.clone(),
            service_token_roles_required: settings.service_token_roles_required,
            www_authenticate: www_authenticate(settings),
        };
        Ok(Self { inner: Arc::new(inner), deadline: None })
    }

    /// Returns a client whose operations together end within this time, which begins now. `request_timeout`
    /// still limits each call.
    #[must_use]
    pub fn within(&self, limit: Duration) -> KeystoneClient {
        let deadline = Instant::now().checked_add(limit).or(self.deadline);
        KeystoneClient { inner: Arc::clone(&self.inner), deadline }
    }

    /// Returns the client for the calls of one operation, with a deadline.
    pub(crate) fn begun(&self) -> KeystoneClient {
        if self.deadline.is_some() { self.clone() } else { self.within(self.inner.request_timeout) }
    }

    /// Returns the deadline of this client, or that of an operation that begins now.
    fn deadline(&self) -> Instant {
        self.deadline.unwrap_or_else(|| Instant::now() + self.inner.request_timeout)
    }

    /// Validates `token`, from the cache or with one call for all concurrent callers.
    ///
    /// # Errors
    /// [`AuthError::Missing`] for an empty token, [`AuthError::Invalid`] if Keystone rejects the token or it
    /// has expired, and [`AuthError::Unavailable`] if Keystone could not be asked.
    pub async fn validate(&self, token: &str) -> Result<Arc<ValidatedToken>, AuthError> {
        self.validate_with(token, false).await
    }

    /// Like [`Self::validate`], but accepts an expired token within Keystone's `allow_expired_window`. This
    /// is only for requests that carry a service token, because a long task continues with its user's token.
    pub async fn validate_allow_expired(&self, token: &str) -> Result<Arc<ValidatedToken>, AuthError> {
        self.validate_with(token, true).await
    }

    /// Returns whether Keystone is available, according to the last calls.
    #[must_use]
    pub fn is_available(&self) -> bool {
        !self.inner.transport.outage().is_on()
    }

    /// Returns the approximate number of tokens in the cache.
    #[must_use]
    pub fn cached_tokens(&self) -> u64 {
        self.inner.cache.len()
    }

    /// Returns the id of the service's user, which is the trustee of its trusts.
    pub async fn service_user_id(&self) -> Result<String, AuthError> {
        Ok(self.own_token().await?.user_id.clone())
    }

    /// Logs in as the service, and validates the service's own token at the endpoint that is used for
    /// validations. Returns the id of the service's user.
    ///
    /// # Errors
    /// [`AuthError::Unavailable`] names the failed step. [`AuthError::Invalid`] means that Keystone rejects
    /// its own token, for example because its nodes do not share their keys.
    pub async fn try_login(&self) -> Result<String, AuthError> {
        let client = self.begun();
        let own = client.own_token().await?;
        client.ask_keystone(&own.value, false, false).await?;
        Ok(own.user_id.clone())
    }

    /// Returns whether the last calls to Keystone got no usable answer.
    #[must_use]
    pub fn is_unavailable(&self) -> bool {
        self.inner.transport.outage().is_on()
    }

    /// Returns the `WWW-Authenticate` header for a response with status 401.
    #[must_use]
    pub fn www_authenticate(&self) -> &HeaderValue {
        &self.inner.www_authenticate
    }

    pub(crate) fn service_type(&self) -> Option<&str> {
        self.inner.service_type.as_deref()
    }

    pub(crate) fn service_token_roles_required(&self) -> bool {
        self.inner.service_token_roles_required
    }

    /// Returns whether `token` has one of `service_token_roles`.
    pub(crate) fn is_service_token(&self, token: &ValidatedToken) -> bool {
        self.inner.service_token_roles.iter().any(|role| token.has_role(role))
    }

    pub(crate) fn now(&self) -> i64 {
        (self.inner.clock)()
    }

    pub(crate) async fn own_token(&self) -> Result<Arc<OwnToken>, AuthError> {
        self.inner.own_tokens.get(&self.inner.transport, self.deadline()).await
    }

    pub(crate) async fn send(&self, call: &KeystoneCall) -> Result<Reply, AuthError> {
        self.inner.transport.send(call, self.deadline()).await
    }

    pub(crate) async fn validate_with(
        &self,
        token: &str,
        allow_expired: bool,
    ) -> Result<Arc<ValidatedToken>, AuthError> {
        let token = token.trim();
        if token.is_empty() {
            return Err(AuthError::Missing);
        }
        if !is_possible(token) {
            return Err(AuthError::Invalid(Rejection::Malformed));
        }
        let client = self.begun();
        let asked = self.inner.cache.get_or_ask(token, allow_expired, client.ask(token, allow_expired));
        // The request that asks Keystone may have a later deadline than those that share its answer.
        let validated = timeout_at(client.deadline() + GRACE, asked).await;
        let validated = validated.unwrap_or_else(|_| Err(out_of_time(VALIDATE))).inspect_err(|error| {
            if matches!(error, AuthError::Unavailable { .. }) {
                self.inner.transport.outage().affects_request();
            }
        })?;
        // A token can expire between Keystone's answer and its use here, and while it is cached.
        if !allow_expired && validated.expired_at(self.now()) {
            return Err(AuthError::Invalid(Rejection::Expired));
        }
        Ok(validated)
    }

    async fn ask(&self, token: &str, allow_expired: bool) -> Result<Arc<ValidatedToken>, AuthError> {
        let subject = token_header(token)?;
        let _permit = self.inner.validation_limit.enter(token, self.deadline()).await?;
        let mut validated = self.ask_keystone(&subject, allow_expired, false).await?;
        if validated.access_rules.is_some() && self.inner.service_type.is_some() {
            // Only access rules need the catalog, which is most of the answer's size.
            validated = self.ask_keystone(&subject, allow_expired, true).await?;
        }
        if !allow_expired && validated.expired_at(self.now()) {
            return Err(AuthError::Invalid(Rejection::Expired));
        }
        self.inner.validation_limit.remember(token).await;
        tracing::debug!(
            user_id = validated.user_id,
            project_id = validated.project_id.as_deref(),
            "Keystone accepted a token"
        );
        Ok(Arc::new(validated))
    }

    /// Sends one `GET /v3/auth/tokens`. Repeats it with a new token of the service if Keystone rejects the
    /// present one.
    async fn ask_keystone(
        &self,
        subject: &HeaderValue,
        allow_expired: bool,
        catalog: bool,
    ) -> Result<ValidatedToken, AuthError> {
        let mut own = self.own_token().await?;
        let mut reply = self.send(&validation(&own, subject, allow_expired, catalog)).await?;
        if reply.status == StatusCode::UNAUTHORIZED {
            tracing::info!("Keystone rejected this service's own token (401), authenticating again");
            own = self.inner.own_tokens.replace(&self.inner.transport, &own, self.deadline()).await?;
            reply = self.send(&validation(&own, subject, allow_expired, catalog)).await?;
        }
        match reply.status {
            StatusCode::OK => token::parse(&reply.body).map(|(token, _)| token).map_err(|error| {
                tracing::warn!("Keystone's answer to a token validation cannot be read: {error}");
                unavailable(format!("its answer cannot be read: {error}"))
            }),
            StatusCode::NOT_FOUND => {
                tracing::debug!("Keystone rejected a token");
                Err(AuthError::Invalid(Rejection::Unknown))
            }
            // Status 401 is about our own token, never about the subject token (which would be 404). Keystone
            // has rejected our token again although it is new, for example because its nodes do not share
            // their keys.
            _ => {
                let complaint = reply.complaint();
                // The transport logs statuses of the class 5xx.
                if !reply.status.is_server_error() {
                    tracing::warn!(complaint, "Keystone gave no usable answer to a token validation");
                }
                Err(unavailable(complaint))
            }
        }
    }
}

impl fmt::Debug for KeystoneClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeystoneClient").finish_non_exhaustive()
    }
}

/// Returns whether a text can be a token: visible ASCII characters, and not too long. Other texts are not
/// sent to Keystone.
fn is_possible(token: &str) -> bool {
    token.len() <= LONGEST_TOKEN && token.bytes().all(|byte| byte.is_ascii_graphic())
}

/// Returns a token as a header value, marked as sensitive so that HTTP libraries do not print it.
pub(crate) fn token_header(token: &str) -> Result<HeaderValue, AuthError> {
    let mut value = HeaderValue::from_str(token).map_err(|_| AuthError::Invalid(Rejection::Malformed))?;
    value.set_sensitive(true);
    Ok(value)
}

fn unavailable(reason: String) -> AuthError {
    AuthError::Unavailable { operation: VALIDATE, reason }
}

fn validation(own: &OwnToken, subject: &HeaderValue, allow_expired: bool, catalog: bool) -> KeystoneCall {
    let mut url = own.endpoint.v3(&["auth", "tokens"]);
    match (catalog, allow_expired) {
        (true, false) => {}
        (true, true) => url.set_query(Some("allow_expired=1")),
        (false, false) => url.set_query(Some("nocatalog")),
        (false, true) => url.set_query(Some("nocatalog&allow_expired=1")),
    }
    let mut headers = HeaderMap::new();
    headers.insert("x-auth-token", own.value.clone());
    headers.insert("x-subject-token", subject.clone());
    // Keystone accepts tokens that have access rules only if the service declares that it checks them.
    headers.insert("openstack-identity-access-rules", HeaderValue::from_static("1"));
    KeystoneCall {
        operation: VALIDATE,
        method: Method::GET,
        url,
        headers,
        body: None,
        secret: Secret::default(),
        repeatable: true,
    }
}
