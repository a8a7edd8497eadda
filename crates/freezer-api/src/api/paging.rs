//! Pages of a list: reads the query, and builds the answer with its links.
//!
//! `limit` and `offset` are those of the Python service. If a query has only these parameters, the answer contains only the
//! list. The service also supports parameters of other OpenStack APIs: `marker` (the page begins after this document), `sort`
//! and `with_count`. If a query has one of them, the answer has a link to the next page if there is one. A page also has this
//! link if `[api] max_limit` made it smaller than requested, or if it ends early because of `[api] max_page_bytes`.
//!
//! A list can only be sorted along its index, so the cost of a page does not depend on the size of the project. The rows of a
//! page are read by `freezer_store::query`.

use axum::extract::FromRequestParts;
use freezer_store::query::{Listed, Page};
use http::request::Parts;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Serialize;

use super::budget::Draft;
use super::extract::{pairs, parse_flag, parse_number, query_value};
use super::{address, response};
use crate::app::SharedApp;
use crate::error::Error;

/// Number of documents on a page if the query has no `limit`.
const DEFAULT_LIMIT: u64 = 10;
/// The keys by which a list can be sorted: the time of creation, and the id for documents of the same second.
const SORT_KEYS: [&str; 2] = ["created_at", "id"];

/// The query of a list.
pub struct ListQuery {
    /// The requested part of the list.
    pub page: Page,
    /// `all_projects`: whether the list has the jobs of all projects.
    pub all_projects: bool,
    /// The address of this page without `marker` and `offset`.
    address: String,
    /// Whether the answer has a link to the next page if there is one. If the page ends early, it always has a link.
    links: bool,
}

impl FromRequestParts<SharedApp> for ListQuery {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, app: &SharedApp) -> Result<Self, Error> {
        let query = parts.uri.query().unwrap_or_default();
        let limit = match parse_number("limit", query_value(query, "limit"))? {
            0 => DEFAULT_LIMIT,
            limit => limit,
        };
        let largest = app.http.max_limit.unwrap_or(u64::MAX);
        let capped = limit > largest;
        let offset = parse_number("offset", query_value(query, "offset"))?;
        let mut page = Page::at(limit.min(largest), offset);
        let all_projects = parse_flag("all_projects", query_value(query, "all_projects"))?;
        let [marker, sort, count] = ["marker", "sort", "with_count"].map(|name| query_value(query, name));
        page.max_bytes = app.http.max_page.unwrap_or(u64::MAX);
        page.readable = app.http.largest_readable();
        let address = address(parts, query, app.http.proxy_headers);
        if !capped && marker.is_none() && sort.is_none() && count.is_none() {
            return Ok(ListQuery { page, all_projects, address, links: false });
        }
        page.newest_first = sort.as_deref().map_or(Ok(false), newest_first)?;
        page.count = parse_flag("with_count", count)?;
        page.marker = marker.filter(|marker| !marker.is_empty());
        page.look_ahead = true;
        Ok(ListQuery { page, all_projects, address, links: true })
    }
}

impl ListQuery {
    /// Returns the requested page with another maximum size.
    pub fn page_up_to(&self, max_bytes: u64) -> Page {
        Page { max_bytes, ..self.page.clone() }
    }

    /// Returns the answer with the list under its name. If the query requests them, it also has the link to the next page and
    /// the number of documents. `id` returns the id of a document, which is used as the marker.
    pub fn draft<T: Serialize>(
        &self,
        name: &'static str,
        found: &Listed<T>,
        id: impl Fn(&T) -> &str,
    ) -> Result<Draft, Error> {
        let address = &self.address;
        let link = |last| format!("{address}marker={}", utf8_percent_encode(id(last), NON_ALPHANUMERIC));
        let more = found.cut || self.links && found.more;
        let next = found.documents.last().filter(|_| more).map(link);
        Ok(Draft {
            response: response::list(name, &found.documents, next.as_deref(), found.count)?,
            is_cut: found.cut,
            left_out: found.left_out.clone(),
        })
    }
}

/// Returns whether a `sort` of the form `key[:direction][,…]` requests the newest documents first.
fn newest_first(sort: &str) -> Result<bool, Error> {
    let bad = |reason: String| Err(Error::BadParameter { name: "sort", reason });
    let mut requested = None;
    for (position, part) in sort.split(',').filter(|part| !part.trim().is_empty()).enumerate() {
        let (key, direction) = part.trim().split_once(':').unwrap_or((part.trim(), "asc"));
        if SORT_KEYS.get(position) != Some(&key) {
            return bad("A list is sorted by created_at, or by created_at and then id.".to_owned());
        }
        let newest_first = match direction {
            "asc" => false,
            "desc" => true,
            other => return bad(format!("\"{other}\" is not a direction; use asc or desc.")),
        };
        if *requested.get_or_insert(newest_first) != newest_first {
            return bad("All keys must have the same direction.".to_owned());
        }
    }
    Ok(requested.unwrap_or(false))
}

/// Returns the address for links. It begins with the public address, like the links of the document of versions.
fn address(parts: &Parts, query: &str, behind_proxy: bool) -> String {
    let mut address = address::public_address(&parts.headers, &parts.extensions, behind_proxy);
    address.push_str(parts.uri.path());
    address.push('?');
    for (pair, name, _) in pairs(query) {
        if !matches!(name.as_str(), "marker" | "offset") {
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
    fn a_list_can_only_be_sorted_along_its_index() {
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
