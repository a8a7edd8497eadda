//! Compares this crate with oslo.config on generated files and declarations.
//!
//! Runs `oracle.py` with the Python interpreter in `FREEZER_TEST_PYTHON`, which must have oslo.config 10.7.0.
//! Without this variable the comparison is skipped. Seeds are fixed, so a failure repeats.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a test may panic and print"
)]

mod generate;

use std::{
    io::Write,
    process::{Command, Stdio},
};

use oslo_config::{Config, Error, OptDecl, OptionKind, sample};
use serde_json::{Value, json};

use generate::{Case, case, sampled};

fn described(decl: &OptDecl) -> Value {
    json!({
        "group": decl.group, "name": decl.name, "kind": format!("{:?}", decl.kind),
        "default": decl.default, "help": decl.help, "required": decl.required,
        "choices": decl.choices, "min": decl.min, "max": decl.max,
        "deprecated": decl.deprecated, "sample_default": decl.sample_default,
        "advanced": decl.advanced,
    })
}

fn ask(python: &str, question: &Value) -> Value {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/oracle.py");
    let mut child = Command::new(python)
        .arg(script)
        .env("PYTHONUTF8", "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("FREEZER_TEST_PYTHON must name a Python interpreter");
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(question.to_string().as_bytes()).unwrap();
    drop(stdin);
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "oracle.py failed; does that Python have oslo.config 10.7.0?");
    serde_json::from_slice(&output.stdout).unwrap()
}

fn ours(config: &Config, decl: &OptDecl) -> Result<Value, Error> {
    let none = json!(["none", null]);
    let tag = |kind: &str, value: Value| json!([kind, value]);
    Ok(match decl.kind {
        OptionKind::Bool => config.bool(decl)?.map_or(none, |v| tag("bool", json!(v))),
        OptionKind::Int => config.int(decl)?.map_or(none, |v| tag("int", json!(v.to_string()))),
        OptionKind::Port => config.port(decl)?.map_or(none, |v| tag("int", json!(v.to_string()))),
        OptionKind::Float => config.float(decl)?.map_or(none, |v| tag("float", json!(format!("{v:?}")))),
        OptionKind::List => config.list(decl)?.map_or(none, |v| tag("list", json!(v))),
        OptionKind::MultiStr => config.multi(decl)?.map_or(none, |v| tag("list", json!(v))),
        OptionKind::Dict => config
            .dict(decl)?
            .map_or(none, |v| tag("dict", v.into_iter().map(|(key, value)| json!([key, value])).collect())),
        _ => config.string(decl)?.map_or(none, |v| tag("str", json!(v))),
    })
}

/// Returns whether two values are equal. Floats may be written with different digits.
fn same(theirs: &Value, ours: &Value) -> bool {
    let float = |value: &Value| -> Option<u64> {
        let number: f64 = value.as_array()?.get(1)?.as_str()?.parse().ok()?;
        (value[0] == "float").then(|| if number.is_nan() { 0 } else { number.to_bits() })
    };
    match (float(theirs), float(ours)) {
        (None, None) => theirs == ours,
        (theirs, ours) => theirs == ours,
    }
}

/// Returns whether oslo.config stopped at a reference to an undeclared option that a file sets. This crate
/// uses the text of the file.
fn is_lenient_reference(theirs: &Value, config: &Config, case: &Case) -> bool {
    let Some(name) = theirs["name"].as_str() else { return false };
    let set = config.unknown(&[]);
    match theirs["error"].as_str() {
        Some("NoSuchOptError") => {
            let option = name.rsplit('.').next().unwrap_or(name);
            set.iter().any(|set| set.name == option)
        }
        Some("NoSuchGroupError") => {
            name == "DEFAULT"
                || set.iter().any(|set| set.group == name.to_lowercase())
                // If a group is declared in another case, oslo.config compares names exactly.
                || case.decls.iter().any(|decl| decl.group.to_lowercase() == name)
        }
        _ => false,
    }
}

/// Returns the case's configuration without undeclared options. oslo.config never reads them, and here they
/// are only used by references. If they are the only cause of a difference, the results are equal without
/// them.
fn declared_only(config: &Config, case: &Case) -> Config {
    let decls: Vec<&OptDecl> = case.decls.iter().collect();
    let unknown = config.unknown(&decls);
    let kept: Vec<(String, String)> = (0..case.texts.len())
        .map(|index| {
            let name = index.to_string();
            let text = case.texts[index].replace("\r\n", "\n").replace('\r', "\n");
            let mut dropping = false;
            let keep = text.split('\n').enumerate().filter(|(number, line)| {
                let continues = line.starts_with([' ', '\t']) && !line.trim().is_empty();
                dropping =
                    (dropping && continues) || unknown.iter().any(|u| u.file == name && u.line == number + 1);
                !dropping
            });
            (name.clone(), keep.map(|(_, line)| format!("{line}\n")).collect())
        })
        .collect();
    let texts: Vec<(&str, &str)> = kept.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
    Config::from_texts(&texts, &case.env).unwrap().declare(&decls)
}

/// Returns whether both results are the same value, or errors of the same kind.
fn agrees(theirs: &Value, ours: &Result<Value, Error>) -> bool {
    let error = theirs["error"].as_str().unwrap_or("none");
    match ours {
        Ok(value) => same(&theirs["ok"], value),
        Err(Error::UnknownReference { .. }) => error == "NoSuchOptError",
        Err(Error::UnknownGroup { .. }) => error == "NoSuchGroupError",
        Err(Error::GroupReference { .. }) => error == "TemplateSubstitutionError",
        Err(Error::ReferenceLoop { .. }) => error == "RecursionError",
        Err(Error::BadValue { .. }) => error.ends_with("ValueError"),
        Err(_) => false,
    }
}

/// Returns whether oslo.config accepted a line feed at the end of a label of a host name.
fn is_line_feed_in_host(theirs: &Value, ours: &Result<Value, Error>) -> bool {
    matches!(ours, Err(Error::BadValue { .. }))
        && theirs["ok"][1].as_str().is_some_and(|text| text.contains('\n'))
}

#[derive(Default, Debug)]
struct Count {
    files_refused: usize,
    values: usize,
    errors: usize,
    lenient: usize,
    line_feeds: usize,
}

fn compare(case: &Case, theirs: &Value, count: &mut Count) -> Result<(), String> {
    let names: Vec<String> = (0..case.texts.len()).map(|index| index.to_string()).collect();
    let texts: Vec<(&str, &str)> =
        names.iter().zip(&case.texts).map(|(name, text)| (name.as_str(), text.as_str())).collect();
    let decls: Vec<&OptDecl> = case.decls.iter().collect();
    let loaded = Config::from_texts(&texts, &case.env).map(|config| config.declare(&decls));
    let Some(values) = theirs["ok"].as_array() else {
        // The whole file is rejected because of a syntax error or a required option.
        let required: Vec<&OptDecl> = decls.into_iter().filter(|decl| decl.required).collect();
        let by_parse = theirs["error"] == "ConfigFileParseError";
        count.files_refused += 1;
        return match loaded {
            Err(_) if by_parse => Ok(()),
            Ok(config) if !by_parse && !config.check(&required).is_empty() => Ok(()),
            Ok(config) if is_lenient_reference(theirs, &config, case) => Ok(()),
            other => Err(format!("rejected by oslo.config: {theirs}, accepted here: {other:?}")),
        };
    };
    let config = loaded.map_err(|error| format!("rejected here only: {error}"))?;
    let mut wrong = Vec::new();
    for (decl, theirs) in case.decls.iter().zip(values) {
        let ours = ours(&config, decl);
        if agrees(theirs, &ours) {
            *(if ours.is_ok() { &mut count.values } else { &mut count.errors }) += 1;
        } else if is_lenient_reference(theirs, &config, case)
            || agrees(theirs, &self::ours(&declared_only(&config, case), decl))
        {
            count.lenient += 1;
        } else if is_line_feed_in_host(theirs, &ours) {
            count.line_feeds += 1;
        } else {
            wrong.push(format!("[{}] {}\n  oslo.config: {theirs}\n  here: {ours:?}", decl.group, decl.name));
        }
    }
    if wrong.is_empty() { Ok(()) } else { Err(wrong.join("\n")) }
}

#[test]
fn values_and_errors_equal_those_of_oslo_config() {
    let Ok(python) = std::env::var("FREEZER_TEST_PYTHON") else {
        println!("skipped: FREEZER_TEST_PYTHON is not set");
        return;
    };
    const SEEDS: std::ops::Range<u64> = 0..3000;
    println!("seeds {SEEDS:?}");
    let cases: Vec<Case> = SEEDS.map(case).collect();
    let asked: Vec<Value> = cases
        .iter()
        .map(|case| {
            let env: serde_json::Map<String, Value> =
                case.env.iter().map(|(name, value)| (name.clone(), json!(value))).collect();
            let decls: Vec<Value> = case.decls.iter().map(described).collect();
            json!({ "texts": case.texts, "env": env, "decls": decls })
        })
        .collect();
    let answers = ask(&python, &json!({ "cases": asked, "samples": [] }));
    let mut count = Count::default();
    let mut failures = Vec::new();
    for (case, theirs) in cases.iter().zip(answers["cases"].as_array().unwrap()) {
        if let Err(difference) = compare(case, theirs, &mut count) {
            let decls: Vec<String> = case.decls.iter().map(|d| described(d).to_string()).collect();
            failures.push(format!(
                "seed {}\n{difference}\ntexts {:?}\nenv {:?}\n{}",
                case.seed,
                case.texts,
                case.env,
                decls.join("\n")
            ));
        }
    }
    println!("{count:?}, {} cases differ", failures.len());
    assert!(failures.is_empty(), "{}", failures[..failures.len().min(5)].join("\n\n"));
    assert!(count.values > 5000 && count.errors > 1000 && count.files_refused > 100, "{count:?}");
    assert!(count.lenient * 20 < count.values, "{count:?}");
}

#[test]
fn samples_equal_those_of_oslo_config() {
    let Ok(python) = std::env::var("FREEZER_TEST_PYTHON") else {
        println!("skipped: FREEZER_TEST_PYTHON is not set");
        return;
    };
    const SEEDS: std::ops::Range<u64> = 0..300;
    println!("seeds {SEEDS:?}");
    let sets: Vec<Vec<OptDecl>> = SEEDS.map(sampled).collect();
    let asked: Vec<Vec<Value>> = sets.iter().map(|set| set.iter().map(described).collect()).collect();
    let answers = ask(&python, &json!({ "cases": [], "samples": asked }));
    for (seed, (set, theirs)) in sets.iter().zip(answers["samples"].as_array().unwrap()).enumerate() {
        let options: Vec<&OptDecl> = set.iter().collect();
        let group =
            sample::Group { name: "svc", help: "About the group.", source: "oracle", options: &options };
        assert_eq!(sample::render(&[group]), theirs.as_str().unwrap(), "seed {seed}");
    }
}
