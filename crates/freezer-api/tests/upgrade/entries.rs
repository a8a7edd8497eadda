//! The upgrade of each entry in `jobs.job_actions`: it becomes a link, a new action or a leftover. Leftovers are
//! reported.

use std::collections::BTreeMap;

use freezer_api::manage::{db, leftovers};
use freezer_store::migrations::{SyncOptions, Wishes, holder};
use serde_json::{Value, json};

use crate::again::rows;
use crate::dump::{Dump, Values, dropping};
use crate::support::{self, Engine, TestApp, TestDatabase};
use crate::{folder, loadable, store};

/// Existing actions: `a`, `b` and `m` of project p, a deleted one, and one of another project.
const ACTIONS: &str = r#"
INSERT INTO actions (id, action, project_id, user_id, actionmode, path_to_backup, max_retries, max_retries_interval, mandatory, backup_metadata, deleted) VALUES
('a', 'backup', 'p', 'u', 'fs', '/a', 5, 6, 0, '{"action": "backup", "mode": "fs", "path_to_backup": "/a", "storage": "s3"}', 0),
('b', 'exec', 'p', 'u', NULL, NULL, 2, 30, 1, '{"action": "exec", "command": "b"}', 0),
('m', 'exec', 'p', 'u', NULL, NULL, 2, 30, 1, '{"action": "exec", "command": "m", "mandatory": true}', 0),
('gone', 'exec', 'p', 'u', NULL, NULL, 5, 6, 0, '{"action": "exec", "command": "gone"}', 1),
('far', 'exec', 'q', 'u', NULL, NULL, 5, 6, 0, '{"action": "exec", "command": "far"}', 0);
"#;

/// The definition of `a`.
const A: &str =
    r#""freezer_action": {"action": "backup", "mode": "fs", "path_to_backup": "/a", "storage": "s3"}"#;

/// Returns an entry with the meaning of `a`.
fn is_a() -> String {
    format!(r#"{{"action_id": "a", "max_retries": 5, "max_retries_interval": 6, {A}}}"#)
}

/// The result for an entry.
#[derive(Debug, Clone, PartialEq)]
enum To {
    /// A link to this action.
    Link(&'static str),
    /// A link to another action: retries, interval, mandatory, and a part of its document.
    Own(i64, i64, bool, &'static str),
    /// No link.
    Nothing,
}

struct Case {
    text: String,
    to: Vec<To>,
    /// The text that is kept, and the number of its values.
    kept: Option<(String, u64)>,
}

fn case(text: impl Into<String>, to: &[To], kept: Option<(&str, u64)>) -> Case {
    Case { text: text.into(), to: to.to_vec(), kept: kept.map(|(text, values)| (text.to_owned(), values)) }
}

fn cases() -> Vec<Case> {
    use To::{Link, Nothing, Own};
    let a = is_a();
    let whole = |text: &str, to: &[To], values: u64| case(text, to, Some((text, values)));
    vec![
        // These are references without a definition.
        case(r#"[{"action_id": "a"}]"#, &[Link("a")], None),
        case(
            r#"[{"action_id": "b", "freezer_action": {}}, {"action_id": "a", "freezer_action": null}]"#,
            &[Link("b"), Link("a")],
            None,
        ),
        case(
            r#"[{"action_id": "a", "freezer_action": {"action": null, "mode": null}, "mandatory": null}]"#,
            &[Link("a")],
            None,
        ),
        case(
            r#"[{"action_id": "b", "max_retries": 2, "max_retries_interval": 30, "mandatory": true, "user_id": "u"}]"#,
            &[Link("b")],
            None,
        ),
        // If they have their own retries, these are kept.
        case(
            r#"[{"action_id": "b", "max_retries": 9}, {"action_id": "a", "mandatory": true}]"#,
            &[Own(9, 30, true, r#""command":"b""#), Own(5, 6, true, r#""storage":"s3""#)],
            None,
        ),
        // The job may not use these actions.
        whole(
            r#"[{"action_id": "gone"}, {"action_id": "far"}, {"action_id": "none"}]"#,
            &[Nothing, Nothing, Nothing],
            3,
        ),
        // This definition has no operation: it is linked, as in 19.0.0, and kept.
        whole(r#"[{"action_id": "a", "freezer_action": {"mode": "nova"}}]"#, &[Link("a")], 1),
        whole(r#"[{"freezer_action": {"mode": "nova"}}]"#, &[Nothing], 1),
        // An invalid element does not affect the rest of the list.
        case(
            format!(r#"[{a}, "text", null, {{"action_id": "b", "freezer_action": {{}}}}]"#),
            &[Link("a"), Nothing, Nothing, Link("b")],
            Some((r#"["text", null]"#, 2)),
        ),
        case(
            format!(r#"[5, {a}, [{a}], {{}}, true]"#),
            &[Nothing, Link("a"), Nothing, Nothing, Nothing],
            Some((&format!("[5, [{a}], {{}}, true]"), 4)),
        ),
        // These are the retries and `mandatory` of the entry, as schedulers read them.
        case(format!("[{a}]"), &[Link("a")], None),
        case(format!(r#"[{{"action_id": "a", {A}}}]"#), &[Own(0, 60, false, r#""storage":"s3""#)], None),
        case(format!(r#"[{{"action_id": "a", "max_retries": 3, {A}}}]"#), &[Own(3, 60, false, "s3")], None),
        case(
            format!(
                r#"[{{"action_id": "a", "max_retries": 5, "max_retries_interval": 6, "mandatory": true, {A}}}]"#
            ),
            &[Own(5, 6, true, "s3")],
            None,
        ),
        case(
            r#"[{"action_id": "b", "max_retries": 2, "max_retries_interval": 30, "freezer_action": {"action": "exec", "command": "b"}}]"#,
            &[Own(2, 30, false, r#""command":"b""#)],
            None,
        ),
        case(
            r#"[{"max_retries": "4", "mandatory": 1, "freezer_action": {"action": "exec", "command": "c"}}]"#,
            &[Own(4, 60, true, "c")],
            Some((
                r#"[{"max_retries": "4", "mandatory": 1, "freezer_action": {"action": "exec", "command": "c"}}]"#,
                1,
            )),
        ),
        whole(
            r#"[{"max_retries": 99999999999, "freezer_action": {"action": "exec", "command": "d"}}]"#,
            &[Own(2_147_483_647, 60, false, "d")],
            1,
        ),
        // The definition has precedence, also for a deleted action or for one of another project.
        case(
            r#"[{"action_id": "gone", "freezer_action": {"action": "exec", "command": "gone"}}]"#,
            &[Own(0, 60, false, "gone")],
            None,
        ),
        case(
            r#"[{"action_id": "far", "freezer_action": {"action": "exec", "command": "far"}}]"#,
            &[Own(0, 60, false, "far")],
            None,
        ),
        // Releases stored `mandatory` in a definition.
        case(
            r#"[{"action_id": "m", "max_retries": 2, "max_retries_interval": 30, "freezer_action": {"action": "exec", "command": "m", "mandatory": true}}]"#,
            &[Link("m")],
            None,
        ),
        case(
            r#"[{"action_id": "m", "max_retries": 2, "max_retries_interval": 30, "mandatory": false, "freezer_action": {"action": "exec", "command": "m", "mandatory": true}}]"#,
            &[Own(2, 30, false, r#""command":"m""#)],
            None,
        ),
        case(
            r#"[{"freezer_action": {"action": "exec", "command": "n", "mandatory": true, "max_retries": 9}}]"#,
            &[Own(0, 60, true, r#""max_retries":9"#)],
            None,
        ),
        // If a value is not JSON, only this value is lost, and the entry is kept.
        case(
            r#"[{"max_retries": 1, "freezer_action": {"action": "exec", "x": NaN, "y": [1, -Infinity], "command": "e"}}, {"action_id": "b"}]"#,
            &[Own(1, 60, false, r#""x":null,"y":[1,null],"command":"e""#), Link("b")],
            Some((
                r#"[{"max_retries": 1, "freezer_action": {"action": "exec", "x": NaN, "y": [1, -Infinity], "command": "e"}}]"#,
                1,
            )),
        ),
        case(
            r#"[{"freezer_action": {"action": "exec", "x": "\udcff", "command": "f"}}, {"action_id": "b"}]"#,
            &[Own(0, 60, false, r#""x":null,"command":"f""#), Link("b")],
            Some((r#"[{"freezer_action": {"action": "exec", "x": "\udcff", "command": "f"}}]"#, 1)),
        ),
        case(
            r#"[{"action_id": "a"}, undefined, NaN, {"action_id": "b"}]"#,
            &[Link("a"), Nothing, Nothing, Link("b")],
            Some(("[undefined, NaN]", 2)),
        ),
        case(r#"[{"action_id": "a"},]"#, &[Link("a")], None),
        case(
            r#"[{"action_id": "a", "x": 1 "y": 2}, {"action_id": "b"}]"#,
            &[Nothing, Link("b")],
            Some((r#"[{"action_id": "a", "x": 1 "y": 2}]"#, 1)),
        ),
        // If text follows the list, its intended end is unknown.
        whole(r#"[{"action_id": "a"}] {"action_id": "b"}"#, &[Link("a")], 1),
        // The list is truncated. Incomplete entries must not run.
        whole(
            r#"[{"action_id": "b"}, {"freezer_action": {"action": "restore", "restore_abs_path": "/va"#,
            &[Link("b"), Nothing],
            1,
        ),
        whole(r#"[{"action_id": "b"}, {"action_id": "a"}"#, &[Link("b"), Link("a")], 1),
        // All digits of large numbers are kept. If a key is repeated, the last one counts, as in Python.
        case(
            r#"[{"freezer_action": {"action": "exec", "n": 123456789012345678901234567890, "command": "g", "command": "h"}}]"#,
            &[Own(0, 60, false, r#""n":123456789012345678901234567890,"command":"h""#)],
            None,
        ),
        // An id occurs twice, once as a reference. The definition precedes or follows it.
        case(
            r#"[{"action_id": "new", "freezer_action": {"action": "exec", "command": "i"}}, {"action_id": "new"}, {"action_id": "later"}]"#,
            &[
                Own(0, 60, false, r#""command":"i""#),
                Own(0, 60, false, r#""command":"i""#),
                Own(0, 60, false, r#""command":"j""#),
            ],
            None,
        ),
        case(
            r#"[{"action_id": "later", "freezer_action": {"action": "exec", "command": "j"}}]"#,
            &[Own(0, 60, false, r#""command":"j""#)],
            None,
        ),
        // These are not lists.
        whole(r#"{"action_id": "a"}"#, &[], 1),
        whole(r#""[{\"action_id\": \"a\"}]""#, &[], 1),
        whole("7", &[], 1),
        whole("nonsense", &[], 1),
        case("null", &[], None),
        case("\"\"", &[], None),
        case("", &[], None),
        case("[]", &[], None),
        case("{}", &[], None),
    ]
}

fn seed() -> String {
    let mut sql = ACTIONS.to_owned();
    for (at, case) in cases().iter().enumerate() {
        sql += &format!(
            "INSERT INTO jobs (id, project_id, user_id, client_id, job_actions, deleted) \
             VALUES ('job-{at:02}', 'p', 'u', 'c', '{}', 0);\n",
            case.text.replace('\'', "''")
        );
    }
    sql
}

/// Quotes text for a statement. MySQL interprets backslashes.
fn quoted(engine: Engine, sql: &str) -> String {
    if engine == Engine::Sqlite { sql.to_owned() } else { sql.replace('\\', "\\\\") }
}

pub async fn loaded(database: &TestDatabase) -> String {
    let engine = database.engine();
    let ending = if engine == Engine::Sqlite { "sqlite" } else { "mysql" };
    let sql = std::fs::read_to_string(folder().join(format!("f-18.0.0.{ending}.sql"))).unwrap();
    let sql = dropping(engine, &loadable(engine, &sql)) + &quoted(engine, &seed());
    store(database).schema_state().await.unwrap();
    database.run(&sql).await;
    sql
}

fn assert_entries(after: &Dump) {
    let (links, actions, leftovers) =
        (after.table("job_actions"), after.table("actions"), after.table("freezer_leftovers"));
    for (at, case) in cases().iter().enumerate() {
        let job = format!("job-{at:02}");
        let is_job = |row: &&Values| row["job_id"].as_deref() == Some(&job);
        let of_job: BTreeMap<usize, &Values> = links
            .values()
            .filter(is_job)
            .map(|row| (row["position"].as_ref().unwrap().parse().unwrap(), row))
            .collect();
        assert_eq!(links.values().filter(is_job).count(), of_job.len(), "{}", case.text);
        for (position, to) in case.to.iter().enumerate() {
            let text = format!("{}, entry {position}", case.text);
            let id = of_job.get(&position).map(|link| link["action_id"].clone().unwrap());
            match to {
                To::Nothing => assert_eq!(id, None, "{text}"),
                To::Link(expected) => assert_eq!(id.as_deref(), Some(*expected), "{text}"),
                To::Own(tries, interval, mandatory, part) => {
                    let id = id.unwrap_or_else(|| panic!("{text}: no link"));
                    assert!(!["a", "b", "m", "gone", "far"].contains(&id.as_str()), "{text}: {id}");
                    let action = &actions[&id];
                    let found = (action["max_retries"].as_deref(), action["max_retries_interval"].as_deref());
                    assert_eq!(found, (Some(&*tries.to_string()), Some(&*interval.to_string())), "{text}");
                    assert_eq!(action["mandatory"].as_deref() == Some("1"), *mandatory, "{text}");
                    let document = action["backup_metadata"].as_deref().unwrap();
                    assert!(document.contains(part), "{text}: {document}");
                    assert!(after.table("action_reports").contains_key(&id), "{text}: a report");
                }
            }
        }
        assert!(of_job.keys().all(|position| *position < case.to.len()), "{}: {of_job:?}", case.text);
        let kept: Vec<_> = leftovers.values().filter(|row| row["row_id"].as_deref() == Some(&job)).collect();
        let expected = case.kept.as_ref().map(|(text, _)| text.as_str());
        assert_eq!(kept.iter().map(|row| row["value"].as_deref().unwrap()).next(), expected, "{}", case.text);
        assert!(
            kept.len() < 2 && kept.iter().all(|row| row["column_name"].as_deref() == Some("job_actions"))
        );
    }
    // The stored actions are unchanged.
    for (id, tries) in [("a", "5"), ("b", "2"), ("gone", "5"), ("far", "5")] {
        assert_eq!(actions[id]["max_retries"].as_deref(), Some(tries), "{id}");
    }
}

fn on_both(name: &str, body: impl AsyncFn(&TestDatabase)) {
    for engine in [Engine::Sqlite, Engine::MariaDb, Engine::MySql] {
        support::with_database(engine, name, |runtime, database| {
            runtime.block_on(support::bounded(body(database)));
        });
    }
}

#[test]
fn each_entry_keeps_its_meaning() {
    on_both("entries", async |database| {
        let sql = loaded(database).await;
        store(database).sync().await.unwrap();
        let once = rows(database).await;
        assert_entries(&once);
        // The upgrade runs again on the result of the first one.
        database.run("UPDATE job_actions SET action_id = 'b'").await;
        database.run("UPDATE freezer_leftovers SET value = 'stale'").await;
        if database.engine() == Engine::MySql {
            // MySQL refuses the dump over upgraded tables, so docs/upgrading.md says to create the database again
            let refused = database.try_run(&sql).await.unwrap_err();
            assert!(refused.contains("3780") && refused.contains("job_actions"), "{refused}");
            database.create_again().await;
        }
        database.run(&sql).await;
        store(database).sync().await.unwrap();
        assert_eq!(rows(database).await.difference(&once), None);
    });
}

pub fn options() -> SyncOptions {
    SyncOptions { wishes: Wishes::default(), wait: std::time::Duration::ZERO, holder: holder() }
}

/// Returns the numbers of values and of rows in a line.
pub fn numbers(line: &str) -> (u64, u64) {
    let (_, rest) = line.rsplit_once(": ").filter(|_| !line.contains("db leftovers")).unwrap_or_else(|| {
        let (counts, _) = line.split_once("; see").unwrap();
        counts.rsplit_once(": ").unwrap()
    });
    let words: Vec<&str> = rest.split(' ').collect();
    (words[0].parse().unwrap(), words[3].parse().unwrap())
}

#[test]
fn unmovable_values_are_counted_and_reported() {
    on_both("said", async |database| {
        loaded(database).await;
        let store = store(database);
        let expected = store.unmovable().await.unwrap();
        let planted: u64 =
            cases().iter().filter_map(|case| case.kept.as_ref()).map(|(_, values)| values).sum();
        assert!(expected.values > planted, "those of the shape as well: {expected:?}");
        let mut out = Vec::new();
        db::dry_run(&store, Wishes::default(), &mut out).await.unwrap();
        let plan = String::from_utf8(out).unwrap();
        let line = plan.lines().find(|line| line.contains("cannot be moved")).unwrap();
        assert_eq!(numbers(line), (expected.values, expected.rows), "{line}");
        assert!(plan.contains("--   jobs.job_actions of row job-05: 3 values"), "{plan}");
        let checks = store.check().await.unwrap();
        let check = checks.iter().find(|check| check.name == "unmovable").unwrap();
        assert_eq!(check.count, expected.values);

        let mut out = Vec::new();
        db::sync(&store, &options(), &mut out).await.unwrap();
        let said = String::from_utf8(out).unwrap();
        let last = said.lines().last().unwrap();
        assert!(
            last.contains("kept in freezer_leftovers")
                && last.contains("see them with: freezer-manage db leftovers"),
            "{last}"
        );
        assert_eq!(numbers(last), (expected.values, expected.rows), "{last}");

        let mut out = Vec::new();
        leftovers::print(&store, true, &mut out).await.unwrap();
        let shown: Value = serde_json::from_slice(&out).unwrap();
        let shown = shown["leftovers"].as_array().unwrap();
        assert_eq!(shown.len() as u64, expected.rows);
        let job =
            json!({"table": "jobs", "row": "job-08", "column": "job_actions", "value": "[\"text\", null]"});
        assert!(shown.contains(&job), "{shown:?}");
        let mut out = Vec::new();
        leftovers::print(&store, false, &mut out).await.unwrap();
        let text = String::from_utf8(out).unwrap();
        assert!(text.contains("jobs.job_actions of row job-08: [\"text\", null]\n"), "{text}");

        let checks = store.check().await.unwrap();
        let idle = checks.iter().find(|check| check.name == "jobs_without_actions").unwrap();
        let links = rows(database).await.table("job_actions");
        let jobs = rows(database).await.table("jobs");
        let live = |row: &&Values| row["deleted"].as_deref() == Some("0");
        let without = jobs.values().filter(live).filter(|job| {
            !links.values().any(|link| link["job_id"] == job["id"] && link["deleted"].as_deref() == Some("0"))
        });
        assert_eq!(idle.count, without.count() as u64, "{idle:#?}");
        assert_eq!(checks.iter().find(|check| check.name == "unmovable").unwrap().count, 0);
    });
}

#[test]
fn a_column_is_kept_if_its_values_have_no_other_place() {
    on_both("guarded", async |database| {
        loaded(database).await;
        let store = store(database);
        let plan = store.plan(Wishes::default()).await.unwrap();
        let drop = plan.steps.iter().find(|step| step.what == "drop jobs.job_actions").unwrap();
        // Another service writes while the jobs are moved, after they were last read.
        let mut wrote = false;
        let options = options();
        let sync = store.sync_with(&options, |at| {
            if at.what == "move jobs.job_actions into the table job_actions" && at.rows.is_none() && !wrote {
                wrote = true;
                let database = database.clone();
                std::thread::spawn(move || {
                    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
                    let list = r#"[{"action_id": "b"}, {"action_id": "a"}]"#;
                    let sql = format!("UPDATE jobs SET job_actions = '{list}' WHERE id = 'job-00'");
                    runtime.block_on(database.run(&sql));
                })
                .join()
                .unwrap();
            }
        });
        let error = sync.await.unwrap_err().to_string();
        assert!(error.contains("jobs.job_actions") && error.contains("1 row: job-00"), "{error}");
        assert!(rows(database).await.table("jobs")["job-00"].contains_key("job_actions"), "{drop:?}");
        store.sync().await.unwrap();
        let links = rows(database).await.table("job_actions");
        let mut of_job: Vec<_> = links
            .values()
            .filter(|link| link["job_id"].as_deref() == Some("job-00"))
            .map(|link| (link["position"].clone().unwrap(), link["action_id"].clone().unwrap()))
            .collect();
        of_job.sort();
        assert_eq!(of_job, [("0".to_owned(), "b".to_owned()), ("1".to_owned(), "a".to_owned())]);
    });
}

/// A column exists under its old and its new name. The value of the new one has precedence, and differing values of the
/// old one are kept.
#[test]
fn values_of_a_column_under_its_old_name_are_kept() {
    on_both("renamed", async |database| {
        loaded(database).await;
        for column in ["mode", "src_file"] {
            database.run(&format!("ALTER TABLE actions ADD COLUMN {column} VARCHAR(255)")).await;
        }
        database.run("UPDATE actions SET mode = 'old', src_file = '/old' WHERE id IN ('a', 'b')").await;
        let expected = store(database).unmovable().await.unwrap();
        store(database).sync().await.unwrap();
        let after = rows(database).await;
        let actions = after.table("actions");
        let mode = |id: &str| (actions[id]["actionmode"].clone(), actions[id]["path_to_backup"].clone());
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(mode("a"), (some("fs"), some("/a")));
        assert_eq!(mode("b"), (some("old"), some("/old")));
        assert!(!actions["a"].contains_key("mode") && !actions["a"].contains_key("src_file"));
        let kept: Vec<_> = after
            .table("freezer_leftovers")
            .into_values()
            .filter(|row| row["table_name"].as_deref() == Some("actions"))
            .map(|row| (row["row_id"].clone(), row["column_name"].clone(), row["value"].clone()))
            .collect();
        let expected_rows =
            [(some("a"), some("mode"), some("old")), (some("a"), some("src_file"), some("/old"))];
        assert_eq!(kept, expected_rows);
        assert!(
            expected.examples.contains(&"actions.mode of row a: 1 value".to_owned()) || expected.rows > 20
        );
    });
}

/// If a value in a stored action is not JSON, the service omits only this value.
#[test]
fn the_service_shows_the_valid_values_of_an_action() {
    on_both("shown", async |database| {
        loaded(database).await;
        database
            .run("UPDATE actions SET backup_metadata = '{\"action\": \"exec\", \"x\": NaN, \"command\": \"b\"}' WHERE id = 'b'")
            .await;
        store(database).sync().await.unwrap();
        let app = TestApp::on(database, store(database));
        let member = app.as_user("u", "p", "member");
        let job = member.get("/v2/p/jobs/job-08").await.expect(200).json();
        let shown: Vec<&Value> =
            job["job_actions"].as_array().unwrap().iter().map(|of| &of["action_id"]).collect();
        assert_eq!(shown, ["a", "b"]);
        let action = &job["job_actions"][1]["freezer_action"];
        assert_eq!((&action["command"], &action["x"]), (&json!("b"), &Value::Null), "{action}");
        assert_eq!(job["job_actions"][1]["mandatory"], json!(true));
    });
}

/// An action that is created from an entry belongs to the user in the entry, as in freezer-api 19.0.0.
#[test]
fn an_action_belongs_to_the_user_of_its_entry() {
    on_both("users", async |database| {
        loaded(database).await;
        for (job, user) in [("u-1", r#""user_id": "U2", "#), ("u-2", r#""user_id": null, "#), ("u-3", "")] {
            let list = format!(r#"[{{{user}"freezer_action": {{"action": "exec", "command": "{job}"}}}}]"#);
            database
                .run(&format!(
                    "INSERT INTO jobs (id, project_id, user_id, client_id, job_actions, deleted) \
                     VALUES ('{job}', 'p', 'u', 'c', '{list}', 0)"
                ))
                .await;
        }
        store(database).sync().await.unwrap();
        let after = rows(database).await;
        let (links, actions, reports) =
            (after.table("job_actions"), after.table("actions"), after.table("action_reports"));
        for (job, user) in [("u-1", "U2"), ("u-2", "u"), ("u-3", "u")] {
            let link = links.values().find(|link| link["job_id"].as_deref() == Some(job)).unwrap();
            let id = link["action_id"].as_deref().unwrap();
            assert_eq!(actions[id]["user_id"].as_deref(), Some(user), "{job}");
            assert_eq!(reports[id]["user_id"].as_deref(), Some(user), "{job}");
        }
    });
}
