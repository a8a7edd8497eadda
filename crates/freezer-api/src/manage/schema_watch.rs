//! [`SchemaWatch`]: looks at the database until its tables can be served, so that the service can start before `db sync`.
//!
//! A database that does not answer is tried `max_retries` times every `retry_interval`, as by oslo.db. Tables that are
//! missing or old are waited for without an end. Everything else ends the start: a refused login, a newer or foreign
//! layout.
//!
//! Once the service has served, nothing ends it: a restored database may have any layout for a while. It waits again when
//! a statement fails because the tables lack what it names, and serves when they fit again.

use std::time::Duration;

use freezer_store::{Store, StoreError};
use tokio::time::Instant;

use crate::config::DatabaseSettings;
use crate::readiness::{Readiness, Wait};
use crate::systemd::Notify;

/// Shortest and longest pause between two looks at the tables.
const PAUSES: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(10));
/// A pause is so many times longer than the look before it, so that looking costs the database little.
const PAUSE_FACTOR: u32 = 20;
/// Shortest pause between two tries to reach the database.
const SHORTEST_RETRY: Duration = Duration::from_millis(100);
/// How many looks in a row may fail with an odd error: tables that a sync is changing can disappear during a look.
const ODD_LOOKS: u32 = 3;

/// Looks at the database and keeps a [`Readiness`] up to date.
pub struct SchemaWatch<'s> {
    settings: &'s DatabaseSettings,
    store: &'s Store,
    readiness: Readiness,
    notify: Notify,
    /// What was logged last: it is logged again only when it changes.
    told: Option<String>,
    /// Pause before the next look.
    pause: Duration,
    /// The database has answered once.
    answered: bool,
    /// Looks in a row that failed.
    failures: u32,
    /// The tables have fitted once.
    served: bool,
}

/// What a look found.
enum Found {
    Served,
    Waits(Wait, String),
}

impl<'s> SchemaWatch<'s> {
    /// Watches the database of `store`, for which `readiness` must be waiting.
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
        }
    }

    /// Looks once, for at most `patience`.
    ///
    /// # Errors
    /// [`StoreError`] if the service cannot start.
    pub async fn look_first(&mut self, patience: Duration) -> Result<(), StoreError> {
        match tokio::time::timeout(patience, self.look()).await {
            Ok(found) => self.take(found?),
            Err(_) => {
                let text =
                    format!("the database {} has not answered within {patience:?}", self.store.database());
                self.take(Found::Waits(Wait::Database, text));
                self.pause = Duration::ZERO;
            }
        }
        Ok(())
    }

    /// Looks until the tables can be served, and again each time they are lost. Does not return without an error.
    ///
    /// # Errors
    /// [`StoreError`] if the service cannot go on waiting.
    pub async fn watch(&mut self) -> Result<(), StoreError> {
        loop {
            self.wait().await?;
            let failed = self.store.schema_mismatch().await;
            let found = self.look().await?;
            if failed && matches!(found, Found::Served) {
                tracing::error!(
                    "a statement failed because {} lacks a table, column or index that it names, but now has all tables \
                     that this release needs. If this does not end, look at the tables with freezer-manage db check",
                    self.store.database()
                );
            }
            self.take(found);
            if self.readiness.wait().is_none() {
                // statements that go on failing cost the database a look now and then
                tokio::time::sleep(self.pause).await;
            }
        }
    }

    /// Looks until the tables can be served.
    async fn wait(&mut self) -> Result<(), StoreError> {
        while self.readiness.wait().is_some() {
            tokio::time::sleep(self.pause).await;
            let found = self.look().await?;
            self.take(found);
        }
        Ok(())
    }

    async fn look(&mut self) -> Result<Found, StoreError> {
        let begun = Instant::now();
        // connections of its own: what is found out about the tables before they are at head must not be remembered,
        // and a SQLite file may be replaced
        let store = self.store.apart();
        let found = match store.check_schema().await {
            Ok(()) => Found::Served,
            Err(StoreError::Schema(error)) if error.needs_sync() => {
                // the tables change with every step of a sync, and the error's text with them
                let under_way = sync_under_way(&store).await;
                Found::Waits(Wait::Tables, under_way.unwrap_or_else(|| error.to_string()))
            }
            Err(error) => return self.failed(&store, error).await,
        };
        self.answered = true;
        self.failures = 0;
        self.pause = (begun.elapsed() * PAUSE_FACTOR).clamp(PAUSES.0, PAUSES.1);
        Ok(found)
    }

    /// A look that failed: gives the error back if another look would not help.
    async fn failed(&mut self, store: &Store, error: StoreError) -> Result<Found, StoreError> {
        self.failures += 1;
        let tries = self.settings.start_retries;
        let (wait, most) = match &error {
            StoreError::Unavailable { .. } => (Wait::Database, tries),
            // the database is dropped and made again, to restore a backup
            StoreError::Refused { .. } if self.answered => (Wait::Database, tries),
            StoreError::Backend { .. } if self.answered || sync_under_way(store).await.is_some() => {
                (Wait::Tables, Some(ODD_LOOKS))
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
        Ok(Found::Waits(wait, format!("{error}; trying again every {:?}", self.pause)))
    }

    fn take(&mut self, found: Found) {
        let (wait, text) = match found {
            Found::Served => {
                if self.readiness.wait().is_some() {
                    self.store.reset_schema_mismatch();
                }
                self.served = true;
                (None, None)
            }
            Found::Waits(wait, text) => (Some(wait), Some(text)),
        };
        self.readiness.set(wait);
        match (&text, &self.told) {
            (Some(text), told) if told.as_ref() != Some(text) => {
                tracing::warn!("requests are answered with 503 for now: {text}");
                self.notify.status(&format!("Waiting: {text}"));
            }
            (None, Some(_)) => {
                tracing::info!("the tables of {} are ready: requests are served", self.store.database());
                self.notify.status("Serving");
            }
            _ => {}
        }
        self.told = text;
    }
}

async fn sync_under_way(store: &Store) -> Option<String> {
    let holder = store.sync_under_way().await.ok()??;
    Some(format!("db sync ({holder}) is at work on the database {}", store.database()))
}
