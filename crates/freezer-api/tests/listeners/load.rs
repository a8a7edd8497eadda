//! Clients that send requests over TLS until they are stopped.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio_rustls::rustls::ClientConfig;

use crate::client::Client;

pub struct Load {
    stop: Arc<AtomicBool>,
    done: Arc<AtomicUsize>,
    clients: Vec<JoinHandle<Vec<String>>>,
}

impl Load {
    /// Starts clients, half of which keep their connections.
    pub fn start(address: SocketAddr, config: &Arc<ClientConfig>, clients: usize) -> Load {
        let (stop, done) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let client = |number: usize| {
            let (stop, done, config) = (stop.clone(), done.clone(), config.clone());
            std::thread::spawn(move || {
                let mut failures = Vec::new();
                let mut kept: Option<Client> = None;
                while !stop.load(Ordering::Relaxed) {
                    match ask(address, &config, kept.take()) {
                        Ok(client) => kept = client.filter(|_| number % 2 == 1),
                        Err(error) => failures.push(error),
                    }
                    done.fetch_add(1, Ordering::Relaxed);
                }
                failures
            })
        };
        let clients = (0..clients).map(client).collect();
        Load { stop, done, clients }
    }

    pub fn wait_for(&self, more: usize) {
        let wanted = self.done.load(Ordering::Relaxed) + more;
        let deadline = Instant::now() + Duration::from_secs(90);
        while self.done.load(Ordering::Relaxed) < wanted {
            assert!(Instant::now() < deadline, "the load stands still");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Stops the clients. Returns the number of requests. None may have failed.
    pub fn end(self) -> usize {
        self.stop.store(true, Ordering::Relaxed);
        let failures: Vec<String> =
            self.clients.into_iter().flat_map(|client| client.join().unwrap()).collect();
        assert!(failures.is_empty(), "{} failures: {:?}", failures.len(), failures.first());
        self.done.load(Ordering::Relaxed)
    }
}

/// Sends a request. Returns the connection, unless the service ends it with this answer.
fn ask(
    address: SocketAddr,
    config: &Arc<ClientConfig>,
    kept: Option<Client>,
) -> Result<Option<Client>, String> {
    let mut client = match kept {
        Some(client) => client,
        None => Client::connect(address, config).map_err(|error| format!("connect: {error}"))?,
    };
    let answer = client.request("GET", "/v2/p1/jobs", "").map_err(|error| format!("request: {error}"))?;
    match answer.status {
        200 => Ok(Some(client).filter(|_| !answer.head.contains("connection: close"))),
        _ => Err(format!("{answer:?}")),
    }
}
