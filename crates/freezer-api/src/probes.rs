//! [`Probes`]: the checks of `GET /readyz`, which tell balancers and orchestrators whether this process can serve requests.
//! `api/probes.rs` answers requests.
//!
//! The checks that call the database and Keystone are cached for a second, however many probes arrive. Reasons are for every
//! caller, so they name no addresses. The log has the details.

use std::time::Duration;

use freezer_store::query::clients;
use freezer_store::{Deadline, Outage, Scope, Store, StoreError, read};
use keystone_auth::KeystoneClient;
use serde::Serialize;
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};

use crate::app::App;
use crate::auth::Authenticator;
use crate::readiness::Wait;

/// How long the results of the checks are used.
const CACHED: Duration = Duration::from_secs(1);
/// Time limit of a check.
const LIMIT: Duration = Duration::from_secs(2);
/// The reason of a successful check.
const OK: &str = "OK";

/// The result of a check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ProbeCheck {
    /// `serving`, `healthcheck`, `tables`, `database` or `keystone`.
    pub name: &'static str,
    /// Whether it succeeded.
    pub ok: bool,
    /// `OK`, or the reason of the failure.
    pub reason: String,
}

/// The results of all checks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ProbeReport {
    /// `ready` or `not ready`.
    pub status: &'static str,
    /// The checks.
    pub checks: Vec<ProbeCheck>,
}

/// The checks of `GET /readyz`.
#[derive(Debug, Default)]
pub struct Probes {
    /// The results of the checks that call others. The lock is held during the checks, so they run only once at a time.
    called: Mutex<Option<(Instant, Vec<ProbeCheck>)>>,
    /// The last logged failures.
    told: std::sync::Mutex<Option<String>>,
}

impl ProbeCheck {
    fn new(name: &'static str, result: Result<(), String>) -> ProbeCheck {
        match result {
            Ok(()) => ProbeCheck { name, ok: true, reason: OK.to_owned() },
            Err(reason) => ProbeCheck { name, ok: false, reason },
        }
    }
}

impl ProbeReport {
    fn new(checks: Vec<ProbeCheck>) -> ProbeReport {
        let is_ready = checks.iter().all(|check| check.ok);
        ProbeReport { status: if is_ready { "ready" } else { "not ready" }, checks }
    }

    /// Returns whether all checks succeeded.
    pub fn is_ready(&self) -> bool {
        self.checks.iter().all(|check| check.ok)
    }

    /// Returns the failed checks with their reasons.
    fn failures(&self) -> String {
        let failed = self.checks.iter().filter(|check| !check.ok);
        failed.map(|check| format!("{}: {}", check.name, check.reason)).collect::<Vec<_>>().join("; ")
    }
}

impl Probes {
    /// Returns whether the service is ready, with the reasons. While it waits for its tables, only this is checked.
    pub async fn ready(&self, app: &App) -> ProbeReport {
        let mut checks = own_checks(app);
        if app.readiness.wait().is_none() {
            checks.extend(self.called(app).await);
        }
        let report = ProbeReport::new(checks);
        self.log(&report);
        report
    }

    async fn called(&self, app: &App) -> Vec<ProbeCheck> {
        let mut called = self.called.lock().await;
        if let Some((at, checks)) = &*called
            && at.elapsed() < CACHED
        {
            return checks.clone();
        }
        let keystone = async {
            match &app.authenticator {
                Authenticator::Keystone(client) => Some(keystone(client).await),
                Authenticator::NoAuth(_) => None,
            }
        };
        let (database, keystone) = tokio::join!(database(&app.store), keystone);
        let checks: Vec<ProbeCheck> = std::iter::once(database).chain(keystone).collect();
        *called = Some((Instant::now(), checks.clone()));
        checks
    }

    /// Logs the failures when they change.
    fn log(&self, report: &ProbeReport) {
        let failures = Some(report.failures()).filter(|text| !text.is_empty());
        let mut told = self.told.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if *told == failures {
            return;
        }
        match &failures {
            Some(failures) => tracing::warn!("/readyz answers 503: {failures}"),
            None => tracing::info!("/readyz answers 200 again"),
        }
        *told = failures;
    }
}

/// Returns the checks that call no other server.
fn own_checks(app: &App) -> Vec<ProbeCheck> {
    let serving = match app.readiness.is_draining() {
        true => Err("the service is about to stop".to_owned()),
        false => Ok(()),
    };
    let tables = match app.readiness.wait() {
        None => Ok(()),
        Some(Wait::Database) => Err("the service waits for its database".to_owned()),
        Some(Wait::Tables) => {
            Err("the tables are missing, old or being upgraded: freezer-manage db sync".to_owned())
        }
    };
    let failed = app.http.health.run().into_iter().find(|result| !result.healthy);
    let healthcheck = failed.map_or(Ok(()), |result| Err(result.reason.to_owned()));
    vec![
        ProbeCheck::new("serving", serving),
        ProbeCheck::new("healthcheck", healthcheck),
        ProbeCheck::new("tables", tables),
    ]
}

/// Reads a row that does not exist. If all connections are in use, the database works and the process must keep its
/// share of the requests, so this is no failure.
async fn database(store: &Store) -> ProbeCheck {
    let store = store.until(Deadline::after(LIMIT));
    let scope = Scope::project("");
    let found: Result<_, StoreError> = read!(store, "probe.read", |db| clients::get(db, &scope, "").await);
    let result = match found {
        Ok(_) | Err(StoreError::Unavailable { outage: Outage::Busy, .. }) => Ok(()),
        Err(StoreError::Unavailable { outage, .. }) => Err(outage.to_string()),
        Err(_) => Err("the tables cannot be read".to_owned()),
    };
    ProbeCheck::new("database", result)
}

/// Logs in at Keystone as the service, unless it has a token, and validates this token.
async fn keystone(client: &KeystoneClient) -> ProbeCheck {
    let result = match timeout(LIMIT, client.within(LIMIT).try_login()).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(_)) if !client.is_unavailable() => {
            Err("Keystone does not accept the login of the service".to_owned())
        }
        _ => Err("Keystone is not available".to_owned()),
    };
    ProbeCheck::new("keystone", result)
}
