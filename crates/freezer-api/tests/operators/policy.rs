//! `freezer-manage policy`.

use serde_json::Value;

use crate::process::{self, Done, MANAGE, Scratch};

/// Runs the command with a configuration that only sets the policy file.
fn policy(scratch: &Scratch, arguments: &[&str]) -> Done {
    let config = scratch.write("freezer-api.conf", "[oslo_policy]\npolicy_file = policy.yaml\n");
    process::run(MANAGE, &config, &[&["policy"], arguments].concat())
}

#[test]
fn mistakes_are_reported_with_file_line_and_rule() {
    let scratch = Scratch::new();
    let file = scratch.write(
        "policy.yaml",
        "\"jobs:delete\": \"role:backup_admin\"\n\"jobs:create\": \"rule:gone\"\n\"jobs:crate\": \"role:x\"\n\
         \"jobs:get\": \"role:a and\"\n\"a\": \"rule:b\"\n\"b\": \"rule:a\"\n\"actions:get\":\n\
         \"clients:get\": \"rule:admin_or_reader_or_service\"\n",
    );
    let file = file.display();
    let done = policy(&scratch, &["check"]);
    assert_eq!(done.code, Some(2), "{done:#?}");
    for line in [
        format!("failure  {file}:2: jobs:create: refers to rules that do not exist: gone"),
        format!("failure  {file}:3: jobs:crate: the service has no such rule"),
        format!("failure  {file}:4: jobs:get: "),
        format!("failure  {file}:5: a: is part of a cycle"),
        format!("failure  {file}:6: b: is part of a cycle"),
        format!("failure  {file}:7: actions:get: has no value, which allows every caller"),
        format!("note     {file}:8: clients:get: repeats the default"),
    ] {
        assert!(done.stdout.contains(&line), "no {line:?} in\n{}", done.stdout);
    }
    assert!(!done.stdout.contains("jobs:delete"), "{}", done.stdout);
    assert_eq!(done.stderr, "");
    let json: Value = serde_json::from_str(&policy(&scratch, &["check", "--json"]).stdout).unwrap();
    assert_eq!(json["verdict"], "failure");
    let first = &json["problems"][0];
    assert_eq!(
        (&first["kind"], &first["line"], &first["rule"]),
        (&"unknown_rule".into(), &3.into(), &"jobs:crate".into())
    );
}

#[test]
fn unsupported_checks_are_reported_with_a_correction() {
    let scratch = Scratch::new();
    let file = scratch.write(
        "policy.yaml",
        "\"jobs:get\": \"role:reader or class:x\"\n\"jobs:create\": \"role:admin\"\n\
         \"jobs:delete\": \"user_id:%(user_id)d\"\n\"jobs:update\": [[\"role:admin\", \"len(x):5\"]]\n",
    );
    let file = file.display();
    let done = policy(&scratch, &["check"]);
    assert_eq!(done.code, Some(2), "{done:#?}");
    for (line, correction) in [
        (format!("failure  {file}:1: jobs:get: in the check \"class:x\": "), "the name of a credential"),
        (format!("failure  {file}:3: jobs:delete: in the check \"user_id:%(user_id)d\": "), "write %(name)s"),
        (format!("failure  {file}:4: jobs:update: in the check \"len(x):5\": "), "a text in quotes"),
    ] {
        let found = done.stdout.lines().find(|found| found.starts_with(&line));
        assert!(found.is_some_and(|found| found.contains(correction)), "no {line:?} in\n{}", done.stdout);
    }
    assert!(!done.stdout.contains("jobs:create"), "{}", done.stdout);
    policy(&scratch, &["list"]).refused(1, &["policy.yaml: line 1: rule jobs:get: in the check"]);
}

#[test]
fn rules_that_allow_every_caller_cause_a_warning() {
    let scratch = Scratch::new();
    for (text, rule) in [
        ("\"jobs:get\": \"\"\n", "jobs:get"),
        ("\"jobs:get\": []\n", "jobs:get"),
        ("\"jobs:get\": \"role:member or @\"\n", "jobs:get"),
        ("\"jobs:get\": \"rule:anybody\"\n\"anybody\": \"@\"\n", "anybody"),
    ] {
        let file = scratch.write("policy.yaml", text);
        let done = policy(&scratch, &["check"]);
        assert_eq!(done.code, Some(1), "{text}: {done:#?}");
        assert!(
            done.stdout.contains(&format!("warning  {}:1: jobs:get: allows every caller", file.display())),
            "{done:#?}"
        );
        assert!(done.stdout.contains(&format!(" {rule}: allows every caller")), "{done:#?}");
        let json: Value = serde_json::from_str(&policy(&scratch, &["check", "--json"]).stdout).unwrap();
        assert_eq!(json["problems"][0]["kind"], "allows_everyone");
    }
    // All operations that refer to the base rule are open, too.
    scratch.write("policy.yaml", "\"admin_or_service\": \"@\"\n");
    let done = policy(&scratch, &["check"]);
    assert!(done.stdout.contains("warning  jobs:get: allows every caller, through rule:"), "{done:#?}");
}

#[test]
fn malformed_yaml_is_a_failure_of_every_command() {
    let scratch = Scratch::new();
    let file = scratch.write("policy.yaml", "\"jobs:get\": \"@\"\n\"jobs:create\": [\n");
    let done = policy(&scratch, &["check"]);
    assert_eq!(done.code, Some(2), "{done:#?}");
    assert!(done.stdout.starts_with(&format!("failure  {}:", file.display())), "{done:#?}");
    policy(&scratch, &["list"]).refused(1, &[&file.display().to_string(), "line "]);
    policy(&scratch, &["show-effective"]).refused(1, &[&file.display().to_string(), "line "]);
}

#[test]
fn a_missing_file_is_only_reported_if_it_is_configured() {
    let scratch = Scratch::new();
    let named = policy(&scratch, &["check"]);
    assert_eq!(named.code, Some(1), "{named:#?}");
    assert!(named.stdout.contains("warning") && named.stdout.contains("does not exist"), "{named:#?}");
    let config = scratch.write("other.conf", "[DEFAULT]\n");
    process::run(MANAGE, &config, &["policy", "check"]).succeeded();
    let bad = scratch.write("bad.conf", "[oslo_policy]\nenforce_scope = perhaps\n");
    process::run(MANAGE, &bad, &["policy", "check"]).refused(255, &["bad.conf:2", "enforce_scope"]);
}

#[test]
fn a_file_can_be_checked_before_it_is_installed() {
    let scratch = Scratch::new();
    let file = scratch.write("new.yaml", "\"jobs:create\": \"rule:gone\"\n");
    let config = scratch.write("freezer-api.conf", "");
    let done =
        process::run(MANAGE, &config, &["policy", "check", "--policy-file", &file.display().to_string()]);
    assert_eq!(done.code, Some(2), "{done:#?}");
    assert!(done.stdout.contains("new.yaml:1: jobs:create"), "{done:#?}");
}

#[test]
fn the_rules_in_force_are_shown_with_their_source() {
    let scratch = Scratch::new();
    let file = scratch
        .write("policy.yaml", "\n\"jobs:delete\": \"role:backup_admin\"\n\"mine\": \"role:x or role:y\"\n");
    std::fs::create_dir(scratch.path().join("policy.d")).unwrap();
    let later = scratch.write("policy.d/10.yaml", "\"jobs:get\": \"rule:mine\"\n");
    let done = policy(&scratch, &["list"]);
    let columns = |name: &str| {
        let line = done.succeeded().lines().find(|line| line.starts_with(&format!("{name} ")));
        let line = line.unwrap_or_else(|| panic!("no {name} in {done:#?}"));
        line.split("  ").map(str::trim).filter(|cell| !cell.is_empty()).map(str::to_owned).collect::<Vec<_>>()
    };
    let of_file = format!("{}:2", file.display());
    assert_eq!(columns("jobs:delete"), ["jobs:delete", "role:backup_admin", &of_file, "rule:admin_or_owner"]);
    assert_eq!(columns("jobs:create"), ["jobs:create", "rule:admin_or_owner", "default"]);
    assert_eq!(columns("mine"), ["mine", "(role:x or role:y)", &format!("{}:3", file.display())]);
    assert_eq!(columns("jobs:get")[2], format!("{}:1", later.display()));
    assert_eq!(done.stdout.lines().count(), 1 + 39 + 1);

    let json: Value = serde_json::from_str(policy(&scratch, &["list", "--json"]).succeeded()).unwrap();
    let rule = json.as_array().unwrap().iter().find(|rule| rule["name"] == "jobs:delete").unwrap();
    assert_eq!((&rule["check"], &rule["line"]), (&"role:backup_admin".into(), &2.into()));
    assert_eq!(
        (&rule["default"], &rule["description"]),
        (&"rule:admin_or_owner".into(), &"Delete a job.".into())
    );
}

#[test]
fn the_effective_policy_is_an_equivalent_policy_file() {
    let scratch = Scratch::new();
    scratch.write("policy.yaml", "\"jobs:delete\": 'role:x and not \"a\":b\\%(y)s'\n\"mine\": \"@\"\n");
    let shown = policy(&scratch, &["show-effective"]);
    let checks = |done: Done| -> Vec<(Value, Value)> {
        let rules: Value = serde_json::from_str(done.succeeded()).unwrap();
        rules.as_array().unwrap().iter().map(|rule| (rule["name"].clone(), rule["check"].clone())).collect()
    };
    let before = checks(policy(&scratch, &["list", "--json"]));
    scratch.write("policy.yaml", shown.succeeded());
    // The canonical form only adds parentheses around a whole rule.
    let plain = |rules: Vec<(Value, Value)>| -> Vec<String> {
        rules.iter().map(|(name, check)| format!("{name}: {check}").replace(['(', ')'], "")).collect()
    };
    let after = plain(checks(policy(&scratch, &["list", "--json"])));
    assert_eq!(after, plain(before));
    let json: Value =
        serde_json::from_str(policy(&scratch, &["show-effective", "--json"]).succeeded()).unwrap();
    assert_eq!(json["mine"], "@");
}

#[test]
fn the_sample_as_json_has_routes_and_scopes() {
    let scratch = Scratch::new();
    let json: Value = serde_json::from_str(policy(&scratch, &["sample", "--json"]).succeeded()).unwrap();
    let rules = json.as_array().unwrap();
    assert_eq!(rules.len(), 39);
    let update = rules.iter().find(|rule| rule["name"] == "jobs:update").unwrap();
    assert_eq!(update["operations"][0]["path"], "/v2/{project_id}/jobs/{job_id}");
    assert_eq!(update["scope_types"][0], "project");
}

#[test]
fn the_start_and_the_upgrade_check_warn_about_configured_files_that_are_missing() {
    let scratch = Scratch::new();
    let url = format!("sqlite:///{}", scratch.path().join("f.db").display());
    let plain = process::config(process::free_port(), &url);
    for (option, named) in [
        (
            "policy_file = /nope/policy.yaml",
            "policy_file: /nope/policy.yaml does not exist, so the default rules",
        ),
        (
            "policy_dirs = /nope/policy.d",
            "policy_dirs: /nope/policy.d does not exist, so no rules are read from it",
        ),
    ] {
        let config = scratch.write("f.conf", &format!("{plain}\n[oslo_policy]\n{option}\n"));
        let done = process::run(process::STATUS, &config, &["upgrade", "check", "--json"]);
        assert!(done.stdout.contains(named), "{done:#?}");
    }
    let service = crate::reload::start(&scratch, "", "[oslo_policy]\npolicy_file = /nope/policy.yaml\n");
    assert!(service.log().contains("policy_file: /nope/policy.yaml does not exist"), "{}", service.log());
}
