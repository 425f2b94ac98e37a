//! What a disk says of itself: bus, model, serial number.

use std::fs;
use std::path::Path;

use super::facts::{Bus, Kind};

/// Bytes before the serial number in a SCSI "unit serial number" page (SPC-4 §7.8.15).
const VPD_HEADER_BYTES: usize = 4;

/// The bus, from the disk's place among the devices, such as `/sys/devices/pci0000:00/…/usb1/…/block/sdb`.
pub(super) fn bus(place: &Path) -> Bus {
    let mut found = Bus::Other;
    for part in place.iter().filter_map(|part| part.to_str()) {
        // The last one counts: behind a USB bridge there may be another bus, and then the bridge is what is taken out.
        found = match part {
            _ if found == Bus::Usb => Bus::Usb,
            "virtual" => Bus::Virtual,
            _ if numbered(part, "usb") => Bus::Usb,
            _ if numbered(part, "mmc") => Bus::Mmc,
            _ if numbered(part, "nvme") => Bus::Nvme,
            _ if numbered(part, "ata") => Bus::Ata,
            _ if numbered(part, "virtio") => Bus::Virtio,
            _ if found == Bus::Virtual && numbered(part, "loop") => Bus::Loop,
            _ => found,
        };
    }
    found
}

fn numbered(part: &str, stem: &str) -> bool {
    let digits = part.strip_prefix(stem).unwrap_or_default();
    !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
}

/// Whether the medium can be taken out. The kernel's flag alone will not do: it is 0 for SD cards in a slot of their own
/// and for USB disks.
pub(super) fn kind(folder: &Path, bus: Bus) -> Kind {
    let flagged = line(&folder.join("removable")).as_deref() == Some("1");
    let card = bus == Bus::Mmc && line(&folder.join("device/type")).as_deref() == Some("SD");
    match flagged || card || bus == Bus::Usb {
        true => Kind::Removable,
        false => Kind::Fixed,
    }
}

/// The maker's name for it.
pub(super) fn model(folder: &Path) -> Option<String> {
    let model = line(&folder.join("device/model")).or_else(|| line(&folder.join("device/name")))?;
    // The vendor of an ATA disk is always `ATA`, and NVMe disks have a number there.
    let vendor = line(&folder.join("device/vendor")).filter(|vendor| vendor != "ATA" && !vendor.starts_with("0x"));
    Some(match vendor {
        Some(vendor) if !model.starts_with(&vendor) => format!("{vendor} {model}"),
        _ => model,
    })
}

/// The serial number: the disk's own, or that of the USB device it is in. `place` is as for [`bus`].
pub(super) fn serial(folder: &Path, place: &Path, bus: Bus) -> Option<String> {
    let page = || {
        let page = fs::read(folder.join("device/vpd_pg80")).ok()?;
        text(page.get(VPD_HEADER_BYTES..)?)
    };
    // Bridges answer for the disk behind them, or with zeros; the USB device's number is what is printed on the label.
    let of_usb = || {
        let above = (bus == Bus::Usb).then(|| place.ancestors().skip(1));
        above?
            .filter(|above| above.join("idVendor").exists())
            .find_map(|above| line(&above.join("serial")))
    };
    line(&folder.join("device/serial"))
        .or_else(|| line(&folder.join("serial")))
        .or_else(of_usb)
        .or_else(page)
}

/// The first line of a file, without spaces around it; none if it is empty or not there.
pub(super) fn line(path: &Path) -> Option<String> {
    let bytes = fs::read(path).ok()?;
    text(bytes.split(|byte| *byte == b'\n').next()?)
}

fn text(bytes: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(bytes);
    let text = text.trim_matches(|c: char| c.is_whitespace() || c == '\0');
    (!text.is_empty()).then(|| text.to_owned())
}
