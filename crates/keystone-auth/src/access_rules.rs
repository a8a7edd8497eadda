//! Access rules of application credentials: the rule, its path patterns and the check of a request. Source:
//! Identity API v3, "Application credentials", and the path patterns of keystonemiddleware.

use std::borrow::Cow;

use http::Method;
use serde::Deserialize;

use crate::token::ValidatedToken;

/// A request that an application credential may make.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct AccessRule {
    /// Service type in the catalog.
    pub service: String,
    /// HTTP method, in capitals.
    pub method: String,
    /// Path pattern: `*` and `{name}` stand for one path segment, `**` for any number of characters.
    pub path: String,
}

/// Returns whether `token` may make the request (method, path) to the service of type `service_type`.
///
/// A token without access rules may make every request. If the token has access rules, the service type must
/// be known.
///
/// `on_behalf` means that the request carries a service token with a service role. This request continues
/// another one whose access rules were checked, so only the service type must be known.
pub(crate) fn allows(
    token: &ValidatedToken,
    service_type: Option<&str>,
    (method, path): (&Method, &str),
    on_behalf: bool,
) -> bool {
    let Some(rules) = &token.access_rules else { return true };
    let Some(service_type) = service_type else {
        tracing::warn!(
            "a token with access rules is rejected; set service_type to this service's type in the catalog"
        );
        return false;
    };
    if !token.catalog_types.iter().any(|kind| kind == service_type) {
        tracing::warn!(
            service_type,
            "a token with access rules is rejected, because its catalog does not contain service_type"
        );
        return false;
    }
    if on_behalf {
        return true;
    }
    let forms = forms(path);
    rules.iter().any(|rule| {
        rule.service == service_type
            && rule.method == method.as_str()
            && forms.iter().any(|path| path_matches(path, &rule.path))
    })
}

/// Returns the spellings of a path that a rule can match. A slash at the end makes no difference.
/// Percent-encoding counts as sent, and as keystonemiddleware normalizes it.
fn forms(path: &str) -> Vec<Cow<'_, str>> {
    let short = match path.strip_suffix('/') {
        Some(short) if !short.is_empty() => short,
        _ => path,
    };
    let mut forms = vec![Cow::Borrowed(short)];
    if short.contains('%') {
        forms.push(Cow::Owned(with_least_encoding(short)));
    }
    if !short.ends_with('/') {
        let long: Vec<_> = forms.iter().map(|form| Cow::Owned(format!("{form}/"))).collect();
        forms.extend(long);
    }
    forms
}

/// Decodes the characters that are valid in a path segment (RFC 3986, section 3.3), and writes all other
/// encodings in upper case. A slash stays encoded, because it is part of an id.
fn with_least_encoding(path: &str) -> String {
    let mut plain = String::with_capacity(path.len());
    let mut rest = path;
    while let Some(position) = rest.find('%') {
        let (before, encoded) = rest.split_at(position);
        plain.push_str(before);
        let digits = encoded.get(1..3).filter(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()));
        let byte = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok());
        rest = match byte {
            Some(byte) if byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@".contains(&byte) => {
                plain.push(char::from(byte));
                &encoded[3..]
            }
            Some(byte) => {
                plain.push_str(&format!("%{byte:02X}"));
                &encoded[3..]
            }
            None => {
                plain.push('%');
                &encoded[1..]
            }
        };
    }
    plain.push_str(rest);
    plain
}

enum PatternPart {
    Literal(char),
    Segment,
    Anything,
}

/// Matches a whole path. The pattern comes from a user, so this takes at most `path × pattern` steps, which a
/// regular expression does not guarantee.
fn path_matches(path: &str, pattern: &str) -> bool {
    let path: Vec<char> = path.chars().collect();
    // reached[i]: the parts so far can end before path[i].
    let mut reached = vec![false; path.len() + 1];
    reached[0] = true;
    for part in parts(pattern) {
        let mut next = vec![false; path.len() + 1];
        for start in (0..=path.len()).filter(|&start| reached[start]) {
            match part {
                PatternPart::Literal(c) => {
                    if path.get(start) == Some(&c) {
                        next[start + 1] = true;
                    }
                }
                PatternPart::Segment => {
                    let end = path[start..].iter().position(|&c| c == '/');
                    let end = end.map_or(path.len(), |length| start + length);
                    next[(start + 1).min(end + 1)..=end].fill(true);
                }
                PatternPart::Anything => next[start..].fill(true),
            }
        }
        reached = next;
    }
    reached[path.len()]
}

fn parts(pattern: &str) -> Vec<PatternPart> {
    let mut found = Vec::new();
    let mut rest = pattern;
    while let Some(c) = rest.chars().next() {
        let mut taken = c.len_utf8();
        match c {
            '*' if rest.starts_with("**") => {
                taken = 2;
                found.push(PatternPart::Anything);
            }
            '*' => found.push(PatternPart::Segment),
            '{' => {
                // A brace without its counterpart is skipped, as in keystonemiddleware.
                if let Some(end) = rest.find('}') {
                    taken = end + 1;
                    found.push(PatternPart::Segment);
                }
            }
            '}' => {}
            c => found.push(PatternPart::Literal(c)),
        }
        rest = &rest[taken..];
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(service: &str, method: &str, path: &str) -> AccessRule {
        AccessRule { service: service.into(), method: method.into(), path: path.into() }
    }

    fn token(rules: Option<Vec<AccessRule>>) -> ValidatedToken {
        ValidatedToken {
            access_rules: rules,
            catalog_types: vec!["backup".into(), "compute".into()],
            ..ValidatedToken::default()
        }
    }

    #[test]
    fn a_pattern_matches_whole_paths() {
        for (pattern, path, expected) in [
            ("/v2/jobs", "/v2/jobs", true),
            ("/v2/jobs", "/v2/jobs/1", false),
            ("/v2/jobs", "/v2/job", false),
            ("/v2/jobs/*", "/v2/jobs/1", true),
            ("/v2/jobs/*", "/v2/jobs/", false),
            ("/v2/jobs/*", "/v2/jobs/1/2", false),
            ("/v2/{project_id}/jobs", "/v2/abc/jobs", true),
            ("/v2/{project_id}/jobs", "/v2/a/b/jobs", false),
            ("/v2/{project_id}/jobs", "/v2//jobs", false),
            ("/v2/**", "/v2/a/b/c", true),
            ("/v2/**", "/v2/", true),
            ("/v2/**", "/v2", false),
            ("/**/jobs", "/v2/x/jobs", true),
            ("/**/jobs", "/v2/x/jobs/1", false),
            ("/v2/x*y", "/v2/xaby", true),
            ("/v2/x*y", "/v2/xy", false),
            ("**", "", true),
            ("", "", true),
            ("", "/", false),
            ("/v2/a.c", "/v2/abc", false),
            ("/v2/{x", "/v2/x", true),
            ("/é/*", "/é/ü", true),
        ] {
            assert_eq!(path_matches(path, pattern), expected, "{pattern} on {path}");
        }
    }

    #[test]
    fn a_token_without_rules_may_make_every_request() {
        assert!(allows(&token(None), None, (&Method::GET, "/v2"), false));
    }

    #[test]
    fn rules_are_checked_by_service_method_and_path() {
        let token =
            token(Some(vec![rule("backup", "GET", "/v2/*/jobs"), rule("compute", "POST", "/v2/*/jobs")]));
        let may = |method: Method, path| allows(&token, Some("backup"), (&method, path), false);
        assert!(may(Method::GET, "/v2/p/jobs"));
        assert!(!may(Method::POST, "/v2/p/jobs"), "that rule is for another service");
        assert!(!may(Method::GET, "/v2/p/sessions"));
    }

    #[test]
    fn a_slash_at_the_end_and_the_encoding_make_no_difference() {
        let may = |pattern: &str, path: &str| {
            let token = token(Some(vec![rule("backup", "GET", pattern)]));
            allows(&token, Some("backup"), (&Method::GET, path), false)
        };
        for pattern in
            ["/v2/*/jobs", "/v2/*/jobs/", "/v2/{project_id}/jobs/", "/v2/**/jobs/", "/v2/p/jobs/**"]
        {
            for path in ["/v2/p/jobs", "/v2/p/jobs/"] {
                assert!(may(pattern, path), "{pattern} on {path}");
            }
        }
        for path in ["/v2/p/jobs", "/v2/p/jobs/", "/v2/p/sessions/s/"] {
            assert!(!may("/v2/*/jobs/*", path), "{path}");
        }
        assert!(may("/v2/*/jobs/*/", "/v2/p/jobs/j") && may("/v2/*/jobs/*", "/v2/p/jobs/j/"));
        assert!(!may("/v2/*/jobs/*/", "/v2/p/jobs/j/event"));
        assert!(may("/", "/") && may("/**", "/") && !may("/", "/v2"));
        // Ids in different spellings.
        for (pattern, path) in [
            ("/v2/*/jobs/a:b", "/v2/p/jobs/a%3Ab"),
            ("/v2/*/jobs/a%3Ab", "/v2/p/jobs/a%3Ab"),
            ("/v2/*/jobs/%C3%A4", "/v2/p/jobs/%c3%a4/"),
            ("/v2/*/jobs/a%2Fb", "/v2/p/jobs/a%2fb"),
            ("/v2/*/jobs/*", "/v2/p/jobs/a%2Fb"),
        ] {
            assert!(may(pattern, path), "{pattern} on {path}");
        }
        for (pattern, path) in [
            ("/v2/*/jobs/a/b", "/v2/p/jobs/a%2Fb"),
            ("/v2/*/jobs/a", "/v2/p/jobs/%25%36%31"),
            ("/v2/*/jobs/j", "/v2/p/jobs/%"),
            ("/v2/*/jobs/j", "/v2/p/jobs/%é"),
        ] {
            assert!(!may(pattern, path), "{pattern} on {path}");
        }
    }

    #[test]
    fn an_unknown_service_type_is_rejected() {
        let token = token(Some(vec![rule("backup", "GET", "/**")]));
        let request = (&Method::GET, "/v2");
        assert!(!allows(&token, None, request, false));
        assert!(!allows(&token, Some("share"), request, false));
        assert!(allows(&token, Some("backup"), request, false));
    }

    #[test]
    fn a_service_token_replaces_the_rules_but_not_the_service_type() {
        let token = token(Some(Vec::new()));
        let request = (&Method::DELETE, "/v2/x");
        assert!(!allows(&token, Some("backup"), request, false));
        assert!(allows(&token, Some("backup"), request, true));
        assert!(!allows(&token, Some("share"), request, true));
        assert!(!allows(&token, None, request, true));
    }
}
