//! What a sealed secret looks like on a disk.
//!
//! Seven letters, a version, then three fields with their lengths in two bytes before them (big-endian): the name of the
//! storage key, and private and public part of the object as the TPM gave them. None of it needs to be kept secret, and
//! the TPM finds every change of it.

use super::wire::{Reader, Writer};

const MAGIC: &[u8; 7] = b"SKRYTPM";
/// 1: as above.
const VERSION: u8 = 1;
/// More than any TPM makes of the longest secret; bounds what is sent to one.
const MAX_PART_BYTES: usize = 512;

/// Why sealed bytes cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SealedError {
    /// They are something else.
    #[error("they do not begin as bytes sealed by a TPM do")]
    NotSealed,
    /// A later version of this program made them.
    #[error("they have version {found}, and this system knows version {VERSION} only")]
    Version {
        /// Their version.
        found: u8,
    },
    /// They are cut off, or have more behind them, or a length in them is wrong.
    #[error("their parts are damaged")]
    Damaged,
}

/// A sealed object and the key that it is sealed by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Sealed {
    /// Name of the storage key (TPM2B_NAME).
    pub(super) parent: Vec<u8>,
    /// Encrypted by the storage key (TPM2B_PRIVATE).
    pub(super) private: Vec<u8>,
    /// TPM2B_PUBLIC.
    pub(super) public: Vec<u8>,
}

impl Sealed {
    /// Whether all parts have a length that [`Sealed::parse`] takes.
    pub(super) fn is_bounded(&self) -> bool {
        let parts = [&self.parent, &self.private, &self.public];
        parts.iter().all(|part| part.len() <= MAX_PART_BYTES)
    }

    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let bytes = Writer::new()
            .bytes(MAGIC)
            .u8(VERSION)
            .sized(&self.parent)
            .sized(&self.private)
            .sized(&self.public);
        bytes.finish().to_vec()
    }

    pub(super) fn parse(bytes: &[u8]) -> Result<Self, SealedError> {
        let rest = bytes.strip_prefix(MAGIC).ok_or(SealedError::NotSealed)?;
        let (version, rest) = rest.split_first().ok_or(SealedError::Damaged)?;
        if *version != VERSION {
            return Err(SealedError::Version { found: *version });
        }
        let mut reader = Reader::new(rest);
        let mut part = || reader.sized().map(<[u8]>::to_vec);
        let parts = (|| {
            Some(Self {
                parent: part()?,
                private: part()?,
                public: part()?,
            })
        })();
        parts
            .filter(|sealed| sealed.is_bounded() && reader.is_empty())
            .ok_or(SealedError::Damaged)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sealed() -> Sealed {
        Sealed {
            parent: b"name".to_vec(),
            private: b"private".to_vec(),
            public: Vec::new(),
        }
    }

    #[test]
    fn the_format_is_pinned() {
        let golden = b"SKRYTPM\x01\0\x04name\0\x07private\0\0";
        assert_eq!(sealed().to_bytes(), golden);
        assert_eq!(Sealed::parse(golden).unwrap(), sealed());
    }

    #[test]
    fn other_files_later_versions_and_overlong_parts_are_told_apart() {
        assert_eq!(Sealed::parse(b"").unwrap_err(), SealedError::NotSealed);
        assert_eq!(Sealed::parse(&[0; 64]).unwrap_err(), SealedError::NotSealed);
        assert_eq!(
            Sealed::parse(b"SKRYTPM\x02?").unwrap_err(),
            SealedError::Version { found: 2 }
        );
        let long = Sealed {
            private: vec![0; MAX_PART_BYTES + 1],
            ..sealed()
        };
        assert_eq!(Sealed::parse(&long.to_bytes()).unwrap_err(), SealedError::Damaged);
    }

    #[test]
    fn no_part_of_sealed_bytes_is_taken_for_the_whole() {
        let whole = sealed().to_bytes();
        for len in 0..whole.len() {
            assert!(Sealed::parse(&whole[..len]).is_err(), "{len} bytes");
        }
        assert!(Sealed::parse(&[whole, vec![0]].concat()).is_err());
    }

    proptest! {
        #[test]
        fn what_reads_well_is_written_back_the_same(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            let bytes = [MAGIC.as_slice(), &[VERSION], &bytes].concat();
            if let Ok(sealed) = Sealed::parse(&bytes) {
                prop_assert_eq!(sealed.to_bytes(), bytes);
            }
        }
    }
}
