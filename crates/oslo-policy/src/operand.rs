//! The left side of a check: a literal or the path of a credential. The right side belongs in `template`.

/// The left side of a check such as `user_id:%(user_id)s`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Operand {
    /// A literal, as the text that it is compared as.
    Literal(String),
    /// The path of a credential: `token.project.id` has three names.
    Credential(Vec<String>),
}

/// The words that Python does not accept as names. oslo.policy fails when it evaluates a check that uses one as a name.
const KEYWORDS: [&str; 35] = [
    "False", "None", "True", "and", "as", "assert", "async", "await", "break", "class", "continue", "def",
    "del", "elif", "else", "except", "finally", "for", "from", "global", "if", "import", "in", "is",
    "lambda", "nonlocal", "not", "or", "pass", "raise", "return", "try", "while", "with", "yield",
];

impl Operand {
    /// Parses the left side of a check. An error names the problem and the correction.
    pub(crate) fn parse(text: &str) -> Result<Operand, String> {
        let literal = if let Some(inner) = quoted(text) {
            Some(inner)
        } else {
            (matches!(text, "True" | "False" | "None") || is_number(text)).then_some(text)
        };
        if let Some(literal) = literal {
            return Ok(Operand::Literal(literal.to_owned()));
        }
        let names: Vec<&str> = text.split('.').collect();
        if names.iter().all(|name| is_name(name)) {
            return Ok(Operand::Credential(names.into_iter().map(str::to_owned).collect()));
        }
        let keyword = names.iter().find(|name| KEYWORDS.contains(name));
        Err(match keyword {
            Some(keyword) => format!(
                "{text:?} cannot be a credential, because {keyword:?} is a Python keyword; {EXPECTED}"
            ),
            None => format!("{text:?} is neither a credential nor a literal; {EXPECTED}"),
        })
    }
}

const EXPECTED: &str = "left of the colon, write role, rule, http, https, the name of a credential (user_id, \
     token.project.id), a text in quotes without a colon or a backslash ('x'), a number (5, 1.5), True, False or None";

/// Returns the text between the quotes if there is one pair of quotes and nothing needs an escape.
fn quoted(text: &str) -> Option<&str> {
    ['\'', '"'].into_iter().find_map(|quote| {
        let inner = text.strip_prefix(quote)?.strip_suffix(quote)?;
        let plain = !inner.contains([quote, '\\']) && !inner.contains(char::is_control);
        plain.then_some(inner)
    })
}

/// Returns whether this is a number in the form that Python's `str` prints, which is how it is compared: `1.5`, but not
/// `1.50`, `+5` or `1e3`.
fn is_number(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    if !digits.starts_with(|c: char| c.is_ascii_digit()) {
        return false;
    }
    let is_integer = text.parse::<i64>().is_ok_and(|number| number.to_string() == text);
    let is_float =
        digits.contains('.') && text.parse::<f64>().is_ok_and(|number| format!("{number:?}") == text);
    is_integer || is_float
}

/// Returns whether this is a name: identifiers, joined by hyphens (`user-id`).
fn is_name(name: &str) -> bool {
    name.split('-').all(|part| {
        part.starts_with(|c: char| c == '_' || c.is_ascii_alphabetic())
            && part.chars().all(|c| c == '_' || c.is_ascii_alphanumeric())
            && !KEYWORDS.contains(&part)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals() {
        for (text, expected) in [
            ("'x'", "x"),
            ("\"it's\"", "it's"),
            ("''", ""),
            ("True", "True"),
            ("None", "None"),
            ("0", "0"),
            ("-12", "-12"),
            ("1.5", "1.5"),
            ("-0.0", "-0.0"),
        ] {
            assert_eq!(Operand::parse(text), Ok(Operand::Literal(expected.to_owned())), "{text}");
        }
    }

    #[test]
    fn credentials() {
        for (text, expected) in [
            ("user_id", vec!["user_id"]),
            ("token.project.id", vec!["token", "project", "id"]),
            ("user-id", vec!["user-id"]),
            ("_x1", vec!["_x1"]),
            ("true", vec!["true"]),
        ] {
            let expected = expected.into_iter().map(str::to_owned).collect();
            assert_eq!(Operand::parse(text), Ok(Operand::Credential(expected)), "{text}");
        }
    }

    #[test]
    fn everything_else_is_an_error_that_names_the_text() {
        for text in [
            "",
            ".",
            "a.",
            "a..b",
            "1a",
            "a-",
            "a-1",
            "é",
            "a b",
            " a",
            "[1]",
            "(1,)",
            "{}",
            "b'x'",
            "'a''b'",
            "'a",
            "'a\\'",
            "'",
            "'''a'''",
            "01",
            "+5",
            "1_0",
            "0x10",
            "1e3",
            "1.50",
            "1.",
            ".5",
            "-0",
            "1e400",
            "nan.5",
            "2j",
            "1+1",
            "a+b",
            "$x",
            "@",
            "99999999999999999999",
            "'a\nb'",
        ] {
            let error = Operand::parse(text).err().unwrap_or_default();
            assert!(error.starts_with(&format!("{text:?} ")) && error.contains("write"), "{text:?}: {error}");
        }
        let error = Operand::parse("a.class").err().unwrap_or_default();
        assert!(error.contains("\"class\" is a Python keyword"), "{error}");
    }
}
