//! Findings about options that the files set and the service does not read by that name: unknown ones, those of former
//! releases, those without effect and deprecated names. Values that cannot be used are found when they are read.

use std::collections::BTreeSet;
use std::fmt;

use ::oslo_config::{Config, OptDecl, UnknownOption};
use freezer_store::maintenance::Verdict;
use freezer_store::{Effect, Parameter};

use super::{DatabaseSettings, declarations, former_options, known_options};

/// A problem or a remark about the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Failure: the service does not start. Warning: probably a mistake. Success: a note.
    pub verdict: Verdict,
    /// Its kind, for programs. Never renamed.
    pub kind: &'static str,
    /// Group and name of the option, file and line, if it is about an option of a file.
    pub place: Option<UnknownOption>,
    /// What is wrong, and what to do.
    pub message: String,
}

impl Finding {
    /// A warning that the configuration asks for something that is not done.
    pub fn without_effect(message: String) -> Finding {
        Finding { verdict: Verdict::Warning, kind: "without_effect", place: None, message }
    }
}

/// `file:line: [group] option: message`
impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(UnknownOption { group, name, file, line }) = &self.place {
            // a message that begins with a space goes on where the name ends: ` = value: …`
            let colon = if self.message.starts_with(' ') { "" } else { ": " };
            write!(f, "{file}:{line}: [{group}] {name}{colon}")?;
        }
        f.write_str(&self.message)
    }
}

/// Returns the findings about options that the files set and the service does not read by that name, in the files' order.
pub fn of_options(config: &Config) -> Vec<Finding> {
    let current: Vec<OptDecl> =
        declarations().into_iter().map(|option| OptDecl { deprecated: &[], ..*option }).collect();
    let unread: BTreeSet<_> = config.unknown(&declarations()).into_iter().map(key).collect();
    let mut found = Vec::new();
    for place in config.unknown(&current.iter().collect::<Vec<_>>()) {
        let (verdict, kind, message) = if unread.contains(&key(place.clone())) {
            match of_unread(config, &place) {
                Some(finding) => finding,
                None => continue,
            }
        } else {
            (
                Verdict::Warning,
                "deprecated",
                format!("a name of an earlier release; write {}", renamed(&place)),
            )
        };
        found.push(Finding { verdict, kind, place: Some(place), message });
    }
    found
}

/// Returns the findings about parameters of the database URL that the service does not use.
pub fn of_connection(database: &DatabaseSettings) -> Vec<Finding> {
    let finding = |Parameter { name, effect }: &Parameter| {
        let mut verdict = Verdict::Warning;
        let (kind, message) = match effect {
            // every URL has it, and the service always uses utf8mb4
            Effect::Needless if name == "charset" => return None,
            Effect::Needless => {
                verdict = Verdict::Success;
                (
                    "without_effect",
                    format!("the parameter {name} is accepted and has no effect, nor is it needed"),
                )
            }
            Effect::Widening => (
                "without_effect",
                format!(
                    "beside ssl_ca or ssl_capath, {name} has certificates of every authority of the system accepted, too, \
                     as PyMySQL does; without it, only those of the named authorities are"
                ),
            ),
            Effect::Missing => ("without_effect", format!("the parameter {name} has no effect")),
            Effect::Unknown => {
                let hint = nearest(name, &Parameter::names());
                let hint = hint.map(|near| format!("; did you mean {near}?")).unwrap_or_default();
                ("unknown_parameter", format!("unknown parameter {name}{hint}"))
            }
        };
        let message = format!("[database] connection: {message}");
        Some(Finding { verdict, kind, place: None, message })
    };
    database.ignored_parameters().iter().filter_map(finding).collect()
}

fn key(option: UnknownOption) -> (String, usize, String) {
    (option.file, option.line, option.name)
}

/// Returns the present name of an option that is set by an old one.
fn renamed(place: &UnknownOption) -> String {
    let now = declarations().into_iter().find(|option| {
        option.deprecated.iter().any(|(group, name)| {
            let group = if group.is_empty() { option.group } else { group };
            let name = if name.is_empty() { option.key() } else { (*name).to_owned() };
            (group, name) == (place.group.as_str(), place.name.clone())
        })
    });
    now.map_or_else(String::new, |option| format!("[{}] {}", option.group, option.key()))
}

/// Returns the finding about an option that the service does not read. Options of other libraries' groups have none.
fn of_unread(config: &Config, place: &UnknownOption) -> Option<(Verdict, &'static str, String)> {
    let UnknownOption { group, name, .. } = place;
    let plain = name.replace('-', "_");
    if plain != *name && known_options::names(group).contains(&plain.as_str()) {
        return Some((Verdict::Warning, "unknown_option", format!("unknown option; did you mean {plain}?")));
    }
    if let Some((verdict, text)) = former_options::replacement(group, name) {
        return Some((verdict, "former_option", format!("an option of former releases: {text}")));
    }
    if known_options::is_ours_to_know(group) {
        if known_options::has(group, name) {
            let (mut verdict, text) = known_options::without_effect(group, name);
            if known_options::is_harmless(config, group, name) {
                verdict = Verdict::Success;
            }
            return Some((verdict, "without_effect", format!("accepted, without effect: {text}")));
        }
        let hint = nearest(name, &known_options::names(group))
            .map(|near| format!("; did you mean {near}?"))
            .or_else(|| elsewhere(name).map(|group| format!("; it belongs into [{group}]")))
            .unwrap_or_default();
        return Some((Verdict::Warning, "unknown_option", format!("unknown option{hint}")));
    }
    // Groups of other libraries are not checked, but a mistyped name of one of ours is found.
    let near = nearest(group, &known_options::groups())?;
    let message = format!("unknown group; did you mean [{near}]?");
    Some((Verdict::Warning, "unknown_group", message))
}

/// Returns the group that has an option of this name.
fn elsewhere(name: &str) -> Option<&'static str> {
    known_options::groups().into_iter().find(|group| known_options::has(group, name))
}

/// Returns the name that differs least, if it differs by little. Case and hyphens make no difference.
fn nearest<'n>(word: &str, names: &[&'n str]) -> Option<&'n str> {
    let most = 1 + word.len() / 5;
    let plain = |text: &str| text.to_lowercase().replace('-', "_");
    let word = plain(word);
    let by_distance = names.iter().map(|name| (strsim::osa_distance(&word, &plain(name)), *name));
    by_distance.filter(|(distance, _)| *distance <= most).min().map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn mistyped_names_are_recognized() {
        assert_eq!(nearest("bind_prot", &["bind_host", "bind_port"]), Some("bind_port"));
        assert_eq!(nearest("oslo_messaging_rabbit", &["oslo_middleware", "oslo_policy"]), None);
        assert_eq!(nearest("DEBUG", &["debug", "driver"]), Some("debug"));
        assert_eq!(nearest("default", &["DEFAULT", "api"]), Some("DEFAULT"));
        assert_eq!(nearest("Bind-Prot", &["bind_host", "bind_port"]), Some("bind_port"));
        assert_eq!(nearest("databse", &["database", "storage"]), Some("database"));
    }
}
