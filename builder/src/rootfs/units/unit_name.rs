//! The parts of a unit's name (systemd.unit(5)): `prefix.type`, or `prefix@instance.type` for templates.

use std::fmt;

use super::UnitsError;

const TYPES: [&str; 11] = [
    "automount",
    "device",
    "mount",
    "path",
    "scope",
    "service",
    "slice",
    "socket",
    "swap",
    "target",
    "timer",
];
/// `UNIT_NAME_MAX` of systemd.
const MAX_BYTES: usize = 255;

/// A well-formed name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct UnitName(String);

impl UnitName {
    pub(super) fn parse(text: &str) -> Result<Self, UnitsError> {
        let bad = || UnitsError::BadName { name: text.to_owned() };
        let (stem, kind) = text.rsplit_once('.').ok_or_else(bad)?;
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b":-_.\\@".contains(&byte);
        let sound = !stem.is_empty() && !stem.starts_with('@') && stem.bytes().all(allowed);
        match sound && TYPES.contains(&kind) && text.len() <= MAX_BYTES {
            true => Ok(Self(text.to_owned())),
            false => Err(bad()),
        }
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    fn split(&self) -> (&str, Option<&str>, &str) {
        let (stem, kind) = self.0.rsplit_once('.').unwrap_or((&self.0, ""));
        match stem.split_once('@') {
            Some((prefix, instance)) => (prefix, Some(instance), kind),
            None => (stem, None, kind),
        }
    }

    /// What stands before `@` or the type.
    pub(super) fn prefix(&self) -> &str {
        self.split().0
    }

    /// The type, such as `service`.
    pub(super) fn kind(&self) -> &str {
        self.split().2
    }

    /// The instance; none for plain units and for templates themselves.
    pub(super) fn instance(&self) -> Option<&str> {
        self.split().1.filter(|instance| !instance.is_empty())
    }

    /// Whether it is a template itself, `prefix@.type`.
    pub(super) fn is_template(&self) -> bool {
        self.split().1 == Some("")
    }

    /// The template of an instance; other names stay as they are.
    pub(super) fn template_name(&self) -> String {
        match self.split() {
            (prefix, Some(_), kind) => format!("{prefix}@.{kind}"),
            _ => self.0.clone(),
        }
    }

    /// A template with its instance filled in; other names stay as they are.
    pub(super) fn with_instance(&self, instance: &str) -> Self {
        match self.split() {
            (prefix, Some(""), kind) => Self(format!("{prefix}@{instance}.{kind}")),
            _ => self.clone(),
        }
    }
}

impl fmt::Display for UnitName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
