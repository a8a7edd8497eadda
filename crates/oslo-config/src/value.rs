//! From text to typed values: the rules of `oslo_config.types`, and how a value prints when another
//! option refers to it. Not here: hosts and URIs (`net.rs`), references (`resolve.rs`).

use crate::{
    decl::{Kind, OptDecl},
    net,
    text::{python_float, python_repr, strip},
};

/// A typed value.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value {
    /// Not set and no default, or a number option set to nothing.
    Null,
    Str(String),
    Bool(bool),
    Int(i64),
    Float(f64),
    List(Vec<String>),
    Dict(Vec<(String, String)>),
}

impl Value {
    /// `str(value)`: what a reference to the option is replaced by.
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

/// Reads one text as the option's type. [`Kind::MultiStr`] reads one of its texts, as a string.
///
/// # Errors
/// What the option accepts. No part of the value is in it, because the option may be a secret.
pub(crate) fn convert(decl: &OptDecl, text: &str) -> Result<Value, String> {
    match decl.kind {
        Kind::Str | Kind::MultiStr => choice(decl, text).map(Value::Str),
        Kind::Bool => boolean(text).map(Value::Bool),
        Kind::Int => integer(decl, text, decl.min, decl.max),
        Kind::Port => {
            // Written in full so that a declaration cannot widen the range.
            let (min, max) = (decl.min.unwrap_or(0).max(0), decl.max.unwrap_or(65535).min(65535));
            integer(decl, text, Some(min), Some(max))
        }
        Kind::Float => float(decl, text),
        Kind::List => list(decl, text).map(Value::List),
        Kind::Dict => dict(text).map(Value::Dict),
        Kind::HostAddress => net::host_address(text).map(Value::Str),
        Kind::Uri => net::uri(text).map(|()| Value::Str(text.to_owned())),
    }
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

/// Takes out underscores between two digits, the only place where Python allows them.
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
        return Err("must be a whole number".to_owned());
    }
    plain.parse().map_err(|_| "must be a whole number of at most 64 bits".to_owned())
}

fn integer(decl: &OptDecl, text: &str, min: Option<i64>, max: Option<i64>) -> Result<Value, String> {
    if strip(text).is_empty() {
        return Ok(Value::Null);
    }
    let number = whole_number(text)?;
    if !decl.choices.is_empty() {
        // With choices the limits are not looked at: the choices are within them.
        if decl.choices.iter().any(|choice| whole_number(choice) == Ok(number)) {
            return Ok(Value::Int(number));
        }
        return Err(format!("must be one of {}", decl.choices.join(", ")));
    }
    match (min, max) {
        (Some(min), _) if number < min => Err(format!("must be at least {min}")),
        (_, Some(max)) if number > max => Err(format!("must be at most {max}")),
        _ => Ok(Value::Int(number)),
    }
}

fn float(decl: &OptDecl, text: &str) -> Result<Value, String> {
    let text = strip(text);
    if text.is_empty() {
        return Ok(Value::Null);
    }
    let number: f64 =
        without_underscores(text).and_then(|plain| plain.parse().ok()).ok_or("must be a number")?;
    // Exact up to 2^53, far beyond any limit that is declared.
    let limit = |number: i64| number as f64;
    match (decl.min, decl.max) {
        (Some(min), _) if number < limit(min) => Err(format!("must be at least {min}")),
        (_, Some(max)) if number > limit(max) => Err(format!("must be at most {max}")),
        _ => Ok(Value::Float(number)),
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
        // An item that is not allowed may be the first half of one that holds a comma.
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
        // A part without a colon is the first half of a key that holds a comma.
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
            return Err("a pair has no name before its colon".to_owned());
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

    fn read(kind: Kind, text: &str) -> Option<Value> {
        convert(&OptDecl::new("g", "o", kind), text).ok()
    }

    fn texts(items: &[&str]) -> Option<Value> {
        Some(Value::List(items.iter().map(|&item| item.to_owned()).collect()))
    }

    fn pairs(items: &[(&str, &str)]) -> Option<Value> {
        let own = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
        Some(Value::Dict(items.iter().map(own).collect()))
    }

    #[test]
    fn booleans() {
        for word in ["true", "TRUE", "1", "On", "yes"] {
            assert_eq!(read(Kind::Bool, word), Some(Value::Bool(true)), "{word}");
        }
        for word in ["false", "False", "0", "oFF", "no"] {
            assert_eq!(read(Kind::Bool, word), Some(Value::Bool(false)), "{word}");
        }
        for word in ["", " true", "t", "2", "none", "enabled"] {
            assert_eq!(read(Kind::Bool, word), None, "{word:?}");
        }
    }

    #[test]
    fn whole_numbers() {
        for (text, number) in [("5", 5), (" +5 ", 5), ("-0", 0), ("0090", 90), ("1_000", 1000)] {
            assert_eq!(read(Kind::Int, text), Some(Value::Int(number)), "{text}");
        }
        assert_eq!(read(Kind::Int, "  "), Some(Value::Null));
        assert_eq!(read(Kind::Int, "9223372036854775807"), Some(Value::Int(i64::MAX)));
        for text in ["5.0", "0x5", "5s", "_5", "5_", "5__0", "--5", "+", "9223372036854775808"] {
            assert_eq!(read(Kind::Int, text), None, "{text}");
        }
        let limited = OptDecl::integer("g", "o").min(1).max(5);
        assert_eq!(convert(&limited, "0"), Err("must be at least 1".to_owned()));
        assert_eq!(convert(&limited, "6"), Err("must be at most 5".to_owned()));
        assert_eq!(convert(&limited, "5"), Ok(Value::Int(5)));
        let chosen = OptDecl::integer("g", "o").choices(&["1", "20"]);
        assert_eq!(convert(&chosen, "020"), Ok(Value::Int(20)));
        assert_eq!(convert(&chosen, "2"), Err("must be one of 1, 20".to_owned()));
    }

    #[test]
    fn ports_stay_in_their_range_whatever_is_declared() {
        assert_eq!(read(Kind::Port, "65535"), Some(Value::Int(65535)));
        assert_eq!(read(Kind::Port, "0"), Some(Value::Int(0)));
        assert_eq!(read(Kind::Port, "65536"), None);
        assert_eq!(read(Kind::Port, "-1"), None);
        let wide = OptDecl::port("g", "o").min(-5).max(70000);
        assert!(convert(&wide, "-1").is_err() && convert(&wide, "65536").is_err());
    }

    #[test]
    fn floats() {
        for (text, number) in [("1", 1.0), ("1.", 1.0), (".5", 0.5), ("1_0e-1", 1.0)] {
            assert_eq!(read(Kind::Float, text), Some(Value::Float(number)), "{text}");
        }
        assert_eq!(read(Kind::Float, "-Infinity"), Some(Value::Float(f64::NEG_INFINITY)));
        assert_eq!(read(Kind::Float, ""), Some(Value::Null));
        for text in [".", "1e", "1_e5", "0x1", "1,5"] {
            assert_eq!(read(Kind::Float, text), None, "{text}");
        }
        assert!(convert(&OptDecl::float("g", "o").min(1), "0.99").is_err());
    }

    #[test]
    fn strings_and_choices() {
        assert_eq!(read(Kind::Str, " a "), Some(Value::Str(" a ".to_owned())));
        let chosen = OptDecl::string("g", "o").choices(&["a", "b,c"]);
        assert_eq!(convert(&chosen, "a"), Ok(Value::Str("a".to_owned())));
        assert_eq!(convert(&chosen, "A"), Err("must be one of a, b,c".to_owned()));
        let listed = OptDecl { kind: Kind::List, ..chosen };
        let read = |text| convert(&listed, text).ok();
        assert_eq!(read("a,b,c"), texts(&["a", "b,c"]));
        assert_eq!(read("a,b"), None);
    }

    #[test]
    fn lists() {
        assert_eq!(read(Kind::List, ""), texts(&[]));
        assert_eq!(read(Kind::List, ",,"), texts(&[]));
        assert_eq!(read(Kind::List, " a , b,"), texts(&["a", "b"]));
        assert_eq!(read(Kind::List, ",a"), texts(&["", "a"]));
        assert_eq!(read(Kind::List, "a, ,"), texts(&["a", ""]));
        assert_eq!(read(Kind::List, "a\nb, c"), texts(&["a\nb", "c"]));
        assert_eq!(read(Kind::List, "'a', [b]"), texts(&["'a'", "[b]"]));
    }

    #[test]
    fn dictionaries() {
        assert_eq!(read(Kind::Dict, " "), pairs(NONE));
        assert_eq!(read(Kind::Dict, "b:2 , a: 1:2"), pairs(&[("b", "2"), ("a", "1:2")]));
        assert_eq!(read(Kind::Dict, "a,b:1"), pairs(&[("a,b", "1")]));
        for text in ["a", "a:1,b", "a:1,", ":1", "a:1,a:2"] {
            assert_eq!(read(Kind::Dict, text), None, "{text}");
        }
    }

    #[test]
    fn a_reference_sees_what_python_prints() {
        assert_eq!(Value::Null.python_text(), "");
        assert_eq!(Value::Bool(true).python_text(), "True");
        assert_eq!(Value::Int(-7).python_text(), "-7");
        assert_eq!(Value::Float(2.0).python_text(), "2.0");
        assert_eq!(texts(&["a", "b's"]).map(|v| v.python_text()), Some("['a', \"b's\"]".into()));
        assert_eq!(pairs(&[("a", "1")]).map(|v| v.python_text()), Some("{'a': '1'}".into()));
    }
}
