//! Results: JSON lines in files, the table of all figures (`table.rs`), the table of goals (`summary.rs`), and charts
//! (`chart.rs`).

pub mod chart;
pub mod summary;
mod table;

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use crate::record::BenchRecord;
pub use table::table;

/// Why results cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// The file cannot be read or written.
    #[error("{path}: {source}", path = path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The error of the operating system.
        source: std::io::Error,
    },
    /// A line is not a result.
    #[error("{path}, line {line}: not a result of `freezer-bench run --json`: {source}", path = path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// The line, counted from 1.
        line: usize,
        /// The error of the parser.
        source: serde_json::Error,
    },
}

/// Appends a result to a file.
pub fn append(path: &Path, record: &BenchRecord) -> Result<(), ReportError> {
    let failed = |source| ReportError::File { path: path.to_owned(), source };
    let line = serde_json::to_string(record).map_err(|error| failed(error.into()))?;
    let mut file = OpenOptions::new().create(true).append(true).open(path).map_err(failed)?;
    writeln!(file, "{line}").map_err(failed)
}

/// Reads the results of files.
pub fn read(paths: &[PathBuf]) -> Result<Vec<BenchRecord>, ReportError> {
    let mut records = Vec::new();
    for path in paths {
        let text =
            fs::read_to_string(path).map_err(|source| ReportError::File { path: path.clone(), source })?;
        for (number, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
            let read = serde_json::from_str(line);
            let failed = |source| ReportError::Line { path: path.clone(), line: number + 1, source };
            records.push(read.map_err(failed)?);
        }
    }
    Ok(records)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::table::tests::record;
    use super::*;

    #[test]
    fn results_are_the_same_after_writing_and_reading() {
        let path = std::env::temp_dir().join(format!("freezer-bench-report-{}.json", std::process::id()));
        let records = [record("rust", 1.0 / 3.0, 1.0), record("python", 2.0, 2.0)];
        for record in &records {
            append(&path, record).unwrap();
        }
        let found = read(std::slice::from_ref(&path));
        fs::write(&path, "{}\n").unwrap();
        let wrong = read(std::slice::from_ref(&path)).unwrap_err().to_string();
        fs::remove_file(&path).unwrap();
        assert_eq!(found.unwrap(), records);
        assert!(wrong.contains("line 1"), "{wrong}");
    }
}
