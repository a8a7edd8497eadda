//! The list of all messages in docs/logging.md is that of the source.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

/// The macros that write lines which operators see.
const MACROS: [(&str, &str); 5] = [
    ("tracing::error!(", "ERROR"),
    ("tracing::warn!(", "WARNING"),
    ("tracing::info!(", "INFO"),
    ("log_change!(", "INFO"),
    ("log_failure!(", "WARNING"),
];
/// The crates of the service, each with its description.
const CRATES: [(&str, &str); 5] = [
    ("freezer-api", "The service"),
    ("freezer-store", "The database"),
    ("keystone-auth", "Keystone"),
    ("oslo-policy", "Policy"),
    ("oslo-config", "Configuration"),
];
const BEGIN: &str = "<!-- begin of the list; written by the test messages -->\n";
const END: &str = "<!-- end of the list -->\n";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Returns all source files below a directory.
fn sources(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found
}

/// Returns the code of a file without comments and tests.
fn product_code(text: &str) -> String {
    let code = text.split("#[cfg(test)]").next().unwrap();
    let lines = code.lines().filter(|line| !line.trim_start().starts_with("//"));
    lines.collect::<Vec<_>>().join("\n")
}

/// Splits the arguments at the beginning of a text, up to the closing parenthesis.
fn arguments(text: &str) -> Vec<String> {
    let (mut depth, mut in_text, mut escaped) = (0, false, false);
    let (mut all, mut one) = (Vec::new(), String::new());
    for c in text.chars() {
        match c {
            _ if in_text => {
                in_text = c != '"' || escaped;
                escaped = c == '\\' && !escaped;
            }
            '"' => in_text = true,
            '(' | '[' | '{' => depth += 1,
            ')' if depth == 0 => break,
            ')' | ']' | '}' => depth -= 1,
            ',' if depth == 0 => {
                all.push(std::mem::take(&mut one).trim().to_owned());
                continue;
            }
            _ => {}
        }
        one.push(c);
    }
    all.push(one.trim().to_owned());
    all.retain(|argument| !argument.is_empty());
    all
}

/// Returns the text of a string literal, with each value as its name in `<>`, or as `…`.
fn message(literal: &str) -> String {
    let inner = literal.trim_start_matches('"');
    let end = inner.char_indices().find(|(at, c)| *c == '"' && !inner[..*at].ends_with('\\')).unwrap().0;
    let mut text = String::new();
    let mut lines = inner[..end].split("\\\n");
    text.push_str(lines.next().unwrap());
    lines.for_each(|line| text.push_str(line.trim_start()));
    let text = text.replace("\\\"", "\"").replace("{{", "\u{1}").replace("}}", "\u{2}");
    let mut shown = String::new();
    let mut rest = text.as_str();
    while let Some((before, behind)) = rest.split_once('{') {
        let (name, behind) = behind.split_once('}').unwrap();
        let name = name.split(':').next().unwrap();
        shown.push_str(before);
        shown.push_str(&if name.is_empty() {
            "…".to_owned()
        } else {
            format!("<{}>", name.to_lowercase())
        });
        rest = behind;
    }
    shown.push_str(rest);
    shown.replace('\u{1}', "{").replace('\u{2}', "}").replace('|', "\\|")
}

/// Returns the name of the field that an argument sets.
fn field(argument: &str) -> String {
    let name = argument.split('=').next().unwrap().trim().trim_start_matches(['%', '?']);
    name.rsplit('.').next().unwrap().to_owned()
}

/// Returns a row of the table: logger, level, message, fields.
fn row(logger: &str, level: &str, name: &str, arguments: &[String]) -> String {
    let at = arguments.iter().position(|argument| argument.starts_with('"'));
    let at = at.unwrap_or_else(|| panic!("{logger}: {name} has no message: {arguments:?}"));
    let of_change = name.starts_with("log_");
    let fields: Vec<String> = match of_change {
        true => ["id", "in_project"]
            .map(str::to_owned)
            .into_iter()
            .chain(arguments[at + 2..].iter().map(|argument| field(argument)))
            .collect(),
        false => {
            let before = arguments[..at]
                .iter()
                .filter(|argument| !argument.starts_with("target:") && !argument.starts_with("parent:"));
            before.map(|argument| field(argument)).collect()
        }
    };
    let fields: Vec<String> = fields.iter().map(|field| format!("`{field}`")).collect();
    format!("| `{logger}` | {level} | `{}` | {} |", message(&arguments[at]), fields.join(", "))
}

/// Returns the rows of a file.
fn rows(logger: &str, code: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (name, level) in MACROS {
        for (at, _) in code.match_indices(name) {
            // the definition of a macro names no message
            let arguments = arguments(&code[at + name.len()..]);
            if !arguments.iter().any(|argument| argument.contains("$message")) {
                found.push((at, row(logger, level, name, &arguments)));
            }
        }
    }
    found.sort();
    found.into_iter().map(|(_, row)| row).collect()
}

fn list() -> String {
    let mut text = String::new();
    for (name, about) in CRATES {
        let directory = root().join("crates").join(name).join("src");
        let mut files = BTreeMap::new();
        for path in sources(&directory) {
            let relative = path.strip_prefix(&directory).unwrap().with_extension("").display().to_string();
            let module = relative.trim_end_matches("/mod").replace('/', ".");
            let found = rows(&module, &product_code(&fs::read_to_string(&path).unwrap()));
            files.insert(module, found);
        }
        let mut rows: Vec<String> = files.into_values().flatten().collect();
        rows.dedup();
        if !rows.is_empty() {
            let logger = name.replace('-', "_");
            writeln!(text, "### {about}\n\nThe loggers begin with `{logger}.`.\n\n| logger | level | message | fields |\n|---|---|---|---|")
                .unwrap();
            writeln!(text, "{}\n", rows.join("\n")).unwrap();
        }
    }
    text
}

#[test]
fn docs_logging_lists_every_message() {
    let path = root().join("docs/logging.md");
    let page = fs::read_to_string(&path).unwrap();
    let (front, rest) = page.split_once(BEGIN).expect("the beginning of the list");
    let (stored, end) = rest.split_once(END).expect("the end of the list");
    let expected = format!("\n{}", list());
    if stored == expected {
        return;
    }
    if std::env::var_os("FREEZER_WRITE_MESSAGES").is_some() {
        fs::write(&path, format!("{front}{BEGIN}{expected}{END}{end}")).unwrap();
        return;
    }
    let missing: Vec<&str> = expected.lines().filter(|line| !stored.contains(line)).collect();
    let outdated: Vec<&str> = stored.lines().filter(|line| !expected.contains(line)).collect();
    panic!(
        "docs/logging.md is stale; write the list with: FREEZER_WRITE_MESSAGES=1 cargo test --workspace --test operators messages\n\
         missing: {missing:#?}\noutdated: {outdated:#?}"
    );
}

#[test]
fn messages_are_found_in_code() {
    let code = "tracing::warn!(%error, table, id = x.id, \"no {what} in \\\n   {place:?}, {} (a)\", f(1, 2));\n\
                log_change!(call, \"job updated\", job_id, client = c, event);\n\
                if a { tracing::info!(\"{{}}\") }";
    assert_eq!(
        rows("l", code),
        [
            "| `l` | WARNING | `no <what> in <place>, … (a)` | `error`, `table`, `id` |",
            "| `l` | INFO | `job updated` | `id`, `in_project`, `client`, `event` |",
            "| `l` | INFO | `{}` |  |",
        ]
    );
    assert_eq!(product_code("a\n// tracing::info!(\"x\")\n#[cfg(test)]\nb"), "a");
}
