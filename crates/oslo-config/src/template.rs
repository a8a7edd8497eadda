//! The grammar of references: `$name`, `${name}`, `${group.name}`, and `$$` or `\$` for a dollar sign. Their
//! values are in `resolve.rs`.

/// A part of a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum TemplatePart {
    /// Literal text.
    Text(String),
    /// The name after the dollar sign.
    Reference(String),
}

/// Python matches names case-insensitively. By its rules, four letters outside ASCII equal i, s and k.
fn starts_name(c: char) -> bool {
    c == '_' || c.is_ascii_alphabetic() || matches!(c, 'İ' | 'ı' | 'ſ' | '\u{212a}')
}

fn continues_name(c: char) -> bool {
    starts_name(c) || c == '.' || c.is_ascii_digit()
}

/// Returns the name at the start of `text`, and the rest.
fn name(text: &str) -> Option<(&str, &str)> {
    if !text.starts_with(starts_name) {
        return None;
    }
    let end = text.find(|c| !continues_name(c)).unwrap_or(text.len());
    text.split_at_checked(end)
}

fn braced(text: &str) -> Option<(&str, &str)> {
    let (name, rest) = name(text.strip_prefix('{')?)?;
    Some((name, rest.strip_prefix('}')?))
}

/// Splits a value into text and references. A dollar sign without a name after it is text.
pub(crate) fn parts(value: &str) -> Vec<TemplatePart> {
    // oslo.config replaces `\$` before it looks for references, so `$\$x` becomes `$$` and `$x`.
    let value = value.replace("\\$", "$$");
    let mut out = Vec::new();
    let mut text = String::new();
    let mut rest = value.as_str();
    while let Some((before, after)) = rest.split_once('$') {
        text.push_str(before);
        if let Some(after) = after.strip_prefix('$') {
            text.push('$');
            rest = after;
        } else if let Some((name, after)) = name(after).or_else(|| braced(after)) {
            out.push(TemplatePart::Text(std::mem::take(&mut text)));
            out.push(TemplatePart::Reference(name.to_owned()));
            rest = after;
        } else {
            text.push('$');
            rest = after;
        }
    }
    text.push_str(rest);
    out.push(TemplatePart::Text(text));
    out.retain(|part| !matches!(part, TemplatePart::Text(text) if text.is_empty()));
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Formats references as `<name>`, so that a case fits in a line.
    fn shown(value: &str) -> String {
        let show = |part| match part {
            TemplatePart::Text(text) => text,
            TemplatePart::Reference(name) => format!("<{name}>"),
        };
        parts(value).into_iter().map(show).collect()
    }

    #[test]
    fn references_and_escapes() {
        for (value, expected) in [
            ("", ""),
            ("plain", "plain"),
            ("$a", "<a>"),
            ("$a/b", "<a>/b"),
            ("${a}b", "<a>b"),
            ("$a.b-c", "<a.b>-c"),
            ("${g.a}.x", "<g.a>.x"),
            ("$a.", "<a.>"),
            ("$Aé", "<A>é"),
            ("$$a", "$a"),
            ("\\$a", "$a"),
            ("$$$a", "$<a>"),
            ("$\\$a", "$<a>"),
            ("$5 $ $", "$5 $ $"),
            ("${a", "${a"),
            ("${a-b}", "${a-b}"),
            ("${}", "${}"),
            ("${$a}", "${<a>}"),
            ("$_1$b", "<_1><b>"),
        ] {
            assert_eq!(shown(value), expected, "{value}");
        }
    }
}
