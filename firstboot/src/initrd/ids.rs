//! Identifiers: root hash, GUID, and how one follows from the other.
//!
//! UAPI Discoverable Partitions, "Verity": the partition id of a root file system is the first 128 bits of its root
//! hash, that of its verity data the last 128 bits. The bytes are read as the text of the GUID reads, most significant
//! first (systemd's `sd_id128`); on disk a GUID is stored with its first three fields turned round (UEFI 2.10 §A).

use std::fmt;
use std::str::FromStr;

use crate::hex::{parse_hex, write_hex};

/// A text that is no identifier of the wanted kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not {wanted}")]
pub struct BadId {
    /// What was read.
    pub text: String,
    /// What it should have been.
    pub wanted: &'static str,
}

/// The SHA-256 root hash of a dm-verity tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RootHash([u8; 32]);

impl RootHash {
    /// A hash from its bytes.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The unique partition id of the file system with this hash.
    pub fn root_partition(&self) -> Guid {
        let mut half = [0; 16];
        half.copy_from_slice(&self.0[..16]);
        Guid(half)
    }

    /// The unique partition id of its hash tree.
    pub fn verity_partition(&self) -> Guid {
        let mut half = [0; 16];
        half.copy_from_slice(&self.0[16..]);
        Guid(half)
    }
}

impl fmt::Display for RootHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hex(f, &self.0)
    }
}

impl FromStr for RootHash {
    type Err = BadId;

    fn from_str(text: &str) -> Result<Self, BadId> {
        let wanted = "a root hash of 64 hex digits";
        parse_hex(text).map(Self).ok_or_else(|| bad(text, wanted))
    }
}

/// A GUID, its bytes in the order in which its text reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Guid([u8; 16]);

impl Guid {
    /// From the order on disk: the first three fields are little-endian.
    pub const fn from_disk(bytes: [u8; 16]) -> Self {
        let [a, b, c, d, e, f, g, h, rest @ ..] = bytes;
        let [i, j, k, l, m, n, o, p] = rest;
        Self([d, c, b, a, f, e, h, g, i, j, k, l, m, n, o, p])
    }

    /// Whether it is all zeros, which marks an unused partition entry.
    pub fn is_nil(&self) -> bool {
        self.0 == [0; 16]
    }
}

impl fmt::Display for Guid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, group) in [0..4, 4..6, 6..8, 8..10, 10..16].into_iter().enumerate() {
            if index > 0 {
                f.write_str("-")?;
            }
            write_hex(f, &self.0[group])?;
        }
        Ok(())
    }
}

impl FromStr for Guid {
    type Err = BadId;

    fn from_str(text: &str) -> Result<Self, BadId> {
        let dashes_stand_right = text.len() == 36 && text.match_indices('-').map(|(at, _)| at).eq([8, 13, 18, 23]);
        Some(text.replace('-', ""))
            .filter(|_| dashes_stand_right)
            .and_then(|digits| parse_hex(&digits))
            .map(Self)
            .ok_or_else(|| bad(text, "a GUID"))
    }
}

fn bad(text: &str, wanted: &'static str) -> BadId {
    BadId {
        text: text.chars().take(80).collect(),
        wanted,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HASH: &str = "00112233445566778899aabbccddeeff0123456789abcdef0123456789abcdef";

    #[test]
    fn the_halves_of_a_root_hash_read_as_the_partition_ids_do() {
        let hash: RootHash = HASH.to_uppercase().parse().unwrap();
        assert_eq!(hash.to_string(), HASH);
        assert_eq!(
            hash.root_partition().to_string(),
            "00112233-4455-6677-8899-aabbccddeeff"
        );
        assert_eq!(
            hash.verity_partition().to_string(),
            "01234567-89ab-cdef-0123-456789abcdef"
        );
    }

    #[test]
    fn a_guid_on_disk_has_its_first_three_fields_turned_round() {
        let disk = *b"\x33\x22\x11\x00\x55\x44\x77\x66\x88\x99\xaa\xbb\xcc\xdd\xee\xff";
        let guid = Guid::from_disk(disk);
        assert_eq!(guid.to_string(), "00112233-4455-6677-8899-aabbccddeeff");
        assert_eq!(guid.to_string().parse::<Guid>().unwrap(), guid);
        assert!(!guid.is_nil() && Guid::from_disk([0; 16]).is_nil());
    }

    #[test]
    fn text_of_another_length_or_alphabet_is_no_identifier() {
        assert!(HASH[1..].parse::<RootHash>().is_err());
        assert!(format!("{}g", &HASH[1..]).parse::<RootHash>().is_err());
        assert!("é".repeat(32).parse::<RootHash>().is_err());
        for text in [
            "",
            "0011223344556677-8899-aabbccddeeff----",
            "00112233-4455-6677-8899aabbccddeeff-",
        ] {
            assert!(text.parse::<Guid>().is_err(), "{text}");
        }
    }
}
