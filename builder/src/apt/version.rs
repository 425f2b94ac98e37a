//! Debian version numbers: syntax and order of Debian policy §5.6.12.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A package version, `[epoch:]upstream[-revision]`.
///
/// Equality is that of the order: `1.0`, `0:1.0` and `1.00-0` are equal, though their texts differ.
#[derive(Clone)]
pub struct DebVersion(String);

/// A text that is no Debian version.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is no Debian version: {fault}")]
pub struct BadVersion {
    /// The text.
    pub text: String,
    /// What is wrong with it.
    pub fault: VersionFault,
}

/// What is wrong with the text of a version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum VersionFault {
    /// Nothing there.
    #[error("it is empty")]
    Empty,
    /// The epoch has other characters than digits or does not fit into 31 bits.
    #[error("its epoch is no number up to 2147483647")]
    Epoch,
    /// Nothing before the revision.
    #[error("its upstream version is empty")]
    NoUpstream,
    /// A hyphen at the end.
    #[error("its revision is empty")]
    NoRevision,
    /// A character that versions do not have.
    #[error("`{0}` is not allowed there")]
    Character(char),
}

impl DebVersion {
    /// The text as it was written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Epoch, upstream version and revision. A missing epoch is zero and a missing revision empty, which sorts as `0`.
    fn parts(&self) -> (u32, &str, &str) {
        let (epoch, rest) = match self.0.split_once(':') {
            Some((epoch, rest)) => (epoch.parse().expect("the epoch was checked on construction"), rest),
            None => (0, self.0.as_str()),
        };
        let (upstream, revision) = rest.rsplit_once('-').unwrap_or((rest, ""));
        (epoch, upstream, revision)
    }
}

impl FromStr for DebVersion {
    type Err = BadVersion;

    fn from_str(text: &str) -> Result<Self, BadVersion> {
        match check(text) {
            Ok(()) => Ok(Self(text.to_owned())),
            Err(fault) => Err(BadVersion {
                text: text.escape_debug().take(80).collect(),
                fault,
            }),
        }
    }
}

fn check(text: &str) -> Result<(), VersionFault> {
    if text.is_empty() {
        return Err(VersionFault::Empty);
    }
    let rest = match text.split_once(':') {
        Some((epoch, rest)) => {
            let digits = !epoch.is_empty() && epoch.bytes().all(|byte| byte.is_ascii_digit());
            let fits = epoch.parse::<u32>().is_ok_and(|number| i32::try_from(number).is_ok());
            if !(digits && fits) {
                return Err(VersionFault::Epoch);
            }
            rest
        }
        None => text,
    };
    let (upstream, revision) = match rest.rsplit_once('-') {
        Some((upstream, revision)) => (upstream, Some(revision)),
        None => (rest, None),
    };
    if upstream.is_empty() {
        return Err(VersionFault::NoUpstream);
    }
    let foreign = |text: &str, marks: &str| text.chars().find(|&c| !c.is_ascii_alphanumeric() && !marks.contains(c));
    // A colon in the upstream version can only be there behind an epoch, so it needs no case of its own.
    if let Some(character) = foreign(upstream, ".+-~:") {
        return Err(VersionFault::Character(character));
    }
    match revision {
        Some("") => Err(VersionFault::NoRevision),
        Some(revision) => foreign(revision, ".+~").map_or(Ok(()), |character| Err(VersionFault::Character(character))),
        None => Ok(()),
    }
}

/// Compares upstream versions or revisions: stretches of non-digits by letter and stretches of digits by number, in turn.
fn compare_part(mut left: &str, mut right: &str) -> Ordering {
    while !left.is_empty() || !right.is_empty() {
        let is_digit = |c: char| c.is_ascii_digit();
        let words = (
            split_while(&mut left, |c| !is_digit(c)),
            split_while(&mut right, |c| !is_digit(c)),
        );
        let numbers = (split_while(&mut left, is_digit), split_while(&mut right, is_digit));
        let order = compare_words(words.0.as_bytes(), words.1.as_bytes())
            .then_with(|| compare_numbers(numbers.0.trim_start_matches('0'), numbers.1.trim_start_matches('0')));
        if order.is_ne() {
            return order;
        }
    }
    Ordering::Equal
}

/// Compares digits without leading zeros. The longer number is the greater one, so there is no limit to their size.
fn compare_numbers(left: &str, right: &str) -> Ordering {
    left.len().cmp(&right.len()).then_with(|| left.cmp(right))
}

/// Takes the longest beginning of wanted characters off `text`.
fn split_while<'a>(text: &mut &'a str, wanted: impl Fn(char) -> bool) -> &'a str {
    let len = text.find(|c| !wanted(c)).unwrap_or(text.len());
    let (taken, rest) = text.split_at(len);
    *text = rest;
    taken
}

/// "…all the letters sort earlier than all the non-letters and so that a tilde sorts before anything, even the end of a
/// part."
fn compare_words(left: &[u8], right: &[u8]) -> Ordering {
    let weight = |byte: Option<&u8>| match byte {
        Some(b'~') => -1,
        None => 0,
        Some(&byte) if byte.is_ascii_alphabetic() => i32::from(byte),
        Some(&byte) => i32::from(byte) + 256,
    };
    (0..left.len().max(right.len()))
        .map(|at| weight(left.get(at)).cmp(&weight(right.get(at))))
        .find(|order| order.is_ne())
        .unwrap_or(Ordering::Equal)
}

impl Ord for DebVersion {
    fn cmp(&self, other: &Self) -> Ordering {
        let (left, right) = (self.parts(), other.parts());
        left.0
            .cmp(&right.0)
            .then_with(|| compare_part(left.1, right.1))
            .then_with(|| compare_part(left.2, right.2))
    }
}

impl PartialOrd for DebVersion {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for DebVersion {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0 || self.cmp(other).is_eq()
    }
}

impl Eq for DebVersion {}

impl fmt::Display for DebVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for DebVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DebVersion({})", self.0)
    }
}

impl Serialize for DebVersion {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for DebVersion {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests;
