//! Renders a `policy.yaml.sample`: every rule of the service, commented out, in the format of
//! `oslopolicy-sample-generator`. Writing files belongs in the service.

use std::fmt::Write as _;

use crate::defaults::RuleDefault;

/// The width at which oslo.policy wraps comments.
const WIDTH: usize = 70;

/// Renders the sample, with the rules in the order of their declaration.
#[must_use]
pub fn render(defaults: &[RuleDefault]) -> String {
    let mut out = String::new();
    for default in defaults {
        render_rule(&mut out, default);
    }
    out
}

fn render_rule(out: &mut String, default: &RuleDefault) {
    if !default.description.is_empty() {
        comment(out, default.description);
    }
    for (method, path) in default.operations {
        if !method.is_empty() && !path.is_empty() {
            let _ = writeln!(out, "# {method}  {path}");
        }
    }
    if !default.scope_types.is_empty() {
        let _ = writeln!(out, "# Intended scope(s): {}", default.scope_types.join(", "));
    }
    let check = quoted(default.check_str);
    let _ = writeln!(out, "#\"{}\": {check}\n", default.name);
    let Some(old) = &default.deprecated else { return };
    out.push_str("# DEPRECATED\n");
    let change = format!(
        "\"{}\":\"{}\" has been deprecated since {} in favor of \"{}\":\"{}\".",
        old.name, old.check_str, old.since, default.name, default.check_str
    );
    comment(out, &change);
    comment(out, old.reason);
    if old.name != default.name {
        // If a policy file overrides the former name, this alias keeps it in force.
        out.push_str("# The rule has another name now. To keep the former name in use, make it\n");
        out.push_str("# an alias of the new one:\n");
        let _ = writeln!(out, "# \"{}\": \"rule:{}\"", old.name, default.name);
    }
    out.push('\n');
}

/// Returns a YAML text in double quotes.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

/// Writes a text as comment lines. Wraps paragraphs and keeps indented lines.
fn comment(out: &mut String, text: &str) {
    let mut paragraph: Vec<&str> = Vec::new();
    if text.trim().is_empty() {
        out.push_str("#\n");
        return;
    }
    for line in text.trim().lines() {
        if line.trim().is_empty() {
            wrap(out, &paragraph);
            paragraph.clear();
            out.push_str("#\n");
        } else if line.starts_with(char::is_whitespace) {
            if !paragraph.is_empty() {
                wrap(out, &paragraph);
                paragraph.clear();
                out.push_str("#\n");
            }
            let _ = writeln!(out, "# {}", line.trim_end());
        } else {
            paragraph.extend(line.split_whitespace());
        }
    }
    wrap(out, &paragraph);
}

fn wrap(out: &mut String, words: &[&str]) {
    let mut column = 0;
    for word in words {
        let length = word.chars().count();
        if column > 0 && column + 1 + length > WIDTH {
            out.push('\n');
            column = 0;
        }
        if column == 0 {
            out.push('#');
            column = 1;
        }
        out.push(' ');
        out.push_str(word);
        column += 1 + length;
    }
    if column > 0 {
        out.push('\n');
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

    use super::*;
    use crate::defaults::DeprecatedRule;

    const RULE: RuleDefault = RuleDefault {
        name: "jobs:create",
        check_str: "role:admin and 'x':%(y)s",
        description: "Creates a job. This text is long enough to be wrapped, which it is at a width of seventy.\n\nSecond paragraph.\n\n    kept  as it is",
        operations: &[("POST", "/v2/jobs"), ("PUT", "/v2/{project_id}/jobs")],
        scope_types: &["project", "system"],
        deprecated: Some(DeprecatedRule {
            name: "jobs:make",
            check_str: "@",
            reason: "Renamed.",
            since: "Xena",
        }),
    };

    #[test]
    fn all_parts_of_a_rule_are_printed() {
        let expected = "\
# Creates a job. This text is long enough to be wrapped, which it is
# at a width of seventy.
#
# Second paragraph.
#
#     kept  as it is
# POST  /v2/jobs
# PUT  /v2/{project_id}/jobs
# Intended scope(s): project, system
#\"jobs:create\": \"role:admin and 'x':%(y)s\"

# DEPRECATED
# \"jobs:make\":\"@\" has been deprecated since Xena in favor of
# \"jobs:create\":\"role:admin and 'x':%(y)s\".
# Renamed.
# The rule has another name now. To keep the former name in use, make it
# an alias of the new one:
# \"jobs:make\": \"rule:jobs:create\"

";
        assert_eq!(render(&[RULE]), expected);
    }

    #[test]
    fn an_uncommented_rule_is_a_valid_policy_file() {
        let rule = RuleDefault { check_str: "'a\"b':%(x)s", ..RULE };
        let sample = render(&[rule]);
        let line = sample.lines().find(|line| line.starts_with("#\"")).unwrap();
        let rules = crate::file::read(&line[1..], std::path::Path::new("sample")).unwrap().rules;
        assert_eq!(rules[0].name, "jobs:create");
        assert_eq!(rules[0].parsed.check.to_string(), "'a\"b':%(x)s");
    }
}
