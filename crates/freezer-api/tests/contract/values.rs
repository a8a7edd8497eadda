//! Values that must be stored without a change: characters, numbers, depth, order and size.

use http::Method;
use serde_json::json;

use crate::support::documents::{backup, freezer_action, job, with};
use crate::support::{Engine, TestApp, on_both_engines};

on_both_engines![
    characters_are_returned_unchanged,
    emoji_in_a_utf8mb3_column_is_400,
    numbers_are_returned_with_all_digits,
    nesting_is_stored_up_to_its_limit,
    keys_and_their_order_are_kept,
    a_hundred_kilobytes_are_kept_everywhere,
];

/// Texts that have caused problems in software.
const TEXTS_OF_THE_WORLD: [&str; 10] = [
    "🌙 nightly 👩‍👩‍👧",
    "Überraschung",
    "日本語のバックアップ",
    "\u{202e}right to left עברית",
    "a\0b",
    "tab\tnew\nline\r",
    "quote ' \" ` \\ back\\slash",
    "%s %(x)s {0} ${HOME} '; DROP TABLE jobs; --",
    "trailing space ",
    "\u{7f}\u{fffd}\u{feff}",
];

async fn characters_are_returned_unchanged(app: TestApp) {
    let member = app.member();
    for (number, text) in TEXTS_OF_THE_WORLD.iter().enumerate() {
        let name = format!("node-{number}");
        member.post("/v2/p1/clients", json!({"client_id": name, "description": text})).await.expect(201);
        let shown = member.get(&format!("/v2/p1/clients/{name}")).await.json();
        assert_eq!(shown["client"]["description"], *text);
        let freezer_action = with(freezer_action(), json!({"backup_name": text, (*text): [text]}));
        let document = json!({
            "job_id": name, "description": text, "job_actions": [{"freezer_action": freezer_action}],
            "job_schedule": {"schedule_month": text},
        });
        member.add_job("p1", with(job(&name), document)).await;
        let shown = member.job(&name).await;
        assert_eq!(
            (&shown["description"], &shown["job_schedule"]["schedule_month"]),
            (&json!(text), &json!(text))
        );
        let action = &shown["job_actions"][0]["freezer_action"];
        assert_eq!((&action["backup_name"], &action[*text]), (&json!(text), &json!([text])));
        let session = json!({"schedule": {"schedule_day": text}, "description": text, "result": text});
        let shown = member.session(&member.add_session("p1", session).await).await;
        assert_eq!((&shown["description"], &shown["result"]), (&json!(text), &json!(text)));
        let id = member.add_backup("p1", with(backup(text), json!({(*text): text}))).await;
        let shown = member.get(&format!("/v2/p1/backups/{id}")).await.json();
        assert_eq!(
            (&shown["backup_metadata"]["backup_name"], &shown["backup_metadata"][*text]),
            (&json!(text), &json!(text))
        );
        let found = member.search("/v2/p1/backups", json!({"match": [{"backup_name": text}]})).await;
        assert_eq!(found.each("backups", "/backup_id"), [id]);
    }
}

async fn emoji_in_a_utf8mb3_column_is_400(app: TestApp) {
    if app.engine() == Engine::Sqlite {
        return; // This engine has no such columns.
    }
    let member = app.member();
    member.add_client("p1", "node-1").await;
    let narrow = "VARCHAR(255) CHARACTER SET utf8mb3 COLLATE utf8mb3_general_ci";
    app.database().run(&format!("ALTER TABLE jobs MODIFY description {narrow}")).await;
    app.database().run("ALTER TABLE backups CONVERT TO CHARACTER SET utf8mb3").await;
    let refused =
        member.post("/v2/p1/jobs", with(job("node-1"), json!({"description": "🌙"}))).await.expect(400);
    // MySQL does not name the column.
    let said = refused.description();
    let said = said.strip_prefix("description: ").unwrap_or(&said);
    assert_eq!(
        said,
        "the value has a character (such as an emoji) that the column's character set cannot hold"
    );
    let japanese = with(job("node-1"), json!({"description": "日本語"}));
    member.add_job("p1", japanese).await;
    // Columns with JSON contain escapes, so they can store all characters.
    let id = member.add_backup("p1", with(backup("🌙"), json!({"note": "🌙"}))).await;
    assert_eq!(member.get(&format!("/v2/p1/backups/{id}")).await.json()["backup_metadata"]["note"], "🌙");
}

async fn numbers_are_returned_with_all_digits(app: TestApp) {
    let member = app.member();
    for (number, shown) in [
        ("0", "0"),
        ("-0", "-0"),
        ("1", "1"),
        ("1.0", "1.0"),
        ("1.10", "1.10"),
        ("-1.5e-300", "-1.5e-300"),
        ("9007199254740993", "9007199254740993"),
        ("18446744073709551616", "18446744073709551616"),
        ("123456789012345678901234567890", "123456789012345678901234567890"),
        ("0.1000000000000000055511151231257827", "0.1000000000000000055511151231257827"),
        // This is the same number in another format.
        ("1e5", "1e+5"),
        ("1.50E+5", "1.50e+5"),
        ("1e400", "1e+400"),
    ] {
        let body = format!(
            r#"{{"backup_name":"b","container":"c","hostname":"h","number":{number},"list":[{{"n":{number}}}]}}"#
        );
        let id = member.raw(Method::POST, "/v2/p1/backups", &[], body).await.expect(201).text("backup_id");
        let path = format!("/v2/p1/backups/{id}");
        for answer in [
            member.get(&path).await.expect(200),
            member.patch(&path, json!({"status": "error"})).await.expect(200),
            member.search("/v2/p1/backups", json!({"match": [{"backup_id": id}]})).await.expect(200),
        ] {
            let text = String::from_utf8(answer.body.to_vec()).unwrap();
            assert!(
                text.contains(&format!(r#""number":{shown},"list":[{{"n":{shown}}}]"#)),
                "{number}: {text}"
            );
        }
        let body = format!(r#"{{"freezer_action":{{"action":"exec","number":{number}}}}}"#);
        let id = member.raw(Method::POST, "/v2/p1/actions", &[], body).await.expect(201).text("action_id");
        let answer = member.get(&format!("/v2/p1/actions/{id}")).await.expect(200);
        let text = String::from_utf8(answer.body.to_vec()).unwrap();
        assert!(text.contains(&format!(r#""number":{shown}"#)), "{number}: {text}");
    }
}

async fn nesting_is_stored_up_to_its_limit(app: TestApp) {
    let member = app.member();
    // The limit is 100, and the document itself counts as the first level.
    let deepest = |depth: usize| {
        let (open, close) = ("[".repeat(depth - 1), "]".repeat(depth - 1));
        format!(r#"{{"backup_name":"b","container":"c","hostname":"h","deep":{open}{close}}}"#)
    };
    let id =
        member.raw(Method::POST, "/v2/p1/backups", &[], deepest(100)).await.expect(201).text("backup_id");
    let path = format!("/v2/p1/backups/{id}");
    for answer in [
        member.get(&path).await.expect(200),
        member.patch(&path, json!({"status": "error"})).await.expect(200),
        member.get("/v2/p1/backups").await.expect(200),
        member.search("/v2/p1/backups", json!({"match": [{"backup_name": "b"}]})).await.expect(200),
    ] {
        let text = String::from_utf8(answer.body.to_vec()).unwrap();
        let nest = format!("{}{}", "[".repeat(99), "]".repeat(99));
        assert!(text.contains(&nest), "{text}");
    }
    let refused = member.raw(Method::POST, "/v2/p1/backups", &[], deepest(101)).await.expect(400);
    assert!(refused.description().starts_with("backup_metadata: "), "{refused}");
    let refused = member.raw(Method::POST, "/v2/p1/backups", &[], deepest(128)).await.expect(400);
    assert_eq!(refused.text("title"), "Malformed JSON");
    member.raw(Method::POST, "/v2/p1/backups", &[], "[".repeat(100_000)).await.expect(400);
}

async fn keys_and_their_order_are_kept(app: TestApp) {
    let member = app.member();
    let body = r#"{"zebra":1,"backup_name":"b","a":{"z":1,"y":[],"x":{}},"container":"c","M":2,"hostname":"h","0":null}"#;
    let id = member.raw(Method::POST, "/v2/p1/backups", &[], body).await.expect(201).text("backup_id");
    let answer = member.get(&format!("/v2/p1/backups/{id}")).await.expect(200);
    let text = String::from_utf8(answer.body.to_vec()).unwrap();
    assert!(text.contains(&format!(r#""backup_metadata":{body}"#)), "{text}");
    app.remark("if a key is repeated, its last value counts");
    let twice = r#"{"backup_name":"b","backup_name":"last","container":"c","hostname":"h"}"#;
    let id = member.raw(Method::POST, "/v2/p1/backups", &[], twice).await.expect(201).text("backup_id");
    app.show(member.get(&format!("/v2/p1/backups/{id}")).await.expect(200));
    app.remark("special keys of a JSON library are ordinary keys, or are rejected");
    for key in ["$serde_json::private::Number", "$serde_json::private::RawValue"] {
        for value in ["\"1\"", "\"x\"", "5", "{}"] {
            let body =
                format!(r#"{{"backup_name":"b","container":"c","hostname":"h","odd":{{"{key}":{value}}}}}"#);
            let answer = member.raw(Method::POST, "/v2/p1/backups", &[], body).await;
            assert!(matches!(answer.status.as_u16(), 201 | 400), "{answer}");
        }
    }
    member.get("/v2/p1/backups?limit=100").await.expect(200);
    member.search("/v2/p1/backups", json!({"match": [{"hostname": "h"}]})).await.expect(200);
}

async fn a_hundred_kilobytes_are_kept_everywhere(app: TestApp) {
    let member = app.member();
    member.add_client("p1", "node-1").await;
    let large = "🌙".repeat(25_000);
    let action_id = member.add_action("p1", with(freezer_action(), json!({"large": large}))).await;
    let shown = member.get(&format!("/v2/p1/actions/{action_id}")).await.json();
    assert_eq!(shown["freezer_action"]["large"], large);
    let document = with(job("node-1"), json!({"job_schedule": {"schedule_month": large}}));
    let job_id = member.add_job("p1", document).await;
    assert_eq!(member.job(&job_id).await["job_schedule"]["schedule_month"], large);
    let session_id = member.add_session("p1", json!({"schedule": {"schedule_month": large}})).await;
    assert_eq!(member.session(&session_id).await["schedule"]["schedule_month"], large);
}
