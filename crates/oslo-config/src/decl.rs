//! The declaration of an option: its name, type, default, limits and deprecated names, as constants of a
//! service. Sources are in `config.rs`, conversion in `value.rs`.

/// The group of options without a group of their own.
pub const DEFAULT: &str = "DEFAULT";

/// The type of an option's value, with the names of oslo.config (`StrOpt`, `BoolOpt` …).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum OptionKind {
    /// Any text, or one of `choices`.
    Str,
    /// true/false, yes/no, on/off, 1/0, in upper or lower case.
    Bool,
    /// A whole number of 64 bits, limited by `min`, `max` or `choices`.
    Int,
    /// A number of double precision, limited by `min` and `max`.
    Float,
    /// A port number, 0 to 65535, further limited by `min`, `max` or `choices`.
    Port,
    /// Texts separated by commas, each limited by `choices`.
    List,
    /// A text that can be set several times. All of these values count.
    MultiStr,
    /// `key:value` pairs separated by commas.
    Dict,
    /// An IPv4 or IPv6 address, or a host name.
    HostAddress,
    /// A URI with a scheme and a host (RFC 3986).
    Uri,
}

impl OptionKind {
    /// Returns the name of the type in a sample file, e.g. `integer value`.
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

/// The declaration of an option, for typed lookup, checks and the sample file.
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
    /// The name. A hyphen in it is an underscore in the file.
    pub name: &'static str,
    /// The type.
    pub kind: OptionKind,
    /// The value if the option is not set, written as in a file, so it may refer to other options. For
    /// [`OptionKind::MultiStr`], each line is one value.
    pub default: Option<&'static str>,
    /// A description of the option for the operator.
    pub help: &'static str,
    /// Whether messages must not show the value.
    pub secret: bool,
    /// Whether the service requires a value.
    pub required: bool,
    /// The allowed values. Empty if there is no such limit.
    pub choices: &'static [&'static str],
    /// The smallest allowed number.
    pub min: Option<i64>,
    /// The largest allowed number.
    pub max: Option<i64>,
    /// Deprecated `(group, name)` pairs that still work, with a warning. If the group or the name is empty,
    /// that part has not changed.
    pub deprecated: &'static [(&'static str, &'static str)],
    /// The value in the sample file instead of the default.
    pub sample_default: Option<&'static str>,
    /// Whether only advanced operators should change the option. The sample file says so.
    pub advanced: bool,
    /// Whether an empty value means that the option is not set.
    pub unset_if_empty: bool,
}

impl OptDecl {
    /// Declares an option without default, limits and help.
    pub const fn new(group: &'static str, name: &'static str, kind: OptionKind) -> Self {
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

    /// Declares an option of [`OptionKind::Str`].
    pub const fn string(group: &'static str, name: &'static str) -> Self {
        Self::new(group, name, OptionKind::Str)
    }

    /// Declares an option of [`OptionKind::Str`] whose value is a file or directory.
    pub const fn path(group: &'static str, name: &'static str) -> Self {
        Self::string(group, name).names_a_path()
    }

    /// Declares an option of [`OptionKind::Bool`].
    pub const fn boolean(group: &'static str, name: &'static str) -> Self {
        Self::new(group, name, OptionKind::Bool)
    }

    /// Declares an option of [`OptionKind::Int`].
    pub const fn integer(group: &'static str, name: &'static str) -> Self {
        Self::new(group, name, OptionKind::Int)
    }

    /// Declares an option of [`OptionKind::Float`].
    pub const fn float(group: &'static str, name: &'static str) -> Self {
        Self::new(group, name, OptionKind::Float)
    }

    /// Declares an option of [`OptionKind::Port`].
    pub const fn port(group: &'static str, name: &'static str) -> Self {
        Self::new(group, name, OptionKind::Port)
    }

    /// Declares an option of [`OptionKind::List`].
    pub const fn list(group: &'static str, name: &'static str) -> Self {
        Self::new(group, name, OptionKind::List)
    }

    /// Declares an option of [`OptionKind::MultiStr`].
    pub const fn multi(group: &'static str, name: &'static str) -> Self {
        Self::new(group, name, OptionKind::MultiStr)
    }

    /// Declares an option of [`OptionKind::Dict`].
    pub const fn dict(group: &'static str, name: &'static str) -> Self {
        Self::new(group, name, OptionKind::Dict)
    }

    /// Declares an option of [`OptionKind::HostAddress`].
    pub const fn host_address(group: &'static str, name: &'static str) -> Self {
        Self::new(group, name, OptionKind::HostAddress)
    }

    /// Declares an option of [`OptionKind::Uri`].
    pub const fn uri(group: &'static str, name: &'static str) -> Self {
        Self::new(group, name, OptionKind::Uri)
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

    /// Marks the value as a secret that messages must not show.
    pub const fn secret(mut self) -> Self {
        self.secret = true;
        self
    }

    /// Marks the option as required.
    pub const fn required(mut self) -> Self {
        self.required = true;
        self
    }

    /// Sets the allowed values.
    pub const fn choices(mut self, values: &'static [&'static str]) -> Self {
        self.choices = values;
        self
    }

    /// Sets the smallest allowed number.
    pub const fn min(mut self, number: i64) -> Self {
        self.min = Some(number);
        self
    }

    /// Sets the largest allowed number.
    pub const fn max(mut self, number: i64) -> Self {
        self.max = Some(number);
        self
    }

    /// Sets the deprecated `(group, name)` pairs.
    pub const fn deprecated(mut self, names: &'static [(&'static str, &'static str)]) -> Self {
        self.deprecated = names;
        self
    }

    /// Sets the value in the sample file instead of the default.
    pub const fn sample_default(mut self, text: &'static str) -> Self {
        self.sample_default = Some(text);
        self
    }

    /// Marks the option as one that only advanced operators should change.
    pub const fn advanced(mut self) -> Self {
        self.advanced = true;
        self
    }

    /// Marks the text, or each text of a [`OptionKind::MultiStr`] option, as a path. An empty path means that
    /// the option is not set.
    pub const fn names_a_path(self) -> Self {
        self.unset_if_empty()
    }

    /// Treats an empty value as not set, so that the default applies.
    pub const fn unset_if_empty(mut self) -> Self {
        self.unset_if_empty = true;
        self
    }

    /// Returns the name as written in a file, with underscores instead of hyphens.
    pub fn key(&self) -> String {
        self.name.replace('-', "_")
    }

    /// Returns the groups and names under which a file can set the option, the current name first. `group`
    /// differs from the option's own group only for a reference by a deprecated name.
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

/// Returns a group name for comparison: lower case, except `DEFAULT`.
pub(crate) fn normalize_group(name: &str) -> String {
    if name == DEFAULT { name.to_owned() } else { name.to_lowercase() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_start_with_the_current_name_and_end_with_the_hyphenated_name() {
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
    fn only_the_exact_word_default_is_the_default_group() {
        assert_eq!(normalize_group("DEFAULT"), "DEFAULT");
        assert_eq!(normalize_group("Default"), "default");
    }
}
