//! Lists all v2 routes, each with its policy rule.
//!
//! A route without a rule does not compile, and [`Call`] checks this rule before the handler runs. `tests/authz.rs` checks that
//! every rule has a route, and that the rule of every route has the same method and path.

pub mod actions;
pub mod answers;
pub mod backups;
pub mod clients;
pub mod home;
pub mod jobs;
pub mod sessions;

use axum::handler::Handler;
use axum::routing::{MethodFilter, MethodRouter, get, on};
use http::Method;
use oslo_policy::RuleDefault;

use super::extract::{Call, Guard};
use super::routes::RouteLayer;
use crate::app::SharedApp;
use crate::policy::{
    actions as action_rules, backups as backup_rules, clients as client_rules, jobs as job_rules,
    sessions as session_rules,
};

/// A method of a path with its policy rule and its handler.
pub struct Route {
    /// HTTP method.
    pub method: Method,
    /// Path with `{names}`.
    pub path: &'static str,
    /// The rule that must permit the request.
    pub rule: &'static RuleDefault,
    handler: MethodRouter<SharedApp>,
    /// Checks only whether the policy permits the request.
    guard: MethodRouter<SharedApp>,
}

/// Returns all v2 routes except for the home document, for which every valid token is sufficient.
pub fn routes() -> Vec<Route> {
    const CLIENTS: &str = "/v2/{project_id}/clients";
    const CLIENT: &str = "/v2/{project_id}/clients/{client_id}";
    const ACTIONS: &str = "/v2/{project_id}/actions";
    const ACTION: &str = "/v2/{project_id}/actions/{action_id}";
    const JOBS: &str = "/v2/{project_id}/jobs";
    const JOB: &str = "/v2/{project_id}/jobs/{job_id}";
    const JOB_EVENT: &str = "/v2/{project_id}/jobs/{job_id}/event";
    const SESSIONS: &str = "/v2/{project_id}/sessions";
    const SESSION: &str = "/v2/{project_id}/sessions/{session_id}";
    const SESSION_ACTION: &str = "/v2/{project_id}/sessions/{session_id}/action";
    const SESSION_JOB: &str = "/v2/{project_id}/sessions/{session_id}/jobs/{job_id}";
    const BACKUPS: &str = "/v2/{project_id}/backups";
    const BACKUP: &str = "/v2/{project_id}/backups/{backup_id}";
    vec![
        route(Method::GET, CLIENTS, &client_rules::GET_ALL, clients::list),
        Route {
            guard: on(MethodFilter::POST, clients::check_create),
            ..route(Method::POST, CLIENTS, &client_rules::CREATE, clients::create)
        },
        route(Method::GET, CLIENT, &client_rules::GET, clients::show),
        route(Method::DELETE, CLIENT, &client_rules::DELETE, clients::delete),
        route(Method::GET, ACTIONS, &action_rules::GET_ALL, actions::list),
        route(Method::POST, ACTIONS, &action_rules::CREATE, actions::create),
        route(Method::GET, ACTION, &action_rules::GET, actions::show),
        route(Method::PATCH, ACTION, &action_rules::UPDATE, actions::update),
        route(Method::POST, ACTION, &action_rules::REPLACE, actions::replace),
        route(Method::DELETE, ACTION, &action_rules::DELETE, actions::delete),
        route(Method::GET, JOBS, &job_rules::GET_ALL, jobs::list),
        route(Method::POST, JOBS, &job_rules::CREATE, jobs::create),
        route(Method::GET, JOB, &job_rules::GET, jobs::show),
        route(Method::PATCH, JOB, &job_rules::UPDATE, jobs::update),
        route(Method::POST, JOB, &job_rules::CREATE, jobs::replace),
        route(Method::DELETE, JOB, &job_rules::DELETE, jobs::delete),
        route(Method::POST, JOB_EVENT, &job_rules::EVENT_CREATE, jobs::create_event),
        route(Method::GET, SESSIONS, &session_rules::GET_ALL, sessions::list),
        route(Method::POST, SESSIONS, &session_rules::CREATE, sessions::create),
        route(Method::GET, SESSION, &session_rules::GET, sessions::show),
        route(Method::PATCH, SESSION, &session_rules::UPDATE, sessions::update),
        route(Method::POST, SESSION, &session_rules::REPLACE, sessions::replace),
        route(Method::DELETE, SESSION, &session_rules::DELETE, sessions::delete),
        route(Method::POST, SESSION_ACTION, &session_rules::ACTION_CREATE, sessions::create_action),
        route(Method::PUT, SESSION_JOB, &session_rules::JOB_ADD, sessions::add_job),
        route(Method::DELETE, SESSION_JOB, &session_rules::JOB_REMOVE, sessions::remove_job),
        route(Method::GET, BACKUPS, &backup_rules::GET_ALL, backups::list),
        route(Method::POST, BACKUPS, &backup_rules::CREATE, backups::create),
        route(Method::GET, BACKUP, &backup_rules::GET, backups::show),
        route(Method::PATCH, BACKUP, &backup_rules::UPDATE, backups::update),
        route(Method::DELETE, BACKUP, &backup_rules::DELETE, backups::delete),
    ]
}

/// Rules that a handler checks in addition to the rule of its route, each with the rule of this route.
pub const ADDITIONAL_RULES: [(&RuleDefault, &RuleDefault); 2] = [
    (&client_rules::CREATE_CENTRAL, &client_rules::CREATE),
    (&job_rules::GET_ALL_PROJECTS, &job_rules::GET_ALL),
];

/// Returns a router with all routes.
pub fn router() -> axum::Router<SharedApp> {
    build_router(|route| route.handler)
}

/// Returns a router with the same routes. Its handlers only check whether the policy permits the request. A request without its body
/// is only checked against the rule of its route.
pub fn guards() -> axum::Router<SharedApp> {
    build_router(|route| route.guard)
}

/// Does nothing, because the extractor of [`Call`] checks the policy.
async fn permitted(_: Call) {}

fn build_router(handler: impl Fn(Route) -> MethodRouter<SharedApp>) -> axum::Router<SharedApp> {
    let mut router = axum::Router::new().route("/v2", get(home::show).layer(RouteLayer(None)));
    for route in routes() {
        let (path, guard) = (route.path, Guard(route.rule));
        router = router.route(path, handler(route).layer(RouteLayer(Some(guard))));
    }
    router
}

fn route<H, T>(method: Method, path: &'static str, rule: &'static RuleDefault, handler: H) -> Route
where
    H: Handler<T, SharedApp>,
    T: 'static,
{
    let (handler, guard) = (on(filter(&method), handler), on(filter(&method), permitted));
    Route { method, path, rule, handler, guard }
}

fn filter(method: &Method) -> MethodFilter {
    match *method {
        Method::POST => MethodFilter::POST,
        Method::PATCH => MethodFilter::PATCH,
        Method::PUT => MethodFilter::PUT,
        Method::DELETE => MethodFilter::DELETE,
        _ => MethodFilter::GET,
    }
}
