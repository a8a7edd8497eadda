//! The health check, with the options and formats of oslo.middleware.

use freezer_api::app::HttpSettings;
use freezer_api::health::{HealthCheck, HealthSettings, Network};
use http::Method;
use serde_json::json;

use crate::support::{Answer, TestApp, on_both_engines};

on_both_engines![
    the_check_needs_no_token_and_a_file_disables_it,
    the_client_chooses_the_format,
    details,
    checks_of_files,
    proxied_and_foreign_callers_are_rejected,
];

async fn ask(app: &TestApp, headers: &[(&str, &str)]) -> Answer {
    app.member().raw(Method::GET, "/healthcheck", headers, "").await
}

async fn the_check_needs_no_token_and_a_file_disables_it(app: TestApp) {
    let member = app.member();
    app.show(member.get("/healthcheck").await.expect(200));
    app.remark("no token is necessary");
    app.show(ask(&app, &[("x-identity-status", "Invalid")]).await.expect(200));
    app.remark("a file disables the node");
    std::fs::write(app.disabled_by(), "").unwrap();
    app.show(member.get("/healthcheck").await.expect(503));
    app.show(ask(&app, &[("accept", "application/json")]).await.expect(503));
    member.ask(Method::HEAD, "/healthcheck", None).await.expect(503);
    std::fs::remove_file(app.disabled_by()).unwrap();
    member.get("/healthcheck").await.expect(200);
}

async fn the_client_chooses_the_format(app: TestApp) {
    for accept in ["*/*", "text/plain", "text/*", "application/xml", "text/html;q=0.5, text/plain", ""] {
        let answer = ask(&app, &[("accept", accept)]).await.expect(200);
        assert_eq!(answer.header("content-type"), Some("text/plain; charset=UTF-8"), "{accept}");
        assert_eq!(answer.body, "OK", "{accept}");
    }
    for accept in ["application/json", "application/*", "text/html;q=0.1, application/json;q=0.2"] {
        let answer = ask(&app, &[("accept", accept)]).await.expect(200);
        assert_eq!(answer.header("content-type"), Some("application/json"), "{accept}");
        assert_eq!(answer.json(), json!({"detailed": false, "reasons": ["OK"]}), "{accept}");
    }
    for accept in ["text/html", "text/html, application/xhtml+xml, */*;q=0.8", "text/plain;q=0, */*"] {
        let answer = ask(&app, &[("accept", accept)]).await.expect(200);
        assert_eq!(answer.header("content-type"), Some("text/html; charset=UTF-8"), "{accept}");
    }
    app.show(ask(&app, &[("accept", "text/html")]).await);
}

fn with_health(app: &TestApp, health: HealthSettings) -> TestApp {
    app.with_http(|http: &mut HttpSettings| http.health = health)
}

async fn details(app: TestApp) {
    let file = app.disabled_by().with_extension("<d>");
    let health = HealthSettings { detailed: true, ..HealthSettings::disabled_by(file.clone()) };
    let detailed = with_health(&app, health);
    let accepts_json = [("accept", "application/json")];
    let document = ask(&detailed, &accepts_json).await.expect(200).json();
    let expected = format!("Path '{}' was not found", file.display());
    assert_eq!(document["detailed"], true);
    assert_eq!(document["now"], "2026-11-22 10:00:00");
    assert!(document["platform"].as_str().unwrap().starts_with("Linux-"), "{document}");
    let reasons = json!([{"class": "HealthcheckResult", "details": expected, "reason": "OK"}]);
    assert_eq!(document["reasons"], reasons);
    let page = String::from_utf8(ask(&detailed, &[("accept", "text/html")]).await.body.to_vec()).unwrap();
    for part in [
        "Server status",
        "2026-11-22 10:00:00",
        "<TH>Details</TH>",
        "<TD>OK</TD>",
        "&lt;d&gt;&#39; was not found",
    ] {
        assert!(page.contains(part), "no {part} in {page}");
    }
    assert!(!page.contains("<d>"), "{page}");
    assert_eq!(ask(&detailed, &[]).await.body, "OK", "text has no details");
    std::fs::write(&file, "").unwrap();
    let document = ask(&detailed, &accepts_json).await.expect(503).json();
    std::fs::remove_file(&file).unwrap();
    let expected = format!("Path '{}' was found", file.display());
    assert_eq!(document["reasons"][0]["details"], expected);
    assert_eq!(document["reasons"][0]["reason"], "DISABLED BY FILE");
}

async fn checks_of_files(app: TestApp) {
    let (there, missing) =
        (app.disabled_by().with_extension("there"), app.disabled_by().with_extension("missing"));
    std::fs::write(&there, "").unwrap();
    for (checks, status, text) in [
        (vec![], 200, ""),
        (vec![HealthCheck::DisableByFile(None)], 200, "OK"),
        (vec![HealthCheck::DisableByFilesPorts(None)], 200, "OK"),
        (vec![HealthCheck::DisableByFilesPorts(Some(missing.clone()))], 200, "OK"),
        (vec![HealthCheck::DisableByFilesPorts(Some(there.clone()))], 503, "DISABLED BY FILE"),
        (vec![HealthCheck::EnableByFiles(vec![])], 200, "OK"),
        (vec![HealthCheck::EnableByFiles(vec![there.clone()])], 200, "OK"),
        (vec![HealthCheck::EnableByFiles(vec![there.clone(), missing.clone()])], 503, "FILE PATH MISSING"),
        (
            vec![
                HealthCheck::DisableByFile(Some(missing.clone())),
                HealthCheck::DisableByFilesPorts(Some(there.clone())),
            ],
            503,
            "OK\nDISABLED BY FILE",
        ),
    ] {
        let service =
            with_health(&app, HealthSettings { checks: checks.clone(), ..HealthSettings::default() });
        let answer = ask(&service, &[]).await.expect(status);
        assert_eq!(answer.body, text, "{checks:?}");
        let reasons =
            ask(&service, &[("accept", "application/json")]).await.expect(status).json()["reasons"].clone();
        assert_eq!(reasons, json!(text.lines().collect::<Vec<_>>()), "{checks:?}");
    }
    std::fs::remove_file(&there).unwrap();
}

async fn proxied_and_foreign_callers_are_rejected(app: TestApp) {
    let proxied = with_health(&app, HealthSettings { ignore_proxied: true, ..app.app().http.health.clone() });
    ask(&proxied, &[]).await.expect(200);
    for header in
        ["x-forwarded", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-forwarded-prefix"]
    {
        ask(&proxied, &[(header, "x")]).await.expect(404);
        ask(&proxied, &[(header, "")]).await.expect(200);
        ask(&app, &[(header, "x")]).await.expect(200);
    }
    // Without a socket, the address of the caller is unknown. tests/connections uses sockets.
    let allowed = vec![Network::parse("10.0.0.0/8").unwrap()];
    let local = with_health(&app, HealthSettings { allowed, ..app.app().http.health.clone() });
    ask(&local, &[]).await.expect(404);
}
