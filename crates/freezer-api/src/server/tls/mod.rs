//! TLS of the TCP sockets (`[ssl]`): the certificate in use, and its replacement while the service runs.
//!
//! `files.rs` reads and checks the files, `handshake.rs` runs a handshake within its time limit, `client_certificate.rs`
//! verifies clients, and `refused.rs` logs failed handshakes.

mod client_certificate;
mod files;
mod handshake;
mod pem;
mod refused;

use std::fmt;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio_rustls::rustls::ServerConfig;

pub use self::files::TlsFileError;
pub(super) use self::handshake::handshake;

use self::refused::RefusedHandshakes;
use crate::config::SslSettings;

/// TLS with the files of `[ssl]`.
pub struct ServerTls {
    settings: SslSettings,
    state: Mutex<TlsState>,
    refused: RefusedHandshakes,
}

struct TlsState {
    config: Arc<ServerConfig>,
    /// The files when they were read.
    read: FileStamps,
    /// The files at the last check.
    seen: FileStamps,
}

/// Device, inode, size and time of the last change of each file. `None`: the file does not exist.
type FileStamps = Vec<Option<(u64, u64, u64, i64, i64)>>;

impl fmt::Debug for ServerTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerTls").field("settings", &self.settings).finish_non_exhaustive()
    }
}

impl ServerTls {
    /// Reads the files. Returns the problems that do not prevent the start, too.
    ///
    /// # Errors
    /// [`TlsFileError`] names the unusable file.
    pub fn new(settings: &SslSettings) -> Result<(ServerTls, Vec<String>), TlsFileError> {
        let stamp = stamp(settings);
        let (config, warnings) = files::read(settings)?;
        let state = TlsState { config: Arc::new(config), read: stamp.clone(), seen: stamp };
        let tls = ServerTls {
            settings: settings.clone(),
            state: Mutex::new(state),
            refused: RefusedHandshakes::default(),
        };
        Ok((tls, warnings))
    }

    fn state(&self) -> MutexGuard<'_, TlsState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the present certificate and its settings for a new connection.
    fn config(&self) -> Arc<ServerConfig> {
        self.state().config.clone()
    }

    /// Reads the files again. Open connections keep the certificate of their handshake. If a file is not usable, the former
    /// certificates stay in use.
    pub fn reload(&self) {
        let stamp = stamp(&self.settings);
        let read = files::read(&self.settings);
        let mut state = self.state();
        state.read.clone_from(&stamp);
        state.seen = stamp;
        match read {
            Ok((config, warnings)) => {
                state.config = Arc::new(config);
                drop(state);
                tracing::info!("the certificates of [ssl] were read again, and new connections use them");
                for warning in warnings {
                    tracing::warn!("{warning}");
                }
            }
            Err(error) => {
                drop(state);
                tracing::error!(
                    "the certificates of [ssl] were not replaced, the former ones stay in use: {error}"
                );
            }
        }
    }

    /// Does the same as [`ServerTls::reload`] if a file has changed, and has then stayed the same from one call to the next. So a key
    /// that is written a moment after its certificate causes no error.
    pub fn reload_if_changed(&self) {
        let now = stamp(&self.settings);
        let mut state = self.state();
        let has_changed = now != state.read && now == state.seen;
        state.seen = now;
        drop(state);
        if has_changed {
            self.reload();
        }
    }
}

fn stamp(settings: &SslSettings) -> FileStamps {
    settings.files().map(|(_, path)| stamp_of(path)).collect()
}

fn stamp_of(path: &Path) -> Option<(u64, u64, u64, i64, i64)> {
    let found = fs::metadata(path).ok()?;
    Some((found.dev(), found.ino(), found.size(), found.mtime(), found.mtime_nsec()))
}
