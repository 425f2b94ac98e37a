//! The kernel command line, as far as it is ours.
//!
//! | key | meaning | default |
//! |---|---|---|
//! | `roothash=HEX64` | the only root that may run | none: the boot stops |
//! | `skerry.slot=NAME` | which slot this is; handed on to later programs | none |
//! | `skerry.root-wait=SECONDS` | how long to wait for the boot disk | 60 |
//! | `skerry.watchdog=off`, `=SECONDS` | whether to arm the hardware watchdog, and its timeout | 120 |
//! | `systemd.machine_id=HEX32` | the machine id | stored, else random |
//! | `rd.debug` | more words on the console | no |
//!
//! All other keys are others' business. A bad value of an optional key is said and ignored: it must not stop a machine
//! that nobody can reach. Quoting follows the kernel: a double quote keeps white space together and is dropped.

use std::num::NonZeroU32;
use std::str::FromStr;
use std::time::Duration;

use super::console::Verbosity;
use super::ids::{BadId, RootHash};
use super::machine_id::MachineId;

const ROOT_WAIT: Duration = Duration::from_secs(60);
/// Long enough for systemd to come up on a slow machine and take over.
const WATCHDOG_SECS: NonZeroU32 = NonZeroU32::new(120).expect("120 is not 0");

/// What to do with a hardware watchdog.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WatchdogSetting {
    /// Leave it alone.
    Off,
    /// Start it with this timeout.
    Armed {
        /// After so many seconds without a sign of life the machine restarts.
        timeout_secs: NonZeroU32,
    },
}

/// Our part of the kernel command line, validated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cmdline {
    /// The root that may run.
    pub root_hash: RootHash,
    /// The name of the slot.
    pub slot: Option<String>,
    /// How long to wait for the boot disk.
    pub root_wait: Duration,
    /// The watchdog.
    pub watchdog: WatchdogSetting,
    /// The machine id that was ordered.
    pub machine_id: Option<MachineId>,
    /// How much to say.
    pub verbosity: Verbosity,
    /// What was wrong with optional keys, one sentence each.
    pub complaints: Vec<String>,
}

/// Why a command line does not say what to boot.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CmdlineError {
    /// The key is not there.
    #[error("the kernel command line has no `roothash=`")]
    NoRootHash,
    /// The key is there with another kind of value.
    #[error("the kernel command line's `roothash=` cannot be read")]
    BadRootHash(#[source] BadId),
}

impl Cmdline {
    /// Reads a whole command line; of a repeated key the last one counts.
    pub fn parse(text: &str) -> Result<Self, CmdlineError> {
        let mut root_hash = Err(CmdlineError::NoRootHash);
        let mut cmdline = Self {
            root_hash: RootHash::from_bytes([0; 32]),
            slot: None,
            root_wait: ROOT_WAIT,
            watchdog: WatchdogSetting::Armed {
                timeout_secs: WATCHDOG_SECS,
            },
            machine_id: None,
            verbosity: Verbosity::Normal,
            complaints: Vec::new(),
        };
        for word in words(text) {
            let (key, value) = match word.split_once('=') {
                Some((key, value)) => (key, Some(value)),
                None => (word.as_str(), None),
            };
            match (key, value) {
                ("roothash", Some(value)) => root_hash = value.parse().map_err(CmdlineError::BadRootHash),
                ("rd.debug", None | Some("1" | "y" | "yes" | "true")) => cmdline.verbosity = Verbosity::Detailed,
                (_, Some(value)) => cmdline.set_optional(key, value),
                _ => {}
            }
        }
        cmdline.root_hash = root_hash?;
        Ok(cmdline)
    }

    fn set_optional(&mut self, key: &str, value: &str) {
        let understood = match key {
            "skerry.slot" => slot_name(value).map(|slot| self.slot = Some(slot)),
            "skerry.root-wait" => number::<u32>(value).map(|secs| self.root_wait = Duration::from_secs(secs.into())),
            "skerry.watchdog" => watchdog(value).map(|setting| self.watchdog = setting),
            "systemd.machine_id" => value.parse().ok().map(|id| self.machine_id = Some(id)),
            _ => return,
        };
        if understood.is_none() {
            self.complaints.push(format!(
                "`{key}={value}` on the kernel command line means nothing here; ignored"
            ));
        }
    }
}

fn number<T: FromStr>(text: &str) -> Option<T> {
    text.parse().ok()
}

fn slot_name(text: &str) -> Option<String> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._+-".contains(&byte);
    (!text.is_empty() && text.len() <= 64 && text.bytes().all(plain)).then(|| text.to_owned())
}

fn watchdog(text: &str) -> Option<WatchdogSetting> {
    match text {
        "off" => Some(WatchdogSetting::Off),
        _ => number(text).map(|timeout_secs| WatchdogSetting::Armed { timeout_secs }),
    }
}

/// The words of a kernel command line.
pub fn words(text: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut quoted = false;
    for letter in text.chars() {
        match letter {
            '"' => quoted = !quoted,
            _ if letter.is_whitespace() && !quoted => words.push(String::new()),
            _ => words.last_mut().expect("starts with one word").push(letter),
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    const HASH: &str = "00112233445566778899aabbccddeeff0123456789abcdef0123456789abcdef";

    #[test]
    fn a_command_line_with_only_a_root_hash_gets_the_defaults() {
        let cmdline = Cmdline::parse(&format!("BOOT_IMAGE=x quiet root=/dev/vda1 roothash={HASH}\n")).unwrap();
        assert_eq!(cmdline.root_hash.to_string(), HASH);
        assert_eq!(cmdline.root_wait, Duration::from_secs(60));
        assert_eq!((cmdline.slot, cmdline.machine_id), (None, None));
        assert_eq!(cmdline.verbosity, Verbosity::Normal);
        assert_eq!(cmdline.complaints, Vec::<String>::new());
    }

    #[test]
    fn every_key_of_ours_is_read_and_the_last_of_a_kind_counts() {
        let text = format!(
            "roothash=nonsense roothash={HASH} skerry.slot=edge_1+3 skerry.root-wait=5 skerry.watchdog=off rd.debug \
             systemd.machine_id={}",
            &HASH[..32]
        );
        let cmdline = Cmdline::parse(&text).unwrap();
        assert_eq!(cmdline.slot.as_deref(), Some("edge_1+3"));
        assert_eq!(cmdline.root_wait, Duration::from_secs(5));
        assert_eq!(cmdline.watchdog, WatchdogSetting::Off);
        assert_eq!(cmdline.verbosity, Verbosity::Detailed);
        assert_eq!(cmdline.machine_id.unwrap().to_string(), HASH[..32]);
    }

    #[test]
    fn quotes_keep_words_together() {
        let text = format!("dyndbg=\"file a.c +p roothash=0\" \"roothash={HASH}\"");
        assert_eq!(Cmdline::parse(&text).unwrap().root_hash.to_string(), HASH);
    }

    #[test]
    fn a_missing_or_unreadable_root_hash_is_an_error() {
        assert_eq!(Cmdline::parse("quiet"), Err(CmdlineError::NoRootHash));
        assert_eq!(Cmdline::parse("roothash"), Err(CmdlineError::NoRootHash));
        let error = Cmdline::parse("roothash=12").unwrap_err();
        assert!(matches!(error, CmdlineError::BadRootHash(_)));
    }

    #[test]
    fn bad_values_of_optional_keys_are_complained_about_and_ignored() {
        for bad in [
            "skerry.slot=a/b",
            "skerry.root-wait=-1",
            "skerry.watchdog=0",
            "skerry.watchdog=maybe",
            "systemd.machine_id=firmware",
        ] {
            let cmdline = Cmdline::parse(&format!("{bad} roothash={HASH}")).unwrap();
            assert_eq!(cmdline.complaints.len(), 1, "{bad}");
            let plain = Cmdline::parse(&format!("roothash={HASH}")).unwrap();
            assert_eq!((cmdline.slot, cmdline.watchdog), (plain.slot, plain.watchdog));
        }
    }
}
