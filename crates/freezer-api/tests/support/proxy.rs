//! A network between the service and MariaDB that a test can break: [`Proxy`].
//!
//! It forwards bytes. It only knows the part of the protocol that it needs to lose the answer to one kind of command.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use freezer_store::{DatabaseUrl, MySqlUrl};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// How an answer is lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Loss {
    /// The connection is closed instead.
    Closed,
    /// No more bytes arrive, but the connection stays open.
    Silent,
}

/// A command whose next answer is lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Command {
    /// COMMIT.
    Commit,
    /// A prepared statement.
    Execute,
}

impl Command {
    fn is(self, packet: &[u8]) -> bool {
        match self {
            Command::Commit => packet.get(4..) == Some(b"\x03COMMIT"),
            Command::Execute => packet.get(4) == Some(&0x17),
        }
    }
}

/// Chooses a packet.
pub type Choice = fn(&[u8]) -> bool;

/// A listener that forwards to a server.
#[derive(Clone)]
pub struct Proxy {
    address: SocketAddr,
    parts: Arc<Parts>,
}

#[derive(Default)]
struct Parts {
    /// The answer to lose next.
    armed: Mutex<Option<(Command, Loss)>>,
    lost: AtomicUsize,
    /// The packet to hold back next.
    chosen: Mutex<Option<Choice>>,
    held: AtomicUsize,
    delivered: AtomicUsize,
    /// How many held packets may go on.
    may_go: watch::Sender<usize>,
    /// Number of opened connections.
    opened: AtomicUsize,
    /// Whether connections are closed.
    is_down: watch::Sender<bool>,
}

impl Proxy {
    /// Starts a proxy to the server of a URL. It runs until the runtime ends.
    pub async fn start(url: &MySqlUrl) -> Proxy {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
        let proxy = Proxy { address: listener.local_addr().expect("an address"), parts: Arc::default() };
        let (parts, server) = (proxy.parts.clone(), (url.host.clone(), url.port));
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                parts.opened.fetch_add(1, Ordering::SeqCst);
                let (parts, server) = (parts.clone(), server.clone());
                tokio::spawn(async move {
                    let mut is_down = parts.is_down.subscribe();
                    let forwarding = async {
                        if let Ok(server) = TcpStream::connect(server).await {
                            forward(client, server, &parts).await;
                        }
                    };
                    tokio::select! {
                        biased;
                        _ = is_down.wait_for(|is_down| *is_down) => {}
                        () = forwarding => {}
                    }
                });
            }
        });
        proxy
    }

    /// Returns the URL of a database with the address of the proxy.
    pub fn url(&self, url: &MySqlUrl) -> DatabaseUrl {
        let (host, port) = (self.address.ip().to_string(), self.address.port());
        DatabaseUrl::MySql(MySqlUrl { host, port, ..url.clone() })
    }

    /// Loses the next answer to a command.
    pub fn lose(&self, command: Command, loss: Loss) {
        *self.parts.armed.lock().expect("a lock") = Some((command, loss));
    }

    /// Holds the next chosen packet back. The server gets it at [`Proxy::deliver`], even if its client has disconnected.
    pub fn hold(&self, choice: Choice) {
        *self.parts.chosen.lock().expect("a lock") = Some(choice);
    }

    /// Returns the number of packets that were held back.
    pub fn held(&self) -> usize {
        self.parts.held.load(Ordering::SeqCst)
    }

    /// Delivers all packets that were held back, and waits until the server has answered them.
    pub async fn deliver(&self) {
        self.parts.may_go.send_replace(self.held());
        while self.parts.delivered.load(Ordering::SeqCst) < self.held() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Closes all connections, and new ones at once, or accepts them again.
    pub fn set_down(&self, is_down: bool) {
        self.parts.is_down.send_replace(is_down);
    }

    /// Returns the number of opened connections.
    pub fn opened(&self) -> usize {
        self.parts.opened.load(Ordering::SeqCst)
    }

    /// Returns the number of lost answers.
    pub fn lost(&self) -> usize {
        self.parts.lost.load(Ordering::SeqCst)
    }
}

impl Parts {
    /// Returns whether and how the answer to a packet is lost.
    fn loss_of(&self, packet: &[u8]) -> Option<Loss> {
        let mut armed = self.armed.lock().expect("a lock");
        let (_, loss) = armed.filter(|(command, _)| command.is(packet))?;
        *armed = None;
        self.lost.fetch_add(1, Ordering::SeqCst);
        Some(loss)
    }

    /// Returns whether a packet is held back.
    fn is_chosen(&self, packet: &[u8]) -> bool {
        let mut chosen = self.chosen.lock().expect("a lock");
        chosen.take_if(|choice| choice(packet)).is_some()
    }

    /// Sends a packet to the server when it may go.
    async fn deliver(&self, packet: &[u8], mut server: TcpStream) {
        let number = self.held.fetch_add(1, Ordering::SeqCst);
        let mut may_go = self.may_go.subscribe();
        if may_go.wait_for(|may_go| *may_go > number).await.is_ok() {
            let _ = server.write_all(packet).await;
            let _ = server.read(&mut [0; 1_024]).await;
        }
        self.delivered.fetch_add(1, Ordering::SeqCst);
    }
}

/// Forwards until one side closes, or an answer must be lost. In these tests, each command arrives in one packet.
async fn forward(mut client: TcpStream, mut server: TcpStream, parts: &Arc<Parts>) {
    let (mut asked, mut answered) = (vec![0; 65_536], vec![0; 65_536]);
    let mut losing = None;
    loop {
        tokio::select! {
            read = client.read(&mut asked) => {
                let Ok(length @ 1..) = read else { return };
                if parts.is_chosen(&asked[..length]) {
                    let (parts, packet) = (parts.clone(), asked[..length].to_vec());
                    tokio::spawn(async move { parts.deliver(&packet, server).await });
                    while matches!(client.read(&mut asked).await, Ok(1..)) {}
                    return;
                }
                losing = losing.or_else(|| parts.loss_of(&asked[..length]));
                if server.write_all(&asked[..length]).await.is_err() {
                    return;
                }
            }
            read = server.read(&mut answered) => {
                let Ok(length @ 1..) = read else { return };
                match losing {
                    Some(Loss::Closed) => return,
                    Some(Loss::Silent) => {}
                    None => {
                        if client.write_all(&answered[..length]).await.is_err() {
                            return;
                        }
                    }
                }
            }
        }
    }
}
