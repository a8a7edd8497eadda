//! Tests of the crate against a fake Keystone. All modules form one binary, because linking takes longer than
//! running.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test stops at the first surprise")]

mod cache;
mod identity_headers;
mod logs;
mod own_token;
mod real;
mod request;
mod support;
mod tls;
mod trust;
mod unavailable;
