//! Dates that a server in a lenient `sql_mode` has stored: they do not stop an upgrade, and such rows can be listed.

use serde_json::json;

use crate::collations::is_done;
use crate::support::{self, Engine, TestApp, TestDatabase};
use crate::{folder, store};

fn upgraded(shape: &str, planted: &str, value: &str) {
    support::with_database(Engine::MariaDb, "zero_dates", |runtime, database| {
        runtime.block_on(support::bounded(async {
            database
                .run(&std::fs::read_to_string(folder().join(format!("{shape}.mysql.sql"))).unwrap())
                .await;
            let mode = "SET sql_mode = 'ALLOW_INVALID_DATES'";
            for table in ["jobs", "actions", "clients", "sessions", "backups"] {
                let columns = "created_at = @v, updated_at = @v, deleted_at = @v";
                let sql = format!("{mode}; SET @v = '{value}'; UPDATE {table} SET {columns}; {planted}");
                database.run(&sql).await;
            }
            let done =
                store(database).sync().await.unwrap_or_else(|error| panic!("{shape} {value}: {error}"));
            assert!(is_done(&done), "{shape} {value}: {done:?}");
            assert!(is_done(&store(database).sync().await.unwrap()), "{shape} {value}");
            are_listed(database, &format!("{shape} {value}")).await;
        }));
    });
}

/// Page by page, so that the times are in the links to the next page; and the jobs can be changed.
async fn are_listed(database: &TestDatabase, case: &str) {
    let app = TestApp::on(database, store(database));
    for table in ["jobs", "actions", "clients", "sessions", "backups"] {
        let projects = format!("SELECT DISTINCT project_id FROM {table} WHERE deleted = 0");
        for project in database.texts(&projects).await {
            let member = app.as_user("u", &project, "member");
            let first = format!("/v2/{project}/{table}?limit=1");
            let mut pages = 0;
            let mut next = Some(first);
            while let Some(path) = next.take().filter(|_| pages < 5) {
                let page = member.get(&path).await.expect(200).json();
                pages += 1;
                next = page[format!("{table}_links")][0]["href"]
                    .as_str()
                    .map(|link| link.find("/v2/").map_or(link.to_owned(), |at| link[at..].to_owned()));
            }
            let whole = member.get(&format!("/v2/{project}/{table}?sort=created_at:desc")).await.expect(200);
            if table == "jobs" {
                let id = whole.json()["jobs"][0]["job_id"].as_str().unwrap().to_owned();
                let path = format!("/v2/{project}/jobs/{id}");
                member.patch(&path, json!({"description": case})).await.expect(200);
                member.get(&path).await.expect(200);
            }
        }
    }
}

#[test]
fn dates_of_lenient_modes_do_not_stop_an_upgrade() {
    for (shape, value) in [
        ("f-18.0.0", "0000-00-00 00:00:00"),
        ("f-18.0.0-latin1", "2020-00-00 00:00:00"),
        ("a-7.0.0", "0000-00-00 00:00:00"),
        ("g-19.0.0", "2026-02-31 00:00:00"),
    ] {
        let planted = match shape {
            "g-19.0.0" => "UPDATE action_reports SET report_date = 0",
            _ => "SELECT 1",
        };
        upgraded(shape, planted, value);
    }
}
