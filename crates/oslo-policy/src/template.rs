//! The right side of a check: text in which `%(name)s` stands for an attribute of the target.
//! The left side belongs in `operand`.

use std::borrow::Cow;
use std::fmt;

use crate::attributes::Target;

/// A parsed right side.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Template {
    written: String,
    pieces: Vec<TemplatePiece>,
}

#[derive(Debug, Clone, PartialEq)]
enum TemplatePiece {
    Text(String),
    Attribute(String),
}

/// Why a template cannot be rendered for a target.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum RenderError {
    /// The target has no attribute of this name.
    MissingAttribute(String),
    /// The attribute is a list or a mapping.
    NotText {
        /// The name of the attribute.
        name: String,
        /// The type of its value.
        kind: &'static str,
    },
}

impl Template {
    /// Parses a template. An error names the problem and the correction.
    pub(crate) fn parse(written: &str) -> Result<Template, String> {
        let mut pieces = Vec::new();
        let mut text = String::new();
        let mut rest = written;
        while let Some((before, after)) = rest.split_once('%') {
            text.push_str(before);
            if let Some(after) = after.strip_prefix('%') {
                text.push('%');
                rest = after;
                continue;
            }
            let (name, after) = attribute(after).ok_or_else(|| {
                format!(
                    "{:?} is not understood; write %(name)s for an attribute of the target, and %% for a percent sign",
                    format!("%{after}")
                )
            })?;
            if !text.is_empty() {
                pieces.push(TemplatePiece::Text(std::mem::take(&mut text)));
            }
            pieces.push(TemplatePiece::Attribute(name.to_owned()));
            rest = after;
        }
        text.push_str(rest);
        if !text.is_empty() {
            pieces.push(TemplatePiece::Text(text));
        }
        Ok(Template { written: written.to_owned(), pieces })
    }

    /// Returns the text of this template if it does not depend on the target.
    pub(crate) fn constant(&self) -> Option<&str> {
        match self.pieces.as_slice() {
            [] => Some(""),
            [TemplatePiece::Text(text)] => Some(text),
            _ => None,
        }
    }

    /// Fills in the attributes of the target. Does not copy a text that stands alone.
    pub(crate) fn render<'v>(&'v self, target: &'v Target<'_>) -> Result<Cow<'v, str>, RenderError> {
        match self.pieces.as_slice() {
            [] => Ok(Cow::Borrowed("")),
            [piece] => piece.render(target),
            pieces => {
                let texts = pieces.iter().map(|piece| piece.render(target));
                Ok(Cow::Owned(texts.collect::<Result<Vec<_>, _>>()?.concat()))
            }
        }
    }
}

impl TemplatePiece {
    fn render<'v>(&'v self, target: &'v Target<'_>) -> Result<Cow<'v, str>, RenderError> {
        match self {
            TemplatePiece::Text(text) => Ok(Cow::Borrowed(text)),
            TemplatePiece::Attribute(name) => {
                let Some(value) = target.get(name) else {
                    return Err(RenderError::MissingAttribute(name.clone()));
                };
                let error = || RenderError::NotText { name: name.clone(), kind: value.type_name() };
                value.to_text().ok_or_else(error)
            }
        }
    }
}

/// The text as it was written.
impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.written)
    }
}

impl fmt::Display for RenderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RenderError::MissingAttribute(name) => write!(f, "the target has no attribute {name:?}"),
            RenderError::NotText { name, kind } => {
                write!(f, "the attribute {name:?} of the target is a {kind}, which cannot be compared")
            }
        }
    }
}

/// Splits `(name)s…` into the name and the rest.
fn attribute(text: &str) -> Option<(&str, &str)> {
    let (name, rest) = text.strip_prefix('(')?.split_once(')')?;
    let rest = rest.strip_prefix('s')?;
    (!name.contains('(')).then_some((name, rest))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

    use super::*;
    use crate::value::Value;

    fn render(template: &str) -> String {
        let target = Target::new()
            .with("a", "x")
            .with("a.b", 5)
            .with("net:id", Value::None)
            .with("yes", true)
            .with("half", 0.5)
            .with("list", vec!["x"]);
        match Template::parse(template).unwrap().render(&target) {
            Ok(text) => text.into_owned(),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn attributes_are_filled_in() {
        for (template, expected) in [
            ("", ""),
            ("text", "text"),
            ("%(a)s", "x"),
            ("p/%(a)s/%(a.b)s", "p/x/5"),
            ("%(net:id)s", "None"),
            ("%(yes)s%(half)s", "True0.5"),
            ("100%%", "100%"),
            ("%%(a)s", "%(a)s"),
            ("%(a)ss", "xs"),
            ("%(gone)s", "the target has no attribute \"gone\""),
            ("%(list)s", "the attribute \"list\" of the target is a list, which cannot be compared"),
        ] {
            assert_eq!(render(template), expected, "{template}");
        }
    }

    #[test]
    fn everything_else_is_an_error_that_names_the_text() {
        for template in ["%", "x%", "%(a", "%(a)", "%(a)d", "%(a)5s", "%s", "%%%", "%((a)s", "%((a))s", "%20"]
        {
            let error = Template::parse(template).unwrap_err();
            assert!(error.contains("\"%") && error.contains("%(name)s"), "{template}: {error}");
        }
    }

    #[test]
    fn only_a_template_without_attributes_is_constant() {
        assert_eq!(Template::parse("a%%").unwrap().constant(), Some("a%"));
        assert_eq!(Template::parse("").unwrap().constant(), Some(""));
        assert_eq!(Template::parse("a%(b)s").unwrap().constant(), None);
    }
}
