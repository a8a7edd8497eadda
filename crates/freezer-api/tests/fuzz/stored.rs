//! JSON in databases of older releases: an upgrade must be able to move any text and must not lose data.

use freezer_store::migrations::Synced;
use freezer_store::{ConnectSettings, PoolSettings, Store};
use serde_json::Value;
use sqlx::{AssertSqlSafe, Row};

use super::support::database::open;
use super::support::{Engine, TestApp, TestDatabase, bounded, with_database};
use super::target;

target!(
    migration,
    &[
        "[",
        "]",
        "{\"action_id\": \"a\"}",
        "\"freezer_action\": {\"action\": \"exec\"}",
        "\"max_retries\": ",
        "\"mandatory\": true",
        "null",
        "NaN",
        "Infinity",
        "\"text\"",
        "\"action_id\": ",
        "\"mode\": ",
        "5",
        "\"5\"",
        "{}",
        ",,",
        "\\u",
    ],
    super::any_rows
);

/// Maximum number of rows for one input. Each line is a row.
const MOST: usize = 20;

/// Inserts every line of the input into all JSON columns of 18.0.0, then runs `db sync`.
fn any_rows(input: &[u8]) {
    let text = String::from_utf8_lossy(input).replace('\0', "");
    let lines: Vec<&str> = text.split('\n').take(MOST).collect();
    with_database(Engine::Sqlite, "fuzz_rows", |runtime, database| {
        runtime.block_on(bounded(upgraded(database, &lines)));
    });
}

/// Returns the tables of 18.0.0 without rows.
fn tables() -> String {
    let dump = include_str!("../../../freezer-store/tests/shapes/f-18.0.0.sqlite.sql");
    let keep = |line: &&str| {
        !line.starts_with("INSERT") || line.contains("alembic_version") || line.contains("migrate_version")
    };
    dump.lines().filter(keep).collect::<Vec<_>>().join("\n")
}

async fn upgraded(database: &TestDatabase, lines: &[&str]) {
    let mut sql = tables();
    sql.push_str(
        "\nINSERT INTO actions (id, action, project_id, user_id, backup_metadata, deleted) \
         VALUES ('a', 'exec', 'p1', 'u', '{\"action\": \"exec\"}', 0);\n",
    );
    for (at, line) in lines.iter().enumerate() {
        let text = line.replace('\'', "''");
        sql.push_str(&format!(
            "INSERT INTO jobs (id, project_id, user_id, client_id, schedule, job_actions, deleted) \
             VALUES ('j{at}', 'p1', 'u', 'c', '{text}', '{text}', 0);\n\
             INSERT INTO sessions (id, project_id, user_id, schedule, job, deleted) \
             VALUES ('s{at}', 'p1', 'u', '{text}', '{text}', 0);\n\
             INSERT INTO backups (id, project_id, user_id, user_name, backup_metadata, deleted) \
             VALUES ('b{at}', 'p1', 'u', '', '{text}', 0);\n\
             INSERT INTO actions (id, action, project_id, user_id, backup_metadata, deleted) \
             VALUES ('a{at}', 'exec', 'p1', 'u', '{text}', 0);\n"
        ));
    }
    let store = || Store::new_or_create(database.url(), ConnectSettings::default(), PoolSettings::default());
    store().schema_state().await.unwrap();
    database.run(&sql).await;
    let done = store().sync().await.unwrap_or_else(|error| panic!("db sync: {error}"));
    assert!(matches!(done, Synced::Upgraded { .. }), "{done:?}");
    for (at, line) in lines.iter().enumerate() {
        nothing_is_lost(database, &format!("j{at}"), line).await;
    }
    assert_eq!(store().sync().await.unwrap(), Synced::AlreadyCurrent);
    let app = TestApp::on(database, store());
    for list in ["jobs", "sessions", "actions", "backups"] {
        let path = format!("/v2/p1/{list}?limit=100");
        let answer = app.as_user("u", "p1", "member").get(&path).await.expect(200);
        // The answer is searched as text, because stored values may have more levels than the parser of this test
        // accepts.
        let text = std::str::from_utf8(&answer.body).unwrap();
        let read = serde_json::from_str::<&serde_json::value::RawValue>(text);
        assert!(read.is_ok(), "{list}: {read:?}: {text}");
        for at in 0..lines.len() {
            let id = format!("\"{}{at}\"", &list[..1]);
            assert!(text.contains(&id), "{list}: {id} is missing: {text}");
        }
    }
}

/// Checks that each entry of a list is a link or is stored in `freezer_leftovers`.
async fn nothing_is_lost(database: &TestDatabase, job: &str, text: &str) {
    let Ok(Value::Array(entries)) = serde_json::from_str::<Value>(text) else { return };
    let freezer_store::DatabaseUrl::Sqlite { path } = database.url() else { panic!("a file") };
    let mut connection = open(&path).await;
    let sql = |sql: String| AssertSqlSafe(sql);
    let links: i64 = sqlx::raw_sql(sql(format!("SELECT COUNT(*) FROM job_actions WHERE job_id = '{job}'")))
        .fetch_one(&mut connection)
        .await
        .unwrap()
        .get_unchecked(0);
    let kept = sqlx::raw_sql(sql(format!(
        "SELECT value FROM freezer_leftovers WHERE row_id = '{job}' AND column_name = 'job_actions'"
    )))
    .fetch_optional(&mut connection)
    .await
    // Without this table, no text was kept.
    .unwrap_or_default()
    .map_or(0, |row| {
        let value: String = row.get_unchecked(0);
        serde_json::from_str::<Vec<Value>>(&value).map_or(entries.len(), |kept| kept.len())
    });
    let links = usize::try_from(links).unwrap();
    assert!(links + kept >= entries.len(), "{} entries, {links} links, {kept} kept: {text}", entries.len());
}
