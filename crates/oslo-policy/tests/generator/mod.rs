//! Generates policies, credentials and targets for the differential test. Some of them are malformed.
#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod caller;
mod python;

use serde_json::{Value as Json, json};

use crate::support::Random;
use caller::{credentials, target};
pub use python::{kind, template, template_target};

/// One generated case.
#[derive(Debug)]
pub struct Policy {
    /// The text of the policy file, if there is one.
    pub file: Option<String>,
    /// Names and texts of the files in the policy directory.
    pub directory: Vec<(&'static str, String)>,
    /// The rules that the service declares, in the form that the oracle accepts.
    pub defaults: Vec<Json>,
    pub default_rule: &'static str,
    pub enforce_new_defaults: bool,
    /// Triples of rule, target and credentials.
    pub queries: Vec<Json>,
}

const RULES: [&str; 9] = ["r0", "r1", "r2", "jobs:get", "old0", "old:1", "default", "fallback", "ghost"];

pub fn policy(random: &mut Random) -> Policy {
    let mut defaults = Vec::new();
    for name in &RULES[..5] {
        if random.percent(60) {
            defaults.push(default(random, name));
        }
    }
    let file = random.percent(85).then(|| file(random));
    let mut directory = Vec::new();
    if random.percent(25) {
        for name in ["10-a.yaml", "9-b.json", ".hidden", "z~"] {
            if random.percent(50) {
                directory.push((name, self::file(random)));
            }
        }
    }
    let default_rule = random.pick(&["default", "default", "default", "fallback", "ghost", "r0", ""]);
    let queries = (0..6).map(|_| json!([random.pick(&RULES), target(random), credentials(random)])).collect();
    let enforce_new_defaults = random.percent(50);
    Policy { file, directory, defaults, default_rule, enforce_new_defaults, queries }
}

fn default(random: &mut Random, name: &str) -> Json {
    let check = text(random);
    let scopes = random.pick::<&[&str]>(&[&[], &[], &["project"], &["system", "domain"], &["system"]]);
    let mut default = json!({"name": name, "check_str": check, "scope_types": scopes});
    if random.percent(50) {
        let old_name = random.pick(&[name, "old0", "old:1"]);
        let old_check = if random.percent(20) { check } else { text(random) };
        default["deprecated"] =
            json!({"name": old_name, "check_str": old_check, "reason": "r", "since": "s"});
    }
    default
}

fn file(random: &mut Random) -> String {
    match random.below(40) {
        0 => return random.pick(&["", "# nothing\n", "[]", "{}", "---\n", "null", "~"]).to_owned(),
        1 => return random.pick(&["- a\n", "text", "5", "a: b: c\n", "a: [\n", "{\"a\": \"b\""]).to_owned(),
        _ => {}
    }
    let json = random.percent(30);
    let mut lines = Vec::new();
    for name in RULES {
        if random.percent(35) {
            lines.push(entry(random, name, json));
        }
        if random.percent(2) {
            lines.push(entry(random, name, json));
        }
    }
    if json {
        return format!("{{\n  {}\n}}\n", lines.join(",\n  "));
    }
    let mut text = String::new();
    for line in lines {
        if random.percent(20) {
            text.push_str("# a comment: \"x\"\n\n");
        }
        text.push_str(&line);
        text.push('\n');
    }
    text
}

/// A policy file, with a few characters changed.
pub fn damaged_file(random: &mut Random) -> String {
    const CHARACTERS: [&str; 40] = [
        "\t", "\n", " ", "  ", ":", ": ", "-", "- ", "#", " #", "\"", "'", "!", "!!str ", "&a ", "*a", "|",
        ">", "|\n  ", "%", "@", "`", "?", "? ", "[", "]", "{", "}", ",", "<<: ", "~", "null", "0", "no", "=",
        "\\", "\r\n", "---\n", "...\n", "\u{a0}",
    ];
    let mut text: Vec<char> = file(random).chars().collect();
    for _ in 0..=random.below(3) {
        let at = random.below(text.len() + 1);
        let end = (at + random.below(3)).min(text.len());
        let inserted = if random.percent(75) { random.pick(&CHARACTERS) } else { "" };
        text.splice(at..end, inserted.chars());
    }
    text.into_iter().collect()
}

fn entry(random: &mut Random, name: &str, json: bool) -> String {
    let value = value(random);
    let quoted_name = Json::from(name).to_string();
    if json {
        return format!("{quoted_name}: {value}");
    }
    let name = if random.percent(50) { name } else { quoted_name.as_str() };
    match &value {
        Json::String(text) => match random.below(10) {
            0..4 => format!("{name}: {value}"),
            4..6 => format!("{name}: '{}'", text.replace('\'', "''")),
            6 if !text.trim().is_empty() && !text.starts_with(char::is_whitespace) => {
                format!("{name}: >-\n  {text}")
            }
            6 | 7 => format!("{name}: \"{}\"", text.replace('\\', "\\\\").replace('"', "\\x22")),
            _ if is_refused_unquoted(text) => format!("{name}: {value}"),
            // Without quotes, this is often not YAML.
            _ => format!("{name}: {text}"),
        },
        _ => format!("{name}: {value}"),
    }
}

/// Returns whether an unquoted text is a deliberate difference: a tag, or a text that starts like a number.
fn is_refused_unquoted(text: &str) -> bool {
    text.trim_start()
        .starts_with(|c: char| c.is_ascii_digit() || matches!(c, '!' | '+' | '-' | '.' | '=' | '?'))
}

/// A rule as a file contains it.
fn value(random: &mut Random) -> Json {
    match random.below(100) {
        0 => random.pick(&[Some(1), None, None, None]).map_or(Json::Null, Json::from),
        1..11 => list(random),
        _ => Json::from(text(random)),
    }
}

fn list(random: &mut Random) -> Json {
    let mut outer = Vec::new();
    for _ in 0..random.below(4) {
        let inner = match random.below(20) {
            0 => json!([]),
            1 => json!(""),
            2..8 => Json::from(check(random)),
            _ => {
                let length = random.below(4);
                (0..length)
                    .map(|_| match random.below(80) {
                        0 => json!(7),
                        1 => json!([check(random)]),
                        2..5 => json!(""),
                        5..15 => Json::from(text(random)),
                        _ => Json::from(check(random)),
                    })
                    .collect()
            }
        };
        outer.push(inner);
    }
    Json::Array(outer)
}

/// A rule of the policy language, damaged now and then.
fn text(random: &mut Random) -> String {
    let mut text = match random.below(20) {
        0 => random
            .pick(&["", " ", "()", "and", "not", "( )", "\t", "'x'", "(\"a:b\")", "@@", "!!", "@ !"])
            .to_owned(),
        _ => {
            let depth = random.below(4);
            expression(random, depth)
        }
    };
    if random.percent(4) {
        let characters: Vec<char> = text.chars().collect();
        let at = random.below(characters.len() + 1);
        let (before, after) = characters.split_at(at);
        let middle =
            random.pick(&["(", ")", " ", "\"", "'", ":", "%", " and ", " not ", "@", "é", "", "%(", "x"]);
        let drop = usize::from(random.percent(50)).min(after.len());
        text = before.iter().collect::<String>() + middle + &after[drop..].iter().collect::<String>();
    }
    text
}

fn expression(random: &mut Random, depth: usize) -> String {
    if depth == 0 {
        return check(random);
    }
    let space = |random: &mut Random| random.pick(&[" ", " ", " ", "  ", "   "]);
    match random.below(10) {
        0..2 => {
            let not = random.pick(&["not", "not", "NOT", "Not"]);
            format!("{not}{}{}", space(random), expression(random, depth - 1))
        }
        2..5 => {
            let inner = expression(random, depth - 1);
            match random.below(4) {
                0 => format!("( {inner} )"),
                1 => format!("({inner} )"),
                2 => format!("(({inner}))"),
                _ => format!("({inner})"),
            }
        }
        _ => {
            let mut text = expression(random, depth - 1);
            for _ in 0..=random.below(3) {
                let word = random.pick(&["and", "and", "or", "or", "AND", "Or"]);
                let (left, right) = (space(random), space(random));
                text = format!("{text}{left}{word}{right}{}", expression(random, depth - 1));
            }
            text
        }
    }
}

/// Left and right sides that oslo.policy loads and this crate refuses.
const UNSUPPORTED: [&str; 27] = [
    "class:x",
    "a..b:x",
    "0x10:16",
    "[1]:[1]",
    "(1,):x",
    "b'x':x",
    ":x",
    "'un:x",
    "$x:x",
    "1.50:1.5",
    "'a''b':ab",
    "a:%",
    "a:%(",
    "a:%(project_id",
    "a:%(project_id)",
    "a:%(project_id)5s",
    "a:%s",
    "a:%d",
    "user_id:%(int)05d",
    "a:%(int)x",
    "a:%(float).2f",
    "a:%(user_id)d",
    "a:%(none)r",
    "a:%(project_id).1s",
    "role:%(user_id)d",
    "role:%(role",
    "http://h/%(int",
];

const MATCHES: [&str; 34] = [
    "%(project_id)s",
    "%(project_id)s",
    "%(project_id)s",
    "%(user_id)s",
    "%(user_id)s",
    "%(missing)s",
    "%(a.b)s",
    "%(int)s",
    "%(bool)s",
    "%(none)s",
    "%(list)s",
    "%(dict)s",
    "%(float)s",
    "p1",
    "u1",
    "True",
    "False",
    "None",
    "1",
    "1.5",
    "admin",
    "Member",
    "member",
    "x",
    "all",
    "d1",
    "",
    "%%",
    "x:%(project_id)s",
    "p%(int)s",
    "deep",
    "['x', 1]",
    "{'b':",
    "16",
];

const KINDS: [&str; 44] = [
    "project_id",
    "project_id",
    "project_id",
    "user_id",
    "user_id",
    "is_admin",
    "is_admin_project",
    "None",
    "True",
    "False",
    "1",
    "1.5",
    "'Member'",
    "\"x\"",
    "'admin'",
    "token.project.id",
    "token.project.id",
    "a.b",
    "a.b.c",
    "a",
    "list",
    "list.name",
    "list.tags",
    "roles",
    "service_roles",
    "deep.list.k",
    "system",
    "system_scope",
    "domain_id",
    "missing",
    "missing.x",
    "user_id.x",
    "none",
    "none.x",
    "int",
    "int.x",
    "-1",
    "user-id",
    "Role",
    "ROLE",
    "'x-y'",
    "\"\"",
    "matrix.k",
    "float",
];

fn check(random: &mut Random) -> String {
    if random.percent(1) {
        return random.pick(&UNSUPPORTED).to_owned();
    }
    match random.below(20) {
        0 => random.pick(&["@", "@", "!"]).to_owned(),
        1 => random
            .pick(&["admin", "a:", "'q'", "''", "'", "a(b", "a::", "@@", "user_id", "'x':", "a:b:c", "a:'x'"])
            .to_owned(),
        2..7 => {
            let role = random.pick(&[
                "admin",
                "Admin",
                "MEMBER",
                "member",
                "reader",
                "service",
                "%(role)s",
                "%(missing)s",
                "",
                "Éditeur",
                "ÉDITEUR",
                "%(int)s",
                "a",
                "100%%",
            ]);
            format!("role:{role}")
        }
        7..11 => format!("rule:{}", random.pick(&[RULES.as_slice(), &["nowhere", ""]].concat())),
        11 => {
            let scheme = random.pick(&["http", "https"]);
            let path =
                random.pick(&["allow", "no", "slow", "%(project_id)s/allow", "%(missing)s/allow", "a%%20b"]);
            format!("{scheme}://h/{path}")
        }
        _ => {
            let kind = random.pick(&KINDS);
            let matched = loop {
                // A space would end the check.
                let matched = random.pick(&MATCHES);
                if !matched.contains(' ') {
                    break matched;
                }
            };
            format!("{kind}:{matched}")
        }
    }
}
