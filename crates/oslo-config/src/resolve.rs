//! How the value of an option is found (command line, environment, files, default, deprecated names), and how
//! references are replaced. The syntax of references is in `template.rs`, the types in `value.rs`.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::PoisonError,
};

use crate::{
    config::Config,
    decl::{DEFAULT, OptDecl, OptionKind, normalize_group},
    error::{Error, Origin, Setting},
    template::{TemplatePart, parts},
    text::{cut, strip},
    value::{OptionValue, convert},
};

/// The longest value that references may produce, in bytes.
pub const LONGEST_VALUE: usize = 1 << 20;

/// The longest chain of references, which this crate limits. Python's stack limits it to a little more than a hundred.
const DEEPEST: usize = 64;

type Name = (String, String);

/// The declared options, by group and name. References use this registry.
#[derive(Debug, Clone, Default)]
pub(crate) struct Registry {
    options: BTreeMap<Name, OptDecl>,
    groups: BTreeSet<String>,
    old_names: BTreeMap<Name, OptDecl>,
}

impl Registry {
    pub(crate) fn add(&mut self, decls: &[&OptDecl]) {
        for decl in decls {
            // If two options share a deprecated name, the last declaration has it. Adding the same
            // declaration again, as a check does, must not change this order.
            if self.options.insert((decl.group.to_owned(), decl.key()), **decl) == Some(**decl) {
                continue;
            }
            if decl.group != DEFAULT {
                self.groups.insert(decl.group.to_owned());
            }
            for (group, name) in decl.deprecated {
                // A deprecated name without a group belongs to DEFAULT, not to the option's group.
                let group = if group.is_empty() { DEFAULT } else { group };
                let name = if name.is_empty() { decl.key() } else { name.replace('-', "_") };
                self.old_names.insert((group.to_owned(), name), **decl);
            }
        }
    }

    fn find(&self, group: &str, name: &str) -> Option<&OptDecl> {
        let key = (group.to_owned(), name.to_owned());
        self.options.get(&key).or_else(|| self.old_names.get(&key))
    }
}

/// The option that is being read, for error messages.
#[derive(Clone, Copy)]
struct Subject<'a> {
    group: &'a str,
    option: &'a str,
    origin: &'a Origin,
    secret: bool,
}

impl Subject<'_> {
    fn setting(&self) -> Box<Setting> {
        Box::new(Setting {
            group: self.group.to_owned(),
            option: self.option.to_owned(),
            origin: self.origin.clone(),
        })
    }

    fn shown(&self, text: &str) -> String {
        if self.secret { "***".to_owned() } else { cut(text) }
    }
}

/// One lookup, with its state: the path through references and the values already resolved.
pub(crate) struct Resolver<'a> {
    config: &'a Config,
    registry: &'a Registry,
    warn: bool,
    /// The options whose references are being resolved, outermost first.
    active: Vec<Name>,
    /// Values already resolved. Without them, `$a$a` would double the work at every link of a chain.
    done: BTreeMap<Name, OptionValue>,
}

impl<'a> Resolver<'a> {
    pub(crate) fn new(config: &'a Config, registry: &'a Registry) -> Self {
        Self { config, registry, warn: true, active: Vec::new(), done: BTreeMap::new() }
    }

    /// Returns a resolver that does not warn about deprecated names.
    pub(crate) fn quiet(config: &'a Config, registry: &'a Registry) -> Self {
        Self { warn: false, ..Self::new(config, registry) }
    }

    pub(crate) fn option(&mut self, decl: &OptDecl) -> Result<OptionValue, Error> {
        self.declared(decl, decl.group, &decl.key())
    }

    pub(crate) fn origin(&self, decl: &OptDecl) -> Option<Origin> {
        self.texts(decl, decl.group, &decl.key())?.pop().map(|(_, origin)| origin)
    }

    /// Returns the value of `decl` under the name `group`.`name`. A reference by a deprecated name can differ
    /// from the declaration in both. oslo.config then looks in the group of the reference.
    fn declared(&mut self, decl: &OptDecl, group: &str, name: &str) -> Result<OptionValue, Error> {
        self.once(group, name, |resolver| {
            let Some(texts) = resolver.texts(decl, group, name) else { return Ok(OptionValue::Null) };
            let mut values = resolver.values(decl, group, name, &texts)?;
            if decl.unset_if_empty && values.is_empty() {
                // All texts consist of references to empty values.
                values = resolver.values(decl, group, name, &default_texts(decl))?;
            }
            if decl.kind == OptionKind::MultiStr {
                let items = values.iter().map(OptionValue::python_text).collect();
                return Ok(OptionValue::List(items));
            }
            Ok(values.pop().unwrap_or(OptionValue::Null))
        })
    }

    /// Converts the texts of an option. Skips empty ones if an empty value means that the option is not set.
    fn values(
        &mut self,
        decl: &OptDecl,
        group: &str,
        name: &str,
        texts: &[(String, Origin)],
    ) -> Result<Vec<OptionValue>, Error> {
        let mut values = Vec::new();
        for (text, origin) in texts {
            let subject = Subject { group, option: name, origin, secret: decl.secret };
            let full = self.substitute(text, subject)?;
            if is_unset(decl, &full, origin) {
                continue;
            }
            values.push(convert(decl, &full).map_err(|reason| Error::BadValue {
                setting: subject.setting(),
                value: subject.shown(text),
                reason,
            })?);
        }
        Ok(values)
    }

    /// Returns the text of an option that is set but not declared. The option may be a secret, so errors do
    /// not show its value.
    fn undeclared(&mut self, group: &str, name: &str) -> Option<Result<String, Error>> {
        let (text, origin) = self.set_text(group, name)?;
        let value = self.once(group, name, |resolver| {
            let subject = Subject { group, option: name, origin: &origin, secret: true };
            resolver.substitute(&text, subject).map(OptionValue::Str)
        });
        Some(value.map(|value| value.python_text()))
    }

    fn once(
        &mut self,
        group: &str,
        name: &str,
        find: impl FnOnce(&mut Self) -> Result<OptionValue, Error>,
    ) -> Result<OptionValue, Error> {
        let key = (group.to_owned(), name.to_owned());
        if let Some(value) = self.done.get(&key) {
            return Ok(value.clone());
        }
        if self.active.contains(&key) || self.active.len() >= DEEPEST {
            let chain = self.active.iter().chain([&key]);
            let chain: Vec<String> = chain.map(|(g, n)| format!("{g}.{n}")).collect();
            return Err(Error::ReferenceLoop {
                group: group.to_owned(),
                option: name.to_owned(),
                chain: cut(&chain.join(" -> ")),
            });
        }
        self.active.push(key.clone());
        let value = find(self);
        self.active.pop();
        let value = value?;
        self.done.insert(key, value.clone());
        Ok(value)
    }

    fn substitute(&mut self, text: &str, subject: Subject<'_>) -> Result<String, Error> {
        let mut out = String::new();
        for part in parts(text) {
            let key = match part {
                TemplatePart::Text(text) => {
                    out.push_str(&text);
                    continue;
                }
                TemplatePart::Reference(key) => key,
            };
            out.push_str(&self.reference(&key, subject)?);
            if out.len() > LONGEST_VALUE {
                return Err(Error::TooLong { setting: subject.setting() });
            }
        }
        Ok(out)
    }

    /// Returns the value of the reference `$key`: the option in the group of the subject, otherwise in
    /// `DEFAULT`.
    fn reference(&mut self, key: &str, subject: Subject<'_>) -> Result<String, Error> {
        let registry = self.registry;
        let (group, name) = key.split_once('.').unwrap_or((subject.group, key));
        if key.contains('.') && group != DEFAULT && !registry.groups.contains(group) {
            return self.undeclared(group, name).unwrap_or_else(|| {
                Err(Error::UnknownGroup { setting: subject.setting(), reference: subject.shown(key) })
            });
        }
        // In a group, an option has priority over an option of DEFAULT with the same name. DEFAULT is
        // searched below.
        let own = if group == DEFAULT && !key.contains('.') { None } else { registry.find(group, name) };
        if let Some(decl) = own {
            match self.declared(decl, group, name) {
                Ok(value) => return Ok(value.python_text()),
                // oslo.config cannot distinguish an unknown option from one whose value refers to an unknown
                // option, so it continues.
                Err(Error::UnknownReference { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        if registry.groups.contains(key) {
            return Err(Error::GroupReference { setting: subject.setting(), reference: subject.shown(key) });
        }
        if let Some(decl) = registry.find(DEFAULT, key) {
            return self.declared(decl, DEFAULT, key).map(|value| value.python_text());
        }
        for (group, name) in [(group, name), (DEFAULT, key)] {
            if registry.find(group, name).is_none()
                && let Some(text) = self.undeclared(group, name)
            {
                return text;
            }
        }
        Err(Error::UnknownReference { setting: subject.setting(), reference: subject.shown(key) })
    }

    fn argument(&self, group: &str, name: &str) -> Option<(String, Origin)> {
        let argument = self.config.argument(group, name)?;
        Some((argument.value.clone(), Origin::CommandLine { option: argument.written.clone() }))
    }

    fn variable(&self, group: &str, name: &str) -> Option<(String, Origin)> {
        let variable = format!("OS_{}__{}", group.to_uppercase(), name.to_uppercase());
        let text = self.config.env.get(&variable)?.clone();
        Some((text, Origin::Environment { variable }))
    }

    /// Returns the value of an undeclared option on the command line or in the last file. Environment
    /// variables are not case-sensitive, so a variable for a declared option could match. Therefore they are
    /// not used.
    fn set_text(&self, group: &str, name: &str) -> Option<(String, Origin)> {
        if let Some(found) = self.argument(group, name) {
            return Some(found);
        }
        let names = [(normalize_group(group), name.to_owned())];
        self.in_files(&names, false).pop()
    }

    /// Returns the texts of the option's value with their origins: one text, or all texts of a
    /// [`OptionKind::MultiStr`] option. Returns `None` if the option is not set.
    fn texts(&self, decl: &OptDecl, group: &str, name: &str) -> Option<Vec<(String, Origin)>> {
        let set = self.argument(group, name).or_else(|| self.variable(group, name));
        let mut found = match set {
            Some(found) => vec![found],
            None => self.in_files(&decl.names_in(group), decl.kind == OptionKind::MultiStr),
        };
        found.retain(|(text, origin)| !is_unset(decl, text, origin));
        if found.is_empty() {
            decl.default?;
            found = default_texts(decl);
        }
        Some(found)
    }

    /// Looks for `names` (the current one first) from the last file to the first. Within a file, an earlier
    /// name wins, and for each name the last assignment wins. If `all` is set, returns all texts in the order
    /// of files, and in each file deprecated names before the current name.
    fn in_files(&self, names: &[Name], all: bool) -> Vec<(String, Origin)> {
        let mut found = Vec::new();
        for file in self.config.files.iter().rev() {
            for (index, (group, name)) in names.iter().enumerate() {
                let Some(entries) = file.groups.get(group).and_then(|options| options.get(name)) else {
                    continue;
                };
                if let (true, Some(current)) = (self.warn && index > 0, names.first()) {
                    self.warn_once(&(group.clone(), name.clone()), current);
                }
                // The texts are collected in reverse order and reversed at the end.
                for entry in entries.iter().rev() {
                    let origin = Origin::File { file: file.name.clone(), line: entry.line };
                    found.push((entry.value.clone(), origin));
                    if !all {
                        return found;
                    }
                }
            }
        }
        found.reverse();
        found
    }

    fn warn_once(&self, old: &Name, current: &Name) {
        let mut warned = self.config.warned.lock().unwrap_or_else(PoisonError::into_inner);
        if warned.insert(old.clone()) {
            tracing::warn!(
                "Option \"{}\" of group \"{}\" is deprecated: write \"{}\" in group \"{}\"",
                old.1,
                old.0,
                current.1,
                current.0
            );
        }
    }
}

/// Returns whether a text means that the option is not set. An empty number on the command line is an error
/// instead, because it must not replace the number of a file.
fn is_unset(decl: &OptDecl, text: &str, origin: &Origin) -> bool {
    let is_text = matches!(decl.kind, OptionKind::Str | OptionKind::MultiStr);
    let may_be_empty = is_text || !matches!(origin, Origin::CommandLine { .. });
    decl.unset_if_empty && may_be_empty && strip(text).is_empty()
}

/// Returns the texts of the declared default, if any.
fn default_texts(decl: &OptDecl) -> Vec<(String, Origin)> {
    let text = |text: &str| (text.to_owned(), Origin::Default);
    match decl.default {
        None => Vec::new(),
        Some(default) if decl.kind == OptionKind::MultiStr => default.lines().map(text).collect(),
        Some(default) => vec![text(default)],
    }
}
