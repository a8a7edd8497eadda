//! Where options were set: [`Places`]. Messages about an option begin with its name, `[group] option`, and get the file and
//! line, the variable or the argument that has set it.

use std::collections::BTreeMap;

use ::oslo_config::{Config, Origin, UnknownOption};

use super::{Finding, declarations};

/// Where each option was set that is not at its default.
#[derive(Debug, Clone, Default)]
pub struct Places(BTreeMap<(String, String), Origin>);

impl Places {
    /// The places of all options.
    pub fn of(config: &Config) -> Places {
        let set = declarations().into_iter().filter_map(|option| {
            let origin = config.origin(option).filter(|origin| *origin != Origin::Default)?;
            Some(((option.group.to_owned(), option.key()), origin))
        });
        Places(set.collect())
    }

    /// Adds the place of the option that a finding is about.
    pub fn locate(&self, finding: Finding) -> Finding {
        match (&finding.place, self.find(&finding.message)) {
            (None, Some((Origin::File { file, line }, group, name, rest))) => {
                let place = UnknownOption {
                    group: group.to_owned(),
                    name: name.to_owned(),
                    file: file.clone(),
                    line: *line,
                };
                Finding { place: Some(place), message: rest.to_owned(), ..finding }
            }
            (None, Some((origin, ..))) => {
                Finding { message: format!("{origin}: {}", finding.message), ..finding }
            }
            _ => finding,
        }
    }

    /// Puts the place of the option that a message is about in front of it.
    pub fn prefixed(&self, message: String) -> String {
        match self.find(&message) {
            Some((origin, ..)) => format!("{origin}: {message}"),
            None => message,
        }
    }

    /// The place, group and name of the option that a message begins with, and the rest of the message.
    fn find<'m>(&self, message: &'m str) -> Option<(&Origin, &'m str, &'m str, &'m str)> {
        let (group, rest) = message.strip_prefix('[')?.split_once("] ")?;
        let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(rest.len());
        let (name, rest) = rest.split_at(end);
        let origin = self.0.get(&(group.to_owned(), name.to_owned()))?;
        Some((origin, group, name, rest.strip_prefix(": ").unwrap_or(rest)))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn a_message_about_an_option_gets_its_place() {
        let text = "[storage]\nbackend = x\n\n[keystone_authtoken]\ncafile = /ca\n";
        let env = [("OS_API__MAX_LIMIT".to_owned(), "3".to_owned())];
        let config = Config::from_texts(&[("f.conf", text)], &env).unwrap().declare(&declarations());
        let places = Places::of(&config);
        for (message, expected) in [
            ("[storage] backend = x: a name", "f.conf:2: [storage] backend = x: a name"),
            ("[keystone_authtoken] cafile: no", "f.conf:5: [keystone_authtoken] cafile: no"),
            (
                "[api] max_limit = 3: small",
                "environment variable OS_API__MAX_LIMIT: [api] max_limit = 3: small",
            ),
            // not set, not an option
            ("[storage] driver = y", "[storage] driver = y"),
            ("[storage] is a group", "[storage] is a group"),
            ("the database", "the database"),
        ] {
            assert_eq!(places.prefixed(message.to_owned()), expected);
            let found = places.locate(Finding::without_effect(message.to_owned()));
            assert_eq!(found.to_string(), expected);
            assert_eq!(found.place.is_some(), expected.starts_with("f.conf"), "{message}");
        }
    }
}
