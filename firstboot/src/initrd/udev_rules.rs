//! Names for the partitions of the disk that the machine runs from: `/dev/skerry/var` and `/dev/skerry/esp`.
//!
//! A label or type alone could be another disk's, such as an installer stick's. Only the initrd knows the right disk, so
//! it leaves udev rules (udev(7)) that match partitions of that disk by their type (UAPI Discoverable Partitions).

use super::failure::BootError;
use super::handover::write_file;

/// Where udev looks for rules that hold until the next boot.
const PATH: &str = "/run/udev/rules.d/90-skerry.rules";
/// Partition types and the names they get.
const NAMES: [(&str, &str); 2] = [
    ("4d21b016-b534-45c2-a9fb-5c16e091fd2d", "skerry/var"),
    ("c12a7328-f81f-11d2-ba4b-00a0c93ec93b", "skerry/esp"),
];

/// Leaves the rules for the partitions of the disk with this number, `MAJOR:MINOR`.
pub fn write(disk: &str) -> Result<(), BootError> {
    write_file(PATH, &rules(disk), 0o644)
}

/// The rules for a disk by its number, `MAJOR:MINOR`.
fn rules(disk: &str) -> String {
    let rule = |(kind, name): &(&str, &str)| {
        format!(
            "SUBSYSTEM==\"block\", ENV{{ID_PART_ENTRY_DISK}}==\"{disk}\", ENV{{ID_PART_ENTRY_TYPE}}==\"{kind}\", \
             SYMLINK+=\"{name}\"\n"
        )
    };
    NAMES.iter().map(rule).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_rule_is_one_line_that_names_disk_type_and_link() {
        let text = rules("254:0");
        assert_eq!(text.lines().count(), 2);
        let first = "SUBSYSTEM==\"block\", ENV{ID_PART_ENTRY_DISK}==\"254:0\", \
            ENV{ID_PART_ENTRY_TYPE}==\"4d21b016-b534-45c2-a9fb-5c16e091fd2d\", SYMLINK+=\"skerry/var\"";
        assert_eq!(text.lines().next().unwrap(), first);
    }
}
