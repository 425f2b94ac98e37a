//! What a TPM means by its refusals (TPM_RC, Part 2, 6.6).

use std::fmt;

use super::command::CommandCode;

/// A response code other than success.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ResponseCode(pub u32);

/// What follows from a refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// The same may work later, or after a restart of the machine.
    Later,
    /// The object is none of this TPM's.
    Foreign,
    /// It will be the same the next time.
    Unusable,
}

/// What a code with bit 7 set (format 1) is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum About {
    Parameter(u32),
    Handle(u32),
    Session(u32),
    Anything,
}

/// Of an error of format 0: codes of TPM 2.0 have this bit.
const VERSION_2: u32 = 1 << 8;
/// Of format 0: the command was right, and cannot be carried out now.
const WARNING: u32 = 1 << 11;
/// Of format 0: the maker's own code.
const VENDOR: u32 = 1 << 10;
const FORMAT_1: u32 = 1 << 7;

/// Codes that people meet, with their names in Part 2, tables of 6.6.3; of format 1 without what they are about.
const NAMES: [(u32, &str); 24] = [
    (INITIALIZE, "TPM_RC_INITIALIZE"),
    (FAILURE, "TPM_RC_FAILURE"),
    (0x120, "TPM_RC_DISABLED"),
    (UPGRADE, "TPM_RC_UPGRADE"),
    (REBOOT, "TPM_RC_REBOOT"),
    (0x143, "TPM_RC_COMMAND_CODE"),
    (NEEDS_TEST, "TPM_RC_NEEDS_TEST"),
    (0x901, "TPM_RC_CONTEXT_GAP"),
    (0x902, "TPM_RC_OBJECT_MEMORY"),
    (0x903, "TPM_RC_SESSION_MEMORY"),
    (0x904, "TPM_RC_MEMORY"),
    (0x908, "TPM_RC_YIELDED"),
    (0x909, "TPM_RC_CANCELED"),
    (0x90a, "TPM_RC_TESTING"),
    (0x920, "TPM_RC_NV_RATE"),
    (0x921, "TPM_RC_LOCKOUT"),
    (0x922, "TPM_RC_RETRY"),
    (0x923, "TPM_RC_NV_UNAVAILABLE"),
    (0x084, "TPM_RC_VALUE"),
    (0x085, "TPM_RC_HIERARCHY"),
    (0x08e, "TPM_RC_AUTH_FAIL"),
    (0x095, "TPM_RC_SIZE"),
    (0x09f, "TPM_RC_INTEGRITY"),
    (0x0a2, "TPM_RC_BAD_AUTH"),
];

const INITIALIZE: u32 = 0x100;
const FAILURE: u32 = 0x101;
const UPGRADE: u32 = 0x12d;
const REBOOT: u32 = 0x130;
const NEEDS_TEST: u32 = 0x153;

impl ResponseCode {
    /// What follows from it as the answer to `command`.
    pub fn class(self, command: CommandCode) -> Class {
        let (code, about) = self.split();
        match about {
            None if code & VENDOR == 0 && code & WARNING != 0 => Class::Later,
            // It has not started, or not well: the firmware or a restart does that.
            None if [INITIALIZE, FAILURE, UPGRADE, REBOOT, NEEDS_TEST].contains(&code) => Class::Later,
            None => Class::Unusable,
            // Whether the storage key may be used is about this TPM; all else that a load is refused for, about the bytes.
            Some(About::Handle(_) | About::Session(_)) if command == CommandCode::Load => Class::Unusable,
            Some(_) if command == CommandCode::Load => Class::Foreign,
            // What was loaded is no sealed data, or has a password: it was not made here.
            Some(_) if command == CommandCode::Unseal => Class::Foreign,
            Some(_) => Class::Unusable,
        }
    }

    /// The error alone, and, for format 1, what it is about. The upper half, in which the kernel says that a code is its
    /// own, does not matter.
    fn split(self) -> (u32, Option<About>) {
        let code = self.0 & 0xffff;
        if code & FORMAT_1 == 0 {
            return (code & (VENDOR | WARNING | VERSION_2 | 0x7f), None);
        }
        let number = code >> 8 & 0xf;
        let about = match (code >> 6 & 1, number) {
            (_, 0) => About::Anything,
            (1, _) => About::Parameter(number),
            (_, 1..8) => About::Handle(number),
            _ => About::Session(number - 8),
        };
        (code & 0xbf, Some(about))
    }
}

impl fmt::Display for ResponseCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (code, about) = self.split();
        match NAMES.iter().find(|(known, _)| *known == code) {
            Some((_, name)) => write!(f, "{name} ({:#05x})", self.0)?,
            None => write!(f, "code {:#05x}", self.0)?,
        }
        match about {
            Some(About::Parameter(number)) => write!(f, " about parameter {number}"),
            Some(About::Handle(number)) => write!(f, " about handle {number}"),
            Some(About::Session(number)) => write!(f, " about session {number}"),
            Some(About::Anything) | None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn class(code: u32, command: CommandCode) -> Class {
        ResponseCode(code).class(command)
    }

    #[test]
    fn a_tpm_that_is_busy_testing_or_locked_is_asked_again() {
        for code in [0x922, 0x921, 0x90a, 0x920, 0x923, 0x902, 0x100, 0x101, 0x130] {
            assert_eq!(class(code, CommandCode::Load), Class::Later, "{code:#x}");
            assert_eq!(class(code, CommandCode::CreatePrimary), Class::Later, "{code:#x}");
        }
    }

    #[test]
    fn an_object_whose_proof_is_wrong_is_foreign_and_a_refused_key_is_not() {
        // TPM_RC_INTEGRITY about parameter 1, TPM_RC_SIZE about parameter 2, TPM_RC_BINDING without a place.
        for code in [0x1df, 0x2d5, 0x0a5] {
            assert_eq!(class(code, CommandCode::Load), Class::Foreign, "{code:#x}");
        }
        // TPM_RC_BAD_AUTH about session 1: the owner has set a password, or the key would have one.
        assert_eq!(class(0x9a2, CommandCode::CreatePrimary), Class::Unusable);
        assert_eq!(class(0x9a2, CommandCode::Load), Class::Unusable);
        assert_eq!(class(0x9a2, CommandCode::Unseal), Class::Foreign);
    }

    #[test]
    fn a_hierarchy_that_is_off_an_unknown_command_and_the_makers_codes_do_not_pass_by_themselves() {
        for code in [0x185, 0x143, 0x000b_0143, 0x120, 0xd05, 0x500] {
            assert_eq!(class(code, CommandCode::CreatePrimary), Class::Unusable, "{code:#x}");
        }
    }

    #[test]
    fn a_code_is_told_by_its_name_and_what_it_is_about() {
        assert_eq!(ResponseCode(0x922).to_string(), "TPM_RC_RETRY (0x922)");
        assert_eq!(
            ResponseCode(0x1df).to_string(),
            "TPM_RC_INTEGRITY (0x1df) about parameter 1"
        );
        assert_eq!(
            ResponseCode(0x9a2).to_string(),
            "TPM_RC_BAD_AUTH (0x9a2) about session 1"
        );
        assert_eq!(
            ResponseCode(0x185).to_string(),
            "TPM_RC_HIERARCHY (0x185) about handle 1"
        );
        assert_eq!(ResponseCode(0x000b_0143).to_string(), "TPM_RC_COMMAND_CODE (0xb0143)");
        assert_eq!(ResponseCode(0xd05).to_string(), "code 0xd05");
    }
}
