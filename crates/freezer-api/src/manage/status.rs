//! `freezer-manager-status upgrade check`: whether this release can serve the existing installation. This
//! file has the checks of the configuration and of the policy files, and `freezer_store::maintenance` those
//! of the database. `table.rs` prints the results.

use std::io::Write;
use std::path::{Path, PathBuf};

use freezer_store::Store;
use freezer_store::maintenance::{CheckResult, Verdict};
use oslo_config::{Config, Sources};
use oslo_policy::lint::{self, ProblemKind};

use super::prepare;
use super::table::{self, ResultRow};
use crate::config::{self, ConfigError, Settings, declarations};
use crate::policy;

/// The reason why the checks could not run. The exit code is 255.
#[derive(Debug, thiserror::Error)]
pub enum StatusError {
    /// A configuration file cannot be read.
    #[error(transparent)]
    Files(#[from] oslo_config::Error),
    /// The configuration contains no database address.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// An error of the terminal.
    #[error("the output cannot be written: {0}")]
    Output(#[from] std::io::Error),
}

/// Maximum number of examples in the table. `freezer-manage db check` prints more.
const EXAMPLES: usize = 3;

/// Runs all checks and prints the results. Returns the worst result.
///
/// # Errors
/// [`StatusError`], without any output.
pub async fn check(sources: &Sources, as_json: bool, out: &mut impl Write) -> Result<Verdict, StatusError> {
    let config = Config::load(sources)?.declare(&declarations());
    let mut rows = match Settings::read_database(&config) {
        Ok(database) => database_rows(&database.store(false).reading_up_to(database.largest_readable)).await,
        Err(error) => match error.unlocated() {
            // If the storage is not SQL or options are invalid, the check of the options reports it.
            ConfigError::Unusable { .. } => Vec::new(),
            _ => vec![unchecked(&error)],
        },
    };
    let settings = Settings::read(&config, sources);
    rows.push(match &settings {
        Ok(settings) => {
            let refusals = prepare::refusals(settings).await.into_iter();
            let refusals = refusals.map(|refusal| settings.origins.prefixed(refusal.to_string()));
            options_row(&config, &refusals.collect::<Vec<_>>())
        }
        Err(error) => options_row(&config, &[error.to_string()]),
    });
    if let Ok(settings) = settings {
        rows.push(policy_row(&settings, &directories(sources)));
    }
    let verdict = rows.iter().map(|row| row.verdict).max().unwrap_or(Verdict::Success);
    if as_json {
        table::json(&rows, out)?
    } else {
        table::print(&rows, out)?
    }
    Ok(verdict)
}

async fn database_rows(store: &Store) -> Vec<ResultRow> {
    match store.check().await {
        Ok(checks) => checks.into_iter().map(row).collect(),
        Err(error) => vec![unchecked(&error)],
    }
}

fn unchecked(error: &impl ToString) -> ResultRow {
    ResultRow {
        check: "Database tables",
        verdict: Verdict::Failure,
        details: Some(format!("the database cannot be checked: {}", error.to_string())),
    }
}

fn row(check: CheckResult) -> ResultRow {
    let mut details = check.details;
    if !check.examples.is_empty() {
        let some: Vec<&str> = check.examples.iter().take(EXAMPLES).map(String::as_str).collect();
        let more = if check.count > some.len() as u64 { ", …" } else { "" };
        details.push_str(&format!(" ({}{more})", some.join(", ")));
    }
    if let Some(advice) = check.advice {
        details.push_str(&format!("; {advice}"));
    }
    let details = (check.verdict > Verdict::Success).then_some(details);
    ResultRow { check: check.title, verdict: check.verdict, details }
}

/// Checks whether the service would start with the configuration, and for unknown options.
fn options_row(config: &Config, refusals: &[String]) -> ResultRow {
    let check = "Configuration options";
    if !refusals.is_empty() {
        return ResultRow { check, verdict: Verdict::Failure, details: Some(refusals.join("; ")) };
    }
    let unknown: Vec<String> = config::option_findings(config)
        .iter()
        .filter(|finding| matches!(finding.kind, "unknown_option" | "former_option"))
        .filter(|finding| finding.verdict == Verdict::Warning)
        .map(ToString::to_string)
        .collect();
    if unknown.is_empty() {
        return ResultRow { check, verdict: Verdict::Success, details: None };
    }
    let details = format!("unknown options; correct or remove them: {}", unknown.join(", "));
    ResultRow { check, verdict: Verdict::Warning, details: Some(details) }
}

/// Returns the directories that may contain policy.json.
fn directories(sources: &Sources) -> Vec<PathBuf> {
    let beside = sources.files.iter().filter_map(|file| file.parent()).map(Path::to_path_buf);
    let mut directories: Vec<PathBuf> = beside.chain(sources.dirs.iter().cloned()).collect();
    directories.push(PathBuf::from("/etc/freezer"));
    directories
}

/// Checks the format of the policy files.
fn policy_row(settings: &Settings, directories: &[PathBuf]) -> ResultRow {
    let options = &settings.policy;
    const CONVERT: &str = "convert it to policy.yaml with: oslopolicy-convert-json-to-yaml";
    let check = "Policy files";
    let mut verdict = Verdict::Success;
    let mut details = Vec::new();
    let mut add = |worse: Verdict, text: String| {
        verdict = verdict.max(worse);
        details.push(text);
    };
    if let Some(path) = options.policy_file.as_deref().filter(|path| is_json(path)) {
        add(Verdict::Warning, format!("{} is JSON, which is deprecated; {CONVERT}", path.display()));
    }
    for missing in settings.remarks.iter().filter(|finding| finding.kind == config::MISSING_POLICY) {
        add(Verdict::Warning, missing.to_string());
    }
    let mut unread: Vec<PathBuf> =
        directories.iter().map(|directory| directory.join("policy.json")).collect();
    unread.retain(|path| path.exists() && options.policy_file.as_ref() != Some(path));
    unread.dedup();
    for path in unread {
        add(Verdict::Warning, format!("{} exists but is not read; {CONVERT}", path.display()));
    }
    for problem in lint::check(&policy::all(), options).iter().filter(|problem| problem.kind.is_error()) {
        let unreadable = problem.kind == ProblemKind::Unloadable;
        add(if unreadable { Verdict::Failure } else { Verdict::Warning }, problem.to_string());
    }
    let details = (!details.is_empty()).then(|| details.join("; "));
    ResultRow { check, verdict, details }
}

fn is_json(path: &Path) -> bool {
    let text = bounded_files::read(path).unwrap_or_default();
    serde_json::from_slice::<serde_json::Value>(&text).is_ok_and(|value| value.is_object())
}
