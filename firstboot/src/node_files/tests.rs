//! Writing, and what is written early in the boot.

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
