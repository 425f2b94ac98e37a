//! Which kernel modules an initrd holds: from a list of wishes to a set that is closed under dependencies.
//!
//! A wish is one of
//! - a module's name (`nvme`, `sdhci-pci`), or a pattern of names (`ums-*`),
//! - a pattern of paths below the kernel's module folder (`kernel/drivers/ata/*`; a star goes through folders); a path
//!   that ends with `/` means all below it.
//!
//! Before it may stand `-`, "fine if this kernel has none", or `+`, "load it even if no device asks for it" (a Super-I/O
//! watchdog cannot be detected). Modules without `+` are loaded when a device with one of their aliases is there.

use std::collections::BTreeSet;

use crate::arch::Arch;
use skerry_firstboot::initrd::modalias;
use skerry_firstboot::initrd::module_index::{ModuleIndex, ModuleName};

/// Boot disks and watchdogs of small machines and of the common virtual machines.
const EDGE: &[&str] = &[
    // Virtual machines: KVM, Hyper-V, Xen.
    "-virtio_pci",
    "-virtio_mmio",
    "-virtio_blk",
    "-virtio_scsi",
    "-virtio-rng",
    "-hv_storvsc",
    "-pci-hyperv",
    "-xen-blkfront",
    // NVMe, SATA.
    "-nvme",
    "-ahci",
    "-sd_mod",
    // USB. Some card readers are refused by usb-storage and left to a driver of their own.
    "-xhci-pci",
    "-xhci-pci-renesas",
    "-ehci-pci",
    "-ohci-pci",
    "-uhci-hcd",
    "-usb-storage",
    "-uas",
    "-ums-*",
    // SD cards and eMMC.
    "-sdhci-pci",
    "-sdhci-acpi",
    "-rtsx_pci_sdmmc",
    "-rtsx_usb_sdmmc",
    "-mmc_block",
    // Watchdogs.
    "-i6300esb",
    "-wdat_wdt",
];

/// What only x86 machines have.
const EDGE_X86_64: &[&str] = &[
    // VMware; NVMe behind Intel's Volume Management Device.
    "-vmw_pvscsi",
    "-vmd",
    "-ata_piix",
    // Watchdogs, and the bridges whose drivers make Intel's appear.
    "-iTCO_wdt",
    "-lpc_ich",
    "-i2c-i801",
    "-sp5100_tco",
    "-hpwdt",
    // Verity picks the digest's implementation once, when the root is opened: it must be the fast one.
    "-sha256-ssse3",
    "-crc32c-intel",
];

/// What only ARM machines have: drivers of controllers on the chip, which ACPI or a device tree names.
const EDGE_AARCH64: &[&str] = &[
    "-ahci_platform",
    "-ahci_qoriq",
    "-xhci-plat-hcd",
    "-ehci-platform",
    "-ohci-platform",
    "-dwc3",
    "-dwc3-of-simple",
    "-sdhci-iproc",
    "-sdhci-of-*",
    "-sdhci-xenon-driver",
    "-dw_mmc-rockchip",
    "-phy-rockchip-*",
    "-phy-mvebu-*",
    "-arm_smc_wdt",
    "-bcm2835_wdt",
    "-dw_wdt",
    "-sbsa_gwdt",
    "-sp805_wdt",
    // Verity, as above.
    "-sha2-ce",
    "-sha256-arm64",
];

/// The wishes for a machine of this architecture whose definition says nothing of its own.
pub fn usual(arch: Arch) -> impl Iterator<Item = &'static str> {
    let own = match arch {
        Arch::X86_64 => EDGE_X86_64,
        Arch::Aarch64 => EDGE_AARCH64,
    };
    EDGE.iter().chain(own).copied()
}

/// What skerry-init itself cannot do without; loaded in this order, whether a device asks or not. ext4 waits for var.
const NEEDED: [&str; 4] = ["+squashfs", "+dm-verity", "+overlay", "ext4"];

/// The modules for an initrd.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Selection {
    /// All of them.
    pub modules: BTreeSet<ModuleName>,
    /// Those to load in any case, in this order.
    pub loaded_always: Vec<ModuleName>,
}

/// A wish that the kernel cannot fulfil.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the kernel has no module `{0}`, neither as a file nor built in")]
pub struct UnknownModule(pub String);

/// Fulfils the wishes and adds all that the chosen modules need. `builtin` is the text of `modules.builtin`.
pub fn select(index: &ModuleIndex, builtin: &str, wishes: &[String]) -> Result<Selection, UnknownModule> {
    let mut selection = Selection::default();
    for wish in NEEDED.into_iter().chain(wishes.iter().map(String::as_str)) {
        let (necessity, pattern) = Necessity::split(wish);
        let found = find(index, pattern);
        if found.is_empty() && necessity != Necessity::Optional && !is_builtin(builtin, pattern) {
            return Err(UnknownModule(pattern.to_owned()));
        }
        for name in found {
            if necessity == Necessity::LoadedAlways && !selection.loaded_always.contains(name) {
                selection.loaded_always.push(name.clone());
            }
            selection.modules.extend(index.load_order(name).into_iter().cloned());
        }
    }
    Ok(selection)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Necessity {
    Plain,
    Optional,
    LoadedAlways,
}

impl Necessity {
    fn split(wish: &str) -> (Self, &str) {
        match (wish.strip_prefix('-'), wish.strip_prefix('+')) {
            (Some(pattern), _) => (Self::Optional, pattern),
            (_, Some(pattern)) => (Self::LoadedAlways, pattern),
            _ => (Self::Plain, wish),
        }
    }
}

fn find<'a>(index: &'a ModuleIndex, pattern: &str) -> Vec<&'a ModuleName> {
    let (whole_folder, by_path) = (pattern.ends_with('/'), pattern.contains('/'));
    let plain_name = ModuleName::new(pattern);
    index
        .iter()
        .filter(|(name, path)| match (whole_folder, by_path) {
            (true, _) => path.starts_with(pattern),
            (_, true) => modalias::matches(pattern, path),
            _ => **name == plain_name || modalias::matches(pattern, file_stem(path)),
        })
        .map(|(name, _)| name)
        .collect()
}

/// The name as the file bears it, so with `-` where it has one.
fn file_stem(path: &str) -> &str {
    let file = path.rsplit('/').next().unwrap_or_default();
    file.split(".ko").next().unwrap_or_default()
}

fn is_builtin(builtin: &str, pattern: &str) -> bool {
    let name = ModuleName::new(pattern);
    builtin.lines().any(|path| ModuleName::new(path.trim()) == name)
}

#[cfg(test)]
mod tests {
    use skerry_firstboot::initrd::module_index::IndexTexts;

    use super::*;

    const DEP: &str = "kernel/fs/squashfs/squashfs.ko.xz:\n\
                       kernel/drivers/md/dm-verity.ko.xz: kernel/drivers/md/dm-mod.ko.xz\n\
                       kernel/drivers/md/dm-mod.ko.xz:\n\
                       kernel/fs/ext4/ext4.ko.xz:\n\
                       kernel/drivers/usb/storage/ums-realtek.ko.xz: kernel/drivers/usb/storage/usb-storage.ko.xz\n\
                       kernel/drivers/usb/storage/usb-storage.ko.xz:\n\
                       kernel/drivers/watchdog/w83627hf_wdt.ko.xz:\n";
    const BUILTIN: &str = "kernel/fs/overlayfs/overlay.ko\nkernel/drivers/virtio/virtio_pci.ko\n";

    fn chosen(wishes: &[&str]) -> Result<Selection, UnknownModule> {
        let index = ModuleIndex::parse(IndexTexts {
            dep: DEP,
            ..IndexTexts::default()
        });
        let wishes: Vec<_> = wishes.iter().map(|wish| (*wish).to_owned()).collect();
        select(&index, BUILTIN, &wishes)
    }

    fn added(wishes: &[&str]) -> Vec<String> {
        let always = chosen(&[]).unwrap().modules;
        let all = chosen(wishes).unwrap().modules;
        all.difference(&always).map(|name| name.to_string()).collect()
    }

    #[test]
    fn what_is_usual_is_asked_for_once_and_no_kernel_has_to_have_it() {
        for arch in Arch::ALL {
            let wishes: Vec<&str> = usual(arch).collect();
            let different: BTreeSet<&str> = wishes.iter().copied().collect();
            assert_eq!(different.len(), wishes.len(), "{arch}");
            assert_eq!(added(&wishes), ["ums_realtek", "usb_storage"], "{arch}");
        }
    }

    #[test]
    fn what_skerry_init_needs_is_in_without_a_wish() {
        let selection = chosen(&[]).unwrap();
        let names: Vec<_> = selection.modules.iter().map(ModuleName::as_str).collect();
        assert_eq!(names, ["dm_mod", "dm_verity", "ext4", "squashfs"]);
        let always: Vec<_> = selection.loaded_always.iter().map(ModuleName::as_str).collect();
        assert_eq!(always, ["squashfs", "dm_verity"]);
    }

    #[test]
    fn names_patterns_and_folders_bring_what_they_need() {
        for wish in [
            "ums-realtek",
            "ums_realtek",
            "ums-*",
            "kernel/drivers/usb/*",
            "kernel/drivers/usb/",
        ] {
            assert_eq!(added(&[wish]), ["ums_realtek", "usb_storage"], "{wish}");
        }
    }

    #[test]
    fn a_plus_loads_a_module_that_no_device_asks_for() {
        let selection = chosen(&["+w83627hf_wdt"]).unwrap();
        assert_eq!(selection.loaded_always.last().unwrap().as_str(), "w83627hf_wdt");
        assert!(chosen(&["+virtio_pci"]).is_ok());
    }

    #[test]
    fn an_unknown_module_is_an_error_unless_it_is_optional_or_built_in() {
        assert_eq!(chosen(&["nvme"]), Err(UnknownModule("nvme".into())));
        assert!(chosen(&["kernel/drivers/nvme/"]).is_err());
        assert_eq!(added(&["-nvme", "virtio_pci", "virtio-pci"]), [""; 0]);
    }
}
