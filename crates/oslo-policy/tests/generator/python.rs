//! Generates left sides and templates, supported and unsupported.

use serde_json::{Value as Json, json};

use super::KINDS;
use super::caller::some_of;
use crate::support::Random;

/// Generates a left side: a name, a literal or any Python expression.
pub fn kind(random: &mut Random) -> String {
    const PARTS: [&str; 92] = [
        "a",
        "b1",
        "_x",
        "user_id",
        "é",
        "None",
        "True",
        "False",
        "set",
        "class",
        "is",
        "in",
        "not",
        "and",
        "or",
        "if",
        "else",
        "for",
        "lambda",
        "await",
        "yield",
        "0",
        "1",
        "42",
        "007",
        "00",
        "1_0",
        "1_",
        "1__0",
        "0x1F",
        "0X_f",
        "0o17",
        "0b101",
        "0b2",
        "1.5",
        "1.",
        ".5",
        "1e3",
        "1E-7",
        "1e",
        "1e16",
        "1e400",
        "2j",
        "1.5J",
        "1e22j",
        "12345678901234567890123",
        "0xffffffffffffffffffff",
        "'a'",
        "\"b\"",
        "''",
        "'it\\'s'",
        "'\\x41'",
        "'\\x4'",
        "'\\u00e9'",
        "'\\101'",
        "'\\q'",
        "r'\\n'",
        "b'x'",
        "b'\\xff'",
        "b'é'",
        "u'é'",
        "f'x'",
        "'''t'''",
        "'open",
        "rb'\\x'",
        "'\\n\\t\"'",
        "(",
        ")",
        "[",
        "]",
        "{",
        "}",
        ",",
        ",",
        ".",
        "...",
        "+",
        "-",
        "-",
        "*",
        "**",
        "~",
        "/",
        "%",
        "@",
        "&",
        "|",
        "<<",
        "<",
        "==",
        "=",
        "!",
    ];
    let mut text = String::new();
    match random.below(5) {
        0 => text.push_str(random.pick(&KINDS)),
        1 | 2 => text = literal(random, 3),
        _ => {
            for _ in 0..=random.below(5) {
                text.push_str(random.pick(&PARTS));
                if random.percent(20) {
                    text.push_str(random.pick(&[" ", "\t", " ", "#"]));
                }
            }
        }
    }
    text.retain(|c| c != ':');
    text
}

/// Generates Python that is mostly well-formed: literals and some other expressions.
fn literal(random: &mut Random, depth: usize) -> String {
    if depth == 0 || random.percent(30) {
        let atoms = [
            "None",
            "True",
            "1",
            "0",
            "12",
            "1.5",
            "1e100",
            "-3",
            "+4",
            "-0",
            "-0.0",
            "2j",
            "-2j",
            "1+2j",
            "-1.5-3j",
            "0-0j",
            "1-0.0j",
            "'x'",
            "\"it's\"",
            "'\"'",
            "'\\\\'",
            "b''",
            "...",
            "set()",
            "'é\u{200b}'",
            "'\\x7f'",
            "name",
            "-True",
            "1+1",
            "2j+1",
            "--1",
            "not 1",
            "1if 0else 2",
            "f(1)",
            "a.b",
            "'a' 'b'",
            "'a'b'c'",
            "b'a'b'c'",
            "~1",
            "1<2",
            "x[0]",
            "{**a}",
            "[*a]",
            "(yield)",
            "await x",
            "f(a=1)",
            "f(a=1,2)",
            "f(*a,**k)",
            "[i for i in x]",
            "1 is 1",
        ];
        return random.pick(&atoms).to_owned();
    }
    let length = random.below(4);
    let items: Vec<_> = (0..length).map(|_| literal(random, depth - 1)).collect();
    let joined = items.join(random.pick(&[",", ", "]));
    match random.below(6) {
        0 => format!("[{joined}]"),
        1 if length == 1 => format!("({joined},)"),
        1 => format!("({joined})"),
        2 if length == 1 => format!("{{{joined}}}"),
        3 => format!("[{joined},]"),
        4 => joined,
        _ => format!("({joined})"),
    }
}

/// Generates a right side: half of them are supported.
pub fn template(random: &mut Random) -> String {
    let mut text = String::new();
    if random.percent(50) {
        for _ in 0..=random.below(3) {
            text.push_str(random.pick(&["x", "%%", "é", "%(", "%(", "%(", "%("]));
            if text.ends_with('(') {
                text.push_str(random.pick(&[
                    "int", "neg", "big", "float", "small", "str", "none", "bool", "list", "dict", "char",
                    "missing", "a.b", "",
                ]));
                text.push_str(")s");
            }
        }
        return text;
    }
    for _ in 0..random.below(4) {
        match random.below(8) {
            0 => text.push_str(random.pick(&["x", "a b", "%%", "é", "(", ")", ":", "5"])),
            1 => text.push_str(random.pick(&["%", "%(", "%()s", "%(a", "%(int)", "%s", "%d", "%*d", "%z"])),
            _ => {
                text.push('%');
                if random.percent(93) {
                    let key = random.pick(&[
                        "int", "int", "neg", "big", "float", "float", "small", "str", "str", "none", "bool",
                        "list", "dict", "char", "missing", "a.b", "(x)", "",
                    ]);
                    text.push_str(&format!("({key})"));
                }
                for _ in 0..random.below(3) {
                    text.push_str(random.pick(&["", "-", "+", " ", "#", "0"]));
                }
                text.push_str(random.pick(&["", "", "", "5", "12", "1", "*", "99999999999999999999"]));
                text.push_str(random.pick(&["", "", "", ".2", ".0", ".", ".10", ".*"]));
                text.push_str(random.pick(&["", "", "", "l", "h", "ll"]));
                text.push_str(random.pick(&[
                    "s", "s", "s", "s", "r", "a", "d", "d", "i", "u", "x", "X", "o", "e", "E", "f", "F", "g",
                    "G", "c", "%", "z", "",
                ]));
            }
        }
    }
    text
}

pub fn template_target(random: &mut Random) -> Json {
    let all = json!({
        "int": random.pick(&[0, 1, 7, 65, 255, 1_000_000]),
        "neg": random.pick(&[-1, -42]),
        "big": u64::MAX,
        "float": random.pick(&[0.0, -0.0, 1.0, 0.5, 2.5, -1.25, 3.99999, 123_456.789, 1e15, 1e16, 1e22]),
        "small": random.pick(&[1e-4, 1e-5, 1.5e-10, 0.000_123_456, 5e-324, 1e300]),
        "str": random.pick(&["", "abc", "it's", "\"q\"'", "é\u{301}\u{200b}", "a\nb\t\\", "\u{1f600}"]),
        "none": null,
        "bool": random.percent(50),
        "list": [1, "x", [null, true], {"k": 1.5}],
        "dict": {"k": ["v"], "é": "é"},
        "char": random.pick(&["x", "é"]),
        "a.b": "flat",
        "(x)": "brackets",
        "": "empty",
    });
    some_of(random, 92, all)
}
