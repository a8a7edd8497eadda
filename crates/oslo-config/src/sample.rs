//! Sample configuration files in the layout of oslo-config-generator. Every option is commented out and
//! follows its help, type, limits and deprecated names.

use crate::decl::{OptDecl, OptionKind};

/// The options of one section.
#[derive(Debug, Clone, Copy)]
pub struct Group<'a> {
    /// The section's name.
    pub name: &'a str,
    /// A description of the section. This text may be empty.
    pub help: &'a str,
    /// The component that owns the options, printed as `# From …`.
    pub source: &'a str,
    /// The options in the order of the file. Advanced options move to the end.
    pub options: &'a [&'a OptDecl],
}

/// The maximum length of a help line, including `# `.
const WIDTH: usize = 70;

/// Returns the text of a sample file with the sections in the given order.
///
/// This format differs from oslo-config-generator in three points: lines are not broken at hyphens, a deprecated name
/// that differs only in its group is printed too, and so are the choices of a list's items.
pub fn render(groups: &[Group<'_>]) -> String {
    let sections: Vec<String> = groups.iter().map(section).collect();
    sections.join("\n\n")
}

fn section(group: &Group<'_>) -> String {
    let mut out = format!("[{}]\n", group.name);
    if !group.help.is_empty() {
        push_help(&mut out, group.help);
    }
    out.push_str(&format!("\n#\n# From {}\n#\n", group.source));
    let (advanced, plain): (Vec<&OptDecl>, Vec<&OptDecl>) =
        group.options.iter().partition(|decl| decl.advanced);
    for decl in plain.into_iter().chain(advanced) {
        out.push('\n');
        option(&mut out, decl, group.name);
    }
    out
}

fn option(out: &mut String, decl: &OptDecl, group: &str) {
    let type_name = decl.kind.type_name();
    if decl.help.is_empty() {
        push_help(out, &format!("({type_name})"));
    } else {
        push_help(out, &format!("{} ({type_name})", decl.help));
    }
    let (min, max) = match decl.kind {
        OptionKind::Port => (decl.min.or(Some(0)), decl.max.or(Some(65535))),
        _ => (decl.min, decl.max),
    };
    if let Some(min) = min {
        out.push_str(&format!("# Minimum value: {min}\n"));
    }
    if let Some(max) = max {
        out.push_str(&format!("# Maximum value: {max}\n"));
    }
    if !decl.choices.is_empty() {
        out.push_str("# Possible values:\n");
        for choice in decl.choices {
            let shown = if choice.is_empty() { "''" } else { choice };
            push_help(out, &format!("{shown} - <No description provided>"));
        }
    }
    for (old_group, old_name) in decl.deprecated.iter().filter(|(_, name)| !name.contains('-')) {
        let old_group = if old_group.is_empty() { group } else { old_group };
        let name = decl.key();
        let old_name = if old_name.is_empty() { &name } else { *old_name };
        out.push_str(&format!("# Deprecated group/name - [{old_group}]/{old_name}\n"));
    }
    if decl.advanced {
        out.push_str(
            "# Advanced Option: intended for advanced users and not used\n\
             # by the majority of users, and might have a significant\n\
             # effect on stability and/or performance.\n",
        );
    }
    if decl.sample_default.is_some_and(|text| !text.is_empty()) {
        out.push_str(
            "#\n\
             # This option has a sample default set, which means that\n\
             # its actual default value may vary from the one documented\n\
             # below.\n",
        );
    }
    for default in defaults(decl) {
        let blank = if default.is_empty() { "" } else { " " };
        let default = default.replace('\n', "\n#    ");
        out.push_str(&format!("#{} ={blank}{default}\n", decl.key()));
    }
}

fn defaults(decl: &OptDecl) -> Vec<String> {
    let quoted = |text: &str| {
        if text.trim() == text { text.to_owned() } else { format!("\"{text}\"") }
    };
    match (decl.sample_default, decl.default, decl.kind) {
        (Some(text), _, OptionKind::MultiStr) => text.lines().map(quoted).collect(),
        (Some(text), _, _) => vec![text.to_owned()],
        (None, None | Some(""), OptionKind::MultiStr) => vec![String::new()],
        (None, Some(text), OptionKind::MultiStr) => text.lines().map(quoted).collect(),
        (None, None, _) => vec!["<None>".to_owned()],
        (None, Some(text), OptionKind::Bool) => vec![text.to_lowercase()],
        (None, Some(text), OptionKind::Str) => vec![quoted(text)],
        (None, Some(text), _) => vec![text.to_owned()],
    }
}

fn push_help(out: &mut String, help: &str) {
    for line in help.lines() {
        let wrapped = wrap(line);
        if wrapped.is_empty() {
            out.push_str("#\n");
        }
        for line in wrapped {
            out.push_str("# ");
            out.push_str(&line);
            out.push('\n');
        }
    }
}

/// Wraps words into lines. Blanks inside a line stay, but blanks at a break are removed. An indent is removed
/// before a word that is longer than a line.
fn wrap(line: &str) -> Vec<String> {
    let room = WIDTH - 2;
    let mut lines = Vec::new();
    let mut current = String::new();
    let mut rest = line;
    while let Some(start) = rest.find(|c: char| !c.is_whitespace()) {
        let (blanks, tail) = rest.split_at_checked(start).unwrap_or(("", rest));
        let end = tail.find(char::is_whitespace).unwrap_or(tail.len());
        let (word, tail) = tail.split_at_checked(end).unwrap_or((tail, ""));
        rest = tail;
        if length(&current) + length(blanks) + length(word) > room {
            if !current.is_empty() {
                lines.push(std::mem::take(&mut current));
            }
        } else {
            current.push_str(blanks);
        }
        current.push_str(word);
    }
    if !current.is_empty() {
        lines.push(current);
    }
    lines
}

fn length(text: &str) -> usize {
    text.chars().count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_option_with_all_properties() {
        const PORT: OptDecl = OptDecl::port("svc", "bind-port")
            .default("9090")
            .min(1024)
            .deprecated(&[("DEFAULT", "port"), ("old", "")])
            .help("Port of the API.\n\nOpen it in the firewall, or no client can reach the service at all.");
        const LEVEL: OptDecl = OptDecl::string("svc", "level")
            .choices(&["low", ""])
            .sample_default("low")
            .advanced()
            .help("How much.");
        const HOOKS: OptDecl = OptDecl::multi("svc", "hook").default("a\n b").help("Hooks.");
        let group = Group { name: "svc", help: "About.", source: "me", options: &[&LEVEL, &PORT, &HOOKS] };
        let other = Group { name: "other", help: "", source: "me", options: &[&OptDecl::list("other", "l")] };
        assert_eq!(
            render(&[group, other]),
            "[svc]\n# About.\n\n#\n# From me\n#\n\n\
             # Port of the API.\n#\n\
             # Open it in the firewall, or no client can reach the service at all.\n# (port value)\n\
             # Minimum value: 1024\n# Maximum value: 65535\n\
             # Deprecated group/name - [DEFAULT]/port\n# Deprecated group/name - [old]/bind_port\n\
             #bind_port = 9090\n\n\
             # Hooks. (multi valued)\n#hook = a\n#hook = \" b\"\n\n\
             # How much. (string value)\n# Possible values:\n\
             # low - <No description provided>\n# '' - <No description provided>\n\
             # Advanced Option: intended for advanced users and not used\n\
             # by the majority of users, and might have a significant\n\
             # effect on stability and/or performance.\n\
             #\n# This option has a sample default set, which means that\n\
             # its actual default value may vary from the one documented\n# below.\n\
             #level = low\n\n\n\
             [other]\n\n#\n# From me\n#\n\n# (list value)\n#l = <None>\n"
        );
    }
}
