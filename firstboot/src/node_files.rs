//! The files that tell the system's own programs what kind of node this is: kubelet, containerd, the network.
//!
//! In: [`MachineFacts`] and [`NodeSettings`]. Out: [`PlannedFile`]s, made by pure functions, and [`write`], which puts
//! them where they belong and says who has to read them again. All of them lie on tmpfs (`/run`, the volatile `/etc`)
//! and are made anew at each boot; only the pod network's configuration lasts ([`cni`]).

pub mod cni;
pub mod containerd;
pub mod facts;
pub mod kubelet;
pub mod labels;
pub mod network;
#[cfg(test)]
mod overlay_tests;
pub mod proxy;
pub mod registries;
pub mod sizing;
#[cfg(test)]
mod tests;
pub mod wifi;
pub mod zram;

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};

use crate::join_config::NodeSettings;
use crate::persist::persist;

pub use facts::MachineFacts;

/// Where the settings lie that outlive the join.
pub const SETTINGS: &str = crate::identity::paths::SETTINGS;

/// A file that is to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedFile {
    /// Where, as an absolute path on the machine.
    pub path: PathBuf,
    /// Its mode.
    pub mode: u32,
    /// All of it.
    pub content: String,
    /// Who reads it.
    pub reader: Reader,
}

/// Who reads a file, and so has to be told when it has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reader {
    /// systemd-networkd.
    Network,
    /// The supplicant of a wireless network.
    Wifi,
    /// systemd-timesyncd.
    Time,
    /// containerd, at its start.
    Containerd,
    /// containerd, whenever it pulls an image or looks for the pod network.
    Always,
    /// kubelet, at its start.
    Kubelet,
}

impl Reader {
    /// The command that makes a running program read its files again; none where it does by itself. kubelet is started
    /// by whoever wrote its files.
    pub fn reload(self) -> Option<&'static [&'static str]> {
        match self {
            Self::Network => Some(&["networkctl", "reload"]),
            // Without Wi-Fi in the image there is no such unit, and nothing to do.
            Self::Wifi => Some(&["systemctl", "--no-block", "try-restart", "iwd.service"]),
            Self::Time => Some(&["systemctl", "try-restart", "systemd-timesyncd.service"]),
            Self::Containerd => Some(&["systemctl", "try-restart", "containerd.service"]),
            Self::Kubelet => Some(&["systemctl", "--no-block", "try-restart", "kubelet.service"]),
            Self::Always => None,
        }
    }
}

/// A setting that cannot be carried out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{key}: `{value}` {why}")]
pub struct PlanError {
    /// The setting's key in the join file.
    pub key: String,
    /// What it says, without control characters.
    pub value: String,
    /// What is wrong with it.
    pub why: &'static str,
}

impl PlanError {
    fn new(key: impl Into<String>, value: &str, why: &'static str) -> Self {
        Self {
            key: key.into(),
            value: value.chars().filter(|c| !c.is_control()).take(100).collect(),
            why,
        }
    }

    /// What a person can do about it.
    pub fn advice(&self) -> String {
        format!("correct `{}` in the join file and join again", self.key)
    }
}

/// The files of the machine itself: network, time, proxy, registries. They need no name and no control plane, so they
/// are written before the network comes up.
pub fn machine_files(facts: &MachineFacts, settings: &NodeSettings) -> Result<Vec<PlannedFile>, PlanError> {
    let mut files = network::plan(&settings.network)?;
    files.extend(wifi::plan(settings.wifi.as_ref())?);
    files.extend(containerd::plan(facts, settings)?);
    files.extend(registries::plan(&settings.registries)?);
    Ok(files)
}

/// Everything that kubelet and containerd need before the node named `node_name` can start: [`machine_files`] and
/// kubelet's own.
pub fn plan(facts: &MachineFacts, settings: &NodeSettings, node_name: &str) -> Result<Vec<PlannedFile>, PlanError> {
    let mut files = machine_files(facts, settings)?;
    files.extend(kubelet::plan(facts, settings, node_name)?);
    Ok(files)
}

/// Refuses settings that could not be carried out on a machine with these facts.
pub fn check(facts: &MachineFacts, settings: &NodeSettings, node_name: &str) -> Result<(), PlanError> {
    plan(facts, settings, node_name)?;
    cni::plan(&settings.network, &[]).map(drop)
}

/// Why files could not be written or settings not be read.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// A file.
    #[error("cannot write {path}")]
    Write {
        /// Which.
        path: String,
        /// Why.
        source: io::Error,
    },
    /// The settings are there, but not readable.
    #[error("cannot read {SETTINGS}")]
    Read(#[source] io::Error),
    /// The settings are no settings.
    #[error("{SETTINGS} is damaged; a new join file replaces it")]
    Damaged(#[source] Box<toml::de::Error>),
    /// A setting that cannot be carried out.
    #[error(transparent)]
    Plan(#[from] PlanError),
}

/// Writes `files` below `root` (`/` on a machine). Says whose files have changed: an empty set means that everything was
/// as it shall be.
pub fn write(root: &Path, files: &[PlannedFile]) -> Result<BTreeSet<Reader>, ApplyError> {
    let mut changed = BTreeSet::new();
    for file in files {
        let place = root.join(file.path.strip_prefix("/").unwrap_or(&file.path));
        if std::fs::read(&place).is_ok_and(|old| old == file.content.as_bytes()) {
            continue;
        }
        let folder = place.parent().unwrap_or(root);
        std::fs::create_dir_all(folder)
            .and_then(|()| persist(&place, file.content.as_bytes(), file.mode))
            .map_err(|source| ApplyError::Write {
                path: file.path.display().to_string(),
                source,
            })?;
        changed.insert(file.reader);
    }
    Ok(changed)
}

/// The settings that an earlier join left below `root`; the defaults if there was none.
pub fn kept_settings(root: &Path) -> Result<NodeSettings, ApplyError> {
    match std::fs::read_to_string(root.join(SETTINGS.trim_start_matches('/'))) {
        Ok(text) => toml::from_str(&text).map_err(|mut error: toml::de::Error| {
            // The message alone: the rest quotes the text, which may hold a passphrase.
            error.set_input(None);
            ApplyError::Damaged(Box::new(error))
        }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(NodeSettings::default()),
        Err(error) => Err(ApplyError::Read(error)),
    }
}

/// What `skerry-node apply-settings` does early in the boot, beside [`zram::set_up`]: writes the machine's files below
/// `root` as the kept settings say. Damaged settings leave the machine on DHCP, so that a new join file can still reach
/// its control plane.
pub fn apply_kept_settings(root: &Path) -> Result<BTreeSet<Reader>, ApplyError> {
    let settings = kept_settings(root)?;
    write(root, &machine_files(&MachineFacts::read(root), &settings)?)
}

/// Whether `text` can stand as one word in a unit, a drop-in or an environment file.
fn is_word(text: &str) -> bool {
    !text.is_empty() && text.len() <= 512 && text.chars().all(|c| c.is_ascii_graphic() && !"\"'\\`$#;".contains(c))
}
