//! [`Enforcer`]: decides with the rules in force, and replaces them when policy files change.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;

use crate::attributes::{Credentials, Target};
use crate::check::Evaluation;
use crate::defaults::RuleDefault;
use crate::error::{Denial, EnforceError, Error};
use crate::loader::Loader;
use crate::remote::RemoteCheck;
use crate::rules::{EffectiveRule, PolicyFile, RuleSet, RuleSettings};

/// The options of an [`Enforcer`]. The defaults are those of the `[oslo_policy]` options, without any file.
#[derive(Clone)]
pub struct Options {
    /// The policy file. If it does not exist, only the service's defaults apply.
    pub policy_file: Option<PathBuf>,
    /// Directories whose files override the policy file, in the order of the file names. Subdirectories and names that start
    /// with a dot are skipped. The directories do not have to exist.
    pub policy_dirs: Vec<PathBuf>,
    /// The rule that replaces rules that do not exist. It does not have to exist itself.
    pub default_rule: String,
    /// Whether a token is refused if its scope is not one of the rule's `scope_types`. Otherwise the mismatch is only
    /// logged.
    pub enforce_scope: bool,
    /// Whether only the current default of a rule applies if the default has changed. Otherwise the former default allows as
    /// well.
    pub enforce_new_defaults: bool,
    /// Answers `http:` and `https:` checks. Without it, they cannot be decided.
    pub remote: Option<Arc<dyn RemoteCheck>>,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            policy_file: None,
            policy_dirs: Vec::new(),
            default_rule: "default".to_owned(),
            enforce_scope: true,
            enforce_new_defaults: true,
            remote: None,
        }
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("policy_file", &self.policy_file)
            .field("policy_dirs", &self.policy_dirs)
            .field("default_rule", &self.default_rule)
            .field("enforce_scope", &self.enforce_scope)
            .field("enforce_new_defaults", &self.enforce_new_defaults)
            .field("remote", &self.remote.is_some())
            .finish()
    }
}

impl Options {
    pub(crate) fn settings(&self) -> RuleSettings<'_> {
        RuleSettings { default_rule: &self.default_rule, enforce_new_defaults: self.enforce_new_defaults }
    }
}

/// Decides which operations a caller may perform. Clones share the rules. A decision never waits for a reload.
#[derive(Clone)]
pub struct Enforcer {
    shared: Arc<EnforcerState>,
}

struct EnforcerState {
    defaults: Cow<'static, [RuleDefault]>,
    /// The scope types of each rule that the service declares.
    scopes: HashMap<&'static str, &'static [&'static str]>,
    options: Options,
    rules: ArcSwap<RuleSet>,
    reload: Mutex<ReloadState>,
}

#[derive(Default)]
struct ReloadState {
    loader: Loader,
    error: Option<String>,
}

impl fmt::Debug for Enforcer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Enforcer").field("options", &self.shared.options).finish_non_exhaustive()
    }
}

impl Enforcer {
    /// Loads the rules: the service's defaults, overridden by the files that `options` names.
    ///
    /// As in oslo.policy, a rule whose text does not form a rule denies and is logged.
    ///
    /// # Errors
    ///
    /// [`Error`] if the service declares a rule or a scope type twice, if a file cannot be read or is not a YAML mapping of
    /// rules, and if a check cannot be understood.
    pub fn new(
        defaults: impl Into<Cow<'static, [RuleDefault]>>,
        options: Options,
    ) -> Result<Enforcer, Error> {
        let defaults = defaults.into();
        let scopes = scopes(&defaults)?;
        let mut loader = Loader::default();
        let files = match loader.read_changed(options.policy_file.as_deref(), &options.policy_dirs)? {
            Some(files) => files,
            None => loader.parse()?,
        };
        let rules = build(&defaults, &files, &options)?;
        let reload = Mutex::new(ReloadState { loader, error: None });
        let rules = ArcSwap::from_pointee(rules);
        Ok(Enforcer { shared: Arc::new(EnforcerState { defaults, scopes, options, rules, reload }) })
    }

    /// Decides whether the caller may act on the target. `Ok` allows.
    ///
    /// # Errors
    ///
    /// [`EnforceError::Denied`] if the rule denies, [`EnforceError::Broken`] if it cannot be evaluated (a cycle of
    /// references, credentials of an unexpected type, an `http:` check without an answer). Both must prevent the
    /// operation.
    pub fn enforce(
        &self,
        rule: &str,
        target: &Target<'_>,
        creds: &Credentials<'_>,
    ) -> Result<(), EnforceError> {
        let denied = |reason| {
            tracing::debug!(rule, %reason, "policy denies");
            Err(EnforceError::Denied { rule: rule.to_owned(), reason })
        };
        let rules = self.shared.rules.load();
        let Some(check) = rules.resolve(rule) else { return denied(Denial::UnknownRule) };
        if let Some(reason) = self.scope_mismatch(rule, creds) {
            if self.shared.options.enforce_scope {
                return denied(reason);
            }
            tracing::warn!(rule, "policy would deny if enforce_scope were set: {reason}");
        }
        let evaluation =
            Evaluation { rules: &rules, target, creds, remote: self.shared.options.remote.as_deref(), rule };
        match evaluation.decide(check, 0) {
            Ok(true) => Ok(()),
            Ok(false) => denied(Denial::Check),
            Err(failure) => {
                let reason = failure.to_string();
                tracing::error!(rule, "policy cannot be decided: {reason}");
                Err(EnforceError::Broken { rule: rule.to_owned(), reason })
            }
        }
    }

    /// Returns whether evaluating a rule can reach an `http:` or `https:` check, and thus block.
    #[must_use]
    pub fn needs_remote(&self, rule: &str) -> bool {
        self.shared.rules.load().needs_remote(rule)
    }

    /// Returns whether any rule in force has an `https:` check.
    #[must_use]
    pub fn has_https_check(&self) -> bool {
        self.shared.rules.load().has_https_check()
    }

    /// Puts the rules of the policy files in force if a file was changed, added or removed, and returns whether it did. This
    /// is cheap if nothing has changed.
    ///
    /// # Errors
    ///
    /// [`Error`] if the files cannot be loaded any more. The rules stay as they were, and the error is logged. It is
    /// returned once for each change of the files. [`reload_error`](Self::reload_error) returns it until the files can be
    /// loaded again.
    pub fn reload_if_changed(&self) -> Result<bool, Error> {
        let EnforcerState { defaults, options, rules, reload, .. } = &*self.shared;
        // After a panic of another thread, this holds at worst an outdated state of the files.
        let mut reload = reload.lock().unwrap_or_else(PoisonError::into_inner);
        match reload.loader.read_changed(options.policy_file.as_deref(), &options.policy_dirs) {
            Ok(None) => {
                if !reload.loader.is_broken() {
                    reload.error = None;
                }
                Ok(false)
            }
            Ok(Some(files)) => {
                rules.store(Arc::new(build(defaults, &files, options)?));
                reload.error = None;
                tracing::info!(files = files.len(), "policy reloaded");
                Ok(true)
            }
            Err(error) => {
                let text = error.to_string();
                if reload.error.as_ref() != Some(&text) {
                    tracing::error!("policy not reloaded, the former rules stay in force: {text}");
                }
                reload.error = Some(text);
                Err(error)
            }
        }
    }

    /// Returns why the policy files, as they are now, could not be loaded.
    #[must_use]
    pub fn reload_error(&self) -> Option<String> {
        self.shared.reload.lock().unwrap_or_else(PoisonError::into_inner).error.clone()
    }

    /// Returns the names of all rules in force, sorted.
    #[must_use]
    pub fn rule_names(&self) -> Vec<String> {
        self.shared.rules.load().names()
    }

    /// Returns all rules in force, sorted by name, with their checks and sources.
    #[must_use]
    pub fn effective(&self) -> Vec<EffectiveRule> {
        self.shared.rules.load().effective()
    }

    /// Returns the rules that the service declares.
    #[must_use]
    pub fn defaults(&self) -> &[RuleDefault] {
        &self.shared.defaults
    }

    /// Returns the denial if the scope of the token does not match. Only rules that the service declares have scope types.
    fn scope_mismatch(&self, rule: &str, creds: &Credentials<'_>) -> Option<Denial> {
        let wanted = *self.shared.scopes.get(rule)?;
        let token = creds.scope().as_str();
        let matches = wanted.is_empty() || wanted.contains(&token);
        (!matches).then_some(Denial::Scope { wanted, token })
    }
}

fn build(defaults: &[RuleDefault], files: &[PolicyFile], options: &Options) -> Result<RuleSet, Error> {
    let rules = RuleSet::build(defaults, files, options.settings())?;
    rules.log_mistakes();
    Ok(rules)
}

/// Returns the scope types of each rule. A rule or a scope type that is declared twice is an error.
fn scopes(defaults: &[RuleDefault]) -> Result<HashMap<&'static str, &'static [&'static str]>, Error> {
    let mut scopes = HashMap::with_capacity(defaults.len());
    for default in defaults {
        if scopes.insert(default.name, default.scope_types).is_some() {
            return Err(Error::DuplicateDefault { name: default.name });
        }
        let mut seen = HashSet::new();
        if let Some(&scope) = default.scope_types.iter().find(|scope| !seen.insert(**scope)) {
            return Err(Error::DuplicateScope { name: default.name, scope });
        }
    }
    Ok(scopes)
}
