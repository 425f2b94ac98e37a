//! The OpenPGP certificates that an archive's indexes may be signed with.
//!
//! In: a text file with armoured certificates, kept next to the definition, and the fingerprints that it must hold. Lines
//! outside the armour are comments.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use pgp::composed::{Deserializable, SignedPublicKey};
use pgp::types::KeyDetails;

use crate::failure::{Diagnose, FailureKind};

const BEGIN: &str = "-----BEGIN PGP PUBLIC KEY BLOCK-----";
const END: &str = "-----END PGP PUBLIC KEY BLOCK-----";

/// Bytes of a key file; Debian's three current keys have 25 KB.
const MAX_LEN: usize = 4 << 20;

/// The fingerprint of a certificate's primary key, as upper-case hex: 40 digits for version 4, 64 for version 6.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fingerprint(String);

/// A text that is no fingerprint.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no OpenPGP fingerprint (40 or 64 hex digits)")]
pub struct BadFingerprint(pub String);

impl FromStr for Fingerprint {
    type Err = BadFingerprint;

    /// Spaces between the digits, as fingerprints are often printed, do not matter.
    fn from_str(text: &str) -> Result<Self, BadFingerprint> {
        let digits: String = text
            .chars()
            .filter(|c| *c != ' ')
            .map(|c| c.to_ascii_uppercase())
            .collect();
        if matches!(digits.len(), 40 | 64) && digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            Ok(Self(digits))
        } else {
            Err(BadFingerprint(text.to_owned()))
        }
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Fingerprint({self})")
    }
}

impl Fingerprint {
    /// The fingerprint of a key.
    pub(super) fn of(key: &impl KeyDetails) -> Self {
        Self(key.fingerprint().to_string().to_ascii_uppercase())
    }
}

/// A key file that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// Larger than any key file.
    #[error("{name} is larger than {MAX_LEN} bytes")]
    TooLarge {
        /// The file.
        name: String,
    },
    /// There is no armoured certificate.
    #[error("{name} holds no armoured OpenPGP certificate")]
    Empty {
        /// The file.
        name: String,
    },
    /// The armour has no end.
    #[error("{name}:{line}: the certificate's block has no `{END}`")]
    Unterminated {
        /// The file.
        name: String,
        /// Where the block starts.
        line: usize,
    },
    /// The armour's contents are no certificate.
    #[error("{name}:{line}: the certificate cannot be read")]
    Malformed {
        /// The file.
        name: String,
        /// Where the block starts.
        line: usize,
        /// Why.
        #[source]
        source: pgp::errors::Error,
    },
    /// A certificate nobody asked for.
    #[error("{name} holds the certificate {found}, which is not among the expected fingerprints")]
    Unexpected {
        /// The file.
        name: String,
        /// Its fingerprint.
        found: Fingerprint,
    },
    /// A certificate is not there.
    #[error("{name} does not hold the certificate {missing}")]
    Missing {
        /// The file.
        name: String,
        /// Its fingerprint.
        missing: Fingerprint,
    },
}

impl Diagnose for KeyError {
    fn kind(&self) -> FailureKind {
        match self {
            Self::Unexpected { .. } | Self::Missing { .. } => FailureKind::Verification,
            _ => FailureKind::Request,
        }
    }

    fn hints(&self) -> Vec<String> {
        match self {
            Self::Empty { name } => vec![format!(
                "write the archive's keys to {name} with `gpg --export --armor`"
            )],
            Self::Unexpected { found, .. } => vec![format!(
                "if the archive's owners vouch for it, add \"{found}\" to `fingerprints`; if not, remove it from the file"
            )],
            _ => Vec::new(),
        }
    }
}

/// Trusted certificates of one archive.
#[derive(Debug, Clone)]
pub struct SigningKeys {
    pub(super) certificates: Vec<SignedPublicKey>,
}

impl SigningKeys {
    /// Reads the certificates in `text`. `name` is the file's name, for errors. The primary keys' fingerprints have to be
    /// exactly the `expected` ones.
    pub fn from_armored(name: &str, text: &str, expected: &[Fingerprint]) -> Result<Self, KeyError> {
        if text.len() > MAX_LEN {
            return Err(KeyError::TooLarge { name: name.to_owned() });
        }
        let certificates = read_blocks(name, text)?;
        let found: BTreeSet<_> = certificates.iter().map(Fingerprint::of).collect();
        let expected: BTreeSet<_> = expected.iter().cloned().collect();
        if let Some(found) = found.difference(&expected).next() {
            return Err(KeyError::Unexpected {
                name: name.to_owned(),
                found: found.clone(),
            });
        }
        if let Some(missing) = expected.difference(&found).next() {
            return Err(KeyError::Missing {
                name: name.to_owned(),
                missing: missing.clone(),
            });
        }
        Ok(Self { certificates })
    }

    /// The fingerprints of the primary keys.
    pub fn fingerprints(&self) -> Vec<Fingerprint> {
        self.certificates.iter().map(Fingerprint::of).collect()
    }
}

fn read_blocks(name: &str, text: &str) -> Result<Vec<SignedPublicKey>, KeyError> {
    let mut certificates = Vec::new();
    let mut block: Option<(usize, String)> = None;
    for (index, line) in text.lines().enumerate() {
        let line = line.trim_end();
        if line == BEGIN {
            if let Some((line, _)) = block {
                return Err(KeyError::Unterminated {
                    name: name.to_owned(),
                    line,
                });
            }
            block = Some((index + 1, String::new()));
        }
        let Some((_, lines)) = &mut block else { continue };
        lines.push_str(line);
        lines.push('\n');
        if line == END {
            let (start, lines) = block.take().expect("a block is open");
            let malformed = |source| KeyError::Malformed {
                name: name.to_owned(),
                line: start,
                source,
            };
            let (read, _) = SignedPublicKey::from_armor_many(lines.as_bytes()).map_err(malformed)?;
            for certificate in read {
                certificates.push(certificate.map_err(malformed)?);
            }
        }
    }
    match block {
        Some((line, _)) => Err(KeyError::Unterminated {
            name: name.to_owned(),
            line,
        }),
        None if certificates.is_empty() => Err(KeyError::Empty { name: name.to_owned() }),
        None => Ok(certificates),
    }
}
