//! The first lines of the log: which program runs with which configuration. They contain no passwords.

use std::time::Duration;

use freezer_store::Store;
use keystone_auth::ServiceCredentials;
use tokio::time::timeout;

use crate::app::App;
use crate::config::Settings;
use crate::server;

/// Time limit for the answers of the database.
const LIMIT: Duration = Duration::from_secs(5);

/// Logs the version, the configuration and the limits. `settings`: as they are in force, with the numbers of connections that the
/// limit of open files allows.
pub(super) fn log(settings: &Settings, app: &App) {
    tracing::info!("freezer-api {} starts", version());
    let names = |kinds: [&str; 2]| {
        let unknown = settings.remarks.iter().filter(|found| kinds.contains(&found.kind));
        let places = unknown.filter_map(|found| found.place.as_ref());
        places.map(|place| format!("[{}] {}", place.group, place.name)).collect::<Vec<_>>().join(", ")
    };
    let unknown_options = names(["unknown_option", "unknown_group"]);
    let unknown_options = Some(unknown_options).filter(|names| !names.is_empty());
    tracing::info!(unknown_options, "configuration files: {}", settings.files.join(", "));
    tracing::info!("database: {}", settings.database.url);
    match &settings.keystone {
        Some(keystone) => {
            let url = without_login(&keystone.auth_url);
            tracing::info!("Keystone: {url} as {}", user(&keystone.credentials));
        }
        None => tracing::info!("Keystone: none, because auth_strategy = noauth performs no authentication"),
    }
    let rules = &settings.policy;
    let paths = rules.policy_file.iter().chain(&rules.policy_dirs).filter(|path| path.exists());
    let paths = paths.map(|path| path.display().to_string()).collect::<Vec<_>>().join(", ");
    tracing::info!(
        enforce_scope = rules.enforce_scope,
        "policy files: {}",
        if paths.is_empty() { "none" } else { &paths }
    );
    let http = &app.http;
    tracing::info!(
        max_connections = http.connections.max,
        max_connections_per_peer = http.connections.per_peer,
        database_connections = settings.database.pool.max_open,
        open_files = server::file_limit(),
        request_timeout = http.request_timeout.as_secs(),
        max_request_body_size = http.max_body,
        max_document_bytes = http.max_document,
        max_answer_bytes = http.max_answers,
        max_limit = http.max_limit,
        "limits"
    );
}

/// Logs the engine and the revision of the tables. `store`: one with its own connections, because requests may need all others.
/// A database that does not answer is logged elsewhere.
pub(super) async fn log_database(store: &Store) {
    if let Ok(Ok(server)) = timeout(LIMIT, store.server()).await {
        let (version, revision) = (server.version, server.revision);
        tracing::info!(
            engine = server.engine,
            version,
            revision,
            "the database {} is in use",
            store.database()
        );
    }
}

/// Returns the version, and the commit of its source if it is known.
fn version() -> String {
    let version = env!("CARGO_PKG_VERSION");
    match env!("FREEZER_BUILT_FROM") {
        "" => version.to_owned(),
        commit => format!("{version} (commit {commit})"),
    }
}

/// Returns a URL without user and password.
fn without_login(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let host = authority.rsplit('@').next().unwrap_or_default();
    format!("{scheme}://{host}{path}")
}

/// Returns the user that the service logs in as.
fn user(credentials: &ServiceCredentials) -> String {
    match credentials {
        ServiceCredentials::Password(login) => {
            let user = login.username.as_ref().or(login.user_id.as_ref());
            format!("the user {}", user.map_or("-", String::as_str))
        }
        ServiceCredentials::ApplicationCredential(_) => "an application credential".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::without_login;

    #[test]
    fn a_url_is_shown_without_its_login() {
        for (url, expected) in [
            ("http://keystone:5000/v3", "http://keystone:5000/v3"),
            ("https://u:p@keystone:5000/v3", "https://keystone:5000/v3"),
            ("https://u:p@x@keystone", "https://keystone"),
            ("https://keystone/a@b", "https://keystone/a@b"),
            ("keystone", "keystone"),
        ] {
            assert_eq!(without_login(url), expected);
        }
    }
}
