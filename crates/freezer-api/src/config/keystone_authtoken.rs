//! `[keystone_authtoken]`: keystonemiddleware's options and those of the keystoneauth plugins that the service
//! authenticates itself with.

use std::time::Duration;

use ::oslo_config::{Config, OptDecl};
use keystone_auth::{ApplicationCredential, PasswordCredentials, Secret, ServiceCredentials, Settings};

use super::ConfigError;

const GROUP: &str = "keystone_authtoken";

const fn text(name: &'static str, help: &'static str) -> OptDecl {
    OptDecl::string(GROUP, name).help(help)
}

const AUTH_TYPE: OptDecl = text("auth_type", "How the service authenticates itself.")
    .default("password")
    .choices(&["password", "v3password", "v3applicationcredential"])
    .deprecated(&[("", "auth_plugin")]);
const AUTH_URL: OptDecl = text("auth_url", "Identity endpoint.");
const WWW_AUTHENTICATE_URI: OptDecl =
    text("www_authenticate_uri", "Public identity endpoint, told to clients without a valid token.")
        .deprecated(&[("", "auth_uri")]);
const USERNAME: OptDecl = text("username", "The service's user.").deprecated(&[("", "user_name")]);
const USER_ID: OptDecl = text("user_id", "The service's user, by id.");
const PASSWORD: OptDecl = text("password", "The service's password.").secret();
const USER_DOMAIN_ID: OptDecl = text("user_domain_id", "Domain of the user, by id.");
const USER_DOMAIN_NAME: OptDecl = text("user_domain_name", "Domain of the user.");
const PROJECT_ID: OptDecl =
    text("project_id", "The service's project, by id.").deprecated(&[("", "tenant_id")]);
const PROJECT_NAME: OptDecl =
    text("project_name", "The service's project.").deprecated(&[("", "tenant_name")]);
const PROJECT_DOMAIN_ID: OptDecl = text("project_domain_id", "Domain of the project, by id.");
const PROJECT_DOMAIN_NAME: OptDecl = text("project_domain_name", "Domain of the project.");
const APPLICATION_CREDENTIAL_ID: OptDecl =
    text("application_credential_id", "Application credential, by id.");
const APPLICATION_CREDENTIAL_NAME: OptDecl =
    text("application_credential_name", "Application credential, by name and user.");
const APPLICATION_CREDENTIAL_SECRET: OptDecl =
    text("application_credential_secret", "Secret of the application credential.").secret();
const INTERFACE: OptDecl =
    text("interface", "Which identity endpoint of the catalog to use.").default("internal");
const REGION_NAME: OptDecl = text("region_name", "Region of the identity endpoint.");
const SERVICE_TYPE: OptDecl =
    text("service_type", "This service's type in the catalog, for access rules.").default("backup");
const CAFILE: OptDecl = text("cafile", "PEM file of the authorities to verify Keystone with.");
const CERTFILE: OptDecl = text("certfile", "PEM file of the client certificate.");
const KEYFILE: OptDecl = text("keyfile", "PEM file of its key.");
const INSECURE: OptDecl =
    OptDecl::boolean(GROUP, "insecure").default("false").help("Do not verify Keystone's certificate.");
const CONNECT_TIMEOUT: OptDecl = OptDecl::integer(GROUP, "http_connect_timeout")
    .min(1)
    .help("Seconds that a call to Keystone may take; unset: 10 to connect, 30 in all.");
const MAX_RETRIES: OptDecl = OptDecl::integer(GROUP, "http_request_max_retries")
    .default("3")
    .min(0)
    .help("How often a call is made again when the connection fails.");
const CACHE_TIME: OptDecl = OptDecl::integer(GROUP, "token_cache_time")
    .default("300")
    .min(-1)
    .help("Seconds for which Keystone's word about a token is believed; -1: ask each time.");
const SERVICE_TOKEN_ROLES: OptDecl = OptDecl::list(GROUP, "service_token_roles")
    .default("service")
    .help("A service token must have one of these roles.");
const SERVICE_TOKEN_ROLES_REQUIRED: OptDecl = OptDecl::boolean(GROUP, "service_token_roles_required")
    .default("true")
    .help("Refuse requests whose service token has none of service_token_roles.");

pub(super) const OPTIONS: &[&OptDecl] = &[
    &AUTH_TYPE,
    &AUTH_URL,
    &WWW_AUTHENTICATE_URI,
    &USERNAME,
    &USER_ID,
    &PASSWORD,
    &USER_DOMAIN_ID,
    &USER_DOMAIN_NAME,
    &PROJECT_ID,
    &PROJECT_NAME,
    &PROJECT_DOMAIN_ID,
    &PROJECT_DOMAIN_NAME,
    &APPLICATION_CREDENTIAL_ID,
    &APPLICATION_CREDENTIAL_NAME,
    &APPLICATION_CREDENTIAL_SECRET,
    &INTERFACE,
    &REGION_NAME,
    &SERVICE_TYPE,
    &CAFILE,
    &CERTFILE,
    &KEYFILE,
    &INSECURE,
    &CONNECT_TIMEOUT,
    &MAX_RETRIES,
    &CACHE_TIME,
    &SERVICE_TOKEN_ROLES,
    &SERVICE_TOKEN_ROLES_REQUIRED,
];

/// What the section says, for the crate `keystone-auth`.
pub(super) fn read(config: &Config) -> Result<Settings, ConfigError> {
    let defaults = Settings::default();
    let timeout = config.int(&CONNECT_TIMEOUT)?.and_then(|s| u64::try_from(s).ok()).map(Duration::from_secs);
    let path = |option: &OptDecl| config.string(option).map(|text| text.map(Into::into));
    Ok(Settings {
        auth_url: AUTH_URL.need(config.string(&AUTH_URL)?)?,
        www_authenticate_uri: config.string(&WWW_AUTHENTICATE_URI)?,
        credentials: credentials(config)?,
        region_name: config.string(&REGION_NAME)?,
        interface: config.string(&INTERFACE)?.unwrap_or(defaults.interface),
        service_type: config.string(&SERVICE_TYPE)?,
        cafile: path(&CAFILE)?,
        certfile: path(&CERTFILE)?,
        keyfile: path(&KEYFILE)?,
        insecure: config.bool(&INSECURE)?.unwrap_or(false),
        connect_timeout: timeout.unwrap_or(defaults.connect_timeout),
        request_timeout: timeout.unwrap_or(defaults.request_timeout),
        max_retries: config
            .int(&MAX_RETRIES)?
            .and_then(|retries| u32::try_from(retries).ok())
            .unwrap_or(defaults.max_retries),
        token_cache_time: config
            .int(&CACHE_TIME)?
            .and_then(|seconds| u64::try_from(seconds).ok())
            .map(Duration::from_secs),
        service_token_roles: config.list(&SERVICE_TOKEN_ROLES)?.unwrap_or_default(),
        service_token_roles_required: config.bool(&SERVICE_TOKEN_ROLES_REQUIRED)?.unwrap_or(true),
        user_agent: concat!("freezer-api/", env!("CARGO_PKG_VERSION")).to_owned(),
        ..defaults
    })
}

fn credentials(config: &Config) -> Result<ServiceCredentials, ConfigError> {
    let secret = |option: &OptDecl| -> Result<Secret, ConfigError> {
        let value = option.need(config.secret(option)?)?;
        Ok(Secret::new(value.expose()))
    };
    if config.string(&AUTH_TYPE)?.as_deref() == Some("v3applicationcredential") {
        return Ok(ServiceCredentials::ApplicationCredential(ApplicationCredential {
            id: config.string(&APPLICATION_CREDENTIAL_ID)?,
            name: config.string(&APPLICATION_CREDENTIAL_NAME)?,
            secret: secret(&APPLICATION_CREDENTIAL_SECRET)?,
            user_id: config.string(&USER_ID)?,
            username: config.string(&USERNAME)?,
            user_domain_id: config.string(&USER_DOMAIN_ID)?,
            user_domain_name: config.string(&USER_DOMAIN_NAME)?,
        }));
    }
    Ok(ServiceCredentials::Password(PasswordCredentials {
        user_id: config.string(&USER_ID)?,
        username: config.string(&USERNAME)?,
        user_domain_id: config.string(&USER_DOMAIN_ID)?,
        user_domain_name: config.string(&USER_DOMAIN_NAME)?,
        password: secret(&PASSWORD)?,
        project_id: config.string(&PROJECT_ID)?,
        project_name: config.string(&PROJECT_NAME)?,
        project_domain_id: config.string(&PROJECT_DOMAIN_ID)?,
        project_domain_name: config.string(&PROJECT_DOMAIN_NAME)?,
        ..PasswordCredentials::default()
    }))
}
