//! The service's own token: requesting it, caching it, renewing it in time or after Keystone rejected it, and
//! the identity endpoint in its catalog.

use std::sync::{Arc, PoisonError, RwLock};

use http::{HeaderMap, HeaderValue, Method, StatusCode};
use serde_json::{Map, Value, json};
use tokio::time::{Instant, timeout_at};

use crate::clock::UnixClock;
use crate::error::{AuthError, SettingsError};
use crate::secret::Secret;
use crate::settings::{ApplicationCredential, PasswordCredentials, ServiceCredentials, Settings};
use crate::token::{self, CatalogService};
use crate::transport::{Endpoint, KeystoneCall, Transport, out_of_time, shown_url};

const OPERATION: &str = "authenticate this service";
/// A token with less remaining lifetime is renewed before use (keystoneauth1's `MIN_TOKEN_LIFE_SECONDS`). For
/// tokens that live only minutes, the limit is a quarter of their lifetime.
const RENEW_BEFORE_SECONDS: i64 = 120;

/// The service's own token, its user and its endpoint.
pub(crate) struct OwnToken {
    /// Value of the `X-Auth-Token` header, marked as sensitive.
    pub(crate) value: HeaderValue,
    /// Id of the service's user.
    pub(crate) user_id: String,
    /// Endpoint of all calls except authentication.
    pub(crate) endpoint: Endpoint,
    renew_at: i64,
}

#[derive(Default)]
struct OwnTokenState {
    token: Option<Arc<OwnToken>>,
    /// Number of failed attempts, and the last error. Tasks that waited for a failed attempt share its error
    /// and do not repeat it one after the other.
    failures: u64,
    last_failure: Option<AuthError>,
}

pub(crate) struct OwnTokens {
    auth_url: Endpoint,
    body: Vec<u8>,
    secret: Secret,
    region_name: Option<String>,
    interface: String,
    clock: UnixClock,
    state: RwLock<OwnTokenState>,
    gate: tokio::sync::Mutex<()>,
}

impl OwnTokens {
    pub(crate) fn new(settings: &Settings, clock: UnixClock) -> Result<Self, SettingsError> {
        let auth_url = Endpoint::parse(&settings.auth_url).map_err(|reason| SettingsError::Url {
            option: "auth_url",
            value: shown_url(&settings.auth_url),
            reason,
        })?;
        Ok(Self {
            auth_url,
            body: body(&settings.credentials)?.to_string().into_bytes(),
            secret: match &settings.credentials {
                ServiceCredentials::Password(credentials) => credentials.password.clone(),
                ServiceCredentials::ApplicationCredential(credential) => credential.secret.clone(),
            },
            region_name: settings.region_name.clone().filter(|name| !name.is_empty()),
            // Old configurations contain `internalURL`.
            interface: settings.interface.trim_end_matches("URL").to_owned(),
            clock,
            state: RwLock::default(),
            gate: tokio::sync::Mutex::default(),
        })
    }

    /// Returns the present token, or requests a new one if there is none or it expires soon. Waits until the
    /// deadline of the request, also for a login that another request has started.
    pub(crate) async fn get(
        &self,
        transport: &Transport,
        deadline: Instant,
    ) -> Result<Arc<OwnToken>, AuthError> {
        let failures = {
            let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
            match self.usable(&state) {
                Some(token) => return Ok(token),
                None => state.failures,
            }
        };
        let _gate = timeout_at(deadline, self.gate.lock()).await.map_err(|_| out_of_time(OPERATION))?;
        {
            let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
            if let Some(token) = self.usable(&state) {
                return Ok(token);
            }
            if let (true, Some(error)) = (state.failures != failures, &state.last_failure) {
                return Err(error.clone());
            }
        }
        let result = self.authenticate(transport, deadline).await.map(Arc::new);
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        match &result {
            Ok(token) => {
                state.token = Some(Arc::clone(token));
                state.last_failure = None;
            }
            Err(error) => {
                if transport.outage().is_on() {
                    tracing::debug!(%error, "this service could not authenticate at Keystone");
                } else {
                    tracing::error!(%error, "this service could not authenticate at Keystone");
                }
                state.token = None;
                // Requests that have more time than this one make an attempt of their own.
                if Instant::now() < deadline {
                    state.failures += 1;
                    state.last_failure = Some(error.clone());
                }
            }
        }
        result
    }

    /// Replaces the token `refused`, which Keystone rejected.
    pub(crate) async fn replace(
        &self,
        transport: &Transport,
        refused: &Arc<OwnToken>,
        deadline: Instant,
    ) -> Result<Arc<OwnToken>, AuthError> {
        {
            let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
            // Another task may have replaced it already.
            if state.token.as_ref().is_some_and(|token| Arc::ptr_eq(token, refused)) {
                state.token = None;
            }
        }
        self.get(transport, deadline).await
    }

    fn usable(&self, state: &OwnTokenState) -> Option<Arc<OwnToken>> {
        state.token.as_ref().filter(|token| (self.clock)() < token.renew_at).map(Arc::clone)
    }

    async fn authenticate(&self, transport: &Transport, deadline: Instant) -> Result<OwnToken, AuthError> {
        let unavailable = |reason: String| AuthError::Unavailable { operation: OPERATION, reason };
        let call = KeystoneCall {
            operation: OPERATION,
            method: Method::POST,
            url: self.auth_url.v3(&["auth", "tokens"]),
            headers: HeaderMap::new(),
            body: Some(self.body.clone()),
            secret: self.secret.clone(),
            repeatable: true,
        };
        let reply = transport.send(&call, deadline).await?;
        match reply.status {
            StatusCode::CREATED | StatusCode::OK => {}
            StatusCode::UNAUTHORIZED => {
                return Err(unavailable(
                    "it rejected the service's own credentials; check the user, password and project \
                     of this service"
                        .to_owned(),
                ));
            }
            _ => return Err(unavailable(reply.complaint())),
        }
        let mut value = reply
            .headers
            .get("x-subject-token")
            .cloned()
            .ok_or_else(|| unavailable("its answer has no X-Subject-Token header".to_owned()))?;
        value.set_sensitive(true);
        let (token, catalog) = token::parse(&reply.body)
            .map_err(|error| unavailable(format!("its answer cannot be read: {error}")))?;
        let now = (self.clock)();
        let life = token.expires_at.saturating_sub(now).max(0);
        let endpoint = self.endpoint(&catalog);
        tracing::info!(user_id = token.user_id, life_seconds = life, "this service has a new token");
        Ok(OwnToken {
            value,
            user_id: token.user_id,
            endpoint,
            renew_at: token.expires_at.saturating_sub(RENEW_BEFORE_SECONDS.min(life / 4)),
        })
    }

    /// Returns the identity endpoint of the catalog for the configured interface and region. If there is
    /// none, returns `auth_url`.
    fn endpoint(&self, catalog: &[CatalogService]) -> Endpoint {
        let found = catalog
            .iter()
            .filter(|service| service.kind == "identity")
            .flat_map(|service| &service.endpoints)
            .find(|endpoint| {
                endpoint.interface.trim_end_matches("URL") == self.interface
                    && self.region_name.as_ref().is_none_or(|wanted| {
                        endpoint.region_id.as_ref().or(endpoint.region.as_ref()) == Some(wanted)
                    })
            });
        match found.map(|endpoint| Endpoint::parse(&endpoint.url)) {
            Some(Ok(endpoint)) => endpoint,
            Some(Err(reason)) => {
                tracing::warn!(reason, "the catalog's identity endpoint is unusable, using auth_url");
                self.auth_url.clone()
            }
            None => {
                tracing::warn!(
                    interface = self.interface,
                    region_name = self.region_name.as_deref().unwrap_or("any"),
                    "no identity endpoint in the catalog for this interface and region, using auth_url"
                );
                self.auth_url.clone()
            }
        }
    }
}

/// Returns the body of `POST /v3/auth/tokens`. Source: Identity API v3, "Password authentication" and
/// "Application credentials".
fn body(credentials: &ServiceCredentials) -> Result<Value, SettingsError> {
    match credentials {
        ServiceCredentials::Password(credentials) => password_body(credentials),
        ServiceCredentials::ApplicationCredential(credential) => application_credential_body(credential),
    }
}

fn password_body(credentials: &PasswordCredentials) -> Result<Value, SettingsError> {
    let mut user = reference(
        set(&credentials.user_id),
        set(&credentials.username),
        set(&credentials.user_domain_id),
        set(&credentials.user_domain_name),
    )
    .ok_or(SettingsError::Credentials {
        option: "username",
        reason: "set username (and its domain) or user_id",
    })?;
    user.insert("password".to_owned(), credentials.password.expose().into());
    let mut auth = json!({"identity": {"methods": ["password"], "password": {"user": user}}});
    let project = reference(
        set(&credentials.project_id),
        set(&credentials.project_name),
        set(&credentials.project_domain_id),
        set(&credentials.project_domain_name),
    );
    let domain = reference(set(&credentials.domain_id), set(&credentials.domain_name), None, None);
    let scope = match (project, domain, credentials.system_scope) {
        (None, None, false) => None,
        (Some(project), None, false) => Some(json!({ "project": project })),
        (None, Some(domain), false) => Some(json!({ "domain": domain })),
        (None, None, true) => Some(json!({"system": {"all": true}})),
        _ => {
            return Err(SettingsError::Credentials {
                option: "project_name",
                reason: "a token has one scope: set only one of project, domain and system_scope",
            });
        }
    };
    if let Some(scope) = scope {
        auth["scope"] = scope;
    }
    Ok(json!({ "auth": auth }))
}

fn application_credential_body(credential: &ApplicationCredential) -> Result<Value, SettingsError> {
    let mut data = Map::new();
    if let Some(id) = set(&credential.id) {
        data.insert("id".to_owned(), id.into());
    } else {
        let name = set(&credential.name).ok_or(SettingsError::Credentials {
            option: "application_credential_id",
            reason: "set application_credential_id, or application_credential_name and its user",
        })?;
        let user = reference(
            set(&credential.user_id),
            set(&credential.username),
            set(&credential.user_domain_id),
            set(&credential.user_domain_name),
        )
        .ok_or(SettingsError::Credentials {
            option: "username",
            reason: "an application credential given by name needs username (and its domain) or user_id",
        })?;
        data.insert("name".to_owned(), name.into());
        data.insert("user".to_owned(), user.into());
    }
    data.insert("secret".to_owned(), credential.secret.expose().into());
    Ok(json!({"auth": {"identity":
        {"methods": ["application_credential"], "application_credential": data}}}))
}

/// Returns the value of an option unless it is empty.
fn set(option: &Option<String>) -> Option<&str> {
    option.as_deref().filter(|value| !value.is_empty())
}

/// Returns `{"id": …}`, or `{"name": …, "domain": {…}}`: Keystone's reference to a resource in a domain.
fn reference(
    id: Option<&str>,
    name: Option<&str>,
    domain_id: Option<&str>,
    domain_name: Option<&str>,
) -> Option<Map<String, Value>> {
    let mut map = Map::new();
    if let Some(id) = id {
        map.insert("id".to_owned(), id.into());
        return Some(map);
    }
    map.insert("name".to_owned(), name?.into());
    if let Some(domain) = reference(domain_id, domain_name, None, None) {
        map.insert("domain".to_owned(), domain.into());
    }
    Some(map)
}
