//! `freezer-manage config`: prints the sample file, and checks the configuration. What the service does not start with is
//! found by `prepare.rs`, which the start uses as well; options that are unknown or without effect by `config/findings.rs`.

use std::io::Write;

use freezer_store::maintenance::Verdict;
use oslo_config::{Config, Sources};
use serde_json::{Value, json};

use super::{connect, prepare};
use crate::config::{self, ConfigError, Finding, Settings, declarations};

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
        "message": message,
    })
}

/// Returns every finding: failures, then what the start would warn about, then notes. With `connect`, the database and
/// Keystone are asked as well, unless there is a failure.
pub async fn findings(sources: &Sources, connect: bool) -> Vec<Finding> {
    let settings = match Settings::load(sources) {
        Ok(settings) => settings,
        Err(error) => {
            let mut found = match error {
                ConfigError::Options(errors) => {
                    errors.iter().map(|error| failure(error.to_string())).collect()
                }
                error => vec![failure(error.to_string())],
            };
            if let Ok(config) = Config::load(sources) {
                found.extend(config::of_options(&config.declare(&declarations())));
            }
            return found;
        }
    };
    let refusals = prepare::refusals(&settings).await;
    let mut found: Vec<Finding> = refusals.iter().map(|refusal| failure(refusal.to_string())).collect();
    if connect && found.is_empty() {
        found.extend(connect::findings(&settings).await);
    }
    found.extend(prepare::warnings(&settings));
    found.extend(settings.remarks);
    found
}

fn failure(message: String) -> Finding {
    Finding { verdict: Verdict::Failure, kind: "unusable", place: None, message }
}
