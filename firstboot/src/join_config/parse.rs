//! From the bytes of a join file to a checked configuration.

use super::error::JoinConfigError;
use super::form::{self, Form};
use super::section::Strictness;
use super::{JoinConfig, toml_form};

/// More than anybody writes into a join file, in bytes.
pub const MAX_BYTES: usize = 256 * 1024;

/// A join file that was understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parsed {
    /// What it says.
    pub config: JoinConfig,
    /// What in it means nothing to this version, one sentence each.
    pub warnings: Vec<String>,
}

/// Reads a join file in any of its forms: TOML with `version = 1`, a `kubeadm join …` line, a kubeconfig (YAML or JSON), a
/// k0s token, or the text of KKP's edge script. Keys and flags that mean nothing are warnings.
pub fn parse(bytes: &[u8]) -> Result<Parsed, JoinConfigError> {
    read(bytes, Strictness::Tolerant)
}

/// The same for whoever writes such files: a key that means nothing is an error.
pub fn parse_strict(bytes: &[u8]) -> Result<Parsed, JoinConfigError> {
    read(bytes, Strictness::Strict)
}

fn read(bytes: &[u8], strictness: Strictness) -> Result<Parsed, JoinConfigError> {
    let text = decode(bytes)?;
    let mut warnings = Vec::new();
    let draft = match form::recognise(text)? {
        Form::Toml => toml_form::read(text, strictness, &mut warnings)?,
        _ => form::read_foreign(text, &mut warnings)?,
    };
    let config = draft.finish()?;
    Ok(Parsed { config, warnings })
}

fn decode(bytes: &[u8]) -> Result<&str, JoinConfigError> {
    if bytes.len() > MAX_BYTES {
        return Err(JoinConfigError::TooLarge { limit_bytes: MAX_BYTES });
    }
    if bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff") {
        return Err(JoinConfigError::Utf16);
    }
    let text = std::str::from_utf8(bytes).map_err(|_| JoinConfigError::NotText)?;
    // Some firmware settings and credential stores end a text with zeros.
    Ok(text.strip_prefix('\u{feff}').unwrap_or(text).trim_end_matches('\0'))
}
