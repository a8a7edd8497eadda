//! The grammar of a configuration file: sections, assignments, continuation lines and comments, as in
//! oslo.config's `iniparser`. Reading files is in `sources.rs`.

use std::collections::BTreeMap;

use crate::{
    decl::normalize_group,
    error::{Error, SyntaxProblem},
    text::{shown_line, strip, strip_end, strip_start},
};

/// An assignment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct IniEntry {
    /// The value. Continuation lines are joined by line feeds.
    pub value: String,
    /// The line of the key, counted from 1.
    pub line: usize,
}

/// A parsed file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct IniFile {
    /// The path, or the name of a text.
    pub name: String,
    /// Normalized group name → key → assignments in the file's order.
    pub groups: BTreeMap<String, BTreeMap<String, Vec<IniEntry>>>,
}

/// The last assignment. The next line may continue this assignment.
struct PendingEntry {
    key: String,
    value: String,
    line: usize,
}

struct Parser<'a> {
    file: IniFile,
    section: Option<String>,
    pending: Option<PendingEntry>,
    name: &'a str,
}

impl Parser<'_> {
    fn error(&self, line: usize, problem: SyntaxProblem, text: &str) -> Error {
        Error::Parse { file: self.name.to_owned(), line, problem, text: shown_line(text) }
    }

    fn flush(&mut self) -> Result<(), Error> {
        let Some(PendingEntry { key, value, line }) = self.pending.take() else { return Ok(()) };
        let Some(section) = &self.section else {
            return Err(self.error(line, SyntaxProblem::NoSection, &key));
        };
        let group = self.file.groups.entry(section.clone()).or_default();
        group.entry(key).or_default().push(IniEntry { value, line });
        Ok(())
    }

    fn line(&mut self, number: usize, line: &str) -> Result<(), Error> {
        let line = strip_end(line);
        if line.is_empty() {
            return self.flush();
        }
        if line.starts_with([' ', '\t']) {
            // An indented line continues the value above it, even if it looks like a comment.
            let Some(pending) = &mut self.pending else {
                return Err(self.error(number, SyntaxProblem::StrayContinuation, line));
            };
            pending.value.push('\n');
            pending.value.push_str(strip_start(line));
            return Ok(());
        }
        self.flush()?;
        if let Some(rest) = line.strip_prefix('[') {
            let Some(section) = rest.strip_suffix(']') else {
                return Err(self.error(number, SyntaxProblem::OpenSection, line));
            };
            if section.is_empty() {
                return Err(self.error(number, SyntaxProblem::EmptySection, line));
            }
            let section = normalize_group(section);
            self.file.groups.entry(section.clone()).or_default();
            self.section = Some(section);
        } else if line.starts_with('\u{feff}') && number == 1 {
            return Err(self.error(number, SyntaxProblem::ByteOrderMark, line));
        } else if !line.starts_with(['#', ';']) {
            let Some((key, value)) = line.split_once(['=', ':']) else {
                return Err(self.error(number, SyntaxProblem::NoAssignment, line));
            };
            let key = strip(key);
            if key.is_empty() {
                return Err(self.error(number, SyntaxProblem::EmptyKey, line));
            }
            self.pending = Some(PendingEntry {
                key: key.to_owned(),
                value: unquote(strip(value)).to_owned(),
                line: number,
            });
        }
        Ok(())
    }
}

/// Removes a pair of equal quotation marks. A single quotation mark is an empty text.
fn unquote(value: &str) -> &str {
    for quote in ['"', '\''] {
        if let Some(rest) = value.strip_prefix(quote) {
            if rest.is_empty() {
                return rest;
            }
            return rest.strip_suffix(quote).unwrap_or(value);
        }
    }
    value
}

/// Parses `text`. `name` is the file name in errors.
///
/// # Errors
/// [`Error::Parse`] at the first line with a syntax error.
pub(crate) fn parse(name: &str, text: &str) -> Result<IniFile, Error> {
    let file = IniFile { name: name.to_owned(), groups: BTreeMap::new() };
    let mut parser = Parser { file, section: None, pending: None, name };
    // Python opens files with universal newlines, so CR LF and CR alone end a line too.
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    for (index, line) in text.split('\n').enumerate() {
        parser.line(index + 1, line)?;
    }
    parser.flush()?;
    Ok(parser.file)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]
    use super::*;

    fn values(text: &str, group: &str, key: &str) -> Vec<(String, usize)> {
        let file = parse("t", text).unwrap();
        let entries = file.groups.get(group).and_then(|g| g.get(key)).cloned().unwrap_or_default();
        entries.into_iter().map(|e| (e.value, e.line)).collect()
    }

    fn one(text: &str) -> String {
        let found = values(&format!("[DEFAULT]\n{text}"), "DEFAULT", "k");
        assert_eq!(found.len(), 1, "{text:?}");
        found.into_iter().next().unwrap().0
    }

    fn problem(text: &str) -> (usize, SyntaxProblem) {
        match parse("t", text) {
            Err(Error::Parse { line, problem, .. }) => (line, problem),
            other => panic!("{text:?} gave {other:?}"),
        }
    }

    #[test]
    fn assignments() {
        assert_eq!(one("k = v"), "v");
        assert_eq!(one("k: v=w"), "v=w");
        assert_eq!(one("k=v:w"), "v:w");
        assert_eq!(one("k ="), "");
        assert_eq!(one("k = a # b"), "a # b", "a comment is a whole line");
        assert_eq!(one("k = \" v \""), " v ");
        assert_eq!(one("k = 'v\""), "'v\"");
        assert_eq!(one("k = '"), "");
        assert_eq!(one("k = ''"), "");
        assert_eq!(one("k = ''v''"), "'v'");
        assert_eq!(one("\u{a0}k = v"), "v", "only blanks and tabs mark a continuation");
    }

    #[test]
    fn continuation_lines() {
        assert_eq!(one("k = a\n b\n\t c"), "a\nb\nc");
        assert_eq!(one("k =\n a"), "\na");
        assert_eq!(one("k = a\n # b\n ; c\n [d]"), "a\n# b\n; c\n[d]");
        assert_eq!(one("k = 'a'\n b'"), "a\nb'", "quotes are looked for in the first line alone");
        assert_eq!(problem("[g]\nk = a\n\n b"), (4, SyntaxProblem::StrayContinuation));
        assert_eq!(problem("[g]\nk = a\n# c\n b"), (4, SyntaxProblem::StrayContinuation));
        assert_eq!(problem("[g]\n b"), (2, SyntaxProblem::StrayContinuation));
        assert_eq!(one("k = a\n \n# ok"), "a", "a blank line with spaces ends the value");
    }

    #[test]
    fn sections() {
        let text = "[g]\nk = 1\n[DEFAULT]\nk = 0\n[G]\nk = 2\n[ g ]\nk = 3\n[[x]]\nk = 4";
        assert_eq!(values(text, "g", "k"), [("1".to_owned(), 2), ("2".to_owned(), 6)]);
        assert_eq!(values(text, " g ", "k"), [("3".to_owned(), 8)]);
        assert_eq!(values(text, "[x]", "k"), [("4".to_owned(), 10)]);
        assert_eq!(values("[g] \nK = 1", "g", "k"), [], "keys are case sensitive");
        assert_eq!(problem("[g"), (1, SyntaxProblem::OpenSection));
        assert_eq!(problem("[g] # c"), (1, SyntaxProblem::OpenSection));
        assert_eq!(problem("\n[]"), (2, SyntaxProblem::EmptySection));
        assert_eq!(problem("["), (1, SyntaxProblem::OpenSection));
        assert_eq!(problem("\nk = 1\n"), (2, SyntaxProblem::NoSection));
    }

    #[test]
    fn errors_name_the_line() {
        assert_eq!(problem("[g]\nbind_port 9090"), (2, SyntaxProblem::NoAssignment));
        assert_eq!(problem("[g]\n = 9090"), (2, SyntaxProblem::StrayContinuation));
        assert_eq!(problem("[g]\n= 9090"), (2, SyntaxProblem::EmptyKey));
        for text in ["\u{feff}[g]", "\u{feff}# c", "\u{feff}"] {
            assert_eq!(problem(text), (1, SyntaxProblem::ByteOrderMark));
        }
        assert_eq!(problem("[g]\n\u{feff}k"), (2, SyntaxProblem::NoAssignment));
        let error = parse("/etc/x.conf", "[g]\nbind_port 9090").unwrap_err();
        assert_eq!(
            error.to_string(),
            "/etc/x.conf:2: expected `name = value` or `name: value`: \"bind_port 9090\""
        );
    }

    #[test]
    fn all_three_line_endings() {
        let text = "[g]\r\nk = 1\rk = 2\nk = 3\x0bx\u{2028}y";
        let found: Vec<String> = values(text, "g", "k").into_iter().map(|v| v.0).collect();
        assert_eq!(found, ["1", "2", "3\x0bx\u{2028}y"]);
    }
}
