//! `freezer-manage config`: prints the sample file and checks the configuration. `prepare.rs`, which the
//! start also uses, finds the errors that prevent a start. `config/findings.rs` finds options that are
//! unknown or without effect.

use std::io::Write;

use freezer_store::maintenance::Verdict;
use oslo_config::{Config, Origin, Setting, Sources, UnknownOption};
use serde_json::{Value, json};

use super::{connect, prepare};
use crate::config::{self, ConfigError, Finding, OptionOrigins, Settings, declarations};

/// The beginning of the page.
const REFERENCE: &str = "\
# Options

<!-- printed by: freezer-manage config reference -->

The service reads `freezer.conf` and `freezer-api.conf`, each from the first of `~/.freezer`, `~`, `/etc/freezer` and `/etc`
that contains it, and in the same way the `*.conf` files of the directories `freezer.conf.d` and `freezer-api.conf.d`. The
environment (`OS_<GROUP>__<OPTION>`) overrides the files, and the command line overrides both
([Operations](operations.md#the-command-line)). A value can refer to another option:
`$option` or `${group.option}`. `freezer-manage config sample` prints these options as a file in which all of them are commented
out, and `freezer-manage config check` checks a configuration. An option without a default is not set.
";

/// Prints all options, commented out, in the layout of oslo-config-generator.
pub fn print_sample(out: &mut impl Write) -> std::io::Result<()> {
    out.write_all(config::sample().as_bytes())
}

/// Prints the page "Options" of the manual.
pub fn print_reference(out: &mut impl Write) -> std::io::Result<()> {
    writeln!(out, "{REFERENCE}")?;
    out.write_all(config::reference().as_bytes())
}

/// Checks the configuration and prints the findings. Returns the worst result.
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
        // Only after the name of the option, the text may begin with its value.
        "message": message.strip_prefix(" = ").unwrap_or(message).trim_start(),
    })
}

/// Returns all findings: failures, then warnings of the start, then notes. With `connect`, also checks the
/// database and Keystone, unless there is a failure.
pub async fn findings(sources: &Sources, connect: bool) -> Vec<Finding> {
    // Once, because a pipe can only be read once.
    let config = match Config::load(sources) {
        Ok(config) => config.declare(&declarations()),
        Err(error) => return vec![option_finding(&error)],
    };
    let settings = match Settings::read(&config, sources) {
        Ok(settings) => settings,
        Err(error) => {
            let origins = OptionOrigins::read(&config);
            let mut found = match error.unlocated() {
                ConfigError::Options(errors) => errors.iter().map(option_finding).collect(),
                error => vec![failure(error.to_string())],
            };
            found = found.into_iter().map(|finding| origins.locate(finding)).collect();
            found.extend(config::option_findings(&config));
            return found;
        }
    };
    let refusals = prepare::refusals(&settings).await;
    let failures = refusals.iter().map(|refusal| settings.origins.locate(failure(refusal.to_string())));
    let mut found: Vec<Finding> = failures.collect();
    if connect && found.is_empty() {
        let connected = connect::findings(&settings).await.into_iter();
        found.extend(connected.map(|finding| settings.origins.locate(finding)));
    }
    found.extend(prepare::warnings(&settings, &refusals));
    found.extend(settings.remarks);
    found
}

/// Returns the finding about a value that is not valid for its option.
fn option_finding(error: &oslo_config::Error) -> Finding {
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
