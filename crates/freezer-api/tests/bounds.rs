//! Limits for expensive requests: each resource has them, on both engines.
//!
//! `connections/` tests the size and the duration of request bodies, `attacks.rs` tests hostile connections, and
//! `action_terms.rs` tests the number of jobs that a search reads.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test stops at the first surprise")]

#[path = "bounds/answers.rs"]
mod answers;
#[path = "bounds/documents.rs"]
mod documents;
#[path = "bounds/equal_times.rs"]
mod equal_times;
#[path = "bounds/jobs.rs"]
mod jobs;
#[path = "bounds/left_out.rs"]
mod left_out;
#[path = "bounds/memory.rs"]
mod memory;
#[path = "bounds/packets.rs"]
mod packets;
#[path = "bounds/pages.rs"]
mod pages;
#[path = "bounds/repeated_searches.rs"]
mod repeated_searches;
#[path = "bounds/rows.rs"]
mod rows;
#[path = "bounds/searches.rs"]
mod searches;
mod support;
#[path = "bounds/writers.rs"]
mod writers;
