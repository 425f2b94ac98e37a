//! The table `[wifi]` of a join file. Its values end up in files of the supplicant, so nothing passes that it would refuse.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::error::JoinConfigError;
use super::section::Section;
use crate::secret::Secret;

/// Longest name of a network in bytes (IEEE 802.11).
const SSID_LEN: usize = 32;
/// Length of a passphrase in characters (WPA).
const PASSPHRASE_LEN: std::ops::RangeInclusive<usize> = 8..=63;
/// Length of a key in hex digits.
const KEY_LEN: usize = 64;

/// A wireless network that the machine is to be in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct WifiSettings {
    /// The network's name.
    pub ssid: String,
    /// Its passphrase, or its key as 64 hex digits; none: the network is open. Kept on the machine, as each boot needs it.
    #[serde(default, with = "kept", skip_serializing_if = "Option::is_none")]
    pub passphrase: Option<Secret>,
    /// Whose radio rules hold: two letters of ISO 3166.
    pub country: String,
    /// Whether the network has to be called by its name, because it does not tell it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub hidden: bool,
}

/// The one secret that outlives the join: in `settings.toml`, which only root reads.
mod kept {
    use super::{Deserialize as _, Deserializer, Secret, Serializer};

    pub(super) fn serialize<S: Serializer>(secret: &Option<Secret>, serializer: S) -> Result<S::Ok, S::Error> {
        match secret {
            Some(secret) => serializer.serialize_str(secret.expose()),
            None => serializer.serialize_none(),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Secret>, D::Error> {
        String::deserialize(deserializer).map(|text| Some(Secret::new(text)))
    }
}

/// Why a value of `[wifi]` is refused. None of it repeats the value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum WifiError {
    /// Too short or too long.
    #[error("a network's name has 1 to 32 bytes")]
    SsidLength,
    /// No name that a file could hold.
    #[error("a network's name holds no control characters")]
    SsidControl,
    /// Neither passphrase nor key.
    #[error("it is neither a passphrase of 8 to 63 printable ASCII characters nor a key of 64 hex digits")]
    Passphrase,
    /// No country.
    #[error("a country is two upper-case letters")]
    Country,
}

pub(crate) fn ssid(text: &str) -> Result<String, WifiError> {
    match text {
        _ if !(1..=SSID_LEN).contains(&text.len()) => Err(WifiError::SsidLength),
        _ if text.chars().any(char::is_control) => Err(WifiError::SsidControl),
        _ => Ok(text.to_owned()),
    }
}

/// Whether `text` is a key and not a passphrase.
pub(crate) fn is_key(text: &str) -> bool {
    text.len() == KEY_LEN && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

pub(crate) fn passphrase(text: &str) -> Result<Secret, WifiError> {
    let printable = |byte: u8| (b' '..=b'~').contains(&byte);
    let fits = is_key(text) || (PASSPHRASE_LEN.contains(&text.len()) && text.bytes().all(printable));
    match fits {
        true => Ok(Secret::new(text)),
        false => Err(WifiError::Passphrase),
    }
}

pub(crate) fn country(text: &str) -> Result<String, WifiError> {
    match text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_uppercase()) {
        true => Ok(text.to_owned()),
        false => Err(WifiError::Country),
    }
}

pub(super) fn read(mut section: Section<'_, '_>, warnings: &mut Vec<String>) -> Result<WifiSettings, JoinConfigError> {
    let ssid = section
        .require("ssid")?
        .read(ssid, "write the network's name as its access point tells it")?;
    let key = match section.get("passphrase") {
        Some(value) => {
            let advice = "copy it from the access point; leave it out where the network is open";
            Some(passphrase(value.text()?).map_err(|reason| value.refuse_secret(reason, advice))?)
        }
        None => None,
    };
    let country = section
        .require("country")?
        .read(country, "write the country that the machine stands in, such as `DE`")?;
    let hidden = section.get("hidden").map(|value| value.boolean()).transpose()?;
    section.finish(warnings)?;
    Ok(WifiSettings {
        ssid,
        passphrase: key,
        country,
        hidden: hidden.unwrap_or_default(),
    })
}
