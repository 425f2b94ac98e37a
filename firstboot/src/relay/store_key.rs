//! The key of the relay's store, and how it is kept from whoever gets hold of the disk.
//!
//! It lies in the file [`KEY`]: sealed by what the machine has for that, such as a TPM, or open, readable for root alone,
//! where it has nothing. Which of the two it is stands in the file. A key that is of no use any more is set aside and a new
//! one made; what was kept under the old one is lost then, and learned again from the control plane.

use std::fmt;
use std::io;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::rand::{SecureRandom as _, SystemRandom};
use serde::{Deserialize, Serialize};
use zeroize::{ZeroizeOnDrop, Zeroizing};

use super::store::FOLDER;
use crate::disk::{Disk, Kind};
use crate::identity::paths::SKERRY;
use crate::identity::record::{RecordError, parse_sealed, to_sealed_text};
use crate::seal::{SealError, Sealer};

/// The file with the key.
pub const KEY: &str = "/var/lib/skerry/relay/key";
/// A key that could not be used. There is one at most.
pub const KEY_SET_ASIDE: &str = "/var/lib/skerry/relay/key.damaged";

/// Bytes of a key.
const KEY_LEN: usize = 32;

/// The key of a store; overwritten when it goes, and never shown.
#[derive(Clone, ZeroizeOnDrop)]
pub struct StoreKey([u8; KEY_LEN]);

impl StoreKey {
    /// The key with these bytes.
    pub fn new(bytes: [u8; KEY_LEN]) -> Self {
        Self(bytes)
    }

    /// A new key.
    pub fn random() -> io::Result<Self> {
        let mut key = Self([0; KEY_LEN]);
        SystemRandom::new()
            .fill(&mut key.0)
            .map_err(|_| io::Error::other("the system has no random numbers"))?;
        Ok(key)
    }

    /// The key itself, for the ciphers.
    pub(super) fn expose(&self) -> &[u8; KEY_LEN] {
        &self.0
    }
}

impl fmt::Debug for StoreKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StoreKey(redacted)")
    }
}

/// A key, and what there is to be said about it.
#[derive(Debug)]
pub struct Obtained {
    /// The key.
    pub key: StoreKey,
    /// What keeps it from whoever has the disk.
    pub protection: Protection,
    /// What happened to it.
    pub findings: Vec<KeyFinding>,
}

/// What keeps a key from whoever has the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protection {
    /// It is sealed by this.
    Sealed(&'static str),
    /// Nothing but the file's mode.
    Open,
}

/// Something that happened to the key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyFinding {
    /// It was set aside, and a new one made: what was kept cannot be read any more.
    Replaced {
        /// What was wrong with it.
        wrong: String,
    },
    /// It lay open until now.
    SealedNow {
        /// What seals it.
        by: &'static str,
    },
    /// It lies open though the machine has something that should seal it.
    NotSealed {
        /// Why.
        why: String,
    },
}

impl fmt::Display for KeyFinding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Replaced { wrong } => write!(f, "{KEY}: {wrong}; moved to {KEY_SET_ASIDE}, the store begins anew"),
            Self::SealedNow { by } => write!(f, "{KEY}: sealed by the {by}, after it had been readable on the disk"),
            Self::NotSealed { why } => write!(f, "{KEY}: readable to whoever has the disk: {why}"),
        }
    }
}

/// Why there is no key, and so no store. Nothing is lost by it.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The disk.
    #[error("cannot {doing} {KEY}")]
    Disk {
        /// What was tried.
        doing: &'static str,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// What seals the key cannot answer now; it may later.
    #[error("the key of the store is sealed, and cannot be read or written now")]
    Later(#[source] SealError),
    /// The system's random numbers.
    #[error("cannot make a key")]
    Random(#[source] io::Error),
    /// It has no form in a file.
    #[error("cannot write down the key")]
    Form(#[source] toml::ser::Error),
}

impl KeyError {
    /// What a person can do about it; empty if only time helps.
    pub fn advice(&self) -> &'static str {
        match self {
            Self::Disk { source, .. } if source.kind() == io::ErrorKind::StorageFull => "free some space on /var",
            Self::Disk { .. } => "restart the machine; if it happens again, replace the disk",
            Self::Later(source) => source.advice(),
            Self::Random(_) | Self::Form(_) => "",
        }
    }
}

/// The file's content.
#[derive(Serialize, Deserialize, ZeroizeOnDrop)]
#[serde(rename_all = "kebab-case")]
struct Record {
    /// What seals the key; nothing if it lies open.
    #[serde(skip_serializing_if = "Option::is_none")]
    sealed_by: Option<String>,
    /// The key, sealed or not, in base64.
    key: String,
}

/// The key of the store on `disk`, or a new one. `sealer` is what the machine has to seal it with.
pub fn obtain(disk: &impl Disk, sealer: Option<&dyn Sealer>) -> Result<Obtained, KeyError> {
    make_folder(disk).map_err(failed("make the folder of"))?;
    let wrong = match read(disk)? {
        None => return make(disk, sealer, Vec::new()),
        Some(Ok(record)) => match open(&record, sealer)? {
            Ok(key) if record.sealed_by.is_none() => return seal_open_key(disk, sealer, key),
            Ok(key) => {
                return Ok(Obtained {
                    key,
                    protection: sealer.map_or(Protection::Open, |sealer| Protection::Sealed(sealer.name())),
                    findings: Vec::new(),
                });
            }
            Err(wrong) => wrong,
        },
        Some(Err(wrong)) => wrong,
    };
    disk.rename(Path::new(KEY), Path::new(KEY_SET_ASIDE))
        .map_err(failed("set aside"))?;
    make(disk, sealer, vec![KeyFinding::Replaced { wrong }])
}

/// What the file says, or what is wrong with it; none if there is no file.
fn read(disk: &impl Disk) -> Result<Option<Result<Record, String>>, KeyError> {
    match disk.metadata(Path::new(KEY)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed("look at")(error)),
        Ok(found) if !matches!(found.kind, Kind::File(_)) => return Ok(Some(Err("it is no file".into()))),
        Ok(_) => {}
    }
    let content = Zeroizing::new(disk.read(Path::new(KEY)).map_err(failed("read"))?);
    Ok(Some(
        parse_sealed(&content).map_err(|error: RecordError| error.to_string()),
    ))
}

/// The key in a record, or why it will never be had from it.
fn open(record: &Record, sealer: Option<&dyn Sealer>) -> Result<Result<StoreKey, String>, KeyError> {
    let Ok(stored) = STANDARD.decode(&record.key).map(Zeroizing::new) else {
        return Ok(Err("it is not in base64".into()));
    };
    let plain = match (&record.sealed_by, sealer) {
        (None, _) => stored,
        (Some(name), Some(sealer)) if name == sealer.name() => match sealer.unseal(&stored) {
            Ok(plain) => plain,
            Err(error @ SealError::Later { .. }) => return Err(KeyError::Later(error)),
            Err(error) => return Ok(Err(error.to_string())),
        },
        (Some(name), _) => {
            return Ok(Err(format!(
                "it was sealed by a {name}, which this machine does not have"
            )));
        }
    };
    let bytes = <[u8; KEY_LEN]>::try_from(plain.as_slice());
    Ok(bytes
        .map(StoreKey::new)
        .map_err(|_| "it has another length than a key".into()))
}

fn make(disk: &impl Disk, sealer: Option<&dyn Sealer>, mut findings: Vec<KeyFinding>) -> Result<Obtained, KeyError> {
    let key = StoreKey::random().map_err(KeyError::Random)?;
    let sealed = match sealer.map(|sealer| sealer.seal(key.expose()).map(|sealed| (sealer.name(), sealed))) {
        None => None,
        Some(Ok(sealed)) => Some(sealed),
        // An open key would be found on the disk long after it was sealed.
        Some(Err(error @ SealError::Later { .. })) => return Err(KeyError::Later(error)),
        Some(Err(error)) => {
            findings.push(KeyFinding::NotSealed { why: error.to_string() });
            None
        }
    };
    let protection = match &sealed {
        Some((name, sealed)) => {
            write(disk, Some(*name), sealed)?;
            Protection::Sealed(name)
        }
        None => {
            write(disk, None, key.expose())?;
            Protection::Open
        }
    };
    Ok(Obtained {
        key,
        protection,
        findings,
    })
}

/// Seals a key that lay open, if the machine can. The store stays: being readable to a thief who looks for what was
/// overwritten is better for a machine that may be alone than having nothing.
fn seal_open_key(disk: &impl Disk, sealer: Option<&dyn Sealer>, key: StoreKey) -> Result<Obtained, KeyError> {
    let mut obtained = Obtained {
        key,
        protection: Protection::Open,
        findings: Vec::new(),
    };
    let Some(sealer) = sealer else {
        return Ok(obtained);
    };
    match sealer.seal(obtained.key.expose()) {
        Ok(sealed) => {
            write(disk, Some(sealer.name()), &sealed)?;
            obtained.protection = Protection::Sealed(sealer.name());
            obtained.findings.push(KeyFinding::SealedNow { by: sealer.name() });
        }
        // That was said when the key was made.
        Err(SealError::Absent { .. }) => {}
        Err(error) => obtained.findings.push(KeyFinding::NotSealed { why: error.to_string() }),
    }
    Ok(obtained)
}

fn write(disk: &impl Disk, sealed_by: Option<&str>, key: &[u8]) -> Result<(), KeyError> {
    let record = Record {
        sealed_by: sealed_by.map(str::to_owned),
        key: STANDARD.encode(key),
    };
    let text = Zeroizing::new(to_sealed_text(&record).map_err(KeyError::Form)?);
    disk.persist(Path::new(KEY), text.as_bytes(), 0o600)
        .map_err(failed("write"))
}

/// Makes the folder of the store where it is not there.
pub(super) fn make_folder(disk: &impl Disk) -> io::Result<()> {
    for (folder, mode) in [("/var", 0o755), ("/var/lib", 0o755), (SKERRY, 0o700), (FOLDER, 0o700)] {
        match disk.make_folder(Path::new(folder), mode) {
            // An earlier try may have failed before the name was synced.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && folder != FOLDER => {}
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => disk.sync_folder(Path::new(folder).parent().unwrap_or(Path::new("/")))?,
        }
    }
    Ok(())
}

fn failed(doing: &'static str) -> impl FnOnce(io::Error) -> KeyError {
    move |source| KeyError::Disk { doing, source }
}
