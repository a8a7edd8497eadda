//! The service on real sockets: answers must arrive even if the client sends unusual bytes, slow requests must end, and
//! a shutdown must not be delayed.
//!
//! The service runs in the process of the test with special limits. The clients are plain sockets, which can send a
//! request byte by byte.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test stops at the first surprise")]

#[path = "../support/mod.rs"]
mod support;

mod answers;
mod client;
mod deadlines;
mod many_connections;
mod messages;
mod smuggling;
mod stop;

use std::net::{SocketAddr, TcpListener};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use freezer_api::app::HttpSettings;
use freezer_api::config::{AuthStrategy, Listen};
use freezer_api::server;
use support::{Engine, TestApp, bounded, with_database};
use tokio::runtime::Runtime;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

static PORTS: AtomicU32 = AtomicU32::new(0);

/// The running service.
struct Served<'a> {
    runtime: &'a Runtime,
    app: TestApp,
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    server: JoinHandle<()>,
}

impl Served<'_> {
    /// Stops the service. Returns the duration of the shutdown.
    fn stop(self) -> Duration {
        let began = Instant::now();
        let _ = self.stop.send(());
        self.runtime.block_on(bounded(self.server)).unwrap();
        began.elapsed()
    }
}

impl Served<'_> {
    /// Blocks all writes of the service until the returned function is called. It must be called soon because SQLite
    /// waits for a lock for five seconds.
    fn hold_writes(&self) -> impl FnOnce() + use<> {
        let database = self.app.database().clone();
        let lock = self.runtime.block_on(bounded(database.lock()));
        let runtime = self.runtime.handle().clone();
        move || runtime.block_on(bounded(lock.release()))
    }
}

/// Runs a test against a service with changed settings, on a free port below 32768.
fn served(name: &str, change: impl FnOnce(&mut HttpSettings), body: impl FnOnce(Served<'_>)) {
    with_database(Engine::Sqlite, name, |runtime, database| {
        let app = runtime.block_on(bounded(TestApp::start(database, support::Options::default())));
        let app = app.with_http(change);
        let listener = runtime.block_on(bounded(listen()));
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel();
        let server = runtime.spawn(server::serve(listener, app.app().clone(), async {
            let _ = stopped.await;
        }));
        body(Served { runtime, app, address, stop, server });
    });
}

async fn listen() -> server::Listener {
    for _ in 0..100 {
        let number = std::process::id().wrapping_mul(7).wrapping_add(PORTS.fetch_add(1, Ordering::Relaxed));
        let port = 20_000 + u16::try_from(number % 12_000).unwrap();
        if TcpListener::bind(("127.0.0.1", port)).is_ok()
            && let Ok(listener) = server::listen(&Listen::on("127.0.0.1", port), AuthStrategy::NoAuth).await
        {
            return listener;
        }
    }
    panic!("no port was free");
}
