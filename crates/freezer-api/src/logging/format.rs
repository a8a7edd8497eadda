//! Format strings of Python's logging, such as `%(asctime)s.%(msecs)03d %(levelname)s %(message)s`, and
//! formats of dates.
//!
//! This file parses and fills them. `record.rs` provides the values, and `config/logging.rs` chooses the
//! strings.

use std::borrow::Cow;
use std::fmt::{self, Write as _};

use time::OffsetDateTime;

/// Names in format strings. Others are replaced by `-`.
pub(crate) const NAMES: &[&str] = &[
    "asctime",
    "color",
    "created",
    "domain",
    "domain_id",
    "domain_name",
    "error_summary",
    "filename",
    "funcName",
    "global_request_id",
    "hostname",
    "instance",
    "isotime",
    "levelname",
    "levelno",
    "lineno",
    "message",
    "module",
    "msecs",
    "name",
    "pathname",
    "process",
    "processName",
    "project",
    "project_domain",
    "project_domain_id",
    "project_domain_name",
    "project_id",
    "project_name",
    "relativeCreated",
    "request_id",
    "resource",
    "resource_uuid",
    "system_scope",
    "tenant",
    "thread",
    "threadName",
    "user",
    "user_domain",
    "user_domain_id",
    "user_domain_name",
    "user_id",
    "user_identity",
    "user_name",
    "version",
];

/// A parsed format string.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Format(Vec<FormatPart>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum FormatPart {
    Literal(String),
    Field { name: String, flags: String, width: usize, precision: Option<usize>, kind: char },
}

/// The value of a field.
pub enum Field<'a> {
    /// Text.
    Text(Cow<'a, str>),
    /// A whole number.
    Whole(i64),
    /// Seconds.
    Float(f64),
}

impl Format {
    /// Parses a format string.
    ///
    /// # Errors
    /// The part of the text that is not a valid field.
    pub fn parse(text: &str) -> Result<Format, String> {
        let (mut pieces, mut literal, mut rest) = (Vec::new(), String::new(), text);
        while let Some(at) = rest.find('%') {
            literal.push_str(&rest[..at]);
            rest = &rest[at + 1..];
            if let Some(after) = rest.strip_prefix('%') {
                literal.push('%');
                rest = after;
                continue;
            }
            let (field, after) = field(rest).ok_or_else(|| format!("%{rest}"))?;
            pieces.push(FormatPart::Literal(std::mem::take(&mut literal)));
            pieces.push(field);
            rest = after;
        }
        literal.push_str(rest);
        pieces.push(FormatPart::Literal(literal));
        pieces.retain(|piece| !matches!(piece, FormatPart::Literal(text) if text.is_empty()));
        Ok(Format(pieces))
    }

    /// Returns the names of its fields.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|piece| match piece {
            FormatPart::Field { name, .. } => Some(name.as_str()),
            FormatPart::Literal(_) => None,
        })
    }

    /// Fills the fields.
    pub fn fill<'a>(&self, value: impl Fn(&str) -> Field<'a>) -> String {
        let mut line = String::with_capacity(320);
        for piece in &self.0 {
            match piece {
                FormatPart::Literal(text) => line.push_str(text),
                FormatPart::Field { name, flags, width, precision, kind } => {
                    push(&mut line, &value(name), flags, *width, *precision, *kind);
                }
            }
        }
        line
    }
}

/// Returns the field after a `%`, and the rest of the text.
fn field(text: &str) -> Option<(FormatPart, &str)> {
    let (name, rest) = text.strip_prefix('(')?.split_once(')')?;
    let end = rest.find(|c: char| !matches!(c, '-' | '+' | ' ' | '0' | '#')).unwrap_or(rest.len());
    let (flags, rest) = rest.split_at(end);
    let digits = |text: &str| text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (width, rest) = rest.split_at(digits(rest));
    let (precision, rest) = match rest.strip_prefix('.') {
        Some(rest) => {
            let (precision, rest) = rest.split_at(digits(rest));
            (Some(precision.parse().unwrap_or(0)), rest)
        }
        None => (None, rest),
    };
    let kind = rest.chars().next().filter(|kind| "sdifr".contains(*kind))?;
    // The width is limited, whatever the configuration contains.
    let width = if width.is_empty() { 0 } else { width.parse().unwrap_or(0).min(200) };
    let (name, flags) = (name.to_owned(), flags.to_owned());
    Some((FormatPart::Field { name, flags, width, precision, kind }, &rest[kind.len_utf8()..]))
}

fn push(
    line: &mut String,
    value: &Field<'_>,
    flags: &str,
    width: usize,
    precision: Option<usize>,
    kind: char,
) {
    let numeric = !matches!(value, Field::Text(_)) && kind != 's' && kind != 'r';
    let text = match value {
        Field::Text(text) => match precision {
            Some(most) => Cow::Owned(text.chars().take(most).collect()),
            None => Cow::Borrowed(text.as_ref()),
        },
        Field::Whole(number) => Cow::Owned(number.to_string()),
        Field::Float(number) if kind == 'f' => Cow::Owned(format!("{number:.*}", precision.unwrap_or(6))),
        Field::Float(number) if kind == 'd' || kind == 'i' => Cow::Owned(format!("{:.0}", number.trunc())),
        Field::Float(number) => Cow::Owned(number.to_string()),
    };
    let missing = width.saturating_sub(text.chars().count());
    let padding = |c: char| c.to_string().repeat(missing);
    if flags.contains('-') {
        line.push_str(&text);
        line.push_str(&padding(' '));
    } else {
        line.push_str(&padding(if numeric && flags.contains('0') { '0' } else { ' ' }));
        line.push_str(&text);
    }
}

/// Formats a time (UTC) like C's `strftime`, with the fields that log files use, and `%L` for milliseconds.
/// Unknown fields stay unchanged.
pub fn date(format: &str, time: OffsetDateTime) -> String {
    let mut text = String::with_capacity(24);
    let mut rest = format.chars();
    while let Some(c) = rest.next() {
        if c != '%' {
            text.push(c);
            continue;
        }
        // Writing to a String does not fail.
        let _ = match rest.next() {
            Some('%') | None => text.write_char('%'),
            Some(field) => push_date_field(&mut text, field, time),
        };
    }
    text
}

fn push_date_field(text: &mut String, field: char, time: OffsetDateTime) -> fmt::Result {
    let (month, day) = (u8::from(time.month()), time.day());
    match field {
        'Y' => write!(text, "{:04}", time.year()),
        'y' => write!(text, "{:02}", time.year().rem_euclid(100)),
        'm' => write!(text, "{month:02}"),
        'd' => write!(text, "{day:02}"),
        'H' => write!(text, "{:02}", time.hour()),
        'M' => write!(text, "{:02}", time.minute()),
        'S' => write!(text, "{:02}", time.second()),
        'L' => write!(text, "{:03}", time.millisecond()),
        'f' => write!(text, "{:06}", time.microsecond()),
        'j' => write!(text, "{:03}", time.ordinal()),
        'F' => write!(text, "{:04}-{month:02}-{day:02}", time.year()),
        'T' => write!(text, "{:02}:{:02}:{:02}", time.hour(), time.minute(), time.second()),
        'b' => text.write_str(&time.month().to_string()[..3]),
        'B' => write!(text, "{}", time.month()),
        'a' => text.write_str(&time.weekday().to_string()[..3]),
        'A' => write!(text, "{}", time.weekday()),
        'z' => text.write_str("+0000"),
        'Z' => text.write_str("UTC"),
        's' => write!(text, "{}", time.unix_timestamp()),
        other => write!(text, "%{other}"),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn filled(format: &str) -> String {
        Format::parse(format).unwrap().fill(|name| match name {
            "number" => Field::Whole(7),
            "seconds" => Field::Float(1.5),
            name => Field::Text(name.to_owned().into()),
        })
    }

    #[test]
    fn fields_are_filled_like_in_python() {
        for (format, expected) in [
            ("", ""),
            ("100%% %(a)s", "100% a"),
            ("[%(a)5s|%(a)-5s|%(long).2s]", "[    a|a    |lo]"),
            ("%(number)d %(number)03d %(number)3d|%(number)-3d|%(number)03s", "7 007   7|7  |  7"),
            ("%(seconds)f %(seconds).1f %(seconds)d %(seconds)s", "1.500000 1.5 1 1.5"),
        ] {
            assert_eq!(filled(format), expected, "{format}");
        }
        for bad in ["%", "%s", "%(a)", "%(a", "%(a)q", "50 % of"] {
            assert!(Format::parse(bad).is_err(), "{bad}");
        }
        assert_eq!(Format::parse("%(a)s %(b)d").unwrap().names().collect::<Vec<_>>(), ["a", "b"]);
    }

    #[test]
    fn dates_in_several_formats() {
        let time = OffsetDateTime::from_unix_timestamp(1_795_341_605).unwrap();
        for (format, expected) in [
            ("%Y-%m-%d %H:%M:%S", "2026-11-22 10:00:05"),
            ("%FT%TZ%z %Z", "2026-11-22T10:00:05Z+0000 UTC"),
            ("%a %d %b %y %% %q %", "Sun 22 Nov 26 % %q %"),
        ] {
            assert_eq!(date(format, time), expected);
        }
    }
}
