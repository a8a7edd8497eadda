//! Number of statements for the frequent requests, including BEGIN and COMMIT.

use freezer_store::query::jobs::{self, JobRows, Poll};
use freezer_store::{ConnectSettings, PoolSettings, Scope, Store, read};
use http::Method;
use serde_json::{Value, json};

use crate::support::documents::{backup, freezer_action, job, with};
use crate::support::{Answer, Engine, TestApp, on_both_engines};

on_both_engines![
    a_job_is_read_in_one_statement,
    a_poll_is_one_statement,
    several_jobs_or_polls_are_read_in_one_statement,
    a_shared_statement_has_a_limit_of_bytes,
    jobs_of_many_actions_are_read_in_three_statements,
    jobs_are_listed_without_the_added_indexes,
    copies_of_tables_do_not_count,
    a_registration_does_not_lock_other_rows,
    a_new_backup_needs_one_statement,
    a_read_has_no_transaction,
    inline_actions_share_their_statements,
];

/// Returns the number of statements for one request, when the tables and connections already exist.
async fn cost<F: Future>(app: &TestApp, request: impl Fn() -> F) -> u64 {
    request().await;
    let before = app.store().statements();
    request().await;
    app.store().statements() - before
}

async fn a_job_is_read_in_one_statement(app: TestApp) {
    let member = app.member();
    member.add_client("p1", "node-1").await;
    let job_id = member.add_job("p1", job("node-1")).await;
    let path = format!("/v2/p1/jobs/{job_id}");
    assert_eq!(cost(&app, async || member.get(&path).await.expect(200)).await, 1);
}

/// Returns the search that a scheduler sends once a minute.
fn poll() -> Value {
    json!({"match_not": [{"status": "completed"}], "match": [{"client_id": "node-1"}]})
}

const POLL: &str = "/v2/p1/jobs/?limit=10&offset=0&all_projects=False";

async fn a_poll_is_one_statement(app: TestApp) {
    let member = app.member();
    member.add_client("p1", "node-1").await;
    for _ in 0..30 {
        member.add_job("p1", job("node-1")).await;
    }
    let page = async || {
        let page = member.search(POLL, poll()).await.expect(200);
        assert_eq!(page.each("jobs", "/job_id").len(), 10);
    };
    assert_eq!(cost(&app, page).await, 1);
    for limit in [10, 500] {
        let list = async || member.get(&format!("/v2/p1/jobs?limit={limit}")).await.expect(200);
        assert_eq!(cost(&app, list).await, 1, "{limit}");
    }
}

async fn several_jobs_or_polls_are_read_in_one_statement(app: TestApp) {
    let member = app.member();
    let (mut clients, mut ids) = (Vec::new(), Vec::new());
    for number in 0..3 {
        let client = format!("node-{number}");
        member.add_client("p1", &client).await;
        ids.push(member.add_job("p1", job(&client)).await);
        clients.push(client);
    }
    let scope = Scope::project("p1");
    let shown = async || {
        assert_eq!(show(&app, &scope, &ids).await, each(&ids));
    };
    assert_eq!(cost(&app, shown).await, 1);
    let polled = async || poll_of_two(&app, &clients).await;
    let first: Vec<_> = ids.iter().map(|id| Some(vec![id.clone()])).collect();
    assert_eq!(polled().await, first);
    assert_eq!(cost(&app, &polled).await, 1);
    // Unknown ids, ids in another case, and repeated ids must be read separately.
    member.add_client("p1", "other").await;
    member.add_job("p1", with(job("other"), json!({"job_id": "job-x"}))).await;
    let others = [ids[0].clone(), "unknown".to_owned(), "JOB-X".to_owned(), ids[0].clone()];
    assert_eq!(show(&app, &scope, &others).await, [Some(ids[0].clone()), None, None, None]);
    // A second poll of the same client must also be read separately. Clients without jobs, and names in another case,
    // have an empty page.
    let others = ["node-0", "node-0", "unknown", "NODE-1"].map(str::to_owned);
    let found = poll_of_two(&app, &others).await;
    assert_eq!(found, [Some(vec![ids[0].clone()]), None, Some(vec![]), Some(vec![])]);
    // node-1 has more jobs than the statement reads: its page is full, and the other polls must be read separately.
    for _ in 0..12 {
        member.add_job("p1", job("node-1")).await;
    }
    let [first, full, last] = &polled().await[..] else { panic!("three answers") };
    assert_eq!((first, full.as_ref().map(Vec::len), last), (&None, Some(2), &None));
}

fn each(ids: &[String]) -> Vec<Option<String>> {
    ids.iter().cloned().map(Some).collect()
}

/// Returns the ids of jobs that one statement reads. `None`: the job must be read separately.
async fn show(app: &TestApp, scope: &Scope, ids: &[String]) -> Vec<Option<String>> {
    let rows = read!(app.store(), "t", |db| jobs::rows_of_ids(db, scope, ids).await).unwrap();
    let job_id = |rows: JobRows| rows.job().unwrap().unwrap().job_id;
    rows.into_iter().map(|rows| rows.map(job_id)).collect()
}

/// Returns the ids of the first two jobs of clients that one statement reads. `None`: the poll must be read separately.
async fn poll_of_two(app: &TestApp, clients: &[String]) -> Vec<Option<Vec<String>>> {
    let poll = |client: &String| Poll {
        client_id: client.clone(),
        limit: 2,
        look_ahead: false,
        max_bytes: u64::MAX,
        readable: u64::MAX,
    };
    let polls: Vec<Poll> = clients.iter().map(poll).collect();
    let rows = read!(app.store(), "t", |db| jobs::rows_of_polls(db, "p1", &polls).await).unwrap();
    let mut pages = Vec::new();
    for (poll, rows) in polls.iter().zip(rows) {
        let page = rows.and_then(|rows| rows.page(poll).unwrap());
        pages.push(page.map(|page| page.documents.into_iter().map(|job| job.job_id).collect()));
    }
    pages
}

/// Returns a job with an action of this many bytes.
fn large_job(client: &str, bytes: usize) -> Value {
    let action = with(freezer_action(), json!({"comment": "x".repeat(bytes)}));
    with(job(client), json!({"job_actions": [{"freezer_action": action}]}))
}

async fn a_shared_statement_has_a_limit_of_bytes(app: TestApp) {
    let app = app.with_http(|http| http.max_body = 8 << 20);
    let member = app.member();
    let (mut ids, mut clients) = (Vec::new(), Vec::new());
    for number in 0..4 {
        let client = format!("node-{number}");
        member.add_client("p1", &client).await;
        for _ in 0..3 {
            ids.push(member.add_job("p1", large_job(&client, 900 << 10)).await);
        }
        clients.push(client);
    }
    let scope = Scope::project("p1");
    assert_eq!(show(&app, &scope, &ids[..2]).await, each(&ids[..2]));
    assert_eq!(show(&app, &scope, &ids).await, vec![None; 12], "each must be read by itself");
    // The texts of a job are read with each of its actions.
    let actions = vec![json!({"freezer_action": freezer_action()}); 12];
    let schedule = json!({"schedule_month": "x".repeat(500 << 10)});
    let document = json!({"job_actions": actions, "job_schedule": schedule});
    let wide = member.add_job("p1", with(job("node-0"), document)).await;
    assert_eq!(show(&app, &scope, std::slice::from_ref(&wide)).await, [None]);
    assert_eq!(member.job(&wide).await["job_actions"].as_array().map(Vec::len), Some(12));
    member.delete(&format!("/v2/p1/jobs/{wide}")).await.expect(204);
    // The rows of the first clients fit into the limit, and those of the last ones do not.
    let polls = poll_of_two(&app, &clients).await;
    assert_eq!((&polls[0], &polls[3]), (&Some(ids[..2].to_vec()), &None));
    // Requests get the same answers alone and at the same time.
    let poll =
        |client: &String| json!({"match_not": [{"status": "completed"}], "match": [{"client_id": client}]});
    for _ in 0..2 {
        let polls = clients.iter().map(|client| member.search(POLL, poll(client)));
        let found = futures_util::future::join_all(polls).await;
        for (answer, expected) in found.into_iter().zip(ids.chunks(3)) {
            assert_eq!(answer.expect(200).each("jobs", "/job_id"), expected);
        }
        let paths: Vec<String> = ids.iter().map(|id| format!("/v2/p1/jobs/{id}")).collect();
        let found = futures_util::future::join_all(paths.iter().map(|path| member.get(path))).await;
        for (answer, id) in found.into_iter().zip(&ids) {
            assert_eq!(answer.expect(200).json()["job_id"], **id);
        }
    }
}

async fn jobs_of_many_actions_are_read_in_three_statements(app: TestApp) {
    let member = app.member();
    member.add_client("p1", "node-1").await;
    let mut all = Vec::new();
    for number in 0..24 {
        // Some clients have no job, and some have more than a page.
        let count = [3, 0, 14, 1][number % 4];
        let actions: Vec<Value> = (0..count)
            .map(|place| json!({"freezer_action": with(freezer_action(), json!({"priority": place}))}))
            .collect();
        let schedule = json!({"status": if number % 5 == 4 { "completed" } else { "scheduled" }});
        let document = with(job("node-1"), json!({"job_actions": actions, "job_schedule": schedule}));
        let job_id = member.add_job("p1", document).await;
        app.advance(i64::from(number % 3 == 0));
        all.push((job_id, count, number % 5 == 4));
    }
    let shown = |answer: Answer| -> Vec<(String, Vec<i64>)> {
        let jobs = answer.expect(200).json()["jobs"].as_array().unwrap().clone();
        let place = |action: &Value| action["freezer_action"]["priority"].as_i64().unwrap();
        jobs.iter()
            .map(|job| {
                let actions = job["job_actions"].as_array().unwrap();
                (job["job_id"].as_str().unwrap().to_owned(), actions.iter().map(place).collect())
            })
            .collect()
    };
    let expected = |wanted: &dyn Fn(bool) -> bool| -> Vec<(String, Vec<i64>)> {
        let wanted = all.iter().filter(|(_, _, completed)| wanted(*completed));
        wanted.map(|(id, count, _)| (id.clone(), (0..*count).collect())).collect()
    };
    let (whole, open) = (expected(&|_| true), expected(&|completed| !completed));
    for limit in [1, 2, 3, 10, 23, 24, 25] {
        let list = member.get(&format!("/v2/p1/jobs?limit={limit}")).await;
        assert_eq!(shown(list), whole[..limit.min(24)], "list of {limit}");
        let path = format!("/v2/p1/jobs/?limit={limit}&offset=0&all_projects=False");
        let polled = shown(member.search(&path, poll()).await);
        assert_eq!(polled, open[..limit.min(open.len())], "poll of {limit}");
    }
    assert_eq!(cost(&app, async || member.get("/v2/p1/jobs?limit=10").await.expect(200)).await, 3);
    assert_eq!(cost(&app, async || member.search(POLL, poll()).await.expect(200)).await, 3);
}

async fn jobs_are_listed_without_the_added_indexes(app: TestApp) {
    let member = app.member();
    member.add_client("p1", "node-1").await;
    let mut last = String::new();
    for _ in 0..3 {
        last = member.add_job("p1", job("node-1")).await;
    }
    let backwards = format!("/v2/p1/jobs?sort=created_at:desc&marker={last}");
    let asked = async |app: &TestApp| {
        let member = app.member();
        let polled = member.search(POLL, poll()).await.expect(200).json();
        let listed = member.get("/v2/p1/jobs").await.expect(200).json();
        let backwards = member.get(&backwards).await.expect(200).json();
        let statements = cost(app, async || member.search(POLL, poll()).await.expect(200)).await;
        ([polled, listed, backwards], statements)
    };
    let (documents, _) = asked(&app).await;
    let database = app.database();
    database
        .run(match database.engine() {
            Engine::Sqlite => "DROP INDEX fz_user_credentials_job; DROP INDEX fz_jobs_project",
            Engine::MariaDb | Engine::MySql => {
                "DROP INDEX fz_user_credentials_job ON user_credentials; DROP INDEX fz_jobs_project ON jobs"
            }
        })
        .await;
    let store = Store::new(database.url(), ConnectSettings::default(), PoolSettings::default());
    let without = TestApp::on(database, store);
    assert_eq!(asked(&without).await, (documents, 2));
}

/// Operators copy tables before they load a dump. The copies have indexes of the same names.
async fn copies_of_tables_do_not_count(app: TestApp) {
    let database = app.database();
    if database.engine() == Engine::Sqlite {
        return; // `CREATE TABLE … AS SELECT` copies no index
    }
    let copied = ["actions", "backups", "clients", "freezer_idempotency", "job_actions", "jobs", "sessions"];
    for table in copied {
        database.run(&format!("CREATE TABLE old_{table} LIKE {table}")).await;
    }
    let new_store = || Store::new(database.url(), ConnectSettings::default(), PoolSettings::default());
    let served = async |app: TestApp| {
        let member = app.member();
        let action = json!({"freezer_action": freezer_action()});
        let action = member.post("/v2/p1/actions", action).await.expect(201).text("action_id");
        member.get("/v2/p1/jobs").await.expect(200);
        member.search(POLL, poll()).await.expect(200);
        let key = [("idempotency-key", "k")];
        member.raw(Method::POST, "/v2/p1/backups", &key, backup("etc").to_string()).await.expect(201);
        action
    };
    let action = served(TestApp::on(database, new_store())).await;
    let terms = format!("SELECT COUNT(*) FROM actions WHERE id = '{action}' AND fz_terms IS NOT NULL");
    assert_eq!(database.number(&terms).await, 1, "copies do not switch off the terms");
    database
        .run(
            "ALTER TABLE jobs DROP INDEX fz_jobs_project, DROP INDEX fz_jobs_client, DROP INDEX fz_jobs_live, \
             DROP INDEX fz_jobs_poll; DROP TABLE freezer_idempotency",
        )
        .await;
    served(app.on_store(new_store())).await;
}

async fn a_registration_does_not_lock_other_rows(app: TestApp) {
    let member = app.member();
    let again = async || member.add_client("p1", "node-1").await;
    assert_eq!(cost(&app, again).await, 1, "a known node");
    let before = app.store().statements();
    member.add_client("p1", "node-2").await;
    assert_eq!(app.store().statements() - before, 2, "a new one");
}

async fn a_new_backup_needs_one_statement(app: TestApp) {
    let member = app.member();
    assert_eq!(cost(&app, async || member.add_backup("p1", backup("etc")).await).await, 1);
}

async fn inline_actions_share_their_statements(app: TestApp) {
    let member = app.member();
    member.add_client("p1", "node-1").await;
    let with_actions = |count: usize| {
        let action =
            |place: usize| with(freezer_action(), json!({"priority": place, "name": format!("n{place}")}));
        let actions: Vec<Value> = (0..count).map(|place| json!({"freezer_action": action(place)})).collect();
        with(job("node-1"), json!({"job_actions": actions}))
    };
    let posted = async |count| cost(&app, async || member.add_job("p1", with_actions(count)).await).await;
    let single = posted(1).await;
    assert!(single <= 8, "{single}");
    let many = posted(200).await;
    assert!(many <= single + 20, "{many}");
    let action = async || member.add_action("p1", freezer_action()).await;
    assert_eq!(cost(&app, action).await, 5, "BEGIN, the action, its terms, its report, COMMIT");

    let job_id = member.add_job("p1", with_actions(200)).await;
    let shown = member.job(&job_id).await;
    let actions = shown["job_actions"].as_array().unwrap();
    let places: Vec<_> = actions.iter().map(|action| action["freezer_action"]["priority"].as_u64()).collect();
    assert_eq!(places, (0..200).map(Some).collect::<Vec<_>>());
    // their terms are stored, so that searches find them
    let found =
        member.search("/v2/p1/jobs?limit=500", json!({"match": [{"name": "n199"}]})).await.expect(200);
    assert!(found.each("jobs", "/job_id").contains(&job_id));
    // references to all of them are read, and locked, in one statement
    let references: Vec<Value> =
        actions.iter().map(|action| json!({"action_id": action["action_id"]})).collect();
    let document = with(job("node-1"), json!({"job_actions": references}));
    let referenced = cost(&app, async || member.add_job("p1", document.clone()).await).await;
    assert!(referenced <= single, "{referenced}");
}

async fn a_read_has_no_transaction(app: TestApp) {
    let member = app.member();
    member.add_client("p1", "node-1").await;
    for path in
        ["/v2/p1/clients", "/v2/p1/clients/node-1", "/v2/p1/actions", "/v2/p1/sessions", "/v2/p1/backups"]
    {
        assert_eq!(cost(&app, async || member.get(path).await.expect(200)).await, 1, "{path}");
    }
    let nobody = app.as_user("nobody", "p1", "");
    assert_eq!(
        cost(&app, async || nobody.get("/v2/p1/jobs").await.expect(403)).await,
        0,
        "refused before any"
    );
    assert_eq!(cost(&app, async || member.get("/healthcheck").await.expect(200)).await, 0);
}
