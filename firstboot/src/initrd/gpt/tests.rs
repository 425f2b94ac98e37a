use proptest::prelude::*;

use super::*;

struct Image {
    bytes: Vec<u8>,
    block_bytes: u32,
}

impl Disk for Image {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        let start = usize::try_from(offset).map_err(io::Error::other)?;
        let range = self.bytes.get(start..).and_then(|rest| rest.get(..buffer.len()));
        buffer.copy_from_slice(range.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn block_bytes(&self) -> u32 {
        self.block_bytes
    }

    fn blocks(&self) -> u64 {
        self.bytes.len() as u64 / u64::from(self.block_bytes)
    }
}

const LINUX_VAR: &str = "4d21b016-b534-45c2-a9fb-5c16e091fd2d";

fn disk_guid(text: &str) -> [u8; 16] {
    let bytes: [u8; 16] = crate::hex::parse_hex(&text.replace('-', "")).unwrap();
    let [a, b, c, d, e, f, g, h, rest @ ..] = bytes;
    let mut turned = [d, c, b, a, f, e, h, g, 0, 0, 0, 0, 0, 0, 0, 0];
    turned[8..].copy_from_slice(&rest);
    turned
}

fn entry(kind: &str, id: &str, label: &str) -> Vec<u8> {
    let mut entry = vec![0; 128];
    entry[..16].copy_from_slice(&disk_guid(kind));
    entry[16..32].copy_from_slice(&disk_guid(id));
    entry[32..40].copy_from_slice(&34_u64.to_le_bytes());
    entry[40..48].copy_from_slice(&99_u64.to_le_bytes());
    for (place, unit) in entry[56..].chunks_exact_mut(2).zip(label.encode_utf16()) {
        place.copy_from_slice(&unit.to_le_bytes());
    }
    entry
}

fn header(block: u64, entries_block: u64, entries: &[u8]) -> Vec<u8> {
    let mut header = vec![0; 92];
    header[..8].copy_from_slice(b"EFI PART");
    header[8..12].copy_from_slice(&0x10000_u32.to_le_bytes());
    header[12..16].copy_from_slice(&92_u32.to_le_bytes());
    header[24..32].copy_from_slice(&block.to_le_bytes());
    header[72..80].copy_from_slice(&entries_block.to_le_bytes());
    header[80..84].copy_from_slice(&128_u32.to_le_bytes());
    header[84..88].copy_from_slice(&128_u32.to_le_bytes());
    header[88..92].copy_from_slice(&crc32(&[entries]).to_le_bytes());
    let crc = crc32(&[&header]);
    header[16..20].copy_from_slice(&crc.to_le_bytes());
    header
}

/// 200 blocks with the var partition as second of the table; `block_bytes` is 512 or 4096.
fn image(block_bytes: u32) -> Image {
    let block = block_bytes as usize;
    let mut entries = vec![0; 128 * 128];
    entries[128..256].copy_from_slice(&entry(LINUX_VAR, "00112233-4455-6677-8899-aabbccddeeff", "var"));
    let mut bytes = vec![0; 200 * block];
    let entries_blocks = entries.len().div_ceil(block);
    let backup = 199 - entries_blocks;
    bytes[block..block + 92].copy_from_slice(&header(1, 2, &entries));
    bytes[2 * block..2 * block + entries.len()].copy_from_slice(&entries);
    bytes[backup * block..backup * block + entries.len()].copy_from_slice(&entries);
    bytes[199 * block..199 * block + 92].copy_from_slice(&header(199, backup as u64, &entries));
    Image { bytes, block_bytes }
}

fn expected() -> Vec<Partition> {
    vec![Partition {
        number: 2,
        kind: LINUX_VAR.parse().unwrap(),
        id: "00112233-4455-6677-8899-aabbccddeeff".parse().unwrap(),
        first_block: 34,
        last_block: 99,
        label: "var".into(),
    }]
}

#[test]
fn the_checksum_is_the_one_of_the_standard() {
    assert_eq!(crc32(&[b"1234", b"56789"]), 0xCBF4_3926);
}

#[test]
fn both_block_sizes_are_read() {
    assert_eq!(read(&image(512)).unwrap(), expected());
    assert_eq!(read(&image(4096)).unwrap(), expected());
}

#[test]
fn the_backup_stands_in_for_a_damaged_primary() {
    for damaged in [512, 512 + 60, 1024 + 130] {
        let mut image = image(512);
        image.bytes[damaged] ^= 1;
        assert_eq!(read(&image).unwrap(), expected(), "byte {damaged}");
    }
}

#[test]
fn with_both_headers_damaged_the_error_speaks_of_the_first() {
    let mut image = image(512);
    image.bytes[512 + 24] ^= 1;
    image.bytes[199 * 512] ^= 1;
    let error = read(&image).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the checksum of the GPT header (header in block 1) is wrong"
    );
}

#[test]
#[allow(clippy::print_stdout, reason = "a skipped test says so")]
fn a_table_written_by_sgdisk_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("disk");
    std::fs::write(&path, vec![0; 1 << 20]).unwrap();
    let arguments = ["-n", "3:40:99", "-t", &format!("3:{LINUX_VAR}"), "-c", "3:var", "-u"];
    let id = "3:00112233-4455-6677-8899-AABBCCDDEEFF";
    let outcome = std::process::Command::new("sgdisk")
        .arg("-a1")
        .args(arguments)
        .arg(id)
        .arg(&path)
        .output();
    let Ok(outcome) = outcome else {
        println!("skipped: no sgdisk");
        return;
    };
    assert!(outcome.status.success(), "{outcome:?}");
    let image = Image {
        bytes: std::fs::read(&path).unwrap(),
        block_bytes: 512,
    };
    let mut expected = expected();
    expected[0].number = 3;
    expected[0].first_block = 40;
    assert_eq!(read(&image).unwrap(), expected);
}

#[test]
fn sizes_that_would_allocate_without_bound_are_refused() {
    for (at, value) in [(80, u32::MAX), (84, 64), (84, 192), (84, 1 << 31), (12, 91), (12, 513)] {
        let mut header = header(1, 2, &[]);
        header.resize(512, 0);
        header[at..at + 4].copy_from_slice(&value.to_le_bytes());
        header[16..20].fill(0);
        let len = (u32_at(&header, 12) as usize).min(512);
        let crc = crc32(&[&header[..len]]);
        header[16..20].copy_from_slice(&crc.to_le_bytes());
        assert!(
            matches!(Header::parse(&header, 1), Err(GptError::BadField { .. })),
            "{at} {value}"
        );
    }
}

proptest! {
    #[test]
    fn no_damage_makes_it_stumble(at in 512..512 + 92_usize, value in any::<u64>(), keep_sum in any::<bool>()) {
        let mut image = image(512);
        image.bytes[at..at + 8].copy_from_slice(&value.to_le_bytes());
        if keep_sum {
            image.bytes[528..532].fill(0);
            let crc = crc32(&[&image.bytes[512..604]]);
            image.bytes[528..532].copy_from_slice(&crc.to_le_bytes());
        }
        let _ = read_from(&image, 1);
    }
}
