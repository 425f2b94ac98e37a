use std::io::Cursor;

use proptest::prelude::*;

use super::*;

/// As `ar` writes a member.
fn member(name: &str, data: &[u8]) -> Vec<u8> {
    let mut bytes = format!("{name:<16}{:<12}{:<6}{:<6}{:<8}{:<10}`\n", 0, 0, 0, 100_644, data.len()).into_bytes();
    bytes.extend_from_slice(data);
    bytes.resize(bytes.len().next_multiple_of(2), b'\n');
    bytes
}

fn archive(members: &[(&str, &[u8])]) -> Vec<u8> {
    let members = members.iter().flat_map(|(name, data)| member(name, data));
    MAGIC.iter().copied().chain(members).collect()
}

fn read(bytes: &[u8]) -> Result<Vec<ArMember>, ArError> {
    read_members(&mut Cursor::new(bytes))
}

#[test]
fn members_of_odd_length_are_followed_by_one_byte_of_padding() {
    let bytes = archive(&[("debian-binary", b"2.0\n"), ("odd/", b"abc"), ("last", b"x")]);
    let members = read(&bytes).unwrap();
    let names: Vec<_> = members.iter().map(|member| member.name.as_str()).collect();
    assert_eq!(names, ["debian-binary", "odd", "last"]);
    assert_eq!(members[1].offset, 8 + 64 + 60);
    assert_eq!(members[2].offset, 8 + 64 + 64 + 60);
    assert_eq!(members[2].len_bytes, 1);
    assert_eq!(read(&bytes[..bytes.len() - 1]).unwrap(), members);
}

#[test]
fn a_file_cut_off_anywhere_is_told_with_its_offset() {
    let bytes = archive(&[("debian-binary", b"2.0\n"), ("data.tar", b"0123456789")]);
    let error = read(&bytes[..bytes.len() - 3]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "member `data.tar` is cut off: 7 of 10 bytes are there, from offset 132 on"
    );
    assert!(matches!(read(&bytes[..100]), Err(ArError::HeaderCutOff { offset: 72 })));
    assert!(matches!(read(&bytes[..5]), Err(ArError::NoArchive)));
    assert!(matches!(read(b""), Err(ArError::NoArchive)));
}

#[test]
fn headers_that_make_no_sense_are_refused() {
    for name in ["", "a b", "//", "#1/20", "a/b/"] {
        let error = read(&archive(&[(name, b"x")])).unwrap_err();
        assert!(matches!(error, ArError::BadHeader { field: "name", .. }), "{name}");
    }
    let mut bytes = archive(&[("x", b"1")]);
    bytes[8 + 48] = b'-';
    assert!(matches!(read(&bytes), Err(ArError::BadHeader { field: "size", .. })));
    bytes[8 + 59] = b' ';
    assert!(matches!(
        read(&bytes),
        Err(ArError::BadHeader { field: "end mark", .. })
    ));
}

#[test]
fn an_archive_of_very_many_members_is_refused() {
    let many = vec![("x", &b""[..]); MAX_MEMBERS + 1];
    assert!(read(&archive(&many[1..])).is_ok());
    assert!(matches!(read(&archive(&many)), Err(ArError::TooManyMembers)));
}

proptest! {
    #[test]
    fn what_is_written_is_read(data in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..8)) {
        let members: Vec<_> = data.iter().map(|data| ("m", data.as_slice())).collect();
        let bytes = archive(&members);
        let read = read(&bytes).unwrap();
        let ranges: Vec<_> = read.iter().map(|m| &bytes[m.offset as usize..][..m.len_bytes as usize]).collect();
        prop_assert_eq!(ranges, data);
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = read(&[&MAGIC[..], &bytes].concat());
    }
}
