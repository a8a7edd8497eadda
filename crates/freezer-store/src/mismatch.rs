//! [`SchemaMismatch`] reports that the tables no longer match, so that the service checks them again.
//!
//! A running service does not check its tables for every request, because this would be expensive. If the
//! database is restored, statements fail (`tx.rs`), and the failure is reported here.

use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::FutureExt;
use tokio::sync::Notify;

use crate::Store;
use crate::error::StoreError;

/// Whether statements failed because tables, columns or indexes are missing.
#[derive(Debug, Default)]
pub(crate) struct SchemaMismatch {
    changed: Notify,
    /// Whether a statement also failed when it was run again.
    failed: AtomicBool,
}

impl SchemaMismatch {
    /// Reports that a statement failed again.
    pub(crate) fn report(&self) {
        self.failed.store(true, Ordering::Relaxed);
        self.changed.notify_one();
    }
}

impl Store {
    /// Waits until a statement fails because a table, column or index is missing. Returns whether a statement
    /// also failed without naming additions.
    pub async fn schema_mismatch(&self) -> bool {
        self.mismatch.changed.notified().await;
        self.mismatch.failed.swap(false, Ordering::Relaxed)
    }

    /// Starts again with tables that match: resets open connections, the known additions and the mismatch.
    pub fn reset_schema_mismatch(&self) {
        self.forget();
        self.mismatch.changed.notified().now_or_never();
        self.mismatch.failed.store(false, Ordering::Relaxed);
    }

    /// Returns whether additions were known to exist.
    fn forget(&self) -> bool {
        // One pool or two, depending on the engine.
        self.readers.forget();
        self.writers.forget();
        self.reader_additions.forget() | self.writer_additions.forget()
    }

    /// Handles a statement that failed because the database was replaced.
    pub(crate) fn replaced(&self, error: &StoreError) {
        if self.forget() {
            // An older dump may differ in other tables, too.
            self.mismatch.changed.notify_one();
            if error.is_of_collations() {
                tracing::warn!(
                    "the tables of {} have columns with collations that the server cannot compare ({error}), as after a \
                     restore of some tables. Convert them with: freezer-manage db sync",
                    self.database
                );
                return;
            }
            tracing::warn!(
                "the tables of {} have changed ({error}); the service continues without the missing additions. If a \
                 dump was loaded, run freezer-manage db sync",
                self.database
            );
        }
    }
}
