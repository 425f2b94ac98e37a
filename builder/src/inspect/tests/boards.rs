use super::*;
use crate::disk::{Loader, TableKind};
use crate::sample_image::Start;
use crate::tree::FileData;

fn written(table: TableKind) -> (tempfile::TempDir, Written) {
    let folder = tempfile::tempdir().unwrap();
    let mut sample = Sample::new();
    sample.table = table;
    sample.loaders = vec![Loader {
        name: "idbloader.img".to_owned(),
        offset: 32 << 10,
        data: FileData::from_bytes([0x3b, 0x8c, 0xdc, 0xfc].repeat(100)),
    }];
    let written = sample.write(folder.path());
    (folder, written)
}

#[test]
fn a_disk_with_an_mbr_is_inspected_and_verified_like_any_other() {
    let (_folder, written) = written(TableKind::Mbr);
    let inspection = inspect(&written.raw).unwrap();
    assert_eq!(inspection.findings, [""; 0]);
    assert_eq!(outcomes(&inspection), [("root file system (verity)", Outcome::Passed)]);
    let partitions = inspection.partitions.iter();
    let types: Vec<_> = partitions.map(|partition| partition.type_name).collect();
    assert_eq!(types, [Some("fat32"), Some("linux"), Some("linux")]);
    assert!(inspection.contents.is_some());
    let id = inspection.disk_id.to_string();
    assert_eq!(inspection.partitions[1].id.to_string(), format!("{id}-02"));
}

#[test]
fn a_changed_block_behind_an_mbr_is_found() {
    let (_folder, written) = written(TableKind::Mbr);
    let file = File::options().write(true).open(&written.raw).unwrap();
    file.write_all_at(b"x", written.root_offset + 5000).unwrap();
    let inspection = inspect(&written.raw).unwrap();
    let failed: Vec<_> = inspection.failed_checks().collect();
    assert!(
        failed[0].detail.contains("this is partition 2, byte"),
        "{}",
        failed[0].detail
    );
}

#[test]
fn boot_loaders_outside_of_partitions_are_shown_by_name_or_by_what_they_look_like() {
    for table in [TableKind::Gpt, TableKind::Mbr] {
        let (folder, written) = written(table);
        let known = inspect(folder.path()).unwrap();
        fs::remove_file(folder.path().join(manifest::FILE_NAME)).unwrap();
        let seen = inspect(&written.raw).unwrap().loaders;
        assert_eq!(seen[0].name, "Rockchip boot loader");
        let loader = &known.loaders[0];
        assert_eq!(
            (loader.name.as_str(), loader.offset, loader.len_bytes),
            ("idbloader.img", 32 << 10, Some(400))
        );
        let text = render(&known, 120);
        assert!(
            text.contains("boot loader  idbloader.img at 32.0 KiB of the disk, 400 B\n"),
            "{text}"
        );
    }
}

#[test]
fn what_firmware_starts_itself_is_shown_and_its_root_verified() {
    let folder = tempfile::tempdir().unwrap();
    let mut sample = Sample::new();
    (sample.table, sample.start) = (TableKind::Mbr, Start::Firmware);
    let written = sample.write(folder.path());
    let inspection = inspect(&written.raw).unwrap();
    assert_eq!(inspection.findings, [""; 0]);
    assert_eq!(outcomes(&inspection), [("root file system (verity)", Outcome::Passed)]);
    assert_eq!(inspection.uki, None);
    assert_eq!(inspection.kernel(), Some("6.12.0-1-amd64"));
    let command_line = format!("roothash={} quiet", written.root_hash);
    assert_eq!(inspection.command_line(), Some(command_line.as_str()));
    assert_eq!(inspection.boot.device_trees[0].path, "a/board.dtb");
    // Nothing is in slot b yet.
    let entries = inspection.boot.entries.iter();
    let entries: Vec<_> = entries
        .map(|entry| (entry.path.as_str(), entry.title.as_deref()))
        .collect();
    assert_eq!(entries, [("a/vmlinuz", Some("config.txt"))]);
    let text = render(&inspection, 120);
    for part in [
        "\nboots        a/vmlinuz, 50 B, with a/initrd\n",
        "\nkernel       6.12.0-1-amd64\n",
        &format!("\nroot hash    {}\n", written.root_hash),
        "\nBoot entries\n  a/vmlinuz  config.txt  not counted\n",
    ] {
        assert!(text.contains(part), "{part}\nis not in\n{text}");
    }
}
