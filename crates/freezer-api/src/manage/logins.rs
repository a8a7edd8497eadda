//! The logins at Keystone: the texts of errors in their options, and warnings about options that are probably mistakes.

use freezer_store::maintenance::Verdict;
use keystone_auth::{ServiceCredentials, SettingsError, check_tls_files};

use crate::config::{Finding, LoginGroups, Settings};

/// The interfaces of endpoints in a catalog. Old configurations have `URL` at the end.
const INTERFACES: [&str; 3] = ["internal", "public", "admin"];

/// Returns the text of an error with its option, `[group] name`. An environment variable belongs to no group.
pub(super) fn described(groups: LoginGroups, error: &SettingsError) -> String {
    let text = error.to_string();
    match error.option().map(|name| (name, text.strip_prefix(name))) {
        Some((name, _)) if name.contains(' ') => text,
        Some((name, Some(rest))) => format!("{}{rest}", groups.option(name)),
        _ => format!("{} {text}", section(groups)),
    }
}

/// Returns the group of a login, for messages.
pub(super) fn section(groups: LoginGroups) -> String {
    format!("[{}]", groups.group)
}

/// Returns a warning about a server that is not verified.
pub(super) fn unverified(message: String) -> Finding {
    Finding { verdict: Verdict::Warning, kind: "unverified", place: None, message }
}

/// Returns the warnings about all logins.
pub(super) fn warnings(settings: &Settings) -> Vec<Finding> {
    let mut found: Vec<Finding> = Vec::new();
    for (groups, login) in settings.logins() {
        let of_login = unusual_values(groups, login).into_iter().chain(unusable_files(groups, login));
        for finding in of_login {
            // Both logins can have the same mistake in the environment.
            if !found.contains(&finding) {
                found.push(finding);
            }
        }
    }
    found
}

/// Returns warnings about values with which no login or no call can succeed.
fn unusual_values(groups: LoginGroups, login: &keystone_auth::Settings) -> Vec<Finding> {
    let mut found = Vec::new();
    let unusual =
        |message| Finding { verdict: Verdict::Warning, kind: "unusual_value", place: None, message };
    let interface = login.interface.as_str();
    if !INTERFACES.contains(&interface.strip_suffix("URL").unwrap_or(interface)) {
        found.push(unusual(format!(
            "{} = {interface}: no endpoint has this interface, so auth_url is used for all calls; write internal, public or \
             admin",
            groups.option("interface")
        )));
    }
    let (option, secret) = match &login.credentials {
        ServiceCredentials::Password(credentials) => ("password", &credentials.password),
        ServiceCredentials::ApplicationCredential(credential) => {
            ("application_credential_secret", &credential.secret)
        }
    };
    if secret.expose().is_empty() {
        found.push(unusual(format!(
            "{}: it is empty, so Keystone rejects the login of the service, and every request that needs it is answered with \
             503; write the {} of the service's user",
            groups.option(option),
            if option == "password" { "password" } else { "secret" }
        )));
    }
    if login.insecure {
        found.push(unverified(format!(
            "{} = true: Keystone's certificate is not verified, so another server can read tokens and the service's \
             password; set cafile to the authorities of Keystone instead",
            groups.option("insecure")
        )));
    }
    found
}

/// Returns warnings about files that are not used, or that only HTTPS would need.
fn unusable_files(groups: LoginGroups, login: &keystone_auth::Settings) -> Vec<Finding> {
    let mut found = Vec::new();
    if let (Some(key), None) = (&login.keyfile, &login.certfile)
        && !key.as_os_str().is_empty()
    {
        found.push(Finding::without_effect(format!(
            "{} = {}: it has no effect without certfile; set certfile to the certificate of this key, or remove keyfile",
            groups.option("keyfile"),
            key.display()
        )));
    }
    if login.auth_url.trim().to_lowercase().starts_with("https:") {
        return found;
    }
    if let Err(error) = check_tls_files(login) {
        let message =
            format!("{}; it is not read, because Keystone is called without TLS", described(groups, &error));
        found.push(Finding { verdict: Verdict::Warning, kind: "unusable_file", place: None, message });
    }
    found
}
