//! The machine id (machine-id(5)): 32 lower-case hex digits and a line feed, unique to the device, the same at each boot.
//!
//! It must stand in /etc before systemd starts: with none, systemd takes the boot for a first boot, enables every unit
//! that a preset names and asks questions on the console. The SMBIOS product id is no source: vendors repeat it.

use std::fmt;
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::Path;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::ids::BadId;
use crate::hex::{parse_hex, write_hex};

/// A valid machine id: not all zeros.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MachineId([u8; 16]);

/// Where the id of this boot comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MachineIdSource {
    /// `systemd.machine_id=` on the command line. It comes first because systemd itself lets it win.
    CommandLine,
    /// The file on var.
    Stored,
    /// Made for this boot; to be stored as soon as there is a var.
    Random,
}

impl MachineId {
    /// A new one, from the kernel's random numbers, in the form of a version 4 UUID as systemd makes them.
    pub fn random() -> io::Result<Self> {
        let mut bytes = [0; 16];
        // Unlike urandom this waits until the kernel has gathered enough, which it does in a second or so.
        File::open("/dev/random")?.read_exact(&mut bytes)?;
        bytes[6] = bytes[6] & 0x0f | 0x40;
        bytes[8] = bytes[8] & 0x3f | 0x80;
        Ok(Self(bytes))
    }

    /// The id in a file; the error is `NotFound` if there is none, `InvalidData` if it holds something else.
    pub fn read(path: &Path) -> io::Result<Self> {
        let text = fs::read_to_string(path)?;
        let text = text.strip_suffix('\n').unwrap_or(&text);
        text.parse()
            .map_err(|bad: BadId| io::Error::new(io::ErrorKind::InvalidData, bad))
    }
}

impl fmt::Display for MachineId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hex(f, &self.0)
    }
}

impl FromStr for MachineId {
    type Err = BadId;

    fn from_str(text: &str) -> Result<Self, BadId> {
        match parse_hex(text) {
            Some(bytes) if bytes != [0; 16] => Ok(Self(bytes)),
            _ => Err(BadId {
                text: text.chars().take(80).collect(),
                wanted: "a machine id of 32 hex digits, not all zero",
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "0123456789abcdef0123456789abcdef";

    #[test]
    fn an_id_in_a_file_may_end_with_one_line_feed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("machine-id");
        assert_eq!(MachineId::read(&path).unwrap_err().kind(), io::ErrorKind::NotFound);
        for text in [ID.to_owned(), format!("{ID}\n"), ID.to_uppercase()] {
            fs::write(&path, text).unwrap();
            assert_eq!(MachineId::read(&path).unwrap().to_string(), ID);
        }
    }

    #[test]
    fn what_systemd_would_not_take_for_an_id_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("machine-id");
        for text in [
            "",
            "uninitialized\n",
            &"0".repeat(32),
            &ID[1..],
            &format!("{ID}\n\n"),
            &format!(" {ID}"),
        ] {
            fs::write(&path, text).unwrap();
            assert_eq!(
                MachineId::read(&path).unwrap_err().kind(),
                io::ErrorKind::InvalidData,
                "{text:?}"
            );
        }
    }

    #[test]
    fn random_ids_differ_and_are_version_4() {
        let (one, other) = (MachineId::random().unwrap(), MachineId::random().unwrap());
        assert_ne!(one, other);
        assert_eq!(&one.to_string()[12..13], "4");
        assert!("89ab".contains(&one.to_string()[16..17]));
    }
}
