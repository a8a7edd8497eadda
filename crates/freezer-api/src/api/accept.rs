//! The `Accept` header (RFC 9110, section 12.5.1), which lists the media types that a client accepts.

use http::HeaderMap;
use http::header::ACCEPT;

/// A media type of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MediaType {
    /// `text/plain`
    Text,
    /// `text/html`
    Html,
    /// `application/json`
    Json,
}

impl MediaType {
    fn parts(self) -> (&'static str, &'static str) {
        match self {
            MediaType::Text => ("text", "plain"),
            MediaType::Html => ("text", "html"),
            MediaType::Json => ("application", "json"),
        }
    }
}

/// Returns whether the client accepts JSON.
pub fn accepts_json(headers: &HeaderMap) -> bool {
    let mut values = headers.get_all(ACCEPT).iter();
    match (values.next(), values.next()) {
        (None, _) => true,
        (Some(value), None) if matches!(value.as_bytes(), b"application/json" | b"*/*") => true,
        _ => weight(headers, MediaType::Json) > 0.0,
    }
}

/// Returns the offer that the client prefers, and the first of several equal ones. Returns none if it accepts none of them.
pub fn preferred(headers: &HeaderMap, offers: &[MediaType]) -> Option<MediaType> {
    let mut best: Option<(MediaType, f32)> = None;
    for offer in offers {
        let weight = weight(headers, *offer);
        if weight > best.map_or(0.0, |(_, weight)| weight) {
            best = Some((*offer, weight));
        }
    }
    best.map(|(offer, _)| offer)
}

/// Returns the weight of a media type. This is the weight of the most specific range that includes it. If the header is
/// absent, each type has the weight 1.
fn weight(headers: &HeaderMap, media_type: MediaType) -> f32 {
    let (main, sub) = media_type.parts();
    let mut any = false;
    // how specific the range is, and its weight
    let mut best = (0, 0.0);
    for value in headers.get_all(ACCEPT) {
        for range in value.to_str().unwrap_or("*/*").split(',').filter(|range| !range.trim().is_empty()) {
            any = true;
            let mut parts = range.split(';').map(str::trim);
            let name = parts.next().unwrap_or_default();
            let specific = match name.split_once('/').unwrap_or((name, "*")) {
                ("*", "*") => 1,
                (kind, "*") if kind.eq_ignore_ascii_case(main) => 2,
                (kind, name) if kind.eq_ignore_ascii_case(main) && name.eq_ignore_ascii_case(sub) => 3,
                _ => continue,
            };
            let given = parts
                .filter_map(|part| part.split_once('='))
                .find(|(name, _)| name.eq_ignore_ascii_case("q"));
            let weight = given.and_then(|(_, q)| q.parse::<f32>().ok()).unwrap_or(1.0);
            if specific > best.0 || (specific == best.0 && weight > best.1) {
                best = (specific, weight);
            }
        }
    }
    if any { best.1 } else { 1.0 }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn headers(text: Option<&str>) -> HeaderMap {
        let mut headers = HeaderMap::new();
        if let Some(text) = text {
            headers.insert(ACCEPT, text.parse().unwrap());
        }
        headers
    }

    #[test]
    fn json_is_accepted_unless_the_header_excludes_it() {
        for yes in [
            None,
            Some(""),
            Some("*/*"),
            Some("application/json"),
            Some("Application/JSON; charset=utf-8"),
            Some("text/html, application/*;q=0.5"),
            Some("application/json;q=0.1, text/html"),
        ] {
            assert!(accepts_json(&headers(yes)), "{yes:?}");
        }
        for no in
            ["text/html", "application/json;q=0", "application/json;Q=0.0, */*", "text/*", "application/xml"]
        {
            assert!(!accepts_json(&headers(Some(no))), "{no}");
        }
    }

    #[test]
    fn the_preferred_offer_has_the_greatest_weight() {
        use MediaType::{Html, Json, Text};
        for (accept, expected) in [
            (None, Some(Text)),
            (Some("*/*"), Some(Text)),
            (Some("text/html"), Some(Html)),
            (Some("text/*"), Some(Text)),
            (Some("application/*"), Some(Json)),
            (Some("application/json;q=0.5, text/html;q=0.4"), Some(Json)),
            (Some("text/plain;q=0, */*"), Some(Html)),
            (Some("text/plain;q=0.1, */*;q=0.5"), Some(Html)),
            (Some("application/xml"), None),
        ] {
            assert_eq!(preferred(&headers(accept), &[Text, Html, Json]), expected, "{accept:?}");
        }
    }
}
