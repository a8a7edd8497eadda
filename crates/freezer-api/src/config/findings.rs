//! Findings about options in the files that the service does not read under this name: unknown options, options of
//! former releases, options without effect, and deprecated names. Invalid values are found when the options are read.

use std::collections::BTreeSet;

use ::oslo_config::{Config, OptDecl, UnknownOption};
use freezer_store::maintenance::Verdict;
use freezer_store::{DatabaseUrl, Effect, Parameter};

use super::finding::Finding;
use super::{DatabaseSettings, declarations, former_options, known_options};

/// Returns the findings about options that the service does not read under their names, in the order of the files.
pub fn option_findings(config: &Config) -> Vec<Finding> {
    let current: Vec<OptDecl> =
        declarations().into_iter().map(|option| OptDecl { deprecated: &[], ..*option }).collect();
    let unread: BTreeSet<_> = config.unknown(&declarations()).into_iter().map(key).collect();
    let mut found = Vec::new();
    for place in config.unknown(&current.iter().collect::<Vec<_>>()) {
        let (verdict, kind, message) = if unread.contains(&key(place.clone())) {
            match unread_option_finding(config, &place) {
                Some(finding) => finding,
                None => continue,
            }
        } else {
            (Verdict::Warning, "deprecated", format!("deprecated name; write {}", renamed(&place)))
        };
        found.push(Finding { verdict, kind, place: Some(place), message });
    }
    found
}

/// Returns the findings about parameters of the database URL that the service does not use.
pub fn connection_findings(database: &DatabaseSettings) -> Vec<Finding> {
    let finding = |Parameter { name, effect }: &Parameter| {
        let mut verdict = Verdict::Warning;
        let (kind, message) = match effect {
            // Every URL of a deployment tool has this parameter, and the service always uses utf8mb4.
            Effect::Needless if name == "charset" => return None,
            Effect::Needless => {
                verdict = Verdict::Success;
                (
                    "without_effect",
                    format!("the parameter {name} is accepted, but it is not needed and has no effect"),
                )
            }
            Effect::Widening => (
                "without_effect",
                format!(
                    "in addition to ssl_ca or ssl_capath, {name} accepts certificates of all authorities of the \
                     system, as PyMySQL does; without it, only those of the named authorities are accepted"
                ),
            ),
            Effect::Missing => ("without_effect", format!("the parameter {name} has no effect")),
            Effect::Alone(other) => (
                "without_effect",
                format!("the parameter {name} has no effect without {other}; add {other}, or remove {name}"),
            ),
            Effect::KeyPassword => (
                "without_effect",
                format!("the parameter {name} has no effect, because a key must not be encrypted"),
            ),
            Effect::MissingFile => (
                "missing_file",
                format!("the file of the parameter {name} does not exist; create it, or correct the path"),
            ),
            Effect::Unknown => {
                let hint = similar_name(name, &Parameter::names());
                let hint = hint.map(|near| format!("; did you mean {near}?")).unwrap_or_default();
                ("unknown_parameter", format!("unknown parameter {name}{hint}"))
            }
        };
        let message = format!("{}: {message}", database.option_of(Some(name.as_str())));
        Some(Finding { verdict, kind, place: None, message })
    };
    database.ignored_parameters().iter().filter_map(finding).chain(sqlite_uri(&database.url)).collect()
}

/// Returns a warning about a URI of SQLite, which is only a name here, as in 19.0.0 without `uri=true`.
fn sqlite_uri(url: &DatabaseUrl) -> Option<Finding> {
    let DatabaseUrl::Sqlite { path } = url else { return None };
    if !path.to_str()?.to_lowercase().starts_with("file:") {
        return None;
    }
    let file = std::path::absolute(path).unwrap_or_else(|_| path.clone());
    let message = format!(
        "[database] connection: this means the file {file:?}, because URIs of SQLite (file:…) are not supported; write \
         the path of the file, such as sqlite:////var/lib/freezer/freezer.db"
    );
    Some(Finding { verdict: Verdict::Warning, kind: "unusual_path", place: None, message })
}

fn key(option: UnknownOption) -> (String, usize, String) {
    (option.file, option.line, option.name)
}

/// Returns the current name of an option that is set by a deprecated name.
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

/// Returns the finding about an option that the service does not read. There is none if the group belongs to an
/// unrelated library.
fn unread_option_finding(config: &Config, place: &UnknownOption) -> Option<(Verdict, &'static str, String)> {
    let UnknownOption { group, name, .. } = place;
    let plain = name.replace('-', "_");
    if plain != *name && known_options::option_names(group).contains(&plain.as_str()) {
        return Some((Verdict::Warning, "unknown_option", format!("unknown option; did you mean {plain}?")));
    }
    if let Some((verdict, text)) = former_options::replacement(group, name) {
        return Some((verdict, "former_option", format!("an option of former releases: {text}")));
    }
    if known_options::is_checked_group(group) {
        if known_options::has_option(group, name) {
            let (mut verdict, text) = known_options::without_effect(group, name);
            if known_options::is_harmless(config, group, name) {
                verdict = Verdict::Success;
            }
            return Some((verdict, "without_effect", format!("accepted, without effect: {text}")));
        }
        let hint = similar_name(name, &known_options::option_names(group))
            .map(|near| format!("; did you mean {near}?"))
            .or_else(|| group_with_option(name).map(|group| format!("; it belongs in [{group}]")))
            .unwrap_or_default();
        return Some((Verdict::Warning, "unknown_option", format!("unknown option{hint}")));
    }
    if group.starts_with("cors.") {
        let message = "neither oslo.middleware nor this service reads such a group; list all origins in [cors] allowed_origin";
        return Some((Verdict::Warning, "unknown_group", message.to_owned()));
    }
    // Groups of unrelated libraries are not checked, but the name may be a mistyped name of a known group.
    let near = similar_name(group, &known_options::checked_groups())?;
    let message = format!("unknown group; did you mean [{near}]?");
    Some((Verdict::Warning, "unknown_group", message))
}

/// Returns the known group that has an option of this name.
fn group_with_option(name: &str) -> Option<&'static str> {
    let name = name.replace('-', "_");
    let has_option = |group: &&str| known_options::option_names(group).contains(&name.as_str());
    known_options::checked_groups().into_iter().find(has_option)
}

/// Returns the most similar name, if it is similar enough. Case and hyphens are ignored.
fn similar_name<'n>(word: &str, names: &[&'n str]) -> Option<&'n str> {
    let most = 1 + word.len() / 5;
    let plain = |text: &str| text.to_lowercase().replace('-', "_");
    let word = plain(word);
    let by_distance = names.iter().map(|name| (strsim::osa_distance(&word, &plain(name)), *name));
    by_distance.filter(|(distance, _)| *distance <= most).min().map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::similar_name;

    #[test]
    fn mistyped_names_are_recognized() {
        assert_eq!(similar_name("bind_prot", &["bind_host", "bind_port"]), Some("bind_port"));
        assert_eq!(similar_name("oslo_messaging_rabbit", &["oslo_middleware", "oslo_policy"]), None);
        assert_eq!(similar_name("DEBUG", &["debug", "driver"]), Some("debug"));
        assert_eq!(similar_name("default", &["DEFAULT", "api"]), Some("DEFAULT"));
        assert_eq!(similar_name("Bind-Prot", &["bind_host", "bind_port"]), Some("bind_port"));
        assert_eq!(similar_name("databse", &["database", "storage"]), Some("database"));
    }
}
