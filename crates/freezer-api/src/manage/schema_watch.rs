//! [`SchemaWatch`] checks the database until its tables can be served, so that the service can start before
//! `db sync`.
//!
//! If the database does not answer, it is tried `max_retries` times every `retry_interval`, as in oslo.db. If
//! tables are missing or old, the service waits without a limit. All other errors end the start: a rejected
//! login, or a newer or foreign layout.
//!
//! After the service has served requests, no such error ends it, because a restored database may have any
//! layout for a while. The service waits again if a statement fails because of a missing table, column or
//! index, and serves when the tables match again.

use std::time::Duration;

use freezer_store::{Store, StoreError};
use tokio::time::Instant;

use super::banner;
use crate::config::DatabaseSettings;
use crate::readiness::{Readiness, Wait};
use crate::systemd::Notify;

/// Shortest and longest pause between two checks of the tables.
const PAUSES: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(10));
/// A pause is this many times longer than the check before it, so that checks cost the database little.
const PAUSE_FACTOR: u32 = 20;
/// Shortest pause between two attempts to reach the database.
const SHORTEST_RETRY: Duration = Duration::from_millis(100);
/// Maximum number of consecutive checks with an unexpected error. Tables can disappear during a check while a
/// sync changes them.
const UNEXPECTED_ERRORS: u32 = 3;

/// Checks the database and updates a [`Readiness`].
pub struct SchemaWatch<'s> {
    settings: &'s DatabaseSettings,
    store: &'s Store,
    readiness: Readiness,
    notify: Notify,
    /// The last logged state. It is only logged again if it changes.
    told: Option<String>,
    /// Pause before the next check.
    pause: Duration,
    /// Whether the database has answered once.
    answered: bool,
    /// Number of consecutive failed checks.
    failures: u32,
    /// Whether the tables have matched once.
    served: bool,
    /// Whether the engine and the revision were logged.
    described: bool,
}

/// The result of a check.
enum SchemaCheck {
    Served,
    Waits(Wait, String),
}

impl<'s> SchemaWatch<'s> {
    /// Watches the database of `store`. `readiness` must be waiting for it.
    pub fn new(
        settings: &'s DatabaseSettings,
        store: &'s Store,
        readiness: Readiness,
        notify: Notify,
    ) -> SchemaWatch<'s> {
        SchemaWatch {
            settings,
            store,
            readiness,
            notify,
            told: None,
            pause: Duration::ZERO,
            answered: false,
            failures: 0,
            served: false,
            described: false,
        }
    }

    /// Checks once, for at most `patience`.
    ///
    /// # Errors
    /// [`StoreError`] if the service cannot start.
    pub async fn check_first(&mut self, patience: Duration) -> Result<(), StoreError> {
        match tokio::time::timeout(patience, self.check()).await {
            Ok(found) => self.apply(found?),
            Err(_) => {
                let text =
                    format!("the database {} has not answered within {patience:?}", self.store.database());
                self.apply(SchemaCheck::Waits(Wait::Database, text));
                self.pause = Duration::ZERO;
            }
        }
        Ok(())
    }

    /// Checks until the tables can be served, and again each time they no longer match. It only returns with
    /// an error.
    ///
    /// # Errors
    /// [`StoreError`] if the service cannot continue to wait.
    pub async fn watch(&mut self) -> Result<(), StoreError> {
        loop {
            self.wait().await?;
            if !std::mem::replace(&mut self.described, true) {
                banner::log_database(&self.store.apart()).await;
            }
            let failed = self.store.schema_mismatch().await;
            let found = self.check().await?;
            if failed && matches!(found, SchemaCheck::Served) {
                tracing::error!(
                    "a statement failed because {} lacks a table, column or index that it names, or has columns that cannot \
                     be compared, but now all its tables fit. If this does not end, run freezer-manage db sync, and look at \
                     the tables with freezer-manage db check",
                    self.store.database()
                );
            }
            self.apply(found);
            if self.readiness.wait().is_none() {
                // If statements continue to fail, the database is checked only occasionally.
                tokio::time::sleep(self.pause).await;
            }
        }
    }

    /// Checks until the tables can be served.
    async fn wait(&mut self) -> Result<(), StoreError> {
        while self.readiness.wait().is_some() {
            tokio::time::sleep(self.pause).await;
            let found = self.check().await?;
            self.apply(found);
        }
        Ok(())
    }

    async fn check(&mut self) -> Result<SchemaCheck, StoreError> {
        let begun = Instant::now();
        // A separate connection, because information about the tables before the upgrade must not be cached,
        // and a SQLite file may be replaced.
        let store = self.store.apart();
        let found = match store.check_schema().await {
            Ok(()) => SchemaCheck::Served,
            Err(StoreError::Schema(error)) if error.needs_sync() => {
                // The tables change with every step of a sync, and so does the error's text.
                let under_way = sync_under_way(&store).await;
                SchemaCheck::Waits(Wait::Tables, under_way.unwrap_or_else(|| error.to_string()))
            }
            Err(error) => return self.failed(&store, error).await,
        };
        self.answered = true;
        self.failures = 0;
        self.pause = (begun.elapsed() * PAUSE_FACTOR).clamp(PAUSES.0, PAUSES.1);
        Ok(found)
    }

    /// Handles a failed check. Returns the error if another check would not help.
    async fn failed(&mut self, store: &Store, error: StoreError) -> Result<SchemaCheck, StoreError> {
        self.failures += 1;
        let tries = self.settings.start_retries;
        let (wait, most) = match &error {
            StoreError::Unavailable { .. } => (Wait::Database, tries),
            // The database is dropped and created again, to restore a backup.
            StoreError::Refused { .. } | StoreError::Setting { .. } if self.answered => {
                (Wait::Database, tries)
            }
            StoreError::Backend { .. } if self.answered || sync_under_way(store).await.is_some() => {
                (Wait::Tables, Some(UNEXPECTED_ERRORS))
            }
            _ if self.served => (Wait::Tables, None),
            _ => return Err(error),
        };
        if !self.served && most.is_some_and(|most| self.failures > most) {
            return Err(error);
        }
        self.pause = match wait {
            Wait::Database => self.settings.start_retry_interval.max(SHORTEST_RETRY),
            Wait::Tables => PAUSES.0,
        };
        Ok(SchemaCheck::Waits(wait, format!("{error}; trying again every {:?}", self.pause)))
    }

    fn apply(&mut self, found: SchemaCheck) {
        let first = self.told.is_none() && !self.served;
        let (wait, text) = match found {
            SchemaCheck::Served => {
                if self.readiness.wait().is_some() {
                    self.store.reset_schema_mismatch();
                }
                self.served = true;
                (None, None)
            }
            SchemaCheck::Waits(wait, text) => (Some(wait), Some(text)),
        };
        self.readiness.set(wait);
        match (&text, &self.told) {
            (Some(text), told) if told.as_ref() != Some(text) => {
                tracing::warn!("requests are answered with 503 until the database is ready: {text}");
                self.notify.status(&format!("Waiting: {text}"));
            }
            (None, Some(_)) => {
                tracing::info!("the tables of {} are ready: requests are served", self.store.database());
                self.notify.status("Serving");
            }
            (None, None) if first => self.notify.status("Serving"),
            _ => {}
        }
        self.told = text;
    }
}

async fn sync_under_way(store: &Store) -> Option<String> {
    let holder = store.sync_under_way().await.ok()??;
    Some(format!("db sync ({holder}) is at work on the database {}", store.database()))
}
