//! Work of operators apart from the database: policy and configuration files, their samples and checks, and the reload
//! of changed files. These tests use the real programs. They need no database server.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test stops at the first surprise")]

#[path = "operators/access.rs"]
mod access;
#[path = "operators/check_and_start.rs"]
mod check_and_start;
#[path = "operators/config.rs"]
mod config;
#[path = "operators/docs.rs"]
mod docs;
#[path = "operators/logs.rs"]
mod logs;
#[path = "operators/messages.rs"]
mod messages;
#[path = "operators/metrics.rs"]
mod metrics;
#[path = "operators/noauth.rs"]
mod noauth;
#[path = "operators/pipes.rs"]
mod pipes;
#[path = "operators/policy.rs"]
mod policy;
mod process;
#[path = "operators/reload.rs"]
mod reload;
#[path = "operators/remote.rs"]
mod remote;
#[path = "operators/samples.rs"]
mod samples;
mod scrape;
#[path = "operators/special_files.rs"]
mod special_files;
#[path = "operators/story.rs"]
mod story;
#[path = "operators/systemd.rs"]
mod systemd;
