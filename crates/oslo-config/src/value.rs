//! Conversion of texts to typed values by the rules of `oslo_config.types`, and the text of a value when
//! another option refers to it. Hosts and URIs are in `net.rs`, references in `resolve.rs`.

use crate::{
    decl::{OptDecl, OptionKind},
    net,
    text::{python_float, python_repr, strip},
};

/// A typed value.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum OptionValue {
    /// Not set and no default, or an empty value of a number option.
    Null,
    Str(String),
    Bool(bool),
    Int(i64),
    Float(f64),
    List(Vec<String>),
    Dict(Vec<(String, String)>),
}

impl OptionValue {
    /// Returns `str(value)`, which replaces a reference to the option.
    pub(crate) fn python_text(&self) -> String {
        match self {
            Self::Null => String::new(),
            Self::Str(text) => text.clone(),
            Self::Bool(true) => "True".to_owned(),
            Self::Bool(false) => "False".to_owned(),
            Self::Int(number) => number.to_string(),
            Self::Float(number) => python_float(*number),
            Self::List(items) => {
                let items: Vec<String> = items.iter().map(|item| python_repr(item)).collect();
                format!("[{}]", items.join(", "))
            }
            Self::Dict(pairs) => {
                let pair =
                    |(key, value): &(String, String)| format!("{}: {}", python_repr(key), python_repr(value));
                format!("{{{}}}", pairs.iter().map(pair).collect::<Vec<_>>().join(", "))
            }
        }
    }
}

/// Converts a text to the option's type. For [`OptionKind::MultiStr`], converts one of its texts to a string.
///
/// # Errors
/// A description of the accepted values. This text contains no part of the value, because the option may be a
/// secret.
pub(crate) fn convert(decl: &OptDecl, text: &str) -> Result<OptionValue, String> {
    let read = match decl.kind {
        OptionKind::Str | OptionKind::MultiStr => choice(decl, text).map(OptionValue::Str),
        OptionKind::Bool => boolean(text).map(OptionValue::Bool),
        OptionKind::Int => integer(decl, text, decl.min, decl.max),
        OptionKind::Port => {
            // The limits are repeated here so that a declaration cannot widen the range.
            let (min, max) = (decl.min.unwrap_or(0).max(0), decl.max.unwrap_or(65535).min(65535));
            integer(decl, text, Some(min), Some(max))
        }
        OptionKind::Float => float(decl, text),
        OptionKind::List => list(decl, text).map(OptionValue::List),
        OptionKind::Dict => dict(text).map(OptionValue::Dict),
        OptionKind::HostAddress => net::host_address(text).map(OptionValue::Str),
        OptionKind::Uri => net::uri(text).map(|()| OptionValue::Str(text.to_owned())),
    };
    // the usual reason, in files that other programs would read
    let has_comment = [" #", "\t#", " ;", "\t;"].iter().any(|mark| text.contains(mark));
    read.map_err(
        |reason| if has_comment { reason + "; a comment must be on a line of its own" } else { reason },
    )
}

fn choice(decl: &OptDecl, text: &str) -> Result<String, String> {
    if decl.choices.is_empty() || decl.choices.contains(&text) {
        Ok(text.to_owned())
    } else {
        Err(format!("must be one of {}", decl.choices.join(", ")))
    }
}

fn boolean(text: &str) -> Result<bool, String> {
    match text.to_lowercase().as_str() {
        "true" | "1" | "on" | "yes" => Ok(true),
        "false" | "0" | "off" | "no" => Ok(false),
        _ => Err("must be true or false (also yes/no, on/off, 1/0)".to_owned()),
    }
}

/// Removes underscores between two digits, which is the only place where Python allows them. Other
/// underscores are an error.
fn without_underscores(text: &str) -> Option<String> {
    let bytes = text.as_bytes();
    let digit =
        |index: Option<usize>| index.and_then(|i| bytes.get(i)).is_some_and(|byte| byte.is_ascii_digit());
    for (index, _) in text.match_indices('_') {
        if !digit(index.checked_sub(1)) || !digit(Some(index + 1)) {
            return None;
        }
    }
    Some(text.replace('_', ""))
}

fn whole_number(text: &str) -> Result<i64, String> {
    let plain = without_underscores(strip(text)).ok_or("must be a whole number")?;
    let digits = plain.strip_prefix(['+', '-']).unwrap_or(&plain);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        let has_unit = digits.starts_with(|first: char| first.is_ascii_digit());
        let reason =
            if has_unit { "must be a whole number, without a unit" } else { "must be a whole number" };
        return Err(reason.to_owned());
    }
    plain.parse().map_err(|_| "must be a whole number of at most 64 bits".to_owned())
}

fn integer(decl: &OptDecl, text: &str, min: Option<i64>, max: Option<i64>) -> Result<OptionValue, String> {
    if strip(text).is_empty() {
        return Ok(OptionValue::Null);
    }
    let number = whole_number(text)?;
    if !decl.choices.is_empty() {
        // If there are choices, the limits are not checked, because the choices are within them.
        if decl.choices.iter().any(|choice| whole_number(choice) == Ok(number)) {
            return Ok(OptionValue::Int(number));
        }
        return Err(format!("must be one of {}", decl.choices.join(", ")));
    }
    match (min, max) {
        (Some(min), _) if number < min => Err(format!("must be at least {min}")),
        (_, Some(max)) if number > max => Err(format!("must be at most {max}")),
        _ => Ok(OptionValue::Int(number)),
    }
}

fn float(decl: &OptDecl, text: &str) -> Result<OptionValue, String> {
    let text = strip(text);
    if text.is_empty() {
        return Ok(OptionValue::Null);
    }
    let number: f64 =
        without_underscores(text).and_then(|plain| plain.parse().ok()).ok_or("must be a number")?;
    // This conversion is exact up to 2^53, which is more than any declared limit.
    let limit = |number: i64| number as f64;
    match (decl.min, decl.max) {
        (Some(min), _) if number < limit(min) => Err(format!("must be at least {min}")),
        (_, Some(max)) if number > limit(max) => Err(format!("must be at most {max}")),
        _ => Ok(OptionValue::Float(number)),
    }
}

fn list(decl: &OptDecl, text: &str) -> Result<Vec<String>, String> {
    let text = strip(text).trim_end_matches(',');
    if text.is_empty() {
        return Ok(Vec::new());
    }
    let mut items = Vec::new();
    let mut parts = text.split(',');
    while let Some(first) = parts.next() {
        // An item that is not a choice may be the first part of a choice that contains a comma.
        let mut item = first.to_owned();
        let chosen = loop {
            match choice(decl, strip(&item)) {
                Ok(chosen) => break chosen,
                Err(reason) => match parts.next() {
                    Some(next) => {
                        item.push(',');
                        item.push_str(next);
                    }
                    None => return Err(format!("each item {reason}")),
                },
            }
        };
        items.push(chosen);
    }
    Ok(items)
}

fn dict(text: &str) -> Result<Vec<(String, String)>, String> {
    let text = strip(text);
    let mut pairs: Vec<(String, String)> = Vec::new();
    if text.is_empty() {
        return Ok(pairs);
    }
    let mut parts = text.split(',');
    while let Some(first) = parts.next() {
        // A part without a colon is the first part of a key that contains a comma.
        let mut pair = first.to_owned();
        let (key, value) = loop {
            if let Some((key, value)) = pair.split_once(':') {
                break (strip(key).to_owned(), strip(value).to_owned());
            }
            let Some(next) = parts.next() else {
                return Err("must be NAME:VALUE pairs separated by commas".to_owned());
            };
            pair.push(',');
            pair.push_str(next);
        };
        if key.is_empty() {
            return Err("a pair has no name before the colon".to_owned());
        }
        if pairs.iter().any(|(known, _)| *known == key) {
            return Err("a name appears twice".to_owned());
        }
        pairs.push((key, value));
    }
    Ok(pairs)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONE: &[(&str, &str)] = &[];

    fn read(kind: OptionKind, text: &str) -> Option<OptionValue> {
        convert(&OptDecl::new("g", "o", kind), text).ok()
    }

    fn texts(items: &[&str]) -> Option<OptionValue> {
        Some(OptionValue::List(items.iter().map(|&item| item.to_owned()).collect()))
    }

    fn pairs(items: &[(&str, &str)]) -> Option<OptionValue> {
        let own = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
        Some(OptionValue::Dict(items.iter().map(own).collect()))
    }

    #[test]
    fn booleans() {
        for word in ["true", "TRUE", "1", "On", "yes"] {
            assert_eq!(read(OptionKind::Bool, word), Some(OptionValue::Bool(true)), "{word}");
        }
        for word in ["false", "False", "0", "oFF", "no"] {
            assert_eq!(read(OptionKind::Bool, word), Some(OptionValue::Bool(false)), "{word}");
        }
        for word in ["", " true", "t", "2", "none", "enabled"] {
            assert_eq!(read(OptionKind::Bool, word), None, "{word:?}");
        }
    }

    #[test]
    fn whole_numbers() {
        for (text, number) in [("5", 5), (" +5 ", 5), ("-0", 0), ("0090", 90), ("1_000", 1000)] {
            assert_eq!(read(OptionKind::Int, text), Some(OptionValue::Int(number)), "{text}");
        }
        assert_eq!(read(OptionKind::Int, "  "), Some(OptionValue::Null));
        assert_eq!(read(OptionKind::Int, "9223372036854775807"), Some(OptionValue::Int(i64::MAX)));
        for text in ["5.0", "0x5", "5s", "_5", "5_", "5__0", "--5", "+", "9223372036854775808"] {
            assert_eq!(read(OptionKind::Int, text), None, "{text}");
        }
        let limited = OptDecl::integer("g", "o").min(1).max(5);
        assert_eq!(convert(&limited, "0"), Err("must be at least 1".to_owned()));
        assert_eq!(convert(&limited, "6"), Err("must be at most 5".to_owned()));
        assert_eq!(convert(&limited, "5"), Ok(OptionValue::Int(5)));
        let chosen = OptDecl::integer("g", "o").choices(&["1", "20"]);
        assert_eq!(convert(&chosen, "020"), Ok(OptionValue::Int(20)));
        assert_eq!(convert(&chosen, "2"), Err("must be one of 1, 20".to_owned()));
    }

    #[test]
    fn a_declaration_cannot_widen_the_range_of_ports() {
        assert_eq!(read(OptionKind::Port, "65535"), Some(OptionValue::Int(65535)));
        assert_eq!(read(OptionKind::Port, "0"), Some(OptionValue::Int(0)));
        assert_eq!(read(OptionKind::Port, "65536"), None);
        assert_eq!(read(OptionKind::Port, "-1"), None);
        let wide = OptDecl::port("g", "o").min(-5).max(70000);
        assert!(convert(&wide, "-1").is_err() && convert(&wide, "65536").is_err());
    }

    #[test]
    fn floats() {
        for (text, number) in [("1", 1.0), ("1.", 1.0), (".5", 0.5), ("1_0e-1", 1.0)] {
            assert_eq!(read(OptionKind::Float, text), Some(OptionValue::Float(number)), "{text}");
        }
        assert_eq!(read(OptionKind::Float, "-Infinity"), Some(OptionValue::Float(f64::NEG_INFINITY)));
        assert_eq!(read(OptionKind::Float, ""), Some(OptionValue::Null));
        for text in [".", "1e", "1_e5", "0x1", "1,5"] {
            assert_eq!(read(OptionKind::Float, text), None, "{text}");
        }
        assert!(convert(&OptDecl::float("g", "o").min(1), "0.99").is_err());
    }

    #[test]
    fn strings_and_choices() {
        assert_eq!(read(OptionKind::Str, " a "), Some(OptionValue::Str(" a ".to_owned())));
        let chosen = OptDecl::string("g", "o").choices(&["a", "b,c"]);
        assert_eq!(convert(&chosen, "a"), Ok(OptionValue::Str("a".to_owned())));
        assert_eq!(convert(&chosen, "A"), Err("must be one of a, b,c".to_owned()));
        let listed = OptDecl { kind: OptionKind::List, ..chosen };
        let read = |text| convert(&listed, text).ok();
        assert_eq!(read("a,b,c"), texts(&["a", "b,c"]));
        assert_eq!(read("a,b"), None);
    }

    #[test]
    fn lists() {
        assert_eq!(read(OptionKind::List, ""), texts(&[]));
        assert_eq!(read(OptionKind::List, ",,"), texts(&[]));
        assert_eq!(read(OptionKind::List, " a , b,"), texts(&["a", "b"]));
        assert_eq!(read(OptionKind::List, ",a"), texts(&["", "a"]));
        assert_eq!(read(OptionKind::List, "a, ,"), texts(&["a", ""]));
        assert_eq!(read(OptionKind::List, "a\nb, c"), texts(&["a\nb", "c"]));
        assert_eq!(read(OptionKind::List, "'a', [b]"), texts(&["'a'", "[b]"]));
    }

    #[test]
    fn dictionaries() {
        assert_eq!(read(OptionKind::Dict, " "), pairs(NONE));
        assert_eq!(read(OptionKind::Dict, "b:2 , a: 1:2"), pairs(&[("b", "2"), ("a", "1:2")]));
        assert_eq!(read(OptionKind::Dict, "a,b:1"), pairs(&[("a,b", "1")]));
        for text in ["a", "a:1,b", "a:1,", ":1", "a:1,a:2"] {
            assert_eq!(read(OptionKind::Dict, text), None, "{text}");
        }
    }

    #[test]
    fn a_reference_is_replaced_by_the_text_that_python_prints() {
        assert_eq!(OptionValue::Null.python_text(), "");
        assert_eq!(OptionValue::Bool(true).python_text(), "True");
        assert_eq!(OptionValue::Int(-7).python_text(), "-7");
        assert_eq!(OptionValue::Float(2.0).python_text(), "2.0");
        assert_eq!(texts(&["a", "b's"]).map(|v| v.python_text()), Some("['a', \"b's\"]".into()));
        assert_eq!(pairs(&[("a", "1")]).map(|v| v.python_text()), Some("{'a': '1'}".into()));
    }
}
