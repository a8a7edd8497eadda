//! `freezer-manage config`: prints the sample file, and checks the configuration. What the service does not start with is
//! found by `prepare.rs`, which the start uses as well; options that are unknown or without effect by `config/findings.rs`.

use std::io::Write;

use freezer_store::maintenance::Verdict;
use oslo_config::{Config, Origin, Setting, Sources, UnknownOption};
use serde_json::{Value, json};

use super::{connect, prepare};
use crate::config::{self, ConfigError, Finding, Places, Settings, declarations};

/// Prints every option, commented out, as oslo-config-generator lays it out.
///
/// # Errors
/// Where the output cannot be written.
pub fn print_sample(out: &mut impl Write) -> std::io::Result<()> {
    out.write_all(config::sample().as_bytes())
}

/// Looks at the configuration and prints what there is to say about it; gives the worst.
///
/// # Errors
/// Where the output cannot be written.
pub async fn check(
    sources: &Sources,
    connect: bool,
    as_json: bool,
    out: &mut impl Write,
) -> std::io::Result<Verdict> {
    let findings = findings(sources, connect).await;
    let worst = findings.iter().map(|finding| finding.verdict).max().unwrap_or(Verdict::Success);
    if as_json {
        let findings: Vec<Value> = findings.iter().map(as_value).collect();
        writeln!(out, "{:#}", json!({"verdict": worst, "findings": findings}))?;
        return Ok(worst);
    }
    for finding in &findings {
        writeln!(out, "{:<8} {finding}", severity(finding.verdict))?;
    }
    if findings.is_empty() {
        writeln!(out, "nothing is wrong with the configuration")?;
    }
    Ok(worst)
}

fn severity(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Success => "note",
        Verdict::Warning => "warning",
        Verdict::Failure => "failure",
    }
}

fn as_value(Finding { verdict, kind, place, message }: &Finding) -> Value {
    json!({
        "severity": severity(*verdict),
        "kind": kind,
        "group": place.as_ref().map(|place| &place.group),
        "option": place.as_ref().map(|place| &place.name),
        "file": place.as_ref().map(|place| &place.file),
        "line": place.as_ref().map(|place| place.line),
        // behind the name of the option, a text would begin with its value
        "message": message.strip_prefix(" = ").unwrap_or(message).trim_start(),
    })
}

/// Returns every finding: failures, then what the start would warn about, then notes. With `connect`, the database and
/// Keystone are asked as well, unless there is a failure.
pub async fn findings(sources: &Sources, connect: bool) -> Vec<Finding> {
    let settings = match Settings::load(sources) {
        Ok(settings) => settings,
        Err(error) => {
            let config = Config::load(sources).map(|config| config.declare(&declarations()));
            let places = config.as_ref().map(Places::of).unwrap_or_default();
            let mut found = match error.unlocated() {
                ConfigError::Options(errors) => errors.iter().map(of_option).collect(),
                error => vec![failure(error.to_string())],
            };
            found = found.into_iter().map(|finding| places.locate(finding)).collect();
            if let Ok(config) = config {
                found.extend(config::of_options(&config));
            }
            return found;
        }
    };
    let refusals = prepare::refusals(&settings).await;
    let refusals = refusals.iter().map(|refusal| settings.places.locate(failure(refusal.to_string())));
    let mut found: Vec<Finding> = refusals.collect();
    if connect && found.is_empty() {
        found.extend(connect::findings(&settings).await);
    }
    found.extend(prepare::warnings(&settings));
    found.extend(settings.remarks);
    found
}

/// The finding about a value that does not fit its option.
fn of_option(error: &oslo_config::Error) -> Finding {
    let text = error.to_string();
    let Some(Setting { group, option, origin: Origin::File { file, line } }) = error.setting() else {
        return failure(text);
    };
    let prefix = format!("{file}:{line}: [{group}] {option}");
    let message = text.strip_prefix(&prefix).map_or(text.clone(), str::to_owned);
    let place = UnknownOption { group: group.clone(), name: option.clone(), file: file.clone(), line: *line };
    Finding { place: Some(place), ..failure(message) }
}

fn failure(message: String) -> Finding {
    Finding { verdict: Verdict::Failure, kind: "unusable", place: None, message }
}
