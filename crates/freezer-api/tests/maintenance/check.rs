//! `db check`: each check finds the inserted problems, finds nothing otherwise, and works on every released layout.

use std::path::Path;

use freezer_store::maintenance::{CheckResult, Verdict};
use freezer_store::{ConnectSettings, PoolSettings, Store};
use serde_json::json;

use crate::support::{self, Engine, TestApp};
use crate::{BOTH, add_job, make_file, on_empty, store};

const NAMES: [&str; 17] = [
    "layout",
    "charset",
    "widths",
    "duplicate_clients",
    "job_links",
    "unknown_clients",
    "deleted_null",
    "leftovers",
    "json",
    "unmovable",
    "jobs_without_actions",
    "collations",
    "action_terms",
    "links_without_job",
    "keys",
    "too_large",
    "dependents",
];

support::on_both_engines!(
    a_used_database_has_nothing_to_complain_about,
    each_check_finds_what_is_planted,
    a_check_counts_all_and_shows_twenty,
    completed_jobs_need_no_client,
    documents_that_are_too_large_are_named,
);

fn result_of<'a>(checks: &'a [CheckResult], name: &str) -> &'a CheckResult {
    checks.iter().find(|check| check.name == name).unwrap_or_else(|| panic!("no {name} in {checks:#?}"))
}

async fn a_used_database_has_nothing_to_complain_about(app: TestApp) {
    let member = app.member();
    for client in ["n1", "n2"] {
        member.post("/v2/p1/clients", json!({"client_id": client})).await.expect(201);
    }
    // These rows must not cause a finding: other projects, deleted rows, blank JSON, central clients.
    app.as_user("u2", "p2", "member").post("/v2/p2/clients", json!({"client_id": "n1"})).await.expect(201);
    member.delete("/v2/p1/clients/n2").await.expect(204);
    member.post("/v2/p1/clients", json!({"client_id": "n2"})).await.expect(201);
    for job in ["j1", "j2", "j3"] {
        add_job(&app, job).await;
    }
    member.delete("/v2/p1/jobs/j2").await.expect(204);
    member.post("/v2/p1/sessions", json!({"schedule": {}})).await.expect(201);
    let database = app.database();
    database.run("UPDATE clients SET is_central = 1 WHERE client_id = 'n1' AND project_id = 'p2'").await;
    database.run("UPDATE jobs SET project_id = 'p3', schedule = '\"\"' WHERE id = 'j3'").await;
    let of_j3 = "id IN (SELECT action_id FROM job_actions WHERE job_id = 'j3')";
    database.run(&format!("UPDATE actions SET project_id = 'p3' WHERE {of_j3}")).await;
    database.run("UPDATE jobs SET schedule = '{oops' WHERE id = 'j2'").await;
    database.run("UPDATE sessions SET schedule = 'null', job = ''").await;
    database.run("UPDATE clients SET supported_modes = NULL, supported_actions = ''").await;
    // The actions were changed by hand, so the sync writes their terms again.
    app.store().sync().await.unwrap();

    let checks = app.store().check().await.unwrap();
    assert_eq!(checks.iter().map(|check| check.name).collect::<Vec<_>>(), NAMES);
    for check in checks {
        assert_eq!((check.verdict, check.count, check.advice), (Verdict::Success, 0, None), "{check:#?}");
        assert!(check.examples.is_empty(), "{check:#?}");
    }
}

async fn each_check_finds_what_is_planted(app: TestApp) {
    let member = app.member();
    member.post("/v2/p1/clients", json!({"client_id": "n1"})).await.expect(201);
    let kept = add_job(&app, "kept").await;
    let gone = add_job(&app, "gone").await;
    add_job(&app, "strange").await;
    let backup = json!({"backup_name": "b", "container": "c", "hostname": "n1"});
    let backup = member.post("/v2/p1/backups", backup).await.expect(201);
    let backup = backup.text("backup_id");
    let session =
        member.post("/v2/p1/sessions", json!({"schedule": {}})).await.expect(201).text("session_id");
    let on_server = app.engine() == Engine::MariaDb;
    let drop_unique =
        if on_server { "DROP INDEX fz_clients_live ON clients" } else { "DROP INDEX fz_clients_live" };
    let unchecked = if on_server { "SET foreign_key_checks = 0;" } else { "PRAGMA foreign_keys = 0;" };
    let mut planted = vec![
        drop_unique.to_owned(),
        "INSERT INTO clients (id, project_id, user_id, client_id, uuid, deleted, supported_modes) \
         VALUES ('twin', 'p1', 'u', 'n1', 'twin', 0, '{\"fs\": 1}')".to_owned(),
        format!("{unchecked} INSERT INTO job_actions (id, job_id, action_id, deleted) VALUES ('l1', 'kept', 'none', 0)"),
        format!("{unchecked} INSERT INTO job_actions (id, job_id, action_id, deleted) VALUES ('l2', 'none', 'none', 0)"),
        "UPDATE jobs SET deleted = 1 WHERE id = 'gone'".to_owned(),
        "UPDATE jobs SET client_id = 'stranger', schedule = '{oops' WHERE id = 'strange'".to_owned(),
        "UPDATE sessions SET schedule = '[1]', job = 'x'".to_owned(),
        format!("UPDATE actions SET backup_metadata = '{{' WHERE id = '{kept}'"),
        "UPDATE backups SET backup_metadata = '7', deleted = NULL".to_owned(),
        "CREATE TABLE freezer_leftovers (table_name VARCHAR(32), row_id VARCHAR(255), column_name VARCHAR(32), \
         value TEXT)".to_owned(),
        "INSERT INTO freezer_leftovers VALUES ('jobs', 'j9', 'job_actions', '{oops')".to_owned(),
        "INSERT INTO jobs (id, project_id, user_id, client_id, deleted) VALUES ('idle', 'p1', 'u', 'n1', 0)".to_owned(),
        // The action belongs to another project.
        "INSERT INTO jobs (id, project_id, user_id, client_id, deleted) VALUES ('far', 'p2', 'u', 'n1', 0)".to_owned(),
        "INSERT INTO clients (id, project_id, user_id, client_id, uuid, deleted) \
         VALUES ('far', 'p2', 'u', 'n1', 'far', 0)".to_owned(),
        format!("INSERT INTO job_actions (id, job_id, action_id, deleted) VALUES ('l3', 'far', '{kept}', 0)"),
    ];
    for sql in planted.drain(..) {
        app.database().run(&sql).await;
    }
    app.store().sync().await.unwrap();
    let checks = app.store().check().await.unwrap();
    let expected: [(&str, &[&str]); 8] = [
        ("jobs_without_actions", &["job far of project p2", "job idle of project p1"]),
        ("duplicate_clients", &["n1 in project p1: 2 times"]),
        ("links_without_job", &["(job gone, action ", "l2 (job none, action none): no live job and action"]),
        ("job_links", &["l1 (job kept, action none): no live action"]),
        ("unknown_clients", &["job strange of project p1: client stranger"]),
        ("deleted_null", &[&format!("backups: {backup}")]),
        ("leftovers", &["jobs.job_actions of row j9"]),
        (
            "json",
            &[
                "jobs.schedule of row strange: ",
                &format!("sessions.schedule of row {session}: not a JSON object"),
                &format!("sessions.job of row {session}: "),
                &format!("actions.backup_metadata of row {kept}: "),
                &format!("backups.backup_metadata of row {backup}: not a JSON object"),
                "clients.supported_modes of row twin: not a list of texts",
            ],
        ),
    ];
    for (name, examples) in expected {
        let check = result_of(&checks, name);
        assert_eq!(check.verdict, Verdict::Warning, "{check:#?}");
        assert_eq!(
            (check.count, check.examples.len()),
            (examples.len() as u64, examples.len()),
            "{check:#?}"
        );
        assert!(
            check.details.ends_with(&format!(": {}", examples.len())) && check.advice.is_some(),
            "{check:#?}"
        );
        for example in examples {
            assert!(check.examples.iter().any(|found| found.contains(example)), "no {example} in {check:#?}");
        }
    }
    assert!(
        result_of(&checks, "links_without_job").examples.iter().any(|link| link.contains(&gone)),
        "{checks:#?}"
    );
    for quiet in ["layout", "charset", "widths"] {
        assert_eq!(result_of(&checks, quiet).verdict, Verdict::Success, "{checks:#?}");
    }
}

/// A finished restore of a node that is gone needs nothing. A job that would run again does.
async fn completed_jobs_need_no_client(app: TestApp) {
    let jobs = [
        ("done", r#"{"status": "completed", "result": "success"}"#, false),
        ("nested", r#"{"x": {"status": "running"}, "y": [1], "status" : "completed"}"#, false),
        ("other", r#"{"x": {"status": "completed"}, "status": "scheduled"}"#, true),
        ("stopped", r#"{"status": "stop"}"#, true),
        ("word", r#"{"description": "\"status\": \"completed\""}"#, true),
        ("empty", "{}", true),
        ("broken", r#"{"status": "completed""#, true),
    ];
    for (id, schedule, _) in jobs {
        app.database()
            .run(&format!(
                "INSERT INTO jobs (id, project_id, user_id, client_id, schedule, deleted) \
                 VALUES ('{id}', 'p1', 'u', 'gone', '{}', 0)",
                if app.engine() == Engine::MariaDb {
                    schedule.replace('\\', "\\\\")
                } else {
                    schedule.to_owned()
                }
            ))
            .await;
    }
    let insert = "INSERT INTO jobs (id, project_id, user_id, client_id, schedule, deleted)";
    app.database().run(&format!("{insert} VALUES ('none', 'p1', 'u', 'gone', NULL, 0)")).await;
    let checks = app.store().check().await.unwrap();
    let unknown = result_of(&checks, "unknown_clients");
    for (id, _, is_found) in jobs.into_iter().chain([("none", "", true)]) {
        let example = format!("job {id} of project p1: client gone");
        assert_eq!(unknown.examples.contains(&example), is_found, "{id}: {unknown:#?}");
    }
    assert_eq!(unknown.count, 6, "{unknown:#?}");
}

/// The sizes of a job's actions count for each of their places. Deleted rows are not read, so they do not count.
async fn documents_that_are_too_large_are_named(app: TestApp) {
    let member = app.member();
    member.post("/v2/p1/clients", json!({"client_id": "n1"})).await.expect(201);
    for job in ["small", "scheduled", "filled", "gone"] {
        add_job(&app, job).await;
    }
    let backup = json!({"backup_name": "b", "container": "c", "hostname": "n1"});
    let backup = member.post("/v2/p1/backups", backup).await.expect(201).text("backup_id");
    let session =
        member.post("/v2/p1/sessions", json!({"schedule": {}})).await.expect(201).text("session_id");
    let of_job = |job: &str| format!("(SELECT action_id FROM job_actions WHERE job_id = '{job}')");
    let text = |bytes: usize| json!({"x": "é".repeat(bytes / 2)}).to_string();
    for sql in [
        format!("UPDATE jobs SET schedule = '{}' WHERE id IN ('scheduled', 'gone')", text(30_000)),
        "UPDATE jobs SET deleted = 1 WHERE id = 'gone'".to_owned(),
        format!("UPDATE actions SET backup_metadata = '{}' WHERE id IN {}", text(12_000), of_job("filled")),
        "INSERT INTO job_actions (id, job_id, action_id, deleted) SELECT 'twice', job_id, action_id, 0 \
         FROM job_actions WHERE job_id = 'filled'"
            .to_owned(),
        format!("UPDATE backups SET backup_metadata = '{}'", text(25_000)),
        format!("UPDATE sessions SET schedule = '{0}', job = '{0}'", text(11_000)),
    ] {
        app.database().run(&sql).await;
    }
    let checks = app.store().reading_up_to(20_000).check().await.unwrap();
    let check = result_of(&checks, "too_large");
    let found: Vec<&str> = check.examples.iter().filter_map(|text| text.split(':').next()).collect();
    let expected = [
        "job filled of project p1".to_owned(),
        "job scheduled of project p1".to_owned(),
        format!("session {session} of project p1"),
        format!("backup {backup} of project p1"),
    ];
    assert_eq!((found, check.count), (expected.iter().map(String::as_str).collect(), 4), "{check:#?}");
    let size = "25648 bytes; needs [api] max_answer_bytes = 102592";
    assert!(check.examples[3].ends_with(size), "{check:#?}");
    assert_eq!(check.verdict, Verdict::Warning, "{check:#?}");
    // the number is complete, and the list is bounded
    let row = |n: usize| format!("('a{n:03}', 'exec', 'p1', 'u', '{}', 0)", text(21_000));
    let all: Vec<String> = (0..50).map(row).collect();
    let insert = "INSERT INTO actions (id, action, project_id, user_id, backup_metadata, deleted) VALUES";
    app.database().run(&format!("{insert} {}", all.join(", "))).await;
    let checks = app.store().reading_up_to(20_000).check().await.unwrap();
    let check = result_of(&checks, "too_large");
    assert_eq!((check.count, check.examples.len()), (54, 20), "{check:#?}");
    let checks = app.store().reading_up_to(1 << 20).check().await.unwrap();
    assert_eq!(result_of(&checks, "too_large").count, 0);
}

async fn a_check_counts_all_and_shows_twenty(app: TestApp) {
    // There are more rows than in one batch. The first and the last one have a problem.
    let row = |n: usize| {
        let text = if (10..440).contains(&n) { "{}" } else { "{oops" };
        format!("('j{n:03}', 'p1', 'u', 'nobody', '{text}', 0)")
    };
    let all: Vec<String> = (0..450).map(row).collect();
    let insert = "INSERT INTO jobs (id, project_id, user_id, client_id, schedule, deleted) VALUES";
    app.database().run(&format!("{insert} {}", all.join(", "))).await;
    let checks = app.store().check().await.unwrap();
    let json = result_of(&checks, "json");
    assert_eq!((json.count, json.examples.len()), (20, 20), "{json:#?}");
    assert!(json.examples[19].starts_with("jobs.schedule of row j449: "), "{json:#?}");
    let unknown = result_of(&checks, "unknown_clients");
    assert_eq!((unknown.count, unknown.examples.len()), (450, 20), "{unknown:#?}");
    assert!(unknown.examples[19].starts_with("job j019 "), "{unknown:#?}");
}

#[test]
fn missing_and_unsupported_tables_only_fail_the_layout_check() {
    on_empty("unserved", |database| async move {
        let layout_of = async || {
            let checks = store(&database).check().await.unwrap();
            assert_eq!(checks.iter().map(|check| check.name).collect::<Vec<_>>(), ["layout"]);
            assert_eq!(checks[0].verdict, Verdict::Failure);
            format!("{}; {}", checks[0].details, checks[0].advice.unwrap_or_default())
        };
        assert_eq!(layout_of().await, "there are no tables yet; create them with: freezer-manage db sync");
        make_file(&database);
        database.run("CREATE TABLE jobs (id VARCHAR(36), salary INT)").await;
        assert!(layout_of().await.contains("has a table jobs that is not Freezer's"));
        database.run("DROP TABLE jobs").await;
        database.run("CREATE TABLE alembic_version (version_num VARCHAR(32))").await;
        database.run("INSERT INTO alembic_version VALUES ('fedcba987654')").await;
        assert!(layout_of().await.starts_with("at revision fedcba987654, which this release does not know"));
    });
}

#[test]
fn every_released_layout_can_be_checked() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../freezer-store/tests/shapes");
    for engine in BOTH {
        let ending = if engine == Engine::MariaDb { ".mysql.sql" } else { ".sqlite.sql" };
        let shapes = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path());
        let shapes: Vec<_> = shapes
            .filter(|path| {
                path.to_string_lossy().ends_with(ending) && !path.ends_with("i-empty".to_owned() + ending)
            })
            .collect();
        assert!(!shapes.is_empty());
        for shape in shapes {
            let sql = std::fs::read_to_string(&shape).unwrap();
            support::with_database(engine, "shapes", |runtime, database| {
                runtime.block_on(support::bounded(async {
                    make_file(database);
                    database.run(&sql).await;
                    let store = store(database);
                    let served = store.check_schema().await.is_ok();
                    let checks = store.check().await.unwrap_or_else(|error| panic!("{shape:?}: {error}"));
                    assert_eq!(checks.len(), NAMES.len(), "{shape:?}");
                    let layout = result_of(&checks, "layout");
                    let expected = if served { Verdict::Warning } else { Verdict::Failure };
                    assert_eq!(layout.verdict, expected, "{shape:?}: {layout:#?}");
                    assert!(layout.advice.unwrap().contains("freezer-manage db sync"), "{layout:#?}");
                    // After a sync, the check finds nothing.
                    Store::new_or_create(database.url(), ConnectSettings::default(), PoolSettings::default())
                        .sync()
                        .await
                        .unwrap();
                    let checks = store.check().await.unwrap();
                    for name in ["layout", "charset", "widths"] {
                        assert_eq!(
                            result_of(&checks, name).verdict,
                            Verdict::Success,
                            "{shape:?}: {checks:#?}"
                        );
                    }
                }));
            });
        }
    }
}

#[test]
fn the_check_reports_narrow_columns_of_the_python_service() {
    support::with_database(Engine::MariaDb, "python_made", |runtime, database| {
        runtime.block_on(support::bounded(async {
            let dump = include_str!("../golden/schema-19.0.0.sql");
            let statements: Vec<&str> = dump.lines().filter(|line| !line.starts_with("--")).collect();
            database.run(&statements.join("\n")).await;
            let checks = store(database).check().await.unwrap();
            let [layout, charset, widths] =
                ["layout", "charset", "widths"].map(|name| result_of(&checks, name));
            assert_eq!(layout.verdict, Verdict::Warning, "{layout:#?}");
            assert_eq!((charset.verdict, charset.count), (Verdict::Warning, 8), "{charset:#?}");
            assert!(charset.examples.contains(&"jobs: utf8mb3_general_ci".to_owned()), "{charset:#?}");
            assert_eq!(widths.verdict, Verdict::Warning);
            assert!(
                widths.examples.contains(&"clients.hostname: 128 characters, not 255".to_owned()),
                "{widths:#?}"
            );
            assert!(
                widths.examples.contains(&"backups.backup_metadata: text, not mediumtext".to_owned()),
                "{widths:#?}"
            );
        }));
    });
}
