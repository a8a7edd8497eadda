//! Compares this crate with the Python oslo.policy on generated input.
//!
//! Runs where `FREEZER_TEST_PYTHON` names an interpreter that has oslo.policy 6.0.1, and passes
//! without doing anything elsewhere. The seeds are fixed and printed; `FREEZER_TEST_POLICY_CASES`
//! changes the number of generated policies, `FREEZER_TEST_POLICY_SEED` the seed, and
//! `FREEZER_TEST_POLICY_VERBOSE` prints the files that only one side refuses.
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

/// Answers as the oracle does.
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

/// The defaults that a JSON description stands for.
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
                differ(format!("only Rust refuses the files: {error}"));
                continue;
            }
        };
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
            if !expected.starts_with(found) {
                differ(format!("{query} gives {decision:?}, Python: {expected}"));
            }
        }
    }
    println!("seed {seed}: {counts:?}");
    assert_no_differences(&differences);
    if cases >= 1_000 {
        for outcome in ["allow", "deny", "broken", "refused files"] {
            assert!(counts[outcome] > 50, "{outcome} must occur: {counts:?}");
        }
    }
}

/// Files that were damaged at a few places: read as by PyYAML, or refused.
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
                if answer["rules"].as_object() != Some(&rules) {
                    let found = Json::Object(rules);
                    differences.push(format!("{text:?}: {found}, Python: {}", answer["rules"]));
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

/// An enforcer with one rule for each text, `r0`, `r1` …, each a list of one check.
fn rules_of_single_checks(directory: &Directory, checks: impl Iterator<Item = String>) -> Enforcer {
    let rules: serde_json::Map<String, Json> =
        checks.enumerate().map(|(i, check)| (format!("r{i}"), json!([[check]]))).collect();
    let options = Options {
        policy_file: Some(directory.write("policy.json", Json::Object(rules).to_string())),
        ..Options::default()
    };
    Enforcer::new(Vec::new(), options).unwrap()
}

#[test]
fn left_sides_are_read_alike() {
    let Some(mut oracle) = oracle() else { return };
    let seed = number_from_env("FREEZER_TEST_POLICY_SEED", 7);
    let mut random = Random::new(seed);
    let kinds: Vec<String> = (0..6_000).map(|_| generator::kind(&mut random)).collect();
    let directory = Directory::new();
    let enforcer = rules_of_single_checks(&directory, kinds.iter().map(|kind| format!("{kind}:%(x)s")));
    let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
    let mut differences = Vec::new();
    for (i, kind) in kinds.iter().enumerate() {
        let answer = oracle.ask(&json!({"op": "literal", "kind": kind}));
        let text = answer["literal"].as_str();
        let target = json!({"x": text.unwrap_or("nothing is called so")});
        let decision = decide(&enforcer, &format!("r{i}"), &target, &json!({}));
        let expected = match &answer {
            answer if answer["literal"].is_string() => "allow",
            answer if answer["path"].is_boolean() => "deny",
            _ => "broken",
        };
        let found = word(&decision);
        *counts.entry(found).or_default() += 1;
        if found != expected && !generator::is_unusual(kind) {
            differences.push(format!("{kind:?}: {decision:?}, Python: {answer}"));
        }
        assert!(found != "allow" || expected == "allow", "{kind:?} must not allow");
    }
    println!("seed {seed}: {counts:?}");
    assert_no_differences(&differences);
    assert!(counts.values().all(|count| *count > 100) && counts.len() == 3, "{counts:?}");
}

#[test]
fn templates_are_rendered_alike() {
    let Some(mut oracle) = oracle() else { return };
    let seed = number_from_env("FREEZER_TEST_POLICY_SEED", 11);
    let mut random = Random::new(seed);
    let cases: Vec<(String, Json)> = (0..8_000)
        .map(|_| (generator::template(&mut random), generator::template_target(&mut random)))
        .collect();
    let directory = Directory::new();
    let enforcer =
        rules_of_single_checks(&directory, cases.iter().map(|(template, _)| format!("out:{template}")));
    let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
    let mut differences = Vec::new();
    for (i, (template, target)) in cases.iter().enumerate() {
        let answer = oracle.ask(&json!({"op": "render", "template": template, "target": target}));
        let creds = json!({"out": answer["text"].as_str().unwrap_or("no such text")});
        let decision = decide(&enforcer, &format!("r{i}"), target, &creds);
        let expected = match &answer {
            answer if answer["text"].is_string() => "allow",
            answer if answer["missing"].is_boolean() => "deny",
            _ => "broken",
        };
        let found = word(&decision);
        *counts.entry(found).or_default() += 1;
        if found != expected {
            differences.push(format!("{template:?} % {target}: {decision:?}, Python: {answer}"));
        }
    }
    println!("seed {seed}: {counts:?}");
    assert_no_differences(&differences);
    assert!(counts.values().all(|count| *count > 100) && counts.len() == 3, "{counts:?}");
}

/// Everything but the hint on renamed rules, which has words of its own here.
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
