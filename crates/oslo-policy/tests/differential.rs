//! Compares this crate with the Python oslo.policy on generated input.
//!
//! The tests need `FREEZER_TEST_PYTHON`, an interpreter that has oslo.policy 6.0.1. Without it, they pass without doing
//! anything. The seeds are fixed and printed. `FREEZER_TEST_POLICY_CASES` changes the number of generated policies,
//! `FREEZER_TEST_POLICY_SEED` the seed, and `FREEZER_TEST_POLICY_VERBOSE` prints the files that only one side refuses.
//!
//! The oracle knows the part of the language that this crate supports, from a definition of its own. A check outside of it
//! must be refused, and a check inside of it must not be.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test stops at the first surprise")]
#![allow(clippy::print_stdout, reason = "seeds and counts belong in the output of the test")]

mod generator;
mod support;

use std::collections::BTreeMap;
use std::error::Error;
use std::sync::Arc;

use oslo_policy::{
    Credentials, DeprecatedRule, EnforceError, Enforcer, Options, RemoteCheck, RemoteRequest, RuleDefault,
    Target,
};
use serde_json::{Value as Json, json};
use support::{Directory, Oracle, Random};

fn number_from_env(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(otherwise)
}

fn oracle() -> Option<Oracle> {
    let oracle = Oracle::start();
    if oracle.is_none() {
        println!("skipped: FREEZER_TEST_PYTHON is not set");
    }
    oracle
}

/// Answers like the oracle.
struct FakeServer;

impl RemoteCheck for FakeServer {
    fn check(&self, request: &RemoteRequest<'_>) -> Result<bool, Box<dyn Error + Send + Sync>> {
        if request.url.contains("slow") {
            return Err("timed out".into());
        }
        Ok(request.url.contains("allow"))
    }
}

fn leak(text: &str) -> &'static str {
    Box::leak(text.to_owned().into_boxed_str())
}

/// Converts the JSON description of a default.
fn rule_default(json: &Json) -> RuleDefault {
    let text = |json: &Json, name: &str| leak(json[name].as_str().unwrap_or_default());
    let list = |json: &Json| -> Vec<&'static str> {
        json.as_array().into_iter().flatten().map(|item| leak(item.as_str().unwrap())).collect()
    };
    let operations: Vec<_> = json["operations"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|pair| (leak(pair[0].as_str().unwrap()), leak(pair[1].as_str().unwrap())))
        .collect();
    RuleDefault {
        name: text(json, "name"),
        check_str: text(json, "check_str"),
        description: text(json, "description"),
        operations: operations.leak(),
        scope_types: list(&json["scope_types"]).leak(),
        deprecated: json["deprecated"].is_object().then(|| DeprecatedRule {
            name: text(&json["deprecated"], "name"),
            check_str: text(&json["deprecated"], "check_str"),
            reason: text(&json["deprecated"], "reason"),
            since: text(&json["deprecated"], "since"),
        }),
    }
}

fn decide(enforcer: &Enforcer, rule: &str, target: &Json, creds: &Json) -> Result<(), EnforceError> {
    let target = Target::from(target.as_object().unwrap());
    let creds = Credentials::from(creds.as_object().unwrap());
    enforcer.enforce(rule, &target, &creds)
}

fn word(decision: &Result<(), EnforceError>) -> &'static str {
    match decision {
        Ok(()) => "allow",
        Err(EnforceError::Denied { .. }) => "deny",
        Err(EnforceError::Broken { .. }) => "broken",
    }
}

/// Returns whether a decision failed only because this crate does not compare lists and mappings with text.
fn is_not_comparable(decision: &Result<(), EnforceError>) -> bool {
    matches!(decision, Err(EnforceError::Broken { reason, .. }) if reason.contains("cannot be compared"))
}

fn assert_no_differences(differences: &[String]) {
    let first = &differences[..differences.len().min(10)];
    assert!(first.is_empty(), "{} differences:\n{}", differences.len(), first.join("\n"));
}

#[test]
fn policies_decide_alike() {
    let Some(mut oracle) = oracle() else { return };
    let seed = number_from_env("FREEZER_TEST_POLICY_SEED", 20_261_122);
    let cases = number_from_env("FREEZER_TEST_POLICY_CASES", 1_500);
    let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
    let mut differences = Vec::new();
    for case in 0..cases {
        let mut random = Random::new(seed.wrapping_mul(1_000_003).wrapping_add(case));
        let policy = generator::policy(&mut random);
        let directory = Directory::new();
        let file = directory.path().join("policy.yaml");
        if let Some(text) = &policy.file {
            directory.write("policy.yaml", text);
        }
        for (name, text) in &policy.directory {
            directory.write(&format!("policy.d/{name}"), text);
        }
        let dirs = directory.path().join("policy.d");
        let answer = oracle.ask(&json!({
            "op": "enforce",
            "policy_file": file,
            "policy_dirs": [dirs],
            "policy_default_rule": policy.default_rule,
            "enforce_new_defaults": policy.enforce_new_defaults,
            "defaults": policy.defaults,
            "queries": policy.queries,
        }));
        let options = Options {
            policy_file: Some(file),
            policy_dirs: vec![dirs],
            default_rule: policy.default_rule.to_owned(),
            enforce_new_defaults: policy.enforce_new_defaults,
            remote: Some(Arc::new(FakeServer)),
            ..Options::default()
        };
        let defaults: Vec<_> = policy.defaults.iter().map(rule_default).collect();
        let mut differ = |what: String| {
            let files = format!("{:?}\n{:?}", policy.file, policy.directory);
            differences.push(format!("seed {seed} case {case}: {what}\n{files}"));
        };
        let enforcer = match (Enforcer::new(defaults, options), answer["load_error"].as_str()) {
            (Ok(enforcer), None) => enforcer,
            (Err(_), Some(_)) => {
                *counts.entry("refused files").or_default() += 1;
                continue;
            }
            (Ok(_), Some(error)) => {
                differ(format!("only Python refuses the files: {error}"));
                continue;
            }
            (Err(error), None) => {
                if answer["unsupported"] == json!([]) {
                    differ(format!("only Rust refuses the files: {error}"));
                }
                *counts.entry("unsupported checks").or_default() += 1;
                continue;
            }
        };
        if answer["unsupported"] != json!([]) {
            differ(format!("Rust must refuse {}", answer["unsupported"]));
        }
        *counts.entry("policies").or_default() += 1;
        let rules: serde_json::Map<String, Json> =
            enforcer.effective().into_iter().map(|rule| (rule.name, Json::String(rule.check))).collect();
        let expected = answer["rules"].as_object().unwrap();
        *counts.entry("rules").or_default() += rules.len() as u64;
        for name in rules.keys().chain(expected.keys()) {
            if rules.get(name) != expected.get(name) {
                differ(format!(
                    "rule {name} is {:?} and should be {:?}",
                    rules.get(name),
                    expected.get(name)
                ));
            }
        }
        for (query, expected) in policy.queries.iter().zip(answer["results"].as_array().unwrap()) {
            let rule = query[0].as_str().unwrap();
            let decision = decide(&enforcer, rule, &query[1], &query[2]);
            let expected = expected.as_str().unwrap();
            let found = word(&decision);
            *counts.entry(found).or_default() += 1;
            if is_not_comparable(&decision) {
                *counts.entry("not comparable").or_default() += 1;
            } else if !expected.starts_with(found) {
                differ(format!("{query} gives {decision:?}, Python: {expected}"));
            }
        }
    }
    println!("seed {seed}: {counts:?}");
    assert_no_differences(&differences);
    if cases >= 1_000 {
        for outcome in ["allow", "deny", "broken", "refused files", "unsupported checks", "not comparable"] {
            assert!(counts[outcome] > 50, "{outcome} must occur: {counts:?}");
        }
    }
}

/// A file that is damaged in a few places must be read as PyYAML reads it, or refused.
#[test]
fn damaged_files_are_read_alike_or_refused() {
    let Some(mut oracle) = oracle() else { return };
    let seed = number_from_env("FREEZER_TEST_POLICY_SEED", 13);
    let cases = number_from_env("FREEZER_TEST_POLICY_CASES", 3_000);
    let verbose = std::env::var_os("FREEZER_TEST_POLICY_VERBOSE").is_some();
    let mut random = Random::new(seed);
    let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
    let mut differences = Vec::new();
    for _ in 0..cases {
        let text = generator::damaged_file(&mut random);
        let directory = Directory::new();
        let file = directory.write("policy.yaml", &text);
        let answer = oracle.ask(&json!({
            "op": "enforce",
            "policy_file": file,
            "policy_dirs": [],
            "policy_default_rule": "default",
            "enforce_new_defaults": true,
            "defaults": [],
            "queries": [],
        }));
        let options = Options { policy_file: Some(file), ..Options::default() };
        let outcome = match (Enforcer::new(Vec::new(), options), answer["load_error"].as_str()) {
            (Ok(enforcer), None) => {
                let rules: serde_json::Map<String, Json> = enforcer
                    .effective()
                    .into_iter()
                    .map(|rule| (rule.name, Json::String(rule.check)))
                    .collect();
                if answer["rules"].as_object() != Some(&rules) || answer["unsupported"] != json!([]) {
                    let found = Json::Object(rules);
                    differences.push(format!("{text:?}: {found}, Python: {answer}"));
                }
                "read"
            }
            (Err(_), Some(_)) => "refused",
            (Err(error), None) => {
                if verbose {
                    println!("only refused here: {text:?}: {error}");
                }
                "refused here only"
            }
            (Ok(_), Some(error)) => {
                if verbose {
                    println!("only refused there: {text:?}: {error}");
                }
                "refused there only"
            }
        };
        *counts.entry(outcome).or_default() += 1;
    }
    println!("seed {seed}: {counts:?}");
    assert_no_differences(&differences);
    // YAML 1.2 reads a few files that YAML 1.1 does not, such as a key over two lines in braces.
    let lenient = counts.get("refused there only").copied().unwrap_or(0);
    assert!(lenient * 50 < cases, "{counts:?}");
}

/// Returns an enforcer whose rule `r` is one check, or `None` if the check is refused.
fn single_check(directory: &Directory, check: &str) -> Option<Enforcer> {
    let file = directory.write("policy.json", json!({"r": [[check]]}).to_string());
    Enforcer::new(Vec::new(), Options { policy_file: Some(file), ..Options::default() }).ok()
}

/// Checks of the policy files and defaults of Keystone, Nova, Neutron, Glance, Cinder, Barbican, Heat and Octavia.
const CHECKS_OF_SERVICES: [&str; 22] = [
    "None:%(target.role.domain_id)s",
    "True:%(target.secret.read_project_access)s",
    "False:%(target.secret.read_project_access)s",
    "'read':%(target.secret.read)s",
    "\"read\":%(target.secret.read)s",
    "'public':%(visibility)s",
    "'accepted':%(status)s",
    "token.project.domain.id:%(target.endpoint.id)s",
    "token.is_admin_project:True",
    "user_id:%(target.token.user_id)s",
    "project_id:%(target.limit.project.domain_id)s",
    "tenant_id:%(network:tenant_id)s",
    "tenant_id:%(ext_parent:tenant_id)s",
    "tenant:%(owner)s",
    "is_admin:1",
    "is_admin:True",
    "is_admin_project:True",
    "system_scope:all",
    "service_roles:service",
    "user.domain.id:default",
    "group_id:%(target.group.id)s",
    "field:networks:shared=True",
];

#[test]
fn checks_of_services_are_supported() {
    let directory = Directory::new();
    for check in CHECKS_OF_SERVICES {
        assert!(single_check(&directory, check).is_some(), "{check}");
    }
    let Some(mut oracle) = oracle() else { return };
    for check in CHECKS_OF_SERVICES {
        let (kind, matched) = check.split_once(':').unwrap();
        let literal = oracle.ask(&json!({"op": "literal", "kind": kind}));
        assert_eq!(literal["supported"], true, "{check}: {literal}");
        let rendered = oracle.ask(&json!({"op": "render", "template": matched, "target": {}}));
        assert_eq!(rendered["supported"], true, "{check}: {rendered}");
    }
}

#[test]
fn left_sides_are_read_alike_or_refused() {
    let Some(mut oracle) = oracle() else { return };
    let seed = number_from_env("FREEZER_TEST_POLICY_SEED", 7);
    let mut random = Random::new(seed);
    let directory = Directory::new();
    let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
    let mut differences = Vec::new();
    for _ in 0..6_000 {
        let kind = generator::kind(&mut random);
        let answer = oracle.ask(&json!({"op": "literal", "kind": kind}));
        let target = json!({"x": answer["literal"].as_str().unwrap_or("no such text")});
        let expected = match &answer {
            answer if answer["supported"] == false => "refused",
            answer if answer["literal"].is_string() => "allow",
            answer if answer["path"].is_boolean() => "deny",
            _ => "broken",
        };
        let decision = single_check(&directory, &format!("{kind}:%(x)s"))
            .map(|enforcer| decide(&enforcer, "r", &target, &json!({})));
        let found = decision.as_ref().map_or("refused", word);
        *counts.entry(found).or_default() += 1;
        if found != expected {
            differences.push(format!("{kind:?}: {decision:?}, Python: {answer}"));
        }
    }
    println!("seed {seed}: {counts:?}");
    assert_no_differences(&differences);
    assert!(["allow", "deny", "refused"].iter().all(|outcome| counts[outcome] > 100), "{counts:?}");
}

#[test]
fn templates_are_rendered_alike_or_refused() {
    let Some(mut oracle) = oracle() else { return };
    let seed = number_from_env("FREEZER_TEST_POLICY_SEED", 11);
    let mut random = Random::new(seed);
    let directory = Directory::new();
    let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
    let mut differences = Vec::new();
    for _ in 0..8_000 {
        let (template, target) = (generator::template(&mut random), generator::template_target(&mut random));
        let answer = oracle.ask(&json!({"op": "render", "template": template, "target": target}));
        let creds = json!({"out": answer["text"].as_str().unwrap_or("no such text")});
        let expected = match &answer {
            answer if answer["supported"] == false => "refused",
            answer if answer["text"].is_string() => "allow",
            answer if answer["missing"].is_boolean() => "deny",
            _ => "broken",
        };
        let decision = single_check(&directory, &format!("out:{template}"))
            .map(|enforcer| decide(&enforcer, "r", &target, &creds));
        let found = match &decision {
            Some(decision) if is_not_comparable(decision) => "not comparable",
            Some(decision) => word(decision),
            None => "refused",
        };
        *counts.entry(found).or_default() += 1;
        let is_container = template.contains("(list)") || template.contains("(dict)");
        if found != expected && !(found == "not comparable" && is_container) {
            differences.push(format!("{template:?} % {target}: {decision:?}, Python: {answer}"));
        }
    }
    println!("seed {seed}: {counts:?}");
    assert_no_differences(&differences);
    let outcomes = ["allow", "deny", "refused", "not comparable"];
    assert!(outcomes.iter().all(|outcome| counts[outcome] > 100), "{counts:?}");
}

/// Compares everything except for the hint on renamed rules, which has its own wording here.
#[test]
fn samples_are_alike() {
    let Some(mut oracle) = oracle() else { return };
    let defaults = json!([
        {"name": "a", "check_str": "role:admin", "scope_types": []},
        {"name": "b:create", "check_str": "rule:a or project_id:%(project_id)s",
         "description": "Creates a thing, whose description is long enough to be wrapped once or even twice by the generator.\n\nSecond paragraph\nof two lines.\n\n  literal   block\n  of two lines",
         "operations": [["POST", "/v2/things"], ["PUT", "/v2/things/{id}"]],
         "scope_types": ["project", "system"],
         "deprecated": {"name": "b:create", "check_str": "@", "reason": "Too wide.", "since": "Zed"}},
        {"name": "c", "check_str": "", "description": "Third.", "scope_types": ["domain"]},
    ]);
    let answer = oracle.ask(&json!({"op": "sample", "defaults": defaults}));
    let defaults: Vec<_> = defaults.as_array().unwrap().iter().map(rule_default).collect();
    assert_eq!(oslo_policy::sample::render(&defaults), answer["text"].as_str().unwrap());
}
