use super::*;
use crate::mbr::{FAT32_LBA, LINUX, MbrTable};
use crate::partition_id::DiskId;
use crate::tree::FileData;

fn loader(name: &str, offset: u64, len: usize) -> Loader {
    Loader {
        name: name.to_owned(),
        offset,
        data: FileData::from_bytes(vec![0xdd; len]),
    }
}

fn with_loaders(folder: &Path, loaders: Vec<Loader>) -> DiskInput {
    DiskInput {
        first_partition: 16 * MIB,
        loaders,
        ..input(folder)
    }
}

fn mbr(folder: &Path) -> DiskInput {
    DiskInput {
        table: TableKind::Mbr,
        ..input(folder)
    }
}

#[test]
fn an_mbr_has_both_slots_and_each_has_room_for_the_verity_data() {
    let folder = tempfile::tempdir().unwrap();
    let layout = DiskLayout::plan(mbr(folder.path())).unwrap();
    let path = folder.path().join("board.raw");
    write(&layout, &path).unwrap();
    let bytes = fs::read(&path).unwrap();
    let table = MbrTable::parse(bytes.first_chunk().unwrap()).unwrap();
    let found: Vec<_> = table
        .partitions
        .iter()
        .map(|record| (record.kind, record.offset() / MIB, record.len_bytes() / MIB))
        .collect();
    // 1.5 MiB and 8 KiB in whole MiB.
    assert_eq!(found, [(FAT32_LBA, 1, 34), (LINUX, 35, 2), (LINUX, 37, 2)]);
    assert_eq!(layout.disk_id(), DiskId::Mbr(table.signature));
    assert_ne!(table.signature, 0);
    assert_eq!(
        layout.partitions[1].id.to_string(),
        format!("{:08x}-02", table.signature)
    );
    assert_eq!(bytes.len() as u64, 39 * MIB);
}

#[test]
fn on_an_mbr_disk_the_verity_data_begins_at_the_next_block_behind_the_root() {
    let folder = tempfile::tempdir().unwrap();
    let layout = DiskLayout::plan(mbr(folder.path())).unwrap();
    let path = folder.path().join("board.raw");
    let ranges = write(&layout, &path).unwrap();
    let bytes = fs::read(&path).unwrap();
    let slot = &bytes[35 * MIB as usize..];
    let verity = 300_000_usize.next_multiple_of(4096);
    assert!(slot[..300_000].iter().all(|byte| *byte == 0xaa));
    assert!(slot[300_000..verity].iter().all(|byte| *byte == 0));
    assert!(slot[verity..verity + 8192].iter().all(|byte| *byte == 0xbb));
    assert!(slot[verity + 8192..].iter().all(|byte| *byte == 0));
    let end = 35 * MIB + verity as u64 + 8192;
    assert_eq!(ranges.last().unwrap().end, end, "slot B is not written");
}

#[test]
fn boot_loaders_lie_at_their_offsets_and_the_gpt_before_them_is_whole() {
    let folder = tempfile::tempdir().unwrap();
    let loaders = vec![loader("second", 8 * MIB, 5000), loader("first", 32 << 10, 2 << 20)];
    let layout = DiskLayout::plan(with_loaders(folder.path(), loaders)).unwrap();
    let path = folder.path().join("board.raw");
    let ranges = write(&layout, &path).unwrap();
    let bytes = fs::read(&path).unwrap();
    assert!(bytes[32 << 10..][..2 << 20].iter().all(|byte| *byte == 0xdd));
    assert!(bytes[8 << 20..][..5000].iter().all(|byte| *byte == 0xdd));
    // The first loader goes on where the first MiB ends; the second one takes whole sectors.
    assert_eq!(ranges[0], 0..(32 << 10) + (2 << 20));
    assert_eq!(ranges[1], 8 * MIB..8 * MIB + 5120);
    let mut file = fs::File::open(&path).unwrap();
    let read = gpt::read::read(&mut file).unwrap();
    assert!(read.other_fault.is_none());
    assert_eq!(read.table.partitions[0].first_sector * 512, 16 * MIB);
}

#[test]
fn boot_loaders_that_meet_the_table_the_first_partition_or_each_other_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let error = |loaders| DiskLayout::plan(with_loaders(folder.path(), loaders)).unwrap_err();
    // Allwinner's first place, inside of a GPT.
    let in_table = error(vec![loader("spl", 8 << 10, 100)]);
    assert_eq!(
        in_table.to_string(),
        "the boot loader `spl` takes bytes 8192 to 8704 of the disk; it has room from 17408 to 16777216"
    );
    let too_long = error(vec![loader("u-boot", 15 * MIB, 2 << 20)]);
    assert_eq!(
        too_long.hints(),
        ["set the board's `first-partition` to at least 17M, and check the offset of the boot loader"]
    );
    let overlap = error(vec![loader("b", 64 << 10, 512), loader("a", 32 << 10, 40_000)]);
    assert_eq!(
        overlap.to_string(),
        "the boot loaders `a` and `b` overlap at byte 65536 of the disk"
    );
    assert!(matches!(
        error(vec![loader("odd", 32_769, 1)]),
        DiskError::LoaderPlace { .. }
    ));
    let mut first = mbr(folder.path());
    first.loaders = vec![loader("spl", 8 << 10, 100)];
    assert!(DiskLayout::plan(first).is_ok(), "an MBR leaves that place free");
}
