//! The commands (Part 3), as bytes to send.

use std::fmt;

use zeroize::Zeroizing;

use super::wire::Writer;

/// Commands that are sent (TPM_CC, Part 2, 6.5.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub enum CommandCode {
    /// Derives a key from a hierarchy's seed (Part 3, 24.1).
    CreatePrimary = 0x0131,
    /// Makes an object below a loaded key (Part 3, 12.1).
    Create = 0x0153,
    /// Brings an object back into the TPM (Part 3, 12.2).
    Load = 0x0157,
    /// Tells the data of a sealed object (Part 3, 12.7).
    Unseal = 0x015e,
    /// Removes an object from the TPM's memory (Part 3, 28.4).
    FlushContext = 0x0165,
}

impl fmt::Display for CommandCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TPM2_{self:?}")
    }
}

/// What a command or an answer begins with (TPM_ST, Part 2, 6.9).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u16)]
pub(super) enum Tag {
    /// No authorization is given; in an answer also: refused.
    NoSessions = 0x8001,
    /// Authorizations follow.
    Sessions = 0x8002,
}

/// An object inside the TPM.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Handle(pub(super) u32);

/// The owner hierarchy: the one for those who run the machine (TPM_RH_OWNER).
const OWNER: Handle = Handle(0x4000_0001);
/// Authorization by a password (TPM_RS_PW).
const PASSWORD: u32 = 0x4000_0009;

/// TPM_ALG_ID, Part 2, 6.3.
mod algorithm {
    pub(super) const AES: u16 = 0x0006;
    pub(super) const KEYED_HASH: u16 = 0x0008;
    pub(super) const SHA256: u16 = 0x000b;
    pub(super) const NULL: u16 = 0x0010;
    pub(super) const ECC: u16 = 0x0023;
    pub(super) const CFB: u16 = 0x0043;
}
/// TPM_ECC_NIST_P256.
const P256: u16 = 0x0003;
const AES_BITS: u16 = 128;

/// TPMA_OBJECT, Part 2, 8.3.
mod attribute {
    /// It and its parent stay in this TPM.
    pub(super) const FIXED: u32 = 1 << 1 | 1 << 4;
    /// The TPM made its secret part.
    pub(super) const MADE_BY_TPM: u32 = 1 << 5;
    /// It is used by its password, which is empty, and not by a policy.
    pub(super) const BY_PASSWORD: u32 = 1 << 6;
    /// It does not count towards the lockout that somebody else's wrong passwords may cause, nor suffers from it.
    pub(super) const NO_LOCKOUT: u32 = 1 << 10;
    /// It decrypts nothing but objects below it: a storage key.
    pub(super) const STORAGE: u32 = 1 << 16 | 1 << 17;
}

/// A command, ready to be sent. It may hold a secret: it is overwritten when it goes.
pub(super) struct Command {
    pub(super) code: CommandCode,
    pub(super) tag: Tag,
    pub(super) bytes: Zeroizing<Vec<u8>>,
}

impl Command {
    /// Derives the storage key. The template is that of the storage root key on elliptic curves of TCG's "TPM v2.0
    /// Provisioning Guidance", with nothing in `unique`. **Another template is another key: nothing sealed before could
    /// be unsealed.**
    pub(super) fn create_primary() -> Self {
        let attributes = attribute::FIXED
            | attribute::MADE_BY_TPM
            | attribute::BY_PASSWORD
            | attribute::NO_LOCKOUT
            | attribute::STORAGE;
        let template = Writer::new()
            .u16(algorithm::ECC)
            .u16(algorithm::SHA256)
            .u32(attributes)
            .sized(&[])
            .u16(algorithm::AES)
            .u16(AES_BITS)
            .u16(algorithm::CFB)
            // No signing scheme, the curve, no key derivation scheme, and the point's empty x and y.
            .u16(algorithm::NULL)
            .u16(P256)
            .u16(algorithm::NULL)
            .sized(&[])
            .sized(&[]);
        let parameters = creation(&[], &template.finish());
        Self::authorized(CommandCode::CreatePrimary, OWNER, &parameters)
    }

    /// Makes a sealed data object of `secret` below `parent`.
    pub(super) fn create(parent: Handle, secret: &[u8]) -> Self {
        let attributes = attribute::FIXED | attribute::BY_PASSWORD | attribute::NO_LOCKOUT;
        let template = Writer::new()
            .u16(algorithm::KEYED_HASH)
            .u16(algorithm::SHA256)
            .u32(attributes)
            .sized(&[])
            // No scheme: it is data, not a key. Then the empty `unique`.
            .u16(algorithm::NULL)
            .sized(&[]);
        let parameters = creation(secret, &template.finish());
        Self::authorized(CommandCode::Create, parent, &parameters)
    }

    /// Loads an object that was made below `parent`.
    pub(super) fn load(parent: Handle, private: &[u8], public: &[u8]) -> Self {
        let parameters = Writer::new().sized(private).sized(public).finish();
        Self::authorized(CommandCode::Load, parent, &parameters)
    }

    /// Asks for the data of a loaded object.
    pub(super) fn unseal(object: Handle) -> Self {
        Self::authorized(CommandCode::Unseal, object, &[])
    }

    /// Removes an object from the TPM's memory.
    pub(super) fn flush(object: Handle) -> Self {
        // The one command whose handle is a parameter.
        let parameters = object.0.to_be_bytes();
        let (code, tag) = (CommandCode::FlushContext, Tag::NoSessions);
        let bytes = message(code, tag, &parameters);
        Self { code, tag, bytes }
    }

    /// A command on one object or hierarchy that has an empty password.
    fn authorized(code: CommandCode, handle: Handle, parameters: &[u8]) -> Self {
        // No nonce, no attributes, empty password (TPMS_AUTH_COMMAND, Part 2, 10.13.2).
        let authorization = Writer::new().u32(PASSWORD).sized(&[]).u8(0).sized(&[]).finish();
        let rest = Writer::new()
            .u32(handle.0)
            .u32(authorization.len() as u32)
            .bytes(&authorization)
            .bytes(parameters)
            .finish();
        let tag = Tag::Sessions;
        let bytes = message(code, tag, &rest);
        Self { code, tag, bytes }
    }
}

/// The parameters that the two creating commands share: an empty password and the data (TPM2B_SENSITIVE_CREATE), the
/// template, nothing from outside and no PCRs to be noted.
fn creation(data: &[u8], template: &[u8]) -> Zeroizing<Vec<u8>> {
    let sensitive = Writer::new().sized(&[]).sized(data).finish();
    Writer::new()
        .sized(&sensitive)
        .sized(template)
        .sized(&[])
        .u32(0)
        .finish()
}

/// Tag, length of the whole, code (Part 1, "Command Header"), and the rest.
fn message(code: CommandCode, tag: Tag, rest: &[u8]) -> Zeroizing<Vec<u8>> {
    let len = u32::try_from(super::answer::HEADER_BYTES + rest.len()).expect("commands are short");
    Writer::new()
        .u16(tag as u16)
        .u32(len)
        .u32(code as u32)
        .bytes(rest)
        .finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hex::parse_hex;

    /// Length, password session: as in every command that needs an authorization.
    const PASSWORD_AREA: &str = "00000009 40000009 0000 00 0000";

    fn golden<const N: usize>(parts: &[&str]) -> Vec<u8> {
        parse_hex::<N>(&parts.concat().replace(' ', "")).unwrap().to_vec()
    }

    #[test]
    fn the_storage_keys_template_is_pinned_because_all_that_was_sealed_depends_on_it() {
        let expected = [
            "8002 00000043 00000131 40000001",
            PASSWORD_AREA,
            "0004 0000 0000",
            "001a 0023 000b 00030472 0000 0006 0080 0043 0010 0003 0010 0000 0000",
            "0000 00000000",
        ];
        assert_eq!(*Command::create_primary().bytes, golden::<67>(&expected));
    }

    #[test]
    fn a_secret_is_put_into_an_object_that_is_data_and_stays_in_the_tpm() {
        let expected = [
            "8002 0000003a 00000153 80ffffff",
            PASSWORD_AREA,
            "0007 0000 0003 6b6579",
            "000e 0008 000b 00000452 0000 0010 0000",
            "0000 00000000",
        ];
        assert_eq!(
            *Command::create(Handle(0x80ff_ffff), b"key").bytes,
            golden::<58>(&expected)
        );
    }

    #[test]
    fn the_other_commands_are_pinned() {
        let load = ["8002 00000022 00000157 80000001", PASSWORD_AREA, "0002 6162", "0001 63"];
        assert_eq!(
            *Command::load(Handle(0x8000_0001), b"ab", b"c").bytes,
            golden::<34>(&load)
        );
        let unseal = ["8002 0000001b 0000015e 80000002", PASSWORD_AREA];
        assert_eq!(*Command::unseal(Handle(0x8000_0002)).bytes, golden::<27>(&unseal));
        let flush = ["8001 0000000e 00000165 80000002"];
        assert_eq!(*Command::flush(Handle(0x8000_0002)).bytes, golden::<14>(&flush));
    }

    #[test]
    fn a_command_is_named_as_in_the_specification() {
        assert_eq!(CommandCode::FlushContext.to_string(), "TPM2_FlushContext");
    }
}
