//! Firmware that starts Linux itself, without a boot loader: what its settings name on the first partition of a disk.
//!
//! In: a FAT volume. Out: the kernel, the initrd and the command line that one of [`SETTINGS`] names. Spec: Raspberry
//! Pi documentation, "config.txt": "File format", "Boot options" (`os_prefix`, `kernel`, `initramfs`, `cmdline`),
//! "Conditional filters"; for `tryboot.txt`, "Fail-safe OS updates". Deliberately not supported: settings below a
//! filter, which hold for some models only, `include`, more than one initrd, and names that such firmware looks for by
//! itself.

use std::io::{Read, Seek};

use crate::digest::Sha256;
use crate::fat::read::{FatEntry, FatKind, FatReadError, FatReader};
use crate::verity;

/// The file that is read at every start, and the one that is read instead, once, after a restart that asks for it.
pub const SETTINGS: [&str; 2] = ["config.txt", "tryboot.txt"];
/// Longer texts are nobody's settings and no command line: kernels cut that off after 2048 bytes.
const MAX_TEXT_BYTES: u64 = 64 << 10;

/// The files that settings name, as paths from the top of the partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DirectPaths {
    /// The kernel.
    pub kernel: String,
    /// The initrd.
    pub initrd: String,
    /// The text with the kernel command line.
    pub command_line: String,
}

/// Linux, as firmware would start it.
#[derive(Debug, Clone)]
pub struct DirectEntry {
    /// The kernel.
    pub kernel: FatEntry,
    /// The initrd.
    pub initrd: FatEntry,
    /// What the kernel is told, in one line.
    pub command_line: String,
}

impl DirectEntry {
    /// The root hash that the command line names. Systems of other makers name none.
    pub fn root_hash(&self) -> Option<Sha256> {
        verity::named_root_hash(&self.command_line)
    }
}

/// What `settings` name; none if they leave kernel or initrd to the firmware.
pub fn parse(settings: &str) -> Option<DirectPaths> {
    let (mut prefix, mut kernel, mut initrd, mut command_line) = ("", None, None, "cmdline.txt");
    let mut holds_for_all = true;
    for line in settings.lines().map(str::trim) {
        if let Some(filter) = line.strip_prefix('[') {
            holds_for_all = filter == "all]";
        } else if holds_for_all {
            match line.split_once(['=', ' ']) {
                Some(("os_prefix", value)) => prefix = value,
                Some(("kernel", value)) => kernel = Some(value),
                Some(("cmdline", value)) => command_line = value,
                // The one setting without `=`: a name, and where in memory it goes.
                Some(("initramfs", value)) => initrd = value.split_whitespace().next(),
                _ => {}
            }
        }
    }
    let path = |name: &str| match name.strip_prefix('/') {
        Some(absolute) => absolute.to_owned(),
        None => format!("{prefix}{name}"),
    };
    Some(DirectPaths {
        kernel: path(kernel?),
        initrd: path(initrd?),
        command_line: path(command_line),
    })
}

/// What the file `settings` in the top folder names; none if it is not there, or one of what it names is not.
pub fn find<R: Read + Seek>(volume: &mut FatReader<R>, settings: &str) -> Result<Option<DirectEntry>, FatReadError> {
    let Some(paths) = text(volume, settings)?.as_deref().and_then(parse) else {
        return Ok(None);
    };
    let (kernel, initrd) = (file(volume, &paths.kernel)?, file(volume, &paths.initrd)?);
    let command_line = text(volume, &paths.command_line)?;
    Ok(match (kernel, initrd, command_line) {
        (Some(kernel), Some(initrd), Some(command_line)) => Some(DirectEntry {
            kernel,
            initrd,
            command_line: command_line.lines().next().unwrap_or_default().trim().to_owned(),
        }),
        _ => None,
    })
}

fn file<R: Read + Seek>(volume: &mut FatReader<R>, path: &str) -> Result<Option<FatEntry>, FatReadError> {
    let found = volume.find(path)?;
    Ok(found.filter(|entry| entry.kind == FatKind::File))
}

fn text<R: Read + Seek>(volume: &mut FatReader<R>, path: &str) -> Result<Option<String>, FatReadError> {
    let found = file(volume, path)?.filter(|entry| entry.len_bytes <= MAX_TEXT_BYTES);
    let read = |entry: FatEntry| volume.read(&entry, MAX_TEXT_BYTES);
    let bytes = found.map(read).transpose()?;
    Ok(bytes.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(settings: &str) -> Option<[String; 3]> {
        let found = parse(settings)?;
        Some([found.kernel, found.initrd, found.command_line])
    }

    #[test]
    fn a_prefix_stands_before_every_name_but_absolute_ones_wherever_it_is_set() {
        let settings = "# kernel=no\nkernel=vmlinuz\r\n  initramfs initrd followkernel\nos_prefix=a/\n";
        let expected = ["a/vmlinuz", "a/initrd", "a/cmdline.txt"];
        assert_eq!(paths(settings).unwrap(), expected);
        let settings = "os_prefix=b-\nkernel=/vmlinuz\ninitramfs initrd\ncmdline=words\n";
        assert_eq!(paths(settings).unwrap(), ["vmlinuz", "b-initrd", "b-words"]);
    }

    #[test]
    fn settings_that_leave_kernel_or_initrd_to_the_firmware_or_to_a_model_name_nothing() {
        for settings in [
            "",
            "kernel=vmlinuz\n",
            "initramfs initrd\n",
            "[pi4]\nkernel=k\n[all]\ninitramfs i\n",
        ] {
            assert_eq!(paths(settings), None, "{settings}");
        }
        let settings = "[pi3]\nkernel=u-boot.bin\n[all]\nkernel=vmlinuz\ninitramfs i\n";
        assert_eq!(paths(settings).unwrap()[0], "vmlinuz");
    }
}
