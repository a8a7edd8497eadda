//! [`Enforcer`]: decides by the rules in force, and swaps them when files change.

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
use crate::rules::{EffectiveRule, PolicyFile, RuleSet, Settings};

/// How an [`Enforcer`] finds its rules and what it holds requests to. The defaults are those of
/// the `[oslo_policy]` options, without any file.
#[derive(Clone)]
pub struct Options {
    /// The policy file; when it does not exist, the service's defaults count alone.
    pub policy_file: Option<PathBuf>,
    /// Directories whose files override the policy file: each in the order of its file names,
    /// without subdirectories and names that start with a dot. They need not exist.
    pub policy_dirs: Vec<PathBuf>,
    /// The rule that decides where a rule does not exist; may itself not exist.
    pub default_rule: String,
    /// Whether a token of another scope than the rule's `scope_types` is refused. Otherwise the
    /// mismatch is only logged.
    pub enforce_scope: bool,
    /// Whether only the new default counts of a rule whose default has changed. Otherwise the
    /// former default allows as well.
    pub enforce_new_defaults: bool,
    /// Who answers `http:` and `https:` checks; without it, they cannot be decided.
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
    pub(crate) fn settings(&self) -> Settings<'_> {
        Settings { default_rule: &self.default_rule, enforce_new_defaults: self.enforce_new_defaults }
    }
}

/// Decides what callers may do. Cloning shares the rules; deciding never waits for a reload.
#[derive(Clone)]
pub struct Enforcer {
    shared: Arc<Shared>,
}

struct Shared {
    defaults: Cow<'static, [RuleDefault]>,
    /// The scope types of each rule that the service declares.
    scopes: HashMap<&'static str, &'static [&'static str]>,
    options: Options,
    rules: ArcSwap<RuleSet>,
    reload: Mutex<Reload>,
}

#[derive(Default)]
struct Reload {
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
    /// A rule of a file that cannot be understood denies, and is logged, as in oslo.policy.
    ///
    /// # Errors
    ///
    /// [`Error`] when the service declares a rule or a scope type twice, and when a file exists
    /// and cannot be read, or is not a YAML mapping of rules.
    pub fn new(
        defaults: impl Into<Cow<'static, [RuleDefault]>>,
        options: Options,
    ) -> Result<Enforcer, Error> {
        let defaults = defaults.into();
        let scopes = scopes(&defaults)?;
        let mut loader = Loader::default();
        let files = match loader.look(options.policy_file.as_deref(), &options.policy_dirs)? {
            Some(files) => files,
            None => loader.parse()?,
        };
        let rules = build(&defaults, &files, &options);
        let reload = Mutex::new(Reload { loader, error: None });
        let rules = ArcSwap::from_pointee(rules);
        Ok(Enforcer { shared: Arc::new(Shared { defaults, scopes, options, rules, reload }) })
    }

    /// Decides whether the caller may act on the target: `Ok` allows.
    ///
    /// # Errors
    ///
    /// [`EnforceError::Denied`] when the rules say no, [`EnforceError::Broken`] when they cannot
    /// be evaluated (a malformed check, credentials of an unforeseen shape, an `http:` check
    /// without an answer). Neither may be taken for an allow.
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

    /// Whether deciding a rule may come to an `http:` check, and so block.
    #[must_use]
    pub fn needs_remote(&self, rule: &str) -> bool {
        self.shared.rules.load().needs_remote(rule)
    }

    /// Whether a rule in force has an `https:` check.
    #[must_use]
    pub fn has_https_check(&self) -> bool {
        self.shared.rules.load().has_https_check()
    }

    /// Looks at the policy files and puts their rules in force when a file was changed, added or
    /// removed; says whether it did. Cheap while nothing changes.
    ///
    /// # Errors
    ///
    /// [`Error`] when the files can no longer be loaded; the rules stay as they were, and the
    /// error is logged. It comes once for each change of the files; afterwards
    /// [`reload_error`](Self::reload_error) remembers it until they can be loaded again.
    pub fn reload_if_changed(&self) -> Result<bool, Error> {
        let Shared { defaults, options, rules, reload, .. } = &*self.shared;
        // What a panic elsewhere left behind is at worst an outdated look at the files.
        let mut reload = reload.lock().unwrap_or_else(PoisonError::into_inner);
        match reload.loader.look(options.policy_file.as_deref(), &options.policy_dirs) {
            Ok(None) => {
                if !reload.loader.is_broken() {
                    reload.error = None;
                }
                Ok(false)
            }
            Ok(Some(files)) => {
                rules.store(Arc::new(build(defaults, &files, options)));
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

    /// Why the policy files, as they are now, could not be loaded.
    #[must_use]
    pub fn reload_error(&self) -> Option<String> {
        self.shared.reload.lock().unwrap_or_else(PoisonError::into_inner).error.clone()
    }

    /// The names of all rules in force, sorted.
    #[must_use]
    pub fn rule_names(&self) -> Vec<String> {
        self.shared.rules.load().names()
    }

    /// All rules in force, sorted by name: what they check and where that came from.
    #[must_use]
    pub fn effective(&self) -> Vec<EffectiveRule> {
        self.shared.rules.load().effective()
    }

    /// The service's own rules.
    #[must_use]
    pub fn defaults(&self) -> &[RuleDefault] {
        &self.shared.defaults
    }

    /// Only a rule that the service declares has scope types, whatever its check came from.
    fn scope_mismatch(&self, rule: &str, creds: &Credentials<'_>) -> Option<Denial> {
        let wanted = *self.shared.scopes.get(rule)?;
        let token = creds.scope().as_str();
        let matches = wanted.is_empty() || wanted.contains(&token);
        (!matches).then_some(Denial::Scope { wanted, token })
    }
}

fn build(defaults: &[RuleDefault], files: &[PolicyFile], options: &Options) -> RuleSet {
    let rules = RuleSet::build(defaults, files, options.settings());
    rules.log_mistakes();
    rules
}

/// The scope types by rule; refuses what is declared twice.
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
