//! Planning, on files.

use std::fs::File;
use std::os::unix::fs::FileExt as _;

use skerry_firstboot::grow_disk::plan;

use super::judges;

const MIB: u64 = 1 << 20;

#[test]
fn sfdisk_agrees_with_the_entry_that_is_planned() {
    if !judges::has(&["sfdisk"]) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let disk = folder.path().join("disk");
    // The last one is larger than an MBR can say.
    for (len, end) in [
        (161 * MIB, 161 * MIB),
        (300 * MIB + 512, 300 * MIB),
        (64_000_000_000, 61_035 * MIB),
        (3 << 40, 2 << 40),
    ] {
        let file = File::create(&disk).unwrap();
        file.set_len(len).unwrap();
        judges::write_table(&disk);
        let file = File::options().read(true).write(true).open(&disk).unwrap();
        let mut sector = [0; 512];
        file.read_exact_at(&mut sector, 0).unwrap();
        let planned = plan(&sector, len / 512).unwrap().unwrap();
        assert_eq!(judges::var_of(&disk), None);
        file.write_all_at(&planned.sector, 0).unwrap();
        let first = 97 * MIB;
        let var = (first / 512, (end - first) / 512, "83".to_owned());
        assert_eq!(judges::var_of(&disk), Some(var), "{len}");
        judges::assert_verified(&disk);
    }
}
