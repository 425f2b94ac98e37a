//! Signed Release files: the root of trust in everything that comes from a Debian archive.
//!
//! In: the bytes of an `InRelease` file, trusted certificates, the time. Out: a [`Release`], which says what belongs to the
//! suite by size and SHA-256. At least one signature has to be good by our own policy (modules [`signature`],
//! [`certificate`]), and the dates have to be right: the repository format's Date and Valid-Until, against replayed and
//! withheld updates. Deliberately not supported: detached signatures, digests other than SHA-256.

pub mod certificate;
pub mod cleartext;
pub mod date;
pub mod keys;
pub mod signature;

use std::collections::BTreeMap;

use crate::digest::Sha256;
use crate::failure::{Diagnose, FailureKind};

use super::deb822::{self, Deb822Error, Field, Stanza};
use super::index::is_archive_path;
pub use certificate::KeyFault;
pub use cleartext::CleartextError;
pub use keys::{BadFingerprint, Fingerprint, KeyError, SigningKeys};
pub use signature::SignatureFault;

/// How far an archive's clock may be ahead of ours: a day, as a machine in the wrong time zone is no attack.
const MAX_AHEAD_SECS: u64 = 86_400;

/// What is made of a Valid-Until date that has passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ValidUntil {
    /// The file is refused.
    Enforced,
    /// Nothing; for frozen mirrors, whose files were right at their time.
    Ignored,
}

/// What a Release file has to fulfil beside its signature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// The time, UNIX seconds.
    pub now: u64,
    /// Whether Valid-Until is honoured.
    pub check_valid_until: ValidUntil,
    /// The suite that was asked for, by suite or code name. The keys that sign it sign others too, so a mirror could pass
    /// one off as the other.
    pub suite: String,
    /// The Date of the file that was accepted last, or 0: an older one is a step back.
    pub not_before: u64,
}

/// A verified Release file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Release {
    /// Suite, such as `stable-updates`.
    pub suite: String,
    /// Code name, such as `trixie-updates`.
    pub codename: String,
    /// When it was made, UNIX seconds.
    pub date: u64,
    /// Until when it may be used, UNIX seconds.
    pub valid_until: Option<u64>,
    /// Whether each file is also there under its digest, `by-hash/SHA256/…` next to it, which survives a mirror's update.
    pub by_hash: ByHash,
    /// The suite's files, by their path below `dists/SUITE/`: digest and size in bytes.
    pub files: BTreeMap<String, (Sha256, u64)>,
}

/// Whether a suite offers its indexes by digest (`Acquire-By-Hash`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ByHash {
    /// It does.
    Offered,
    /// It does not say so.
    Absent,
}

/// A Release file that is not to be trusted.
#[derive(Debug, thiserror::Error)]
pub enum ReleaseError {
    /// It is not exactly one signed message.
    #[error("the InRelease file is not properly signed")]
    Cleartext(#[from] CleartextError),
    /// The signatures cannot be read.
    #[error("the signatures of the InRelease file are malformed")]
    Armor(#[source] pgp::errors::Error),
    /// There is a signature block without signatures.
    #[error("the InRelease file has a signature block without a signature")]
    NoSignature,
    /// No signature counts; the source is the most telling fault.
    #[error("none of the {count} signatures of the InRelease file can be trusted")]
    Untrusted {
        /// How many there are.
        count: usize,
        /// What is wrong with the one that came closest.
        #[source]
        fault: SignatureFault,
    },
    /// The signed text is no Release file.
    #[error("the Release file is malformed")]
    Stanza(#[from] Deb822Error),
    /// There are several stanzas, or none.
    #[error("the Release file has {0} stanzas instead of one")]
    Stanzas(usize),
    /// A field's value is none of the allowed.
    #[error("the Release file is malformed: line {line} of the signed text: `{value}` is no valid {field}")]
    Value {
        /// The line in the signed text.
        line: usize,
        /// The field.
        field: &'static str,
        /// The start of its value.
        value: String,
    },
    /// It is another suite's.
    #[error("the Release file is that of `{suite}` (`{codename}`), not of `{wanted}`")]
    WrongSuite {
        /// The suite that was asked for.
        wanted: String,
        /// The suite it is for.
        suite: String,
        /// That suite's code name.
        codename: String,
    },
    /// It was made in the future.
    #[error("the Release file was made on {}, which is in the future", date::format(*.date))]
    FromTheFuture {
        /// UNIX seconds.
        date: u64,
        /// What the clock says, UNIX seconds.
        now: u64,
    },
    /// It may no longer be used.
    #[error("the Release file was valid until {}", date::format(*.valid_until))]
    Expired {
        /// UNIX seconds.
        valid_until: u64,
        /// What the clock says, UNIX seconds.
        now: u64,
    },
    /// It is older than one that was accepted before.
    #[error("the Release file of {} is older than the one of {} that the lock knows", date::format(*.date), date::format(*.not_before))]
    StepBack {
        /// Its date, UNIX seconds.
        date: u64,
        /// The date of the other, UNIX seconds.
        not_before: u64,
    },
}

impl Diagnose for ReleaseError {
    fn kind(&self) -> FailureKind {
        FailureKind::Verification
    }

    fn hints(&self) -> Vec<String> {
        let hint = match self {
            Self::Cleartext(CleartextError::Unsigned) => {
                "a captive portal or a proxy may have answered; look at what the mirror delivers".to_owned()
            }
            Self::Untrusted {
                fault: SignatureFault::UnknownKey { signer },
                ..
            } => {
                format!("if the archive's owners vouch for {signer}, add its certificate to the archive's `keys` file")
            }
            Self::FromTheFuture { now, .. } => {
                format!("this machine's clock says {}; set it right", date::format(*now))
            }
            Self::Expired { now, .. } => format!(
                "this machine's clock says {}; if that is right, the mirror is out of date: use another one, or set \
                 `check-valid-until = false` for a frozen mirror",
                date::format(*now)
            ),
            Self::StepBack { .. } => {
                "the mirror is behind: try again later or use another one; to go back on purpose, remove the lock"
                    .to_owned()
            }
            Self::WrongSuite { codename, .. } => format!("if `{codename}` is meant, name it in `suites`"),
            _ => return Vec::new(),
        };
        vec![hint]
    }
}

/// Verifies an `InRelease` file and reads it.
pub fn verify(inrelease: &[u8], keys: &SigningKeys, policy: &Policy) -> Result<Release, ReleaseError> {
    let signed = cleartext::split(inrelease)?;
    let signatures = signature::read(signed.armor).map_err(ReleaseError::Armor)?;
    let mut worst: Option<SignatureFault> = None;
    let mut is_trusted = false;
    for signature in &signatures {
        match signature::judge(signature, &signed.canonical, keys, policy.now) {
            Ok(()) => is_trusted = true,
            Err(fault) if worst.as_ref().is_none_or(|worst| worst.weight() < fault.weight()) => worst = Some(fault),
            Err(_) => {}
        }
    }
    match worst {
        _ if is_trusted => {}
        Some(fault) => {
            return Err(ReleaseError::Untrusted {
                count: signatures.len(),
                fault,
            });
        }
        None => return Err(ReleaseError::NoSignature),
    }
    let release = parse(&signed.text())?;
    check_dates(&release, policy)?;
    if policy.suite != release.suite && policy.suite != release.codename {
        let Release { suite, codename, .. } = release;
        return Err(ReleaseError::WrongSuite {
            wanted: policy.suite.clone(),
            suite,
            codename,
        });
    }
    Ok(release)
}

fn check_dates(release: &Release, policy: &Policy) -> Result<(), ReleaseError> {
    let Policy { now, not_before, .. } = *policy;
    let date = release.date;
    if date > now.saturating_add(MAX_AHEAD_SECS) {
        return Err(ReleaseError::FromTheFuture { date, now });
    }
    match release.valid_until {
        Some(valid_until) if valid_until < now && policy.check_valid_until == ValidUntil::Enforced => {
            return Err(ReleaseError::Expired { valid_until, now });
        }
        _ => {}
    }
    if date < not_before {
        return Err(ReleaseError::StepBack { date, not_before });
    }
    Ok(())
}

/// Reads the text of a Release file, which has no protection of its own.
fn parse(text: &str) -> Result<Release, ReleaseError> {
    let stanzas: Vec<_> = deb822::stanzas(text).collect::<Result<_, _>>()?;
    let [stanza] = stanzas.as_slice() else {
        return Err(ReleaseError::Stanzas(stanzas.len()));
    };
    let mut files = BTreeMap::new();
    stanza.require("SHA256")?;
    if let Some(field) = stanza.field("SHA256") {
        for (index, line) in field.lines().enumerate().filter(|(_, line)| !line.is_empty()) {
            let bad = || bad_value(field.place.line + index, "SHA256", line);
            let (path, file) = parse_file(line).ok_or_else(bad)?;
            if files.insert(path.to_owned(), file).is_some() {
                return Err(bad());
            }
        }
    }
    Ok(Release {
        suite: stanza.require("Suite")?.to_owned(),
        codename: stanza.require("Codename")?.to_owned(),
        date: parse_date(stanza, "Date")?.ok_or(Deb822Error::Missing {
            place: stanza.place(),
            name: "Date",
        })?,
        valid_until: parse_date(stanza, "Valid-Until")?,
        by_hash: if stanza.get("Acquire-By-Hash") == Some("yes") {
            ByHash::Offered
        } else {
            ByHash::Absent
        },
        files,
    })
}

fn parse_date(stanza: &Stanza<'_>, name: &'static str) -> Result<Option<u64>, ReleaseError> {
    let read =
        |field: &Field<'_>| date::parse(field.value).ok_or_else(|| bad_value(field.place.line, name, field.value));
    stanza.field(name).map(read).transpose()
}

fn bad_value(line: usize, field: &'static str, value: &str) -> ReleaseError {
    ReleaseError::Value {
        line,
        field,
        value: value.chars().take(120).collect(),
    }
}

/// ` DIGEST SIZE PATH`
fn parse_file(line: &str) -> Option<(&str, (Sha256, u64))> {
    let mut words = line.split_ascii_whitespace();
    let digest = words.next()?.parse().ok()?;
    let len_bytes = words.next()?.parse().ok()?;
    let path = words.next().filter(|path| is_archive_path(path))?;
    words.next().is_none().then_some((path, (digest, len_bytes)))
}

#[cfg(test)]
mod tests;
