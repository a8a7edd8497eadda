//! The database stores a change, but its answer is lost. The caller must get the same answer as without the fault.

use freezer_store::{ConnectSettings, DatabaseUrl, PoolSettings, Store};
use serde_json::{Value, json};

use super::support::documents::{backup, freezer_action, job, with};
use super::support::proxy::{Command, Loss, Proxy};
use super::support::{Answer, Caller, Engine, Options, TestApp, bounded, with_database};

/// Creates the resources for all changes. Everything exists twice: one twin is changed without a fault, and the answer
/// for the other one is lost.
async fn prepare(member: &Caller, twin: &str) -> String {
    let node = format!("node-{twin}");
    member.add_client("p1", &node).await;
    member.post(&format!("/v2/p1/jobs/j-{twin}"), job(&node)).await.expect(201);
    member.post(&format!("/v2/p1/jobs/k-{twin}"), job(&node)).await.expect(201);
    member
        .post(&format!("/v2/p1/actions/a-{twin}"), json!({"freezer_action": freezer_action()}))
        .await
        .expect(201);
    // Without this hold-off, a repeated start comes too late.
    member
        .post(&format!("/v2/p1/sessions/s-{twin}"), json!({"session_tag": 0, "hold_off": 0, "schedule": {}}))
        .await
        .expect(201);
    member.put(&format!("/v2/p1/sessions/s-{twin}/jobs/k-{twin}")).await;
    member.add_backup("p1", backup(twin)).await
}

/// Sends a change for one of the twins. Returns its name, the answer, and the command whose answer is lost.
async fn change(number: usize, member: &Caller, twin: &str, backup_id: &str) -> Option<(Command, Answer)> {
    let node = format!("node-{twin}");
    let inline = json!([{"freezer_action": freezer_action()}]);
    Some(match number {
        0 => (Command::Execute, member.post("/v2/p1/backups", backup("new")).await),
        1 => (
            Command::Commit,
            member.patch(&format!("/v2/p1/backups/{backup_id}"), json!({"curr_backup_level": 3})).await,
        ),
        2 => (Command::Execute, member.delete(&format!("/v2/p1/backups/{backup_id}")).await),
        3 => (Command::Execute, member.post("/v2/p1/sessions", json!({"schedule": {}})).await),
        4 => (
            Command::Commit,
            member.patch(&format!("/v2/p1/sessions/s-{twin}"), json!({"description": "x"})).await,
        ),
        5 => (
            Command::Commit,
            member
                .post(&format!("/v2/p1/sessions/new-{twin}"), json!({"session_tag": 0, "schedule": {}}))
                .await,
        ),
        6 => {
            let start = json!({"start": {"job_id": format!("k-{twin}"), "current_tag": 0}});
            (Command::Commit, member.post(&format!("/v2/p1/sessions/s-{twin}/action"), start).await)
        }
        7 => {
            let end = json!({"end": {"job_id": format!("k-{twin}"), "result": "success"}});
            (Command::Commit, member.post(&format!("/v2/p1/sessions/s-{twin}/action"), end).await)
        }
        8 => (Command::Commit, member.delete(&format!("/v2/p1/sessions/s-{twin}/jobs/k-{twin}")).await),
        9 => (Command::Commit, member.delete(&format!("/v2/p1/sessions/s-{twin}")).await),
        10 => (
            Command::Commit,
            member.post("/v2/p1/jobs", with(job(&node), json!({"job_actions": inline}))).await,
        ),
        11 => {
            let document =
                with(job(&node), json!({"job_id": format!("given-{twin}"), "job_actions": inline}));
            (Command::Commit, member.post("/v2/p1/jobs", document).await)
        }
        12 => (
            Command::Commit,
            member
                .post(&format!("/v2/p1/jobs/new-{twin}"), with(job(&node), json!({"job_actions": inline})))
                .await,
        ),
        13 => (
            Command::Commit,
            member
                .post(&format!("/v2/p1/jobs/new-{twin}"), with(job(&node), json!({"job_actions": inline})))
                .await,
        ),
        14 => (
            Command::Commit,
            member.patch(&format!("/v2/p1/jobs/new-{twin}"), json!({"job_actions": inline})).await,
        ),
        15 => (
            Command::Commit,
            member.post(&format!("/v2/p1/jobs/j-{twin}/event"), json!({"start": null})).await,
        ),
        16 => (Command::Commit, member.delete(&format!("/v2/p1/jobs/j-{twin}")).await),
        17 => {
            let document = json!({"action_id": format!("given-{twin}"), "freezer_action": freezer_action()});
            (Command::Commit, member.post("/v2/p1/actions", document).await)
        }
        18 => (
            Command::Commit,
            member
                .post(&format!("/v2/p1/actions/new-{twin}"), json!({"freezer_action": freezer_action()}))
                .await,
        ),
        19 => (
            Command::Commit,
            member.patch(&format!("/v2/p1/actions/a-{twin}"), json!({"max_retries": 3})).await,
        ),
        20 => (Command::Commit, member.delete(&format!("/v2/p1/actions/a-{twin}")).await),
        21 => {
            let again = json!({"client_id": node, "description": "changed"});
            (Command::Commit, member.post("/v2/p1/clients", again).await)
        }
        22 => {
            let named = json!({"client_id": format!("new-{twin}"), "uuid": format!("u-{twin}")});
            (Command::Commit, member.post("/v2/p1/clients", named).await)
        }
        23 => (Command::Commit, member.delete(&format!("/v2/p1/clients/{node}")).await),
        _ => return None,
    })
}

/// Returns the final documents, without the name and the ids of the twin.
async fn all(member: &Caller) -> Vec<usize> {
    let mut counts = Vec::new();
    for noun in ["backups", "sessions", "jobs", "actions", "clients"] {
        let listed = member.get(&format!("/v2/p1/{noun}?limit=1000")).await.expect(200).json();
        counts.push(listed[noun].as_array().unwrap().len());
    }
    counts
}

fn each_change_with(loss: Loss, only: &[usize]) {
    with_database(Engine::MariaDb, "lost_answers", |runtime, database| {
        runtime.block_on(bounded(async {
            let app = TestApp::start(database, Options::default()).await;
            let member = app.member();
            let DatabaseUrl::MySql(url) = database.url() else { panic!("not MySQL") };
            let proxy = Proxy::start(&url).await;
            let pool = PoolSettings { max_idle: 1, max_open: 2, ..PoolSettings::default() };
            let store = Store::new(proxy.url(&url), ConnectSettings::default(), pool);
            // This service has the same clock and ids, but uses the proxy.
            let lossy = app.on_store(store).member();
            let (one, other) = (prepare(&member, "one").await, prepare(&member, "other").await);
            // The first requests query which columns and indexes exist.
            lossy.get("/v2/p1/backups").await.expect(200);
            lossy.get("/v2/p1/jobs").await.expect(200);
            lossy.add_backup("p1", backup("first")).await;
            for number in 0.. {
                let before = all(&member).await;
                let Some((command, expected)) = change(number, &member, "one", &one).await else { break };
                assert!(expected.status.is_success(), "change {number}: {expected}");
                let between = all(&member).await;
                let is_tested = only.is_empty() || only.contains(&number);
                let lost = proxy.lost();
                if is_tested {
                    proxy.lose(command, loss);
                }
                let (_, answer) = change(number, &lossy, "other", &other).await.unwrap();
                assert_eq!(proxy.lost() - lost, usize::from(is_tested), "change {number}");
                assert_eq!(answer.status, expected.status, "change {number}: {answer}");
                for key in ["result", "session_tag", "status"] {
                    if expected.status.is_success() && !expected.body.is_empty() {
                        assert_eq!(
                            answer.json().get(key),
                            expected.json().get(key),
                            "change {number}: {answer}"
                        );
                    }
                }
                let after = all(&member).await;
                let differences = |one: &[usize], other: &[usize]| -> Vec<isize> {
                    one.iter().zip(other).map(|(one, other)| *other as isize - *one as isize).collect()
                };
                assert_eq!(differences(&between, &after), differences(&before, &between), "change {number}");
            }
            for (one, other) in
                [("jobs/new-one", "jobs/new-other"), ("sessions/new-one", "sessions/new-other")]
            {
                let [one, other] = [one, other].map(|path| format!("/v2/p1/{path}"));
                let (one, other) =
                    (member.get(&one).await.expect(200).json(), member.get(&other).await.json());
                let length = |document: &Value| document["job_actions"].as_array().map(Vec::len);
                assert_eq!(length(&one), length(&other));
            }
        }));
    });
}

#[test]
fn a_change_is_answered_if_its_connection_breaks_before_the_answer() {
    each_change_with(Loss::Closed, &[]);
}

#[test]
fn a_change_is_answered_if_the_answer_of_the_database_never_arrives() {
    // Each case takes some seconds, so this test only uses a single statement, a session start, a creation and a
    // deletion.
    each_change_with(Loss::Silent, &[0, 6, 11, 16]);
}
