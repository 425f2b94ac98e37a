//! Our policy on one signature of an index: what is signed, with which digest, by whom, and when.

use pgp::armor::{BlockType, Dearmor};
use pgp::composed::SignedPublicKey;
use pgp::packet::{Packet, PacketParser, Signature, SignatureType};
use pgp::types::{Fingerprint as PgpFingerprint, KeyDetails, KeyId};
use std::io::Read;

use super::MAX_AHEAD_SECS;
use super::certificate::{self, KeyFault};
use super::date;
use super::keys::{Fingerprint, SigningKeys};

/// Signatures on one index; Debian's have up to three. Each costs a public-key operation.
const MAX_SIGNATURES: usize = 16;

/// Why one signature does not count. The order is that of how much it says about what is wrong.
#[derive(Debug, thiserror::Error)]
pub enum SignatureFault {
    /// No trusted certificate has the key.
    #[error("it was made by {signer}, which is not among the trusted keys")]
    UnknownKey {
        /// The fingerprint or key id that the signature names.
        signer: String,
    },
    /// It is over something else than text, or of a version that is not supported.
    #[error("it is of a kind that does not sign text")]
    Kind,
    /// It has an addition that must not be ignored and is not known.
    #[error("it has a critical part that is not understood")]
    UnknownCritical,
    /// It does not say when it was made.
    #[error("it has no date")]
    Undated,
    /// It was made in the future.
    #[error("it was made on {}, which is in the future", date::format(*.at))]
    FromTheFuture {
        /// UNIX seconds.
        at: u64,
    },
    /// The signature itself has expired.
    #[error("it expired on {}", date::format(*.at))]
    Expired {
        /// UNIX seconds.
        at: u64,
    },
    /// Its digest algorithm can be forged.
    #[error("it uses the digest {algorithm}, which can be forged")]
    WeakDigest {
        /// The digest algorithm.
        algorithm: String,
    },
    /// The key is trusted, but may not sign.
    #[error("it was made by {signer}, which cannot be used")]
    Key {
        /// The key.
        signer: Fingerprint,
        /// Why.
        #[source]
        fault: KeyFault,
    },
    /// The text is not what the key has signed.
    #[error("it was made by {signer}, but not on this text")]
    Forged {
        /// The key.
        signer: Fingerprint,
        /// What the mathematics say.
        #[source]
        source: pgp::errors::Error,
    },
}

impl SignatureFault {
    /// Which of several faults to tell: the higher, the more telling.
    pub(super) const fn weight(&self) -> u8 {
        match self {
            Self::UnknownKey { .. } => 0,
            Self::Kind | Self::UnknownCritical | Self::Undated => 1,
            Self::FromTheFuture { .. } | Self::Expired { .. } => 2,
            Self::WeakDigest { .. } => 3,
            Self::Key { .. } => 4,
            Self::Forged { .. } => 5,
        }
    }
}

/// Reads an armoured signature block; nothing else may be in it.
pub(super) fn read(armor: &str) -> Result<Vec<Signature>, pgp::errors::Error> {
    let mut dearmor = Dearmor::new(armor.as_bytes());
    let mut packets = Vec::new();
    dearmor.read_to_end(&mut packets)?;
    if dearmor.typ != Some(BlockType::Signature) {
        return Err(std::io::Error::other("it is no signature block").into());
    }
    let mut signatures = Vec::new();
    for packet in PacketParser::new(packets.as_slice()) {
        match packet? {
            Packet::Signature(signature) if signatures.len() < MAX_SIGNATURES => signatures.push(signature),
            Packet::Signature(_) => return Err(std::io::Error::other("there are too many signatures").into()),
            _ => return Err(std::io::Error::other("there is something else than a signature").into()),
        }
    }
    Ok(signatures)
}

/// Whether a signature on `text` (canonical, with CR LF) counts at `now` (UNIX seconds).
pub(super) fn judge(signature: &Signature, text: &str, keys: &SigningKeys, now: u64) -> Result<(), SignatureFault> {
    let issuers = issuers(signature, keys);
    if issuers.is_empty() {
        return Err(SignatureFault::UnknownKey {
            signer: signer(signature),
        });
    }
    check_form(signature, now)?;
    let mut result = Err(SignatureFault::Undated);
    for issuer in issuers {
        result = judge_by(signature, text, issuer, now);
        if result.is_ok() {
            break;
        }
    }
    result
}

/// All that can be said without a key.
fn check_form(signature: &Signature, now: u64) -> Result<(), SignatureFault> {
    if signature.typ() != Some(SignatureType::Text) {
        return Err(SignatureFault::Kind);
    }
    if !certificate::is_strong(signature.hash_alg()) {
        let algorithm = signature
            .hash_alg()
            .map_or_else(String::new, |algorithm| algorithm.to_string());
        return Err(SignatureFault::WeakDigest { algorithm });
    }
    if certificate::has_unknown_critical(signature) {
        return Err(SignatureFault::UnknownCritical);
    }
    let Some(made) = signature.created().map(|time| u64::from(time.as_secs())) else {
        return Err(SignatureFault::Undated);
    };
    if made > now.saturating_add(MAX_AHEAD_SECS) {
        return Err(SignatureFault::FromTheFuture { at: made });
    }
    match signature
        .signature_expiration_time()
        .map(|lifetime| u64::from(lifetime.as_secs()))
    {
        Some(lifetime) if lifetime != 0 && made + lifetime <= now => {
            Err(SignatureFault::Expired { at: made + lifetime })
        }
        _ => Ok(()),
    }
}

/// A key of a trusted certificate: its primary key or the subkey of this index.
struct Issuer<'a> {
    certificate: &'a SignedPublicKey,
    subkey: Option<usize>,
}

fn judge_by(signature: &Signature, text: &str, issuer: Issuer<'_>, now: u64) -> Result<(), SignatureFault> {
    let certificate = issuer.certificate;
    let (signer, verified, usable) = match issuer.subkey.map(|index| &certificate.public_subkeys[index]) {
        Some(subkey) => (
            Fingerprint::of(&subkey.key),
            signature.verify(&subkey.key, text.as_bytes()),
            certificate::check_subkey(certificate, subkey, now),
        ),
        None => (
            Fingerprint::of(&certificate.primary_key),
            signature.verify(&certificate.primary_key, text.as_bytes()),
            certificate::check_primary(certificate, now),
        ),
    };
    match (verified, usable) {
        (Err(source), _) => Err(SignatureFault::Forged { signer, source }),
        (Ok(()), Err(fault)) => Err(SignatureFault::Key { signer, fault }),
        (Ok(()), Ok(())) => Ok(()),
    }
}

/// The trusted keys that the signature may be by. One that names nobody may be by any.
fn issuers<'a>(signature: &Signature, keys: &'a SigningKeys) -> Vec<Issuer<'a>> {
    let fingerprints = signature.issuer_fingerprint();
    let ids = signature.issuer_key_id();
    let named = |fingerprint: PgpFingerprint, id: KeyId| match fingerprints.is_empty() {
        false => fingerprints.iter().any(|named| **named == fingerprint),
        true => ids.is_empty() || ids.iter().any(|named| **named == id),
    };
    let mut issuers = Vec::new();
    for certificate in &keys.certificates {
        let primary = &certificate.primary_key;
        if named(primary.fingerprint(), primary.legacy_key_id()) {
            issuers.push(Issuer {
                certificate,
                subkey: None,
            });
        }
        for (index, subkey) in certificate.public_subkeys.iter().enumerate() {
            if named(subkey.key.fingerprint(), subkey.key.legacy_key_id()) {
                issuers.push(Issuer {
                    certificate,
                    subkey: Some(index),
                });
            }
        }
    }
    issuers
}

/// Whom the signature names as its maker.
fn signer(signature: &Signature) -> String {
    let fingerprint = signature
        .issuer_fingerprint()
        .first()
        .map(|fingerprint| fingerprint.to_string());
    let id = || signature.issuer_key_id().first().map(|id| id.to_string());
    fingerprint
        .or_else(id)
        .map_or_else(|| "nobody".to_owned(), |name| name.to_ascii_uppercase())
}
