//! A TPM 2.0, as much of it as sealing a key needs.
//!
//! In: a secret of up to [`MAX_SECRET_BYTES`], or what it was sealed to. Out: the other one. Specification: TCG, "Trusted
//! Platform Module 2.0 Library", Part 2 (structures) and Part 3 (commands), revision 1.59.
//!
//! The secret becomes a sealed data object (Part 1, "Sealed Data Objects") below the storage key of the owner hierarchy,
//! which the TPM derives anew each time from a seed that never leaves it. So only this TPM unseals it, until somebody
//! clears it. Nothing is kept in the TPM: neither its memory nor its few persistent places are used up.
//!
//! Not done, on purpose: no policy on measurements (PCRs), because each update of the system would have to foretell them
//! or lose the secret; who starts this machine with a system of his own can unseal. No encryption on the wires to the
//! TPM, because who can listen there has the machine and need not listen. No password: nobody is there to type it.

mod answer;
mod client;
mod code;
mod command;
mod device;
mod sealed;
mod wire;

use std::io;

use zeroize::Zeroizing;

use crate::seal::{SealError, Sealer};

use client::Client;
pub use code::{Class, ResponseCode};
pub use command::CommandCode;
pub use device::{Device, OpenDevice};
use sealed::Sealed;
pub use sealed::SealedError;

/// The longest secret that every TPM 2.0 takes (MAX_SYM_DATA).
pub const MAX_SECRET_BYTES: usize = 128;

/// The longest command or answer: the kernel's buffer for either (TPM_BUFSIZE).
pub const MAX_MESSAGE_BYTES: usize = 4096;

const NAME: &str = "TPM 2.0";

/// A connection over which one command goes there and one answer comes back.
pub trait Transport {
    /// Sends a whole command and returns the whole answer.
    fn exchange(&mut self, command: &[u8]) -> io::Result<Zeroizing<Vec<u8>>>;
}

/// Where a TPM is reached; each seal and unseal connects anew.
pub trait Place {
    /// What a connection is.
    type Connection: Transport;
    /// Connects; [`io::ErrorKind::NotFound`] means that there is no TPM.
    fn connect(&self) -> io::Result<Self::Connection>;
}

/// Why a TPM did not do what it was asked to.
#[derive(Debug, thiserror::Error)]
pub enum TpmError {
    /// It could not be talked to.
    #[error("cannot {doing} the TPM")]
    Io {
        /// What was tried, such as `connect to`.
        doing: &'static str,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// It said no.
    #[error("the TPM answers {command} with {code}")]
    Refused {
        /// To what.
        command: CommandCode,
        /// In its own words.
        code: ResponseCode,
    },
    /// Its answer is not one to the command.
    #[error("the TPM's answer to {command} is malformed: {what}")]
    Malformed {
        /// Which command.
        command: CommandCode,
        /// What is wrong.
        what: &'static str,
    },
    /// What is to be unsealed has no form that this program knows.
    #[error("the sealed bytes cannot be read")]
    Sealed(#[from] SealedError),
    /// What is to be unsealed was sealed by a TPM with another seed.
    #[error("it was sealed by another TPM, or by this one before it was cleared")]
    OtherTpm,
}

/// A [`Sealer`] that keeps secrets by a TPM 2.0.
#[derive(Debug)]
pub struct TpmSealer<P> {
    place: P,
}

impl TpmSealer<Device> {
    /// By the machine's own TPM, which may not exist.
    pub fn of_this_machine() -> Self {
        Self::new(Device::default())
    }
}

impl<P: Place> TpmSealer<P> {
    /// By the TPM at `place`.
    pub fn new(place: P) -> Self {
        Self { place }
    }

    fn connect(&self) -> Result<Client<P::Connection>, SealError> {
        match self.place.connect() {
            Ok(connection) => Ok(Client::new(connection)),
            Err(source) if source.kind() == io::ErrorKind::NotFound => Err(SealError::Absent { sealer: NAME }),
            Err(source) => Err(sorted(TpmError::Io {
                doing: "connect to",
                source,
            })),
        }
    }
}

impl<P: Place> Sealer for TpmSealer<P> {
    fn name(&self) -> &'static str {
        NAME
    }

    fn seal(&self, secret: &[u8]) -> Result<Vec<u8>, SealError> {
        if secret.len() > MAX_SECRET_BYTES {
            return Err(SealError::TooLong {
                len: secret.len(),
                limit: MAX_SECRET_BYTES,
            });
        }
        let sealed = self.connect()?.seal(secret).map_err(sorted)?;
        Ok(sealed.to_bytes())
    }

    fn unseal(&self, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, SealError> {
        let sealed = Sealed::parse(sealed).map_err(|error| sorted(error.into()))?;
        self.connect()?.unseal(&sealed).map_err(sorted)
    }
}

impl TpmError {
    fn class(&self) -> Class {
        match self {
            // A device that fails to answer may do so the next time; nothing is given up for it.
            Self::Io { .. } => Class::Later,
            Self::Refused { command, code } => code.class(*command),
            Self::Malformed { .. } => Class::Unusable,
            Self::Sealed(_) | Self::OtherTpm => Class::Foreign,
        }
    }
}

fn sorted(error: TpmError) -> SealError {
    let (sealer, class, source) = (NAME, error.class(), error.into());
    match class {
        Class::Later => SealError::Later { sealer, source },
        Class::Foreign => SealError::Foreign { sealer, source },
        Class::Unusable => SealError::Unusable { sealer, source },
    }
}

#[cfg(test)]
mod tests;
