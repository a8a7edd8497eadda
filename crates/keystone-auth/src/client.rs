//! [`KeystoneClient`]: asks Keystone about tokens. Lives here: its construction and the validation of one token. Reading
//! a request's headers and the rules about service tokens are in `request`, trusts in `trust`.

use std::fmt;
use std::sync::Arc;

use http::{HeaderMap, HeaderValue, Method, StatusCode};

use crate::cache::TokenCache;
use crate::clock::Clock;
use crate::error::{AuthError, Rejection, SettingsError};
use crate::gate::Gate;
use crate::own_token::{OwnToken, OwnTokens};
use crate::secret::Secret;
use crate::settings::{Settings, www_authenticate};
use crate::token::{self, ValidatedToken};
use crate::transport::{Call, Endpoint, Reply, Transport, shown_url};

const VALIDATE: &str = "validate a token";
/// Longest token, in bytes. Keystone's own have some hundreds; the old PKI tokens had up to 8 KiB.
const LONGEST_TOKEN: usize = 16 * 1024;

/// The service's connection to Keystone. Cheap to clone; clones share the cache, the connections and the service's own
/// token.
#[derive(Clone)]
pub struct KeystoneClient {
    inner: Arc<Inner>,
}

struct Inner {
    transport: Transport,
    own_tokens: OwnTokens,
    cache: TokenCache,
    gate: Gate,
    clock: Clock,
    service_type: Option<String>,
    service_token_roles: Vec<String>,
    service_token_roles_required: bool,
    www_authenticate: HeaderValue,
}

impl KeystoneClient {
    /// Builds the client. Nothing is sent yet: a service can start while Keystone is away.
    ///
    /// # Errors
    /// A URL, certificate file or the credentials in `settings` are unusable.
    pub fn new(settings: &Settings, clock: Clock) -> Result<Self, SettingsError> {
        if let Some(uri) = settings.www_authenticate_uri.as_deref().filter(|uri| !uri.is_empty()) {
            Endpoint::parse(uri).map_err(|reason| SettingsError::Url {
                option: "www_authenticate_uri",
                value: shown_url(uri),
                reason,
            })?;
        }
        if !settings.service_token_roles_required {
            tracing::warn!(
                "service_token_roles_required is false: any valid token passes as a service token"
            );
        }
        let inner = Inner {
            transport: Transport::new(settings)?,
            own_tokens: OwnTokens::new(settings, Arc::clone(&clock))?,
            cache: TokenCache::new(
                settings.cache_capacity,
                settings.token_cache_time,
                settings.rejection_cache_time,
                Arc::clone(&clock),
            ),
            gate: Gate::new(settings.max_validations, settings.request_timeout, VALIDATE),
            clock,
            service_type: settings.service_type.clone().filter(|kind| !kind.is_empty()),
            service_token_roles: settings.service_token_roles.clone(),
            service_token_roles_required: settings.service_token_roles_required,
            www_authenticate: www_authenticate(settings),
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// What Keystone says about `token`, from the cache or by one call for all who ask at the same time.
    ///
    /// # Errors
    /// [`AuthError::Missing`] for an empty token, [`AuthError::Invalid`] when Keystone does not vouch for it or it has
    /// expired, [`AuthError::Unavailable`] when Keystone could not be asked.
    pub async fn validate(&self, token: &str) -> Result<Arc<ValidatedToken>, AuthError> {
        self.validate_with(token, false).await
    }

    /// Like [`Self::validate`], but a token that has expired is accepted within Keystone's `allow_expired_window`.
    /// Only for requests that come with a service token: a long task goes on with its user's token.
    ///
    /// # Errors
    /// Those of [`Self::validate`].
    pub async fn validate_allow_expired(&self, token: &str) -> Result<Arc<ValidatedToken>, AuthError> {
        self.validate_with(token, true).await
    }

    /// Id of the user as which the service is known to Keystone, the trustee of its trusts.
    ///
    /// # Errors
    /// [`AuthError::Unavailable`] when the service could not authenticate itself.
    pub async fn service_user_id(&self) -> Result<String, AuthError> {
        Ok(self.own_token().await?.user_id.clone())
    }

    /// Logs in as the service, and validates the service's own token at the endpoint that validations go to. Returns the
    /// id of the service's user.
    ///
    /// # Errors
    /// [`AuthError::Unavailable`], which names the step, and [`AuthError::Invalid`] if Keystone does not accept its own
    /// token, as when its nodes do not share their keys.
    pub async fn try_login(&self) -> Result<String, AuthError> {
        let own = self.own_token().await?;
        self.ask_keystone(&own.value, false, false).await?;
        Ok(own.user_id.clone())
    }

    /// The `WWW-Authenticate` header for a 401 answer.
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

    /// Whether `token` carries one of `service_token_roles`.
    pub(crate) fn is_service_token(&self, token: &ValidatedToken) -> bool {
        self.inner.service_token_roles.iter().any(|role| token.has_role(role))
    }

    pub(crate) fn now(&self) -> i64 {
        (self.inner.clock)()
    }

    pub(crate) async fn own_token(&self) -> Result<Arc<OwnToken>, AuthError> {
        self.inner.own_tokens.get(&self.inner.transport).await
    }

    pub(crate) async fn send(&self, call: &Call) -> Result<Reply, AuthError> {
        self.inner.transport.send(call).await
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
        let validated =
            self.inner.cache.get_or_ask(token, allow_expired, self.ask(token, allow_expired)).await;
        let validated = validated.inspect_err(|error| {
            if matches!(error, AuthError::Unavailable { .. }) {
                self.inner.transport.outage().affects_request();
            }
        })?;
        // A token may expire between Keystone's answer and its use here, and a kept one in any case.
        if !allow_expired && validated.expired_at(self.now()) {
            return Err(AuthError::Invalid(Rejection::Expired));
        }
        Ok(validated)
    }

    async fn ask(&self, token: &str, allow_expired: bool) -> Result<Arc<ValidatedToken>, AuthError> {
        let subject = token_header(token)?;
        let _place = self.inner.gate.enter(token).await?;
        let mut validated = self.ask_keystone(&subject, allow_expired, false).await?;
        if validated.access_rules.is_some() && self.inner.service_type.is_some() {
            // The catalog is asked for only here: it is most of the answer's size and nobody else reads it.
            validated = self.ask_keystone(&subject, allow_expired, true).await?;
        }
        if !allow_expired && validated.expired_at(self.now()) {
            return Err(AuthError::Invalid(Rejection::Expired));
        }
        self.inner.gate.remember(token).await;
        tracing::debug!(
            user_id = validated.user_id,
            project_id = validated.project_id.as_deref(),
            "Keystone vouches for a token"
        );
        Ok(Arc::new(validated))
    }

    /// One `GET /v3/auth/tokens`, made again with a new token of our own when Keystone does not take the present one.
    async fn ask_keystone(
        &self,
        subject: &HeaderValue,
        allow_expired: bool,
        catalog: bool,
    ) -> Result<ValidatedToken, AuthError> {
        let mut own = self.own_token().await?;
        let mut reply = self.send(&validation(&own, subject, allow_expired, catalog)).await?;
        if reply.status == StatusCode::UNAUTHORIZED {
            tracing::info!("Keystone answered 401 to this service, which authenticates itself again");
            own = self.inner.own_tokens.replace(&self.inner.transport, &own).await?;
            reply = self.send(&validation(&own, subject, allow_expired, catalog)).await?;
        }
        match reply.status {
            StatusCode::OK => token::parse(&reply.body).map(|(token, _)| token).map_err(|error| {
                tracing::warn!("Keystone's answer about a token cannot be read: {error}");
                unavailable(format!("its answer cannot be read: {error}"))
            }),
            StatusCode::NOT_FOUND => {
                tracing::info!("Keystone does not vouch for a token");
                Err(AuthError::Invalid(Rejection::Unknown))
            }
            // 401 never speaks of the subject token (Keystone turns that into 404): our own was refused again although
            // it is new, as when Keystone's nodes do not share their keys. Not the user's fault.
            _ => {
                let complaint = reply.complaint();
                // a status of the 5xx class is the transport's to log
                if !reply.status.is_server_error() {
                    tracing::warn!(complaint, "Keystone gave no usable answer about a token");
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

/// Whether a text can be a token: no longer than any, of visible ASCII characters. Keystone need not be asked about others.
fn is_possible(token: &str) -> bool {
    token.len() <= LONGEST_TOKEN && token.bytes().all(|byte| byte.is_ascii_graphic())
}

/// A token as a header value, marked sensitive so that HTTP libraries do not print it.
pub(crate) fn token_header(token: &str) -> Result<HeaderValue, AuthError> {
    let mut value = HeaderValue::from_str(token).map_err(|_| AuthError::Invalid(Rejection::Malformed))?;
    value.set_sensitive(true);
    Ok(value)
}

fn unavailable(reason: String) -> AuthError {
    AuthError::Unavailable { operation: VALIDATE, reason }
}

fn validation(own: &OwnToken, subject: &HeaderValue, allow_expired: bool, catalog: bool) -> Call {
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
    // "We check access rules": without it Keystone does not vouch for tokens that have some.
    headers.insert("openstack-identity-access-rules", HeaderValue::from_static("1"));
    Call {
        operation: VALIDATE,
        method: Method::GET,
        url,
        headers,
        body: None,
        secret: Secret::default(),
        repeatable: true,
    }
}
