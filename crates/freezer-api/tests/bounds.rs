//! Requests that cost more than they should: each has a bound, for every resource and on both engines.
//!
//! How large a body may be and how long it may take is tested in `connections/`; hostile connections in `attacks.rs`; the
//! number of jobs that a search looks at in `action_terms.rs`.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test stops at the first surprise")]

#[path = "bounds/documents.rs"]
mod documents;
#[path = "bounds/jobs.rs"]
mod jobs;
#[path = "bounds/pages.rs"]
mod pages;
#[path = "bounds/rows.rs"]
mod rows;
#[path = "bounds/searches.rs"]
mod searches;
mod support;
