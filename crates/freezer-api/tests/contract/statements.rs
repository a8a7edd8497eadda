//! How many statements the frequent requests cost, BEGIN and COMMIT included.

use serde_json::json;

use crate::support::documents::{backup, job};
use crate::support::{TestApp, on_both_engines};

on_both_engines![
    one_job_is_one_statement,
    a_poll_is_two_statements,
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

async fn a_poll_is_two_statements(app: TestApp) {
    let member = app.member();
    member.add_client("p1", "node-1").await;
    for _ in 0..30 {
        member.add_job("p1", job("node-1")).await;
    }
    let search = json!({"match_not": [{"status": "completed"}], "match": [{"client_id": "node-1"}]});
    let path = "/v2/p1/jobs/?limit=10&offset=0&all_projects=False";
    let poll = cost(&app, async || {
        let page = member.search(path, search.clone()).await.expect(200);
        assert_eq!(page.each("jobs", "/job_id").len(), 10);
    });
    assert_eq!(poll.await, 2);
    let list = cost(&app, async || member.get("/v2/p1/jobs?limit=500").await.expect(200));
    assert_eq!(list.await, 2);
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
