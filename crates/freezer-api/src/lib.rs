//! freezer-api: the management-data service of OpenStack's Freezer.
//!
//! A request passes the modules in this order, and dependencies have the same direction:
//!
//! - [`server`] accepts connections and closes them gracefully. [`api::middleware`] wraps every request.
//! - [`auth`] authenticates the caller and builds a [`context::RequestContext`].
//! - [`api`] has the routes, each with the [`policy`] rule that guards it. It parses the request and chooses
//!   the status of the answer.
//! - [`validate`] checks documents.
//! - [`service`] has the rules of Freezer, such as the meaning of an event, a session start or a
//!   registration.
//! - `freezer_store` stores the rows.
//!
//! Other modules: [`config`] (one file for each INI section), [`app`] (the shared state), [`clock`] (injected
//! time and ids), [`cors`] (cross-origin requests), [`error`] (errors without status codes), [`health`] (the health check),
//! [`probes`] (the checks of `/readyz`), [`logging`] (the log format of OpenStack), [`metrics`] (for Prometheus), [`readiness`] (the
//! conditions that a started service waits for), [`reload`]
//! (reloading changed files), [`manage`] (the commands of `freezer-manage` and `freezer-manager-status`) and
//! [`systemd`] (notifications of the service manager).

pub mod api;
pub mod app;
pub mod auth;
pub mod clock;
pub mod config;
pub mod context;
pub mod cors;
pub mod error;
pub mod health;
pub mod logging;
pub mod manage;
pub mod metrics;
pub mod policy;
pub mod probes;
pub mod readiness;
pub mod reload;
pub mod server;
pub mod service;
pub mod systemd;
pub mod validate;
