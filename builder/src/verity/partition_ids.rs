//! The PARTUUIDs that tie partitions to a root hash (UAPI "Discoverable Partitions Specification": the root partition's
//! UUID is the first 128 bits of the root hash, the verity partition's the last 128 bits).

use std::fmt;

use super::RootHash;

/// A partition's UUID, its bytes in the order of the text. GPT stores the first three groups the other way round.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PartitionId(pub [u8; 16]);

impl fmt::Display for PartitionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, byte) in self.0.iter().enumerate() {
            if matches!(at, 4 | 6 | 8 | 10) {
                f.write_str("-")?;
            }
            write!(f, "{byte:02x}")?;
        }
        Ok(())
    }
}

/// Both ids of a slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PartitionIds {
    /// Of the partition with the file system.
    pub root: PartitionId,
    /// Of the partition with the hash tree.
    pub verity: PartitionId,
}

impl PartitionIds {
    /// The two halves of `root_hash`.
    pub fn of(root_hash: &RootHash) -> Self {
        let (halves, _) = root_hash.as_bytes().as_chunks::<16>();
        Self {
            root: PartitionId(halves[0]),
            verity: PartitionId(halves[1]),
        }
    }
}
