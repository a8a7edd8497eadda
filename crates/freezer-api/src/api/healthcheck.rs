//! `GET /healthcheck` for load balancers, in the formats of oslo.middleware's health check. The checks are in `health.rs`.

use std::net::SocketAddr;

use axum::Extension;
use axum::extract::{ConnectInfo, State};
use axum::response::Response;
use http::{HeaderMap, HeaderName};
use serde_json::{Value, json};

use super::accept::{MediaType, preferred};
use super::response;
use crate::app::SharedApp;
use crate::error::Error;
use crate::health::HealthResult;
use crate::readiness::Wait;

/// The class name in the detailed answers of oslo.middleware.
const CLASS: &str = "HealthcheckResult";
/// The formats in the order of preference. As in oslo.middleware, a client that accepts none of them gets the first one.
const OFFERS: [MediaType; 3] = [MediaType::Text, MediaType::Html, MediaType::Json];
/// Headers that show that a request came through a proxy.
const PROXY_HEADERS: [HeaderName; 5] = [
    HeaderName::from_static("x-forwarded"),
    HeaderName::from_static("x-forwarded-for"),
    HeaderName::from_static("x-forwarded-host"),
    HeaderName::from_static("x-forwarded-prefix"),
    HeaderName::from_static("x-forwarded-proto"),
];

/// Answers 200, or 503 if one of the checks of `[healthcheck] backends` fails.
///
/// # Errors
/// [`Error::NoRoute`] for a caller that `[healthcheck]` does not allow.
pub async fn show(
    State(app): State<SharedApp>,
    peer: Option<Extension<ConnectInfo<SocketAddr>>>,
    headers: HeaderMap,
) -> Result<Response, Error> {
    answer(&app, peer, &headers, None)
}

/// Answers as [`show`] does, and 503 while the service waits for its database or is about to stop.
///
/// # Errors
/// As [`show`].
pub async fn ready(
    State(app): State<SharedApp>,
    peer: Option<Extension<ConnectInfo<SocketAddr>>>,
    headers: HeaderMap,
) -> Result<Response, Error> {
    let reason = match app.readiness.wait() {
        _ if app.readiness.is_draining() => Some("DRAINING"),
        Some(Wait::Database) => Some("WAITING FOR THE DATABASE"),
        Some(Wait::Tables) => Some("WAITING FOR DB SYNC"),
        None => None,
    };
    answer(&app, peer, &headers, reason)
}

fn answer(
    app: &SharedApp,
    peer: Option<Extension<ConnectInfo<SocketAddr>>>,
    headers: &HeaderMap,
    not_ready: Option<&'static str>,
) -> Result<Response, Error> {
    check_caller(app, peer, headers)?;
    let settings = &app.http.health;
    let outcomes = match not_ready {
        None => settings.run(),
        Some(reason) => vec![HealthResult { healthy: false, reason, details: String::new() }],
    };
    let healthy = outcomes.iter().all(|outcome| outcome.healthy);
    let about = settings.detailed.then(|| About::read(app.clock.now().to_sql()));
    let (content_type, body) = match preferred(headers, &OFFERS).unwrap_or(MediaType::Text) {
        MediaType::Text => ("text/plain; charset=UTF-8", text(&outcomes)),
        MediaType::Html => ("text/html; charset=UTF-8", html(&outcomes, about.as_ref())),
        MediaType::Json => ("application/json", document(&outcomes, about.as_ref()).to_string()),
    };
    Ok(response::health(healthy, content_type, body))
}

/// Checks whether `[healthcheck]` allows the caller.
///
/// # Errors
/// [`Error::NoRoute`] if it does not.
pub(super) fn check_caller(
    app: &SharedApp,
    peer: Option<Extension<ConnectInfo<SocketAddr>>>,
    headers: &HeaderMap,
) -> Result<(), Error> {
    let settings = &app.http.health;
    let peer = peer.map(|Extension(ConnectInfo(address))| address.ip());
    let proxied =
        || PROXY_HEADERS.iter().any(|name| headers.get(name).is_some_and(|value| !value.is_empty()));
    if !settings.allows(peer) || (settings.ignore_proxied && proxied()) {
        return Err(Error::NoRoute);
    }
    Ok(())
}

/// Information about the service for detailed answers.
struct About {
    now: String,
    platform: String,
    hostname: String,
}

impl About {
    fn read(now: String) -> About {
        let system = |name: &str| {
            let text = std::fs::read_to_string(format!("/proc/sys/kernel/{name}")).unwrap_or_default();
            text.trim().to_owned()
        };
        let platform = [system("ostype"), system("osrelease"), std::env::consts::ARCH.to_owned()].join("-");
        About { now, platform, hostname: system("hostname") }
    }
}

fn text(outcomes: &[HealthResult]) -> String {
    outcomes.iter().map(|outcome| outcome.reason).collect::<Vec<_>>().join("\n")
}

fn document(outcomes: &[HealthResult], about: Option<&About>) -> Value {
    match about {
        None => {
            let reasons: Vec<&str> = outcomes.iter().map(|outcome| outcome.reason).collect();
            json!({"detailed": false, "reasons": reasons})
        }
        Some(about) => {
            let reason = |HealthResult { reason, details, .. }: &HealthResult| json!({"class": CLASS, "details": details, "reason": reason});
            let reasons: Vec<Value> = outcomes.iter().map(reason).collect();
            json!({"detailed": true, "now": about.now, "platform": about.platform, "reasons": reasons})
        }
    }
}

fn html(outcomes: &[HealthResult], about: Option<&About>) -> String {
    let mut page = String::from("<HTML>\n<HEAD><TITLE>Healthcheck Status</TITLE></HEAD>\n<BODY>\n");
    if let Some(About { now, platform, hostname }) = about {
        page.push_str("<H1>Server status</H1>\n");
        for (name, value) in [("Server hostname", hostname), ("Current time", now), ("Platform", platform)] {
            page.push_str(&format!("<B>{name}:</B><PRE>{}</PRE>\n", escaped(value)));
        }
        page.push_str("<HR></HR>\n");
    }
    page.push_str(&format!("<H2>Result of {} checks:</H2>\n", outcomes.len()));
    page.push_str("<TABLE bgcolor=\"#ffffff\" border=\"1\">\n<TBODY>\n");
    let columns: &[&str] = if about.is_some() { &["Kind", "Reason", "Details"] } else { &["Reason"] };
    page.push_str(&row("TH", columns));
    for HealthResult { reason, details, .. } in outcomes {
        let cells: &[&str] = if about.is_some() { &[CLASS, reason, details] } else { &[reason] };
        page.push_str(&row("TD", cells));
    }
    page.push_str("</TBODY>\n</TABLE>\n<HR></HR>\n</BODY>\n</HTML>");
    page
}

fn row(tag: &str, cells: &[&str]) -> String {
    let cells: String = cells.iter().map(|cell| format!("<{tag}>{}</{tag}>\n", escaped(cell))).collect();
    format!("<TR>\n{cells}</TR>\n")
}

fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&#34;"),
            '\'' => safe.push_str("&#39;"),
            c => safe.push(c),
        }
    }
    safe
}
