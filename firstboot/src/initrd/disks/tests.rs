use super::*;

const ROOT: &str = "00112233-4455-6677-8899-aabbccddeeff";

fn device(class: &Path, path: &str, files: &[(&str, &str)]) {
    let folder = class.join(path);
    for (name, text) in files {
        let file = folder.join(name);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, text).unwrap();
    }
}

/// As /sys/class/block, but with folders where the kernel has links.
fn sys(partition_uevent: &str) -> tempfile::TempDir {
    let class = tempfile::tempdir().unwrap();
    let devices = class.path();
    device(
        devices,
        "vda",
        &[
            ("uevent", "MAJOR=254\nMINOR=0\nDEVNAME=vda\nDEVTYPE=disk\n"),
            ("size", "2048\n"),
            ("device/model", "Disk of  a vendor \n"),
        ],
    );
    device(
        devices,
        "vda/vda2",
        &[("uevent", partition_uevent), ("size", "100\n"), ("partition", "2\n")],
    );
    std::os::unix::fs::symlink("vda/vda2", devices.join("vda2")).unwrap();
    let others = [("loop0", "8"), ("sr0", "8"), ("dm-0", "8"), ("sdb", "0")];
    for (name, size) in others {
        let uevent = format!("MAJOR=7\nMINOR=0\nDEVNAME={name}\n");
        device(devices, name, &[("uevent", &uevent), ("size", size)]);
    }
    class
}

#[test]
fn a_partition_is_found_by_the_id_that_the_kernel_tells() {
    let class = sys(&format!("MAJOR=254\nMINOR=2\nDEVNAME=vda2\nPARTN=2\nPARTUUID={ROOT}\n"));
    let disks = scan(class.path());
    assert_eq!(disks.len(), 1);
    let found = disks[0].partition(&ROOT.parse().unwrap()).unwrap();
    assert_eq!(
        (found.name.as_str(), found.number.as_str(), found.len_bytes),
        ("vda2", "254:2", 51200)
    );
    assert_eq!(disks[0].partition(&Guid::from_disk([1; 16])), None);
    assert_eq!(disks[0].numbered(2), Some(found));
}

/// A device that bears an id, for tests of those who choose among disks.
pub(in crate::initrd) fn device_at(folder: &str, id: Option<Guid>) -> BlockDevice {
    BlockDevice {
        name: folder.rsplit('/').next().unwrap().to_owned(),
        number: "8:1".into(),
        len_bytes: 1 << 20,
        folder: folder.into(),
        told_id: id,
    }
}

#[test]
fn loops_mapped_devices_and_empty_readers_are_no_disks() {
    let class = sys("MAJOR=254\nMINOR=2\nDEVNAME=vda2\n");
    let names: Vec<_> = scan(class.path()).into_iter().map(|disk| disk.device.name).collect();
    assert_eq!(names, ["vda"]);
}

#[test]
fn a_disk_is_described_by_name_size_and_model() {
    let class = sys("");
    assert_eq!(
        scan(class.path())[0].description(),
        "vda (2 MB Disk of  a vendor, 0 partitions)"
    );
}
