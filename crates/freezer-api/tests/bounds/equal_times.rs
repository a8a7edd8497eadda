//! Lists of rows with the same time of creation, as a bulk import creates them. Each page and each batch of a search
//! must begin at its first row, and not read the preceding rows with the same time again.

use serde_json::{Value, json};

use crate::support::mariadbd::Server;
use crate::support::{Engine, Options, TestApp, TestDatabase, bounded, on_both_engines};

on_both_engines![pages_contain_each_row_once, searches_contain_each_row_once];

/// The lists, with the place of the id in their documents.
const LISTS: [(&str, &str); 5] = [
    ("clients", "/client/client_id"),
    ("actions", "/action_id"),
    ("sessions", "/session_id"),
    ("backups", "/backup_id"),
    ("jobs", "/job_id"),
];

const TIME: &str = "'2026-01-01 00:00:00'";

/// Returns the id of a row. The order of ids is not that of the primary key's insertion.
fn id(number: usize) -> String {
    format!("r-{:05}", number * 7_919 % 100_003)
}

/// Inserts `count` rows into each table. Each job has one action. `time` returns the time of a row.
async fn seed(database: &TestDatabase, count: usize, time: fn(usize) -> &'static str) {
    let mut sql = "BEGIN;\n".to_owned();
    let mut insert = |table: &str, columns: &str, values: &dyn Fn(usize, &str) -> String| {
        let rows: Vec<String> = (0..count)
            .map(|number| {
                format!("('{id}', 0, {}, {})", time(number), values(number, &id(number)), id = id(number))
            })
            .collect();
        for some in rows.chunks(500) {
            let rows = some.join(", ");
            sql.push_str(&format!(
                "INSERT INTO {table} (id, deleted, created_at, {columns}) VALUES {rows};\n"
            ));
        }
    };
    let owned = "project_id, user_id";
    insert("clients", &format!("{owned}, client_id, uuid, hostname"), &|number, id| {
        format!("'p1', 'u1', '{id}', '{id}', 'h{}'", number % 3)
    });
    insert("sessions", &format!("{owned}, session_tag, schedule, description"), &|number, _| {
        format!("'p1', 'u1', 0, '{{}}', 'h{}'", number % 3)
    });
    insert(
        "jobs",
        &format!("{owned}, client_id, session_id, session_tag, schedule, description"),
        &|number, _| {
            let status = if number % 10 == 0 { "scheduled" } else { "completed" };
            format!(r#"'p1', 'u1', 'node', '', 0, '{{"status": "{status}"}}', 'h{}'"#, number % 3)
        },
    );
    insert("actions", &format!("{owned}, action, actionmode, backup_metadata"), &|number, _| {
        format!(r#"'p1', 'u1', 'backup', 'fs', '{{"note": "h{}"}}'"#, number % 3)
    });
    insert("job_actions", "job_id, action_id, position", &|_, id| format!("'{id}', '{id}', 0"));
    insert("backups", &format!("{owned}, status, backup_metadata"), &|number, _| {
        format!(r#"'p1', 'u1', 'available', '{{"backup_name": "h{}"}}'"#, number % 3)
    });
    sql.push_str("COMMIT;\n");
    if database.engine() != Engine::Sqlite {
        sql.push_str("ANALYZE TABLE clients, sessions, jobs, actions, job_actions, backups;\n");
    }
    database.run(&sql).await;
}

/// Rows of three times, in the order of a list: none, an early and a late one.
const MIXED: usize = 720;

fn mixed(number: usize) -> &'static str {
    ["NULL", TIME, "'2026-02-01 00:00:00'"][number % 3]
}

/// Returns the ids of the rows that `wanted` accepts, in order.
fn in_order(is_descending: bool, wanted: fn(usize) -> bool) -> Vec<String> {
    let mut places: Vec<(usize, String)> =
        (0..MIXED).filter(|number| wanted(*number)).map(|number| (number % 3, id(number))).collect();
    places.sort();
    if is_descending {
        places.reverse();
    }
    places.into_iter().map(|(_, id)| id).collect()
}

async fn pages_contain_each_row_once(app: TestApp) {
    seed(app.database(), MIXED, mixed).await;
    for (list, key) in LISTS {
        for (order, limit) in [("asc", 83), ("desc", 100), ("asc", 241), ("desc", 240)] {
            let mut found: Vec<String> = Vec::new();
            loop {
                let marker = found.last().map(|last| format!("&marker={last}")).unwrap_or_default();
                let path = format!("/v2/p1/{list}?sort=created_at:{order}&limit={limit}{marker}");
                let page = app.member().get(&path).await.expect(200).each(list, key);
                if page.is_empty() {
                    break;
                }
                found.extend(page);
                assert!(found.len() <= MIXED, "{list}, {order}");
            }
            assert!(found == in_order(order == "desc", |_| true), "{list}, {order}, {limit}");
        }
    }
}

async fn searches_contain_each_row_once(app: TestApp) {
    seed(app.database(), MIXED, mixed).await;
    let member = app.member();
    for (list, key) in LISTS {
        for order in ["asc", "desc"] {
            let is_descending = order == "desc";
            let all = in_order(is_descending, |_| true);
            for (search, expected) in [
                (json!({"match": [{"_all": "h1"}]}), in_order(is_descending, |number| number % 3 == 1)),
                (json!({"match_not": [{"_all": "h1"}]}), in_order(is_descending, |number| number % 3 != 1)),
                (
                    json!({"match_not": [{"description": "h0"}, {"note": "h0"}, {"backup_name": "h0"}, {"hostname": "h0"}]}),
                    in_order(is_descending, |number| number % 3 != 0),
                ),
                (json!({"match": [{"_all": "nowhere"}]}), Vec::new()),
            ] {
                // The first page, and pages after a marker in each group and at its ends.
                for start in [0_usize, 1, 240, 241, 480, 719] {
                    let marker =
                        start.checked_sub(1).map(|at| format!("&marker={}", all[at])).unwrap_or_default();
                    let path =
                        format!("/v2/p1/{list}?sort=created_at:{order}&limit=1000&with_count=true{marker}");
                    let answer = member.search(&path, search.clone()).await.expect(200);
                    let rest: Vec<&String> = all[start..].iter().filter(|id| expected.contains(id)).collect();
                    let found = answer.each(list, key);
                    assert!(found.iter().eq(rest), "{list}, {order}, {search}, {start}");
                    assert_eq!(answer.json()["count"], json!(expected.len()), "{list}, {order}, {search}");
                }
            }
        }
    }
}

const ROWS: usize = 3_000;

/// A search of all jobs reads the links and actions of each job twice, 12 entries for each job. If each batch read all
/// preceding rows again, it would be about six entries more.
const LARGEST_COST: i64 = 13 * ROWS as i64;

/// Returns the number of rows and index entries that the server has read.
async fn entries_read(database: &TestDatabase) -> i64 {
    let sql = "SELECT CAST(SUM(variable_value) AS SIGNED) FROM information_schema.global_status WHERE variable_name \
               IN ('HANDLER_READ_NEXT', 'HANDLER_READ_PREV', 'HANDLER_READ_KEY', 'HANDLER_ICP_ATTEMPTS')";
    database.number(sql).await
}

/// Sends a search and returns the number of rows and index entries that the server read for it.
async fn cost(app: &TestApp, path: &str, search: Option<&Value>) -> i64 {
    let before = entries_read(app.database()).await;
    match search {
        Some(search) => drop(app.member().search(path, search.clone()).await.expect(200)),
        None => drop(app.member().get(path).await.expect(200)),
    }
    entries_read(app.database()).await - before
}

async fn pages_and_searches_read_each_row_once(app: &TestApp, time: fn(usize) -> &'static str) {
    seed(app.database(), ROWS, time).await;
    let mut ids: Vec<String> = (0..ROWS).map(id).collect();
    ids.sort();
    let middle = &ids[ROWS / 2];
    let mut wrong = Vec::new();
    for (list, _) in LISTS {
        let found_on_each_page = [
            None,
            Some(json!({"match_not": [{"description": "h0"}, {"note": "h0"}, {"backup_name": "h0"}]})),
        ];
        for order in ["asc", "desc"] {
            for search in &found_on_each_page {
                let path = format!("/v2/p1/{list}?sort=created_at:{order}&limit=10&marker={middle}");
                cost(app, &path, search.as_ref()).await;
                let read = cost(app, &path, search.as_ref()).await;
                if read > 400 {
                    wrong
                        .push(format!("{list}, {order}, a page after a marker: {read} entries ({search:?})"));
                }
            }
            for search in [
                json!({"match": [{"_all": "nowhere"}]}),
                json!({"match_not": [{"user_id": "u1"}]}),
                json!({"match_not": [{"action": "backup"}, {"status": "available"}, {"hostname": "h0"}, {"hostname": "h1"}]}),
                json!({"match": [{"project_id": "p1"}], "match_not": [{"user_id": "u1"}]}),
                json!({"match": [{"client_id": "node"}], "match_not": [{"user_id": "u1"}]}),
                json!({"match": [{"client_id": "node"}], "match_not": [{"action": "backup"}]}),
                json!({"match": [{"client_id": "node"}, {"_all": "nowhere"}], "match_not": [{"status": "completed"}]}),
                json!({"match": [{"_all": "nowhere"}], "match_not": [{"status": "completed"}]}),
            ] {
                let query = if order == "asc" { "limit=5000&with_count=true" } else { "limit=10" };
                let path = format!("/v2/p1/{list}?sort=created_at:{order}&{query}");
                let read = cost(app, &path, Some(&search)).await;
                if read > LARGEST_COST {
                    wrong.push(format!("{list}, {order}, {query}, {search}: {read} entries"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

async fn on_an_own_server(name: &str, time: fn(usize) -> &'static str) {
    let Some(server) = Server::start(name).await else { return };
    let app = TestApp::start(&server.database().await, Options::default()).await;
    pages_and_searches_read_each_row_once(&app, time).await;
}

fn run(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(bounded(test));
}

#[test]
fn rows_of_one_time_are_read_once() {
    run(on_an_own_server("equal", |_| TIME));
}

#[test]
fn rows_without_a_time_are_read_once() {
    run(on_an_own_server("untimed", |_| "NULL"));
}
