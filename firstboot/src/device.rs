//! What a machine is recognised by: serial number, network card, machine id.
//!
//! In: `/sys` and `/etc/machine-id` below some root. Out: a [`Device`], and from it the node's name, which stays the same
//! when the machine is flashed again as long as its hardware says who it is.

mod node_name;
mod serial;

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use crate::hex::write_hex;

pub use node_name::{NodeName, NodeNameError, node_name};

/// Serial numbers of DMI, best first: the whole machine's, then its board's.
const DMI_SERIALS: [&str; 2] = ["sys/class/dmi/id/product_serial", "sys/class/dmi/id/board_serial"];
/// The machine's UUID of DMI.
const DMI_UUID: &str = "sys/class/dmi/id/product_uuid";
/// The serial number of boards without DMI (Devicetree Specification 0.4 §2.3).
const DEVICE_TREE_SERIAL: &str = "sys/firmware/devicetree/base/serial-number";
/// machine-id(5).
const MACHINE_ID: &str = "etc/machine-id";
/// Network interfaces.
const INTERFACES: &str = "sys/class/net";
/// `ARPHRD_ETHER`.
const ETHERNET: &str = "1";
/// `NET_ADDR_PERM`: the address is the hardware's own, and not made up at this boot.
const PERMANENT: &str = "0";

/// What a machine is recognised by. Everything that is not there, or says nothing, is none.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Device {
    /// The serial number as the vendor wrote it.
    pub serial: Option<String>,
    /// The UUID of DMI, in lower case.
    pub uuid: Option<String>,
    /// The hardware address of the first wired network card.
    pub mac: Option<Mac>,
    /// The machine id: 32 hex digits. Made at the first boot, so a machine that is flashed again has another.
    pub machine_id: Option<String>,
}

/// A hardware address (EUI-48).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mac(pub [u8; 6]);

impl Mac {
    /// With dashes, as file names have it: `52-54-00-12-34-56`.
    pub fn dashed(self) -> String {
        self.0.map(|byte| format!("{byte:02x}")).join("-")
    }

    /// Reads six pairs of hex digits with colons between them; none if no single card can have that address.
    pub fn parse(text: &str) -> Option<Self> {
        let mut bytes = [0; 6];
        let mut parts = text.trim().split(':');
        for byte in &mut bytes {
            *byte = u8::from_str_radix(parts.next().filter(|part| part.len() == 2)?, 16).ok()?;
        }
        // No card of its own: all zeros, or an address of many (IEEE 802, the lowest bit of the first byte).
        let usable = parts.next().is_none() && bytes != [0; 6] && bytes[0] & 1 == 0;
        usable.then_some(Self(bytes))
    }
}

/// Without separators: `525400123456`.
impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hex(f, &self.0)
    }
}

impl Device {
    /// Looks at the machine whose files lie below `root` (`/` on a machine).
    pub fn read(root: &Path) -> Self {
        let dmi = DMI_SERIALS.iter().find_map(|path| serial::usable(&text(root, path)?));
        let tree = || serial::usable(&text(root, DEVICE_TREE_SERIAL)?);
        Self {
            serial: dmi.or_else(tree),
            uuid: text(root, DMI_UUID).and_then(|uuid| serial::usable_uuid(&uuid)),
            mac: mac(root),
            machine_id: text(root, MACHINE_ID).filter(|id| is_machine_id(id)),
        }
    }

    /// `template` with `{serial}`, `{mac}` and `{machine-id}` filled in, for names of files and URLs: what is neither a
    /// letter, a digit, `.`, `_` nor `-` is a `-`. None if the machine has no such thing or a placeholder is unknown.
    pub fn fill(&self, template: &str) -> Option<String> {
        let mut filled = String::new();
        let mut rest = template;
        while let Some((before, after)) = rest.split_once('{') {
            let (placeholder, after) = after.split_once('}')?;
            filled.push_str(before);
            filled.push_str(&plain(&self.value(placeholder)?));
            rest = after;
        }
        filled.push_str(rest);
        Some(filled)
    }

    fn value(&self, placeholder: &str) -> Option<String> {
        match placeholder {
            "serial" => self.serial.clone(),
            "mac" => self.mac.map(|mac| mac.to_string()),
            "machine-id" => self.machine_id.clone(),
            _ => None,
        }
    }
}

/// A serial number as part of a file's name.
fn plain(text: &str) -> String {
    let harmless = |letter: char| letter.is_ascii_alphanumeric() || "._-".contains(letter);
    text.chars()
        .map(|letter| if harmless(letter) { letter } else { '-' })
        .collect()
}

/// 32 lower-case hex digits, not all of them zero (machine-id(5)); `uninitialized` is none.
pub(crate) fn is_machine_id(text: &str) -> bool {
    let digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    text.len() == 32 && text.bytes().all(digit) && text.bytes().any(|byte| byte != b'0')
}

/// What a small file says, without white space and zeros around it.
fn text(root: &Path, path: &str) -> Option<String> {
    let text = fs::read_to_string(root.join(path)).ok()?;
    let blank = |letter: char| letter.is_whitespace() || letter == '\0';
    Some(text.trim_matches(blank).to_owned())
}

/// The address of the first wired card in the order of the buses: the kernel's names and their order can change from boot
/// to boot. Cards that can be pulled out come last.
fn mac(root: &Path) -> Option<Mac> {
    let interfaces = fs::read_dir(root.join(INTERFACES)).ok()?;
    let cards = interfaces.filter_map(|entry| Card::read(&entry.ok()?.path()));
    cards.min().map(|card| card.mac)
}

/// A network card, in the order in which it is taken.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Card {
    can_be_pulled_out: bool,
    bus: PathBuf,
    mac: Mac,
}

impl Card {
    /// The card behind an interface; none if it is virtual, wireless or has no address of its own.
    fn read(interface: &Path) -> Option<Self> {
        let says = |name: &str| fs::read_to_string(interface.join(name)).map(|text| text.trim().to_owned());
        let bus = fs::canonicalize(interface.join("device")).ok()?;
        let wireless = interface.join("wireless").exists() || interface.join("phy80211").exists();
        let wired = says("type").is_ok_and(|kind| kind == ETHERNET) && !wireless;
        // Boards without an address in a fuse get another one at each boot.
        let own = says("addr_assign_type").map_or(true, |kind| kind == PERMANENT);
        let mac = Mac::parse(&says("address").ok()?).filter(|_| wired && own)?;
        let on_usb = |part: std::path::Component<'_>| part.as_os_str().to_string_lossy().starts_with("usb");
        Some(Self {
            can_be_pulled_out: bus.components().any(on_usb),
            bus,
            mac,
        })
    }
}

#[cfg(test)]
mod tests;
