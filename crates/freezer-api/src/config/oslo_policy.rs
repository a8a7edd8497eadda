//! `[oslo_policy]`: where the rules come from.

use std::path::{Path, PathBuf};

use ::oslo_config::{Config, OptDecl, Origin};
use ::oslo_policy::Options;

use super::ConfigError;

const FILE: OptDecl = OptDecl::string("oslo_policy", "policy_file")
    .default("policy.yaml")
    .help("File of rules; relative to the directory of the configuration file, then to /etc/freezer.");
const DIRS: OptDecl = OptDecl::multi("oslo_policy", "policy_dirs")
    .default("policy.d")
    .help("Directories of more such files, each overriding the ones before.");
const DEFAULT_RULE: OptDecl = OptDecl::string("oslo_policy", "policy_default_rule")
    .default("default")
    .help("Rule that decides where a rule is not defined.");
const ENFORCE_SCOPE: OptDecl = OptDecl::boolean("oslo_policy", "enforce_scope")
    .default("true")
    .help("Refuse tokens whose scope is not the rule's.");
const ENFORCE_NEW_DEFAULTS: OptDecl = OptDecl::boolean("oslo_policy", "enforce_new_defaults")
    .default("true")
    .help("Take no account of deprecated defaults.");

pub(super) const OPTIONS: &[&OptDecl] = &[&FILE, &DIRS, &DEFAULT_RULE, &ENFORCE_SCOPE, &ENFORCE_NEW_DEFAULTS];

/// What the section says, for the commands that look at policy.
#[derive(Debug, Clone)]
pub struct PolicySettings {
    /// Where the rules come from, and how they are asked.
    pub options: Options,
    /// Whether the configuration names the policy file: then it ought to be there.
    pub named: bool,
}

/// Whether the policy file was named, rather than left at its default.
pub(super) fn names_a_file(config: &Config) -> bool {
    !matches!(config.origin(&FILE), None | Some(Origin::Default))
}

/// What the section says, for the crate `oslo-policy`.
pub(super) fn read(config: &Config, dirs: &[PathBuf]) -> Result<Options, ConfigError> {
    let defaults = Options::default();
    let find = |name: String| find(Path::new(&name), dirs);
    Ok(Options {
        policy_file: config.string(&FILE)?.map(find),
        policy_dirs: config.multi(&DIRS)?.unwrap_or_default().into_iter().map(find).collect(),
        default_rule: config.string(&DEFAULT_RULE)?.unwrap_or(defaults.default_rule),
        enforce_scope: config.bool(&ENFORCE_SCOPE)?.unwrap_or(true),
        enforce_new_defaults: config.bool(&ENFORCE_NEW_DEFAULTS)?.unwrap_or(true),
        remote: None,
    })
}

/// The first directory that has it; the first of all where none has, so that the file is seen when an operator
/// makes it.
fn find(name: &Path, dirs: &[PathBuf]) -> PathBuf {
    let candidates = || dirs.iter().map(|dir| dir.join(name));
    candidates().find(|path| path.exists()).or_else(|| candidates().next()).unwrap_or_else(|| name.to_owned())
}
