//! freezer-api: the management-data service of OpenStack's Freezer.
//!
//! A request meets the modules in this order; arrows point one way:
//!
//! - [`server`] accepts connections and ends them gracefully; [`api::middleware`] surrounds every request.
//! - [`auth`] finds out who is calling and builds a [`context::RequestContext`].
//! - [`api`] has the routes, each with the [`policy`] rule that guards it, takes the request apart and picks the
//!   status of the answer.
//! - [`validate`] knows which documents are taken.
//! - [`service`] has the rules of Freezer: what an event, a session start or a registration means.
//! - `freezer_store` keeps the rows.
//!
//! Beside them: [`config`] (one file per INI section), [`app`] (everything built once), [`clock`] (time and ids, passed
//! in), [`error`] (what can go wrong, without status codes), [`health`] (the health check), [`logging`] (the line format
//! operators know), [`readiness`] (what a started service waits for), [`reload`] (what the running service takes up from
//! files that change) and [`manage`] (what `freezer-manage` and
//! `freezer-manager-status` do), [`systemd`] (what the service manager is told).

pub mod api;
pub mod app;
pub mod auth;
pub mod clock;
pub mod config;
pub mod context;
pub mod error;
pub mod health;
pub mod logging;
pub mod manage;
pub mod policy;
pub mod readiness;
pub mod reload;
pub mod server;
pub mod service;
pub mod systemd;
pub mod validate;
