//! Notifies systemd (sd_notify(3)) of the state of the process: it starts, listens, reloads, stops, or waits for
//! a condition. Without systemd, it does nothing.

use std::ffi::OsString;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// Time that systemd gets in addition to the expected duration of a start or stop.
const MARGIN: Duration = Duration::from_secs(10);

/// The socket of the service manager.
#[derive(Debug, Clone, Default)]
pub struct Notify {
    socket: Option<OsString>,
    /// Longest time between two signs of life that the service manager accepts. `None`: it expects none.
    watchdog: Option<Duration>,
}

impl Notify {
    /// Reads the variables `NOTIFY_SOCKET` (a path, or `@` and an abstract name), `WATCHDOG_USEC` and
    /// `WATCHDOG_PID` (sd_watchdog_enabled(3)).
    pub fn from_variables(variable: impl Fn(&str) -> Option<OsString>) -> Notify {
        let number = |name: &str| variable(name)?.to_str()?.parse::<u64>().ok();
        let for_us = variable("WATCHDOG_PID").is_none()
            || number("WATCHDOG_PID") == Some(u64::from(std::process::id()));
        let watchdog = number("WATCHDOG_USEC").filter(|micros| for_us && *micros > 0);
        Notify { socket: variable("NOTIFY_SOCKET"), watchdog: watchdog.map(Duration::from_micros) }
    }

    /// The service starts, and its next step may take this long.
    pub fn starting(&self, status: &str, limit: Duration) {
        self.send(&format!("STATUS={}\n{}", line(status), extend(limit)));
    }

    /// The service listens, or a reload has ended. Units that depend on a `Type=notify` unit can start.
    pub fn ready(&self) {
        self.send("READY=1");
    }

    /// The service reads its files again. [`Notify::ready`] must follow. For `Type=notify-reload`, systemd
    /// compares the time with that of its signal.
    pub fn reloading(&self) {
        let now = clock_gettime(ClockId::Monotonic);
        self.send(&format!("RELOADING=1\nMONOTONIC_USEC={}", now.tv_sec * 1_000_000 + now.tv_nsec / 1_000));
    }

    /// The present activity of the service for `systemctl status`, in one line.
    pub fn status(&self, text: &str) {
        self.send(&format!("STATUS={}", line(text)));
    }

    /// The service stops, and answers accepted requests for at most this long.
    pub fn stopping(&self, limit: Duration) {
        self.send(&format!(
            "STOPPING=1\nSTATUS=Stopping: answering the accepted requests\n{}",
            extend(limit)
        ));
    }

    /// Sends signs of life while it is polled, if the service manager expects them. They stop if the runtime
    /// no longer runs tasks.
    pub async fn keep_alive(self) {
        let Some(longest) = self.watchdog else { return };
        // sd_watchdog_enabled(3) recommends half of the time.
        let mut beats = tokio::time::interval((longest / 2).max(Duration::from_millis(1)));
        beats.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            beats.tick().await;
            self.send("WATCHDOG=1");
        }
    }

    fn send(&self, state: &str) {
        if let Err(error) = self.try_send(state) {
            tracing::warn!("the state {} could not be sent to systemd: {error}", line(state));
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

/// Returns the text in one line, because a line break ends a value.
fn line(text: &str) -> String {
    text.replace('\n', " ")
}

fn extend(limit: Duration) -> String {
    format!("EXTEND_TIMEOUT_USEC={}", (limit + MARGIN).as_micros())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signs_of_life_are_sent_if_the_service_manager_expects_them_from_this_process() {
        let own = std::process::id().to_string();
        let other = (std::process::id() + 1).to_string();
        for (micros, pid, expected) in [
            (Some("30000000"), None, Some(30)),
            (Some("30000000"), Some(own.as_str()), Some(30)),
            (Some("30000000"), Some(other.as_str()), None),
            (Some("30000000"), Some("x"), None),
            (Some("0"), None, None),
            (Some("-1"), None, None),
            (Some("soon"), None, None),
            (None, Some(own.as_str()), None),
        ] {
            let variable = |name: &str| match name {
                "WATCHDOG_USEC" => micros.map(OsString::from),
                "WATCHDOG_PID" => pid.map(OsString::from),
                _ => None,
            };
            let found = Notify::from_variables(variable).watchdog;
            assert_eq!(found, expected.map(Duration::from_secs), "{micros:?} {pid:?}");
        }
    }
}
