//! `freezer-manage db check`: prints the results of the database's checks as text or JSON.
//!
//! `freezer_store::maintenance` has the checks. Those of files and options are in `status.rs`.

use std::io::Write;

use freezer_store::Store;
use freezer_store::maintenance::{CheckResult, Verdict};
use serde_json::json;

use super::db::DbError;

/// Checks the database and prints the findings. Returns the worst result.
///
/// # Errors
/// If the checks could not run.
pub async fn check(store: &Store, as_json: bool, out: &mut impl Write) -> Result<Verdict, DbError> {
    let checks = store.check().await?;
    let verdict = checks.iter().map(|check| check.verdict).max().unwrap_or(Verdict::Success);
    if as_json {
        let database = store.database().to_string();
        writeln!(out, "{:#}", json!({"database": database, "verdict": verdict, "checks": checks}))?;
    } else {
        writeln!(out, "database: {}", store.database())?;
        for check in &checks {
            print(check, out)?;
        }
    }
    Ok(verdict)
}

/// Prints that the database cannot be checked, because the configuration of its address is not valid.
pub fn print_invalid_address(
    error: &impl ToString,
    as_json: bool,
    out: &mut impl Write,
) -> Result<Verdict, DbError> {
    let check = CheckResult {
        name: "layout",
        title: "Database tables",
        verdict: Verdict::Failure,
        details: format!("the database cannot be checked: {}", error.to_string()),
        count: 0,
        examples: Vec::new(),
        advice: Some("correct [database] connection; see also: freezer-manage config check"),
    };
    if as_json {
        let document = json!({"database": null, "verdict": Verdict::Failure, "checks": [check]});
        writeln!(out, "{document:#}")?;
    } else {
        print(&check, out)?;
    }
    Ok(Verdict::Failure)
}

fn print(check: &CheckResult, out: &mut impl Write) -> std::io::Result<()> {
    let CheckResult { name, verdict, details, count, examples, advice, .. } = check;
    writeln!(out, "{:<8} {name:<18} {details}", format!("{verdict:?}").to_lowercase())?;
    let more = usize::try_from(*count).unwrap_or(usize::MAX).saturating_sub(examples.len());
    for example in examples {
        writeln!(out, "           - {example}")?;
    }
    if more > 0 && !examples.is_empty() {
        writeln!(out, "           - and {more} more")?;
    }
    if let Some(advice) = advice {
        writeln!(out, "           {advice}")?;
    }
    Ok(())
}
