//! `db purge`: the rows that it deletes, their order, and the state after an interruption.

use std::time::Duration;

use freezer_store::maintenance::{PURGED_TABLES, Purge, Purged};
use freezer_store::{StoreError, Timestamp};
use serde_json::{Value, json};

use crate::support::{self, Engine, TestApp};
use crate::{add_job, on_empty, rows, store};

support::on_both_engines!(
    purge_goes_by_the_time_of_deletion,
    purge_takes_children_first_and_keeps_what_is_referred_to,
    a_purge_that_was_interrupted_goes_on_where_it_was,
    the_database_compares_references_with_ids,
);

/// Returns the time 2026-11-22 10:00:00 minus some seconds, in the format of the tables.
fn ago(app: &TestApp, seconds: i64) -> String {
    format!("{}.000000", Timestamp(app.now() - seconds).to_sql())
}

fn purge(app: &TestApp, age: i64) -> Purge {
    let before = Timestamp(app.now() - age);
    Purge {
        before,
        now: Timestamp(app.now()),
        tables: Vec::new(),
        batch: 2,
        pause: Duration::ZERO,
        dry_run: false,
    }
}

/// Returns (table, removed, kept) for each table that had rows to remove or keep.
fn found(purged: &[Purged]) -> Vec<(&'static str, u64, u64)> {
    let something = purged.iter().filter(|done| done.removed + done.kept > 0);
    something.map(|done| (done.table, done.removed, done.kept)).collect()
}

async fn purge_goes_by_the_time_of_deletion(app: TestApp) {
    let quoted = |seconds| format!("'{}'", ago(&app, seconds));
    let null = || "NULL".to_owned();
    let day = 86_400;
    // id, deleted, deleted_at, updated_at, created_at
    let rows_of = [
        ("exact", "1", quoted(day), null(), quoted(9 * day)),
        ("older", "1", quoted(day + 1), null(), quoted(9 * day)),
        ("newer", "1", quoted(day - 1), quoted(9 * day), quoted(9 * day)),
        ("changed", "1", null(), quoted(day + 1), null()),
        ("changed_late", "1", null(), quoted(day), quoted(9 * day)),
        ("made", "1", null(), null(), quoted(day + 1)),
        ("undated", "1", null(), null(), null()),
        ("live", "0", quoted(9 * day), null(), quoted(9 * day)),
        ("undecided", "NULL", quoted(9 * day), null(), quoted(9 * day)),
    ];
    for (id, deleted, deleted_at, updated_at, created_at) in rows_of {
        let columns = "id, user_id, status, deleted, deleted_at, updated_at, created_at";
        let values = format!("'{id}', 'u', 'available', {deleted}, {deleted_at}, {updated_at}, {created_at}");
        app.database().run(&format!("INSERT INTO backups ({columns}) VALUES ({values})")).await;
    }
    let purge = purge(&app, day);
    let dry = app.store().purge(&Purge { dry_run: true, ..purge.clone() }, |_| {}).await.unwrap();
    assert_eq!(found(&dry), [("backups", 3, 0)]);
    assert_eq!(rows(app.store(), "backups").await, (2, 7));

    let mut said = Vec::new();
    let done = app.store().purge(&purge, |done| said.push((done.table, done.removed))).await.unwrap();
    assert_eq!(found(&done), [("backups", 3, 0)]);
    assert_eq!(said, [("backups", 2), ("backups", 3)], "batches of two");
    assert_eq!(rows(app.store(), "backups").await, (2, 4));
    assert_eq!(found(&app.store().purge(&purge, |_| {}).await.unwrap()), []);
    // One second later, the row at the limit is old enough.
    let later = Purge { before: Timestamp(purge.before.0 + 1), ..purge };
    assert_eq!(found(&app.store().purge(&later, |_| {}).await.unwrap()), [("backups", 2, 0)]);
}

async fn purge_takes_children_first_and_keeps_what_is_referred_to(app: TestApp) {
    app.member().post("/v2/p1/clients", json!({"client_id": "n1"})).await.expect(201);
    let mut actions = Vec::new();
    for job in ["j1", "j2", "j3", "j4"] {
        actions.push(add_job(&app, job).await);
    }
    // Jobs j1 to j3 and their actions were deleted long ago. j2 and its action are still linked, and j3 has a trust
    // that still exists.
    let old = ago(&app, 100);
    let deleted = format!("deleted = 1, deleted_at = '{old}'");
    let of_job = "(SELECT action_id FROM job_actions WHERE job_id <> 'j4')";
    for sql in [
        format!("UPDATE actions SET {deleted} WHERE id IN {of_job}"),
        format!("UPDATE action_reports SET {deleted} WHERE id IN {of_job}"),
        format!("UPDATE jobs SET {deleted} WHERE id <> 'j4'"),
        format!("UPDATE job_actions SET {deleted} WHERE job_id IN ('j1', 'j3')"),
        "INSERT INTO user_credentials (id, trust_id, trustor_user_id, job_id, deleted) \
         VALUES ('t', 't', 'u', 'j3', 0)"
            .to_owned(),
    ] {
        app.database().run(&sql).await;
    }
    let store = app.store();
    let purge = purge(&app, 50);
    // If only one table is purged, it must keep the rows that other tables refer to, whether these are deleted or not.
    let alone = |table: &str| Purge { tables: vec![table.to_owned()], ..purge.clone() };
    for dry_run in [true, false] {
        let jobs = store.purge(&Purge { dry_run, ..alone("jobs") }, |_| {}).await.unwrap();
        assert_eq!(found(&jobs), [("jobs", 0, 3)], "dry run: {dry_run}");
        let actions = store.purge(&Purge { dry_run, ..alone("actions") }, |_| {}).await.unwrap();
        assert_eq!(found(&actions), [("actions", 0, 3)], "dry run: {dry_run}");
    }
    let expected = [("job_actions", 2, 0), ("action_reports", 3, 0), ("jobs", 1, 2), ("actions", 2, 1)];
    let before = store.table_counts().await.unwrap();
    let dry = store.purge(&Purge { dry_run: true, ..purge.clone() }, |_| {}).await.unwrap();
    let tables: Vec<_> = dry.iter().map(|done| done.table).collect();
    assert_eq!(tables, [&PURGED_TABLES[..], &["freezer_idempotency"]].concat());
    assert_eq!(found(&dry), expected);
    assert_eq!(store.table_counts().await.unwrap(), before, "a dry run changes nothing");
    assert_eq!(found(&store.purge(&purge, |_| {}).await.unwrap()), expected);
    for (table, counts) in
        [("jobs", (1, 2)), ("actions", (1, 1)), ("job_actions", (2, 0)), ("action_reports", (1, 0))]
    {
        assert_eq!(rows(store, table).await, counts, "{table}");
    }
    // Live rows work as before.
    let job = app.member().get("/v2/p1/jobs/j4").await.expect(200).json();
    assert_eq!(job["job_actions"][0]["action_id"], Value::from(actions[3].as_str()));
}

/// The collation of the tables decides whether a reference in other letters refers to a row.
async fn the_database_compares_references_with_ids(app: TestApp) {
    let old = ago(&app, 100);
    let unchecked = match app.engine() {
        Engine::Sqlite => "PRAGMA foreign_keys = 0;",
        _ => "",
    };
    let references = [
        ("exact", "exact"),
        ("case", "CASE"),
        ("accent", "\u{c4}ccent"),
        ("greek-\u{3c3}", "greek-\u{3c2}"),
        ("sharp-ss", "sharp-\u{df}"),
        ("free", ""),
    ];
    for (id, reference) in references {
        let job = format!(
            "INSERT INTO jobs (id, project_id, user_id, client_id, deleted, deleted_at) \
             VALUES ('{id}', 'p1', 'u', 'c', 1, '{old}')"
        );
        app.database().run(&job).await;
        if !reference.is_empty() {
            let trust = format!(
                "{unchecked} INSERT INTO user_credentials (id, trust_id, trustor_user_id, job_id, deleted) \
                 VALUES ('t-{id}', 't', 'u', '{reference}', 0)"
            );
            app.database().run(&trust).await;
        }
    }
    let referring = "SELECT COUNT(*) FROM jobs j JOIN user_credentials t ON t.job_id = j.id";
    let equal = u64::try_from(app.database().number(referring).await).unwrap();
    assert!(equal > 1 || app.engine() == Engine::Sqlite, "{equal}");
    let jobs = Purge { tables: vec!["jobs".to_owned()], batch: 100, ..purge(&app, 50) };
    for dry_run in [true, false] {
        let done = app.store().purge(&Purge { dry_run, ..jobs.clone() }, |_| {}).await.unwrap();
        assert_eq!(found(&done), [("jobs", 6 - equal, equal)], "dry run: {dry_run}");
    }
    let after = u64::try_from(app.database().number(referring).await).unwrap();
    assert_eq!(after, equal, "no reference lost its row");
}

async fn a_purge_that_was_interrupted_goes_on_where_it_was(app: TestApp) {
    let old = ago(&app, 100);
    let all: Vec<String> = (0..7).map(|n| format!("('s{n}', 'u', 1, '{old}')")).collect();
    let insert = "INSERT INTO sessions (id, user_id, deleted, deleted_at) VALUES";
    app.database().run(&format!("{insert} {}", all.join(", "))).await;
    // The pause after the first batch never ends, so the purge is interrupted there.
    let purge = Purge { pause: Duration::from_secs(86_400), ..purge(&app, 50) };
    let (batch, mut batches) = tokio::sync::mpsc::unbounded_channel();
    tokio::select! {
        done = app.store().purge(&purge, |done| { let _ = batch.send(done.removed); }) => panic!("{done:?}"),
        first = batches.recv() => assert_eq!(first, Some(2)),
    }
    assert_eq!(rows(app.store(), "sessions").await, (0, 5));
    let rest = app.store().purge(&Purge { pause: Duration::ZERO, ..purge }, |_| {}).await.unwrap();
    assert_eq!(found(&rest), [("sessions", 5, 0)]);
    assert_eq!(rows(app.store(), "sessions").await, (0, 0));
}

#[test]
fn an_old_layout_is_not_purged() {
    on_empty("old_purge", |database| async move {
        let purge = Purge {
            before: Timestamp(0),
            now: Timestamp(0),
            tables: vec![],
            batch: 9,
            pause: Duration::ZERO,
            dry_run: true,
        };
        let refused = store(&database).purge(&purge, |_| {}).await.unwrap_err();
        assert!(matches!(&refused, StoreError::Schema(_)), "{refused}");
    });
}
