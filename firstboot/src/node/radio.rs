//! Whether the machine has a Wi-Fi radio and is in a network by it, as the kernel says.

use std::fs;
use std::path::Path;

use crate::join_config::WifiSettings;

/// Network interfaces.
const INTERFACES: &str = "sys/class/net";
/// RFC 2863 §3.1.14 `ifOperStatus`: associated, and through the handshake.
const UP: &str = "up";

/// What the best of the machine's radios does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Radio {
    /// There is none that a driver has brought up.
    Absent,
    /// It is in no network.
    Alone,
    /// It is in one.
    Connected,
}

impl Radio {
    /// Looks at the machine whose `/sys` is below `root`. A radio that is a bridge's port is an access point for others.
    pub fn read(root: &Path) -> Self {
        let interfaces = fs::read_dir(root.join(INTERFACES)).into_iter().flatten().flatten();
        let radios = interfaces
            .map(|entry| entry.path())
            .filter(|path| path.join("phy80211").exists() && !path.join("master").exists());
        let state = |path: &Path| fs::read_to_string(path.join("operstate")).unwrap_or_default();
        let radio = |path: &Path| match state(path).trim() == UP {
            true => Self::Connected,
            false => Self::Alone,
        };
        radios.map(|path| radio(&path)).max().unwrap_or(Self::Absent)
    }

    /// What is missing for the network that was asked for, and what a person can do about it.
    pub fn missing(self, wanted: &WifiSettings) -> Option<(String, &'static str)> {
        match self {
            Self::Connected => None,
            Self::Alone => Some((
                format!("not in the Wi-Fi network `{}`", wanted.ssid),
                "see that its access point is near, and check `wifi.ssid`, `wifi.passphrase` and `wifi.country`",
            )),
            Self::Absent => Some((
                "there is no Wi-Fi radio".to_owned(),
                "see that the image has its driver and firmware (docs/wifi.md)",
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn machine(interfaces: &[(&str, &[&str], &str)]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for (name, kinds, state) in interfaces {
            let folder = root.path().join(INTERFACES).join(name);
            for kind in *kinds {
                fs::create_dir_all(folder.join(kind)).unwrap();
            }
            fs::write(folder.join("operstate"), format!("{state}\n")).unwrap();
        }
        root
    }

    #[test]
    fn the_best_radio_counts_and_cables_and_access_points_do_not() {
        let radio: &[_] = &["phy80211"];
        let wired: (_, &[_], _) = ("eth0", &["device"], "up");
        let access_point: (_, &[_], _) = ("wlan1", &["phy80211", "master"], "up");
        for (interfaces, expected) in [
            (vec![], Radio::Absent),
            (vec![wired], Radio::Absent),
            (vec![wired, ("wlan0", radio, "down")], Radio::Alone),
            (vec![wired, ("wlan0", radio, "dormant")], Radio::Alone),
            (vec![access_point], Radio::Absent),
            (vec![("wlan0", radio, "down"), access_point], Radio::Alone),
            (vec![("wlan0", radio, "up"), ("wlan1", radio, "down")], Radio::Connected),
        ] {
            assert_eq!(Radio::read(machine(&interfaces).path()), expected, "{interfaces:?}");
        }
    }
}
