//! The seam for `http:` and `https:` checks: what is asked and what is a yes. Connections are `http`'s part.

use std::error::Error;

use crate::attributes::{Credentials, Target};

/// Answers `http:` and `https:` checks.
///
/// The call blocks the decision. Where [`Enforcer::enforce`](crate::Enforcer::enforce) runs on an
/// asynchronous runtime, ask [`Enforcer::needs_remote`](crate::Enforcer::needs_remote) first and
/// move such a decision to a thread that may block.
pub trait RemoteCheck: Send + Sync {
    /// Asks the server: oslo.policy sends a POST and takes the answer `True` for a yes (see
    /// [`answer_allows`]).
    ///
    /// # Errors
    ///
    /// Whenever there is no answer. The decision is then
    /// [`Broken`](crate::EnforceError::Broken), never an allow.
    fn check(&self, request: &RemoteRequest<'_>) -> Result<bool, Box<dyn Error + Send + Sync>>;
}

/// What a server is asked.
#[derive(Debug, Clone, Copy)]
pub struct RemoteRequest<'r> {
    /// Where to ask, its `%(name)s` filled in from the target.
    pub url: &'r str,
    /// The rule that the caller asked for (not the one that holds the `http:` check).
    pub rule: &'r str,
    /// What is acted on.
    pub target: &'r Target<'r>,
    /// Who acts. May hold a token: do not log it.
    pub creds: &'r Credentials<'r>,
}

impl RemoteRequest<'_> {
    /// The body for `remote_content_type = application/json`.
    #[must_use]
    pub fn json(&self) -> serde_json::Value {
        serde_json::json!({
            "rule": self.rule,
            "target": self.target.to_json(),
            "credentials": self.creds.to_json(),
        })
    }

    /// The fields for `remote_content_type = application/x-www-form-urlencoded`, not yet encoded
    /// as a form: each holds JSON text.
    #[must_use]
    pub fn form(&self) -> [(&'static str, String); 3] {
        [
            ("rule", serde_json::Value::from(self.rule).to_string()),
            ("target", self.target.to_json().to_string()),
            ("credentials", self.creds.to_json().to_string()),
        ]
    }
}

/// Whether the body of an answer means yes: `True`, with or without double quotes around it.
#[must_use]
pub fn answer_allows(body: &str) -> bool {
    body.trim_matches('"') == "True"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_true_is_a_yes() {
        assert!(answer_allows("True"));
        assert!(answer_allows("\"True\""));
        for body in ["true", "True\n", "", "'True'", "False"] {
            assert!(!answer_allows(body), "{body:?}");
        }
    }

    #[test]
    fn bodies() {
        let target = Target::new().with("a", "b");
        let creds = Credentials::new().with("system_scope", "all");
        let request = RemoteRequest { url: "http://x", rule: "r", target: &target, creds: &creds };
        assert_eq!(request.json()["credentials"]["system"], "all");
        assert_eq!(request.form()[0], ("rule", "\"r\"".to_owned()));
        assert_eq!(request.form()[1], ("target", "{\"a\":\"b\"}".to_owned()));
    }
}
