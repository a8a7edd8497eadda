//! Pages of a list: what a query asks for, and the answer with its links.
//!
//! `limit` and `offset` are as the Python service has them, and an answer to them holds the list alone. Beside them there
//! is what other OpenStack APIs have: `marker` (begin behind this document), `sort` and `with_count`. An answer to one of
//! these has a link to the next page if there is one. So does a page that `[api] max_limit` made smaller than the
//! request asked for, and one that ends early because of `[api] max_page_bytes`. A list is only sorted along its index, so that a page costs the same in a large project as in a
//! small one. Which rows a page has is `freezer_store::query`.

use axum::extract::FromRequestParts;
use axum::response::Response;
use freezer_store::query::{Listed, Page};
use http::request::Parts;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Serialize;

use super::extract::{flag, last, number};
use super::{address, response};
use crate::app::SharedApp;
use crate::error::Error;

/// Documents on a page where the client names no number.
const DEFAULT_LIMIT: u64 = 10;
/// What may be sorted by: the time of creation and, where two are of the same second, the id.
const SORT_KEYS: [&str; 2] = ["created_at", "id"];

/// The query of a list.
pub struct ListQuery {
    /// Which part of the list.
    pub page: Page,
    /// `all_projects`.
    pub all_projects: bool,
    /// This page's address without `marker` and `offset`.
    address: String,
    /// Whether the answer links to the next page if there is one. It does in any case if the page ends early.
    links: bool,
}

impl FromRequestParts<SharedApp> for ListQuery {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, app: &SharedApp) -> Result<Self, Error> {
        let query = parts.uri.query().unwrap_or_default();
        let limit = match number("limit", last(query, "limit"))? {
            0 => DEFAULT_LIMIT,
            limit => limit,
        };
        let largest = app.http.max_limit.unwrap_or(u64::MAX);
        let capped = limit > largest;
        let mut page = Page::at(limit.min(largest), number("offset", last(query, "offset"))?);
        let all_projects = flag("all_projects", last(query, "all_projects"))?;
        let (marker, sort, count) = (last(query, "marker"), last(query, "sort"), last(query, "with_count"));
        page.max_bytes = app.http.max_page.unwrap_or(u64::MAX);
        let address = address(parts, query, app.http.proxy_headers);
        if !capped && marker.is_none() && sort.is_none() && count.is_none() {
            return Ok(ListQuery { page, all_projects, address, links: false });
        }
        page.newest_first = sort.as_deref().map_or(Ok(false), newest_first)?;
        page.count = flag("with_count", count)?;
        page.marker = marker.filter(|marker| !marker.is_empty());
        page.look_ahead = true;
        Ok(ListQuery { page, all_projects, address, links: true })
    }
}

impl ListQuery {
    /// The answer: the list under its name and, where the query asks for them, the link to the next page and the
    /// number of documents. `id` is what a marker names.
    ///
    /// # Errors
    /// [`Error::Internal`] where the documents cannot be written.
    pub fn answer<T: Serialize>(
        &self,
        name: &'static str,
        found: &Listed<T>,
        id: impl Fn(&T) -> &str,
    ) -> Result<Response, Error> {
        let address = &self.address;
        let link = |last| format!("{address}marker={}", utf8_percent_encode(id(last), NON_ALPHANUMERIC));
        let more = found.cut || self.links && found.more;
        let next = found.documents.last().filter(|_| more).map(link);
        response::list(name, &found.documents, next.as_deref(), found.count)
    }
}

/// Whether a `sort` of the form `key[:direction][,…]` wants the newest first.
fn newest_first(sort: &str) -> Result<bool, Error> {
    let bad = |reason: String| Err(Error::BadParameter { name: "sort", reason });
    let mut wanted = None;
    for (position, part) in sort.split(',').filter(|part| !part.trim().is_empty()).enumerate() {
        let (key, direction) = part.trim().split_once(':').unwrap_or((part.trim(), "asc"));
        if SORT_KEYS.get(position) != Some(&key) {
            return bad("A list is sorted by created_at, or by created_at and then id.".to_owned());
        }
        let newest_first = match direction {
            "asc" => false,
            "desc" => true,
            other => return bad(format!("\"{other}\" is no direction; use asc or desc.")),
        };
        if *wanted.get_or_insert(newest_first) != newest_first {
            return bad("All keys must have the same direction.".to_owned());
        }
    }
    Ok(wanted.unwrap_or(false))
}

/// Links lead back to the public address, as those of the versions document do.
fn address(parts: &Parts, query: &str, behind_proxy: bool) -> String {
    let mut address = address::public_address(&parts.headers, behind_proxy);
    address.push_str(parts.uri.path());
    address.push('?');
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        if !matches!(pair.split('=').next(), Some("marker" | "offset")) {
            address.push_str(pair);
            address.push('&');
        }
    }
    address
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::newest_first;

    #[test]
    fn a_list_is_sorted_along_its_index_only() {
        for (sort, expected) in [
            ("", false),
            ("created_at", false),
            ("created_at:asc", false),
            ("created_at:desc", true),
            ("created_at:desc,id:desc", true),
            (" created_at:asc , id ", false),
        ] {
            assert_eq!(newest_first(sort).unwrap(), expected, "{sort}");
        }
        for sort in
            ["id", "description:asc", "created_at:up", "created_at:desc,id:asc", "created_at,created_at"]
        {
            assert!(newest_first(sort).is_err(), "{sort}");
        }
    }
}
