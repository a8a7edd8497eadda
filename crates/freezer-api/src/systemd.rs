//! What systemd is told of the process (sd_notify(3)): that it is ready, what it waits for, and that it stops. Without systemd, nothing.

use std::ffi::OsString;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};

/// Where to tell it.
#[derive(Debug, Clone, Default)]
pub struct Notify {
    socket: Option<OsString>,
}

impl Notify {
    /// With the value of the variable `NOTIFY_SOCKET`, where it is set: a path, or `@` and an abstract name.
    pub fn new(socket: Option<OsString>) -> Notify {
        Notify { socket }
    }

    /// The service listens: `Type=notify` units that come after it can start.
    pub fn ready(&self) {
        self.send("READY=1");
    }

    /// What the service does now, for `systemctl status`; one line.
    pub fn status(&self, text: &str) {
        self.send(&format!("STATUS={}", text.replace('\n', " ")));
    }

    /// The service takes no new connections.
    pub fn stopping(&self) {
        self.send("STOPPING=1");
    }

    fn send(&self, state: &str) {
        if let Err(error) = self.try_send(state) {
            tracing::warn!("systemd cannot be told {state}: {error}");
        }
    }

    fn try_send(&self, state: &str) -> io::Result<()> {
        let Some(socket) = &self.socket else { return Ok(()) };
        let address = match socket.as_bytes().strip_prefix(b"@") {
            Some(name) => SocketAddr::from_abstract_name(name)?,
            None => SocketAddr::from_pathname(socket)?,
        };
        UnixDatagram::unbound()?.send_to_addr(state.as_bytes(), &address).map(|_| ())
    }
}
