//! Database servers: old versions are rejected with an explanation, and servers with another default row format are
//! supported.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use freezer_store::maintenance::Verdict;
use freezer_store::migrations::{Synced, Wishes};
use freezer_store::{ConnectSettings, DatabaseUrl, PoolSettings, Store};
use serde_json::json;
use sqlx::{AssertSqlSafe, Row};

use crate::support::{self, Engine, TestApp, TestDatabase, database};
use crate::{folder, has_the_tables_of_a_fresh_one, store};

/// Starts a server that reports an old version. It implements only this part of MySQL's protocol.
fn old_server(version: &'static str) -> u16 {
    server(version, &Statements::default())
}

/// The statements that a server got.
type Statements = Arc<Mutex<Vec<String>>>;

fn server(version: &'static str, statements: &Statements) -> u16 {
    let statements = Arc::clone(statements);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let statements = Arc::clone(&statements);
            std::thread::spawn(move || serve(stream, version, &statements));
        }
    });
    port
}

fn serve(mut stream: TcpStream, version: &str, statements: &Statements) -> Option<()> {
    let mut hello = vec![10];
    hello.extend(version.as_bytes());
    hello.extend([0, 1, 0, 0, 0]);
    hello.extend(*b"abcdefgh\0");
    // Protocol 4.1, transactions, secure connection, authentication by plugin.
    hello.extend([0x00, 0xa2, 45, 2, 0, 0x08, 0x00, 21]);
    hello.extend([0; 10]);
    hello.extend(*b"ijklmnopqrst\0mysql_native_password\0");
    send(&mut stream, 0, &hello)?;
    let mut number = receive(&mut stream)?.0;
    send(&mut stream, number + 1, OK)?;
    loop {
        let (last, command) = receive(&mut stream)?;
        number = last;
        let sql = String::from_utf8_lossy(command.get(1..)?).to_string();
        if command[0] == 3 {
            statements.lock().ok()?.push(sql.clone());
        }
        if command[0] == 3 && sql.contains("VERSION()") {
            send(&mut stream, number + 1, &[1])?;
            send(&mut stream, number + 2, &column())?;
            send(&mut stream, number + 3, &[0xfe, 0, 0, 2, 0])?;
            let mut row = vec![u8::try_from(version.len()).ok()?];
            row.extend(version.as_bytes());
            send(&mut stream, number + 4, &row)?;
            send(&mut stream, number + 5, &[0xfe, 0, 0, 2, 0])?;
        } else if command[0] == 3 && sql.trim_start().to_uppercase().starts_with("SELECT") {
            // This is the error of a server for a missing column.
            let mut error = vec![0xff, 0x1e, 0x04];
            error.extend(*b"#42S22Unknown column 'generation_expression' in 'field list'");
            send(&mut stream, number + 1, &error)?;
        } else {
            send(&mut stream, number + 1, OK)?;
        }
    }
}

const OK: &[u8] = &[0, 0, 0, 2, 0, 0, 0];

/// Returns the description of a text column.
fn column() -> Vec<u8> {
    let mut column = Vec::new();
    for part in ["def", "", "", "", "v", ""] {
        column.push(part.len() as u8);
        column.extend(part.as_bytes());
    }
    column.extend([12, 45, 0, 0, 1, 0, 0, 253, 0, 0, 0, 0, 0]);
    column
}

fn send(stream: &mut TcpStream, number: u8, payload: &[u8]) -> Option<()> {
    let mut packet = (payload.len() as u32).to_le_bytes()[..3].to_vec();
    packet.push(number);
    packet.extend(payload);
    stream.write_all(&packet).ok()
}

fn receive(stream: &mut TcpStream) -> Option<(u8, Vec<u8>)> {
    let mut header = [0; 4];
    stream.read_exact(&mut header).ok()?;
    let mut payload = vec![0; u32::from_le_bytes([header[0], header[1], header[2], 0]) as usize];
    stream.read_exact(&mut payload).ok()?;
    (!payload.is_empty()).then_some((header[3], payload))
}

#[test]
fn an_old_server_is_rejected_with_the_required_version() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    for (version, needed) in [
        ("5.6.51-log", "it says 5.6.51-log, and MySQL 5.7.8 or later is needed"),
        ("10.1.48-MariaDB", "it says 10.1.48-MariaDB, and MariaDB 10.2.5 or later is needed"),
    ] {
        let port = old_server(version);
        runtime.block_on(support::bounded(async {
            let url = DatabaseUrl::parse(&format!("mysql://u:p@127.0.0.1:{port}/freezer?ssl_disabled=true"))
                .unwrap();
            let store = Store::new(url, ConnectSettings::default(), PoolSettings::default());
            for error in [
                store.check_schema().await.unwrap_err(),
                store.schema_state().await.unwrap_err(),
                store.plan(Wishes::default()).await.unwrap_err(),
            ] {
                assert!(error.to_string().contains(needed), "{error}");
            }
            let checks = store.check().await.unwrap();
            assert_eq!((checks.len(), checks[0].name, checks[0].verdict), (1, "layout", Verdict::Failure));
            assert!(checks[0].details.contains(needed), "{checks:?}");
        }));
    }
}

/// Returns a column of the catalogue for each table.
async fn stored_as(database: &TestDatabase, column: &str) -> Vec<(String, String)> {
    let DatabaseUrl::MySql(url) = database.url() else { panic!("a server") };
    let mut connection = database::connect(&url).await;
    let sql = format!(
        "SELECT CAST(table_name AS CHAR), CAST({column} AS CHAR) FROM information_schema.tables \
         WHERE table_schema = DATABASE() ORDER BY 1"
    );
    let rows = sqlx::raw_sql(AssertSqlSafe(sql)).fetch_all(&mut connection).await.unwrap();
    rows.iter().map(|row| (row.get_unchecked(0), row.get_unchecked(1))).collect()
}

/// The tables are those of a server with the default row format COMPACT. Indexes of wide texts do not fit into it.
#[test]
fn tables_in_compact_format_are_upgraded() {
    for format in ["COMPACT", "REDUNDANT"] {
        for shape in ["f-18.0.0", "c-15.0.0", "f-18.0.0-latin1"] {
            let sql = std::fs::read_to_string(folder().join(format!("{shape}.mysql.sql"))).unwrap();
            let sql = sql.replace("ENGINE=InnoDB", &format!("ENGINE=InnoDB ROW_FORMAT={format}"));
            support::with_database(Engine::MariaDb, "compact", |runtime, database| {
                runtime.block_on(support::bounded(async {
                    database.run(&sql).await;
                    database.run("DELETE FROM clients").await;
                    let done = store(database).sync().await.unwrap();
                    assert_eq!(done, Synced::Upgraded { left_out: Vec::new() }, "{shape}");
                    for (table, found) in stored_as(database, "row_format").await {
                        let is_ours = table != "migrate_version";
                        assert!(!is_ours || found == "Dynamic", "{shape}: {table} is {found}");
                    }
                    assert_eq!(store(database).sync().await.unwrap(), Synced::AlreadyCurrent);
                }));
            });
        }
    }
}

/// Servers of old releases created tables of an engine without transactions and foreign keys.
#[test]
fn tables_of_another_engine_are_upgraded() {
    for shape in ["c-15.0.0", "f-18.0.0", "g-18.0.0-sync-19.0.0", "g-19.0.0"] {
        let sql = std::fs::read_to_string(folder().join(format!("{shape}.mysql.sql"))).unwrap();
        let sql = sql.replace("ENGINE=InnoDB", "ENGINE=MyISAM");
        support::with_database(Engine::MariaDb, "engine", |runtime, database| {
            runtime.block_on(support::bounded(async {
                database.run(&sql).await;
                database.run("DELETE FROM clients").await;
                let done = store(database).sync().await.unwrap();
                assert_eq!(done, Synced::Upgraded { left_out: Vec::new() }, "{shape}");
                for (table, found) in stored_as(database, "engine").await {
                    assert!(table == "migrate_version" || found == "InnoDB", "{shape}: {table} is {found}");
                }
                assert_eq!(store(database).sync().await.unwrap(), Synced::AlreadyCurrent, "{shape}");
                has_the_tables_of_a_fresh_one(database, shape, &done).await;
                let app = TestApp::on(database, store(database));
                let member = app.as_user("u", "p", "member");
                member.post("/v2/p/clients", json!({"client_id": "n", "hostname": "n"})).await.expect(201);
                let actions = json!([{"freezer_action": {"action": "exec", "command": "c"}}]);
                member
                    .post("/v2/p/jobs", json!({"client_id": "n", "job_actions": actions}))
                    .await
                    .expect(201);
            }));
        });
    }
}

/// Variables of a server for interactive clients would reject changes of many rows and truncate lists.
#[test]
fn variables_for_interactive_clients_do_not_matter() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let statements = Statements::default();
    let port = server("10.11.0-MariaDB", &statements);
    runtime.block_on(support::bounded(async {
        let url =
            DatabaseUrl::parse(&format!("mysql://u:p@127.0.0.1:{port}/freezer?ssl_disabled=true")).unwrap();
        let store = Store::new(url, ConnectSettings::default(), PoolSettings::default());
        store.schema_state().await.unwrap_err();
    }));
    let statements = statements.lock().unwrap();
    let first =
        statements.iter().find(|sql| sql.starts_with("SET ")).expect("a statement that sets variables");
    for variable in ["sql_safe_updates = 0", "sql_select_limit = 18446744073709551615"] {
        assert!(first.contains(variable), "{statements:?}");
    }
}

#[test]
fn new_tables_set_their_row_format() {
    support::with_database(Engine::MariaDb, "format", |runtime, database| {
        runtime.block_on(support::bounded(async {
            store(database).sync().await.unwrap();
            let DatabaseUrl::MySql(url) = database.url() else { panic!("a server") };
            let mut connection = database::connect(&url).await;
            let sql = "SELECT CAST(create_options AS CHAR) FROM information_schema.tables WHERE table_schema = DATABASE()";
            let rows = sqlx::raw_sql(AssertSqlSafe(sql)).fetch_all(&mut connection).await.unwrap();
            assert!(rows.len() > 8);
            for row in rows {
                let options: String = row.get_unchecked(0);
                assert!(options.to_lowercase().contains("row_format=dynamic"), "{options}");
            }
        }));
    });
}
