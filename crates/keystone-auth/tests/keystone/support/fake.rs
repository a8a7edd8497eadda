//! A fake Keystone: the resources that the crate uses, over a small HTTP/1.1 server, with switches that make
//! it fail. It checks the service's token, the password and the owner of a trust, as a real Keystone does.

use std::collections::{HashMap, HashSet};
use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

use super::{PASSWORD, TestClock, iso, token};

/// How the fake Keystone answers.
#[derive(Clone, PartialEq)]
pub enum Answer {
    /// As a real Keystone.
    Normal,
    /// With this status and body.
    Status(u16, &'static str),
    /// With status 200 and this body, without a content length.
    Unmeasured(&'static str),
    /// By closing the connection.
    Close,
    /// Never.
    Never,
    /// With one byte each 50 ms.
    Drip,
}

/// A received request.
#[derive(Clone)]
pub struct Seen {
    pub method: String,
    pub target: String,
    pub headers: HashMap<String, String>,
    pub body: Value,
}

pub struct State {
    /// Tokens with their documents. A test removes a token to revoke it.
    pub tokens: HashMap<String, Value>,
    /// The valid tokens of the service.
    pub own: HashSet<String>,
    pub own_life: i64,
    pub catalog: Value,
    pub trusts: Vec<Value>,
    /// Number of created trusts. Their ids are trust-1, trust-2, …
    pub trusts_made: usize,
    pub on_validate: Answer,
    pub on_authenticate: Answer,
    pub on_list_trusts: Answer,
    pub on_create_trust: Answer,
    /// The time before each answer.
    pub delay: Duration,
    pub seen: Vec<Seen>,
    clock: TestClock,
}

impl State {
    fn count(&self, method: &str, path: &str) -> usize {
        let path_of = |seen: &Seen| seen.target.split('?').next().unwrap().to_owned();
        self.seen.iter().filter(|seen| seen.method == method && path_of(seen).ends_with(path)).count()
    }

    pub fn validations(&self) -> usize {
        self.count("GET", "/v3/auth/tokens")
    }

    pub fn authentications(&self) -> usize {
        self.count("POST", "/v3/auth/tokens")
    }

    /// Returns the number of calls about trusts with this method.
    pub fn trust_calls(&self, method: &str) -> usize {
        let of_trusts = |seen: &&Seen| seen.method == method && seen.target.contains("/OS-TRUST/");
        self.seen.iter().filter(of_trusts).count()
    }
}

pub struct FakeKeystone {
    pub url: String,
    state: Arc<Mutex<State>>,
    hold: watch::Sender<Held>,
    server: JoinHandle<()>,
}

/// The calls that wait until a test releases them.
#[derive(Default)]
struct Held {
    validations: bool,
    /// Methods of held calls about trusts.
    trusts: &'static [&'static str],
}

/// Binds a port below 32768, because the kernel assigns higher ports to outgoing connections.
async fn bind() -> TcpListener {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let base = u16::try_from(std::process::id() % 11_000).unwrap();
    for _ in 0..1000 {
        let port = 20_000 + (base + NEXT.fetch_add(1, Ordering::SeqCst)) % 12_000;
        if let Ok(listener) = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await {
            return listener;
        }
    }
    panic!("no free port");
}

impl FakeKeystone {
    pub async fn start(clock: TestClock) -> Self {
        Self::start_with(clock, None).await
    }

    /// Starts a server, which speaks HTTPS if `tls` is given.
    pub async fn start_with(clock: TestClock, tls: Option<tokio_rustls::TlsAcceptor>) -> Self {
        let listener = bind().await;
        let scheme = if tls.is_some() { "https" } else { "http" };
        let url = format!("{scheme}://127.0.0.1:{}", listener.local_addr().unwrap().port());
        let state = Arc::new(Mutex::new(State {
            tokens: HashMap::new(),
            own: HashSet::new(),
            own_life: 3600,
            catalog: json!([]),
            trusts: Vec::new(),
            trusts_made: 0,
            on_validate: Answer::Normal,
            on_authenticate: Answer::Normal,
            on_list_trusts: Answer::Normal,
            on_create_trust: Answer::Normal,
            delay: Duration::ZERO,
            seen: Vec::new(),
            clock,
        }));
        let hold = watch::Sender::new(Held::default());
        let server = listen(listener, &state, &hold, tls);
        Self { url, state, hold, server }
    }

    /// Listens again at the address from before [`FakeKeystone::stop`], with the same state. Plain HTTP only.
    pub async fn start_again(&mut self) {
        let address = self.url.strip_prefix("http://").unwrap();
        let mut tries = 0;
        let listener = loop {
            match TcpListener::bind(address).await {
                Ok(listener) => break listener,
                Err(error) => assert!(tries < 500, "{address} is not free again: {error}"),
            }
            tries += 1;
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        };
        self.server = listen(listener, &self.state, &self.hold, None);
    }

    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    pub fn validations(&self) -> usize {
        self.state().validations()
    }

    pub fn authentications(&self) -> usize {
        self.state().authentications()
    }

    pub fn add(&self, name: &str, document: Value) {
        self.state().tokens.insert(name.to_owned(), document);
    }

    /// Lets validations wait until the hold is released.
    pub fn hold(&self, on: bool) {
        self.hold.send_modify(|held| held.validations = on);
    }

    /// Lets calls about trusts with one of these methods wait until this is called again without the method.
    pub fn hold_trusts(&self, methods: &'static [&'static str]) {
        self.hold.send_modify(|held| held.trusts = methods);
    }

    /// Stops listening and closes all connections.
    pub async fn stop(&mut self) {
        self.server.abort();
        let _ = (&mut self.server).await;
    }
}

impl Drop for FakeKeystone {
    fn drop(&mut self) {
        self.server.abort();
    }
}

fn listen(
    listener: TcpListener,
    state: &Arc<Mutex<State>>,
    hold: &watch::Sender<Held>,
    tls: Option<tokio_rustls::TlsAcceptor>,
) -> JoinHandle<()> {
    let (shared, hold) = (Arc::clone(state), hold.clone());
    tokio::spawn(async move {
        // Aborting the server drops the set, which ends the connections too.
        let mut connections = JoinSet::new();
        loop {
            let Ok((stream, _)) = listener.accept().await else { return };
            let (state, held, tls) = (Arc::clone(&shared), hold.subscribe(), tls.clone());
            connections.spawn(async move {
                match tls {
                    None => serve(stream, state, held).await,
                    Some(tls) => match tls.accept(stream).await {
                        Ok(stream) => serve(stream, state, held).await,
                        Err(_) => None,
                    },
                }
            });
        }
    })
}

/// Serves one connection until it ends.
async fn serve(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    state: Arc<Mutex<State>>,
    mut held: watch::Receiver<Held>,
) -> Option<()> {
    let mut buffer = Vec::new();
    loop {
        let head_end = loop {
            if let Some(at) = buffer.windows(4).position(|four| four == b"\r\n\r\n") {
                break at + 4;
            }
            if stream.read_buf(&mut buffer).await.ok()? == 0 {
                return None;
            }
        };
        let head = String::from_utf8_lossy(&buffer[..head_end]).into_owned();
        let mut lines = head.lines();
        let mut first = lines.next()?.split(' ');
        let (method, target) = (first.next()?.to_owned(), first.next()?.to_owned());
        let headers: HashMap<String, String> = lines
            .filter_map(|line| line.split_once(':'))
            .map(|(name, value)| (name.to_lowercase(), value.trim().to_owned()))
            .collect();
        let length = headers.get("content-length").map_or(0, |length| length.parse().unwrap());
        while buffer.len() < head_end + length {
            if stream.read_buf(&mut buffer).await.ok()? == 0 {
                return None;
            }
        }
        let body = serde_json::from_slice(&buffer[head_end..head_end + length]).unwrap_or(Value::Null);
        buffer.drain(..head_end + length);

        let validation = method == "GET" && target.contains("/v3/auth/tokens");
        let of_trusts = target.contains("/OS-TRUST/");
        let seen = Seen { method, target, headers, body };
        state.lock().unwrap().seen.push(seen.clone());
        let waits = |held: &Held| {
            (validation && held.validations) || (of_trusts && held.trusts.contains(&&*seen.method))
        };
        drop(held.wait_for(|held| !waits(held)).await.ok()?);
        let delay = state.lock().unwrap().delay;
        tokio::time::sleep(delay).await;
        let answer = answer(&mut state.lock().unwrap(), &seen);
        let (status, extra, body) = match answer {
            Reply::Close => return None,
            Reply::Never => std::future::pending().await,
            Reply::Drip => {
                stream.write_all(b"HTTP/1.1 200 X\r\ncontent-length: 10000\r\n\r\n").await.ok()?;
                loop {
                    stream.write_all(b" ").await.ok()?;
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            }
            Reply::Send(status, extra, body) => (status, extra, body),
            Reply::Unmeasured(body) => {
                let head = "HTTP/1.1 200 X\r\ncontent-type: application/json\r\nconnection: close\r\n\r\n";
                stream.write_all(head.as_bytes()).await.ok()?;
                stream.write_all(body.as_bytes()).await.ok()?;
                stream.shutdown().await.ok()?;
                return None;
            }
        };
        let text = format!(
            "HTTP/1.1 {status} X\r\ncontent-type: application/json\r\ncontent-length: {}\r\n{extra}\r\n{body}",
            body.len()
        );
        stream.write_all(text.as_bytes()).await.ok()?;
        stream.flush().await.ok()?;
    }
}

enum Reply {
    Send(u16, String, String),
    Unmeasured(&'static str),
    Close,
    Never,
    Drip,
}

fn json_reply(status: u16, body: &Value) -> Reply {
    Reply::Send(status, String::new(), body.to_string())
}

fn error(status: u16, message: &str) -> Reply {
    json_reply(status, &json!({"error": {"code": status, "title": "X", "message": message}}))
}

fn answer(state: &mut State, seen: &Seen) -> Reply {
    let (path, query) = seen.target.split_once('?').unwrap_or((&seen.target, ""));
    let path = path.strip_prefix("/identity").unwrap_or(path);
    let switch = match (&*seen.method, path) {
        ("GET", "/v3/auth/tokens") => &state.on_validate,
        ("POST", "/v3/auth/tokens") => &state.on_authenticate,
        ("GET", "/v3/OS-TRUST/trusts") => &state.on_list_trusts,
        ("POST", "/v3/OS-TRUST/trusts") => &state.on_create_trust,
        _ => &Answer::Normal,
    };
    match switch {
        Answer::Normal => {}
        Answer::Status(status @ 300..400, body) => {
            let location = "location: /v3/elsewhere\r\n".to_owned();
            return Reply::Send(*status, location, (*body).to_owned());
        }
        Answer::Status(status, body) => return Reply::Send(*status, String::new(), (*body).to_owned()),
        Answer::Unmeasured(body) => return Reply::Unmeasured(body),
        Answer::Close => return Reply::Close,
        Answer::Never => return Reply::Never,
        Answer::Drip => return Reply::Drip,
    }
    match (&*seen.method, path) {
        ("POST", "/v3/auth/tokens") => authenticate(state, seen),
        ("GET", "/v3/auth/tokens") => validate(state, seen, query),
        (method, path) => match path.strip_prefix("/v3/OS-TRUST/trusts") {
            Some(rest) => trusts(state, seen, method, rest.trim_start_matches('/'), query),
            None => error(404, "no such resource"),
        },
    }
}

fn authenticate(state: &mut State, seen: &Seen) -> Reply {
    let identity = &seen.body["auth"]["identity"];
    let secret = match identity["methods"][0].as_str() {
        Some("password") => &identity["password"]["user"]["password"],
        Some("application_credential") => &identity["application_credential"]["secret"],
        _ => &Value::Null,
    };
    if secret != PASSWORD {
        return error(401, "The request you have made requires authentication.");
    }
    let name = format!("own-token-{}", state.authentications());
    let mut document = token("service-user", &["service"], state.clock.now() + state.own_life);
    document["catalog"] = state.catalog.clone();
    state.own.insert(name.clone());
    let header = format!("x-subject-token: {name}\r\n");
    Reply::Send(201, header, json!({ "token": document }).to_string())
}

fn validate(state: &mut State, seen: &Seen, query: &str) -> Reply {
    let header = |name: &str| seen.headers.get(name).cloned().unwrap_or_default();
    if !state.own.contains(&header("x-auth-token")) {
        return error(401, "The request you have made requires authentication.");
    }
    let subject = header("x-subject-token");
    if state.own.contains(&subject) {
        let document = token("service-user", &["service"], state.clock.now() + state.own_life);
        return json_reply(200, &json!({ "token": document }));
    }
    let Some(document) = state.tokens.get(&subject) else {
        return error(404, "Could not find token");
    };
    let now = iso(state.clock.now());
    // Both times are UTC without a fraction, so they compare as text.
    if document["expires_at"].as_str().unwrap() <= &*now && !query.contains("allow_expired=1") {
        return error(404, "Token has expired");
    }
    let mut document = document.clone();
    if query.contains("nocatalog") {
        document.as_object_mut().unwrap().remove("catalog");
    }
    json_reply(200, &json!({ "token": document }))
}

fn trusts(state: &mut State, seen: &Seen, method: &str, id: &str, query: &str) -> Reply {
    let subject = seen.headers.get("x-auth-token").cloned().unwrap_or_default();
    // The service's own user is an administrator here.
    let is_admin = state.own.contains(&subject);
    let user = match state.tokens.get(&subject) {
        Some(document) => document["user"]["id"].clone(),
        None if is_admin => "service-user".into(),
        None => return error(401, "The request you have made requires authentication."),
    };
    match (method, id) {
        ("POST", "") => {
            let mut trust = seen.body["trust"].clone();
            if trust["trustor_user_id"] != user {
                return error(403, "The trustor must be the user of the token");
            }
            for role in trust["roles"].as_array().unwrap() {
                if !["member", "reader"].contains(&role["name"].as_str().unwrap()) {
                    return error(404, "Could not find role");
                }
            }
            state.trusts_made += 1;
            trust["id"] = format!("trust-{}", state.trusts_made).into();
            trust["deleted_at"] = Value::Null;
            trust["expires_at"] = Value::Null;
            trust["remaining_uses"] = Value::Null;
            state.trusts.push(trust.clone());
            json_reply(201, &json!({ "trust": trust }))
        }
        ("GET", "") => {
            // A real Keystone joins its two filters with "or".
            let wanted = |trust: &&Value| {
                ["trustor_user_id", "trustee_user_id"]
                    .iter()
                    .any(|field| query.contains(&format!("{field}={}", trust[*field].as_str().unwrap())))
            };
            let found: Vec<&Value> = state.trusts.iter().filter(wanted).collect();
            json_reply(200, &json!({"trusts": found, "links": {}}))
        }
        ("DELETE", id) => match state.trusts.iter().position(|trust| trust["id"] == id) {
            None => error(404, "Could not find trust"),
            Some(at) if state.trusts[at]["trustor_user_id"] != user && !is_admin => error(403, "Not yours"),
            Some(at) => {
                state.trusts.remove(at);
                Reply::Send(204, String::new(), String::new())
            }
        },
        _ => error(404, "no such resource"),
    }
}
