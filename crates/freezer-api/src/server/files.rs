//! Divides the limit of open files between connections of clients and connections to the database.

use rustix::process::{Resource, getrlimit, setrlimit};

/// File descriptors for everything except connections: logs, policy files, Keystone, DNS.
const OTHER_FILES: usize = 128;
/// Slots above `max_connections`, for health checks, unless the limit of open files is very low.
const RESERVE: usize = 64;

/// Raises the soft limit of open files to the hard one. Service managers start programs with a soft limit of 1,024, which is
/// less than the number of connections served here.
pub fn raise_file_limit() {
    let mut limit = getrlimit(Resource::Nofile);
    if limit.current == limit.maximum {
        return;
    }
    limit.current = limit.maximum;
    if let Err(error) = setrlimit(Resource::Nofile, limit) {
        tracing::warn!(%error, "the limit of open files stays as it was");
    }
}

/// Returns the limit of open files after [`raise_file_limit`]. Returns `None` if there is no limit.
pub fn file_limit() -> Option<usize> {
    getrlimit(Resource::Nofile).maximum.map(|files| usize::try_from(files).unwrap_or(usize::MAX))
}

/// The number of connections that a limit of open files allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    /// Connections of clients.
    pub of_clients: usize,
    /// More connections of clients, for health checks.
    pub reserve: usize,
    /// Connections to the database.
    pub to_database: usize,
}

impl Room {
    /// Divides `files` descriptors. At most a quarter of those for connections is for the database, and each
    /// of these connections needs `files_each`.
    pub fn of(files: usize, clients: usize, to_database: usize, files_each: usize) -> Room {
        let reserve = RESERVE.min(files / 8);
        let for_connections = files - OTHER_FILES.min(files / 4) - reserve;
        let to_database = to_database.min(for_connections / 4 / files_each).max(1);
        let of_clients = clients.min(for_connections.saturating_sub(to_database * files_each)).max(1);
        Room { of_clients, reserve, to_database }
    }
}

#[cfg(test)]
mod tests {
    use super::Room;

    #[test]
    fn a_pool_leaves_room_for_clients() {
        for (files, pool, of_clients, to_database) in [
            // More than the settings request.
            (524_288, 55, 8_192, 55),
            (20_000, 25_050, 8_192, 4_952),
            // The soft limit of most systems.
            (1_024, 55, 777, 55),
            (1_024, 25_050, 624, 208),
            (1_024, usize::MAX, 624, 208),
            (256, 55, 120, 40),
            (256, 2, 158, 2),
            (64, 55, 30, 10),
            (8, 55, 4, 1),
            (0, 55, 1, 1),
        ] {
            let room = Room::of(files, 8_192, pool, 1);
            assert_eq!((room.of_clients, room.to_database), (of_clients, to_database), "{files} {pool}");
            let used = room.of_clients + room.reserve + room.to_database;
            assert!(files < 8 || used < files, "{files} {room:?}");
        }
        assert_eq!(Room::of(256, 8_192, 55, 2).to_database, 20);
        assert_eq!(Room::of(1_024, 10, 55, 1).of_clients, 10);
    }
}
