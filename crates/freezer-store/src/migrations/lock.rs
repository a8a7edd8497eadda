//! Ensures that only one sync runs at a time: a row in `freezer_sync_lock`, which its holder must renew.
//!
//! This does not use GET_LOCK, because Galera does not replicate it. A row is certified like any other write, so
//! one of two nodes fails. The holder renews the row every few seconds. If it has been silent for
//! [`STALE_AFTER`] seconds, it counts as dead. It also counts as dead if it is a process of this host (and of
//! this process namespace) that no longer exists.

use std::time::Duration;

use crate::Store;
use crate::dialect::Dialect;
use crate::error::StoreError;
use crate::exec::Db;
use crate::schema::SchemaError;

/// Name of the lock table.
pub(super) const TABLE: &str = "freezer_sync_lock";
/// Seconds of silence after which the holder counts as dead.
const STALE_AFTER: u64 = 60;
/// How often the holder renews the row.
const BEAT: Duration = Duration::from_secs(5);
/// Interval at which a waiting sync checks the lock again.
const LOOK_AGAIN: Duration = Duration::from_millis(500);

/// The acquired lock. If it is dropped without [`SyncLock::release`], it becomes stale.
pub(super) struct SyncLock {
    store: Store,
    holder: String,
    heart: tokio::task::JoinHandle<()>,
}

/// Acquires the lock, and waits for at most `wait`. `holder` is the text of [`holder`].
pub(super) async fn acquire(store: &Store, holder: &str, wait: Duration) -> Result<SyncLock, StoreError> {
    let deadline = tokio::time::Instant::now() + wait;
    crate::single!(store, "schema.lock", |db| create(db).await)?;
    loop {
        let taken = crate::transaction!(store, "schema.lock", |db| take(db, holder).await)?;
        match taken {
            None => break,
            Some(other) if tokio::time::Instant::now() >= deadline => {
                let database = store.database().to_string();
                return Err(SchemaError::Locked { database, holder: shown(&other) }.into());
            }
            Some(_) => tokio::time::sleep(LOOK_AGAIN).await,
        }
    }
    let heart = tokio::spawn(beat(store.clone(), holder.to_owned()));
    Ok(SyncLock { store: store.clone(), holder: holder.to_owned(), heart })
}

/// Returns the `<host>:<process id>` of another running sync.
pub(super) async fn held_by(store: &Store, me: &str) -> Result<Option<String>, StoreError> {
    crate::read!(store, "schema.lock", |db| {
        // If this is a table of another program, it is refused later.
        let there = match db.dialect() {
            Dialect::MySql => {
                "SELECT 1 FROM information_schema.columns WHERE table_schema = DATABASE() \
                 AND table_name = 'freezer_sync_lock' AND column_name IN ('id', 'holder', 'beat')"
            }
            Dialect::Sqlite => {
                "SELECT 1 FROM pragma_table_info('freezer_sync_lock') WHERE lower(name) IN ('id', 'holder', 'beat')"
            }
        };
        if db.raw_select(there).await?.len() < 3 {
            return Ok(None);
        }
        let now = db.dialect().now_seconds();
        let alive = format!("SELECT holder FROM freezer_sync_lock WHERE beat >= {now} - {STALE_AFTER}");
        let holder = db.raw_read::<String>(&alive).await?.into_iter().next();
        Ok(holder.filter(|other| !is_dead_here(other, me)).map(|other| shown(&other)))
    })
}

/// Returns `<host>:<process id>` of this process, for [`SyncOptions::holder`](super::SyncOptions::holder). If the system
/// has process namespaces, `@<namespace>` follows, because containers of one host may share its name, and each counts its
/// processes from 1.
pub fn holder() -> String {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    // The text becomes part of a statement.
    let host: String =
        host.trim().chars().filter(|c| c.is_ascii_alphanumeric() || ".-".contains(*c)).collect();
    let namespace = std::fs::read_link("/proc/self/ns/pid").unwrap_or_default();
    let namespace: String = namespace.to_string_lossy().chars().filter(char::is_ascii_digit).collect();
    let at = if namespace.is_empty() { "" } else { "@" };
    format!("{host}:{}{at}{namespace}", std::process::id())
}

/// Returns the holder for messages, without its process namespace.
fn shown(holder: &str) -> String {
    holder.split('@').next().unwrap_or_default().to_owned()
}

impl SyncLock {
    /// Releases the lock.
    pub(super) async fn release(self) -> Result<(), StoreError> {
        self.heart.abort();
        let sql = format!("DELETE FROM freezer_sync_lock WHERE holder = '{}'", self.holder);
        crate::single!(self.store, "schema.unlock", |db| db.raw(&sql).await)?;
        Ok(())
    }
}

async fn create(db: &mut Db) -> Result<(), StoreError> {
    let options = db.dialect().table_options(db.dialect().new_collation());
    let sql = format!(
        "CREATE TABLE IF NOT EXISTS freezer_sync_lock (id INTEGER NOT NULL, holder VARCHAR(255) NOT NULL, \
         beat BIGINT NOT NULL, PRIMARY KEY (id)){options}"
    );
    db.raw(&sql).await.map(|_| ())
}

/// Takes the row, or returns the other holder.
async fn take(db: &mut Db, holder: &str) -> Result<Option<String>, StoreError> {
    let now = db.dialect().now_seconds();
    db.raw(&format!("DELETE FROM freezer_sync_lock WHERE beat < {now} - {STALE_AFTER}")).await?;
    let holders = db.raw_read::<String>("SELECT holder FROM freezer_sync_lock WHERE id = 1").await?;
    if let Some(other) = holders.into_iter().next() {
        if !is_dead_here(&other, holder) {
            return Ok(Some(other));
        }
        db.raw("DELETE FROM freezer_sync_lock WHERE id = 1").await?;
    }
    match db.raw(&format!("INSERT INTO freezer_sync_lock VALUES (1, '{holder}', {now})")).await {
        Ok(_) => Ok(None),
        Err(error) if error.is_duplicate() => Ok(Some("another sync".to_owned())),
        Err(error) => Err(error),
    }
}

/// Returns whether a holder is a process of this host that no longer exists.
fn is_dead_here(other: &str, me: &str) -> bool {
    fn parts(holder: &str) -> Option<(&str, &str, &str)> {
        let (host, process) = holder.rsplit_once(':')?;
        let (pid, namespace) = process.split_once('@')?;
        Some((host, pid, namespace))
    }
    let (Some((host, pid, namespace)), Some((my_host, _, my_namespace))) = (parts(other), parts(me)) else {
        return false;
    };
    let proc = std::path::Path::new("/proc");
    let is_gone = || !proc.join(pid).exists() || is_zombie(proc, pid);
    (host, namespace) == (my_host, my_namespace) && proc.join("self").exists() && is_gone()
}

/// Returns whether a process has ended and its parent must still read its status. The state follows the name of
/// the program, which is in parentheses and may contain some.
fn is_zombie(proc: &std::path::Path, pid: &str) -> bool {
    let stat = std::fs::read_to_string(proc.join(pid).join("stat")).unwrap_or_default();
    let state = stat.rsplit_once(')').and_then(|(_, rest)| rest.trim_start().chars().next());
    matches!(state, Some('Z' | 'X'))
}

async fn beat(store: Store, holder: String) {
    loop {
        tokio::time::sleep(BEAT).await;
        let now = store.dialect().now_seconds();
        let sql = format!("UPDATE freezer_sync_lock SET beat = {now} WHERE holder = '{holder}'");
        let renewed: Result<u64, StoreError> = crate::single!(store, "schema.beat", |db| db.raw(&sql).await);
        if let Err(error) = renewed {
            tracing::warn!(%error, "the lock of this sync could not be renewed");
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    /// Returns the holder text of another process of this host.
    fn of(pid: u32) -> String {
        let me = holder();
        let (host, process) = me.rsplit_once(':').unwrap();
        format!("{host}:{pid}@{}", process.split_once('@').unwrap().1)
    }

    #[test]
    fn a_process_that_has_ended_does_not_hold_the_lock() {
        if !std::path::Path::new("/proc/self/stat").exists() {
            return;
        }
        let me = holder();
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let other = of(child.id());
        assert!(!is_dead_here(&other, &me), "it runs");
        child.kill().unwrap();
        // The parent has not waited for it yet, so it is a zombie.
        let ended = (0..500).any(|_| {
            std::thread::sleep(Duration::from_millis(10));
            is_dead_here(&other, &me)
        });
        assert!(ended && std::path::Path::new(&format!("/proc/{}", child.id())).exists());
        child.wait().unwrap();
        assert!(is_dead_here(&other, &me), "it is gone");
        assert!(!is_dead_here(&of(std::process::id()), &me));
        assert!(!is_dead_here(&other.replacen(':', "x:", 1), &me), "a process of another host");
    }
}
