//! How many statements the frequent requests cost, BEGIN and COMMIT included.

use freezer_store::model::Job;
use freezer_store::query::Listed;
use freezer_store::query::jobs::{self, Poll, Unread};
use freezer_store::{ConnectSettings, PoolSettings, Scope, Store, read};
use serde_json::{Value, json};

use crate::support::documents::{backup, freezer_action, job, with};
use crate::support::{Answer, Engine, TestApp, on_both_engines};

on_both_engines![
    one_job_is_one_statement,
    a_poll_is_one_statement,
    several_jobs_and_polls_are_one_statement,
    jobs_of_many_actions_are_read_in_three_statements,
    jobs_are_listed_without_our_indexes,
    a_registration_locks_nothing,
    a_backup_is_one_statement,
    a_read_has_no_transaction,
];

/// Statements of one request, the tables and connections being there already.
async fn cost<F: Future>(app: &TestApp, request: impl Fn() -> F) -> u64 {
    request().await;
    let before = app.store().statements();
    request().await;
    app.store().statements() - before
}

async fn one_job_is_one_statement(app: TestApp) {
    let member = app.member();
    member.add_client("p1", "node-1").await;
    let job_id = member.add_job("p1", job("node-1")).await;
    let path = format!("/v2/p1/jobs/{job_id}");
    assert_eq!(cost(&app, async || member.get(&path).await.expect(200)).await, 1);
}

/// What a scheduler asks once a minute.
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

async fn several_jobs_and_polls_are_one_statement(app: TestApp) {
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
        let found = read!(app.store(), "t", |db| jobs::get_several(db, &scope, &ids).await).unwrap();
        let found: Vec<_> = found.into_iter().map(|job| job.unwrap().job_id).collect();
        assert_eq!(found, ids);
    };
    assert_eq!(cost(&app, shown).await, 1);
    let kind = Poll { project_id: "p1".to_owned(), limit: 2, look_ahead: false, max_bytes: u64::MAX };
    let poll = async |clients: &[String]| {
        let pages = read!(app.store(), "t", |db| jobs::list_polls(db, &kind, clients).await).unwrap();
        let ids = |page: Listed<Job>| page.documents.into_iter().map(|job| job.job_id).collect::<Vec<_>>();
        let read = |page: Option<Unread>| page.and_then(|page| page.read().unwrap()).map(ids);
        pages.into_iter().map(read).collect::<Vec<_>>()
    };
    let polled = async || poll(&clients).await;
    let each: Vec<_> = ids.iter().map(|id| Some(vec![id.clone()])).collect();
    assert_eq!(polled().await, each);
    assert_eq!(cost(&app, &polled).await, 1);
    // who asks twice is read by itself the second time; who has no jobs, and whose name differs in case, has an empty page
    let others = ["node-0", "node-0", "nobody", "NODE-1"].map(str::to_owned);
    let found = poll(&others).await;
    assert_eq!(found, [Some(vec![ids[0].clone()]), None, Some(vec![]), Some(vec![])]);
    // one of them has more than are read for several: each is asked for by itself
    for _ in 0..12 {
        member.add_job("p1", job("node-1")).await;
    }
    assert_eq!(polled().await, [None, None, None]);
}

async fn jobs_of_many_actions_are_read_in_three_statements(app: TestApp) {
    let member = app.member();
    member.add_client("p1", "node-1").await;
    let mut all = Vec::new();
    for number in 0..24 {
        // no action at all, and more than a whole page has jobs
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

async fn jobs_are_listed_without_our_indexes(app: TestApp) {
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

async fn a_registration_locks_nothing(app: TestApp) {
    let member = app.member();
    let again = async || member.add_client("p1", "node-1").await;
    assert_eq!(cost(&app, again).await, 1, "a known node");
    let before = app.store().statements();
    member.add_client("p1", "node-2").await;
    assert_eq!(app.store().statements() - before, 2, "a new one");
}

async fn a_backup_is_one_statement(app: TestApp) {
    let member = app.member();
    assert_eq!(cost(&app, async || member.add_backup("p1", backup("etc")).await).await, 1);
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
