//! Policy rules and routes: each rule protects a route, each route has the rule for its method and path, and each rule
//! allows the same callers as in freezer-api 19.0.0.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test stops at the first surprise")]

mod support;

use std::collections::BTreeSet;
use std::fmt::Write;

use freezer_api::api::v2::{ADDITIONAL_RULES, Route, routes};
use freezer_api::context::RequestContext;
use freezer_api::error::Error;
use freezer_api::policy;
use freezer_store::Deadline;
use futures_util::FutureExt;
use oslo_policy::{Enforcer, RuleDefault};
use serde_json::json;
use support::{Engine, Options, TestApp};

/// Routes whose rule names another path: (method, path of the route, rule). This list must not grow.
const GUARDED_BY_ANOTHER: [(&str, &str, &str); 1] =
    // freezer-api 19.0.0 has no rule for replacing a job.
    [("POST", "/v2/{project_id}/jobs/{job_id}", "jobs:create")];

/// The names and default checks of freezer-api 19.0.0. The policy.yaml files of operators refer to them.
const UPSTREAM: [(&str, &str); 39] = [
    ("actions:create", "rule:admin_or_owner"),
    ("actions:delete", "rule:admin_or_owner"),
    ("actions:get", "rule:admin_or_reader_or_service"),
    ("actions:get_all", "rule:admin_or_reader_or_service"),
    ("actions:replace", "rule:admin_or_owner"),
    ("actions:update", "rule:admin_or_owner"),
    ("admin_or_owner", "rule:context_is_admin or rule:project_member"),
    ("admin_or_owner_or_service", "rule:admin_or_service or rule:project_member"),
    ("admin_or_reader_or_service", "rule:admin_or_owner_or_service or rule:project_reader"),
    ("admin_or_service", "role:admin or role:service"),
    ("backups:create", "rule:admin_or_owner_or_service"),
    ("backups:delete", "rule:admin_or_owner_or_service"),
    ("backups:get", "rule:admin_or_reader_or_service"),
    ("backups:get_all", "rule:admin_or_reader_or_service"),
    ("backups:update", "rule:admin_or_owner_or_service"),
    ("clients:create", "rule:admin_or_owner"),
    ("clients:create_central", "rule:admin_or_service"),
    ("clients:delete", "rule:admin_or_owner"),
    ("clients:get", "rule:admin_or_reader_or_service"),
    ("clients:get_all", "rule:admin_or_reader_or_service"),
    ("context_is_admin", "role:admin"),
    ("jobs:create", "rule:admin_or_owner"),
    ("jobs:delete", "rule:admin_or_owner"),
    ("jobs:event:create", "rule:admin_or_owner"),
    ("jobs:get", "rule:admin_or_reader_or_service"),
    ("jobs:get_all", "rule:admin_or_reader_or_service"),
    ("jobs:get_all_projects", "rule:admin_or_service"),
    ("jobs:update", "rule:admin_or_owner"),
    ("project_member", "role:member and project_id:%(project_id)s"),
    ("project_reader", "role:reader and project_id:%(project_id)s"),
    ("sessions:action:create", "rule:admin_or_owner"),
    ("sessions:create", "rule:admin_or_owner"),
    ("sessions:delete", "rule:admin_or_owner"),
    ("sessions:get", "rule:admin_or_reader_or_service"),
    ("sessions:get_all", "rule:admin_or_reader_or_service"),
    ("sessions:job:add", "rule:admin_or_owner"),
    ("sessions:job:remove", "rule:admin_or_owner"),
    ("sessions:replace", "rule:admin_or_owner"),
    ("sessions:update", "rule:admin_or_owner"),
];

#[test]
fn the_rules_have_the_names_and_defaults_of_upstream() {
    let ours: BTreeSet<(&str, &str)> = policy::all().iter().map(|rule| (rule.name, rule.check_str)).collect();
    assert_eq!(ours, UPSTREAM.into_iter().collect());
    assert_eq!((policy::operations().count(), policy::base::RULES.len()), (32, 7));
    for rule in policy::all() {
        assert_eq!(rule.scope_types, ["project"], "{}", rule.name);
        assert!(!rule.description.is_empty(), "{}", rule.name);
    }
}

#[test]
fn every_rule_protects_a_route() {
    let guards: BTreeSet<&str> = routes().iter().map(|route| route.rule.name).collect();
    let asked: BTreeSet<&str> = ADDITIONAL_RULES.iter().map(|(rule, _)| rule.name).collect();
    assert_eq!(guards.intersection(&asked).count(), 0);
    let used: BTreeSet<&str> = guards.union(&asked).copied().collect();
    assert_eq!(used, policy::operations().map(|rule| rule.name).collect());
    for (rule, guard) in ADDITIONAL_RULES {
        assert!(guards.contains(guard.name), "{} is asked on the route of {}", rule.name, guard.name);
        assert_eq!(rule.operations, guard.operations, "{}", rule.name);
    }
}

#[test]
fn the_rule_of_every_route_has_its_method_and_path() {
    let mut exceptions = Vec::new();
    let mut seen = BTreeSet::new();
    for route in routes() {
        let operation = (route.method.as_str(), route.path);
        assert!(seen.insert((route.method.to_string(), route.path)), "{operation:?} is there twice");
        if !route.rule.operations.contains(&operation) {
            exceptions.push((operation.0.to_owned(), operation.1, route.rule.name));
        }
    }
    let known = GUARDED_BY_ANOTHER.map(|(method, path, rule)| (method.to_owned(), path, rule));
    assert_eq!(exceptions, known);
    for rule in policy::operations() {
        for (method, path) in rule.operations {
            let exists = seen.contains(&((*method).to_owned(), *path));
            assert!(exists, "{} names {method} {path}, which is no route", rule.name);
        }
    }
}

/// Callers: (heading, project, roles).
const CALLERS: [(&str, &str, &str); 9] = [
    ("admin of p1", "p1", "admin"),
    ("admin of p2", "p2", "admin"),
    ("member of p1", "p1", "member"),
    ("reader of p1", "p1", "reader"),
    ("service", "service", "service"),
    ("member of p2", "p2", "member"),
    ("reader of p2", "p2", "reader"),
    ("manager of p1", "p1", "manager"),
    ("no role in p1", "p1", ""),
];

/// Returns the result of a decision that needs no remote server, so its future is ready at once.
fn decided(decision: impl Future<Output = Result<(), Error>>) -> Result<(), Error> {
    decision.now_or_never().expect("a decision that needs no remote server")
}

fn allows(enforcer: &Enforcer, rule: &RuleDefault, project: &str, roles: &str) -> bool {
    let context = RequestContext {
        user_id: "u".to_owned(),
        project_id: Some(project.to_owned()),
        roles: roles.split(',').filter(|role| !role.is_empty()).map(str::to_owned).collect(),
        ..RequestContext::default()
    };
    let anywhere = ADDITIONAL_RULES.iter().any(|(asked, _)| asked.name == rule.name);
    let answer = match anywhere {
        true => decided(policy::authorize_anywhere(enforcer, &context, rule, Deadline::NONE)),
        false => decided(policy::authorize(enforcer, &context, rule, "p1", Deadline::NONE)),
    };
    match answer {
        Ok(()) => true,
        Err(Error::Forbidden(_)) => false,
        Err(other) => panic!("{}: {other}", rule.name),
    }
}

fn enforcer() -> Enforcer {
    Enforcer::new(policy::all(), oslo_policy::Options::default()).expect("the default rules")
}

/// Evaluates every rule for every caller, for project p1.
#[test]
fn the_rules_allow_the_same_callers_as_upstream() {
    let enforcer = enforcer();
    let mut table = format!("{:<28}", "in project p1");
    for (heading, ..) in CALLERS {
        write!(table, " | {heading}").unwrap();
    }
    let mut rules = policy::all();
    rules.sort_by_key(|rule| rule.name);
    for rule in rules {
        write!(table, "\n{:<28}", rule.name).unwrap();
        for (heading, project, roles) in CALLERS {
            let answer = if allows(&enforcer, &rule, project, roles) { "yes" } else { "-" };
            write!(table, " | {answer:<width$}", width = heading.len()).unwrap();
        }
    }
    let table: Vec<&str> = table.lines().map(str::trim_end).collect();
    let mut settings = insta::Settings::new();
    settings.set_omit_expression(true);
    settings
        .bind(|| insta::assert_snapshot!("the_rules_allow_the_same_callers_as_upstream", table.join("\n")));
}

/// Domain- and system-scoped tokens have no project, so their callers are members of no project.
#[test]
fn callers_without_a_project_are_members_of_none() {
    let enforcer = enforcer();
    for rule in policy::operations() {
        for (role, expected) in [("member", false), ("reader", false)] {
            let context = RequestContext { roles: vec![role.to_owned()], ..RequestContext::default() };
            let answer = decided(policy::authorize(&enforcer, &context, rule, "p1", Deadline::NONE));
            assert_eq!(answer.is_ok(), expected, "{} as {role}", rule.name);
            // They are not members of a project without a name, either.
            let nameless = decided(policy::authorize(&enforcer, &context, rule, "", Deadline::NONE));
            assert!(nameless.is_err(), "{} as {role}", rule.name);
        }
    }
}

fn path_of(route: &Route) -> String {
    let path = route.path.replace("{project_id}", "p1");
    ["client_id", "action_id", "job_id", "session_id", "backup_id"]
        .iter()
        .fold(path, |path, name| path.replace(&format!("{{{name}}}"), "x"))
}

/// Each route of the running service rejects the same callers as its rule, before it examines the request.
#[test]
fn every_route_enforces_its_rule() {
    support::with_database(Engine::Sqlite, "authz", |runtime, database| {
        runtime.block_on(support::bounded(async {
            let app = TestApp::start(database, Options::default()).await;
            let enforcer = enforcer();
            let statements = app.store().statements();
            for (heading, project, roles) in CALLERS {
                let caller = app.as_user("u", project, roles);
                for route in routes() {
                    // No schema accepts this body. Permitted callers get an error about it, or about the missing
                    // resource.
                    let body = Some(json!(["not a document"])).filter(|_| route.method != http::Method::GET);
                    let answer = caller.ask(route.method.clone(), &path_of(&route), body).await;
                    let allowed = allows(&enforcer, route.rule, project, roles);
                    assert_eq!(answer.status != 403, allowed, "{heading}, {}:\n{answer}", route.rule.name);
                    if !allowed {
                        let expected = json!({
                            "title": "Access Forbidden",
                            "description": format!(
                                "You are not allowed to access this resource: policy rule {}",
                                route.rule.name
                            ),
                        });
                        assert_eq!(answer.json(), expected);
                    }
                }
            }
            let nobody = app.as_user("u", "p1", "");
            let before = app.store().statements();
            assert!(before > statements, "those who may are served");
            for route in routes() {
                let path = path_of(&route);
                nobody.ask(route.method.clone(), &path, None).await.expect(403);
                nobody.raw(route.method.clone(), &format!("{path}/"), &[], "{malformed").await.expect(403);
            }
            assert_eq!(app.store().statements(), before, "a refusal costs no statement");
        }));
    });
}
