//! Parses the arguments of handlers in the file of `log_config_append`: Python tuples and dictionaries. `log_file.rs`
//! applies them.

/// The used parameters of each handler class, in the order of `args`.
const POSITIONS: &[(&str, &[&str])] = &[
    ("StreamHandler", &["stream"]),
    ("ColorHandler", &["stream"]),
    ("FileHandler", &["filename"]),
    ("WatchedFileHandler", &["filename"]),
    ("TimedRotatingFileHandler", &["filename"]),
    ("RotatingFileHandler", &["filename", "mode", "maxBytes", "backupCount"]),
    ("SysLogHandler", &["address", "facility"]),
    ("OSSysLogHandler", &["facility"]),
];

/// Parameters of Python's handlers that do not change the log lines of this service.
const NEEDLESS: [&str; 8] = ["mode", "encoding", "delay", "errors", "when", "interval", "utc", "atTime"];

/// Adds the keyword arguments of a handler to its positional arguments. Returns `None` if a keyword argument is not
/// supported.
pub(super) fn merge_keywords(class: &str, mut arguments: Vec<String>, keywords: &str) -> Option<Vec<String>> {
    let text = keywords.trim();
    if text.is_empty() {
        return Some(arguments);
    }
    let names = POSITIONS.iter().find(|(of, _)| *of == class).map_or(&[][..], |(_, names)| names);
    for pair in items(text.strip_prefix('{')?.strip_suffix('}')?) {
        let (key, value) = pair.split_once(':')?;
        let key = quoted(key.trim())?;
        match names.iter().position(|name| *name == key) {
            Some(at) => {
                if arguments.len() <= at {
                    arguments.resize(at + 1, String::new());
                }
                *arguments.get_mut(at)? = value.trim().to_owned();
            }
            None if NEEDLESS.contains(&key) && class.ends_with("FileHandler") => {}
            None => return None,
        }
    }
    Some(arguments)
}

/// Returns the content of a Python string literal.
pub(super) fn quoted(text: &str) -> Option<&str> {
    let inner = |quote: char| text.strip_prefix(quote)?.strip_suffix(quote);
    inner('\'').or_else(|| inner('"')).filter(|text| !text.is_empty() && !text.contains('\\'))
}

/// Returns the items of a Python tuple as source text.
pub(super) fn split(tuple: &str) -> Vec<String> {
    let text = tuple.trim();
    let text = text.strip_prefix('(').and_then(|text| text.strip_suffix(')')).unwrap_or(text);
    items(text)
}

/// Splits source text at commas that are outside strings and brackets.
fn items(text: &str) -> Vec<String> {
    let (mut items, mut item, mut quote, mut depth) = (Vec::new(), String::new(), None, 0_i32);
    for c in text.chars() {
        match (quote, c) {
            (None, ',') if depth == 0 => {
                items.push(std::mem::take(&mut item));
                continue;
            }
            (None, '\'' | '"') => quote = Some(c),
            (Some(open), _) if c == open => quote = None,
            (None, '(' | '[' | '{') => depth += 1,
            (None, ')' | ']' | '}') => depth -= 1,
            _ => {}
        }
        item.push(c);
    }
    items.push(item);
    items.into_iter().map(|item| item.trim().to_owned()).filter(|item| !item.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keyword_arguments_get_the_position_of_their_parameter() {
        let merged = |class, args: &str, keywords| merge_keywords(class, split(args), keywords);
        let texts = |texts: &[&str]| Some(texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>());
        for (class, args, keywords, expected) in [
            ("FileHandler", "('/a',)", "", texts(&["'/a'"])),
            ("FileHandler", "('/a',)", "{}", texts(&["'/a'"])),
            ("FileHandler", "()", "{'filename': '/a, b', 'encoding': 'utf-8'}", texts(&["'/a, b'"])),
            ("StreamHandler", "", "{\"stream\": sys.stdout}", texts(&["sys.stdout"])),
            (
                "RotatingFileHandler",
                "('/a',)",
                "{'backupCount':3,'maxBytes': 10}",
                texts(&["'/a'", "", "10", "3"]),
            ),
            ("SysLogHandler", "()", "{'address': ('h', 514)}", texts(&["('h', 514)"])),
            ("StreamHandler", "()", "{'filename': '/a'}", None),
            ("NullHandler", "()", "{'a': 1}", None),
            ("FileHandler", "('/a',)", "dict(mode='w')", None),
            ("FileHandler", "('/a',)", "{mode}", None),
        ] {
            assert_eq!(merged(class, args, keywords), expected, "{class}{args}{keywords}");
        }
    }
}
