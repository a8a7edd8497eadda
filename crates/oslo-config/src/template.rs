//! The grammar of references: `$name`, `${name}`, `${group.name}`, and `$$` or `\$` for a dollar
//! sign. Not here: what a reference stands for (`resolve.rs`).

/// A part of a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Piece {
    /// Text that stays.
    Text(String),
    /// The name after the dollar sign.
    Reference(String),
}

/// Python matches names without regard to case, and its rule of case has four letters outside ASCII
/// that equal i, s and k.
fn starts_name(c: char) -> bool {
    c == '_' || c.is_ascii_alphabetic() || matches!(c, 'İ' | 'ı' | 'ſ' | '\u{212a}')
}

fn continues_name(c: char) -> bool {
    starts_name(c) || c == '.' || c.is_ascii_digit()
}

/// The name at the start of `text` and what follows it.
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

/// Splits a value into text and references. A dollar sign that starts no reference stays as it is.
pub(crate) fn pieces(value: &str) -> Vec<Piece> {
    // oslo.config rewrites `\$` before it looks for references, so `$\$x` holds `$$` and then `$x`.
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
            out.push(Piece::Text(std::mem::take(&mut text)));
            out.push(Piece::Reference(name.to_owned()));
            rest = after;
        } else {
            text.push('$');
            rest = after;
        }
    }
    text.push_str(rest);
    out.push(Piece::Text(text));
    out.retain(|piece| !matches!(piece, Piece::Text(text) if text.is_empty()));
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Writes references as `<name>` so that a case fits a line.
    fn shown(value: &str) -> String {
        let show = |piece| match piece {
            Piece::Text(text) => text,
            Piece::Reference(name) => format!("<{name}>"),
        };
        pieces(value).into_iter().map(show).collect()
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
