use std::fs;
use std::io::{Seek as _, SeekFrom};

use super::*;

/// A sparse image of 21 MiB and a bit: text, noise, holes, and zeros that are no hole.
fn image(path: &Path) -> Vec<u8> {
    let len = (21 << 20) + 123;
    let mut bytes = vec![0; len];
    let noise = (0_u32..2 << 20).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8);
    let parts: [(usize, Vec<u8>); 3] = [
        (0, b"the beginning ".repeat(1000)),
        ((4 << 20) - 50, noise.collect()),
        (16 << 20, vec![0; 4 << 20]),
    ];
    let mut file = File::create(path).unwrap();
    file.set_len(len as u64).unwrap();
    for (at, part) in &parts {
        bytes[*at..at + part.len()].copy_from_slice(part);
        file.seek(SeekFrom::Start(*at as u64)).unwrap();
        file.write_all(part).unwrap();
    }
    bytes
}

fn with_threads(threads: usize, folder: &Path) -> (Compressed, Vec<u8>) {
    let zst = folder.join(format!("{threads}.zst"));
    let ranges = [0..14_000, (4 << 20) - 50..(6 << 20), (8 << 20)..(8 << 20) + 10];
    let raw = folder.join("raw");
    let input = CompressInput {
        raw: &raw,
        zst: &zst,
        ranges: &ranges,
    };
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
    (pool.install(|| compress(&input)).unwrap(), fs::read(&zst).unwrap())
}

#[test]
fn any_number_of_threads_gives_the_same_file_and_it_decompresses_to_the_image() {
    let folder = tempfile::tempdir().unwrap();
    let bytes = image(&folder.path().join("raw"));
    let (one, zst) = with_threads(1, folder.path());
    for threads in [2, 5] {
        assert!(with_threads(threads, folder.path()) == (one.clone(), zst.clone()));
    }
    assert!(zstd::stream::decode_all(&zst[..]).unwrap() == bytes);
    let digest = |bytes: &[u8]| FileDigest {
        sha256: Sha256::of(bytes),
        len_bytes: bytes.len() as u64,
    };
    assert_eq!((one.raw, one.zst), (digest(&bytes), digest(&zst)));
    assert!(zst.len() < 3 << 20, "{}", zst.len());
    assert_eq!(one.ranges.len(), 4);
    for range in one.ranges {
        let content = &bytes[range.offset as usize..][..range.len_bytes as usize];
        assert_eq!(range.sha256, Sha256::of(content));
    }
}

#[test]
fn the_seek_table_leads_to_every_frame() {
    let folder = tempfile::tempdir().unwrap();
    let bytes = image(&folder.path().join("raw"));
    let (_, zst) = with_threads(2, folder.path());
    let word = |at: usize| u32::from_le_bytes(zst[at..at + 4].try_into().unwrap()) as usize;
    let footer = zst.len() - 9;
    assert_eq!(word(footer + 5), SEEK_TABLE_END as usize);
    let frames = word(footer);
    let table = footer - frames * 8;
    assert_eq!(
        (word(table - 8), word(table - 4)),
        (SEEK_TABLE_FRAME as usize, frames * 8 + 9)
    );
    let (mut at, mut raw_at) = (0, 0);
    for entry in (table..footer).step_by(8) {
        let (len, raw_len) = (word(entry), word(entry + 4));
        let frame = zstd::bulk::decompress(&zst[at..at + len], raw_len).unwrap();
        assert!(frame == bytes[raw_at..raw_at + raw_len]);
        (at, raw_at) = (at + len, raw_at + raw_len);
    }
    assert_eq!((at, raw_at), (table - 8, bytes.len()));
}

#[test]
fn an_empty_image_and_a_range_beyond_its_end_are_answered() {
    let folder = tempfile::tempdir().unwrap();
    let [raw, zst] = ["raw", "zst"].map(|name| folder.path().join(name));
    fs::write(&raw, b"").unwrap();
    let done = compress(&CompressInput {
        raw: &raw,
        zst: &zst,
        ranges: &[],
    })
    .unwrap();
    assert_eq!(done.raw.sha256, Sha256::of(b""));
    assert!(
        zstd::stream::decode_all(&fs::read(&zst).unwrap()[..])
            .unwrap()
            .is_empty()
    );
    let beyond = [Range { start: 0, end: 1 }];
    assert!(matches!(
        compress(&CompressInput {
            raw: &raw,
            zst: &zst,
            ranges: &beyond
        }),
        Err(ArtifactError::BadRange { image_bytes: 0, .. })
    ));
    let missing = folder.path().join("missing");
    assert!(matches!(
        compress(&CompressInput {
            raw: &missing,
            zst: &zst,
            ranges: &[]
        }),
        Err(ArtifactError::Read { .. })
    ));
}
