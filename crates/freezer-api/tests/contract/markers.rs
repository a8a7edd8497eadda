//! Pages by marker: `marker`, `sort`, `with_count`, and the links in the answers.

use freezer_api::app::HttpSettings;
use http::Method;
use serde_json::{Value, json};

use crate::support::documents::{backup, freezer_action, job, with};
use crate::support::{Options, TestApp, on_both_engines};

on_both_engines![
    links_lead_through_every_list,
    a_list_is_sorted_along_its_index,
    a_search_is_paged_by_marker,
    answers_without_these_parameters_have_no_new_keys,
    invalid_markers_are_400,
    a_page_over_the_maximum_is_cut_and_links_to_the_next,
    new_and_deleted_documents_do_not_move_a_page,
    deleting_documents_of_a_page_does_not_affect_the_next_page,
    links_begin_with_the_public_address,
];

const LISTS: [(&str, &str); 5] = [
    ("clients", "/client/uuid"),
    ("actions", "/action_id"),
    ("sessions", "/session_id"),
    ("backups", "/backup_id"),
    ("jobs", "/job_id"),
];

async fn fill(app: &TestApp, count: usize) {
    let member = app.member();
    for number in 0..count {
        member.add_client("p1", &format!("node-{number:02}")).await;
        member.add_action("p1", freezer_action()).await;
        member.add_session("p1", json!({"schedule": {}})).await;
        member.add_backup("p1", with(backup("etc"), json!({"size": number % 2}))).await;
        let status = if number % 2 == 0 { "running" } else { "completed" };
        member.add_job("p1", with(job("node-00"), json!({"job_schedule": {"status": status}}))).await;
        // Several rows have the same second, so that ids decide their order.
        app.advance(i64::from(number % 3 == 0));
    }
}

/// Returns the path of the next page from the link of an answer.
fn next(body: &Value, list: &str) -> Option<String> {
    let link = &body.get(format!("{list}_links"))?[0];
    assert_eq!(link["rel"], "next");
    let href = link["href"].as_str().unwrap();
    Some(href.strip_prefix("http://freezer.localhost:9090").expect("the host of the request").to_owned())
}

/// Follows the links from the first page to the last one.
async fn follow(app: &TestApp, list: &str, id: &str, first: &str, search: Option<Value>) -> Vec<String> {
    let member = app.member();
    let (mut path, mut seen) = (Some(first.to_owned()), Vec::new());
    while let Some(this) = path {
        let answer = match &search {
            Some(search) => member.search(&this, search.clone()).await.expect(200),
            None => member.get(&this).await.expect(200),
        };
        seen.extend(answer.each(list, id));
        assert!(seen.len() < 100, "pages never end: {this}");
        path = next(&answer.json(), list);
    }
    seen
}

async fn links_lead_through_every_list(app: TestApp) {
    fill(&app, 7).await;
    for (list, id) in LISTS {
        let whole = app.member().get(&format!("/v2/p1/{list}?limit=100")).await.each(list, id);
        for limit in [1, 3, 6, 7, 8] {
            let first = format!("/v2/p1/{list}?limit={limit}&marker=");
            assert_eq!(follow(&app, list, id, &first, None).await, whole, "{list} by {limit}");
        }
    }
    let member = app.member();
    app.show(member.get("/v2/p1/sessions?limit=2&sort=created_at:desc&with_count=true").await.expect(200));
    app.remark("the last page has no link");
    app.show(member.get("/v2/p1/sessions?limit=1&sort=created_at&offset=6").await.expect(200));
}

async fn a_list_is_sorted_along_its_index(app: TestApp) {
    fill(&app, 7).await;
    for (list, id) in LISTS {
        let mut whole = app.member().get(&format!("/v2/p1/{list}?limit=100")).await.each(list, id);
        let sorted = async |sort: &str| {
            app.member().get(&format!("/v2/p1/{list}?limit=100&sort={sort}")).await.expect(200).each(list, id)
        };
        assert_eq!(sorted("created_at:asc,id:asc").await, whole);
        whole.reverse();
        assert_eq!(sorted("created_at:desc").await, whole);
        assert_eq!(sorted("created_at:desc,id:desc").await, whole);
        let first = format!("/v2/p1/{list}?limit=2&sort=created_at%3Adesc");
        assert_eq!(follow(&app, list, id, &first, None).await, whole, "{list}, the newest first");
    }
}

async fn a_search_is_paged_by_marker(app: TestApp) {
    fill(&app, 9).await;
    let search = json!({"match_not": [{"status": "completed"}]});
    let whole = app.member().search("/v2/p1/jobs", search.clone()).await.each("jobs", "/job_id");
    assert_eq!(whole.len(), 5);
    for limit in [1, 2, 5] {
        let first = format!("/v2/p1/jobs?limit={limit}&with_count=1");
        assert_eq!(follow(&app, "jobs", "/job_id", &first, Some(search.clone())).await, whole);
    }
    for (search, count) in [(search, 5), (json!({}), 9), (json!({"match": [{"status": "none"}]}), 0)] {
        let answer = app.member().search("/v2/p1/jobs?limit=1&with_count=true", search.clone()).await;
        assert_eq!(answer.json()["count"], count, "{search}");
    }
    let search = json!({"match": [{"size": 1}]});
    let answer = app.member().search("/v2/p1/backups?limit=1&with_count=true", search).await;
    assert_eq!(answer.json()["count"], 4);
}

async fn answers_without_these_parameters_have_no_new_keys(app: TestApp) {
    fill(&app, 4).await;
    for (list, _) in LISTS {
        for query in ["", "?limit=2", "?limit=2&offset=1"] {
            let body = app.member().get(&format!("/v2/p1/{list}{query}")).await.expect(200).json();
            let keys: Vec<&String> = body.as_object().unwrap().keys().collect();
            assert_eq!(keys, [list], "{query}");
        }
    }
}

async fn a_page_over_the_maximum_is_cut_and_links_to_the_next(app: TestApp) {
    fill(&app, 9).await;
    let capped = |max_limit| Options {
        http: HttpSettings { max_limit, ..HttpSettings::default() },
        ..Options::default()
    };
    let small = TestApp::start(app.database(), capped(Some(4))).await;
    let open = TestApp::start(app.database(), capped(None)).await;
    for (list, id) in LISTS {
        let whole = app.member().get(&format!("/v2/p1/{list}?limit=100")).await.each(list, id);
        assert!(whole.len() > 8, "{list}: two full pages at least");
        let (end, near) = (whole.len(), whole.len() - 4);
        for query in ["limit=5", "limit=180000", "limit=9223372036854775807", "limit=6&marker="] {
            let first = format!("/v2/p1/{list}?{query}");
            assert_eq!(follow(&small, list, id, &first, None).await, whole, "{list}?{query}");
        }
        let rest = follow(&small, list, id, &format!("/v2/p1/{list}?limit=100&offset=3"), None).await;
        assert_eq!(rest, whole[3..], "{list}: the link goes on behind an offset");
        let first = format!("/v2/p1/{list}");
        assert_eq!(
            follow(&small, list, id, &first, None).await,
            whole,
            "{list}: the default limit is cut, too"
        );
        // A page within the maximum has no link, and neither has the last page of a larger request.
        let last = [format!("limit=180000&offset={near}"), format!("limit=5&offset={end}")];
        for query in ["limit=4".to_owned(), "limit=1".to_owned()].into_iter().chain(last) {
            let body = small.member().get(&format!("/v2/p1/{list}?{query}")).await.expect(200).json();
            assert_eq!(body.as_object().unwrap().len(), 1, "{list}?{query}: {body}");
        }
        let all = open.member().get(&format!("/v2/p1/{list}?limit=180000")).await.expect(200);
        assert_eq!(all.each(list, id), whole, "{list} without a maximum");
        assert_eq!(all.json().as_object().unwrap().len(), 1);
    }
    let search = json!({"match_not": [{"status": "completed"}]});
    let whole = app.member().search("/v2/p1/jobs?limit=100", search.clone()).await.each("jobs", "/job_id");
    assert_eq!(follow(&small, "jobs", "/job_id", "/v2/p1/jobs?limit=100", Some(search)).await, whole);
}

async fn invalid_markers_are_400(app: TestApp) {
    fill(&app, 2).await;
    let member = app.member();
    for query in [
        "marker=no-such-id",
        "marker=%00",
        "sort=description:asc",
        "sort=created_at:upwards",
        "sort=id",
        "sort=created_at:desc,id:asc",
        "with_count=perhaps",
        "marker=&limit=-1",
    ] {
        app.show(member.get(&format!("/v2/p1/jobs?{query}")).await.expect(400));
    }
    for (list, id) in LISTS {
        member.get(&format!("/v2/p1/{list}?marker=no-such-id")).await.expect(400);
        member.get(&format!("/v2/p1/{list}?sort=nothing")).await.expect(400);
        let of_p1 = member.get(&format!("/v2/p1/{list}")).await.each(list, id).remove(0);
        // A document of another project is not in this list, even if the caller belongs to that project.
        let stranger = app.as_user("u2", "p2", "member");
        stranger.get(&format!("/v2/p2/{list}?marker={of_p1}")).await.expect(400);
    }
}

async fn links_begin_with_the_public_address(app: TestApp) {
    fill(&app, 2).await;
    let behind = app.with_http(|http| http.proxy_headers = true);
    let old = [
        ("x-forwarded-proto", "https"),
        ("x-forwarded-host", "cloud.example:8443"),
        ("x-forwarded-prefix", "/backup"),
    ];
    let new = [("forwarded", "for=192.0.2.1;proto=https;host=other.example, proto=http;host=inner")];
    for (service, headers, expected) in [
        (&app, &old[..], "http://freezer.localhost:9090"),
        (&behind, &[][..], "http://freezer.localhost:9090"),
        (&behind, &old[..1], "https://freezer.localhost:9090"),
        (&behind, &old[..], "https://cloud.example:8443/backup"),
        (&behind, &new[..], "https://other.example"),
    ] {
        let member = service.member();
        let ask = async |path: &str| member.raw(Method::GET, path, headers, "").await.json();
        for (list, _) in LISTS {
            let body = ask(&format!("//v2/p1//{list}/?marker=&limit=1&all_projects=no")).await;
            let href = body[format!("{list}_links")][0]["href"].as_str().unwrap();
            let path = href.strip_prefix(expected).unwrap_or_else(|| panic!("{href} of {headers:?}"));
            assert!(path.starts_with(&format!("/v2/p1/{list}?limit=1&all_projects=no&marker=")), "{href}");
        }
        let versions = ask("/").await;
        assert_eq!(versions["versions"][0]["links"][0]["href"], format!("{expected}/v2/"));
    }
}

async fn new_and_deleted_documents_do_not_move_a_page(app: TestApp) {
    fill(&app, 6).await;
    let member = app.member();
    let whole = member.get("/v2/p1/backups").await.each("backups", "/backup_id");
    let first = member.get("/v2/p1/backups?limit=2&marker=").await.expect(200);
    let path = next(&first.json(), "backups").unwrap();
    // With an offset, the next page would skip a document now.
    member.delete(&format!("/v2/p1/backups/{}", whole[0])).await.expect(204);
    let second = member.get(&path).await.expect(200);
    assert_eq!(second.each("backups", "/backup_id"), whole[2..4]);
    // The document of the marker may be deleted, too.
    member.delete(&format!("/v2/p1/backups/{}", whole[1])).await.expect(204);
    assert_eq!(member.get(&path).await.expect(200).each("backups", "/backup_id"), whole[2..4]);
}

async fn deleting_documents_of_a_page_does_not_affect_the_next_page(app: TestApp) {
    fill(&app, 7).await;
    let member = app.member();
    // Jobs are deleted before the resources that they refer to.
    for (list, id) in [LISTS[4], LISTS[0], LISTS[1], LISTS[2], LISTS[3]] {
        let whole = member.get(&format!("/v2/p1/{list}?limit=100")).await.each(list, id);
        for (sort, expected) in [("asc", whole.clone()), ("desc", whole.iter().rev().cloned().collect())] {
            let marker = &expected[0];
            let path = format!("/v2/p1/{list}?limit=100&sort=created_at:{sort}&marker={marker}");
            let behind = member.get(&path).await.expect(200).each(list, id);
            assert_eq!(behind, expected[1..], "{list}, {sort}");
        }
        let (mut path, mut deleted) = (Some(format!("/v2/p1/{list}?limit=2&marker=")), Vec::new());
        while let Some(this) = path {
            let page = member.get(&this).await.expect(200);
            let documents = page.each(list, id);
            for (document, name) in documents.iter().zip(page.each(list, name_of(list, id))) {
                member.delete(&format!("/v2/p1/{list}/{name}")).await.expect(204);
                deleted.push(document.clone());
            }
            path = next(&page.json(), list);
        }
        assert_eq!(deleted, whole, "{list}");
        assert!(member.get(&format!("/v2/p1/{list}")).await.each(list, id).is_empty(), "{list}");
        // A deleted document of another project is not a marker, like a live one.
        let stranger = app.as_user("u2", "p2", "member");
        stranger.get(&format!("/v2/p2/{list}?marker={}", whole[0])).await.expect(400);
    }
}

/// Returns the path component for a document.
fn name_of<'a>(list: &str, id: &'a str) -> &'a str {
    if list == "clients" { "/client/client_id" } else { id }
}
