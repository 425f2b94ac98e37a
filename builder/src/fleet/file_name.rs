//! What the files of a fleet are called.

use std::fmt;

use skerry_firstboot::device::{Device as Hardware, Mac, NodeName};

/// The placeholder for the node's name.
const NAME: &str = "{name}";
/// Longest name of a file (Linux, `NAME_MAX`), in bytes.
const LONGEST: usize = 255;

/// A template for names of files, with `{name}`, `{serial}` or `{mac}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileName(String);

/// Text that is no such template.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadTemplate {
    /// Every file would have the same name.
    #[error("there is no placeholder in it")]
    Constant,
    /// Something else in braces.
    #[error("it may hold `{{name}}`, `{{serial}}` and `{{mac}}`")]
    Placeholder,
    /// A folder, or a hidden file.
    #[error("it must not hold `/` or begin with `.`")]
    Path,
}

/// Why a device has no file name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum NoName {
    #[error("the name of the file needs it")]
    Serial,
    #[error("the name of the file needs it")]
    Mac,
    #[error("the name of the file would begin with `.`")]
    Hidden,
    #[error("the name of the file would have more than {LONGEST} bytes")]
    TooLong,
}

impl FileName {
    /// For join files: `NAME.toml`.
    pub fn join_file() -> Self {
        Self(format!("{NAME}.toml"))
    }

    /// For images: `NAME.raw`.
    pub fn image() -> Self {
        Self(format!("{NAME}.raw"))
    }

    /// Reads a template.
    pub fn parse(text: &str) -> Result<Self, BadTemplate> {
        let sample = Hardware {
            serial: Some("s".to_owned()),
            mac: Some(Mac([2; 6])),
            ..Hardware::default()
        };
        let plain = text.replace(NAME, "n");
        let filled = sample.fill(&plain).ok_or(BadTemplate::Placeholder)?;
        if filled == text {
            return Err(BadTemplate::Constant);
        }
        match filled.contains('/') || filled.starts_with('.') {
            true => Err(BadTemplate::Path),
            false => Ok(Self(text.to_owned())),
        }
    }

    /// Whether it asks for the serial number.
    pub(super) fn needs_serial(&self) -> bool {
        self.0.contains("{serial}")
    }

    /// Whether it asks for the hardware address.
    pub(super) fn needs_mac(&self) -> bool {
        self.0.contains("{mac}")
    }

    /// The file's name for one device.
    pub(super) fn fill(&self, name: &NodeName, hardware: &Hardware) -> Result<String, NoName> {
        if self.needs_serial() && hardware.serial.is_none() {
            return Err(NoName::Serial);
        }
        let filled = hardware.fill(&self.0.replace(NAME, name.as_str())).ok_or(NoName::Mac)?;
        if filled.starts_with('.') {
            return Err(NoName::Hidden);
        }
        match filled.len() > LONGEST {
            true => Err(NoName::TooLong),
            false => Ok(filled),
        }
    }
}

impl fmt::Display for FileName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_template_makes_a_file_s_name_of_every_device_s_own_facts() {
        let name = NodeName::new("shop-7").unwrap();
        let hardware = Hardware {
            serial: Some("A/1 2".to_owned()),
            mac: Mac::parse("52:54:00:12:34:56"),
            ..Hardware::default()
        };
        let fill = |template: &str| FileName::parse(template).unwrap().fill(&name, &hardware);
        assert_eq!(fill("{name}.toml").unwrap(), "shop-7.toml");
        assert_eq!(fill("join-{serial}.toml").unwrap(), "join-A-1-2.toml");
        assert_eq!(fill("{mac}").unwrap(), "525400123456");
        let unknown = Hardware::default();
        assert_eq!(
            FileName::parse("{serial}").unwrap().fill(&name, &unknown),
            Err(NoName::Serial)
        );
        assert_eq!(
            FileName::parse("{mac}").unwrap().fill(&name, &unknown),
            Err(NoName::Mac)
        );
    }

    #[test]
    fn a_template_that_leaves_the_folder_or_names_all_files_alike_is_refused() {
        assert_eq!(FileName::parse("join.toml"), Err(BadTemplate::Constant));
        assert_eq!(FileName::parse("{uuid}.toml"), Err(BadTemplate::Placeholder));
        assert_eq!(FileName::parse("{name"), Err(BadTemplate::Placeholder));
        assert_eq!(FileName::parse("../{name}"), Err(BadTemplate::Path));
        assert_eq!(FileName::parse("a/{name}"), Err(BadTemplate::Path));
        let hidden = Hardware {
            serial: Some("..".to_owned()),
            ..Hardware::default()
        };
        let name = NodeName::new("a").unwrap();
        assert_eq!(
            FileName::parse("{serial}").unwrap().fill(&name, &hidden),
            Err(NoName::Hidden)
        );
    }
}
