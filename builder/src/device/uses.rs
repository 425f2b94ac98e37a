//! Who uses a disk: mounts, swap, and devices made from it, through any number of layers.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use super::facts::Use;
use super::identity::line;
use crate::shell::quoted;

/// A disk with its partitions and all that was made from them: kernel names by number (`major:minor`), and who holds whom.
#[derive(Debug, Default)]
pub(super) struct Family {
    names: BTreeMap<String, String>,
    holders: Vec<Use>,
}

impl Family {
    /// Follows partitions and holders from `name` on; `class` is `/sys/class/block`.
    pub(super) fn of(class: &Path, name: &str) -> Self {
        let mut family = Self::default();
        let mut waiting = vec![name.to_owned()];
        let mut seen = BTreeSet::new();
        while let Some(name) = waiting.pop() {
            if !seen.insert(name.clone()) {
                continue;
            }
            let folder = class.join(&name);
            if let Some(number) = line(&folder.join("dev")) {
                family.names.insert(number, name.clone());
            }
            waiting.extend(entries(&folder).filter(|entry| folder.join(entry).join("partition").exists()));
            for holder in entries(&folder.join("holders")) {
                family.holders.push(Use::Holder {
                    device: name.clone(),
                    release: release(&class.join(&holder), &holder),
                    holder: holder.clone(),
                });
                waiting.push(holder);
            }
        }
        family
    }

    fn has(&self, name: &str) -> bool {
        self.names.values().any(|member| member == name)
    }

    /// All uses, from the texts of `/proc/self/mountinfo` and `/proc/swaps`; `name_of` makes a path a kernel name.
    pub(super) fn uses(self, mountinfo: &str, swaps: &str, name_of: impl Fn(&str) -> Option<String>) -> Vec<Use> {
        let mut uses = Vec::new();
        for mount in mountinfo.lines().filter_map(Mount::parse) {
            // btrfs has numbers of its own; then the source tells.
            let by_source = || name_of(&mount.source).filter(|name| self.has(name));
            if let Some(device) = self.names.get(&mount.number).cloned().or_else(by_source) {
                let at = mount.point;
                uses.push(Use::Mounted { device, at });
            }
        }
        let paths = swaps.lines().skip(1).filter_map(|line| line.split_whitespace().next());
        let devices = paths.filter_map(|path| name_of(&unescaped(path)).filter(|name| self.has(name)));
        uses.extend(devices.map(|device| Use::Swap { device }));
        uses.extend(self.holders);
        uses
    }
}

/// The entries of a folder, in order.
pub(super) fn entries(folder: &Path) -> impl Iterator<Item = String> + use<> {
    let found = fs::read_dir(folder).into_iter().flatten().flatten();
    let names: BTreeSet<String> = found
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    names.into_iter()
}

/// The command that undoes the device in `folder`.
fn release(folder: &Path, name: &str) -> String {
    if name.starts_with("md") {
        return format!("mdadm --stop /dev/{name}");
    }
    let mapped = line(&folder.join("dm/name"));
    let kind = line(&folder.join("dm/uuid")).unwrap_or_default();
    match mapped {
        // `VG-LV`, with hyphens inside of the names doubled (lvm(8)).
        Some(mapped) if kind.starts_with("LVM-") => {
            let group = mapped.replace("--", "\0");
            let group = group.split('-').next().unwrap_or_default().replace('\0', "-");
            format!("vgchange --activate n {}", quoted(&group))
        }
        Some(mapped) if kind.starts_with("CRYPT-") => format!("cryptsetup close {}", quoted(&mapped)),
        Some(mapped) => format!("dmsetup remove {}", quoted(&mapped)),
        None => format!("dmsetup remove /dev/{name}"),
    }
}

/// One line of proc_pid_mountinfo(5).
struct Mount {
    number: String,
    point: String,
    source: String,
}

impl Mount {
    fn parse(line: &str) -> Option<Self> {
        let (own, of_file_system) = line.split_once(" - ")?;
        let mut fields = own.split(' ').skip(2);
        let number = fields.next()?.to_owned();
        let point = unescaped(fields.nth(1)?);
        let source = unescaped(of_file_system.split(' ').nth(1)?);
        Some(Self { number, point, source })
    }
}

/// Text in which the kernel wrote spaces and the like as `\040`.
fn unescaped(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        let octal = match rest {
            [b'\\', a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7', ..] => {
                Some((a - b'0') << 6 | (b - b'0') << 3 | (c - b'0'))
            }
            _ => None,
        };
        bytes.push(octal.unwrap_or(*first));
        rest = if octal.is_some() { &after[3..] } else { after };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escaped_mount_points_are_told_as_they_are() {
        assert_eq!(unescaped(r"/media/My\040Stick\134x\04"), r"/media/My Stick\x\04");
        let line = "36 22 8:17 / /media/My\\040Stick rw,nosuid shared:9 - vfat /dev/sdb1 rw";
        let mount = Mount::parse(line).unwrap();
        assert_eq!(
            (mount.number.as_str(), mount.point.as_str()),
            ("8:17", "/media/My Stick")
        );
        assert_eq!(mount.source, "/dev/sdb1");
        assert!(Mount::parse("garbage").is_none());
    }
}
