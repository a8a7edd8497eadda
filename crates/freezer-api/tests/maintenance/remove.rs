//! `db remove`: the tables that it drops and keeps, and its confirmation.

use std::io::Cursor;
use std::time::Duration;

use freezer_api::manage::db::{self, Confirmation, DbError};
use freezer_store::DatabaseUrl;
use serde_json::json;

use crate::support::{self, TestApp};
use crate::{add_job, rows};

support::on_both_engines!(
    remove_drops_our_tables_and_no_others,
    remove_refuses_tables_that_others_refer_to,
    remove_wants_the_name_of_the_database,
);

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

async fn remove_refuses_tables_that_others_refer_to(app: TestApp) {
    app.member().post("/v2/p1/clients", json!({"client_id": "n1"})).await.expect(201);
    add_job(&app, "j1").await;
    let database = app.database();
    let remove = async |ignore_references: bool| {
        db::remove(app.store(), Confirmation::Given, ignore_references, "here:1", &mut Vec::new()).await
    };
    let id = match database.url() {
        // A foreign key needs the character set and collation of the other column.
        DatabaseUrl::MySql(_) => {
            let sql = "SELECT CAST(CONCAT('VARCHAR(36) CHARACTER SET ', character_set_name, ' COLLATE ', collation_name) AS CHAR) \
                       FROM information_schema.columns WHERE table_schema = DATABASE() AND table_name = 'jobs' \
                       AND column_name = 'id'";
            database.texts(sql).await.remove(0)
        }
        DatabaseUrl::Sqlite { .. } => "VARCHAR(36)".to_owned(),
    };
    let key = format!("CREATE TABLE billing_jobs (job {id}, FOREIGN KEY (job) REFERENCES jobs (id))");
    for (make, words, unmake) in [
        (key.as_str(), "the table billing_jobs has a foreign key to jobs", "DROP TABLE billing_jobs"),
        (
            "CREATE VIEW report AS SELECT j.id FROM jobs j JOIN job_actions l ON l.job_id = j.id",
            "the view report reads job_actions, jobs",
            "DROP VIEW report",
        ),
        (
            "CREATE VIEW sizes AS SELECT COUNT(*) AS many FROM backups",
            "the view sizes reads backups",
            "DROP VIEW sizes",
        ),
    ] {
        database.run(make).await;
        let refused = remove(false).await.unwrap_err().to_string();
        assert!(refused.contains(words) && refused.contains("--ignore-references"), "{make}: {refused}");
        assert_eq!(rows(app.store(), "jobs").await, (1, 0), "{make}");
        database.run(unmake).await;
    }
    // names of ours alone are no references
    database.run("CREATE TABLE notes (jobs INT, backups INT)").await;
    database.run("CREATE VIEW titles AS SELECT COUNT(*) AS many FROM notes").await;
    assert_eq!(app.store().references().await.unwrap(), Vec::<String>::new());
    database.run("CREATE VIEW sizes AS SELECT COUNT(*) AS many FROM backups").await;
    remove(true).await.unwrap();
    assert_eq!(app.store().removable().await.unwrap(), Vec::<&str>::new());
}

async fn remove_wants_the_name_of_the_database(app: TestApp) {
    let name = match app.database().url() {
        DatabaseUrl::MySql(url) => url.database,
        DatabaseUrl::Sqlite { path } => path.file_name().unwrap().to_string_lossy().into_owned(),
    };
    let say = async |confirmation: Confirmation<'_>| {
        let mut out = Vec::new();
        let done = db::remove(app.store(), confirmation, false, "here:1", &mut out).await;
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
