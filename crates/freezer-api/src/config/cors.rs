//! `[cors]`: the origins whose web pages may use the API. Names and defaults are those of oslo.middleware.

use std::sync::Arc;

use ::oslo_config::{Config, OptDecl};
use http::HeaderValue;

use super::{AuthStrategy, ConfigError};
use crate::cors::Cors;

const GROUP: &str = "cors";

const ORIGIN: OptDecl = OptDecl::list(GROUP, "allowed_origin").default("").help(
    "Origins of web pages that may use the API, in the form <protocol>://<host>[:<port>] without a slash at the end, such as \
     https://horizon.example.com, or * for all. Empty: answers have no CORS headers.",
);
const CREDENTIALS: OptDecl = OptDecl::boolean(GROUP, "allow_credentials")
    .unset_if_empty()
    .default("true")
    .help("Whether a request may include the cookies and certificates of the user. Browsers refuse this together with *.");
const EXPOSE: OptDecl = OptDecl::list(GROUP, "expose_headers")
    .default("")
    .help("Headers of answers that a web page may read, in addition to the simple ones.");
const MAX_AGE: OptDecl = OptDecl::integer(GROUP, "max_age").unset_if_empty().default("3600").help(
    "Seconds for which a browser may cache the answer to a preflight request. 0: the header is not sent.",
);
const METHODS: OptDecl = OptDecl::list(GROUP, "allow_methods")
    .default("OPTIONS,GET,HEAD,POST,PUT,DELETE,TRACE,PATCH")
    .help("Methods that a web page may use.");
const HEADERS: OptDecl = OptDecl::list(GROUP, "allow_headers").default("").help(
    "Headers that the requests of a web page may have, in addition to the simple ones. A web page that sends a token needs \
     X-Auth-Token.",
);

pub(super) const OPTIONS: &[&OptDecl] = &[&ORIGIN, &CREDENTIALS, &EXPOSE, &MAX_AGE, &METHODS, &HEADERS];

/// Reads the section. `None`: no origin is allowed.
pub(super) fn read(config: &Config) -> Result<Option<Arc<Cors>>, ConfigError> {
    let mut origins = Vec::new();
    for origin in list(config, &ORIGIN)? {
        origins.push(value("[cors] allowed_origin", &origin)?);
    }
    let exposed = list(config, &EXPOSE)?.join(",");
    let exposed = if exposed.is_empty() { None } else { Some(value("[cors] expose_headers", &exposed)?) };
    let max_age = MAX_AGE.need(config.int(&MAX_AGE)?)?;
    let cors = Cors {
        origins,
        credentials: config.bool(&CREDENTIALS)?.unwrap_or(true),
        exposed,
        max_age: (max_age != 0).then(|| HeaderValue::from(max_age)),
        methods: list(config, &METHODS)?,
        headers: list(config, &HEADERS)?,
    };
    Ok((!cors.origins.is_empty()).then(|| Arc::new(cors)))
}

fn list(config: &Config, option: &OptDecl) -> Result<Vec<String>, ConfigError> {
    let items = config.list(option)?.unwrap_or_default();
    Ok(items.into_iter().map(|item| item.trim().to_owned()).filter(|item| !item.is_empty()).collect())
}

fn value(option: &'static str, text: &str) -> Result<HeaderValue, ConfigError> {
    let is_visible = text.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic());
    let value = HeaderValue::from_str(text).ok().filter(|_| is_visible);
    value.ok_or_else(|| ConfigError::Unusable {
        option,
        value: text.to_owned(),
        reason: "contains characters that cannot be sent in a header; use visible ASCII characters only"
            .to_owned(),
    })
}

/// Returns warnings about values with which browsers can do nothing.
pub(super) fn remarks(config: &Config) -> Vec<String> {
    let mut found = Vec::new();
    let origins = list(config, &ORIGIN).unwrap_or_default();
    for origin in origins.iter().filter(|origin| *origin != "*" && !is_origin(origin)) {
        found.push(format!(
            "[cors] allowed_origin: {origin} is never the origin of a web page; write <protocol>://<host>[:<port>] in lower case, \
             without a path or a slash at the end, and without the default port"
        ));
    }
    if origins.iter().any(|origin| origin == "*") && config.bool(&CREDENTIALS).ok().flatten() == Some(true) {
        found.push(
            "[cors] allowed_origin: browsers refuse * together with allow_credentials = true if a request includes credentials; \
             list the origins, or set allow_credentials = false"
                .to_owned(),
        );
    }
    if !origins.is_empty() && matches!(AuthStrategy::read(config), Ok(AuthStrategy::NoAuth)) {
        found.push(
            "[cors] allowed_origin: with auth_strategy = noauth, requests of web pages of other origins are refused in any case"
                .to_owned(),
        );
    }
    found
}

/// Returns whether a text has the form in which browsers send an origin.
fn is_origin(text: &str) -> bool {
    if text == "null" {
        return true;
    }
    let Some((scheme, authority)) = text.split_once("://") else { return false };
    let is_scheme =
        !scheme.is_empty() && scheme.bytes().all(|byte| byte.is_ascii_lowercase() || b"+-.".contains(&byte));
    let is_plain = !authority.is_empty()
        && authority
            .bytes()
            .all(|byte| byte.is_ascii_graphic() && !byte.is_ascii_uppercase() && !b"/?#@*".contains(&byte));
    let default_port = match scheme {
        "http" => ":80",
        "https" => ":443",
        _ => "\0",
    };
    is_scheme && is_plain && !authority.ends_with(default_port)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn config(text: &str) -> Config {
        let text = format!("[DEFAULT]\nauth_strategy = keystone\n[cors]\n{text}");
        Config::from_text("f", &text).unwrap().declare(&super::super::declarations())
    }

    #[test]
    fn defaults_are_those_of_oslo_middleware() {
        assert_eq!(read(&config("")).unwrap(), None);
        assert_eq!(read(&config("allow_headers = X-Auth-Token")).unwrap(), None, "no origin");
        let cors = read(&config("allowed_origin = https://a, https://b:8443 ,")).unwrap().unwrap();
        assert_eq!(cors.origins, ["https://a", "https://b:8443"]);
        assert!(cors.credentials && cors.exposed.is_none() && cors.headers.is_empty());
        assert_eq!(cors.max_age, Some(HeaderValue::from_static("3600")));
        assert_eq!(cors.methods, ["OPTIONS", "GET", "HEAD", "POST", "PUT", "DELETE", "TRACE", "PATCH"]);
        let other = "allowed_origin = *\nallow_credentials = false\nexpose_headers = X-A, X-B\nmax_age = 0\n\
                     allow_methods = GET\nallow_headers = X-Auth-Token";
        let cors = read(&config(other)).unwrap().unwrap();
        assert_eq!((cors.credentials, cors.max_age.clone()), (false, None));
        assert_eq!(cors.exposed, Some(HeaderValue::from_static("X-A,X-B")));
        assert_eq!(
            (cors.methods.join(","), cors.headers.join(",")),
            ("GET".to_owned(), "X-Auth-Token".to_owned())
        );
        for (text, option) in [
            ("allowed_origin = https://\u{e9}", "allowed_origin"),
            ("allowed_origin = a\nexpose_headers = \u{e9}", "expose_headers"),
        ] {
            let error = read(&config(text)).unwrap_err().to_string();
            assert!(error.starts_with(&format!("[cors] {option} = ")), "{error}");
        }
    }

    #[test]
    fn values_that_browsers_never_send_cause_a_warning() {
        for origin in
            ["https://a", "http://127.0.0.1:8080", "https://[::1]:8443", "moz-extension://x", "null"]
        {
            assert_eq!(remarks(&config(&format!("allowed_origin = {origin}"))), Vec::<String>::new());
        }
        for origin in [
            "https://a/",
            "https://a/horizon",
            "a",
            "a:443",
            "https://A",
            "HTTPS://a",
            "https://a:443",
            "http://a:80",
            "https://*.a",
            "https://u@a",
            "https://",
        ] {
            let found = remarks(&config(&format!("allowed_origin = {origin}")));
            assert!(
                found.len() == 1 && found[0].contains(&format!("{origin} is never the origin")),
                "{found:?}"
            );
        }
        let found = remarks(&config("allowed_origin = *"));
        assert!(found.len() == 1 && found[0].contains("allow_credentials"), "{found:?}");
        assert_eq!(remarks(&config("allowed_origin = *\nallow_credentials = false")), Vec::<String>::new());
        let text = "[DEFAULT]\nauth_strategy = noauth\n[cors]\nallowed_origin = https://a\n";
        let noauth = Config::from_text("f", text).unwrap().declare(&super::super::declarations());
        assert!(remarks(&noauth).iter().any(|found| found.contains("noauth")));
    }

    /// Compares the answers with those of oslo.middleware, which `tests/oracle/cors.py` has recorded.
    #[test]
    fn answers_are_those_of_oslo_middleware() {
        use http::{HeaderMap, HeaderName, Method, StatusCode};
        use serde_json::Value;

        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let groups: Vec<Value> = serde_json::from_str(include_str!("../../tests/oracle/cors.json")).unwrap();
        for group in groups {
            let mut options = String::new();
            for (name, value) in group["options"].as_object().unwrap() {
                let value = match value {
                    Value::Array(items) => items.iter().map(text).collect::<Vec<_>>().join(","),
                    value => value.to_string(),
                };
                options.push_str(&format!("{name} = {value}\n"));
            }
            let cors = read(&config(&options)).unwrap().unwrap();
            for case in group["cases"].as_array().unwrap() {
                let mut headers = HeaderMap::new();
                for pair in case["headers"].as_array().unwrap() {
                    let name: HeaderName = text(&pair[0]).parse().unwrap();
                    headers.append(name, text(&pair[1]).trim().parse().unwrap());
                }
                let method: Method = text(&case["method"]).parse().unwrap();
                let mut answer = axum::response::Response::new(axum::body::Body::from("{}"));
                *answer.status_mut() =
                    StatusCode::from_u16(case["status"].to_string().parse().unwrap()).unwrap();
                if let Some(vary) = case["vary"].as_str() {
                    answer.headers_mut().insert(http::header::VARY, vary.parse().unwrap());
                }
                if let Some(change) = cors.check(&method, &headers) {
                    change.apply(&mut answer);
                }
                let is_ours = |name: &&HeaderName| **name != http::header::CONTENT_LENGTH;
                let names = answer.headers().keys().filter(is_ours);
                let found: serde_json::Map<String, Value> = names
                    .map(|name| (name.to_string(), answer.headers()[name].to_str().unwrap().into()))
                    .collect();
                let found = serde_json::json!({"status": answer.status().as_u16(), "headers": found});
                assert_eq!(found, case["answer"], "{options}{case}");
            }
        }
    }
}
