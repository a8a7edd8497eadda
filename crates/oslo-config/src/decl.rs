//! What an option is: its name, type, default, limits and old names, as constants that a service
//! declares once. Not here: where values come from (`config.rs`) and how they are read (`value.rs`).

/// The group of options that belong to no other group.
pub const DEFAULT: &str = "DEFAULT";

/// The type of an option's value, as oslo.config's `StrOpt`, `BoolOpt` … name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Kind {
    /// Any text, or one of `choices`.
    Str,
    /// true/false, yes/no, on/off, 1/0, in any case.
    Bool,
    /// A whole number of 64 bits; `min`, `max` or `choices` limit it.
    Int,
    /// A number of double precision; `min` and `max` limit it.
    Float,
    /// A port number, 0 to 65535; `min`, `max` or `choices` limit it further.
    Port,
    /// Texts separated by commas; `choices` limit each of them.
    List,
    /// A text that may be given many times; every one counts.
    MultiStr,
    /// `key:value` pairs separated by commas.
    Dict,
    /// An IPv4 or IPv6 address, or a host name.
    HostAddress,
    /// A URI with a scheme and a host (RFC 3986).
    Uri,
}

impl Kind {
    /// The name that a sample file prints, e.g. `integer value`.
    pub const fn type_name(self) -> &'static str {
        match self {
            Self::Str => "string value",
            Self::Bool => "boolean value",
            Self::Int => "integer value",
            Self::Float => "floating point value",
            Self::Port => "port value",
            Self::List => "list value",
            Self::MultiStr => "multi valued",
            Self::Dict => "dict value",
            Self::HostAddress => "host address value",
            Self::Uri => "uri value",
        }
    }
}

/// A declared option: what typed lookup, the checks and the sample file are made from.
///
/// Every part is `'static` and every builder is `const`, so a service writes its options as constants:
///
/// ```
/// use oslo_config::OptDecl;
/// pub const BIND_PORT: OptDecl = OptDecl::port("DEFAULT", "bind_port")
///     .default("9090")
///     .help("Port of the API.");
/// assert_eq!(BIND_PORT.default, Some("9090"));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OptDecl {
    /// The group: `DEFAULT`, or a name in lower case.
    pub group: &'static str,
    /// The name; a hyphen in it stands for an underscore in the file.
    pub name: &'static str,
    /// The type.
    pub kind: Kind,
    /// The value when nothing sets the option, written as in a file (so it may refer to other
    /// options). For [`Kind::MultiStr`] each line is one value.
    pub default: Option<&'static str>,
    /// What the option does, for the operator.
    pub help: &'static str,
    /// True when no message may show the value.
    pub secret: bool,
    /// True when the service cannot run without a value.
    pub required: bool,
    /// The values allowed; empty when there is no such limit.
    pub choices: &'static [&'static str],
    /// The least number allowed.
    pub min: Option<i64>,
    /// The greatest number allowed.
    pub max: Option<i64>,
    /// Old `(group, name)` pairs that still work, with a warning. An empty group or name means that
    /// this part did not change.
    pub deprecated: &'static [(&'static str, &'static str)],
    /// What the sample file shows instead of the default.
    pub sample_default: Option<&'static str>,
    /// True for an option that most operators should leave alone; the sample file says so.
    pub advanced: bool,
    /// Whether an empty value means that the option is not set.
    pub unset_if_empty: bool,
}

impl OptDecl {
    /// An option without default, limits and help.
    pub const fn new(group: &'static str, name: &'static str, kind: Kind) -> Self {
        Self {
            group,
            name,
            kind,
            default: None,
            help: "",
            secret: false,
            required: false,
            choices: &[],
            min: None,
            max: None,
            deprecated: &[],
            sample_default: None,
            advanced: false,
            unset_if_empty: false,
        }
    }

    /// An option of [`Kind::Str`].
    pub const fn string(group: &'static str, name: &'static str) -> Self {
        Self::new(group, name, Kind::Str)
    }

    /// An option of [`Kind::Str`] that names a file or directory.
    pub const fn path(group: &'static str, name: &'static str) -> Self {
        Self::string(group, name).names_a_path()
    }

    /// An option of [`Kind::Bool`].
    pub const fn boolean(group: &'static str, name: &'static str) -> Self {
        Self::new(group, name, Kind::Bool)
    }

    /// An option of [`Kind::Int`].
    pub const fn integer(group: &'static str, name: &'static str) -> Self {
        Self::new(group, name, Kind::Int)
    }

    /// An option of [`Kind::Float`].
    pub const fn float(group: &'static str, name: &'static str) -> Self {
        Self::new(group, name, Kind::Float)
    }

    /// An option of [`Kind::Port`].
    pub const fn port(group: &'static str, name: &'static str) -> Self {
        Self::new(group, name, Kind::Port)
    }

    /// An option of [`Kind::List`].
    pub const fn list(group: &'static str, name: &'static str) -> Self {
        Self::new(group, name, Kind::List)
    }

    /// An option of [`Kind::MultiStr`].
    pub const fn multi(group: &'static str, name: &'static str) -> Self {
        Self::new(group, name, Kind::MultiStr)
    }

    /// An option of [`Kind::Dict`].
    pub const fn dict(group: &'static str, name: &'static str) -> Self {
        Self::new(group, name, Kind::Dict)
    }

    /// An option of [`Kind::HostAddress`].
    pub const fn host_address(group: &'static str, name: &'static str) -> Self {
        Self::new(group, name, Kind::HostAddress)
    }

    /// An option of [`Kind::Uri`].
    pub const fn uri(group: &'static str, name: &'static str) -> Self {
        Self::new(group, name, Kind::Uri)
    }

    /// Sets the default, written as in a file.
    pub const fn default(mut self, text: &'static str) -> Self {
        self.default = Some(text);
        self
    }

    /// Sets the help text.
    pub const fn help(mut self, text: &'static str) -> Self {
        self.help = text;
        self
    }

    /// Marks the value as one that no message may show.
    pub const fn secret(mut self) -> Self {
        self.secret = true;
        self
    }

    /// Marks the option as one that must have a value.
    pub const fn required(mut self) -> Self {
        self.required = true;
        self
    }

    /// Sets the values allowed.
    pub const fn choices(mut self, values: &'static [&'static str]) -> Self {
        self.choices = values;
        self
    }

    /// Sets the least number allowed.
    pub const fn min(mut self, number: i64) -> Self {
        self.min = Some(number);
        self
    }

    /// Sets the greatest number allowed.
    pub const fn max(mut self, number: i64) -> Self {
        self.max = Some(number);
        self
    }

    /// Sets the old `(group, name)` pairs.
    pub const fn deprecated(mut self, names: &'static [(&'static str, &'static str)]) -> Self {
        self.deprecated = names;
        self
    }

    /// Sets what the sample file shows instead of the default.
    pub const fn sample_default(mut self, text: &'static str) -> Self {
        self.sample_default = Some(text);
        self
    }

    /// Marks the option as one that most operators should leave alone.
    pub const fn advanced(mut self) -> Self {
        self.advanced = true;
        self
    }

    /// Marks the text, or each text of a [`Kind::MultiStr`] option, as a path. An empty one is as if it were not set.
    pub const fn names_a_path(self) -> Self {
        self.unset_if_empty()
    }

    /// Treats an empty value as if the option were not set, so that the default applies.
    pub const fn unset_if_empty(mut self) -> Self {
        self.unset_if_empty = true;
        self
    }

    /// The name as a file spells it: hyphens are underscores.
    pub fn key(&self) -> String {
        self.name.replace('-', "_")
    }

    /// The places where a file may set the option, the current name first, when the option is asked
    /// for in `group` (which differs from the option's own only for a reference by an old name).
    pub(crate) fn names_in(&self, group: &str) -> Vec<(String, String)> {
        let old = |name: &str, old_group: &str| {
            let group = if old_group.is_empty() { group } else { old_group };
            (normalize_group(group), name.to_owned())
        };
        let mut names = vec![(normalize_group(group), self.key())];
        for (old_group, name) in self.deprecated {
            match (old_group.is_empty(), name.is_empty()) {
                (true, true) => {}
                (_, true) => names.push(old(&self.key(), old_group)),
                _ => names.push(old(name, old_group)),
            }
        }
        for (old_group, name) in self.deprecated.iter().filter(|(_, name)| name.contains('-')) {
            names.push(old(&name.replace('-', "_"), old_group));
        }
        names
    }
}

/// The form in which group names are compared: lower case, except `DEFAULT`.
pub(crate) fn normalize_group(name: &str) -> String {
    if name == DEFAULT { name.to_owned() } else { name.to_lowercase() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_start_with_the_current_one_and_end_with_the_spelling_of_hyphens() {
        const OPT: OptDecl = OptDecl::string("Svc", "host-name").deprecated(&[
            ("", "old-host"),
            ("DEFAULT", ""),
            ("", ""),
            ("OLD", "h"),
        ]);
        let pair = |group: &str, name: &str| (group.to_owned(), name.to_owned());
        assert_eq!(
            OPT.names_in(OPT.group),
            [
                pair("svc", "host_name"),
                pair("svc", "old-host"),
                pair("DEFAULT", "host_name"),
                pair("old", "h"),
                pair("svc", "old_host"),
            ]
        );
    }

    #[test]
    fn only_the_exact_word_is_the_default_group() {
        assert_eq!(normalize_group("DEFAULT"), "DEFAULT");
        assert_eq!(normalize_group("Default"), "default");
    }
}
