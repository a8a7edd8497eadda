//! Text rules that the file format inherits from Python's `str`: white space, shortened texts in messages,
//! and the text of a string in a printed list. The grammars are in `ini.rs` and `value.rs`.

/// Returns whether `str.isspace` accepts the character: Unicode's White_Space and the four information
/// separators.
pub(crate) fn is_space(c: char) -> bool {
    c.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&c)
}

/// Equals `str.strip()`.
pub(crate) fn strip(text: &str) -> &str {
    text.trim_matches(is_space)
}

/// Equals `str.rstrip()`.
pub(crate) fn strip_end(text: &str) -> &str {
    text.trim_end_matches(is_space)
}

/// Equals `str.lstrip()`.
pub(crate) fn strip_start(text: &str) -> &str {
    text.trim_start_matches(is_space)
}

/// Returns the first 120 characters, with an ellipsis if the text is longer.
pub(crate) fn cut(text: &str) -> String {
    const LONGEST: usize = 120;
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

/// Returns a line as a parse error may show it. At this point no option is known, so a line that could
/// contain a password is masked.
pub(crate) fn shown_line(line: &str) -> String {
    const SUSPECT: [&str; 6] = ["pass", "secret", "token", "key", "connection", "@"];
    let lower = line.to_lowercase();
    if SUSPECT.iter().any(|word| lower.contains(word)) {
        "(not shown: it may contain a password)".to_owned()
    } else {
        cut(line)
    }
}

/// Equals `repr(str)`: the text of a string if a whole list is substituted into another option. Unlike in
/// Python, characters that Unicode has not assigned are not escaped.
pub(crate) fn python_repr(text: &str) -> String {
    let quote = if text.contains('\'') && !text.contains('"') { '"' } else { '\'' };
    let mut out = String::with_capacity(text.len() + 2);
    out.push(quote);
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            _ if c == quote => {
                out.push('\\');
                out.push(c);
            }
            _ if c != ' ' && (c.is_control() || is_space(c)) => {
                let code = u32::from(c);
                if code < 0x100 {
                    out.push_str(&format!("\\x{code:02x}"));
                } else {
                    out.push_str(&format!("\\u{code:04x}"));
                }
            }
            _ => out.push(c),
        }
    }
    out.push(quote);
    out
}

/// Equals `repr(float)`: the shortest digits that read back as the same number, with an exponent below 1e-4
/// and from 1e16 on.
pub(crate) fn python_float(number: f64) -> String {
    if number.is_nan() {
        return "nan".to_owned();
    }
    if number.is_infinite() {
        return if number > 0.0 { "inf" } else { "-inf" }.to_owned();
    }
    let scientific = format!("{number:e}");
    let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if number == 0.0 || (-4..16).contains(&exponent) {
        format!("{number:?}")
    } else {
        let sign = if exponent < 0 { '-' } else { '+' };
        format!("{digits}e{sign}{:02}", exponent.abs())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn white_space_is_that_of_python() {
        assert_eq!(strip("\u{1f}\u{a0} a b \u{2028}\x0b"), "a b");
        assert_eq!(strip("\u{200b}a"), "\u{200b}a", "a zero width space is no white space");
        assert_eq!(strip_end(" a\t"), " a");
        assert_eq!(strip_start("\ta "), "a ");
    }

    #[test]
    fn numbers_and_strings_print_as_python_prints_them() {
        for (number, text) in [
            (0.0, "0.0"),
            (-0.0, "-0.0"),
            (1.5, "1.5"),
            (100.0, "100.0"),
            (1e15, "1000000000000000.0"),
            (1e16, "1e+16"),
            (1.25e-5, "1.25e-05"),
            (0.0001, "0.0001"),
            (f64::INFINITY, "inf"),
        ] {
            assert_eq!(python_float(number), text);
        }
        assert_eq!(python_repr("a'b"), "\"a'b\"");
        assert_eq!(python_repr("a'b\""), "'a\\'b\"'");
        assert_eq!(python_repr("\n\u{1}\\é\u{2028}"), "'\\n\\x01\\\\é\\u2028'");
    }

    #[test]
    fn a_line_that_may_contain_a_password_is_not_shown() {
        assert_eq!(shown_line("bind_port 9090"), "bind_port 9090");
        assert!(!shown_line("admin_password hunter2").contains("hunter2"));
        assert!(!shown_line("mysql://u:p@db/x").contains("mysql"));
        assert_eq!(cut(&"é".repeat(200)).chars().count(), 121);
    }
}
