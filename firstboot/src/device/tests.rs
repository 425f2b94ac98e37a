use std::os::unix::fs::symlink;

use proptest::prelude::*;

use super::*;
use crate::join_config::NodeSettings;

const ID: &str = "0123456789abcdef0123456789abcdef";

fn machine(files: &[(&str, &str)]) -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    for (path, content) in files {
        let path = root.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
    root
}

/// Adds an interface on `bus`.
fn add_card(root: &Path, name: &str, bus: &str, address: &str) {
    let (device, interface) = (root.join("sys/devices").join(bus), root.join(INTERFACES).join(name));
    fs::create_dir_all(&device).unwrap();
    fs::create_dir_all(&interface).unwrap();
    symlink(&device, interface.join("device")).unwrap();
    fs::write(interface.join("type"), "1\n").unwrap();
    fs::write(interface.join("addr_assign_type"), "0\n").unwrap();
    fs::write(interface.join("address"), format!("{address}\n")).unwrap();
}

fn named(name: &str) -> NodeSettings {
    NodeSettings {
        name: name.into(),
        ..NodeSettings::default()
    }
}

#[test]
fn a_machine_with_dmi_is_read_and_placeholders_are_passed_over() {
    let root = machine(&[
        (DMI_SERIALS[0], "To be filled by O.E.M.\n"),
        (DMI_SERIALS[1], " PF12ABCD \n"),
        (DMI_UUID, "4C4C4544-004D-3010-804C-B4C04F4A3532\n"),
        (MACHINE_ID, &format!("{ID}\n")),
    ]);
    let device = Device::read(root.path());
    assert_eq!(device.serial.as_deref(), Some("PF12ABCD"));
    assert_eq!(device.uuid.as_deref(), Some("4c4c4544-004d-3010-804c-b4c04f4a3532"));
    assert_eq!(device.machine_id.as_deref(), Some(ID));
    assert_eq!(device.mac, None);
}

#[test]
fn a_board_without_dmi_has_its_serial_number_in_the_device_tree() {
    let root = machine(&[(DEVICE_TREE_SERIAL, "10000000deadbeef\0")]);
    assert_eq!(Device::read(root.path()).serial.as_deref(), Some("10000000deadbeef"));
}

#[test]
fn a_machine_that_says_nothing_has_nothing_and_no_name() {
    let root = machine(&[(MACHINE_ID, "uninitialized\n")]);
    let device = Device::read(root.path());
    assert_eq!(device, Device::default());
    assert_eq!(node_name(&named(""), &device), Err(NodeNameError::Nameless));
}

#[test]
fn the_card_is_chosen_by_its_place_on_the_bus_and_not_by_its_name() {
    let root = machine(&[]);
    add_card(root.path(), "eth0", "pci0000:00/usb1/1-1", "02:00:00:00:00:01");
    add_card(root.path(), "eth1", "pci0000:00/0000:00:04.0", "52:54:00:12:34:57");
    add_card(root.path(), "eth2", "pci0000:00/0000:00:03.0", "52:54:00:12:34:56");
    let mac = Device::read(root.path()).mac.unwrap();
    assert_eq!(
        (mac.to_string().as_str(), mac.dashed().as_str()),
        ("525400123456", "52-54-00-12-34-56")
    );
}

#[test]
fn interfaces_without_an_address_of_their_own_are_passed_over() {
    let root = machine(&[
        ("sys/class/net/veth0/type", "1\n"),
        ("sys/class/net/veth0/address", "52:54:00:00:00:01\n"),
    ]);
    for (name, file, content) in [
        ("random", "addr_assign_type", "1\n"),
        ("loopback", "type", "772\n"),
        ("wlan0", "wireless/x", ""),
        ("zero", "address", "00:00:00:00:00:00\n"),
        ("many", "address", "01:00:5e:00:00:01\n"),
        ("long", "address", "52:54:00:00:00:01:02\n"),
        ("odd", "address", "5254:0:00:00:01\n"),
    ] {
        add_card(root.path(), name, &format!("bus/{name}"), "52:54:00:00:00:02");
        let path = root.path().join(INTERFACES).join(name).join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
    assert_eq!(Device::read(root.path()).mac, None);
}

#[test]
fn a_name_that_nobody_chose_stays_the_same_as_long_as_the_hardware_does() {
    let mut device = Device {
        machine_id: Some(ID.into()),
        ..Device::default()
    };
    let name = |device: &Device| node_name(&named(""), device).unwrap().to_string();
    // sha256 of "machine-id\0…", "mac\0525400123456", "serial\0PF12ABCD": pinned, or nodes would change their names.
    assert_eq!(name(&device), "edge-fd9fa6cde8de");
    device.mac = Some(Mac([0x52, 0x54, 0, 0x12, 0x34, 0x56]));
    assert_eq!(name(&device), "edge-e185600e3001");
    device.serial = Some("PF12ABCD".into());
    assert_eq!(name(&device), "edge-c065ce637aa1");
    device.machine_id = None;
    device.mac = None;
    assert_eq!(name(&device), "edge-c065ce637aa1");
}

#[test]
fn a_chosen_name_has_its_placeholders_filled_in_lower_case() {
    let device = Device {
        serial: Some("PF 12/AB.".into()),
        mac: Some(Mac([0x52, 0x54, 0, 0x12, 0x34, 0x56])),
        machine_id: Some(ID.into()),
        uuid: None,
    };
    for (template, expected) in [
        ("shop-7", "shop-7"),
        ("{serial}", "pf-12-ab"),
        ("shop-{mac}.example", "shop-525400123456.example"),
        ("m-{machine-id}", &format!("m-{ID}")),
    ] {
        assert_eq!(node_name(&named(template), &device).unwrap().as_str(), expected);
    }
    assert_eq!(
        device.fill("join-{serial}.toml").as_deref(),
        Some("join-PF-12-AB..toml")
    );
    assert_eq!(
        device.fill("https://a/{mac}?x").as_deref(),
        Some("https://a/525400123456?x")
    );
    for template in ["{uuid}", "{serial", "{}"] {
        assert_eq!(device.fill(template), None);
    }
}

#[test]
fn a_name_that_needs_what_the_machine_does_not_have_says_so() {
    let error = node_name(&named("shop-{serial}"), &Device::default()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the name `shop-{serial}` needs a serial number, and this machine has none"
    );
    let long = Device {
        serial: Some("a1".repeat(32)),
        ..Device::default()
    };
    assert_eq!(
        node_name(&named("{serial}"), &long),
        Err(NodeNameError::Name(crate::join_config::NameError::Syntax))
    );
}

proptest! {
    #[test]
    fn whatever_a_serial_number_holds_a_file_name_is_one_name(serial in "[ -~]{4,64}") {
        let device = Device { serial: serial::usable(&serial), ..Device::default() };
        if let Some(name) = device.fill("join-{serial}.toml") {
            prop_assert!(!name.contains(['/', '\0', '\\', ':']) && name.starts_with("join-"));
        }
        if let Ok(name) = node_name(&named("{serial}"), &device) {
            prop_assert!(NodeName::new(name.as_str()).is_ok());
        }
    }
}
