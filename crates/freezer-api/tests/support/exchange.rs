//! Requests and answers: a [`Caller`] sends requests, and an [`Answer`] can be checked and written to the transcript.

use std::fmt;

use axum::body::Body;
use bytes::Bytes;
use http::header::{ALLOW, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderName, Method, Request, StatusCode};
use http_body_util::BodyExt;
use serde_json::Value;

use super::TestApp;

/// Headers that are written to the transcript.
const SHOWN: [HeaderName; 4] = [CONTENT_TYPE, ALLOW, RETRY_AFTER, WWW_AUTHENTICATE];

/// A client with an identity or a token.
#[derive(Clone)]
pub struct Caller {
    app: TestApp,
    user: String,
    project: String,
    roles: String,
    token: Option<String>,
}

impl Caller {
    pub(super) fn new(app: TestApp, user: &str, project: &str, roles: &str) -> Caller {
        Caller {
            app,
            user: user.to_owned(),
            project: project.to_owned(),
            roles: roles.to_owned(),
            token: None,
        }
    }

    pub(super) fn of_token(app: TestApp, token: &str) -> Caller {
        // These identity headers are forged. The service must ignore them if it uses Keystone.
        Caller { token: Some(token.to_owned()), ..Caller::new(app, "forged", "forged", "admin") }
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.ask(Method::GET, path, None).await
    }

    /// Sends a GET with a body, which is how real clients search.
    pub async fn search(&self, path: &str, body: Value) -> Answer {
        self.ask(Method::GET, path, Some(body)).await
    }

    pub async fn post(&self, path: &str, body: Value) -> Answer {
        self.ask(Method::POST, path, Some(body)).await
    }

    pub async fn patch(&self, path: &str, body: Value) -> Answer {
        self.ask(Method::PATCH, path, Some(body)).await
    }

    /// Sends a PUT, which has no body on any path.
    pub async fn put(&self, path: &str) -> Answer {
        self.ask(Method::PUT, path, None).await
    }

    pub async fn delete(&self, path: &str) -> Answer {
        self.ask(Method::DELETE, path, None).await
    }

    /// Sends a request with any method, with or without a JSON body.
    pub async fn ask(&self, method: Method, path: &str, body: Option<Value>) -> Answer {
        let bytes = body.map(|body| body.to_string().into_bytes()).unwrap_or_default();
        self.raw(method, path, &[], bytes).await
    }

    /// Sends a request with any method, headers and bytes.
    pub async fn raw(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Vec<u8>>,
    ) -> Answer {
        let body = body.into();
        let mut request = Request::builder()
            .method(method.clone())
            .uri(path)
            .header("host", "freezer.localhost:9090")
            .header("x-user-id", &self.user)
            .header("x-project-id", &self.project)
            .header("x-roles", &self.roles);
        if let Some(token) = &self.token {
            request = request.header("x-auth-token", token);
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let mut said = format!("{method} {path}");
        if (self.user.as_str(), self.project.as_str(), self.roles.as_str()) != ("u1", "p1", "member") {
            said.push_str(&format!("   (as {}, {} of {})", self.user, self.roles, self.project));
        }
        for (name, value) in headers {
            said.push_str(&format!("\n{name}: {value}"));
        }
        if !body.is_empty() {
            said.push_str(&format!("\n{}", String::from_utf8_lossy(&body)));
        }
        let request = request.body(Body::from(body)).expect("a request");
        // This future is boxed because a test with many requests would have all of them on its stack.
        let front = self.app.0.front.clone();
        let record = front.record((request.method(), request.uri(), request.headers()), None);
        let (response, _) = Box::pin(front.call(request, record)).await;
        let (parts, body) = response.into_parts();
        let body = body.collect().await.expect("the body of an answer is complete").to_bytes();
        let answer = Answer { said, status: parts.status, headers: parts.headers, body };
        answer.hold_to_the_rules();
        answer
    }
}

#[derive(Debug, Clone)]
pub struct Answer {
    said: String,
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Answer {
    /// Checks the rules that all answers must follow.
    fn hold_to_the_rules(&self) {
        let id = self.header("x-openstack-request-id").expect("every answer has a request id");
        let uuid = id.strip_prefix("req-").expect("a request id begins with req-");
        assert!(uuid.len() == 36 && uuid::Uuid::try_parse(uuid).is_ok(), "{id}");
        assert_ne!(self.status, StatusCode::INTERNAL_SERVER_ERROR, "nothing here is a defect:\n{self}");
        let text = String::from_utf8_lossy(&self.body);
        if self.status.is_client_error() && !self.body.is_empty() {
            assert!(self.json().get("title").is_some_and(Value::is_string), "{self}");
            for word in ["<class", "Exception", "Traceback", "NoneType", "SELECT", "sqlx"] {
                assert!(!text.contains(word), "error texts are plain words:\n{self}");
            }
        }
        if self.status == StatusCode::NO_CONTENT {
            assert!(self.body.is_empty(), "{self}");
        }
    }

    /// Asserts that the answer has this status.
    #[track_caller]
    pub fn expect(self, status: u16) -> Answer {
        assert_eq!(self.status.as_u16(), status, "\n{self}");
        self
    }

    /// Returns the body.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}:\n{self}"))
    }

    /// Returns a text at the top level of the body, such as the new id.
    #[track_caller]
    pub fn text(&self, key: &str) -> String {
        match &self.json()[key] {
            Value::String(text) => text.clone(),
            other => panic!("{key} is {other} in:\n{self}"),
        }
    }

    /// Returns the description of an error.
    #[track_caller]
    pub fn description(&self) -> String {
        self.text("description")
    }

    /// Returns the texts under `key` in every document of a list.
    #[track_caller]
    pub fn each(&self, list: &str, key: &str) -> Vec<String> {
        let body = self.json();
        let items = body[list].as_array().unwrap_or_else(|| panic!("no list {list} in:\n{self}"));
        let text = |item: &Value| item.pointer(key).and_then(Value::as_str).map(str::to_owned);
        items.iter().map(|item| text(item).unwrap_or_else(|| panic!("no text {key} in {item}"))).collect()
    }

    /// Returns a header as text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

/// The request and the answer: status, relevant headers, body.
impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.said)?;
        writeln!(f)?;
        writeln!(f, "{}", self.status)?;
        for name in SHOWN {
            for value in self.headers.get_all(&name) {
                writeln!(f, "{name}: {}", value.to_str().unwrap_or("?"))?;
            }
        }
        match serde_json::from_slice::<Value>(&self.body) {
            _ if self.body.is_empty() => Ok(()),
            Ok(json) => {
                let mut text = String::new();
                lay_out(&json, 0, &mut text);
                writeln!(f, "{text}")
            }
            Err(_) => writeln!(f, "{}", String::from_utf8_lossy(&self.body)),
        }
    }
}

/// Writes JSON for readers: short values are written in one line. Keys keep their order.
fn lay_out(value: &Value, indent: usize, out: &mut String) {
    let short = value.to_string();
    let items: Vec<(String, &Value)> = match value {
        _ if indent > 0 && indent + short.len() <= 100 => return out.push_str(&short),
        Value::Object(map) if !map.is_empty() => {
            map.iter().map(|(key, item)| (format!("{}: ", Value::from(key.as_str())), item)).collect()
        }
        Value::Array(list) if !list.is_empty() => list.iter().map(|item| (String::new(), item)).collect(),
        _ => return out.push_str(&short),
    };
    let (open, close) = if value.is_object() { ('{', '}') } else { ('[', ']') };
    out.push(open);
    for (position, (key, item)) in items.iter().enumerate() {
        out.push_str(if position == 0 { "\n" } else { ",\n" });
        out.push_str(&" ".repeat(indent + 2));
        out.push_str(key);
        lay_out(item, indent + 2, out);
    }
    out.push('\n');
    out.push_str(&" ".repeat(indent));
    out.push(close);
}
