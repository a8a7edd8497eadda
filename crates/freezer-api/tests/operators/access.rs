//! The access log: one line for each request, with its status, the bytes that the client has received, and its caller.

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use crate::process::{Scratch, Service, wait_for};
use crate::reload::start;

const CALLER: &str = "X-User-Id: u1\r\nX-Project-Id: p1\r\nX-Roles: member\r\n";
const GLOBAL: &str = "req-9d1b2f4e-3a61-4f0e-8f55-0c8e7f1b2a3c";

/// Sends bytes on a new connection and reads until its end. Returns the number of received bytes.
fn exchange(service: &Service, bytes: impl AsRef<[u8]>) -> usize {
    let mut stream = service.connect();
    stream.write_all(bytes.as_ref()).unwrap();
    let mut received = Vec::new();
    stream.read_to_end(&mut received).unwrap();
    received.len()
}

fn request(method: &str, path: &str, headers: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: {length}\r\n{headers}\r\n{body}"
    )
}

/// Returns the access lines from the logger to their ends.
fn access_lines(log: &str) -> Vec<String> {
    let lines = log.lines().filter_map(|line| line.split_once(" freezer_api.access "));
    lines.map(|(front, rest)| format!("{} {rest}", front.rsplit(' ').next().unwrap())).collect()
}

/// Waits until there are this many access lines.
fn wait_for_lines(service: &Service, number: usize) -> Vec<String> {
    wait_for("access lines", || {
        let lines = access_lines(&service.log());
        (lines.len() >= number).then_some(lines)
    })
}

/// Returns a line without the request id and the time, which differ between runs.
fn masked(line: &str) -> String {
    let words = line.split(' ').filter(|word| !word.starts_with("ms="));
    let words = words.map(|word| match word.trim_start_matches('[').trim_end_matches(']') {
        id if id.starts_with("req-") && id != GLOBAL => word.replace(id, "req-own"),
        _ => word.to_owned(),
    });
    words.collect::<Vec<_>>().join(" ")
}

#[test]
fn each_request_has_an_access_line() {
    let scratch = Scratch::new();
    let service = start(
        &scratch,
        "",
        "[oslo_middleware]\nmax_request_body_size = 2000\n[api]\nbody_idle_timeout = 1\n",
    );
    let of_caller = "[req-own u1 p1 - - - -]";
    let unknown = "[req-own - - - - - -]";
    let client = "{\"client_id\": \"n1\"}";
    let long = "x".repeat(3_000);
    let with_global = format!("{CALLER}X-Openstack-Request-Id: {GLOBAL}\r\n");
    let cases = [
        (request("GET", "/v2/p1/jobs", CALLER, ""), of_caller, "GET /v2/p1/jobs status=200", ""),
        (
            request("GET", "//v2/p1/jobs/?limit=5&password=geheim", &with_global, ""),
            &*format!("[{GLOBAL} req-own u1 p1 - - - -]"),
            "GET //v2/p1/jobs/?limit=5&*** status=200",
            "",
        ),
        (request("POST", "/v2/p1/clients", CALLER, client), of_caller, "POST /v2/p1/clients status=201", ""),
        (
            request("HEAD", "/v2/p1/clients/n1", CALLER, ""),
            of_caller,
            "HEAD /v2/p1/clients/n1 status=200",
            "",
        ),
        (
            request("DELETE", "/v2/p1/clients/n1", CALLER, ""),
            of_caller,
            "DELETE /v2/p1/clients/n1 status=204",
            "",
        ),
        (request("GET", "/v2/p2/jobs", CALLER, ""), of_caller, "GET /v2/p2/jobs status=403", ""),
        (
            request("GET", "/v2/p1/jobs/a%0ab%1b", CALLER, ""),
            of_caller,
            "GET /v2/p1/jobs/a%0ab%1b status=404",
            "",
        ),
        (request("GET", "/v1", CALLER, ""), of_caller, "GET /v1 status=404", ""),
        (request("PUT", "/v2/p1/jobs", CALLER, ""), of_caller, "PUT /v2/p1/jobs status=405", ""),
        (
            request("GET", "/v2/p1/jobs", "X-Identity-Status: Invalid\r\n", ""),
            unknown,
            "GET /v2/p1/jobs status=401",
            "",
        ),
        (request("GET", "/", "", ""), unknown, "GET / status=300", ""),
        (
            request("POST", "/v2/p1/clients", CALLER, &long),
            of_caller,
            "POST /v2/p1/clients status=413",
            " rejected=body_size",
        ),
        (
            format!("POST /v2/p1/clients HTTP/1.1\r\nHost: localhost\r\n{CALLER}Content-Length: 9\r\n\r\n{{"),
            of_caller,
            "POST /v2/p1/clients status=408",
            " rejected=body_time",
        ),
        // heads that do not reach a handler, or cannot be read
        ("GET /v2 HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n".to_owned(), unknown, "GET /v2 status=400", ""),
        ("GET / HTTP/1.1\r\nHo st: x\r\n\r\n".to_owned(), unknown, "- - status=400", ""),
        (
            format!("GET /{} HTTP/1.1\r\n\r\n", "x".repeat(70_000)),
            unknown,
            "- - status=414",
            " rejected=uri_length",
        ),
        (
            format!("GET / HTTP/1.1\r\n{}\r\n", "x: y\r\n".repeat(200)),
            unknown,
            "- - status=431",
            " rejected=head_size",
        ),
    ];
    for (number, (bytes, caller, said, rejected)) in cases.into_iter().enumerate() {
        let received = exchange(&service, &bytes);
        let lines = wait_for_lines(&service, number + 1);
        let expected = format!("INFO {caller} {said} bytes={received} peer=127.0.0.1{rejected}");
        assert_eq!(masked(&lines[number]), expected);
        assert_eq!(lines.len(), number + 1);
    }
    let ms =
        |line: &String| line.split("ms=").nth(1).unwrap().split(' ').next().unwrap().parse::<f64>().unwrap();
    let lines = access_lines(&service.log());
    assert!(lines.iter().all(|line| ms(line) < 60_000.0) && ms(&lines[12]) >= 1_000.0, "{lines:#?}");
    assert!(!service.log().contains("geheim"));
}

#[test]
fn requests_of_one_connection_have_their_own_lines() {
    let scratch = Scratch::new();
    let service = start(&scratch, "", "");
    let one = |path: &str| format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n{CALLER}\r\n");
    let bytes = |line: &String| {
        line.split("bytes=").nth(1).unwrap().split(' ').next().unwrap().parse::<usize>().unwrap()
    };
    // pipelined: all are sent before the first answer is read
    let all = format!("{}{}{}", one("/v2/p1/jobs"), one("/v2/p1/unknown"), request("GET", "/v2", CALLER, ""));
    let received = exchange(&service, all);
    let lines = wait_for_lines(&service, 3);
    for (line, said) in lines.iter().zip([
        "GET /v2/p1/jobs status=200",
        "GET /v2/p1/unknown status=404",
        "GET /v2 status=200",
    ]) {
        assert!(line.contains(said), "{lines:#?}");
    }
    assert_eq!(lines.iter().map(bytes).sum::<usize>(), received, "{lines:#?}");
    // one after the other
    let mut stream = service.connect();
    for number in 1..=2 {
        stream.write_all(one("/v2/p1/jobs").as_bytes()).unwrap();
        let mut answer = Vec::new();
        while !answer.ends_with(b"{\"jobs\":[]}") {
            let mut byte = [0];
            stream.read_exact(&mut byte).unwrap();
            answer.extend(byte);
        }
        let lines = wait_for_lines(&service, 3 + number);
        assert_eq!(bytes(&lines[2 + number]), answer.len(), "{lines:#?}");
    }
}

#[test]
fn answers_and_heads_that_do_not_arrive_have_lines() {
    let scratch = Scratch::new();
    let service = start(
        &scratch,
        "",
        "[oslo_middleware]\nmax_request_body_size = 20000000\n[api]\nanswer_timeout = 1\nmax_document_bytes = 16000000\n",
    );
    // a part of a head
    let mut stream = service.connect();
    stream.write_all(b"GET /v2/p1").unwrap();
    drop(stream);
    let lines = wait_for_lines(&service, 1);
    assert_eq!(masked(&lines[0]), "INFO [req-own - - - - - -] - - bytes=0 peer=127.0.0.1 incomplete=true");
    // a part of a body
    let mut stream = service.connect();
    let head =
        format!("POST /v2/p1/clients HTTP/1.1\r\nHost: localhost\r\n{CALLER}Content-Length: 9\r\n\r\n");
    stream.write_all(head.as_bytes()).unwrap();
    std::thread::sleep(Duration::from_millis(300));
    socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO)).unwrap();
    drop(stream);
    let lines = wait_for_lines(&service, 2);
    assert!(lines[1].contains("POST /v2/p1/clients") && lines[1].ends_with("incomplete=true"), "{lines:#?}");
    // an answer that the client does not read
    let backup = format!(
        "{{\"hostname\": \"n\", \"backup_name\": \"b\", \"container\": \"c\", \"time_stamp\": 1, \"level\": 0, \"max_level\": 0, \
         \"mode\": \"fs\", \"fs_real_path\": \"/\", \"vol_snap_path\": \"/\", \"curr_backup_level\": 0, \"padding\": \"{}\"}}",
        "x".repeat(15_000_000)
    );
    let (status, answer) = service.request_with(CALLER, "POST", "/v2/p1/backups", &backup);
    assert_eq!(status, 201, "{answer}");
    let id: serde_json::Value = serde_json::from_str(&answer).unwrap();
    let mut stream = service.connect();
    let path = format!("/v2/p1/backups/{}", id["backup_id"].as_str().unwrap());
    stream.write_all(request("GET", &path, CALLER, "").as_bytes()).unwrap();
    let lines = wait_for_lines(&service, 4);
    assert!(
        lines[3].contains(&format!("GET {path} status=200")) && lines[3].ends_with("incomplete=true"),
        "{lines:#?}"
    );
    let mut received = 0;
    let mut buffer = vec![0; 65_536];
    while let Ok(bytes @ 1..) = stream.read(&mut buffer) {
        received += bytes;
    }
    let sent: usize = lines[3].split("bytes=").nth(1).unwrap().split(' ').next().unwrap().parse().unwrap();
    assert!(sent >= received && sent > 0 && sent < 15_000_000, "{sent} sent, {received} received");
}

#[test]
fn health_checks_are_logged_at_debug_and_the_log_can_be_switched_off() {
    for (more, lists, checks) in [
        ("", 1, 0),
        ("default_log_levels = freezer_api.access=DEBUG\n", 1, 2),
        ("default_log_levels = freezer_api.access=WARNING\n", 0, 0),
        ("debug = true\n", 1, 2),
        ("default_log_levels = freezer_api=WARNING,freezer_api.access=INFO\n", 1, 0),
    ] {
        let scratch = Scratch::new();
        // the line that the start of a test waits for is at INFO
        let more = more.replace("freezer_api=", "freezer_api.manage=INFO,freezer_api=");
        let service = start(&scratch, &more, "");
        exchange(&service, request("GET", "/healthcheck", "", ""));
        exchange(&service, request("GET", "/healthcheck/ready/", "", ""));
        exchange(&service, request("GET", "/v2/p1/jobs", CALLER, ""));
        service.terminate();
        let log = wait_for("the end", || {
            let log = service.log();
            std::net::TcpStream::connect(service.address()).is_err().then_some(log)
        });
        let lines = access_lines(&log);
        let of = |path: &str| lines.iter().filter(|line| line.contains(path)).cloned().collect::<Vec<_>>();
        assert_eq!(
            (of("GET /v2/p1/jobs").len(), of("GET /healthcheck").len()),
            (lists, checks),
            "{more}: {log}"
        );
        assert!(of("GET /healthcheck").iter().all(|line| line.starts_with("DEBUG ")), "{log}");
        assert!(
            of("GET /v2").iter().all(|line| line.starts_with("INFO [req-") && line.contains(" u1 p1 ")),
            "{log}"
        );
    }
}

#[test]
fn the_peer_is_the_client_of_a_trusted_proxy() {
    let forwarded = [
        ("X-Forwarded-For: 192.0.2.7\r\n", "192.0.2.7"),
        ("X-Forwarded-For: 192.0.2.7, 10.0.0.1\r\n", "192.0.2.7"),
        ("Forwarded: for=\"[2001:db8::7]:80\";proto=https\r\nX-Forwarded-For: 192.0.2.7\r\n", "2001:db8::7"),
        ("X-Forwarded-For: a\tb status=200\r\n", "127.0.0.1"),
        ("", "127.0.0.1"),
    ];
    for trusted in [true, false] {
        let scratch = Scratch::new();
        let section = format!("[oslo_middleware]\nenable_proxy_headers_parsing = {trusted}\n");
        let service = start(&scratch, "", &section);
        for (number, (headers, peer)) in forwarded.iter().enumerate() {
            exchange(&service, request("GET", "/v2/p1/jobs", &format!("{CALLER}{headers}"), ""));
            let line = wait_for_lines(&service, number + 1).pop().unwrap();
            let local = IpAddr::from(Ipv4Addr::LOCALHOST).to_string();
            let peer = if trusted { *peer } else { &local };
            assert!(line.ends_with(&format!(" peer={peer}")), "{headers}: {line}");
        }
    }
}

#[test]
fn an_access_line_of_json_has_numbers() {
    let scratch = Scratch::new();
    let service = start(&scratch, "use_json = true\n", "");
    let received = exchange(&service, request("GET", "/v2/p1/jobs", CALLER, ""));
    let line: serde_json::Value = wait_for("the line", || {
        let log = service.log();
        log.lines()
            .filter_map(|line| serde_json::from_str(line).ok())
            .find(|line: &serde_json::Value| line["name"] == "freezer_api.access")
    });
    assert_eq!(line["message"], "GET /v2/p1/jobs");
    let extra = &line["extra"];
    assert_eq!(
        (&extra["status"], &extra["bytes"], &extra["peer"]),
        (&200.into(), &received.into(), &"127.0.0.1".into())
    );
    assert!(extra["ms"].as_f64().unwrap() > 0.0, "{line}");
    assert_eq!((&line["context"]["user"], &line["context"]["project"]), (&"u1".into(), &"p1".into()));
}
