//! A connection becomes silent: its socket is open, but no answer arrives. Only the statements on this connection may
//! be delayed, and only for a limited time.

use std::time::{Duration, Instant};

use freezer_store::{ConnectSettings, DatabaseUrl, PoolSettings, Store};
use http::Method;
use serde_json::json;

use super::support::documents::{backup, job, with};
use super::support::proxy::{Command, Loss, Proxy};
use super::support::{Engine, Options, TestApp, bounded, with_database};
use super::until;

#[test]
fn a_silent_connection_only_delays_its_own_statements() {
    with_database(Engine::MariaDb, "silent", |runtime, database| {
        runtime.block_on(bounded(async {
            let app = TestApp::start(database, Options::default()).await;
            let DatabaseUrl::MySql(url) = database.url() else { panic!("not MySQL") };
            let proxy = Proxy::start(&url).await;
            let store = Store::new(proxy.url(&url), ConnectSettings::default(), PoolSettings::default());
            let member = app.on_store(store).member();
            member.add_client("p1", "node-1").await;
            member.post("/v2/p1/jobs/j", job("node-1")).await.expect(201);
            let id = member.add_backup("p1", backup("before")).await;
            member.get("/v2/p1/jobs").await.expect(200);
            for path in ["/v2/p1/jobs/j".to_owned(), "/v2/p1/jobs".to_owned(), format!("/v2/p1/backups/{id}")]
            {
                proxy.lose(Command::Execute, Loss::Silent);
                let lost = proxy.lost();
                let begun = Instant::now();
                let (reader, stuck_path) = (member.clone(), path.clone());
                let stuck = tokio::spawn(async move { reader.get(&stuck_path).await });
                while proxy.lost() == lost {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
                // Other requests of the same kind do not wait until the end.
                for _ in 0..5 {
                    let others = Instant::now();
                    member.get(&path).await.expect(200);
                    assert!(others.elapsed() < Duration::from_secs(3), "{path}: {:?}", others.elapsed());
                }
                stuck.await.unwrap().expect(200);
                assert!(begun.elapsed() < Duration::from_secs(12), "{path}: {:?}", begun.elapsed());
            }
            for (path, document) in
                [("/v2/p1/backups", backup("b")), ("/v2/p1/clients", json!({"client_id": "node-2"}))]
            {
                proxy.lose(Command::Execute, Loss::Silent);
                let begun = Instant::now();
                member.post(path, document).await.expect(201);
                assert!(begun.elapsed() < Duration::from_secs(12), "{path}: {:?}", begun.elapsed());
            }
            assert_eq!(proxy.lost(), 5);
        }));
    });
}

#[test]
fn statements_that_hang_do_not_hold_later_reads_until_their_deadline() {
    with_database(Engine::MariaDb, "hanging", |runtime, database| {
        runtime.block_on(bounded(async {
            let options = Options { http: until(Duration::from_secs(2)), ..Options::default() };
            let app = TestApp::start(database, options).await;
            let DatabaseUrl::MySql(url) = database.url() else { panic!("not MySQL") };
            let proxy = Proxy::start(&url).await;
            let store = Store::new(proxy.url(&url), ConnectSettings::default(), PoolSettings::default());
            let member = app.on_store(store).member();
            member.add_client("p1", "node-1").await;
            member.post("/v2/p1/jobs/j", job("node-1")).await.expect(201);
            let poll = json!({"match": [{"client_id": "node-1"}], "match_not": [{"status": "completed"}]});
            for (path, body) in [("/v2/p1/jobs", Some(poll)), ("/v2/p1/jobs/j", None)] {
                let get = || {
                    let (member, path, body) = (member.clone(), path.to_owned(), body.clone());
                    tokio::spawn(async move { member.ask(Method::GET, &path, body).await })
                };
                get().await.unwrap().expect(200);
                // All workers of the queue get a statement that hangs, and so does one more request.
                let mut hanging = Vec::new();
                for _ in 0..5 {
                    let lost = proxy.lost();
                    proxy.lose(Command::Execute, Loss::Silent);
                    hanging.push(get());
                    while proxy.lost() == lost {
                        tokio::time::sleep(Duration::from_millis(5)).await;
                    }
                }
                let begun = Instant::now();
                let later: Vec<_> = (0..12).map(|_| get()).collect();
                for later in later {
                    later.await.unwrap().expect(200);
                }
                assert!(begun.elapsed() < Duration::from_secs(2), "{path}: {:?}", begun.elapsed());
                for hanging in hanging {
                    hanging.await.unwrap().expect(503);
                }
            }
        }));
    });
}

#[test]
fn idle_connections_are_checked_after_one_is_broken() {
    with_database(Engine::MariaDb, "suspect", |runtime, database| {
        runtime.block_on(bounded(async {
            let app = TestApp::start(database, Options::default()).await;
            let DatabaseUrl::MySql(url) = database.url() else { panic!("not MySQL") };
            let proxy = Proxy::start(&url).await;
            let store = Store::new(proxy.url(&url), ConnectSettings::default(), PoolSettings::default());
            let member = app.on_store(store).member();
            let id = member.add_backup("p1", backup("before")).await;
            let readers = (0..4).map(|_| {
                let (member, path) = (member.clone(), format!("/v2/p1/backups/{id}"));
                tokio::spawn(async move { member.get(&path).await.expect(200) })
            });
            for reader in readers.collect::<Vec<_>>() {
                reader.await.unwrap();
            }
            let opened = proxy.opened();
            proxy.lose(Command::Execute, Loss::Closed);
            for _ in 0..4 {
                member.get(&format!("/v2/p1/backups/{id}")).await.expect(200);
            }
            assert_eq!(proxy.lost(), 1);
            // The working connections are used again. One new connection checks whether a statement is still running on
            // the broken one.
            assert!(proxy.opened() - opened <= 2, "{} were opened", proxy.opened() - opened);
        }));
    });
}

#[test]
fn a_statement_whose_rows_the_service_reads_slowly_is_not_silent() {
    with_database(Engine::MariaDb, "busy", |_, database| {
        // One thread, which the test can keep busy.
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(bounded(async {
            let app = TestApp::start(database, Options::default()).await;
            let member = app.member();
            let long = "x".repeat(500);
            for number in 0..600 {
                let document = with(backup(&format!("b-{number}")), json!({"description": long}));
                member.add_backup("p1", document).await;
            }
            let list = async || {
                let (begun, before) = (Instant::now(), app.store().statements());
                let listed =
                    member.get("/v2/p1/backups?limit=600").await.expect(200).each("backups", "/backup_id");
                assert_eq!(listed.len(), 600);
                (begun.elapsed(), app.store().statements() - before)
            };
            list().await;
            let (_, statements) = list().await;
            // The reader has the thread for two milliseconds at a time, and then waits for its next turn.
            for pause in [300, 1_000, 3_000].map(Duration::from_millis) {
                let busy = tokio::spawn(async move {
                    loop {
                        std::thread::sleep(pause);
                        tokio::task::yield_now().await;
                    }
                });
                let (elapsed, statements_of_busy) = list().await;
                busy.abort();
                assert_eq!(
                    statements_of_busy, statements,
                    "the statement was repeated; {pause:?}, {elapsed:?}"
                );
                if elapsed > Duration::from_secs(5) {
                    return;
                }
            }
            panic!("the rows were read too fast");
        }));
    });
}
