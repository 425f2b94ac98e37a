//! The wireless network, as iwd.network(5) and iwd.config(5) files on tmpfs. The supplicant of an image with Wi-Fi
//! (`overlays/wifi`) reads them there; it notices a network by itself, and the country when it starts.

use super::{PlanError, PlannedFile, Reader};
use crate::hex::write_hex;
use crate::join_config::WifiSettings;
use crate::join_config::wifi::{country, is_key, passphrase, ssid};
use crate::secret::Secret;

/// The supplicant's folder, for settings and networks alike.
pub const FOLDER: &str = "/run/skerry/wifi";

/// The files that the settings need. They come from a text that a person may have changed, and so are checked again.
pub fn plan(wifi: Option<&WifiSettings>) -> Result<Vec<PlannedFile>, PlanError> {
    let Some(wifi) = wifi else {
        return Ok(Vec::new());
    };
    if ssid(&wifi.ssid).is_err() {
        return Err(PlanError::new("wifi.ssid", &wifi.ssid, "is no name of a network"));
    }
    if country(&wifi.country).is_err() {
        return Err(PlanError::new("wifi.country", &wifi.country, "is no country"));
    }
    let key = wifi.passphrase.as_ref().map(Secret::expose);
    if key.is_some_and(|key| passphrase(key).is_err()) {
        return Err(PlanError::new("wifi.passphrase", "(redacted)", "is no passphrase"));
    }
    Ok(vec![
        file("main.conf", format!("[General]\nCountry={}\n", wifi.country)),
        file(&name(wifi), network(key, wifi.hidden)),
    ])
}

fn file(name: &str, content: String) -> PlannedFile {
    PlannedFile {
        path: format!("{FOLDER}/{name}").into(),
        mode: 0o600,
        content,
        reader: Reader::Wifi,
    }
}

/// The network's name, in hex where it holds more than letters, digits, spaces, `_` and `-`.
fn name(wifi: &WifiSettings) -> String {
    let kind = if wifi.passphrase.is_some() { "psk" } else { "open" };
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b" _-".contains(&byte);
    if wifi.ssid.bytes().all(plain) {
        return format!("{}.{kind}", wifi.ssid);
    }
    let mut hex = String::new();
    let _ = write_hex(&mut hex, wifi.ssid.as_bytes());
    format!("={hex}.{kind}")
}

fn network(key: Option<&str>, hidden: bool) -> String {
    let security = match key {
        Some(key) if is_key(key) => format!("[Security]\nPreSharedKey={}\n", key.to_ascii_lowercase()),
        // The supplicant's escapes; a space would be lost at an end.
        Some(text) => format!(
            "[Security]\nPassphrase={}\n",
            text.replace('\\', "\\\\").replace(' ', "\\s")
        ),
        None => String::new(),
    };
    let hidden = if hidden { "Hidden=true\n" } else { "" };
    format!("{security}[Settings]\nAutoConnect=true\n{hidden}")
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::join_config::NodeSettings;
    use crate::node_files::{SETTINGS, apply_kept_settings, kept_settings};

    fn shop(key: Option<&str>) -> WifiSettings {
        WifiSettings {
            ssid: "shop".into(),
            passphrase: key.map(Secret::new),
            country: "DE".into(),
            hidden: false,
        }
    }

    fn planned(wifi: &WifiSettings) -> (String, String) {
        let files = plan(Some(wifi)).unwrap();
        assert_eq!(files[0].content, "[General]\nCountry=DE\n");
        (files[1].path.display().to_string(), files[1].content.clone())
    }

    #[test]
    fn a_network_is_written_as_the_supplicant_reads_it() {
        let mut hidden = shop(Some(" a\\ b=c#d "));
        hidden.hidden = true;
        let key = "0A".repeat(32);
        for (wifi, path, content) in [
            (
                hidden,
                "/run/skerry/wifi/shop.psk",
                "[Security]\nPassphrase=\\sa\\\\\\sb=c#d\\s\n[Settings]\nAutoConnect=true\nHidden=true\n".to_owned(),
            ),
            (
                shop(Some(&key)),
                "/run/skerry/wifi/shop.psk",
                format!(
                    "[Security]\nPreSharedKey={}\n[Settings]\nAutoConnect=true\n",
                    "0a".repeat(32)
                ),
            ),
            (
                shop(None),
                "/run/skerry/wifi/shop.open",
                "[Settings]\nAutoConnect=true\n".to_owned(),
            ),
        ] {
            assert_eq!(planned(&wifi), (path.to_owned(), content));
        }
    }

    #[test]
    fn a_name_that_is_no_plain_file_name_is_written_in_hex() {
        for (ssid, name) in [
            ("Shop 7_a-b", "Shop 7_a-b.open"),
            ("../x", "=2e2e2f78.open"),
            ("é", "=c3a9.open"),
        ] {
            let wifi = WifiSettings {
                ssid: ssid.into(),
                ..shop(None)
            };
            assert_eq!(planned(&wifi).0, format!("{FOLDER}/{name}"));
        }
    }

    #[test]
    fn values_that_would_bring_other_lines_are_refused_and_no_passphrase_is_shown() {
        let with = |change: fn(&mut WifiSettings)| {
            let mut wifi = shop(None);
            change(&mut wifi);
            plan(Some(&wifi)).unwrap_err()
        };
        assert_eq!(with(|wifi| wifi.ssid = "a\nb".into()).key, "wifi.ssid");
        assert_eq!(with(|wifi| wifi.country = "D\n".into()).key, "wifi.country");
        let error = with(|wifi| wifi.passphrase = Some(Secret::new("correct\n[horse]")));
        assert_eq!(error.key, "wifi.passphrase");
        assert!(!format!("{error} {error:?}").contains("horse"));
    }

    #[test]
    fn the_kept_network_is_there_at_the_next_boot_for_root_alone() {
        let root = tempfile::tempdir().unwrap();
        let settings = NodeSettings {
            wifi: Some(shop(Some("correct horse"))),
            ..NodeSettings::default()
        };
        let place = root.path().join(&SETTINGS[1..]);
        std::fs::create_dir_all(place.parent().unwrap()).unwrap();
        std::fs::write(&place, toml::to_string(&settings).unwrap()).unwrap();
        assert!(apply_kept_settings(root.path()).unwrap().contains(&Reader::Wifi));
        let profile = root.path().join(&FOLDER[1..]).join("shop.psk");
        assert!(
            std::fs::read_to_string(&profile)
                .unwrap()
                .contains("Passphrase=correct\\shorse\n")
        );
        assert_eq!(std::fs::metadata(&profile).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn damaged_settings_are_reported_without_their_passphrase() {
        let root = tempfile::tempdir().unwrap();
        let place = root.path().join(&SETTINGS[1..]);
        std::fs::create_dir_all(place.parent().unwrap()).unwrap();
        std::fs::write(&place, "version = 1\n[wifi]\npassphrase = \"correct horse\" x\n").unwrap();
        let error = kept_settings(root.path()).unwrap_err();
        let cause = std::error::Error::source(&error).unwrap();
        assert!(!format!("{error} {error:?} {cause}").contains("horse"), "{cause}");
    }

    #[test]
    fn the_image_with_wifi_has_its_supplicant_read_here() {
        const UNIT: &str = include_str!("../../../overlays/wifi/usr/lib/systemd/system/iwd.service.d/10-skerry.conf");
        const TMPFILES: &str = include_str!("../../../overlays/wifi/usr/lib/tmpfiles.d/skerry-wifi.conf");
        for variable in ["STATE_DIRECTORY", "CONFIGURATION_DIRECTORY"] {
            assert!(UNIT.contains(&format!("{variable}={FOLDER}")), "{variable}");
        }
        assert!(UNIT.contains("After=skerry-settings.service"));
        assert!(TMPFILES.contains(&format!("d {FOLDER} 0700 root root -\n")));
    }
}
