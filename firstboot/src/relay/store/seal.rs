//! How the log is protected: each record is sealed to its place, so that it can be neither read, nor changed, nor moved.
//!
//! ```text
//! head    magic "SKERRYLG" │ version u32 │ 0 u32 │ id of the log 32 bytes │ tag 16
//! record  magic "SKRe" │ len of what follows the nonce u32 │ nonce 12 │ sealed change │ tag 16
//! ```
//!
//! - The key of a log follows from the store's key and the log's id by HKDF-SHA256 (RFC 5869): a record of another log, such
//!   as the one before a compaction, never fits. Records are sealed by ChaCha20-Poly1305 (RFC 8439).
//! - The nonce is random. After a power cut the same place of the same log is written again, so a counter would repeat
//!   itself; with 96 random bits and at most some 2^20 records in a log, a repetition has a chance of 2^-57.
//! - With a record, its offset in the file and the tag before it are authenticated: records cannot change places, and the
//!   end of an older state of the same log does not fit behind a newer one.

use ring::aead::{self, Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};
use ring::error::Unspecified;
use ring::hkdf;
use ring::rand::{SecureRandom as _, SystemRandom};

use std::io;

use super::record::Change;
use crate::relay::store_key::StoreKey;

/// The format of the log. Version 1: the first.
pub(super) const VERSION: u32 = 1;

const LOG_MAGIC: [u8; 8] = *b"SKERRYLG";
/// The beginning of a record, by which the next one is found behind damage.
pub(super) const RECORD_MAGIC: [u8; 4] = *b"SKRe";

/// Bytes of a log before its first record.
pub(super) const HEAD_LEN: usize = 64;
/// Bytes of a record before what is sealed.
pub(super) const FRAME_LEN: usize = 8 + aead::NONCE_LEN;
/// Bytes that sealing adds to a change.
pub(super) const OVERHEAD: usize = FRAME_LEN + TAG_LEN;
/// Bytes of a tag.
pub(super) const TAG_LEN: usize = 16;
/// No record claims to be longer: what a reader gives memory to.
pub(super) const SEALED_LIMIT: usize = 4 << 20;

/// Proves that a record, or the head, is what was written.
pub(super) type Tag = [u8; TAG_LEN];

/// What is at the beginning of a file instead of the head of a log that can be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum HeadError {
    /// Something else.
    NoLog,
    /// A log of this version.
    Version(u32),
    /// A log under another key, or a damaged head.
    OtherKey,
}

/// The key of one log.
pub(super) struct LogKey {
    aead: LessSafeKey,
    random: SystemRandom,
}

impl LogKey {
    /// Begins a log: its key and head.
    pub(super) fn begin(key: &StoreKey) -> io::Result<(Self, [u8; HEAD_LEN])> {
        let mut head = [0; HEAD_LEN];
        head[..8].copy_from_slice(&LOG_MAGIC);
        head[8..12].copy_from_slice(&VERSION.to_le_bytes());
        SystemRandom::new().fill(&mut head[16..48]).map_err(failed)?;
        let log_key = Self::derive(key, &head[16..48]).map_err(failed)?;
        let tag = log_key.head_tag(&head).map_err(failed)?;
        head[HEAD_LEN - TAG_LEN..].copy_from_slice(&tag);
        Ok((log_key, head))
    }

    /// The key of the log that begins with `head`.
    pub(super) fn of_log(key: &StoreKey, head: &[u8; HEAD_LEN]) -> Result<Self, HeadError> {
        if head[..8] != LOG_MAGIC {
            return Err(HeadError::NoLog);
        }
        match u32::from_le_bytes([head[8], head[9], head[10], head[11]]) {
            VERSION => {}
            other => return Err(HeadError::Version(other)),
        }
        let log_key = Self::derive(key, &head[16..48]).map_err(|_| HeadError::OtherKey)?;
        match log_key.head_tag(head) {
            Ok(tag) if tag == last_tag(head) => Ok(log_key),
            _ => Err(HeadError::OtherKey),
        }
    }

    fn derive(key: &StoreKey, id: &[u8]) -> Result<Self, Unspecified> {
        let extracted = hkdf::Salt::new(hkdf::HKDF_SHA256, id).extract(key.expose());
        let expanded = extracted.expand(&[b"skerry relay log 1"], &CHACHA20_POLY1305)?;
        Ok(Self {
            aead: LessSafeKey::new(UnboundKey::from(expanded)),
            random: SystemRandom::new(),
        })
    }

    /// A log has one head, and records have random nonces: this one is not used again.
    fn head_tag(&self, head: &[u8; HEAD_LEN]) -> Result<Tag, Unspecified> {
        let nonce = Nonce::assume_unique_for_key([0; aead::NONCE_LEN]);
        let about = Aad::from(&head[..HEAD_LEN - TAG_LEN]);
        let tag = self.aead.seal_in_place_separate_tag(nonce, about, &mut [])?;
        tag.as_ref().try_into().map_err(|_| Unspecified)
    }

    /// Writes the record of `change` behind what is in `out`, for the place `offset` in the file, behind the record that
    /// ends with `before`. Returns its tag.
    pub(super) fn seal(&self, offset: u64, before: &Tag, change: &Change<'_>, out: &mut Vec<u8>) -> io::Result<Tag> {
        let begin = out.len();
        let mut nonce = [0; aead::NONCE_LEN];
        self.random.fill(&mut nonce).map_err(failed)?;
        out.extend_from_slice(&RECORD_MAGIC);
        out.extend_from_slice(&[0; 4]);
        out.extend_from_slice(&nonce);
        change.write(out);
        let sealed_len = out.len() - begin - FRAME_LEN + TAG_LEN;
        let len = u32::try_from(sealed_len).map_err(|_| failed(Unspecified))?;
        out[begin + 4..begin + 8].copy_from_slice(&len.to_le_bytes());
        let (frame, plain) = out[begin..].split_at_mut(FRAME_LEN);
        let nonce = Nonce::assume_unique_for_key(nonce);
        let tag = self
            .aead
            .seal_in_place_separate_tag(nonce, about(offset, before, frame), plain)
            .map_err(failed)?;
        out.extend_from_slice(tag.as_ref());
        Ok(last_tag(out))
    }

    /// The change in a record at `offset`; none if it is not what was written there. `record` begins with the tag before
    /// it, and is of no use afterwards.
    pub(super) fn open<'a>(&self, offset: u64, record: &'a mut [u8]) -> Option<Change<'a>> {
        let (before, record) = record.split_first_chunk_mut::<TAG_LEN>()?;
        let (frame, sealed) = record.split_at_mut_checked(FRAME_LEN)?;
        if sealed_len(frame)? != sealed.len() {
            return None;
        }
        let nonce = Nonce::try_assume_unique_for_key(&frame[8..]).ok()?;
        let about = about(offset, before, frame);
        let plain = self.aead.open_in_place(nonce, about, sealed).ok()?;
        Change::parse(plain)
    }
}

/// How many sealed bytes follow this beginning of a record; none if it is no beginning.
pub(super) fn sealed_len(frame: &[u8]) -> Option<usize> {
    let (magic, rest) = frame.split_first_chunk()?;
    let (len, _nonce) = rest.split_first_chunk()?;
    let len = usize::try_from(u32::from_le_bytes(*len)).ok()?;
    (*magic == RECORD_MAGIC && (TAG_LEN..=SEALED_LIMIT).contains(&len)).then_some(len)
}

/// The tag at the end of a head or record.
pub(super) fn last_tag(bytes: &[u8]) -> Tag {
    bytes.last_chunk().copied().unwrap_or_default()
}

/// What is authenticated with a record.
fn about(offset: u64, before: &Tag, frame: &[u8]) -> Aad<[u8; 32]> {
    let mut about = [0; 32];
    about[..8].copy_from_slice(&frame[..8]);
    about[8..16].copy_from_slice(&offset.to_le_bytes());
    about[16..].copy_from_slice(before);
    Aad::from(about)
}

fn failed(_: Unspecified) -> io::Error {
    io::Error::other("the system's random numbers or ciphers fail")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(byte: u8) -> StoreKey {
        StoreKey::new([byte; 32])
    }

    /// A record for offset 64 behind a tag of nines, with that tag before it.
    fn sealed(key: &LogKey) -> Vec<u8> {
        let mut record = vec![9; TAG_LEN];
        let tag = key.seal(64, &[9; TAG_LEN], &Change::Forget("/c"), &mut record).unwrap();
        assert_eq!(tag, last_tag(&record));
        record
    }

    #[test]
    fn a_record_opens_at_its_place_and_nowhere_else() {
        let (log_key, _) = LogKey::begin(&key(1)).unwrap();
        let record = sealed(&log_key);
        assert_eq!(record.len(), TAG_LEN + OVERHEAD + 7);
        assert_eq!(log_key.open(64, &mut record.clone()), Some(Change::Forget("/c")));
        assert_eq!(log_key.open(65, &mut record.clone()), None);
        for byte in 0..record.len() {
            let mut flipped = record.clone();
            flipped[byte] ^= 1;
            assert_eq!(log_key.open(64, &mut flipped), None, "byte {byte}");
            assert_eq!(log_key.open(64, &mut record[..byte].to_vec()), None, "cut at {byte}");
        }
    }

    #[test]
    fn the_same_change_is_never_sealed_to_the_same_bytes() {
        let (log_key, _) = LogKey::begin(&key(1)).unwrap();
        assert_ne!(sealed(&log_key), sealed(&log_key));
    }

    #[test]
    fn a_record_of_another_log_or_store_does_not_open() {
        let (first, head) = LogKey::begin(&key(1)).unwrap();
        let (second, _) = LogKey::begin(&key(1)).unwrap();
        assert_eq!(second.open(64, &mut sealed(&first)), None);
        let again = LogKey::of_log(&key(1), &head).unwrap();
        assert!(again.open(64, &mut sealed(&first)).is_some());
        assert_eq!(LogKey::of_log(&key(2), &head).err(), Some(HeadError::OtherKey));
    }

    #[test]
    fn a_head_that_was_changed_anywhere_is_refused() {
        let (_, head) = LogKey::begin(&key(1)).unwrap();
        for byte in 0..HEAD_LEN {
            let mut flipped = head;
            flipped[byte] ^= 1;
            let expected = match byte {
                0..8 => HeadError::NoLog,
                8 => HeadError::Version(0),
                9..12 => HeadError::Version(VERSION + (1 << (8 * (byte - 8)))),
                _ => HeadError::OtherKey,
            };
            assert_eq!(LogKey::of_log(&key(1), &flipped).err(), Some(expected), "byte {byte}");
        }
    }
}
