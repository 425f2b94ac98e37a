//! Ties a secret to this machine, so that its disk alone tells nobody.
//!
//! A [`Sealer`] turns a secret into bytes that may lie on a disk; only the machine that made them turns them back. That
//! guards against the one who has the disk, not against the one who has the whole machine and starts it.

use std::error::Error;

use zeroize::Zeroizing;

/// Something in the machine that keeps secrets, such as a TPM. Calls block, up to seconds on slow hardware.
pub trait Sealer {
    /// What people call it, such as `TPM 2.0`.
    fn name(&self) -> &'static str;
    /// Makes of `secret` what only this machine can turn back. Two calls give different bytes.
    fn seal(&self, secret: &[u8]) -> Result<Vec<u8>, SealError>;
    /// Gives back what was sealed here.
    fn unseal(&self, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, SealError>;
}

/// Where a refusal came from, for those who look for the reason.
pub type Reason = Box<dyn Error + Send + Sync>;

/// Why something was not sealed or unsealed. The variants are those that a caller does different things for.
#[derive(Debug, thiserror::Error)]
pub enum SealError {
    /// The machine has no such thing. It may have had one before.
    #[error("this machine has no {sealer}")]
    Absent {
        /// What it lacks.
        sealer: &'static str,
    },
    /// It cannot answer now: what is sealed is not lost.
    #[error("the {sealer} cannot answer now")]
    Later {
        /// What was asked.
        sealer: &'static str,
        /// What it said.
        #[source]
        source: Reason,
    },
    /// It is there, and refuses to work or is broken. Asking again does not help before somebody has looked at it; what
    /// is sealed may come back then.
    #[error("the {sealer} of this machine cannot be used")]
    Unusable {
        /// What was asked.
        sealer: &'static str,
        /// What it said.
        #[source]
        source: Reason,
    },
    /// What was to be unsealed is damaged, or comes from another machine, or from this one before it was
    /// cleared: it will never be unsealed here.
    #[error("this was not sealed by the {sealer} of this machine, or is damaged")]
    Foreign {
        /// What was asked.
        sealer: &'static str,
        /// What is wrong with it.
        #[source]
        source: Reason,
    },
    /// Sealers are for keys, not for files.
    #[error("{len} bytes are too many to seal: {limit} are possible")]
    TooLong {
        /// Bytes of the secret.
        len: usize,
        /// Bytes that are possible.
        limit: usize,
    },
}

impl SealError {
    /// What a person can do about it; empty if nothing needs to be done.
    pub fn advice(&self) -> &'static str {
        match self {
            Self::Absent { .. } => "switch the TPM on in the firmware's settings, if the machine has one",
            Self::Later { .. } => "it is tried again; restart the machine if it lasts",
            Self::Unusable { .. } => "clear the TPM in the firmware's settings; what was sealed by it is lost then",
            Self::Foreign { .. } | Self::TooLong { .. } => "",
        }
    }
}
