//! Reports missing certificate authorities once for all servers that must be verified with them.

use keystone_auth::SettingsError;
use oslo_policy::HttpCheckError;

use super::logins;
use super::prepare::Refusal;
use crate::config::Settings;

/// The variable that the TLS libraries open themselves, so it is checked before them.
const VARIABLE: &str = "environment variable SSL_CERT_FILE";

/// Combines all refusals about missing authorities into one, and removes repeated ones.
pub(super) fn merged(refusals: Vec<Refusal>, settings: &Settings) -> Vec<Refusal> {
    let mut needs = Vec::new();
    let mut others: Vec<Refusal> = Vec::new();
    for refusal in refusals {
        match need(&refusal) {
            Some(need) => needs.push(settings.origins.prefixed(need)),
            None if others.iter().any(|other| other.to_string() == refusal.to_string()) => {}
            None => others.push(refusal),
        }
    }
    if !needs.is_empty() {
        let text = format!(
            "{}; without certificate authorities, servers cannot be verified, which is necessary for: {}",
            cause(settings),
            needs.join("; ")
        );
        others.insert(0, Refusal::Authorities(text));
    }
    others
}

/// Returns what needs the authorities of the system, with the option that can replace them.
fn need(refusal: &Refusal) -> Option<String> {
    match refusal {
        Refusal::Database { option, error: freezer_store::UrlError::SystemAuthorities(_) } => {
            Some(format!("{option} (or name a file with ssl_ca)"))
        }
        Refusal::Login { groups, error: SettingsError::NoAuthorities { url } } => Some(format!(
            "{} = {url} (or set cafile, or the environment variable REQUESTS_CA_BUNDLE)",
            groups.option("auth_url")
        )),
        Refusal::Login { groups, error: SettingsError::File { option: VARIABLE, .. } } => Some(format!(
            "{} (or set cafile, or the environment variable REQUESTS_CA_BUNDLE)",
            logins::section(*groups)
        )),
        Refusal::RemotePolicy(
            HttpCheckError::NoAuthorities | HttpCheckError::File { option: VARIABLE, .. },
        ) => Some(
            "policy rules with an https: check (or set [oslo_policy] remote_ssl_ca_crt_file to a PEM file)"
                .to_owned(),
        ),
        _ => None,
    }
}

/// Returns the reason why there are no authorities.
fn cause(settings: &Settings) -> String {
    let authorities = &settings.authorities;
    if !authorities.unusable.is_empty() {
        let unusable: Vec<String> = authorities.unusable.iter().map(ToString::to_string).collect();
        return format!("{}, and install the package ca-certificates", unusable.join("; "));
    }
    if !authorities.variables.is_empty() {
        return format!(
            "environment variable {}: its files contain no usable certificate; correct or unset it, and install the package \
             ca-certificates",
            authorities.variables.join(", ")
        );
    }
    "this system has no CA certificates; install them (package ca-certificates)".to_owned()
}
