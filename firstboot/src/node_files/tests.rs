//! Writing, and what is written early in the boot.

use proptest::prelude::*;

use super::*;
use crate::join_config::RegistryMirror;

fn facts() -> MachineFacts {
    MachineFacts {
        memory_bytes: 480 << 20,
        cpus: 2,
    }
}

#[test]
fn a_second_write_changes_nothing_and_says_so() {
    let root = tempfile::tempdir().unwrap();
    let files = plan(&facts(), &NodeSettings::default(), "node-1").unwrap();
    let first = write(root.path(), &files).unwrap();
    assert_eq!(first, BTreeSet::from([Reader::Containerd, Reader::Kubelet]));
    assert_eq!(write(root.path(), &files).unwrap(), BTreeSet::new());
}

#[test]
fn only_the_reader_of_what_changed_is_named() {
    let root = tempfile::tempdir().unwrap();
    let mut settings = NodeSettings::default();
    write(root.path(), &plan(&facts(), &settings, "node-1").unwrap()).unwrap();
    settings.network.ntp = vec!["time.example".into()];
    settings.registries = vec![RegistryMirror {
        host: "docker.io".into(),
        mirrors: vec!["https://near.example".into()],
    }];
    let changed = write(root.path(), &plan(&facts(), &settings, "node-1").unwrap()).unwrap();
    assert_eq!(changed, BTreeSet::from([Reader::Time, Reader::Always]));
}

#[test]
fn kept_settings_are_carried_out_at_the_next_boot() {
    let root = tempfile::tempdir().unwrap();
    let mut settings = NodeSettings::default();
    settings.network.proxy = Some("http://proxy:3128".into());
    let place = root.path().join(&SETTINGS[1..]);
    std::fs::create_dir_all(place.parent().unwrap()).unwrap();
    std::fs::write(&place, toml::to_string(&settings).unwrap()).unwrap();
    apply_kept_settings(root.path()).unwrap();
    let environment = std::fs::read_to_string(root.path().join(&containerd::ENVIRONMENT[1..])).unwrap();
    assert!(environment.contains("proxy:3128"));
}

#[test]
fn a_machine_without_settings_gets_the_defaults_and_one_with_damaged_ones_an_error() {
    let root = tempfile::tempdir().unwrap();
    apply_kept_settings(root.path()).unwrap();
    assert!(!root.path().join(&network::FILE[1..]).exists());
    let place = root.path().join(&SETTINGS[1..]);
    std::fs::create_dir_all(place.parent().unwrap()).unwrap();
    std::fs::write(&place, "name = ").unwrap();
    let error = apply_kept_settings(root.path()).unwrap_err();
    assert!(matches!(error, ApplyError::Damaged(_)), "{error}");
}

#[test]
fn a_file_that_cannot_be_written_is_named() {
    let root = tempfile::tempdir().unwrap();
    std::fs::write(root.path().join("run"), "").unwrap();
    let error = write(root.path(), &plan(&facts(), &NodeSettings::default(), "n").unwrap()).unwrap_err();
    assert_eq!(error.to_string(), "cannot write /run/skerry/containerd.env");
}

#[test]
fn an_error_shows_no_control_characters() {
    let error = PlanError::new("network.ntp", "a\u{1b}[31m\nb", "is no host name or address");
    assert_eq!(error.to_string(), "network.ntp: `a[31mb` is no host name or address");
}

/// Every key that a generated line may begin with.
const KEYS: [&str; 22] = [
    "[Match]",
    "Type=",
    "Kind=",
    "Name=",
    "MACAddress=",
    "[Network]",
    "DHCP=",
    "LinkLocalAddressing=",
    "LLMNR=",
    "MulticastDNS=",
    "DNS=",
    "Domains=",
    "[IPv6AcceptRA]",
    "UseDNS=",
    "[DHCPv4]",
    "[DHCPv6]",
    "ClientIdentifier=",
    "UseDomains=",
    "[Time]",
    "NTP=",
    "GOMEMLIMIT=",
    "KUBELET_FLAGS=",
];
const PROXY_KEYS: [&str; 3] = ["HTTP_PROXY=\"", "HTTPS_PROXY=\"", "NO_PROXY=\""];

proptest! {
    #[test]
    fn no_setting_can_bring_a_line_of_its_own(words in prop::collection::vec("[a-z.=:/\\[\\]\"\n %$*-]{0,12}", 6)) {
        let mut settings = NodeSettings::default();
        settings.network.interface = Some(words[0].clone());
        settings.network.dns = vec!["192.0.2.53".parse().unwrap()];
        settings.network.domains = vec![words[1].clone()];
        settings.network.ntp = vec![words[2].clone()];
        settings.network.proxy = Some(format!("http://{}", words[3]));
        settings.network.no_proxy = vec![words[4].clone()];
        settings.network.proxy_control_plane = true;
        let parts = [
            network::plan(&settings.network),
            containerd::plan(&facts(), &settings),
            kubelet::plan(&facts(), &settings, &words[5]),
        ];
        for file in parts.into_iter().flatten().flatten().filter(|file| !file.content.starts_with('{')) {
            for line in file.content.lines().filter(|line| !line.is_empty()) {
                let known = KEYS.iter().chain(&PROXY_KEYS).any(|key| line.starts_with(key)) || line.starts_with("GOGC=");
                prop_assert!(known && line.matches('"').count() % 2 == 0, "{line:?}");
            }
        }
    }
}
