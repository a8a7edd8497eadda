//! `db remove`: the tables that it drops and keeps, and its confirmation.

use std::io::Cursor;
use std::time::Duration;

use freezer_api::manage::db::{self, Confirmation, DbError};
use freezer_store::DatabaseUrl;
use serde_json::json;

use crate::support::{self, TestApp};
use crate::{add_job, rows};

support::on_both_engines!(remove_drops_our_tables_and_no_others, remove_wants_the_name_of_the_database,);

async fn remove_drops_our_tables_and_no_others(app: TestApp) {
    let store = app.store();
    app.member().post("/v2/p1/clients", json!({"client_id": "n1"})).await.expect(201);
    add_job(&app, "j1").await;
    app.database().run("CREATE TABLE migrate_version (version INT)").await;
    app.database().run("CREATE TABLE keystone_users (id INT)").await;
    // Another process holds the lock.
    app.database().run("INSERT INTO freezer_sync_lock VALUES (1, 'elsewhere:1', 99999999999)").await;
    let locked = store.remove("here:1", Duration::ZERO).await.unwrap_err().to_string();
    assert!(locked.starts_with("another db sync (elsewhere:1) is at work"), "{locked}");
    assert_eq!(rows(store, "jobs").await, (1, 0));
    app.database().run("DELETE FROM freezer_sync_lock").await;

    let removed = store.remove("here:1", Duration::ZERO).await.unwrap();
    assert_eq!((removed.len(), removed[0], removed.last()), (11, "job_actions", Some(&"alembic_version")));
    assert_eq!(store.removable().await.unwrap(), Vec::<&str>::new());
    assert_eq!(store.remove("here:1", Duration::ZERO).await.unwrap(), Vec::<&str>::new());
    // The other tables still exist.
    app.database().run("INSERT INTO migrate_version VALUES (3); INSERT INTO keystone_users VALUES (1)").await;
    // The database now has only tables of another program, so the sync does not create tables.
    let refused = store.sync().await.unwrap_err().to_string();
    assert!(refused.contains("tables: keystone_users, migrate_version"), "{refused}");
    app.database().run("DROP TABLE migrate_version; DROP TABLE keystone_users").await;
    store.sync().await.unwrap();
    assert_eq!(rows(store, "jobs").await, (0, 0));

    app.database().run("UPDATE alembic_version SET version_num = 'fedcba987654'").await;
    let newer = store.remove("here:1", Duration::ZERO).await.unwrap_err();
    assert!(newer.to_string().contains("does not know"), "{newer}");
}

async fn remove_wants_the_name_of_the_database(app: TestApp) {
    let name = match app.database().url() {
        DatabaseUrl::MySql(url) => url.database,
        DatabaseUrl::Sqlite { path } => path.file_name().unwrap().to_string_lossy().into_owned(),
    };
    let say = async |confirmation: Confirmation<'_>| {
        let mut out = Vec::new();
        let done = db::remove(app.store(), confirmation, "here:1", &mut out).await;
        (done, String::from_utf8(out).unwrap())
    };
    for answer in ["", "\n", "yes\n", "freezer\n"] {
        let (done, out) = say(Confirmation::Ask(&mut Cursor::new(answer))).await;
        assert!(matches!(done, Err(DbError::NotConfirmed(_))), "{answer:?}: {done:?}");
        assert!(out.ends_with(&format!("({name}) to continue: ")) && out.contains("job_actions, "), "{out}");
    }
    assert!(matches!(say(Confirmation::Impossible).await.0, Err(DbError::NoTerminal(_))));
    assert_eq!(rows(app.store(), "jobs").await, (0, 0));
    say(Confirmation::Ask(&mut Cursor::new(format!("{name}\n")))).await.0.unwrap();
    let (done, out) = say(Confirmation::Impossible).await;
    assert!(done.is_ok() && out.contains("nothing to do"), "{out}");
}
