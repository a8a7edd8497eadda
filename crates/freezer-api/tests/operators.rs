//! What operators do beside the database: policy and configuration files, their samples and checks, and what the running
//! service does when they change. With the programs themselves; no test needs a database server.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test stops at the first surprise")]

#[path = "operators/config.rs"]
mod config;
#[path = "operators/docs.rs"]
mod docs;
#[path = "operators/logs.rs"]
mod logs;
#[path = "operators/noauth.rs"]
mod noauth;
#[path = "operators/policy.rs"]
mod policy;
mod process;
#[path = "operators/reload.rs"]
mod reload;
#[path = "operators/remote.rs"]
mod remote;
#[path = "operators/samples.rs"]
mod samples;
#[path = "operators/verdicts.rs"]
mod verdicts;
