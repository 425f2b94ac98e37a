//! The form of every file that only skerry-node reads: TOML that begins with `version = 1`.
//!
//! What nobody but skerry-node writes is sealed: the last line holds the digest of all that is before it, so that a flipped
//! bit is not taken for another cluster. Settings are not sealed; a person may change them.
//!
//! Within a version keys are only added, and keys that this program does not know are passed over. A newer version stops
//! the program before it changes anything: an older system after a rollback must not harm what a newer one wrote.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::digest::Digest;

/// The version that this program reads and writes.
pub const VERSION: u32 = 1;

#[derive(Deserialize)]
struct Head {
    version: u32,
}

/// Why a text is no record.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum RecordError {
    #[error("it has version {0}")]
    Newer(u32),
    #[error("{0}")]
    Damaged(String),
}

/// What the last line of a sealed text begins with.
const SEAL: &str = "# sha256 ";

/// The text of a record; its first values are plain ones.
pub(super) fn to_text<T: Serialize>(value: &T) -> Result<String, toml::ser::Error> {
    Ok(format!("version = {VERSION}\n{}", toml::to_string(value)?))
}

/// The text of a record that is sealed.
pub(crate) fn to_sealed_text<T: Serialize>(value: &T) -> Result<String, toml::ser::Error> {
    let text = to_text(value)?;
    let digest = Digest::of(text.as_bytes());
    Ok(format!("{text}{SEAL}{digest}\n"))
}

/// Reads what [`to_sealed_text`] wrote. A newer version may have no seal; one with a broken seal is no newer version.
pub(crate) fn parse_sealed<T: DeserializeOwned>(content: &[u8]) -> Result<T, RecordError> {
    let value = parse(content);
    let text = std::str::from_utf8(content).unwrap_or_default();
    let (body, seal) = text.split_at(text.rfind(SEAL).unwrap_or(text.len()));
    let unbroken = seal == format!("{SEAL}{}\n", Digest::of(body.as_bytes()));
    match value {
        Err(RecordError::Newer(_)) if seal.is_empty() => value,
        Ok(_) | Err(RecordError::Newer(_)) if !unbroken => {
            Err(RecordError::Damaged("its content is not what was written".into()))
        }
        _ => value,
    }
}

/// Reads what [`to_text`] wrote.
pub(super) fn parse<T: DeserializeOwned>(content: &[u8]) -> Result<T, RecordError> {
    if content.is_empty() {
        return Err(RecordError::Damaged("it is empty".into()));
    }
    let text = std::str::from_utf8(content).map_err(|_| RecordError::Damaged("it is not text".into()))?;
    // The message alone: the rest quotes the text, which may hold a key.
    let damaged = |error: toml::de::Error| RecordError::Damaged(error.message().trim_end().to_owned());
    match toml::from_str::<Head>(text).map_err(damaged)?.version {
        VERSION => toml::from_str(text).map_err(damaged),
        0 => Err(RecordError::Damaged("it has version 0".into())),
        newer => Err(RecordError::Newer(newer)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::join_config::NodeSettings;

    #[test]
    fn settings_are_read_back_as_they_were_written() {
        let mut settings = NodeSettings {
            name: "pole-{serial}".into(),
            ..NodeSettings::default()
        };
        settings.labels.insert("site".into(), "north".into());
        settings.network.gateways.push("192.0.2.1".parse().unwrap());
        settings.kubelet.reserved_memory = Some(64 << 20);
        let text = to_text(&settings).unwrap();
        assert!(text.starts_with("version = 1\nname = \"pole-{serial}\"\n"));
        assert_eq!(parse(text.as_bytes()), Ok(settings));
    }

    #[test]
    fn a_newer_version_is_told_from_damage_even_if_its_keys_are_unknown() {
        let newer = parse::<NodeSettings>(b"version = 2\nname = [\"a\", \"b\"]\n");
        assert_eq!(newer, Err(RecordError::Newer(2)));
        for text in [
            &b""[..],
            b"\0\0\0\0",
            b"version = 1\nna",
            b"name = \"x\"\n",
            b"version = 0\n",
            b"\xff",
        ] {
            let result = parse::<NodeSettings>(text);
            assert!(matches!(result, Err(RecordError::Damaged(_))), "{text:?}: {result:?}");
        }
    }

    #[test]
    fn a_key_that_a_later_program_adds_is_passed_over() {
        let settings = parse::<NodeSettings>(b"version = 1\nname = \"a\"\ncolour = \"red\"\n").unwrap();
        assert_eq!(settings.name, "a");
    }

    #[test]
    fn any_flipped_bit_of_a_sealed_record_is_noticed() {
        let settings = NodeSettings {
            name: "pole-7".into(),
            ..NodeSettings::default()
        };
        let text = to_sealed_text(&settings).unwrap().into_bytes();
        assert_eq!(parse_sealed(&text), Ok(settings));
        for bit in 0..text.len() * 8 {
            let mut flipped = text.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            let result = parse_sealed::<NodeSettings>(&flipped);
            assert!(matches!(result, Err(RecordError::Damaged(_))), "bit {bit}");
        }
        assert!(parse_sealed::<NodeSettings>(&text[..text.len() - 1]).is_err());
    }

    #[test]
    fn what_is_wrong_is_said_without_quoting_the_text() {
        let result = parse::<NodeSettings>(b"version = 1\nname = \"0123456789abcdef\n");
        let Err(RecordError::Damaged(message)) = result else {
            panic!("{result:?}");
        };
        assert!(!message.is_empty() && !message.contains("0123"), "{message}");
    }
}
