//! GUIDs: ids of disks and partitions, and the partition types of the UAPI Discoverable Partitions Specification.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::arch::Arch;
use crate::digest::Sha256;

/// A GUID; kept in the order of its text, which is also the order of the root hash halves. `Display` is lower case.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Guid([u8; 16]);

/// A text that is no GUID.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a GUID (8-4-4-4-12 hex digits)")]
pub struct BadGuid(pub String);

/// `esp`: EFI system partition.
pub const ESP: Guid = Guid::from_u128(0xc12a7328_f81f_11d2_ba4b_00a0c93ec93b);
/// `xbootldr`: extended boot loader partition.
pub const XBOOTLDR: Guid = Guid::from_u128(0xbc13c2ff_59e6_4262_a352_b275fd6f7172);
/// `root` for x86-64.
pub const ROOT_X86_64: Guid = Guid::from_u128(0x4f68bce3_e8cd_4db1_96e7_fbcaf984b709);
/// `root-verity` for x86-64.
pub const ROOT_VERITY_X86_64: Guid = Guid::from_u128(0x2c7357ed_ebd2_46d9_aec1_23d437ec2bf5);
/// `root` for 64-bit ARM.
pub const ROOT_AARCH64: Guid = Guid::from_u128(0xb921b045_1df0_41c3_af44_4c6f280d3fae);
/// `root-verity` for 64-bit ARM.
pub const ROOT_VERITY_AARCH64: Guid = Guid::from_u128(0xdf3300ce_d69f_4c92_978c_9bfb0f38d820);
/// `var`: variable data.
pub const VAR: Guid = Guid::from_u128(0x4d21b016_b534_45c2_a9fb_5c16e091fd2d);
/// `linux-generic`: any Linux data.
pub const LINUX_GENERIC: Guid = Guid::from_u128(0x0fc63daf_8483_4772_8e79_3d69d8477de4);

/// The types with the names that systemd gives them.
const NAMES: [(Guid, &str); 8] = [
    (ESP, "esp"),
    (XBOOTLDR, "xbootldr"),
    (ROOT_X86_64, "root-x86-64"),
    (ROOT_VERITY_X86_64, "root-x86-64-verity"),
    (ROOT_AARCH64, "root-arm64"),
    (ROOT_VERITY_AARCH64, "root-arm64-verity"),
    (VAR, "var"),
    (LINUX_GENERIC, "linux-generic"),
];

impl Guid {
    /// All zero: the type of an unused entry.
    pub const NIL: Self = Self([0; 16]);

    /// The GUID whose text has the hex digits of `value`.
    pub const fn from_u128(value: u128) -> Self {
        Self(value.to_be_bytes())
    }

    /// The GUID whose text has these bytes in this order.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The bytes in the order of the text.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }

    /// A GUID that `seed` and `purpose` alone decide; marked as version 8, "custom" (RFC 9562 §5.8).
    pub fn derive(seed: &Sha256, purpose: &str) -> Self {
        let digest = Sha256::of_fields([seed.as_bytes().as_slice(), purpose.as_bytes()]);
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&digest.as_bytes()[..16]);
        bytes[6] = bytes[6] & 0x0f | 0x80;
        bytes[8] = bytes[8] & 0x3f | 0x80;
        Self(bytes)
    }

    /// Partition ids of root and verity: the two halves of the root hash, from which the boot finds both partitions
    /// (systemd-veritysetup-generator(8), `systemd.verity=`).
    pub fn halves_of(root_hash: &Sha256) -> [Self; 2] {
        let halves = root_hash.as_bytes().as_chunks::<16>().0;
        [Self(halves[0]), Self(halves[1])]
    }

    /// The partition type of a root file system.
    pub const fn root_type(arch: Arch) -> Self {
        match arch {
            Arch::X86_64 => ROOT_X86_64,
            Arch::Aarch64 => ROOT_AARCH64,
        }
    }

    /// The partition type of a root file system's verity data.
    pub const fn root_verity_type(arch: Arch) -> Self {
        match arch {
            Arch::X86_64 => ROOT_VERITY_X86_64,
            Arch::Aarch64 => ROOT_VERITY_AARCH64,
        }
    }

    /// The name of this partition type, if it is one that Skerry knows.
    pub fn type_name(&self) -> Option<&'static str> {
        NAMES.iter().find(|(guid, _)| guid == self).map(|(_, name)| *name)
    }

    /// The 16 bytes on disk: the first three fields are little-endian (UEFI 2.10 appendix A).
    pub const fn to_disk(self) -> [u8; 16] {
        swap_fields(self.0)
    }

    /// The GUID that is stored as `bytes` on disk.
    pub const fn from_disk(bytes: [u8; 16]) -> Self {
        Self(swap_fields(bytes))
    }
}

const fn swap_fields(b: [u8; 16]) -> [u8; 16] {
    [
        b[3], b[2], b[1], b[0], b[5], b[4], b[7], b[6], b[8], b[9], b[10], b[11], b[12], b[13], b[14], b[15],
    ]
}

impl fmt::Display for Guid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, byte) in self.0.iter().enumerate() {
            let dash = if matches!(index, 4 | 6 | 8 | 10) { "-" } else { "" };
            write!(f, "{dash}{byte:02x}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Guid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Guid({self})")
    }
}

impl FromStr for Guid {
    type Err = BadGuid;

    fn from_str(text: &str) -> Result<Self, BadGuid> {
        let bad = || BadGuid(text.to_owned());
        let parts: Vec<&str> = text.split('-').collect();
        let lengths_fit = parts.iter().map(|part| part.len()).eq([8, 4, 4, 4, 12]);
        let digits = parts.concat();
        if !lengths_fit || !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return Err(bad());
        }
        u128::from_str_radix(&digits, 16)
            .map(Self::from_u128)
            .map_err(|_| bad())
    }
}

impl Serialize for Guid {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Guid {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}
