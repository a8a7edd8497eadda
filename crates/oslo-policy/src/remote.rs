//! The interface for `http:` and `https:` checks: the request, and which answer allows. Connections belong in `http`.

use std::error::Error;

use crate::attributes::{Credentials, Target};

/// Answers `http:` and `https:` checks.
///
/// The call blocks the decision. If [`Enforcer::enforce`](crate::Enforcer::enforce) runs on an asynchronous runtime, call
/// [`Enforcer::needs_remote`](crate::Enforcer::needs_remote) first, and decide such a rule on a thread that may block.
pub trait RemoteCheck: Send + Sync {
    /// Asks the server. oslo.policy sends a POST, and the answer `True` allows (see [`answer_allows`]).
    ///
    /// # Errors
    ///
    /// If the server does not answer. The decision is then [`Broken`](crate::EnforceError::Broken), never an allow.
    fn check(&self, request: &RemoteRequest<'_>) -> Result<bool, Box<dyn Error + Send + Sync>>;
}

/// The content of a request to the server.
#[derive(Debug, Clone, Copy)]
pub struct RemoteRequest<'r> {
    /// The address, with each `%(name)s` replaced by the attribute of the target.
    pub url: &'r str,
    /// The requested rule. The `http:` check can be in another rule that this one refers to.
    pub rule: &'r str,
    /// The object of the operation.
    pub target: &'r Target<'r>,
    /// The caller. This can include a token, so do not log it.
    pub creds: &'r Credentials<'r>,
}

impl RemoteRequest<'_> {
    /// Returns the body for `remote_content_type = application/json`.
    #[must_use]
    pub fn json(&self) -> serde_json::Value {
        serde_json::json!({
            "rule": self.rule,
            "target": self.target.to_json(),
            "credentials": self.creds.to_json(),
        })
    }

    /// Returns the fields for `remote_content_type = application/x-www-form-urlencoded`, as JSON text that is not yet
    /// encoded as a form.
    #[must_use]
    pub fn form(&self) -> [(&'static str, String); 3] {
        [
            ("rule", serde_json::Value::from(self.rule).to_string()),
            ("target", self.target.to_json().to_string()),
            ("credentials", self.creds.to_json().to_string()),
        ]
    }
}

/// Returns whether the body of an answer allows: it must be `True`, with or without double quotes.
#[must_use]
pub fn answer_allows(body: &str) -> bool {
    body.trim_matches('"') == "True"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_true_allows() {
        assert!(answer_allows("True"));
        assert!(answer_allows("\"True\""));
        for body in ["true", "True\n", "", "'True'", "False"] {
            assert!(!answer_allows(body), "{body:?}");
        }
    }

    #[test]
    fn bodies_contain_rule_target_and_credentials() {
        let target = Target::new().with("a", "b");
        let creds = Credentials::new().with("system_scope", "all");
        let request = RemoteRequest { url: "http://x", rule: "r", target: &target, creds: &creds };
        assert_eq!(request.json()["credentials"]["system"], "all");
        assert_eq!(request.form()[0], ("rule", "\"r\"".to_owned()));
        assert_eq!(request.form()[1], ("target", "{\"a\":\"b\"}".to_owned()));
    }
}
