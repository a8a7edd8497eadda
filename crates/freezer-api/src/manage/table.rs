//! Prints results of upgrade checks like oslo.upgradecheck: as a table or as JSON.

use std::io::Write;

use freezer_store::maintenance::Verdict;
use serde_json::json;

/// The result of a check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResultRow {
    /// The name of the check.
    pub check: &'static str,
    /// The result.
    pub verdict: Verdict,
    /// Findings and advice. `None`: there are none.
    pub details: Option<String>,
}

const TITLE: &str = "Upgrade Check Results";
/// Width of a line of details in characters.
const WIDTH: usize = 60;

/// Prints the table.
pub fn print(rows: &[ResultRow], out: &mut impl Write) -> std::io::Result<()> {
    let cells: Vec<Vec<String>> = std::iter::once(vec![TITLE.to_owned()])
        .chain(rows.iter().map(|ResultRow { check, verdict, details }| {
            let mut lines = vec![format!("Check: {check}"), format!("Result: {verdict:?}")];
            let details = details.as_deref().map_or_else(|| vec!["None".to_owned()], wrapped);
            lines.push(format!("Details: {}", details.first().map_or("", String::as_str)));
            lines.extend(details.into_iter().skip(1));
            lines
        }))
        .collect();
    let width = cells.iter().flatten().map(|line| line.chars().count()).max().unwrap_or(0);
    let rule = format!("+{}+", "-".repeat(width + 2));
    writeln!(out, "{rule}")?;
    for cell in cells {
        for line in cell {
            writeln!(out, "| {line}{} |", " ".repeat(width - line.chars().count()))?;
        }
        writeln!(out, "{rule}")?;
    }
    Ok(())
}

/// Prints the results as JSON.
pub fn json(rows: &[ResultRow], out: &mut impl Write) -> std::io::Result<()> {
    let checks: Vec<_> = rows
        .iter()
        .map(|row| json!({"check": row.check, "result": row.verdict as u8, "details": row.details}))
        .collect();
    writeln!(out, "{}", json!({"name": TITLE, "checks": checks}))
}

/// Wraps lines at [`WIDTH`] characters and indents all but the first. Long words and commands are not broken,
/// so that paths and commands can be copied.
fn wrapped(text: &str) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    let mut words = text.split_whitespace();
    while let Some(word) = words.next() {
        let word = match word {
            "freezer-manage" => {
                [Some(word), words.next(), words.next()].into_iter().flatten().collect::<Vec<_>>().join(" ")
            }
            word => word.to_owned(),
        };
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= WIDTH => {
                line.push(' ');
                line.push_str(&word);
            }
            Some(_) => lines.push(format!("  {word}")),
            None => lines.push(word),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::{ResultRow, print, wrapped};
    use freezer_store::maintenance::Verdict;

    /// The output of oslo.upgradecheck 2.8 for these results.
    const TABLE: &str = "\
+---------------------------------------------------------------------+
| Upgrade Check Results                                               |
+---------------------------------------------------------------------+
| Check: Tables                                                       |
| Result: Success                                                     |
| Details: None                                                       |
+---------------------------------------------------------------------+
| Check: Placement                                                    |
| Result: Warning                                                     |
| Details: There is no placement-api endpoint in the service catalog, |
|   and that is something that an operator has to look at,            |
|   with the command freezer-manage db sync.                          |
+---------------------------------------------------------------------+
";

    #[test]
    fn the_table_equals_that_of_oslo_upgradecheck() {
        let details = "There is no placement-api endpoint in the service catalog, and that is something that an \
                       operator has to look at, with the command freezer-manage db sync.";
        let rows = [
            ResultRow { check: "Tables", verdict: Verdict::Success, details: None },
            ResultRow { check: "Placement", verdict: Verdict::Warning, details: Some(details.to_owned()) },
        ];
        let mut out = Vec::new();
        print(&rows, &mut out).unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), TABLE);
    }

    #[test]
    fn commands_and_paths_are_not_broken() {
        let path = "/a".repeat(40);
        let text =
            format!("{path} the tables are older than this release; upgrade with: freezer-manage db sync");
        let lines = wrapped(&text);
        assert_eq!(lines[0], path);
        assert_eq!(lines.last().unwrap(), "  freezer-manage db sync");
    }
}
