//! `[oslo_policy]`: the policy files, and how rules are evaluated.

use std::path::{Path, PathBuf};
use std::time::Duration;

use ::oslo_config::{Config, OptDecl, Origin};
use ::oslo_policy::{ContentType, HttpCheckSettings, Options};
use freezer_store::maintenance::Verdict;

use super::{ConfigError, Finding};

const FILE: OptDecl = OptDecl::path("oslo_policy", "policy_file").default("policy.yaml").help(
    "File of policy rules. A relative path is resolved against the directory of the configuration file, then \
           against /etc/freezer.",
);
const DIRS: OptDecl = OptDecl::multi("oslo_policy", "policy_dirs")
    .default("policy.d")
    .names_a_path()
    .help("Directories of further policy files. Each overrides the previous ones.");
const DEFAULT_RULE: OptDecl = OptDecl::string("oslo_policy", "policy_default_rule")
    .default("default")
    .help("Rule that is used if a rule is not defined.");
const ENFORCE_SCOPE: OptDecl = OptDecl::boolean("oslo_policy", "enforce_scope")
    .unset_if_empty()
    .default("true")
    .help("Reject tokens whose scope does not match the rule.");
const ENFORCE_NEW_DEFAULTS: OptDecl = OptDecl::boolean("oslo_policy", "enforce_new_defaults")
    .unset_if_empty()
    .default("true")
    .help("Ignore deprecated defaults.");

const FORM: &str = "application/x-www-form-urlencoded";
const REMOTE_CONTENT_TYPE: OptDecl = OptDecl::string("oslo_policy", "remote_content_type")
    .default(FORM)
    .choices(&[FORM, "application/json"])
    .help("Content type of requests to the servers that http: and https: checks name.");
const REMOTE_VERIFY: OptDecl = OptDecl::boolean("oslo_policy", "remote_ssl_verify_server_crt")
    .unset_if_empty()
    .default("false")
    .help("Verify the certificates of servers that https: checks name.");
const REMOTE_CA: OptDecl = OptDecl::path("oslo_policy", "remote_ssl_ca_crt_file")
    .help("PEM file of the certificate authorities that verify these servers. Default: the authorities of the system.");
const REMOTE_CERTIFICATE: OptDecl = OptDecl::path("oslo_policy", "remote_ssl_client_crt_file")
    .help("PEM file of the client certificate for https: checks.");
const REMOTE_KEY: OptDecl = OptDecl::path("oslo_policy", "remote_ssl_client_key_file")
    .help("PEM file of the key of the client certificate.");
const REMOTE_TIMEOUT: OptDecl = OptDecl::float("oslo_policy", "remote_timeout")
    .unset_if_empty()
    .default("60")
    .min(0)
    .help("Seconds in which such a server must answer, at most until the deadline of the request ([api] request_timeout). Otherwise \
           the request fails with 500.");

pub(super) const OPTIONS: &[&OptDecl] = &[
    &FILE,
    &DIRS,
    &DEFAULT_RULE,
    &ENFORCE_SCOPE,
    &ENFORCE_NEW_DEFAULTS,
    &REMOTE_CONTENT_TYPE,
    &REMOTE_VERIFY,
    &REMOTE_CA,
    &REMOTE_CERTIFICATE,
    &REMOTE_KEY,
    &REMOTE_TIMEOUT,
];

/// The settings of the section, for the commands that inspect the policy.
#[derive(Debug, Clone)]
pub struct PolicySettings {
    /// The policy files and switches.
    pub options: Options,
    /// Whether the configuration sets the policy file. The file should then exist.
    pub named: bool,
}

/// Returns whether the configuration sets the policy file.
pub(super) fn names_a_file(config: &Config) -> bool {
    !matches!(config.origin(&FILE), None | Some(Origin::Default))
}

/// The identifier of findings about configured policy files that do not exist.
pub const MISSING: &str = "missing_policy";

/// Returns the findings about a configured policy file and directories that do not exist.
pub(super) fn missing(config: &Config, options: &Options) -> Vec<Finding> {
    // The default file may be missing, even if the configuration repeats its name.
    let is_set = |option: &OptDecl, text: Option<&str>| {
        !matches!(config.origin(option), None | Some(Origin::Default)) && text != option.default
    };
    let file = config.string(&FILE).ok().flatten();
    let dirs = config.multi(&DIRS).ok().flatten().unwrap_or_default();
    let mut found = Vec::new();
    // A path at which nothing can be is an error.
    let is_missing = |path: &Path| !path.exists() && bounded_files::impossible(path).is_none();
    if let Some(path) =
        options.policy_file.as_ref().filter(|path| is_set(&FILE, file.as_deref()) && is_missing(path))
    {
        found.push(format!("policy_file: {} does not exist, so the default rules apply", path.display()));
    }
    let named = options.policy_dirs.iter().zip(&dirs).filter(|(_, text)| is_set(&DIRS, Some(text.as_str())));
    for (path, _) in named.filter(|(path, _)| is_missing(path)) {
        found.push(format!("policy_dirs: {} does not exist, so no rules are read from it", path.display()));
    }
    let finding = |message| Finding {
        verdict: Verdict::Warning,
        kind: MISSING,
        place: None,
        message: format!("[oslo_policy] {message}"),
    };
    found.into_iter().map(finding).collect()
}

/// Returns a warning about a key without a certificate.
pub(super) fn remark(config: &Config) -> Option<String> {
    let set = |option: &OptDecl| config.string(option).ok().flatten().filter(|path| !path.is_empty());
    let key = set(&REMOTE_KEY).filter(|_| set(&REMOTE_CERTIFICATE).is_none())?;
    Some(format!(
        "[oslo_policy] remote_ssl_client_key_file = {key}: it has no effect without remote_ssl_client_crt_file; set that \
         option to the certificate of this key, or remove this one"
    ))
}

/// Reads the settings for the crate `oslo-policy`.
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

/// Reads how the servers that rules name are called.
pub(super) fn remote(config: &Config) -> Result<HttpCheckSettings, ConfigError> {
    let defaults = HttpCheckSettings::default();
    let path = |option: &OptDecl| config.string(option).map(|text| text.map(PathBuf::from));
    let form = config.string(&REMOTE_CONTENT_TYPE)?.is_none_or(|name| name == FORM);
    let timeout =
        config.float(&REMOTE_TIMEOUT)?.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    Ok(HttpCheckSettings {
        content_type: if form { ContentType::Form } else { ContentType::Json },
        verify_server: config.bool(&REMOTE_VERIFY)?.unwrap_or(defaults.verify_server),
        ca_file: path(&REMOTE_CA)?,
        client_certificate: path(&REMOTE_CERTIFICATE)?,
        client_key: path(&REMOTE_KEY)?,
        timeout: timeout.unwrap_or(defaults.timeout),
    })
}

/// Returns the path in the first directory that contains the file. If no directory contains it, returns the path in the
/// first one, so that the file is found when an operator creates it.
fn find(name: &Path, dirs: &[PathBuf]) -> PathBuf {
    let candidates = || dirs.iter().map(|dir| dir.join(name));
    candidates().find(|path| path.exists()).or_else(|| candidates().next()).unwrap_or_else(|| name.to_owned())
}
