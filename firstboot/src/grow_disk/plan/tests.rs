use proptest::prelude::*;

use super::*;
use crate::initrd::mbr::tests::golden;

/// Sectors of a MiB; slot B of the golden table ends at 97 of them.
const MIB: u64 = 2048;

fn refused(sector: &[u8; SECTOR_BYTES], sectors: u64) -> String {
    plan(sector, sectors).unwrap_err().to_string()
}

/// The golden table with the first sector of slot B set.
fn with_slot_b_at(first_sector: u32) -> [u8; SECTOR_BYTES] {
    let slot = Entry {
        kind: mbr::LINUX,
        first_sector,
        sectors: 65536,
    };
    mbr::with_entry(&golden(), 3, slot)
}

#[test]
fn var_reaches_from_slot_b_to_the_last_whole_mebibyte() {
    let made = |sector, sectors| plan(&sector, sectors).unwrap().unwrap();
    let plan = made(golden(), 300 * MIB + 2047);
    let var = Entry {
        kind: 0x83,
        first_sector: (97 * MIB) as u32,
        sectors: (203 * MIB) as u32,
    };
    assert_eq!(plan.var, var);
    assert_eq!(plan.sector, mbr::with_entry(&golden(), 4, var));
    let odd = made(with_slot_b_at(133_121), 300 * MIB);
    assert_eq!(u64::from(odd.var.first_sector), 98 * MIB);
}

#[test]
fn a_disk_that_has_var_is_left_alone_unless_the_disk_ends_before_it() {
    let var = Entry {
        kind: mbr::LINUX,
        first_sector: (97 * MIB) as u32,
        sectors: (203 * MIB) as u32,
    };
    let sector = mbr::with_entry(&golden(), mbr::VAR, var);
    assert_eq!(plan(&sector, 300 * MIB).unwrap(), None);
    assert_eq!(
        refused(&sector, 299 * MIB),
        "its var ends at sector 614400, but the disk has 612352: the content is of a larger disk, flash the image anew"
    );
}

#[test]
fn the_least_var_fits_and_a_mebibyte_less_does_not() {
    let least = plan(&golden(), 161 * MIB).unwrap().unwrap();
    assert_eq!(u64::from(least.var.sectors) * 512, LEAST_BYTES);
    assert_eq!(
        refused(&golden(), 161 * MIB - 1),
        "63 MiB are left behind slot B, and var needs 64: take a disk of at least 161 MiB, or an image with a smaller \
         `slot-size`"
    );
    assert!(refused(&golden(), 0).starts_with("0 MiB are left"));
}

#[test]
fn a_disk_of_more_than_two_tebibytes_is_used_as_far_as_an_mbr_reaches() {
    let var = plan(&golden(), 1 << 34).unwrap().unwrap().var;
    assert_eq!(var.end(), 1 << 32);
    assert!(refused(&with_slot_b_at(u32::MAX), 1 << 34).starts_with("0 MiB are left"));
}

#[test]
fn a_table_that_is_not_of_an_image_is_not_touched() {
    for number in 1..4_usize {
        let mut sector = golden();
        sector[446 + 16 * (number - 1) + 4] = 0;
        assert!(
            refused(&sector, 300 * MIB).contains(&format!("no partition {number},")),
            "{number}"
        );
    }
    let mut sector = golden();
    sector[450] = 0xee;
    assert_eq!(
        refused(&sector, 300 * MIB),
        "its table cannot be used: flash the image again"
    );
}

proptest! {
    #[test]
    fn var_never_touches_what_is_there_nor_leaves_the_disk(
        table in proptest::collection::vec(any::<u8>(), 48),
        sectors in prop_oneof![any::<u64>(), 0..1_u64 << 34],
    ) {
        let mut sector = golden();
        sector[446..494].copy_from_slice(&table);
        if let Ok(Some(plan)) = plan(&sector, sectors) {
            let table = Mbr::parse(&sector).unwrap();
            for entry in (1..4).filter_map(|number| table.entry(number)) {
                prop_assert!(entry.end() <= plan.var.first_sector.into());
            }
            prop_assert!(plan.var.end() <= sectors.min(1 << 32));
            prop_assert!(u64::from(plan.var.sectors) * 512 >= LEAST_BYTES);
            prop_assert_eq!(&plan.sector[..494], &sector[..494]);
        }
    }
}
