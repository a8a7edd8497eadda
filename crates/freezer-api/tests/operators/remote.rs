//! Policy rules that call another server, and tokens with another scope, in the running service.

use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::{Arc, Mutex};

use serde_json::Value;

use super::reload::start;
use crate::process::{Scratch, Service};

/// Starts a policy server. It answers `True` for an admin, and uses JSON.
fn decider() -> (SocketAddr, Arc<Mutex<Vec<Value>>>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    let asked = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&asked);
    std::thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let mut bytes = Vec::new();
            let question: Value = loop {
                let mut buffer = [0; 4096];
                let length = stream.read(&mut buffer).unwrap_or(0);
                bytes.extend_from_slice(&buffer[..length]);
                let text = String::from_utf8_lossy(&bytes);
                let body = text.split_once("\r\n\r\n").map_or("", |(_, body)| body);
                match serde_json::from_str(body) {
                    Ok(question) => break question,
                    Err(_) if length == 0 => break Value::Null,
                    Err(_) => {}
                }
            };
            let admin = question["credentials"]["roles"]
                .as_array()
                .is_some_and(|roles| roles.contains(&"admin".into()));
            let answer = if admin { "True" } else { "False" };
            log.lock().unwrap().push(question);
            let _ = write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{answer}", answer.len());
        }
    });
    (address, asked)
}

fn list(service: &Service, headers: &str) -> (u16, String) {
    service.request_with(&format!("X-User-Id: u1\r\n{headers}"), "GET", "/v2/p1/jobs", "")
}

#[test]
fn a_policy_server_can_decide() {
    let scratch = Scratch::new();
    let (address, asked) = decider();
    scratch.write(
        "policy.yaml",
        &format!(
            "\"jobs:get_all\": \"http://{address}/%(project_id)s\"\n\
             \"jobs:get_all_projects\": \"rule:elsewhere\"\n\"elsewhere\": \"http://{address}/projects\"\n\
             \"sessions:get_all\": \"http://127.0.0.1:1/\"\n"
        ),
    );
    let service = start(&scratch, "", "[oslo_policy]\nremote_content_type = application/json\n");
    assert_eq!(list(&service, "X-Roles: admin\r\nX-Project-Id: p1\r\n").0, 200);
    assert_eq!(list(&service, "X-Roles: member\r\nX-Project-Id: p1\r\n").0, 403);
    let questions = asked.lock().unwrap().clone();
    let rules: Vec<&Value> = questions.iter().map(|question| &question["rule"]).collect();
    assert_eq!(rules, ["jobs:get_all", "jobs:get_all_projects", "jobs:get_all"]);
    assert_eq!(questions[0]["target"]["project_id"], "p1");
    assert_eq!(questions[1]["target"], serde_json::json!({}));
    assert_eq!(questions[2]["credentials"]["user_id"], "u1");
    // If the policy server does not answer, the request is rejected.
    let (status, _) = service.request("GET", "/v2/p1/sessions", "");
    assert_eq!(status, 500);
    let log = service.log();
    let line = log.lines().find(|line| line.contains("cannot be decided")).unwrap();
    assert!(line.contains(" ERROR ") && line.contains("127.0.0.1:1") && line.contains("[req-"), "{line}");
}

#[test]
fn a_token_with_another_scope_is_rejected_unless_this_is_disabled() {
    let scratch = Scratch::new();
    let others = ["OpenStack-System-Scope: all\r\n", "X-Domain-Id: d1\r\n"];
    let service = start(&scratch, "", "");
    for scope in others {
        let (status, body) = list(&service, &format!("X-Roles: admin\r\n{scope}"));
        let body: Value = serde_json::from_str(&body).unwrap();
        assert_eq!((status, &body["title"]), (403, &"Access Forbidden".into()), "{scope}");
    }
    assert_eq!(list(&service, "X-Roles: admin\r\n").0, 200);
    service.terminate();
    assert_eq!(service.exit_code(), Some(0));
    fs::remove_file(scratch.path().join("freezer.db")).unwrap();
    let service = start(&scratch, "", "[oslo_policy]\nenforce_scope = false\n");
    for scope in others {
        assert_eq!(list(&service, &format!("X-Roles: admin\r\n{scope}")).0, 200, "{scope}");
    }
    assert!(service.log().contains("policy would deny if enforce_scope were set"), "{}", service.log());
}
