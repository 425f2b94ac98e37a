use proptest::prelude::*;

use super::*;

/// A record as the builder writes it: signature, firmware, two slots of 32 MiB, no var.
pub(crate) fn golden() -> [u8; SECTOR_BYTES] {
    let mut sector = [0; SECTOR_BYTES];
    sector[440..444].copy_from_slice(&[0x78, 0x56, 0x34, 0x12]);
    for (at, (kind, first, sectors)) in [
        (0x0c, 2048_u32, 65536_u32),
        (0x83, 67584, 65536),
        (0x83, 133_120, 65536),
    ]
    .into_iter()
    .enumerate()
    {
        let entry = &mut sector[446 + 16 * at..][..16];
        entry[4] = kind;
        entry[8..12].copy_from_slice(&first.to_le_bytes());
        entry[12..].copy_from_slice(&sectors.to_le_bytes());
    }
    sector[510..].copy_from_slice(&[0x55, 0xaa]);
    sector
}

#[test]
fn the_four_entries_are_read_by_their_numbers() {
    let mbr = Mbr::parse(&golden()).unwrap();
    let slot = Entry {
        kind: LINUX,
        first_sector: 67584,
        sectors: 65536,
    };
    assert_eq!(mbr.entry(2), Some(slot));
    assert_eq!(slot.end(), 133_120);
    assert_eq!(mbr.entry(1).unwrap().kind, 0x0c);
    assert_eq!([mbr.entry(0), mbr.entry(4), mbr.entry(5)], [None; 3]);
}

#[test]
fn an_entry_of_no_type_or_no_length_is_unused() {
    for at in [446 + 4, 446 + 14] {
        let mut sector = golden();
        sector[at] = 0;
        assert_eq!(Mbr::parse(&sector).unwrap().entry(1), None, "byte {at}");
    }
}

#[test]
fn a_gpt_and_a_sector_without_signature_are_no_such_table() {
    for entry in 0..4 {
        let mut sector = golden();
        sector[446 + 16 * entry + 4] = 0xee;
        assert_eq!(Mbr::parse(&sector), Err(MbrError::Protective));
    }
    let mut sector = golden();
    sector[511] = 0;
    assert_eq!(Mbr::parse(&sector), Err(MbrError::NoSignature));
}

#[test]
fn a_new_entry_changes_its_own_sixteen_bytes_and_no_others() {
    let entry = Entry {
        kind: LINUX,
        first_sector: 0x0003_0800,
        sectors: 0x0102_0304,
    };
    let sector = with_entry(&golden(), VAR, entry);
    assert_eq!(
        sector[494..510],
        [0, 0xfe, 0xff, 0xff, 0x83, 0xfe, 0xff, 0xff, 0, 8, 3, 0, 4, 3, 2, 1]
    );
    assert_eq!(sector[..494], golden()[..494]);
    assert_eq!(sector[510..], golden()[510..]);
    assert_eq!(Mbr::parse(&sector).unwrap().entry(VAR), Some(entry));
}

proptest! {
    #[test]
    fn no_sector_makes_it_stumble(table in proptest::collection::vec(any::<u8>(), 64), number in any::<u32>()) {
        let mut sector = golden();
        sector[446..510].copy_from_slice(&table);
        if let Ok(mbr) = Mbr::parse(&sector)
            && let Some(entry) = mbr.entry(number)
        {
            prop_assert!(entry.end() > u64::from(entry.first_sector));
            let again = Mbr::parse(&with_entry(&sector, number, entry)).unwrap();
            prop_assert_eq!(again, mbr);
        }
    }
}
