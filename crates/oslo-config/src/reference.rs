//! A reference of all options in Markdown, for a manual: one table for each section, with name, type, limits,
//! default and help. `sample.rs` prints the same options as a configuration file.

use std::fmt::Write;

use crate::decl::{OptDecl, OptionKind};
use crate::sample::Group;

/// Returns the tables of the given sections. Sections of the same name become one.
pub fn render(groups: &[Group<'_>]) -> String {
    let mut out = String::new();
    let mut former = None;
    for group in groups {
        if former != Some(group.name) {
            let heading = format!(
                "\n## [{}]\n\n| option | value | default | meaning |\n|---|---|---|---|\n",
                group.name
            );
            out.push_str(if former.is_none() { heading.trim_start() } else { &heading });
        }
        former = Some(group.name);
        for decl in group.options {
            // writing to a text cannot fail
            let _ = writeln!(
                out,
                "| `{}` | {} | {} | {} |",
                decl.key(),
                value(decl),
                default(decl),
                meaning(decl, group.name),
            );
        }
    }
    out
}

/// Returns the type with its limits, e.g. `integer, 1 to 65535`.
fn value(decl: &OptDecl) -> String {
    let name = decl.kind.type_name().trim_end_matches(" value");
    if !decl.choices.is_empty() {
        let choices: Vec<String> = decl.choices.iter().map(|choice| code(choice)).collect();
        return format!("{name}: {}", choices.join(", "));
    }
    match (decl.min, decl.max) {
        (None, None) => name.to_owned(),
        (Some(min), Some(max)) => format!("{name}, {min} to {max}"),
        (Some(min), None) => format!("{name}, at least {min}"),
        (None, Some(max)) => format!("{name}, at most {max}"),
    }
}

fn default(decl: &OptDecl) -> String {
    match decl.default {
        None | Some("") => String::new(),
        Some(text) if decl.kind == OptionKind::Bool => code(&text.to_lowercase()),
        Some(text) => text.lines().map(code).collect::<Vec<_>>().join("<br>"),
    }
}

fn meaning(decl: &OptDecl, group: &str) -> String {
    let mut text = escape(&decl.help.split_whitespace().collect::<Vec<_>>().join(" "));
    let names: Vec<String> = decl
        .deprecated
        .iter()
        .filter(|(_, name)| !name.contains('-'))
        .map(|(old_group, old_name)| {
            let name = if old_name.is_empty() { decl.key() } else { (*old_name).to_owned() };
            if old_group.is_empty() || *old_group == group {
                code(&name)
            } else {
                code(&format!("[{old_group}] {name}"))
            }
        })
        .collect();
    if !names.is_empty() {
        let _ = write!(text, " Deprecated: {}.", names.join(", "));
    }
    text
}

/// Returns a text in a code span. An empty text becomes two quotation marks.
fn code(text: &str) -> String {
    let text = if text.is_empty() { "''" } else { text };
    format!("`{}`", text.replace('|', "\\|"))
}

/// Escapes the characters of a text that have a meaning in a table of Markdown.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if matches!(c, '|' | '<' | '*' | '_' | '`' | '[' | ']') {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_of_every_kind_become_rows() {
        const PORT: OptDecl = OptDecl::port("svc", "bind-port")
            .default("9090")
            .min(1024)
            .deprecated(&[("DEFAULT", "port"), ("svc", "old_port")])
            .help("Port of\nthe API. See [api] max_limit | more.");
        const LEVEL: OptDecl = OptDecl::string("svc", "level").choices(&["low", ""]).help("How much.");
        const HOOKS: OptDecl = OptDecl::multi("svc", "hook").default("a\nb|c").help("Hooks.");
        const ON: OptDecl = OptDecl::boolean("svc", "on").default("True").help("On.");
        let first = Group { name: "svc", help: "", source: "me", options: &[&PORT, &LEVEL] };
        let second = Group { name: "svc", help: "", source: "me", options: &[&HOOKS] };
        let other = Group { name: "other", help: "", source: "me", options: &[&ON] };
        assert_eq!(
            render(&[first, second, other]),
            "## [svc]\n\n| option | value | default | meaning |\n|---|---|---|---|\n\
             | `bind_port` | port, at least 1024 | `9090` | Port of the API. See \\[api\\] max\\_limit \\| more. \
             Deprecated: `[DEFAULT] port`, `old_port`. |\n\
             | `level` | string: `low`, `''` |  | How much. |\n\
             | `hook` | multi valued | `a`<br>`b\\|c` | Hooks. |\n\
             \n## [other]\n\n| option | value | default | meaning |\n|---|---|---|---|\n\
             | `on` | boolean | `true` | On. |\n"
        );
    }
}
