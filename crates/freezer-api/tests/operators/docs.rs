//! The documentation must mention every option, and all options and commands in it must exist.

use std::collections::BTreeSet;
use std::path::Path;

use freezer_api::config::{declarations, option_findings};
use oslo_config::Config;

use crate::process::{API, MANAGE, STATUS, command, finish};

/// Returns the names and texts of the documents for operators.
fn documents() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let files = std::fs::read_dir(root.join("docs")).unwrap().map(|entry| entry.unwrap().path());
    let files = files.filter(|path| path.extension().is_some_and(|end| end == "md"));
    let read = |path: std::path::PathBuf| {
        (path.file_name().unwrap().to_string_lossy().into_owned(), std::fs::read_to_string(path).unwrap())
    };
    files.chain([root.join("README.md")]).map(read).collect()
}

/// Returns the texts between backticks, and the lines of code blocks.
fn code(text: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let mut in_block = false;
    for line in text.lines() {
        if line.starts_with("```") {
            in_block = !in_block;
        } else if in_block || line.starts_with("    ") {
            found.push(line.trim());
        }
    }
    // A code span does not cross an empty line.
    for paragraph in text.split("\n\n").filter(|paragraph| !paragraph.contains("```")) {
        found.extend(paragraph.split('`').skip(1).step_by(2));
    }
    found
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
}

#[test]
fn every_option_is_in_the_documentation() {
    let documents = documents();
    let named: BTreeSet<&str> = documents.iter().flat_map(|(_, text)| code(text)).flat_map(words).collect();
    let missing: Vec<String> = declarations()
        .into_iter()
        .filter(|option| !named.contains(option.key().as_str()))
        .map(|option| format!("[{}] {}", option.group, option.key()))
        .collect();
    assert!(missing.is_empty(), "describe these options in docs/: {missing:#?}");
}

/// Returns the group and the name at the beginning of a text such as `[api] max_limit = 3`.
fn option(span: &str) -> Option<(&str, &str)> {
    let (group, rest) = span.strip_prefix('[')?.split_once("] ")?;
    let name = words(rest).next().filter(|name| !name.is_empty())?;
    // This excludes patterns such as logging_*_format_string.
    let is_whole = !rest[name.len()..].starts_with('*');
    (is_whole && words(group).count() == 1).then_some((group, name))
}

/// Returns the names in the first column of tables whose first heading is that of a group: ``| option of `[api]` |``.
fn tabled(text: &str) -> Vec<(&str, &str)> {
    let mut found = Vec::new();
    let mut group: Option<&str> = None;
    let mut in_table = false;
    for line in text.lines().filter(|line| !line.starts_with("|-")) {
        let Some(cell) = line.strip_prefix("| ").and_then(|rest| rest.split(" |").next()) else {
            in_table = false;
            continue;
        };
        let spans = || cell.split('`').skip(1).step_by(2);
        if !in_table {
            in_table = true;
            group = spans().find_map(|span| span.strip_prefix('[')?.strip_suffix(']'));
        } else if let Some(group) = group {
            found.extend(spans().filter_map(|span| Some((group, words(span).next()?))));
        }
    }
    found
}

#[test]
fn options_in_the_documentation_exist() {
    let mut count = 0;
    let mut unknown = Vec::new();
    for (document, text) in documents() {
        for (group, name) in code(&text).into_iter().filter_map(option).chain(tabled(&text)) {
            count += 1;
            let text = format!("[{group}]\n{name} = 1\n");
            let config = Config::from_text("f", &text).unwrap().declare(&declarations());
            let findings = option_findings(&config);
            let is_ours = declarations().iter().any(|option| option.group == group && option.key() == name);
            if !is_ours && findings.iter().all(|finding| finding.kind.starts_with("unknown")) {
                unknown.push(format!("{document}: [{group}] {name}"));
            }
        }
    }
    assert!(unknown.is_empty(), "{unknown:#?}");
    assert!(count > 80, "the documents were not read: {count}");
}

#[test]
fn commands_and_their_options_in_the_documentation_exist() {
    let mut count = 0;
    for (document, text) in documents() {
        let mut seen = BTreeSet::new();
        for span in code(&text) {
            let span = span.trim_start_matches("$ ").trim_start_matches("sudo ");
            let mut parts =
                span.split_whitespace().take_while(|part| !part.starts_with(['#', '|', '>', '&', '(']));
            let program = match parts.next() {
                Some("freezer-manage") => MANAGE,
                Some("freezer-api") => API,
                Some("freezer-manager-status") => STATUS,
                _ => continue,
            };
            let mut parts: Vec<&str> = parts.collect();
            // These options may precede a command, and every command has them.
            while parts.first().is_some_and(|part| part.starts_with("--config-")) {
                parts.drain(..parts.len().min(2));
            }
            let is_command =
                |part: &&&str| part.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-');
            let commands = parts.iter().take_while(is_command).filter(|part| !part.starts_with('-'));
            let commands: Vec<&str> = commands.copied().take(if program == API { 0 } else { 2 }).collect();
            let options =
                parts.iter().filter_map(|part| part.strip_prefix("--")?.split(['=', ',', ';', '.']).next());
            let options: Vec<&str> = options.filter(|option| !option.is_empty()).collect();
            if !seen.insert((program, commands.clone(), options.clone())) {
                continue;
            }
            count += 1;
            let mut help = command(program);
            help.args(&commands).arg("--help");
            let done = finish(help);
            assert_eq!(done.code, Some(0), "{document}: {span}\n{done:#?}");
            for option in options {
                // The options that all commands have are only in the help of the program itself.
                let general = finish({
                    let mut help = command(program);
                    help.arg("--help");
                    help
                });
                let has = |help: &str| help.contains(&format!("--{option}"));
                assert!(
                    has(&done.stdout) || has(&general.stdout),
                    "{document}: {span}: --{option}\n{done:#?}"
                );
            }
        }
    }
    assert!(count > 30, "the documents were not read: {count}");
}
