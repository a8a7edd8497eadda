//! The two inputs of a decision: [`Target`] (the object of an operation) and [`Credentials`] (the caller).
//! Both can borrow their texts. Comparing attributes belongs in `check`.

use std::borrow::Cow;

use crate::value::Value;

/// Named values in the order in which they were set. Names are unique.
type Entries<'a> = Vec<(Cow<'a, str>, Value<'a>)>;

macro_rules! attributes {
    ($name:ident) => {
        impl<'a> $name<'a> {
            /// Creates a value without attributes.
            #[must_use]
            pub fn new() -> Self {
                Self::default()
            }

            /// Adds an attribute, or replaces the one with the same name, and returns the result.
            #[must_use]
            pub fn with(mut self, name: impl Into<Cow<'a, str>>, value: impl Into<Value<'a>>) -> Self {
                self.set(name, value);
                self
            }

            /// Adds an attribute, or replaces the one with the same name.
            pub fn set(&mut self, name: impl Into<Cow<'a, str>>, value: impl Into<Value<'a>>) {
                let (name, value) = (name.into(), value.into());
                match self.entries.iter_mut().find(|(known, _)| *known == name) {
                    Some((_, known)) => *known = value,
                    None => self.entries.push((name, value)),
                }
            }

            /// Iterates over the attributes in the order in which they were set.
            pub fn iter(&self) -> impl Iterator<Item = (&str, &Value<'a>)> {
                self.entries.iter().map(|(name, value)| (name.as_ref(), value))
            }

            /// Converts the attributes into ones that borrow nothing.
            #[must_use]
            pub fn into_owned(self) -> $name<'static> {
                $name {
                    entries: self
                        .entries
                        .into_iter()
                        .map(|(name, value)| (Cow::Owned(name.into_owned()), value.into_owned()))
                        .collect(),
                }
            }

            fn find(&self, name: &str) -> Option<&Value<'a>> {
                self.entries.iter().find(|(known, _)| known == name).map(|(_, value)| value)
            }
        }

        /// Takes attributes whose names are known to be unique, so this skips the search for an existing name that
        /// [`set`](Self::set) makes.
        impl<'a, const N: usize> From<[(&'a str, Value<'a>); N]> for $name<'a> {
            fn from(attributes: [(&'a str, Value<'a>); N]) -> Self {
                Self { entries: attributes.map(|(name, value)| (Cow::Borrowed(name), value)).into() }
            }
        }

        impl<'a> From<&'a serde_json::Map<String, serde_json::Value>> for $name<'a> {
            fn from(object: &'a serde_json::Map<String, serde_json::Value>) -> Self {
                let entries = object
                    .iter()
                    .map(|(name, value)| (Cow::Borrowed(name.as_str()), Value::from(value)))
                    .collect();
                Self { entries }
            }
        }
    };
}

/// Attributes of the object of an operation, for `%(name)s` in a rule.
///
/// ```
/// use oslo_policy::Target;
///
/// let target = Target::new().with("project_id", "9a0b").with("public", false);
/// assert_eq!(target.iter().count(), 2);
/// ```
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Target<'a> {
    entries: Entries<'a>,
}

attributes!(Target);

impl<'a> Target<'a> {
    /// Returns the attribute with exactly this name. As in oslo.policy, a dot in the name has no meaning.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Value<'a>> {
        self.find(name)
    }

    /// Returns the target as a JSON object.
    #[must_use]
    pub fn to_json(&self) -> serde_json::Value {
        serde_json::Value::Object(
            self.iter().map(|(name, value)| (name.to_owned(), value.to_json())).collect(),
        )
    }
}

/// Attributes of the caller, for `role:…` and `name:…` checks.
///
/// These names have a special meaning: `roles` (a list of texts), and `system_scope`, `system` and `domain_id` (the scope
/// of the token). As in oslo.policy, a `system_scope` that is set is also available as `system`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Credentials<'a> {
    entries: Entries<'a>,
}

attributes!(Credentials);

impl<'a> Credentials<'a> {
    /// Returns the attribute with exactly this name. If `system_scope` is set, it is also the value of `system`.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Value<'a>> {
        if name == "system"
            && let Some(scope) = self.find("system_scope").filter(|scope| scope.is_truthy())
        {
            return Some(scope);
        }
        self.find(name)
    }

    /// Returns the scope of the token: system if `system` is set, else domain if `domain_id` is set, else project.
    #[must_use]
    pub fn scope(&self) -> TokenScope {
        let set = |name| self.get(name).is_some_and(Value::is_truthy);
        if set("system") {
            TokenScope::System
        } else if set("domain_id") {
            TokenScope::Domain
        } else {
            TokenScope::Project
        }
    }

    /// Returns the credentials as a JSON object. If `system_scope` is set, this also sets `system`.
    #[must_use]
    pub fn to_json(&self) -> serde_json::Value {
        let mut object: serde_json::Map<_, _> =
            self.iter().map(|(name, value)| (name.to_owned(), value.to_json())).collect();
        if let Some(system) = self.get("system") {
            object.insert("system".to_owned(), system.to_json());
        }
        serde_json::Value::Object(object)
    }
}

/// The scope of a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenScope {
    /// The whole deployment.
    System,
    /// One domain.
    Domain,
    /// One project. A token without any scope counts as one of these.
    Project,
}

impl TokenScope {
    /// Returns the name that a rule's `scope_types` use.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            TokenScope::System => "system",
            TokenScope::Domain => "domain",
            TokenScope::Project => "project",
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

    use super::*;

    #[test]
    fn setting_a_name_again_replaces_its_value() {
        let target = Target::new().with("a", 1).with("b", "x").with("a", "y");
        let entries: Vec<_> = target.iter().collect();
        assert_eq!(entries, [("a", &Value::from("y")), ("b", &Value::from("x"))]);
    }

    #[test]
    fn system_scope_is_also_available_as_system() {
        let creds = Credentials::new().with("system_scope", "all").with("domain_id", "d");
        assert_eq!(creds.get("system"), Some(&Value::from("all")));
        assert_eq!(creds.scope(), TokenScope::System);
        assert_eq!(creds.to_json()["system"], "all");

        let unset = Credentials::new().with("system_scope", Value::None).with("domain_id", "d");
        assert_eq!(unset.get("system"), None);
        assert_eq!(unset.scope(), TokenScope::Domain);
        assert_eq!(Credentials::new().scope(), TokenScope::Project);
    }

    #[test]
    fn json_round_trip() {
        let json = serde_json::json!({"i": -3, "f": 1.5, "s": "x", "n": null, "l": [true, {"k": 18_446_744_073_709_551_615_u64}]});
        let object = json.as_object().unwrap();
        let target = Target::from(object);
        assert_eq!(target.to_json(), json);
        assert_eq!(target.into_owned().to_json(), json);
    }
}
