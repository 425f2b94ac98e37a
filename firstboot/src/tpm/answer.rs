//! The frame of an answer: header, handle, parameters (Part 1, "Response Structure"). What a TPM says is not trusted to
//! be well formed.

use super::code::ResponseCode;
use super::command::{Command, Handle, Tag};
use super::wire::Reader;
use super::{MAX_MESSAGE_BYTES, TpmError};

/// Tag, length and code, in commands and answers.
pub(super) const HEADER_BYTES: usize = 10;

/// What an answer has between its header and its parameters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    /// The handle of an object that the command made or loaded.
    Handle,
    /// Nothing.
    Bare,
}

/// An answer that says yes.
pub(super) struct Answer<'a> {
    handle: Option<Handle>,
    parameters: Reader<'a>,
}

impl<'a> Answer<'a> {
    /// Takes the frame of the answer to `command` apart; a refusal is an error.
    pub(super) fn parse(command: &Command, shape: Shape, bytes: &'a [u8]) -> Result<Self, TpmError> {
        let malformed = |what| TpmError::Malformed {
            command: command.code,
            what,
        };
        let mut reader = Reader::new(bytes);
        let header = (|| Some((reader.u16()?, reader.u32()?, reader.u32()?)))();
        let (tag, len, code) = header.ok_or_else(|| malformed("it is shorter than its header"))?;
        if bytes.len() > MAX_MESSAGE_BYTES || len as usize != bytes.len() {
            return Err(malformed("its length is another than it says"));
        }
        if code != 0 {
            return Err(TpmError::Refused {
                command: command.code,
                code: ResponseCode(code),
            });
        }
        if tag != command.tag as u16 {
            return Err(malformed("its tag is another than the command's"));
        }
        let handle = match shape {
            Shape::Handle => {
                Some(transient(&mut reader).ok_or_else(|| malformed("it has no handle of a loaded object"))?)
            }
            Shape::Bare => None,
        };
        let parameters = match command.tag {
            Tag::Sessions => authorized_parameters(reader),
            Tag::NoSessions => Some(reader),
        };
        let parameters = parameters.ok_or_else(|| malformed("it ends within its parameters"))?;
        Ok(Self { handle, parameters })
    }

    /// The object that the command made or loaded.
    pub(super) fn handle(&self) -> Option<Handle> {
        self.handle
    }

    /// What `read` makes of the parameters, all of which it must take.
    pub(super) fn read<T>(mut self, read: impl FnOnce(&mut Reader<'a>) -> Option<T>) -> Option<T> {
        read(&mut self.parameters).filter(|_| self.parameters.is_empty())
    }
}

/// The handle of a transient object (TPM_HT_TRANSIENT, Part 2, 7.2).
fn transient(reader: &mut Reader<'_>) -> Option<Handle> {
    reader.u32().filter(|handle| handle >> 24 == 0x80).map(Handle)
}

/// Parameters with their length before them, and the acknowledgement of the authorization behind: for a password it
/// says nothing.
fn authorized_parameters(mut reader: Reader<'_>) -> Option<Reader<'_>> {
    let len = reader.u32()?;
    reader.bytes(usize::try_from(len).ok()?).map(Reader::new)
}
