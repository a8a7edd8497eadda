//! Values with characters that the columns of older releases cannot store. The upgrade must succeed and must not lose
//! them.

use freezer_store::migrations::{Synced, Wishes};
use freezer_store::{ConnectSettings, PoolSettings, Store};

use crate::again::rows;
use crate::dump::{Dump, Values};
use crate::support::{self, Engine, TestDatabase};
use crate::{folder, loadable, store};

/// A dump, a key of a definition with its column, and a text as JSON and without JSON escapes.
type Case = (&'static str, &'static str, &'static str, &'static str, &'static str);

const CASES: [Case; 8] = [
    ("a-7.0.0", "path_to_backup", "path_to_backup", r"/\ud83d\ude00", "/😀"),
    ("b-7.2.0", "path_to_backup", "path_to_backup", r"/\ud83d\ude00", "/😀"),
    ("c-15.0.0", "path_to_backup", "path_to_backup", r"/\ud83d\ude00", "/😀"),
    ("c-15.0.0", "mode", "actionmode", r"\ud83d\ude00", "😀"),
    ("f-16.0.0", "backup_name", "backup_name", r"name \ud83d\ude00", "name 😀"),
    ("f-18.0.0-latin1", "container", "container", r"\u2603", "☃"),
    ("f-18.0.0-latin1", "log_file", "log_file", r"\u00e9\u20ac", "é€"),
    ("f-18.0.0-utf8mb4", "container", "container", r"\ud83d\ude00", "😀"),
];

async fn load(database: &TestDatabase, engine: Engine, shape: &str, more: &str) {
    let sql = std::fs::read_to_string(folder().join(format!("{shape}.mysql.sql"))).unwrap();
    store(database).schema_state().await.unwrap();
    database.run(&loadable(engine, &sql)).await;
    database.run(&more.replace('\\', "\\\\")).await;
}

/// Returns a job whose list has one definition with this text.
fn job(key: &str, text: &str) -> String {
    format!(
        "INSERT INTO jobs (id, project_id, user_id, client_id, session_id, job_actions, deleted) \
         VALUES ('odd', 'p', 'u', 'c', '', '[{{\"freezer_action\": {{\"action\": \"backup\", \"{key}\": \"{text}\"}}}}]', 0);"
    )
}

/// Returns the action of the job.
fn action_of(after: &Dump) -> Values {
    let links = after.table("job_actions");
    let link = links.values().find(|link| link["job_id"].as_deref() == Some("odd")).expect("a link");
    after.table("actions")[link["action_id"].as_deref().unwrap()].clone()
}

fn on_servers(name: &str, body: impl AsyncFn(&TestDatabase, Engine)) {
    for engine in [Engine::MariaDb, Engine::MySql] {
        support::with_database(engine, name, |runtime, database| {
            runtime.block_on(support::bounded(body(database, engine)));
        });
    }
}

#[test]
fn a_character_that_an_old_column_cannot_store_is_moved() {
    for (shape, key, column, text, expected) in CASES {
        on_servers("characters", async |database, engine| {
            load(database, engine, shape, &job(key, text)).await;
            store(database).sync().await.unwrap_or_else(|error| panic!("{shape}, {key}: {error}"));
            let after = rows(database).await;
            let action = action_of(&after);
            assert_eq!(action[column].as_deref(), Some(expected), "{shape}");
            assert!(action["backup_metadata"].as_deref().unwrap().contains(text), "{shape}: {action:?}");
            store(database).sync().await.unwrap();
            assert_eq!(rows(database).await.difference(&after), None, "{shape}: again");
        });
    }
}

/// Only the document of the stored action has the path.
#[test]
fn a_path_that_an_old_column_cannot_store_is_added() {
    let action = r#"INSERT INTO actions (id, action, project_id, user_id, backup_metadata, deleted)
        VALUES ('odd', 'backup', 'p', 'u', '{"action": "backup", "path_to_backup": "/\ud83d\ude00"}', 0);"#;
    for shape in ["a-7.0.0", "b-7.2.0", "d-7.2.0-sync-19.0.0", "e-7.2.0-latin1-sync-19.0.0"] {
        on_servers("characters_path", async |database, engine| {
            load(database, engine, shape, action).await;
            store(database).sync().await.unwrap_or_else(|error| panic!("{shape}: {error}"));
            let after = rows(database).await;
            assert_eq!(after.table("actions")["odd"]["path_to_backup"].as_deref(), Some("/😀"), "{shape}");
            store(database).sync().await.unwrap();
            assert_eq!(rows(database).await.difference(&after), None, "{shape}: again");
        });
    }
}

/// Returns deleted actions. They are more than an upgrade converts by default.
fn many_actions() -> String {
    let digit = "(SELECT 0 AS d UNION SELECT 1 UNION SELECT 2 UNION SELECT 3 UNION SELECT 4 UNION SELECT 5 \
                 UNION SELECT 6 UNION SELECT 7 UNION SELECT 8 UNION SELECT 9)";
    format!(
        "INSERT INTO actions (id, action, project_id, user_id, path_to_backup, deleted) \
         SELECT CONCAT('many-', a.d, b.d, c.d, d.d, e.d, f.d), 'exec', 'p', 'u', '/', 1 \
         FROM (SELECT 0 AS d UNION SELECT 1) AS a, {digit} AS b, {digit} AS c, {digit} AS d, {digit} AS e, {digit} AS f; \
         ANALYZE TABLE actions;"
    )
}

/// A large table is only converted with `--charset`. The document keeps the characters that the column cannot store,
/// and the upgrade succeeds.
#[test]
fn a_large_table_keeps_unsupported_characters_in_the_document() {
    on_servers("characters_large", async |database, engine| {
        load(database, engine, "c-15.0.0", &job("path_to_backup", r"/\ud83d\ude00")).await;
        database.run(&many_actions()).await;
        database.run("DELETE FROM clients").await;
        let plan = store(database).plan(Wishes::default()).await.unwrap();
        assert!(plan.steps.iter().all(|step| step.what != "convert actions to utf8mb4"), "it is large");
        // These statements are larger and take longer than those of requests.
        let pool = PoolSettings {
            statement_timeout: std::time::Duration::from_secs(600),
            ..PoolSettings::default()
        };
        let store = Store::new(database.url(), ConnectSettings::default(), pool);
        store.sync().await.unwrap();
        let action = action_of(&rows(database).await);
        assert_eq!(action["path_to_backup"], None);
        assert!(action["backup_metadata"].as_deref().unwrap().contains(r"/\ud83d\ude00"), "{action:?}");
        assert_eq!(store.sync().await.unwrap(), Synced::AlreadyCurrent);
    });
}
