//! Reads a policy file: named rules in YAML, of which JSON is a subset, as oslo.policy's YAML library reads it.
//! Finding files belongs in `loader`, and the language of rules in `parser`.

mod layout;
mod raw;

use std::collections::HashMap;
use std::path::Path;

use serde_saphyr::Spanned;
use serde_saphyr::options::{DuplicateKeyPolicy, NonFiniteFloatPolicy};

use crate::error::Error;
use crate::parser::{Alternative, ParsedRule, RuleSource, parse_rule};
use layout::{ScalarLayout, Style};
use raw::Raw;

/// One entry of a policy file.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct FileRule {
    /// The rule's name.
    pub(crate) name: String,
    /// The line of the value, counted from 1.
    pub(crate) line: u64,
    /// The rule.
    pub(crate) parsed: ParsedRule,
    /// Whether the value is missing (`name:` and nothing more), which allows every caller.
    pub(crate) empty: bool,
}

/// The rules of a file in their order, and the errors of those that cannot be loaded, by line.
#[derive(Debug, Default)]
pub(crate) struct FileContent {
    /// A name can occur more than once.
    pub(crate) rules: Vec<FileRule>,
    /// Each is an [`Error::Value`].
    pub(crate) errors: Vec<Error>,
}

/// Lists and mappings in each other at most. Rules have three, and every level takes the reader a lot of stack.
const DEEPEST: usize = 16;

/// Reads the rules of a file. The error is that of a file that is not a YAML mapping of names.
pub(crate) fn read(text: &str, path: &Path) -> Result<FileContent, Error> {
    let options = serde_saphyr::options! {
        duplicate_keys: DuplicateKeyPolicy::PassThrough,
        non_finite_float_policy: NonFiniteFloatPolicy::PassThrough,
        reject_unsupported_tags: true,
        with_snippet: false,
        budget: serde_saphyr::budget! { max_depth: DEEPEST },
    };
    let syntax_error = |line, message: String| Error::Syntax { path: path.to_owned(), line, message };
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let document: Spanned<Raw> = serde_saphyr::from_str_with_options(text, options).map_err(|error| {
        syntax_error(error.location().map_or(1, |location| location.line()), error.to_string())
    })?;
    let layout = ScalarLayout::new(text, &document);
    if let Some(line) = layout.stray_tab(&document) {
        let message = "a tab outside of quotes; indent and separate YAML with spaces";
        return Err(syntax_error(line, message.to_owned()));
    }
    let line = document.referenced.line().max(1);
    let entries = match YamlNode::resolve(document, &layout) {
        YamlNode::Map(entries) => entries,
        YamlNode::Null => return Ok(FileContent::default()),
        YamlNode::List(items) if items.is_empty() => return Ok(FileContent::default()),
        node => {
            return Err(syntax_error(
                line,
                format!("the file must be a mapping of rules, not {}", node.kind()),
            ));
        }
    };
    let mut content = FileContent::default();
    // If a name occurs twice, only the last value counts, and only its error.
    let mut errors: HashMap<String, Error> = HashMap::new();
    for YamlEntry { name, name_line, value, line } in entries {
        let YamlNode::Text(name) = name else {
            let message = format!("the name of a rule must be text, not {}; put it in quotes", name.kind());
            return Err(syntax_error(name_line, message));
        };
        let empty = value == YamlNode::Null;
        let parsed = value.into_source().and_then(|source| parse_rule(&source));
        match parsed {
            Ok(parsed) => {
                errors.remove(&name);
                content.rules.push(FileRule { name, line, parsed, empty });
            }
            Err(message) => {
                let error = Error::Value { path: path.to_owned(), line, rule: name.clone(), message };
                errors.insert(name, error);
            }
        }
    }
    content.errors = errors.into_values().collect();
    content.errors.sort_by_key(|error| if let Error::Value { line, .. } = error { *line } else { 0 });
    Ok(content)
}

/// A YAML value, as PyYAML understands it.
#[derive(Debug, Clone, PartialEq)]
enum YamlNode {
    Null,
    Text(String),
    List(Vec<YamlNode>),
    Map(Vec<YamlEntry>),
    /// A value that is neither a rule nor a name, as its description.
    Unsupported(&'static str),
}

/// An entry of a YAML mapping.
#[derive(Debug, Clone, PartialEq)]
struct YamlEntry {
    name: YamlNode,
    name_line: u64,
    value: YamlNode,
    line: u64,
}

impl YamlNode {
    fn resolve(raw: Spanned<Raw>, layout: &ScalarLayout<'_>) -> YamlNode {
        match raw.value {
            Raw::Scalar(value) => YamlNode::scalar(value, layout.style(&raw.defined)),
            Raw::List(items) => {
                YamlNode::List(items.into_iter().map(|item| YamlNode::resolve(item, layout)).collect())
            }
            Raw::Map(entries) => YamlNode::Map(
                entries
                    .into_iter()
                    .map(|(key, value)| YamlEntry {
                        name_line: key.referenced.line(),
                        line: value.referenced.line(),
                        name: YamlNode::resolve(key, layout),
                        value: YamlNode::resolve(value, layout),
                    })
                    .collect(),
            ),
        }
    }

    /// Resolves a scalar from its text and its style.
    fn scalar(text: Option<String>, style: Style<'_>) -> YamlNode {
        const TAG: YamlNode =
            YamlNode::Unsupported("a YAML tag (a ! outside of quotes); to deny, write \"!\" in quotes");
        let written = match style {
            Style::Quoted => return YamlNode::Text(text.unwrap_or_default()),
            Style::Tagged => return TAG,
            Style::Plain(written) => written,
        };
        // Only a tag makes the YAML reader return an empty text for an empty scalar.
        if text.as_ref().is_some_and(String::is_empty) {
            return TAG;
        }
        let text = text.unwrap_or_else(|| written.trim().to_owned());
        match text.as_str() {
            "" | "~" | "null" | "Null" | "NULL" => YamlNode::Null,
            _ if is_special(&text) => YamlNode::Unsupported(
                "a value that YAML may read as a number, a date or a boolean (put text in quotes)",
            ),
            _ => YamlNode::Text(text),
        }
    }

    /// Returns the rule that the value stands for. The error describes a value that is not a rule.
    fn into_source(self) -> Result<RuleSource, String> {
        match self {
            YamlNode::Null => Ok(RuleSource::Text(String::new())),
            YamlNode::Text(text) => Ok(RuleSource::Text(text)),
            YamlNode::List(nodes) => nodes
                .into_iter()
                .map(YamlNode::into_alternative)
                .collect::<Result<_, _>>()
                .map(RuleSource::Lists),
            other => Err(other.refused()),
        }
    }

    fn into_alternative(self) -> Result<Alternative, String> {
        match self {
            YamlNode::Text(text) if text.is_empty() => Ok(Vec::new()),
            YamlNode::Text(text) => Ok(vec![text]),
            YamlNode::List(nodes) => nodes
                .into_iter()
                .map(|node| if let YamlNode::Text(text) = node { Ok(text) } else { Err(node.refused()) })
                .collect(),
            other => Err(other.refused()),
        }
    }

    fn refused(&self) -> String {
        format!("a rule is text or a list of lists of texts, not {}", self.kind())
    }

    fn kind(&self) -> &'static str {
        match self {
            YamlNode::Null => "nothing",
            YamlNode::Text(_) => "text",
            YamlNode::List(_) => "a list",
            YamlNode::Map(_) => "a mapping",
            YamlNode::Unsupported(kind) => kind,
        }
    }
}

/// Returns whether PyYAML (YAML 1.1) may read an unquoted scalar as something other than text: a boolean, or anything that
/// starts like a number, a date or an indicator. No rule of the policy language starts like this, except for a number left
/// of a colon.
fn is_special(text: &str) -> bool {
    const BOOLEANS: [&str; 6] = ["yes", "no", "true", "false", "on", "off"];
    text.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '+' | '-' | '.' | '=' | '?'))
        || BOOLEANS.iter().any(|word| word.eq_ignore_ascii_case(text))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

    use super::*;

    fn rules(text: &str) -> Vec<FileRule> {
        let content = read(text, Path::new("policy.yaml")).unwrap();
        assert!(content.errors.is_empty(), "{text:?}: {:?}", content.errors);
        content.rules
    }

    fn line_of_error(text: &str) -> u64 {
        let error = match read(text, Path::new("policy.yaml")) {
            Ok(mut content) => content.errors.pop(),
            Err(error) => Some(error),
        };
        match error {
            Some(Error::Syntax { line, .. } | Error::Value { line, .. }) => line,
            other => panic!("{text:?}: {other:?}"),
        }
    }

    fn check_of(rule: &FileRule) -> String {
        rule.parsed.check.to_string()
    }

    #[test]
    fn names_values_and_lines() {
        let found =
            rules("# comment\na: role:x\n\n\"b:c\": [[\"@\", \"!\"], 'role:y', [], '']\nd:\n'1': x:y\n");
        let found: Vec<_> =
            found.iter().map(|rule| (rule.name.as_str(), rule.line, check_of(rule), rule.empty)).collect();
        let expected = [
            ("a", 2, "role:x".to_owned(), false),
            ("b:c", 4, "((@ and !) or role:y)".to_owned(), false),
            ("d", 5, "@".to_owned(), true),
            ("1", 6, "x:y".to_owned(), false),
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn unquoted_numbers_dates_and_booleans_are_refused() {
        for value in [
            "yes",
            "No",
            "TRUE",
            "off",
            "0",
            "5",
            "-1",
            "+1",
            ".5",
            "1:30",
            "0x1F",
            "2001-12-14",
            "=",
            "1e3",
            ".nan",
            "5:%(x)s",
            "2001-12-14 21:59:43",
        ] {
            assert_eq!(line_of_error(&format!("a: role:x\nb: {value}\n")), 2, "{value}");
            assert_eq!(line_of_error(&format!("a: role:x\nb: [[role:x, {value}]]\n")), 2, "{value}");
            let name = value.split(':').next().unwrap();
            assert_eq!(line_of_error(&format!("a: role:x\n{name}: role:x\n")), 2, "{value}");
        }
        assert_eq!(check_of(&rules("a: '5:%(x)s'\n")[0]), "5:%(x)s");
        assert_eq!(check_of(&rules("y: n:x\n")[0]), "n:x");
    }

    #[test]
    fn errors_of_all_rules_are_found() {
        let content = read("a: class:x\nb: role:x\nc: 'x:%(y'\n", Path::new("policy.yaml")).unwrap();
        let errors: Vec<String> = content.errors.iter().map(ToString::to_string).collect();
        assert_eq!(content.rules.len(), 1);
        assert!(
            errors[0].starts_with("policy: policy.yaml: line 1: rule a: in the check \"class:x\""),
            "{errors:?}"
        );
        assert!(
            errors[1].starts_with("policy: policy.yaml: line 3: rule c: in the check \"x:%(y\""),
            "{errors:?}"
        );
    }

    #[test]
    fn json_is_yaml() {
        let found = rules("{\n  \"a\": \"role:x\",\n  \"b\": [[\"@\"]]\n}\n");
        assert_eq!(found.iter().map(|rule| rule.line).collect::<Vec<_>>(), [2, 3]);
    }

    #[test]
    fn empty_files_have_no_rules() {
        for text in ["", "# only\n", "null", "{}", "[]", "---\n", "\u{feff}"] {
            assert_eq!(rules(text), [], "{text:?}");
        }
    }

    #[test]
    fn errors_name_their_line() {
        assert_eq!(line_of_error("a: b\nc: @x\n"), 2);
        assert_eq!(line_of_error("a: b\nc: d: e\n"), 2);
        assert_eq!(line_of_error("a: b\nc: 5\n"), 2);
        assert_eq!(line_of_error("a: b\nc: yes\n"), 2);
        assert_eq!(line_of_error("a: b\nc: 2001-01-01\n"), 2);
        assert_eq!(line_of_error("a: b\nc: [[x], 5]\n"), 2);
        assert_eq!(line_of_error("a: b\nc: [~]\n"), 2);
        assert_eq!(line_of_error("a: b\nc: [[[x]]]\n"), 2);
        assert_eq!(line_of_error("a: b\nc: {d: e}\n"), 2);
        assert_eq!(line_of_error("'text'"), 1);
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
            assert_eq!(rule.parsed.problems, ["\"true\" is not of the form kind:match"], "{text}");
        }
        for text in ["a:\n  true\n", "a: # >\n  true\n", "a:\n  # x: >\n  true\n"] {
            line_of_error(text);
        }
    }

    #[test]
    fn tabs_are_allowed_only_in_quotes_blocks_and_comments() {
        rules("a: \"x\ty\" # \t\n#\tb\nc: 'x\n\ty'\nd: |\n  x\n  \ty\n");
        assert_eq!(line_of_error("a: b\nc:\t\n"), 2);
        assert_eq!(line_of_error("a: b\t# c\n"), 1);
        assert_eq!(line_of_error("{\n\t\"a\": \"b\"}"), 2);
        assert_eq!(line_of_error("a#b: x\ty\n"), 1);
    }

    #[test]
    fn the_last_of_two_values_counts() {
        let found = rules("a: 5\nb: '@'\na: role:x\n");
        assert_eq!(check_of(found.last().unwrap()), "role:x");
        assert_eq!(line_of_error("a: role:x\nb: '@'\na: 5\n"), 3);
    }

    #[test]
    fn empty_texts_are_rules() {
        for text in ["a: ''", "a: \"\"", "{\"a\": \"\"}", "x: &e ''\na: *e", "a: |\n"] {
            let found = rules(text);
            assert_eq!(check_of(found.last().unwrap()), "@", "{text}");
            assert!(!found.last().unwrap().empty, "{text}");
        }
    }

    #[test]
    fn an_explicit_name_overrides_a_merged_one() {
        let found = rules("<<: {a: 'merged:x', b: 'merged:x'}\na: own:x\n");
        let last = found.iter().rfind(|rule| rule.name == "a").unwrap();
        assert_eq!(check_of(last), "own:x");
    }
}
