//! [`OptionOrigins`]: where options are set. A message about an option begins with its name, `[group] option`. This
//! module adds the file and line, the environment variable or the argument that sets it.

use std::collections::BTreeMap;

use ::oslo_config::{Config, Origin, UnknownOption};

use super::{CentralSettings, Finding, LoginGroups, declarations, keystone_authtoken};

/// The origin of each option that is set.
#[derive(Debug, Clone, Default)]
pub struct OptionOrigins(BTreeMap<(String, String), Origin>);

impl OptionOrigins {
    /// Returns the origins of all options.
    pub fn read(config: &Config) -> OptionOrigins {
        let own = LoginGroups::read(config, keystone_authtoken::GROUP).ok();
        let trustee = CentralSettings::read(config).ok().map(|central| central.trustee_groups);
        let groups = own.into_iter().chain(trustee).flat_map(|groups| [groups.group, groups.login]);
        let of_logins = groups.flat_map(keystone_authtoken::options_in);
        let set = declarations().into_iter().copied().chain(of_logins).filter_map(|option| {
            let origin = config.origin(&option).filter(|origin| *origin != Origin::Default)?;
            Some(((option.group.to_owned(), option.key()), origin))
        });
        OptionOrigins(set.collect())
    }

    /// Adds the origin of the option to a finding about it.
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

    /// Adds the origin of the option to the beginning of a message about it.
    pub fn prefixed(&self, message: String) -> String {
        match self.find(&message) {
            Some((origin, ..)) => format!("{origin}: {message}"),
            None => message,
        }
    }

    /// Returns the origin, group and name of the option that a message begins with, and the rest of the message.
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
    fn a_message_about_an_option_gets_its_origin() {
        let text = "[storage]\nbackend = x\n\n[keystone_authtoken]\ncafile = /ca\n";
        let env = [("OS_API__MAX_LIMIT".to_owned(), "3".to_owned())];
        let config = Config::from_texts(&[("f.conf", text)], &env).unwrap().declare(&declarations());
        let origins = OptionOrigins::read(&config);
        for (message, expected) in [
            ("[storage] backend = x: a name", "f.conf:2: [storage] backend = x: a name"),
            ("[keystone_authtoken] cafile: no", "f.conf:5: [keystone_authtoken] cafile: no"),
            (
                "[api] max_limit = 3: small",
                "environment variable OS_API__MAX_LIMIT: [api] max_limit = 3: small",
            ),
            // These options are not set, or the message names none.
            ("[storage] driver = y", "[storage] driver = y"),
            ("[storage] is a group", "[storage] is a group"),
            ("the database", "the database"),
        ] {
            assert_eq!(origins.prefixed(message.to_owned()), expected);
            let found = origins.locate(Finding::without_effect(message.to_owned()));
            assert_eq!(found.to_string(), expected);
            assert_eq!(found.place.is_some(), expected.starts_with("f.conf"), "{message}");
        }
    }
}
