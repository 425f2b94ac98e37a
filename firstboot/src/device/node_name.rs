//! The node's name.

use std::fmt;

use super::Device;
use crate::digest::Digest;
use crate::join_config::node_name::{check, expand};
use crate::join_config::{NameError, NodeSettings};

/// What a name that nobody chose begins with.
const PREFIX: &str = "edge-";
/// How many hex digits of the digest follow: with 1,000,000 machines two of them meet with a chance of 0.2 %.
const DIGITS: usize = 12;

/// A node's name: an RFC 1123 subdomain.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeName(String);

impl NodeName {
    /// `text`, if a node can be called so.
    pub fn new(text: impl Into<String>) -> Result<Self, NameError> {
        let text = text.into();
        check(&text).map(|()| Self(text))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for NodeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Why a machine has no name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NodeNameError {
    /// The template asks for what the machine does not have.
    #[error("the name `{template}` needs {what}, and this machine has none")]
    Absent {
        /// The template.
        template: String,
        /// `a serial number`, …
        what: &'static str,
    },
    /// What comes out is no name.
    #[error("the name of this node cannot be made")]
    Name(#[from] NameError),
    /// Nothing to make a name from.
    #[error("this machine has neither a serial number, a network card nor a machine id to make a name from")]
    Nameless,
}

impl NodeNameError {
    /// What a person can do about it.
    pub fn advice(&self) -> &'static str {
        match self {
            Self::Absent { .. } => {
                "use another placeholder in `node.name`, or give this machine a join file of its own"
            }
            Self::Name(_) | Self::Nameless => "set `node.name` in the join file",
        }
    }
}

/// The name for this machine: the one that was chosen, with its placeholders filled, else one that follows from the
/// hardware.
pub fn node_name(settings: &NodeSettings, device: &Device) -> Result<NodeName, NodeNameError> {
    let name = match settings.name.as_str() {
        "" => return from_hardware(device),
        template => expand(template, |placeholder| {
            let what = match placeholder {
                "serial" => "a serial number",
                "mac" => "a network card",
                "machine-id" => "a machine id",
                _ => return Err(NameError::Placeholder.into()),
            };
            let absent = || NodeNameError::Absent {
                template: template.to_owned(),
                what,
            };
            device.value(placeholder).map(|value| label(&value)).ok_or_else(absent)
        })?,
    };
    Ok(NodeName::new(name)?)
}

/// `value` as part of a name: lower case, everything else but digits is a dash, none at the ends.
fn label(value: &str) -> String {
    let lower = value.to_ascii_lowercase();
    let plain: String = lower
        .chars()
        .map(|letter| if letter.is_ascii_alphanumeric() { letter } else { '-' })
        .collect();
    plain.trim_matches('-').to_owned()
}

/// The kind of identity is part of what is hashed, so that no serial number can be another machine's address.
fn from_hardware(device: &Device) -> Result<NodeName, NodeNameError> {
    let identities = [
        ("serial", device.serial.clone()),
        ("uuid", device.uuid.clone()),
        ("mac", device.mac.map(|mac| mac.to_string())),
        ("machine-id", device.machine_id.clone()),
    ];
    let best = identities.into_iter().find_map(|(kind, value)| Some((kind, value?)));
    let (kind, value) = best.ok_or(NodeNameError::Nameless)?;
    let digest = Digest::of(format!("{kind}\0{value}").as_bytes()).to_string();
    Ok(NodeName::new(format!("{PREFIX}{}", &digest[..DIGITS]))?)
}
