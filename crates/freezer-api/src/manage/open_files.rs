//! Adapts the settings to the limit of open files, and reports the changes.

use freezer_store::DatabaseUrl;
use freezer_store::maintenance::Verdict;

use crate::config::{Finding, Settings};
use crate::server::{Room, file_limit};

/// A connection to a SQLite file keeps the file and its log open.
const FILES_OF_SQLITE: usize = 2;

/// Returns the settings with the number of connections that the limit of open files allows.
pub fn fitted(settings: &Settings) -> Settings {
    let mut fitted = settings.clone();
    let Some((_, room)) = room(settings) else { return fitted };
    let (connections, pool) = (&mut fitted.http.connections, &mut fitted.database.pool);
    connections.max = room.of_clients;
    connections.reserve = room.reserve;
    pool.max_open = room.to_database;
    pool.max_idle = pool.max_idle.min(room.to_database);
    fitted.http.scans.in_all = fitted.http.scans.in_all.min((room.to_database / 2).max(1));
    fitted
}

/// Returns the limit of open files with the connections that it allows. Returns `None` if there is no limit.
fn room(settings: &Settings) -> Option<(usize, Room)> {
    let files_each =
        if matches!(settings.database.url, DatabaseUrl::Sqlite { .. }) { FILES_OF_SQLITE } else { 1 };
    let (clients, pool) = (settings.http.connections.max, settings.database.pool.max_open);
    file_limit().map(|files| (files, Room::of(files, clients, pool, files_each)))
}

/// Returns a warning for each number that [`fitted`] reduces.
pub(super) fn warnings(settings: &Settings) -> Vec<Finding> {
    let Some((files, room)) = room(settings) else { return Vec::new() };
    let pool = &settings.database.pool;
    let mut found = Vec::new();
    let mut reduced = |message| {
        found.push(Finding { verdict: Verdict::Warning, kind: "reduced", place: None, message });
    };
    let raise = "raise the limit, for example with LimitNOFILE= of systemd";
    if room.to_database < pool.max_open {
        let option = if pool.max_idle > room.to_database { "max_pool_size" } else { "max_overflow" };
        reduced(format!(
            "[database] {option}: the limit of {files} open files allows {} connections to the database, not {} \
             (max_pool_size and max_overflow together), because clients need most of them; lower the options, or {raise}",
            room.to_database, pool.max_open
        ));
    }
    let wanted = settings.http.connections.max;
    if room.of_clients < wanted {
        reduced(format!(
            "[api] max_connections: the limit of {files} open files allows {} connections at a time, not {wanted}; {raise}",
            room.of_clients
        ));
    }
    found
}
