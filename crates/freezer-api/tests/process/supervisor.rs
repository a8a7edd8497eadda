//! Receives the notifications of a service in the place of systemd.

use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use super::{TIME_LIMIT, unique};

/// A socket for `NOTIFY_SOCKET`.
pub struct Supervisor {
    socket: UnixDatagram,
    /// The value of the variable.
    name: String,
    /// The file of the socket. `None`: its name is abstract.
    path: Option<PathBuf>,
}

impl Supervisor {
    /// Listens on a path. It must be short, so it is not in the scratch directory.
    pub fn new() -> Supervisor {
        let path = std::env::temp_dir().join(unique("freezer-notify"));
        let _ = std::fs::remove_file(&path);
        let socket = UnixDatagram::bind(&path).unwrap();
        Supervisor::with(socket, path.to_str().unwrap().to_owned(), Some(path))
    }

    /// Listens on an abstract name.
    pub fn with_abstract_name() -> Supervisor {
        let name = unique("freezer-notify");
        let address = SocketAddr::from_abstract_name(&name).unwrap();
        Supervisor::with(UnixDatagram::bind_addr(&address).unwrap(), format!("@{name}"), None)
    }

    fn with(socket: UnixDatagram, name: String, path: Option<PathBuf>) -> Supervisor {
        socket.set_read_timeout(Some(TIME_LIMIT)).unwrap();
        Supervisor { socket, name, path }
    }

    /// Sets the variables of systemd for a command.
    pub fn supervise(&self, command: &mut Command) {
        command.env("NOTIFY_SOCKET", &self.name).env_remove("WATCHDOG_USEC").env_remove("WATCHDOG_PID");
    }

    /// Returns the next notification.
    #[track_caller]
    pub fn next(&self) -> Notification {
        self.next_within(TIME_LIMIT).expect("a notification")
    }

    /// Returns the next notification, or `None` if there is none in this time.
    pub fn next_within(&self, limit: Duration) -> Option<Notification> {
        self.socket.set_read_timeout(Some(limit)).unwrap();
        let mut buffer = [0; 4096];
        let length = self.socket.recv(&mut buffer).ok()?;
        let text = std::str::from_utf8(&buffer[..length]).unwrap();
        let pair = |line: &str| {
            let (key, value) = line.split_once('=').unwrap_or_else(|| panic!("no value: {text:?}"));
            (key.to_owned(), value.to_owned())
        };
        Some(Notification(text.lines().map(pair).collect()))
    }

    /// Returns the next notification that has this value, and skips others.
    #[track_caller]
    pub fn until(&self, key: &str, value: &str) -> Notification {
        loop {
            let next = self.next();
            if next.get(key) == Some(value) {
                return next;
            }
        }
    }
}

impl Drop for Supervisor {
    fn drop(&mut self) {
        if let Some(path) = &self.path {
            let _ = std::fs::remove_file(path);
        }
    }
}

/// A notification: names and values in their order.
#[derive(Debug, PartialEq, Eq)]
pub struct Notification(Vec<(String, String)>);

impl Notification {
    /// Returns a value.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.0.iter().find(|(name, _)| name == key).map(|(_, value)| value.as_str())
    }

    /// Returns a number.
    #[track_caller]
    pub fn number(&self, key: &str) -> u64 {
        let value = self.get(key).unwrap_or_else(|| panic!("no {key} in {self:?}"));
        value.parse().unwrap_or_else(|_| panic!("{key} of {self:?} is no number"))
    }

    /// Returns the names.
    pub fn keys(&self) -> Vec<&str> {
        self.0.iter().map(|(name, _)| name.as_str()).collect()
    }
}
