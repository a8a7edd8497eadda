//! `[keystone_authtoken]`: the options of keystonemiddleware, and those of the keystoneauth plugins for the service's
//! own login. Other groups may have the same options, so [`read`] takes the name of the group.

use std::time::Duration;

use ::oslo_config::{Config, OptDecl};
use keystone_auth::{ApplicationCredential, PasswordCredentials, Secret, ServiceCredentials, Settings};

use super::ConfigError;

pub(super) const GROUP: &str = "keystone_authtoken";

const fn text(name: &'static str, help: &'static str) -> OptDecl {
    OptDecl::string(GROUP, name).help(help)
}

const fn path(name: &'static str, help: &'static str) -> OptDecl {
    OptDecl::path(GROUP, name).help(help)
}

const AUTH_SECTION: OptDecl =
    text("auth_section", "Group with the options of the login, if it is not this group.");
const AUTH_TYPE: OptDecl = text("auth_type", "How the service authenticates itself.")
    .default("password")
    .choices(&["password", "v3password", "v3applicationcredential"])
    .deprecated(&[("", "auth_plugin")]);
const AUTH_URL: OptDecl = text("auth_url", "Identity endpoint.");
const WWW_AUTHENTICATE_URI: OptDecl =
    text("www_authenticate_uri", "Public identity endpoint. It is sent to clients that have no valid token.")
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
    text("interface", "Interface of the identity endpoint in the catalog.").default("internal");
const REGION_NAME: OptDecl = text("region_name", "Region of the identity endpoint.");
const SERVICE_TYPE: OptDecl =
    text("service_type", "This service's type in the catalog, for access rules.").default("backup");
const CAFILE: OptDecl = path(
    "cafile",
    "PEM file, or a directory of such files, with the certificate authorities that verify Keystone. Default: the \
     file in the environment variable REQUESTS_CA_BUNDLE or CURL_CA_BUNDLE, otherwise the authorities of the system.",
);
const CERTFILE: OptDecl = path("certfile", "PEM file of the client certificate.");
const KEYFILE: OptDecl = path("keyfile", "PEM file of the key of the client certificate.");
const INSECURE: OptDecl = OptDecl::boolean(GROUP, "insecure")
    .unset_if_empty()
    .default("false")
    .help("Do not verify Keystone's certificate.");
const CONNECT_TIMEOUT: OptDecl = OptDecl::integer(GROUP, "http_connect_timeout")
    .unset_if_empty()
    .min(1)
    .help("Seconds that a call to Keystone may take; unset: 10 to connect, 30 in all. All calls of a request end at its deadline \
           ([api] request_timeout).");
const MAX_RETRIES: OptDecl = OptDecl::integer(GROUP, "http_request_max_retries")
    .unset_if_empty()
    .default("3")
    .min(0)
    .help("Number of further attempts if a connection fails.");
const CACHE_TIME: OptDecl = OptDecl::integer(GROUP, "token_cache_time")
    .unset_if_empty()
    .default("300")
    .min(-1)
    .help("Seconds for which the result of a token validation is cached; -1: no cache.");
const SERVICE_TOKEN_ROLES: OptDecl = OptDecl::list(GROUP, "service_token_roles")
    .default("service")
    .help("A service token must have one of these roles.");
const SERVICE_TOKEN_ROLES_REQUIRED: OptDecl = OptDecl::boolean(GROUP, "service_token_roles_required")
    .unset_if_empty()
    .default("true")
    .help("Reject requests whose service token has none of service_token_roles.");

pub(super) const OPTIONS: &[&OptDecl] = &[
    &AUTH_SECTION,
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

/// A group that has these options.
struct LoginGroup<'a> {
    config: &'a Config,
    group: &'static str,
}

impl LoginGroup<'_> {
    fn option(&self, option: &OptDecl) -> OptDecl {
        OptDecl { group: self.group, ..*option }
    }

    fn string(&self, option: &OptDecl) -> Result<Option<String>, ConfigError> {
        Ok(self.config.string(&self.option(option))?)
    }

    fn needed(&self, option: &OptDecl) -> Result<String, ConfigError> {
        Ok(self.option(option).need(self.string(option)?)?)
    }

    fn secret(&self, option: &OptDecl) -> Result<Secret, ConfigError> {
        let option = self.option(option);
        Ok(Secret::new(option.need(self.config.secret(&option)?)?.expose()))
    }

    fn bool(&self, option: &OptDecl) -> Result<Option<bool>, ConfigError> {
        Ok(self.config.bool(&self.option(option))?)
    }

    fn list(&self, option: &OptDecl) -> Result<Option<Vec<String>>, ConfigError> {
        Ok(self.config.list(&self.option(option))?)
    }

    fn number<T: TryFrom<i64>>(&self, option: &OptDecl) -> Result<Option<T>, ConfigError> {
        Ok(self.config.int(&self.option(option))?.and_then(|number| T::try_from(number).ok()))
    }
}

/// Returns a configured group name with a static life time, because option declarations need one. This leaks the name,
/// so it is only called at start.
pub(super) fn group_named(name: String) -> &'static str {
    // The INI dialect stores all group names except DEFAULT in lower case.
    Box::leak(name.to_lowercase().into_boxed_str())
}

/// The groups that set the options of a login at Keystone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LoginGroups {
    /// The group of the connection.
    pub group: &'static str,
    /// The group of the login: `auth_section`, or the same.
    pub login: &'static str,
}

impl LoginGroups {
    pub(super) fn read(config: &Config, group: &'static str) -> Result<LoginGroups, ConfigError> {
        let named = LoginGroup { config, group }.string(&AUTH_SECTION)?.filter(|name| !name.is_empty());
        Ok(LoginGroups { group, login: named.map_or(group, group_named) })
    }

    /// Returns an option in its group, `[group] name`.
    pub fn option(&self, name: &str) -> String {
        let is_of_login = LOGIN.iter().any(|option| option.name == name);
        format!("[{}] {name}", if is_of_login { self.login } else { self.group })
    }
}

/// The options that `auth_section` moves to another group.
const LOGIN: &[&OptDecl] = &[
    &AUTH_TYPE,
    &AUTH_URL,
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
];

/// Returns the options of a group that contains a login.
pub(super) fn options_in(group: &'static str) -> impl Iterator<Item = OptDecl> {
    OPTIONS.iter().map(move |option| OptDecl { group, ..**option })
}

/// Reads the settings for the crate `keystone-auth` from a group.
pub(super) fn read(config: &Config, group: &'static str) -> Result<Settings, ConfigError> {
    let section = LoginGroup { config, group };
    let login = LoginGroup { config, group: LoginGroups::read(config, group)?.login };
    let defaults = Settings::default();
    let timeout = section.number(&CONNECT_TIMEOUT)?.map(Duration::from_secs);
    let path = |option: &OptDecl| section.string(option).map(|text| text.map(Into::into));
    Ok(Settings {
        auth_url: login.needed(&AUTH_URL)?,
        www_authenticate_uri: section.string(&WWW_AUTHENTICATE_URI)?,
        credentials: credentials(&login)?,
        region_name: section.string(&REGION_NAME)?,
        interface: section.string(&INTERFACE)?.unwrap_or(defaults.interface),
        service_type: section.string(&SERVICE_TYPE)?,
        cafile: path(&CAFILE)?,
        certfile: path(&CERTFILE)?,
        keyfile: path(&KEYFILE)?,
        insecure: section.bool(&INSECURE)?.unwrap_or(false),
        connect_timeout: timeout.unwrap_or(defaults.connect_timeout),
        request_timeout: timeout.unwrap_or(defaults.request_timeout),
        max_retries: section.number(&MAX_RETRIES)?.unwrap_or(defaults.max_retries),
        token_cache_time: section.number(&CACHE_TIME)?.map(Duration::from_secs),
        service_token_roles: section.list(&SERVICE_TOKEN_ROLES)?.unwrap_or_default(),
        service_token_roles_required: section.bool(&SERVICE_TOKEN_ROLES_REQUIRED)?.unwrap_or(true),
        user_agent: concat!("freezer-api/", env!("CARGO_PKG_VERSION")).to_owned(),
        ..defaults
    })
}

/// Sets the certificate authorities from the environment, unless `cafile` is set. These variables are the ones that
/// Python's requests reads, which keystoneauth uses.
pub(super) fn trust_environment(settings: &mut Settings, environment: &[(String, String)]) {
    if settings.cafile.is_some() {
        return;
    }
    for (variable, named) in [
        ("REQUESTS_CA_BUNDLE", "environment variable REQUESTS_CA_BUNDLE"),
        ("CURL_CA_BUNDLE", "environment variable CURL_CA_BUNDLE"),
    ] {
        let value = environment.iter().rfind(|(name, value)| name == variable && !value.is_empty());
        if let Some((_, path)) = value {
            settings.cafile = Some(path.into());
            settings.cafile_from = named;
            return;
        }
    }
}

fn credentials(login: &LoginGroup<'_>) -> Result<ServiceCredentials, ConfigError> {
    if login.string(&AUTH_TYPE)?.as_deref() == Some("v3applicationcredential") {
        return Ok(ServiceCredentials::ApplicationCredential(ApplicationCredential {
            id: login.string(&APPLICATION_CREDENTIAL_ID)?,
            name: login.string(&APPLICATION_CREDENTIAL_NAME)?,
            secret: login.secret(&APPLICATION_CREDENTIAL_SECRET)?,
            user_id: login.string(&USER_ID)?,
            username: login.string(&USERNAME)?,
            user_domain_id: login.string(&USER_DOMAIN_ID)?,
            user_domain_name: login.string(&USER_DOMAIN_NAME)?,
        }));
    }
    Ok(ServiceCredentials::Password(PasswordCredentials {
        user_id: login.string(&USER_ID)?,
        username: login.string(&USERNAME)?,
        user_domain_id: login.string(&USER_DOMAIN_ID)?,
        user_domain_name: login.string(&USER_DOMAIN_NAME)?,
        password: login.secret(&PASSWORD)?,
        project_id: login.string(&PROJECT_ID)?,
        project_name: login.string(&PROJECT_NAME)?,
        project_domain_id: login.string(&PROJECT_DOMAIN_ID)?,
        project_domain_name: login.string(&PROJECT_DOMAIN_NAME)?,
        ..PasswordCredentials::default()
    }))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn the_environment_sets_authorities_if_cafile_does_not() {
        let trusted = |cafile: Option<&str>, environment: &[(&str, &str)]| {
            let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
            let mut settings = Settings { cafile: cafile.map(Into::into), ..Settings::default() };
            trust_environment(&mut settings, &environment.iter().map(own).collect::<Vec<_>>());
            settings.cafile.map(|path| (path.display().to_string(), settings.cafile_from))
        };
        let requests = ("REQUESTS_CA_BUNDLE", "/r");
        let curl = ("CURL_CA_BUNDLE", "/c");
        let found = |path: &str, from| Some((path.to_owned(), from));
        assert_eq!(trusted(Some("/ca"), &[requests, curl]), found("/ca", "cafile"));
        let named = "environment variable REQUESTS_CA_BUNDLE";
        assert_eq!(trusted(None, &[curl, requests]), found("/r", named));
        let named = "environment variable CURL_CA_BUNDLE";
        assert_eq!(trusted(None, &[("REQUESTS_CA_BUNDLE", ""), curl]), found("/c", named));
        assert_eq!(trusted(None, &[("REQUESTS_CA_BUNDLE", "")]), None);
    }

    #[test]
    fn auth_section_selects_another_group_for_the_login_only() {
        let text = "[keystone_authtoken]\nauth_section = login\nauth_url = http://not-this:5000\n\
                    www_authenticate_uri = http://public:5000\ntoken_cache_time = 7\n\
                    [login]\nauth_url = http://k:5000\nusername = freezer\npassword = p\ntoken_cache_time = 9\n";
        let settings = read(&Config::from_text("freezer-api.conf", text).unwrap(), GROUP).unwrap();
        assert_eq!(settings.auth_url, "http://k:5000");
        assert_eq!(settings.www_authenticate_uri.as_deref(), Some("http://public:5000"));
        assert_eq!(settings.token_cache_time, Some(Duration::from_secs(7)));
        let ServiceCredentials::Password(login) = settings.credentials else { panic!("a password") };
        assert_eq!(login.username.as_deref(), Some("freezer"));
    }
}
