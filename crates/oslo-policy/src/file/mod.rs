//! A policy file's text to named rules: YAML, of which JSON is a part, read as oslo.policy's
//! YAML library reads it. Which files there are is `loader`'s part; what a rule says `parser`'s.

mod layout;
mod raw;

use std::collections::HashMap;
use std::path::Path;

use serde_saphyr::Spanned;
use serde_saphyr::options::{DuplicateKeyPolicy, NonFiniteFloatPolicy};

use crate::error::Error;
use crate::parser::{Alternative, Source};
use crate::python::yaml::{Plain, classify};
use layout::{Layout, Style};
use raw::Raw;

/// One entry of a policy file.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct FileRule {
    /// The rule's name.
    pub(crate) name: String,
    /// The line of the value, counted from 1.
    pub(crate) line: u64,
    /// What the file says.
    pub(crate) source: Source,
    /// Whether the value is missing (`name:` and nothing more), which allows everyone.
    pub(crate) empty: bool,
}

/// Reads the rules of a file, in its order; a name may occur more than once.
pub(crate) fn read(text: &str, path: &Path) -> Result<Vec<FileRule>, Error> {
    let options = serde_saphyr::options! {
        duplicate_keys: DuplicateKeyPolicy::PassThrough,
        non_finite_float_policy: NonFiniteFloatPolicy::PassThrough,
        reject_unsupported_tags: true,
        with_snippet: false,
    };
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let document: Spanned<Raw> =
        serde_saphyr::from_str_with_options(text, options).map_err(|error| Error::Syntax {
            path: path.to_owned(),
            line: error.location().map_or(1, |location| location.line()),
            message: error.to_string(),
        })?;
    let layout = Layout::new(text, &document);
    if let Some(line) = layout.stray_tab(&document) {
        return Err(Error::Syntax {
            path: path.to_owned(),
            line,
            message: "a tab outside of quotes; YAML is indented and separated by spaces".to_owned(),
        });
    }
    let syntax_error = |line, message: String| Error::Syntax { path: path.to_owned(), line, message };
    let Raw::Map(entries) = document.value else {
        let line = document.referenced.line().max(1);
        let node = Node::resolve(document, &layout);
        if node.is_falsy() {
            return Ok(Vec::new());
        }
        let message = format!("the file must hold a mapping of rules, not {}", node.kind());
        return Err(syntax_error(line, message));
    };
    let mut rules: Vec<FileRule> = Vec::with_capacity(entries.len());
    let mut refused: HashMap<String, Error> = HashMap::new();
    for (key, value) in entries {
        let line = value.referenced.line();
        let key_line = key.referenced.line();
        let name = match Node::resolve(key, &layout) {
            Node::Text(name) => name,
            Node::List(_) | Node::Keys(_) | Node::Unsupported(_) => {
                let message = "the name of a rule must be a text".to_owned();
                return Err(syntax_error(key_line, message));
            }
            // Such a name is never asked for.
            Node::Null | Node::Bool(_) | Node::Number { .. } => continue,
        };
        let node = Node::resolve(value, &layout);
        let empty = node == Node::Null;
        let source = match node.into_source() {
            Ok(source) => {
                refused.remove(&name);
                source
            }
            Err(kind) => {
                let message = format!("a rule is a text or a list of lists of texts, not {kind}");
                let rule = name.clone();
                let error = Error::Value { path: path.to_owned(), line, rule, message };
                refused.insert(name.clone(), error);
                Source::Text("!".to_owned())
            }
        };
        rules.push(FileRule { name, line, source, empty });
    }
    // Of a name that occurs twice only the last value counts, and is looked at.
    let first = rules.iter().find_map(|rule| refused.remove(&rule.name));
    first.map_or(Ok(rules), Err)
}

/// A YAML value as PyYAML understands it.
#[derive(Debug, Clone, PartialEq)]
enum Node {
    Null,
    Bool(bool),
    /// A number, by whether it is zero: nothing more is ever asked of it.
    Number {
        zero: bool,
    },
    Text(String),
    List(Vec<Node>),
    /// A mapping: only its keys can matter.
    Keys(Vec<Node>),
    /// What no rule can be made of, by its name.
    Unsupported(&'static str),
}

impl Node {
    fn resolve(raw: Spanned<Raw>, layout: &Layout<'_>) -> Node {
        match raw.value {
            Raw::Scalar(value) => Node::scalar(value, layout.style(&raw.defined)),
            Raw::List(items) => {
                Node::List(items.into_iter().map(|item| Node::resolve(item, layout)).collect())
            }
            Raw::Map(entries) => {
                let mut keys = Vec::new();
                for (key, _) in entries {
                    let key = Node::resolve(key, layout);
                    if !keys.contains(&key) {
                        keys.push(key);
                    }
                }
                Node::Keys(keys)
            }
        }
    }

    /// A scalar, from its text and the way it is written. The YAML reader follows another
    /// version of YAML than PyYAML in what an unquoted scalar is.
    fn scalar(text: Option<String>, style: Style<'_>) -> Node {
        const TAG: Node =
            Node::Unsupported("a YAML tag (a ! outside of quotes); to deny, write \"!\" in quotes");
        let written = match style {
            Style::Quoted => return Node::Text(text.unwrap_or_default()),
            Style::Tagged => return TAG,
            Style::Plain(written) => written,
        };
        // Nothing is read as a text only where a tag makes it one.
        if text.as_ref().is_some_and(String::is_empty) {
            return TAG;
        }
        let text = text.unwrap_or_else(|| written.trim().to_owned());
        match classify(&text) {
            Plain::Timestamp => Node::Unsupported("a date"),
            Plain::Value => Node::Unsupported("a bare ="),
            // In a flow mapping, PyYAML takes it for the mark of a key.
            Plain::Text if text.starts_with('?') => Node::Unsupported("a bare ?"),
            Plain::Text => Node::Text(text),
            Plain::Null => Node::Null,
            Plain::Bool(value) => Node::Bool(value),
            Plain::Number { zero } => Node::Number { zero },
        }
    }

    fn is_falsy(&self) -> bool {
        match self {
            Node::Null | Node::Bool(false) | Node::Number { zero: true } => true,
            Node::Text(text) => text.is_empty(),
            Node::List(nodes) | Node::Keys(nodes) => nodes.is_empty(),
            Node::Bool(true) | Node::Number { .. } | Node::Unsupported(_) => false,
        }
    }

    /// The rule that the value stands for, or the name of its kind where it stands for none.
    fn into_source(self) -> Result<Source, &'static str> {
        if self.is_falsy() {
            return Ok(Source::Text(String::new()));
        }
        match self {
            Node::Text(text) => Ok(Source::Text(text)),
            // Python iterates over a mapping's keys.
            Node::List(nodes) | Node::Keys(nodes) => {
                nodes.into_iter().map(Node::into_alternative).collect::<Result<_, _>>().map(Source::Lists)
            }
            other => Err(other.kind()),
        }
    }

    fn into_alternative(self) -> Result<Alternative, &'static str> {
        if self.is_falsy() {
            return Ok(Alternative::All(Vec::new()));
        }
        match self {
            Node::Text(text) => Ok(Alternative::Single(text)),
            Node::List(nodes) | Node::Keys(nodes) => Ok(Alternative::All(
                nodes
                    .into_iter()
                    .map(|node| match node {
                        Node::Text(text) => Ok(Some(text)),
                        Node::Unsupported(kind) => Err(kind),
                        _ => Ok(None),
                    })
                    .collect::<Result<_, _>>()?,
            )),
            other => Err(other.kind()),
        }
    }

    fn kind(&self) -> &'static str {
        match self {
            Node::Null => "nothing",
            Node::Bool(_) => "a boolean",
            Node::Number { .. } => "a number",
            Node::Text(_) => "a text",
            Node::List(_) => "a list",
            Node::Keys(_) => "a mapping",
            Node::Unsupported(kind) => kind,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

    use super::*;

    fn rules(text: &str) -> Vec<FileRule> {
        read(text, Path::new("policy.yaml")).unwrap()
    }

    fn line_of_error(text: &str) -> u64 {
        match read(text, Path::new("policy.yaml")) {
            Err(Error::Syntax { line, .. } | Error::Value { line, .. }) => line,
            other => panic!("{text:?}: {other:?}"),
        }
    }

    #[test]
    fn names_values_and_lines() {
        let found = rules("# comment\na: role:x\n\n\"b:c\": [[\"@\", \"!\"], 'role:y', []]\nd:\n1: x\n");
        let all = Alternative::All(vec![Some("@".to_owned()), Some("!".to_owned())]);
        let expected = [
            ("a", 2, Source::Text("role:x".to_owned()), false),
            (
                "b:c",
                4,
                Source::Lists(vec![all, Alternative::Single("role:y".to_owned()), Alternative::All(vec![])]),
                false,
            ),
            ("d", 5, Source::Text(String::new()), true),
        ];
        assert_eq!(found.len(), expected.len());
        for (rule, (name, line, source, empty)) in found.into_iter().zip(expected) {
            assert_eq!(rule, FileRule { name: name.to_owned(), line, source, empty });
        }
    }

    #[test]
    fn plain_scalars_are_those_of_pyyaml() {
        let found = rules("y: n\nyes: x\nz: no\nw: 1e3 # a text\n1e3: 0x0\n");
        let found: Vec<_> = found.iter().map(|rule| (rule.name.as_str(), &rule.source)).collect();
        let text = |text: &str| Source::Text(text.to_owned());
        let expected = [("y", &text("n")), ("z", &text("")), ("w", &text("1e3")), ("1e3", &text(""))];
        assert_eq!(found, expected);
    }

    #[test]
    fn json_is_yaml() {
        let found = rules("{\n  \"a\": \"role:x\",\n  \"b\": [[\"@\"]]\n}\n");
        assert_eq!(found.iter().map(|rule| rule.line).collect::<Vec<_>>(), [2, 3]);
    }

    #[test]
    fn empty_files_have_no_rules() {
        for text in ["", "# only\n", "null", "{}", "[]", "---\n", "\u{feff}", "\"\"", "false"] {
            assert_eq!(rules(text), [], "{text:?}");
        }
    }

    #[test]
    fn what_is_refused_names_its_line() {
        assert_eq!(line_of_error("a: b\nc: @x\n"), 2);
        assert_eq!(line_of_error("a: b\nc: d: e\n"), 2);
        assert_eq!(line_of_error("a: b\nc: 5\n"), 2);
        assert_eq!(line_of_error("a: b\nc: yes\n"), 2);
        assert_eq!(line_of_error("a: b\nc: 2001-01-01\n"), 2);
        assert_eq!(line_of_error("a: b\nc: [[x], 5]\n"), 2);
        assert_eq!(line_of_error("a: b\nc: !foo x\n"), 2);
        assert_eq!(line_of_error("a: b\n\nc: !\n"), 3);
        assert_eq!(line_of_error("a: b\nc: [[!!str x]]\n"), 2);
        assert_eq!(line_of_error("a: b\n{c: ! \"\"}\n"), 2);
        assert_eq!(line_of_error("{a: b,\n?c: d}\n"), 2);
        assert_eq!(line_of_error("- a\n- b\n"), 1);
        assert_eq!(line_of_error("text"), 1);
        assert_eq!(line_of_error("a: b\n---\nc: d\n"), 3);
    }

    #[test]
    fn blocks_are_texts() {
        for text in [
            "a: >-\n  true\n",
            "a: |- # c\n  true\n",
            "\"x #\": |\n  y\na: |-\n  true",
            "x: \"!\"\na: \"true\"",
            "x: >-\n  !\n# |\na: 'true'",
            "a:\n  - x\na: >2-\n  true\nb: x",
        ] {
            let found = rules(text);
            let rule = found.iter().rfind(|rule| rule.name == "a").unwrap();
            assert_eq!(rule.source, Source::Text("true".to_owned()), "{text}");
        }
        for text in ["a:\n  true\n", "a: # >\n  true\n", "a:\n  # x: >\n  true\n"] {
            line_of_error(text);
        }
    }

    #[test]
    fn tabs_only_in_quotes_blocks_and_comments() {
        rules("a: \"x\ty\" # \t\n#\tb\nc: 'x\n\ty'\nd: |\n  x\n  \ty\n");
        assert_eq!(line_of_error("a: b\nc:\t\n"), 2);
        assert_eq!(line_of_error("a: b\t# c\n"), 1);
        assert_eq!(line_of_error("{\n\t\"a\": \"b\"}"), 2);
        assert_eq!(line_of_error("a#b: x\ty\n"), 1);
    }

    #[test]
    fn of_two_values_the_last_one_counts() {
        let found = rules("a: 5\nb: '@'\na: role:x\n");
        assert_eq!(found.last().unwrap().source, Source::Text("role:x".to_owned()));
        assert_eq!(line_of_error("a: role:x\nb: '@'\na: 5\n"), 3);
    }

    #[test]
    fn empty_texts_are_rules() {
        for text in ["a: ''", "a: \"\"", "{\"a\": \"\"}", "x: &e ''\na: *e", "a: |\n"] {
            let found = rules(text);
            assert_eq!(found.last().unwrap().source, Source::Text(String::new()), "{text}");
            assert!(!found.last().unwrap().empty, "{text}");
        }
    }

    #[test]
    fn of_merged_names_the_explicit_one_wins() {
        let found = rules("x: &x {a: merged, b: merged}\n");
        assert_eq!(found.len(), 1);
        let found = rules("<<: {a: merged, b: merged}\na: own\n");
        let last = found.iter().rfind(|rule| rule.name == "a").unwrap();
        assert_eq!(last.source, Source::Text("own".to_owned()));
    }
}
