//! Only one `db sync` runs at a time, on one host or on several. A second one names the holder of the lock and fails,
//! or waits.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test stops at the first surprise")]

#[path = "upgrade/dump.rs"]
mod dump;
mod process;
mod support;

use std::path::{Path, PathBuf};
use std::process::Command;

use dump::Dump;
use freezer_store::DatabaseUrl;
use freezer_store::migrations::holder;
use process::{MANAGE, Scratch, wait_for};
use sqlx::Row;
use support::{Engine, TestDatabase};

const NOTHING: &str = "nothing to do";

/// A database of 7.0.0, and its configuration.
struct Place<'a> {
    runtime: &'a tokio::runtime::Runtime,
    database: &'a TestDatabase,
    config: PathBuf,
    _scratch: Scratch,
}

impl Place<'_> {
    fn run(&self, sql: &str) {
        self.runtime.block_on(support::bounded(self.database.run(sql)));
    }

    fn sync(&self, arguments: &[&str]) -> Command {
        let mut command = process::command(MANAGE);
        command.arg("--config-file").arg(&self.config).args(["db", "sync"]).args(arguments);
        command
    }

    /// Returns the holder of the lock. This does not read other tables, because they may be locked.
    fn holder(&self) -> Option<String> {
        let DatabaseUrl::MySql(url) = self.database.url() else { panic!("a server") };
        self.runtime.block_on(support::bounded(async {
            let mut connection = support::database::connect(&url).await;
            let found = sqlx::raw_sql("SELECT holder FROM freezer_sync_lock").fetch_optional(&mut connection);
            // This table does not exist before the first sync.
            found.await.ok().flatten().map(|row| row.get_unchecked(0))
        }))
    }

    /// Inserts a lock whose holder renewed it this number of seconds ago.
    fn held_by(&self, holder: &str, seconds: u32) {
        self.run(&format!(
            "CREATE TABLE IF NOT EXISTS freezer_sync_lock (id INTEGER NOT NULL, holder VARCHAR(255) NOT NULL, \
             beat BIGINT NOT NULL, PRIMARY KEY (id)); DELETE FROM freezer_sync_lock; \
             INSERT INTO freezer_sync_lock VALUES (1, '{holder}', UNIX_TIMESTAMP() - {seconds})"
        ));
    }
}

fn on_an_old_database(name: &str, body: impl FnOnce(&Place<'_>)) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../freezer-store/tests/shapes");
    let sql = std::fs::read_to_string(folder.join("a-7.0.0.mysql.sql")).unwrap();
    support::with_database(Engine::MariaDb, name, |runtime, database| {
        let DatabaseUrl::MySql(url) = database.url() else { panic!("a server") };
        let password = url.password.unwrap_or_default();
        let url =
            format!("mysql+pymysql://{}:{password}@{}:{}/{}", url.user, url.host, url.port, url.database);
        let scratch = Scratch::new();
        let config = scratch.write("f.conf", &process::config(9090, &url));
        let place = Place { runtime, database, config, _scratch: scratch };
        place.run(&sql);
        body(&place);
    });
}

#[test]
fn a_second_sync_names_the_holder_or_waits() {
    on_an_old_database("lock_two", |place| {
        // The first sync waits in the middle of its work, because another connection reads a table.
        let reading = place.runtime.block_on(support::bounded(place.database.lock()));
        let mut first = process::begin(place.sync(&[]));
        let holder = wait_for("the first sync has the lock", || place.holder());
        assert!(holder.contains(&format!(":{}@", first.id())), "{holder}");

        let name = holder.split('@').next().unwrap();
        let refused = process::finish(place.sync(&[]));
        refused.refused(1, &[&format!("another db sync ({name}) is at work on mysql://"), "--wait SECONDS"]);
        let mut waiting = process::begin(place.sync(&["--wait", "80"]));
        assert!(first.is_running());
        assert!(waiting.is_running());
        place.runtime.block_on(support::bounded(reading.release()));

        let first = first.done();
        assert!(first.succeeded().contains("at revision 7a3b9c1d2e4f"), "{first:#?}");
        let waited = waiting.done();
        // The output repeats the clients that are registered twice, but no step runs again.
        assert!(!waited.succeeded().contains("[1/"), "{waited:#?}");
        assert_eq!(place.holder(), None, "the lock is given back");
    });
}

#[test]
fn a_sync_that_times_out_does_not_change_the_database() {
    on_an_old_database("lock_vain", |place| {
        place.held_by("node-2:4711@1", 0);
        let before = place.runtime.block_on(Dump::read(place.database));
        process::finish(place.sync(&["--wait", "1"]))
            .refused(1, &["another db sync (node-2:4711) is at work"]);
        let after = place.runtime.block_on(Dump::read(place.database));
        assert_eq!(after.difference(&before), None);
    });
}

#[test]
fn the_lock_of_a_dead_process_is_taken_over() {
    // This test program pretends to be freezer-manage, so that the process and its namespace exist on this host.
    let me = holder();
    let (host, rest) = me.rsplit_once(':').unwrap();
    let namespace = rest.split_once('@').unwrap().1;
    let mut gone = Command::new("true").spawn().unwrap();
    let pid = gone.id();
    gone.wait().unwrap();
    let taken: [(&str, String, u32); 2] = [
        ("silent for long, on another host", "node-2:1@7".to_owned(), 61),
        ("a process of this host that is gone", format!("{host}:{pid}@{namespace}"), 0),
    ];
    for (what, holder, seconds) in taken {
        on_an_old_database("lock_dead", |place| {
            place.held_by(&holder, seconds);
            let done = process::finish(place.sync(&[]));
            assert!(done.succeeded().contains("at revision 7a3b9c1d2e4f"), "{what}: {done:#?}");
            assert_eq!(place.holder(), None, "{what}");
        });
    }
    // The holder has another namespace on a host of the same name, so this host cannot know whether it still exists.
    on_an_old_database("lock_dead", |place| {
        place.held_by(&format!("{host}:{pid}@1"), 50);
        process::finish(place.sync(&[])).refused(1, &["is at work"]);
    });
}

#[test]
fn a_database_at_head_takes_no_lock() {
    support::with_database(Engine::MariaDb, "lock_head", |runtime, database| {
        let DatabaseUrl::MySql(url) = database.url() else { panic!("a server") };
        let password = url.password.unwrap_or_default();
        let url =
            format!("mysql+pymysql://{}:{password}@{}:{}/{}", url.user, url.host, url.port, url.database);
        let scratch = Scratch::new();
        let config = scratch.write("f.conf", &process::config(9090, &url));
        let place = Place { runtime, database, config, _scratch: scratch };
        process::finish(place.sync(&[])).succeeded();
        place.run("DROP TABLE freezer_sync_lock");
        let done = process::finish(place.sync(&[]));
        assert!(done.succeeded().contains(NOTHING), "{done:#?}");
        let dump = place.runtime.block_on(Dump::read(database));
        assert!(!dump.0.contains_key("freezer_sync_lock"));
    });
}
