//! The order of commands by which a secret is sealed and unsealed.

use zeroize::Zeroizing;

use super::answer::{Answer, Shape};
use super::command::{Command, CommandCode, Handle};
use super::sealed::Sealed;
use super::wire::Reader;
use super::{TpmError, Transport};

/// A connected TPM.
pub(super) struct Client<T> {
    transport: T,
}

/// The storage key while it is loaded.
struct StorageKey {
    handle: Handle,
    /// A digest of its public part: another TPM has another one.
    name: Vec<u8>,
}

impl<T: Transport> Client<T> {
    pub(super) fn new(transport: T) -> Self {
        Self { transport }
    }

    /// Makes a sealed object of `secret`.
    pub(super) fn seal(&mut self, secret: &[u8]) -> Result<Sealed, TpmError> {
        let key = self.storage_key()?;
        let made = self.create(key.handle, secret);
        self.flush(key.handle);
        let (private, public) = made?;
        let sealed = Sealed {
            parent: key.name,
            private,
            public,
        };
        // What could not be read back must not be written.
        sealed.is_bounded().then_some(sealed).ok_or(TpmError::Malformed {
            command: CommandCode::Create,
            what: "the object is larger than any",
        })
    }

    /// The secret of a sealed object.
    pub(super) fn unseal(&mut self, sealed: &Sealed) -> Result<Zeroizing<Vec<u8>>, TpmError> {
        let key = self.storage_key()?;
        let object = match key.name == sealed.parent {
            true => self.load(key.handle, sealed),
            false => Err(TpmError::OtherTpm),
        };
        self.flush(key.handle);
        let object = object?;
        let secret = self.tell(object);
        self.flush(object);
        secret
    }

    fn storage_key(&mut self) -> Result<StorageKey, TpmError> {
        self.run(&Command::create_primary(), Shape::Handle, |handle, parameters| {
            let _public = parameters.sized()?;
            skip_creation(parameters)?;
            let name = parameters.sized()?.to_vec();
            handle.map(|handle| StorageKey { handle, name })
        })
    }

    fn create(&mut self, parent: Handle, secret: &[u8]) -> Result<(Vec<u8>, Vec<u8>), TpmError> {
        self.run(&Command::create(parent, secret), Shape::Bare, |_, parameters| {
            let made = (parameters.sized()?.to_vec(), parameters.sized()?.to_vec());
            skip_creation(parameters)?;
            Some(made)
        })
    }

    fn load(&mut self, parent: Handle, sealed: &Sealed) -> Result<Handle, TpmError> {
        let command = Command::load(parent, &sealed.private, &sealed.public);
        self.run(&command, Shape::Handle, |handle, parameters| {
            let _name = parameters.sized()?;
            handle
        })
    }

    fn tell(&mut self, object: Handle) -> Result<Zeroizing<Vec<u8>>, TpmError> {
        self.run(&Command::unseal(object), Shape::Bare, |_, parameters| {
            parameters.sized().map(|secret| Zeroizing::new(secret.to_vec()))
        })
    }

    /// Frees the TPM's memory. If that fails, the kernel does it when the connection ends.
    fn flush(&mut self, object: Handle) {
        let _ = self.run(&Command::flush(object), Shape::Bare, |_, _| Some(()));
    }

    fn run<R>(
        &mut self,
        command: &Command,
        shape: Shape,
        read: impl FnOnce(Option<Handle>, &mut Reader<'_>) -> Option<R>,
    ) -> Result<R, TpmError> {
        let bytes = self.transport.exchange(&command.bytes).map_err(|source| TpmError::Io {
            doing: doing(command.code),
            source,
        })?;
        let answer = Answer::parse(command, shape, &bytes)?;
        let handle = answer.handle();
        answer
            .read(|parameters| read(handle, parameters))
            .ok_or(TpmError::Malformed {
                command: command.code,
                what: "its parameters are not those of the command",
            })
    }
}

/// What the creating commands tell of the circumstances: creation data, its digest, and a ticket (TPMT_TK_CREATION).
fn skip_creation(parameters: &mut Reader<'_>) -> Option<()> {
    parameters.sized()?;
    parameters.sized()?;
    let (_tag, _hierarchy) = (parameters.u16()?, parameters.u32()?);
    parameters.sized().map(|_| ())
}

/// What an exchange is for, in the words of an error.
fn doing(code: CommandCode) -> &'static str {
    match code {
        CommandCode::CreatePrimary => "derive the storage key of",
        CommandCode::Create => "seal by",
        CommandCode::Load | CommandCode::Unseal => "unseal by",
        CommandCode::FlushContext => "free the memory of",
    }
}
