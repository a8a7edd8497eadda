//! The committed sample files must be the output of the commands.

use std::path::Path;

use freezer_api::config;
use freezer_api::manage::config::print_reference;
use freezer_api::manage::policy::print_sample;

#[track_caller]
fn is_current(file: &str, printed: &str, command: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(file);
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(committed == printed, "{file} is stale; write it with: {command} > {file}");
}

#[test]
fn the_sample_of_the_configuration_is_current() {
    let command = "cargo run -p freezer-api --bin freezer-manage -- config sample";
    is_current("etc/freezer/freezer-api.conf.sample", &config::sample(), command);
}

#[test]
fn the_reference_of_the_options_is_current() {
    let mut printed = Vec::new();
    print_reference(&mut printed).unwrap();
    let command = "cargo run -p freezer-api --bin freezer-manage -- config reference";
    is_current("docs/configuration.md", &String::from_utf8(printed).unwrap(), command);
}

#[test]
fn the_sample_of_the_policy_is_current() {
    let mut printed = Vec::new();
    print_sample(false, &mut printed).unwrap();
    let command = "cargo run -p freezer-api --bin freezer-manage -- policy sample";
    is_current("etc/freezer/policy.yaml.sample", &String::from_utf8(printed).unwrap(), command);
}

#[test]
fn every_option_has_a_help_text() {
    for option in config::declarations() {
        let name = format!("[{}] {}", option.group, option.key());
        assert!(option.help.ends_with('.'), "{name} has no help");
        assert!(!option.secret || option.default.is_none(), "{name} is secret and has a default");
    }
}
