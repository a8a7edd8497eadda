//! [`Readiness`]: whether requests can be served, or the condition that the service waits for.
//! `manage/serve.rs` changes it, and `api` uses it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};

/// A condition that a started service can wait for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wait {
    /// The database does not answer.
    Database,
    /// The tables are missing or old: `db sync` has not run, or is running.
    Tables,
}

const READY: u8 = 0;
const DATABASE: u8 = 1;
const TABLES: u8 = 2;

/// Whether requests can be served. Clones share the state. The default is ready.
#[derive(Debug, Clone, Default)]
pub struct Readiness {
    state: Arc<AtomicU8>,
    draining: Arc<AtomicBool>,
}

impl Readiness {
    /// Returns the state of a waiting service.
    pub fn waiting(wait: Wait) -> Readiness {
        let readiness = Readiness::default();
        readiness.set(Some(wait));
        readiness
    }

    /// Sets the condition that the service waits for. `None`: requests are served.
    pub fn set(&self, wait: Option<Wait>) {
        let state = match wait {
            None => READY,
            Some(Wait::Database) => DATABASE,
            Some(Wait::Tables) => TABLES,
        };
        self.state.store(state, Ordering::Release);
    }

    /// Returns the condition that the service waits for. `None`: requests are served.
    pub fn wait(&self) -> Option<Wait> {
        match self.state.load(Ordering::Acquire) {
            READY => None,
            DATABASE => Some(Wait::Database),
            _ => Some(Wait::Tables),
        }
    }

    /// Records that the service will stop soon. Requests are still served.
    pub fn drain(&self) {
        self.draining.store(true, Ordering::Release);
    }

    /// Returns whether the service will stop soon.
    pub fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Acquire)
    }
}
