//! Notifies systemd (sd_notify(3)) that the process is ready, waits for a condition, or stops. Without
//! systemd, it does nothing.

use std::ffi::OsString;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};

/// The socket of the service manager.
#[derive(Debug, Clone, Default)]
pub struct Notify {
    socket: Option<OsString>,
}

impl Notify {
    /// Uses the value of the variable `NOTIFY_SOCKET`, if it is set: a path, or `@` and an abstract name.
    pub fn new(socket: Option<OsString>) -> Notify {
        Notify { socket }
    }

    /// The service listens. Units that depend on a `Type=notify` unit can start.
    pub fn ready(&self) {
        self.send("READY=1");
    }

    /// The present activity of the service for `systemctl status`, in one line.
    pub fn status(&self, text: &str) {
        self.send(&format!("STATUS={}", text.replace('\n', " ")));
    }

    /// The service accepts no new connections.
    pub fn stopping(&self) {
        self.send("STOPPING=1");
    }

    fn send(&self, state: &str) {
        if let Err(error) = self.try_send(state) {
            tracing::warn!("the state {state} could not be sent to systemd: {error}");
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
