//! [`Lost`]: tells the service that the tables no longer fit, so that it looks at them again.
//!
//! A running service does not look at its tables, because that would cost every request. It learns of a restored database
//! from statements that fail (`tx.rs`).

use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::FutureExt;
use tokio::sync::Notify;

use crate::Store;
use crate::error::StoreError;

/// Whether statements failed because the database lacks what they name.
#[derive(Debug, Default)]
pub(crate) struct Lost {
    changed: Notify,
    /// A statement failed also when it was run again.
    failed: AtomicBool,
}

impl Lost {
    /// Tells that a statement failed also when it was run again.
    pub(crate) fn tell(&self) {
        self.failed.store(true, Ordering::Relaxed);
        self.changed.notify_one();
    }
}

impl Store {
    /// Waits until a statement fails because the database lacks what it names. Returns whether one failed also without
    /// naming additions.
    pub async fn tables_lost(&self) -> bool {
        self.lost.changed.notified().await;
        self.lost.failed.swap(false, Ordering::Relaxed)
    }

    /// Begins anew with tables that fit again: forgets open connections, what is known of the tables, and that they were
    /// lost.
    pub fn tables_found(&self) {
        self.forget();
        self.lost.changed.notified().now_or_never();
        self.lost.failed.store(false, Ordering::Relaxed);
    }

    /// Returns whether additions were known to be there.
    fn forget(&self) -> bool {
        // one pool or two, by engine
        self.readers.forget() | self.writers.forget()
    }

    /// Notices that the database was replaced.
    pub(crate) fn replaced(&self, error: &StoreError) {
        if self.forget() {
            // an older dump may have other tables as well
            self.lost.changed.notify_one();
            tracing::warn!(
                "the tables of {} have changed ({error}); the service goes on without additions that they lack. If a \
                 dump was loaded, run freezer-manage db sync",
                self.database
            );
        }
    }
}
