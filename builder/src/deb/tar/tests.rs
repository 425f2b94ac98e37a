use proptest::prelude::*;

use super::*;

/// A `ustar` header with its checksum, then the content, padded.
fn entry(kind: u8, name: &str, fields: impl FnOnce(&mut Header), content: &[u8]) -> Vec<u8> {
    let mut header = Header::new_ustar();
    header.set_entry_type(EntryType::new(kind));
    header.as_mut_bytes()[..name.len()].copy_from_slice(name.as_bytes());
    header.set_mode(0o644);
    header.set_uid(0);
    header.set_gid(0);
    header.set_size(content.len() as u64);
    header.set_username("root").unwrap();
    header.set_groupname("root").unwrap();
    header.set_mtime(0);
    fields(&mut header);
    header.set_cksum();
    let mut bytes = header.as_bytes().to_vec();
    bytes.extend_from_slice(content);
    bytes.resize(bytes.len().next_multiple_of(512), 0);
    bytes
}

fn plain(kind: u8, name: &str) -> Vec<u8> {
    entry(kind, name, |_| {}, b"")
}

fn record(key: &str, value: &[u8]) -> Vec<u8> {
    let rest = key.len() + value.len() + 3;
    let len = (1..)
        .map(|digits| rest + digits)
        .find(|len| len.to_string().len() + rest == *len)
        .unwrap();
    [format!("{len} {key}=").as_bytes(), value, b"\n"].concat()
}

fn read(parts: &[Vec<u8>]) -> Result<Vec<(TarEntry, Vec<u8>)>, TarError> {
    let bytes = [parts.concat(), vec![0; 1024]].concat();
    let mut entries = Vec::new();
    read_entries(bytes.as_slice(), &mut |entry, content: &mut dyn Read| {
        let mut bytes = Vec::new();
        content.read_to_end(&mut bytes).unwrap();
        entries.push((entry, bytes));
        Ok::<_, TarError>(())
    })?;
    Ok(entries)
}

fn read_one(parts: &[Vec<u8>]) -> TarEntry {
    let mut entries = read(parts).unwrap();
    assert_eq!(entries.len(), 1);
    entries.remove(0).0
}

fn error(parts: &[Vec<u8>]) -> String {
    read(parts).unwrap_err().to_string()
}

#[test]
fn every_kind_of_entry_is_read() {
    let device = |header: &mut Header| {
        header.set_device_major(1).unwrap();
        header.set_device_minor(3).unwrap();
    };
    let link = |header: &mut Header| header.set_link_name_literal("./usr/bin/x").unwrap();
    let entries = read(&[
        plain(b'5', "./"),
        entry(b'0', "./usr/bin/x", |header| header.set_mode(0o104_755), b"abc"),
        entry(b'1', "/usr/bin/y", link, b""),
        entry(b'2', "z", |header| header.set_link_name_literal("../x y").unwrap(), b""),
        entry(b'3', "dev/null", device, b""),
        entry(b'4', "dev/sda", device, b""),
        plain(b'6', "fifo"),
        plain(0, "old/"),
    ]);
    let entries = entries.unwrap();
    let kinds: Vec<_> = entries
        .iter()
        .map(|(entry, _)| (entry.path.as_str(), &entry.kind))
        .collect();
    let target = TreePath::parse("usr/bin/x").unwrap();
    assert_eq!(
        kinds,
        [
            ("", &TarKind::Dir),
            (
                "usr/bin/x",
                &TarKind::File {
                    offset: 1024,
                    len_bytes: 3
                }
            ),
            ("usr/bin/y", &TarKind::HardLink(target)),
            ("z", &TarKind::Symlink("../x y".to_owned())),
            ("dev/null", &TarKind::CharDevice { major: 1, minor: 3 }),
            ("dev/sda", &TarKind::BlockDevice { major: 1, minor: 3 }),
            ("fifo", &TarKind::Fifo),
            ("old", &TarKind::Dir),
        ]
    );
    assert_eq!((entries[1].0.mode, entries[1].1.as_slice()), (0o4755, &b"abc"[..]));
}

#[test]
fn long_names_are_read_in_gnus_way_and_in_that_of_pax() {
    let path = "d".repeat(150) + "/file";
    let nul = format!("{path}\0");
    let parts = [
        entry(b'K', "././@LongLink", |_| {}, nul.as_bytes()),
        entry(b'L', "x", |_| {}, nul.as_bytes()),
        plain(b'2', "short"),
    ];
    let gnu = read_one(&parts);
    assert_eq!(
        (gnu.path.as_str(), &gnu.kind),
        (path.as_str(), &TarKind::Symlink(path.clone()))
    );
    let records = [record("path", path.as_bytes()), record("linkpath", path.as_bytes())].concat();
    assert_eq!(
        read_one(&[entry(b'x', "PaxHeaders/x", |_| {}, &records), plain(b'2', "short")]),
        gnu
    );
}

#[test]
fn extended_attributes_may_hold_newlines_and_zeros() {
    let value = b"\x01\0\0\x02\n20 path=/evil\n\0";
    let records = [
        record("mtime", b"1.5"),
        record("SCHILY.xattr.security.capability", value),
        record("uname", b"messagebus"),
    ]
    .concat();
    let entry = read_one(&[entry(b'x', "p", |_| {}, &records), plain(b'0', "file")]);
    assert_eq!(entry.xattrs["security.capability"], value);
    assert_eq!(
        (entry.path.as_str(), entry.user.as_str(), entry.group.as_str()),
        ("file", "messagebus", "root")
    );
}

#[test]
fn an_owner_without_a_name_is_told_by_its_id() {
    let fields = |header: &mut Header| {
        header.set_username("").unwrap();
        header.set_uid(2_500_000);
    };
    let entry = read_one(&[entry(b'0', "f", fields, b"")]);
    assert_eq!((entry.user.as_str(), entry.group.as_str()), ("2500000", "root"));
}

#[test]
fn names_that_leave_the_image_are_refused() {
    let bad = "the entry at offset 512 has the path `../etc/passwd`, which cannot be in an image";
    assert_eq!(error(&[plain(b'5', "a"), plain(b'0', "../etc/passwd")]), bad);
    assert!(error(&[plain(b'0', "a/../../b")]).contains("cannot be in an image"));
    assert!(error(&[plain(b'0', "a\x1bb")]).contains(r"`a\x1bb`"));
    let climbing = |header: &mut Header| header.set_link_name_literal("../../x").unwrap();
    assert!(error(&[entry(b'1', "a", climbing, b"")]).contains("link target"));
    assert!(error(&[plain(b'2', "empty-target")]).contains("link target"));
    let latin1 = |header: &mut Header| header.as_mut_bytes()[0] = 0xe9;
    assert!(error(&[entry(b'0', "x", latin1, b"")]).contains(r"`\xe9`"));
}

#[test]
fn what_no_package_has_is_refused() {
    assert!(error(&[plain(b'S', "sparse")]).contains("kind `S`"));
    assert!(error(&[plain(b'V', "volume")]).contains("kind `V`"));
    for (records, expected) in [
        (record("GNU.sparse.major", b"1"), "not supported"),
        (record("SCHILY.acl.access", b"u::rwx"), "not supported"),
        (record("size", b"7"), "bad size"),
        (
            record("SCHILY.xattr.user.big", &[b'x'; 65_537]),
            "bad extended attribute",
        ),
        (b"9 path=x\n0".to_vec(), "malformed"),
        (b"99 path=x\n".to_vec(), "malformed"),
        (b"path".to_vec(), "malformed"),
    ] {
        let error = error(&[entry(b'x', "p", |_| {}, &records), plain(b'0', "file")]);
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn headers_that_describe_nothing_or_the_same_thing_twice_are_refused() {
    let long = || entry(b'L', "x", |_| {}, b"name");
    assert!(error(&[long()]).contains("followed by no entry"));
    assert!(error(&[long(), long(), plain(b'0', "f")]).contains("the second for one entry"));
    let huge = entry(b'L', "x", |_| {}, &vec![b'a'; (MAX_EXTENSION_BYTES + 1) as usize]);
    assert!(error(&[huge]).contains("too long"));
    let comment = entry(b'g', "g", |_| {}, &record("comment", b"0123"));
    assert_eq!(read_one(&[comment, plain(b'0', "f")]).path.as_str(), "f");
    assert!(error(&[entry(b'g', "g", |_| {}, &record("path", b"x")), plain(b'0', "f")]).contains("global"));
}

#[test]
fn a_stream_that_ends_early_is_refused_and_names_the_last_good_entry() {
    let bytes = [plain(b'5', "a"), entry(b'0', "f", |_| {}, &[7; 2000])].concat();
    let mut skip = |_: TarEntry, _: &mut dyn Read| Ok::<_, TarError>(());
    let error = read_entries(&bytes[..1500], &mut skip).unwrap_err();
    assert!(matches!(error, TarError::Stream { offset: 512, .. }), "{error}");
    let mut damaged = bytes;
    damaged[512 + 3] ^= 1;
    let error = read_entries(damaged.as_slice(), &mut skip).unwrap_err();
    assert!(matches!(error, TarError::Stream { offset: 0, .. }), "{error}");
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(kind in any::<u8>(), name in "[ -~]{0,99}", content in prop::collection::vec(any::<u8>(), 0..600)) {
        let _ = read(&[entry(kind, &name, |_| {}, &content), plain(b'0', "f"), content]);
    }

    #[test]
    fn pax_records_survive_a_round_trip(values in prop::collection::btree_map("[a-zA-Z.]{1,200}", prop::collection::vec(any::<u8>(), 0..300), 0..5)) {
        let bytes: Vec<u8> = values.iter().flat_map(|(key, value)| record(key, value)).collect();
        let expected: pax::Records = values.into_iter().map(|(key, value)| (key.into_bytes(), value)).collect();
        prop_assert_eq!(pax::parse(&bytes).unwrap(), expected);
    }
}
