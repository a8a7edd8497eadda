//! What PyYAML takes an unquoted YAML scalar for (YAML 1.1, without `y` and `n`).
//! Reading YAML is `file`'s part.

/// What an unquoted scalar is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Plain {
    /// `null`.
    Null,
    /// A boolean.
    Bool(bool),
    /// A number, by whether it is zero.
    Number {
        /// Whether Python takes it for false.
        zero: bool,
    },
    /// A date, or a date and a time.
    Timestamp,
    /// `=`, which PyYAML refuses.
    Value,
    /// Text.
    Text,
}

/// Decides what an unquoted scalar is.
pub(crate) fn classify(text: &str) -> Plain {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => Plain::Null,
        "=" => Plain::Value,
        "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => Plain::Bool(true),
        "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => Plain::Bool(false),
        _ if is_timestamp(text) => Plain::Timestamp,
        _ => match number(text) {
            Some(zero) => Plain::Number { zero },
            None => Plain::Text,
        },
    }
}

/// Whether a number is zero; nothing if the text is none.
fn number(text: &str) -> Option<bool> {
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    let special = matches!(unsigned, ".inf" | ".Inf" | ".INF") || matches!(text, ".nan" | ".NaN" | ".NAN");
    if special {
        return Some(false);
    }
    // A float that starts with its point takes no sign.
    let digits = if unsigned.starts_with('.') { text } else { unsigned };
    for (prefix, radix) in [("0b", 2), ("0x", 16), ("0", 8)] {
        if let Some(rest) = digits.strip_prefix(prefix)
            && !rest.is_empty()
            && rest.chars().all(|c| c == '_' || c.is_digit(radix))
        {
            return Some(rest.chars().all(|c| matches!(c, '_' | '0')));
        }
    }
    if !digits.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
        return None;
    }
    let mut parts = digits.split(':');
    let first = parts.next().unwrap_or_default();
    let rest: Vec<&str> = parts.collect();
    if let Some((last, middle)) = rest.split_last() {
        // Base 60: 1:30, or 1:30.5
        let (last, fraction) = match last.split_once('.') {
            Some((last, fraction)) => (last, Some(fraction)),
            None => (*last, None),
        };
        let well_formed = first.chars().all(is_digit_or_underscore)
            && first.starts_with(|c: char| c.is_ascii_digit() && (c != '0' || fraction.is_some()))
            && middle.iter().chain([&last]).all(|part| is_base_60(part))
            && fraction.is_none_or(|fraction| fraction.chars().all(is_digit_or_underscore));
        let zero = digits.chars().all(|c| !c.is_ascii_digit() || c == '0');
        return well_formed.then_some(zero);
    }
    let Some((whole, fraction)) = first.split_once('.') else {
        let well_formed =
            first.chars().all(is_digit_or_underscore) && (first == "0" || !first.starts_with('0'));
        return well_formed.then_some(first == "0");
    };
    let (fraction, exponent) = match fraction.find(['e', 'E']) {
        Some(at) => (&fraction[..at], Some(&fraction[at + 1..])),
        None => (fraction, None),
    };
    let well_formed = whole.chars().chain(fraction.chars()).all(is_digit_or_underscore)
        && (!whole.is_empty() || fraction.starts_with(|c: char| c.is_ascii_digit()))
        && exponent.is_none_or(|exponent| {
            exponent
                .strip_prefix(['-', '+'])
                .is_some_and(|digits| !digits.is_empty() && digits.chars().all(|c| c.is_ascii_digit()))
        });
    let value: Result<f64, _> = digits.replace('_', "").parse();
    well_formed.then_some(value == Ok(0.0))
}

fn is_digit_or_underscore(c: char) -> bool {
    c == '_' || c.is_ascii_digit()
}

fn is_base_60(part: &str) -> bool {
    let digits = part.as_bytes();
    digits.iter().all(u8::is_ascii_digit)
        && match digits {
            [_] => true,
            [tens, _] => *tens < b'6',
            _ => false,
        }
}

/// `2001-12-14`, or `2001-12-14t21:59:43.10-05:00` in its many spellings.
fn is_timestamp(text: &str) -> bool {
    let mut rest = text;
    let day = digits(&mut rest, 4, 4)
        && literal(&mut rest, "-")
        && digits(&mut rest, 1, 2)
        && literal(&mut rest, "-")
        && digits(&mut rest, 1, 2);
    if !day {
        return false;
    }
    if rest.is_empty() {
        return text.len() == 10;
    }
    if let Some(time) = rest.strip_prefix(['T', 't']) {
        rest = time;
    } else {
        let trimmed = rest.trim_start_matches([' ', '\t']);
        if trimmed.len() == rest.len() {
            return false;
        }
        rest = trimmed;
    }
    let time = digits(&mut rest, 1, 2)
        && literal(&mut rest, ":")
        && digits(&mut rest, 2, 2)
        && literal(&mut rest, ":")
        && digits(&mut rest, 2, 2);
    if !time {
        return false;
    }
    if literal(&mut rest, ".") {
        rest = rest.trim_start_matches(|c: char| c.is_ascii_digit());
    }
    if rest.is_empty() {
        return true;
    }
    rest = rest.trim_start_matches([' ', '\t']);
    if literal(&mut rest, "Z") {
        return rest.is_empty();
    }
    let Some(zone) = rest.strip_prefix(['-', '+']) else { return false };
    rest = zone;
    digits(&mut rest, 1, 2) && (!literal(&mut rest, ":") || digits(&mut rest, 2, 2)) && rest.is_empty()
}

fn digits(rest: &mut &str, least: usize, most: usize) -> bool {
    let found = rest.bytes().take(most).take_while(u8::is_ascii_digit).count();
    *rest = &rest[found..];
    found >= least
}

fn literal(rest: &mut &str, expected: &str) -> bool {
    match rest.strip_prefix(expected) {
        Some(behind) => {
            *rest = behind;
            true
        }
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scalars() {
        let number = |zero| Plain::Number { zero };
        for (expected, texts) in [
            (Plain::Null, ["", "~", "NULL", "null"]),
            (Plain::Bool(true), ["yes", "On", "TRUE", "true"]),
            (Plain::Bool(false), ["no", "OFF", "False", "off"]),
            (number(true), ["0", "-0x0", "0_0", "0.0e+5"]),
            (number(true), ["0b0", "00", "0:00.", ".0"]),
            (number(false), ["1", "0x1F", "017", "1_000"]),
            (number(false), ["1:30", "1:30.5", ".inf", ".NaN"]),
            (number(false), ["1.", "-1.5e-3", "+12", ".5"]),
            (
                Plain::Timestamp,
                ["2001-12-14", "2001-1-1 1:02:03", "2001-12-14t21:59:43.10-05:00", "2001-12-14T21:59:43 Z"],
            ),
            (Plain::Text, ["y", "N", "tRue", "1e3"]),
            (Plain::Text, ["1:60", "08", "2001-1-1", "-.5"]),
            (Plain::Text, ["1.5e3", "role:x", "0o17", "nan"]),
            (Plain::Text, ["2001-12-14 21:59", "1:2:345", "-", "."]),
        ] {
            for text in texts {
                assert_eq!(classify(text), expected, "{text:?}");
            }
        }
        assert_eq!(classify("="), Plain::Value);
    }
}
