//! Names for the partitions of the disk that the machine runs from: `/dev/skerry/var` and `/dev/skerry/esp`.
//!
//! A label or type alone could be another disk's, such as an installer stick's. Only the initrd knows the right disk, so
//! it leaves udev rules (udev(7)) that match partitions of that disk: by their type (UAPI Discoverable Partitions), or by
//! their number where the table is an MBR, whose types say too little.

use super::disks::{BlockDevice, TableKind};
use super::failure::BootError;
use super::handover::write_file;
use super::mbr;

/// Where udev looks for rules that hold until the next boot.
const PATH: &str = "/run/udev/rules.d/90-skerry.rules";
const VAR: &str = "skerry/var";
const ESP: &str = "skerry/esp";
/// Types of a GPT.
const VAR_TYPE: &str = "4d21b016-b534-45c2-a9fb-5c16e091fd2d";
const ESP_TYPE: &str = "c12a7328-f81f-11d2-ba4b-00a0c93ec93b";

/// Leaves the rules for the partitions of this disk.
pub fn write(disk: &BlockDevice, table: TableKind) -> Result<(), BootError> {
    write_file(PATH, &rules(&disk.number, table), 0o644)
}

/// The rules for a disk by its number, `MAJOR:MINOR`.
fn rules(disk: &str, table: TableKind) -> String {
    // The names are blkid's, which udev asks.
    let names = match table {
        TableKind::Gpt => [("TYPE", VAR_TYPE.to_owned(), VAR), ("TYPE", ESP_TYPE.to_owned(), ESP)],
        TableKind::Mbr => [
            ("NUMBER", mbr::VAR.to_string(), VAR),
            ("NUMBER", mbr::FIRMWARE.to_string(), ESP),
        ],
    };
    let rule = |(field, value, name): &(&str, String, &str)| {
        format!(
            "SUBSYSTEM==\"block\", ENV{{ID_PART_ENTRY_DISK}}==\"{disk}\", ENV{{ID_PART_ENTRY_{field}}}==\"{value}\", \
             SYMLINK+=\"{name}\"\n"
        )
    };
    names.iter().map(rule).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_rule_is_one_line_that_names_disk_type_and_link() {
        let text = rules("254:0", TableKind::Gpt);
        assert_eq!(text.lines().count(), 2);
        let first = "SUBSYSTEM==\"block\", ENV{ID_PART_ENTRY_DISK}==\"254:0\", \
            ENV{ID_PART_ENTRY_TYPE}==\"4d21b016-b534-45c2-a9fb-5c16e091fd2d\", SYMLINK+=\"skerry/var\"";
        assert_eq!(text.lines().next().unwrap(), first);
    }

    #[test]
    fn on_a_disk_with_an_mbr_the_number_decides() {
        let golden = concat!(
            "SUBSYSTEM==\"block\", ENV{ID_PART_ENTRY_DISK}==\"179:0\", ENV{ID_PART_ENTRY_NUMBER}==\"4\", ",
            "SYMLINK+=\"skerry/var\"\n",
            "SUBSYSTEM==\"block\", ENV{ID_PART_ENTRY_DISK}==\"179:0\", ENV{ID_PART_ENTRY_NUMBER}==\"1\", ",
            "SYMLINK+=\"skerry/esp\"\n",
        );
        assert_eq!(rules("179:0", TableKind::Mbr), golden);
    }
}
