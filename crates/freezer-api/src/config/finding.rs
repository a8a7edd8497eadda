//! [`Finding`]: a problem of the configuration. `findings.rs` looks for them.

use std::fmt;

use ::oslo_config::UnknownOption;
use freezer_store::maintenance::Verdict;

/// A problem of the configuration, or a note about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Failure: the service does not start. Warning: probably a mistake. Success: a note.
    pub verdict: Verdict,
    /// A stable identifier for programs. It must never be renamed.
    pub kind: &'static str,
    /// The option with its file and line. `None` if the finding is not about an option in a file.
    pub place: Option<UnknownOption>,
    /// A description of the problem with its solution.
    pub message: String,
}

impl Finding {
    /// Returns a warning about a setting that has no effect.
    pub fn without_effect(message: String) -> Finding {
        Finding { verdict: Verdict::Warning, kind: "without_effect", place: None, message }
    }
}

/// `file:line: [group] option: message`
impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(UnknownOption { group, name, file, line }) = &self.place {
            // A message that begins with a space continues the name of the option: ` = value: …`.
            let colon = if self.message.starts_with(' ') { "" } else { ": " };
            write!(f, "{file}:{line}: [{group}] {name}{colon}")?;
        }
        f.write_str(&self.message)
    }
}
