use std::io::Cursor;

use proptest::prelude::*;

use super::*;
use crate::squashfs::{NoCache, Settings, write};
use crate::tree::{Content, FileData, Node, Origin, Tree, TreePath};

/// An image with names, links, attributes, several blocks and fragments, but no compressed table: altered bytes reach
/// the parsers and not only zstd.
fn image() -> Vec<u8> {
    let mut tree = Tree::new();
    let mut put = |name: &str, content: Content, xattrs: &[(&str, &[u8])]| {
        let mut stat = Stat::root(0o644);
        stat.xattrs = xattrs
            .iter()
            .map(|(name, value)| ((*name).to_owned(), value.to_vec()))
            .collect();
        let origin = Origin::Package("p".into());
        tree.insert(TreePath::parse(name).unwrap(), Node { stat, content, origin })
            .unwrap();
    };
    let file = |text: String| Content::File(FileData::from_bytes(text.into_bytes()));
    put("f", file("0123456789".repeat(1300)), &[("user.a", b"1")]);
    for number in 0..8 {
        put(&format!("d{number}/e/short"), file(format!("{number}")), &[]);
    }
    put("g", Content::HardLink(TreePath::parse("f").unwrap()), &[]);
    put("l", Content::Symlink("f".into()), &[("security.b", b"22")]);
    put("null", Content::CharDevice { major: 1, minor: 3 }, &[]);
    let settings = Settings {
        block_size: 4096,
        level: 1,
        timestamp: 0,
    };
    let mut out = Cursor::new(Vec::new());
    write(&tree, &settings, &NoCache, &mut out).unwrap();
    out.into_inner()
}

/// Reads all there is; whatever comes, it must come back.
fn read_all(bytes: &[u8]) -> Result<String, ReadError> {
    Image::open(bytes)?.dump()
}

/// The image with its tables stored plain.
fn plain_tables() -> Vec<u8> {
    let mut bytes = image();
    let superblock = *Image::open(&bytes).unwrap().superblock();
    let unpack = |from: u64| {
        let at = from as usize;
        let len = usize::from(u16::from_le_bytes([bytes[at], bytes[at + 1]]));
        match len & 0x8000 {
            0 => zstd::bulk::decompress(&bytes[at + 2..at + 2 + len], 8192).unwrap(),
            _ => bytes[at + 2..at + 2 + (len & 0x7fff)].to_vec(),
        }
    };
    let inodes = unpack(superblock.inode_table);
    let directories = unpack(superblock.directory_table);
    let end = bytes.len() as u64;
    for table in [&inodes, &directories] {
        bytes.extend((0x8000 | table.len() as u16).to_le_bytes());
        bytes.extend(table);
    }
    let moved = Superblock {
        inode_table: end,
        directory_table: end + 2 + inodes.len() as u64,
        bytes_used: bytes.len() as u64,
        ..superblock
    };
    bytes[..96].copy_from_slice(&moved.to_bytes());
    bytes
}

#[test]
fn tables_may_be_stored_plain() {
    assert_eq!(read_all(&plain_tables()).unwrap(), read_all(&image()).unwrap());
}

#[test]
fn every_truncation_is_an_error() {
    let bytes = image();
    let used = Image::open(&bytes).unwrap().superblock().bytes_used as usize;
    for len in (0..used).step_by(13).chain([used - 1]) {
        assert!(read_all(&bytes[..len]).is_err(), "{len}");
    }
}

#[test]
fn a_folder_that_holds_itself_is_refused() {
    let mut bytes = plain_tables();
    let superblock = *Image::open(&bytes).unwrap().superblock();
    let listing = superblock.directory_table as usize + 2;
    let root = superblock.root_inode as u16;
    // The first listing is that of the last folder in path order, and its first entry becomes the root.
    let name_at = bytes[listing..].windows(5).position(|text| text == b"short").unwrap();
    let entry = listing + name_at - 8;
    bytes[entry..entry + 2].copy_from_slice(&root.to_le_bytes());
    bytes[entry + 4..entry + 6].copy_from_slice(&kind::DIR.to_le_bytes());
    let error = read_all(&bytes).unwrap_err().to_string();
    assert!(error.ends_with("has a second name, although it is a folder"), "{error}");
}

#[test]
fn names_that_lead_elsewhere_are_refused() {
    for name in [b"a/b..", b"a\0bcd"] {
        let mut bytes = plain_tables();
        let at = bytes.windows(5).rposition(|text| text == b"short").unwrap();
        bytes[at..at + 5].copy_from_slice(name);
        let error = read_all(&bytes).unwrap_err().to_string();
        assert!(error.ends_with("has an impossible name"), "{error}");
    }
}

#[test]
fn names_and_targets_that_are_no_text_are_read_as_bytes_and_shown_escaped() {
    let mut bytes = plain_tables();
    let at = bytes.windows(5).rposition(|text| text == b"short").unwrap();
    bytes[at..at + 5].copy_from_slice(b"\xff\na\\\xc3");
    let link = bytes.windows(5).rposition(|text| text == b"\x01\0\0\0f").unwrap();
    bytes[link + 4] = 0xfe;
    let image = Image::open(&bytes).unwrap();
    let entries = image.entries().unwrap();
    let odd = entries.iter().find(|entry| entry.path.as_str().is_none()).unwrap();
    assert_eq!(odd.path.as_bytes(), b"d0/e/\xff\na\\\xc3");
    assert_eq!(odd.path.to_string(), "/d0/e/\\xff\\x0aa\\\\xc3");
    let target = b"\xfe".to_vec();
    assert!(
        entries
            .iter()
            .any(|entry| entry.content == EntryContent::Symlink(target.clone()))
    );
    assert_eq!(image.dump().unwrap().lines().count(), entries.len());
}

#[test]
fn what_files_take_adds_up_to_all_blocks_and_shared_content_counts_once() {
    let bytes = image();
    let image = Image::open(&bytes).unwrap();
    let entries = image.entries().unwrap();
    let stored = image.stored_bytes(&entries);
    let of = |path: &str| {
        let index = entries.iter().position(|entry| entry.path.as_str() == Some(path));
        stored[index.unwrap()]
    };
    // All data lies between the compressor's options and the first table.
    let first = superblock::LEN as u64 + superblock::compressor_options(1).len() as u64;
    assert_eq!(stored.iter().sum::<u64>(), image.superblock().inode_table - first);
    assert!(of("f") > of("d7/e/short"), "{stored:?}");
    assert_eq!((of("g"), of("l"), of("d1")), (0, 0, 0));
}

#[test]
fn absurd_lengths_are_refused_before_memory_is_taken() {
    let bytes = image();
    let superblock = *Image::open(&bytes).unwrap().superblock();
    let with = |changed: Superblock| {
        let mut bytes = bytes.clone();
        bytes[..96].copy_from_slice(&changed.to_bytes());
        read_all(&bytes).unwrap_err()
    };
    let fragments = u32::MAX;
    assert!(matches!(
        with(Superblock {
            fragments,
            ..superblock
        }),
        ReadError::Superblock(_)
    ));
    let bytes_used = u64::MAX;
    assert!(matches!(
        with(Superblock {
            bytes_used,
            ..superblock
        }),
        ReadError::Superblock(_)
    ));
    for position in [0, 96, u64::MAX - 1] {
        with(Superblock {
            id_table: position,
            ..superblock
        });
        with(Superblock {
            xattr_table: position,
            ..superblock
        });
        with(Superblock {
            inode_table: position,
            ..superblock
        });
    }
    with(Superblock {
        root_inode: u64::MAX,
        ..superblock
    });
}

#[test]
fn a_long_file_is_not_read_into_memory() {
    let bytes = image();
    let image = Image::open(&bytes).unwrap();
    let entries = image.entries().unwrap();
    let file = entries.iter().find_map(|entry| match &entry.content {
        EntryContent::File(file) if file.len_bytes() == 13_000 => Some(file),
        _ => None,
    });
    let file = file.unwrap();
    assert_eq!(image.read_file(file, 13_000).unwrap(), b"0123456789".repeat(1300));
    assert!(matches!(
        image.read_file(file, 12_999),
        Err(ReadError::FileTooLong { .. })
    ));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn altered_images_never_panic(changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6)) {
        let mut bytes = plain_tables();
        for (at, value) in changes {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        let _ = read_all(&bytes);
    }

    #[test]
    fn altered_tables_never_panic(changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6)) {
        let mut bytes = plain_tables();
        let start = Superblock::from_bytes(bytes.first_chunk().unwrap()).unwrap().inode_table as usize;
        for (at, value) in changes {
            let at = start + at.index(bytes.len() - start);
            bytes[at] = value;
        }
        let _ = read_all(&bytes);
    }
}
