//! Loads the kernel modules of the initrd: those its list names, and those that drive the devices which are there.
//!
//! A module that does not load is said and left at that: whether it mattered shows when the boot disk does not turn up.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::kmod::{ModuleInitFlags, finit_module};

use super::console;
use super::failure::BootError;
use super::module_index::{IndexTexts, ModuleIndex, ModuleName};
use super::uevent::{Fields, parse_fields};

/// Names the modules to load in any case, one a line; lies in the kernel's module folder.
pub const LIST: &str = "skerry-boot.conf";

/// `MODULE_INIT_COMPRESSED_FILE` (include/uapi/linux/module.h): the kernel unpacks the file itself.
const COMPRESSED_FILE: ModuleInitFlags = ModuleInitFlags::from_bits_retain(4);

/// The modules of the running kernel and what was done with them.
#[derive(Debug)]
pub struct Loader {
    folder: PathBuf,
    index: ModuleIndex,
    listed: Vec<ModuleName>,
    tried: BTreeSet<ModuleName>,
    seen: BTreeSet<String>,
}

impl Loader {
    /// Reads the indexes in `folder/RELEASE`. An initrd without modules is fine: all may be built into the kernel.
    pub fn open(folder: &str) -> Result<Self, BootError> {
        let release_path = "/proc/sys/kernel/osrelease";
        let release = fs::read_to_string(release_path).map_err(|source| BootError::Read {
            path: release_path.into(),
            source,
        })?;
        let folder = Path::new(folder).join(release.trim());
        let [dep, softdep, alias, list] =
            ["modules.dep", "modules.softdep", "modules.alias", LIST].map(|name| read_if_there(&folder.join(name)));
        Ok(Self {
            index: ModuleIndex::parse(IndexTexts {
                dep: &dep?,
                softdep: &softdep?,
                alias: &alias?,
            }),
            listed: parse_list(&list?),
            folder,
            tried: BTreeSet::new(),
            seen: BTreeSet::new(),
        })
    }

    /// Loads what the list names.
    pub fn load_listed(&mut self) {
        for name in std::mem::take(&mut self.listed) {
            self.load(&name);
        }
    }

    /// Loads the drivers of all devices on all buses, until loading brings no new ones.
    pub fn load_for_present_devices(&mut self) {
        loop {
            let before = self.tried.len();
            for fields in present_devices() {
                self.load_for_device(&fields);
            }
            if self.tried.len() == before {
                return;
            }
        }
    }

    /// Loads the drivers of one device.
    pub fn load_for_device(&mut self, fields: &Fields) {
        let Some(modalias) = fields.get("MODALIAS") else {
            return;
        };
        if !self.seen.insert(modalias.clone()) {
            return;
        }
        let drivers: Vec<_> = self.index.drivers_of(modalias).into_iter().cloned().collect();
        for driver in drivers {
            self.load(&driver);
        }
    }

    /// Loads one module and what it needs. One that is not in the index is taken to be built in.
    pub fn load(&mut self, name: &ModuleName) {
        if self.tried.contains(name) {
            return;
        }
        for name in self.index.load_order(name) {
            if self.tried.insert(name.clone())
                && let Some(path) = self.index.path(name)
            {
                insert(&self.folder.join(path));
            }
        }
    }
}

fn insert(path: &Path) {
    let shown = path.display();
    let file = match File::open(path) {
        Ok(file) => file,
        Err(reason) => return console::warn(&format!("cannot open {shown}: {reason}")),
    };
    let flags = match path.extension().is_some_and(|extension| extension == "ko") {
        true => ModuleInitFlags::empty(),
        false => COMPRESSED_FILE,
    };
    match finit_module(&file, c"", flags) {
        Ok(()) => console::detail(&format!("loaded {shown}")),
        // Already there, or its hardware is not: both are everyday.
        Err(reason @ (Errno::EEXIST | Errno::ENODEV)) => console::detail(&format!("not loaded: {shown}: {reason}")),
        Err(reason) => console::warn(&format!("cannot load {shown}: {reason}")),
    }
}

fn read_if_there(path: &Path) -> Result<String, BootError> {
    match fs::read_to_string(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(String::new()),
        read => read.map_err(|source| BootError::Read {
            path: path.to_owned(),
            source,
        }),
    }
}

/// One name a line; `#` begins a comment.
fn parse_list(text: &str) -> Vec<ModuleName> {
    text.lines()
        .map(|line| line.split('#').next().unwrap_or_default().trim())
        .filter(|name| !name.is_empty())
        .map(ModuleName::new)
        .collect()
}

/// The fields of all devices on all buses. Every device with a modalias is on a bus, and /sys/bus/*/devices is a tenth of
/// the folders below /sys/devices.
fn present_devices() -> impl Iterator<Item = Fields> {
    entries("/sys/bus")
        .flat_map(|bus| entries(bus.join("devices")))
        .filter_map(|device| fs::read_to_string(device.join("uevent")).ok())
        .map(|text| parse_fields(&text, '\n'))
}

/// The paths in a folder, by name, so that every boot does the same; none if it cannot be read.
fn entries(folder: impl AsRef<Path>) -> impl Iterator<Item = PathBuf> {
    let mut paths: Vec<_> = fs::read_dir(folder)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .collect();
    paths.sort();
    paths.into_iter()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_has_one_module_a_line_and_comments() {
        let names = parse_list("# file systems\nsquashfs\n\n dm-verity # the root\n");
        assert_eq!(names, [ModuleName::new("squashfs"), ModuleName::new("dm_verity")]);
    }
}
