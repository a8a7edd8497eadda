//! `freezer-manager-status upgrade check`: whether this release can serve what is there.

use std::io::Write;

use freezer_store::{Store, StoreError};

/// Result of a check, as oslo.upgradecheck numbers them: the exit code of the command is the worst of all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// Nothing to do.
    Success = 0,
    /// Works, but look at it.
    Warning = 1,
    /// Does not work until it is mended.
    Failure = 2,
}

/// Checks the database and prints a table; returns the worst verdict.
///
/// # Errors
/// Where the output cannot be written.
pub async fn check(store: &Store, out: &mut impl Write) -> std::io::Result<Verdict> {
    let (verdict, details) = match store.check_schema().await {
        Ok(()) => (Verdict::Success, "the tables are at the revision that this release serves".to_owned()),
        Err(error @ StoreError::Schema(_)) => (Verdict::Failure, error.to_string()),
        Err(error) => (Verdict::Failure, format!("the database cannot be checked: {error}")),
    };
    let rule = "+---------------------------+";
    writeln!(out, "{rule}")?;
    writeln!(out, "| Upgrade Check Results     |")?;
    writeln!(out, "{rule}")?;
    writeln!(out, "| Check: Database tables    |")?;
    writeln!(out, "| Result: {:<17} |", format!("{verdict:?}"))?;
    writeln!(out, "{rule}")?;
    writeln!(out, "Details: {details}")?;
    Ok(verdict)
}
