//! `freezer-manage config check --connect`: connects to the database and Keystone like the service.

use std::time::Duration;

use freezer_store::maintenance::Verdict;
use freezer_store::migrations::Dependents;
use freezer_store::{DatabaseUrl, Store, StoreError};

use super::{logins, prepare};
use crate::config::{Finding, Settings};

/// Time limit for the answer of each server.
const LIMIT: Duration = Duration::from_secs(20);

/// Checks the database and Keystone. Returns the results.
pub async fn findings(settings: &Settings) -> Vec<Finding> {
    let store = settings.database.store(false);
    let (mut found, keystone) = tokio::join!(
        async {
            let mut found = vec![database(settings, &store).await];
            found.extend(cluster(settings, &store).await);
            found.extend(dependents(settings, &store).await);
            found
        },
        keystone(settings)
    );
    found.extend(keystone);
    found
}

/// Describes the statements that wait for the other nodes of a Galera cluster. Returns `None` if the server
/// is not in a cluster or does not answer.
async fn cluster(settings: &Settings, store: &Store) -> Option<Finding> {
    let node = tokio::time::timeout(LIMIT, store.cluster_node()).await.ok()?.ok()??;
    let url = &settings.database.url;
    let message = format!(
        "the database {url} is the node {} of a Galera cluster, with wsrep_sync_wait = {}",
        node.name, node.sync_wait
    );
    Some(match node.sees_earlier_writes() {
        true => note("database", message),
        false => Finding {
            verdict: Verdict::Warning,
            ..note(
                "database",
                format!(
                    "{message}: if requests reach several nodes, a node can answer 404 for a document that was stored through another \
                     node; remove mysql_wsrep_sync_wait from [database], or set it to 3"
                ),
            )
        },
    })
}

/// Describes what uses columns that an upgrade drops, or has dropped. Returns `None` if the database does not answer.
async fn dependents(settings: &Settings, store: &Store) -> Option<Finding> {
    let Dependents { blocking, views, broken } =
        tokio::time::timeout(LIMIT, store.dependents()).await.ok()?.ok()?;
    let url = &settings.database.url;
    let (verdict, message) = if !broken.is_empty() {
        let found = broken.join("; ");
        let message = format!(
            "the database {url} rejects new rows, because triggers use columns that do not exist; drop or change them: {found}"
        );
        (Verdict::Failure, message)
    } else if blocking.is_empty() && views.is_empty() {
        return None;
    } else {
        let found = blocking.into_iter().chain(views).collect::<Vec<_>>().join("; ");
        let message = format!(
            "db sync will drop columns of the database {url} that are in use; drop or change: {found}"
        );
        (Verdict::Warning, message)
    };
    Some(Finding { verdict, ..note("database", message) })
}

async fn database(settings: &Settings, store: &Store) -> Finding {
    let url = &settings.database.url;
    match tokio::time::timeout(LIMIT, store.check_schema()).await {
        Err(_) => failure("database", format!("the database {url} did not answer within {LIMIT:?}")),
        Ok(Ok(())) => changes(store, url).await,
        // The service starts and waits for the tables.
        Ok(Err(StoreError::Schema(error))) if error.needs_sync() => {
            Finding { verdict: Verdict::Warning, ..note("database", error.to_string()) }
        }
        Ok(Err(error)) => failure("database", error.to_string()),
    }
}

/// Returns whether the user of the database may change rows.
async fn changes(store: &Store, url: &DatabaseUrl) -> Finding {
    match tokio::time::timeout(LIMIT, store.refused_changes()).await {
        Err(_) => failure("database", format!("the database {url} did not answer within {LIMIT:?}")),
        Ok(Err(error)) => failure("database", error.to_string()),
        Ok(Ok(refused)) if refused.is_empty() => {
            note("database", format!("the database {url} answers, and its tables can be served and changed"))
        }
        Ok(Ok(refused)) => failure(
            "database",
            format!(
                "the database {url} rejects changes; grant its user SELECT, INSERT, UPDATE and DELETE: {}",
                refused.join("; ")
            ),
        ),
    }
}

async fn keystone(settings: &Settings) -> Vec<Finding> {
    let mut found = Vec::new();
    for (group, login) in settings.logins() {
        found.push(log_in(&logins::section(group), login).await);
    }
    found
}

async fn log_in(group: &str, login: &keystone_auth::Settings) -> Finding {
    let client = match prepare::client(login) {
        Ok(client) => client,
        Err(error) => return failure("keystone", format!("{group}: {error}")),
    };
    let url = &login.auth_url;
    match tokio::time::timeout(LIMIT, client.try_login()).await {
        Err(_) => failure("keystone", format!("{group}: Keystone at {url} did not answer within {LIMIT:?}")),
        Ok(Ok(user)) => note(
            "keystone",
            format!("{group}: logged in at {url} as the user {user}, who may validate tokens"),
        ),
        Ok(Err(error)) => failure("keystone", format!("{group}: {url}: {error}")),
    }
}

fn failure(kind: &'static str, message: String) -> Finding {
    Finding { verdict: Verdict::Failure, kind, place: None, message }
}

fn note(kind: &'static str, message: String) -> Finding {
    Finding { verdict: Verdict::Success, kind, place: None, message }
}
