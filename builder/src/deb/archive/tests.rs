use std::io::Write as _;

use super::*;

/// How a fixture's member is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::deb) enum Compression {
    None,
    Gzip,
    Xz,
    Zstd,
}

impl Compression {
    pub(in crate::deb) const ALL: [Self; 4] = [Self::None, Self::Gzip, Self::Xz, Self::Zstd];

    fn extension(self) -> &'static str {
        match self {
            Self::None => "",
            Self::Gzip => ".gz",
            Self::Xz => ".xz",
            Self::Zstd => ".zst",
        }
    }

    fn apply(self, bytes: &[u8]) -> Vec<u8> {
        match self {
            Self::None => bytes.to_vec(),
            Self::Gzip => {
                let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
                encoder.write_all(bytes).unwrap();
                encoder.finish().unwrap()
            }
            Self::Xz => {
                let mut encoder = liblzma::write::XzEncoder::new(Vec::new(), 1);
                encoder.write_all(bytes).unwrap();
                encoder.finish().unwrap()
            }
            Self::Zstd => zstd::stream::encode_all(bytes, 1).unwrap(),
        }
    }
}

/// A tar of entries `(kind, path, target or content)`.
pub(in crate::deb) fn tarball(entries: &[(u8, &str, &str)]) -> Vec<u8> {
    let mut builder = ::tar::Builder::new(Vec::new());
    for (kind, path, text) in entries {
        let mut header = ::tar::Header::new_gnu();
        header.set_entry_type(::tar::EntryType::new(*kind));
        header.set_mode(if *kind == b'5' { 0o755 } else { 0o644 });
        header.set_uid(0);
        header.set_gid(0);
        header.set_username("root").unwrap();
        header.set_groupname("adm").unwrap();
        header.as_mut_bytes()[..path.len()].copy_from_slice(path.as_bytes());
        let content = match kind {
            b'1' | b'2' => {
                header.set_link_name_literal(text).unwrap();
                ""
            }
            _ => text,
        };
        header.set_size(content.len() as u64);
        header.set_cksum();
        builder.append(&header, content.as_bytes()).unwrap();
    }
    builder.into_inner().unwrap()
}

/// An `ar` archive of these members.
pub(in crate::deb) fn ar_of(members: &[(String, Vec<u8>)]) -> Vec<u8> {
    let mut bytes = b"!<arch>\n".to_vec();
    for (name, data) in members {
        writeln!(
            bytes,
            "{name:<16}{:<12}{:<6}{:<6}{:<8}{:<10}`",
            0,
            0,
            0,
            100_644,
            data.len()
        )
        .unwrap();
        bytes.extend_from_slice(data);
        bytes.resize(bytes.len().next_multiple_of(2), b'\n');
    }
    bytes
}

/// A whole package of these two tars.
pub(in crate::deb) fn deb_of(control: &[u8], data: &[u8], compression: Compression) -> Vec<u8> {
    let extension = compression.extension();
    ar_of(&[
        ("debian-binary".to_owned(), b"2.0\n".to_vec()),
        (format!("control.tar{extension}"), compression.apply(control)),
        (format!("data.tar{extension}"), compression.apply(data)),
    ])
}

fn open(bytes: &[u8]) -> Result<DebArchive, DebError> {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), bytes).unwrap();
    DebArchive::open(file.path())
}

fn read_data(archive: &DebArchive) -> Result<Vec<String>, DebError> {
    let mut paths = Vec::new();
    archive.read_part(Part::Data, &mut |entry, _| {
        paths.push(entry.path.to_string());
        Ok(())
    })?;
    Ok(paths)
}

#[test]
fn members_are_read_under_every_compression() {
    let data = tarball(&[(b'5', "./", ""), (b'0', "./f", "content")]);
    for compression in Compression::ALL {
        let archive = open(&deb_of(&tarball(&[]), &data, compression)).unwrap();
        assert_eq!(read_data(&archive).unwrap(), ["/", "/f"], "{compression:?}");
        let mut bytes = Vec::new();
        archive.tar(Part::Data).unwrap().read_to_end(&mut bytes).unwrap();
        assert_eq!(bytes, data);
    }
}

#[test]
fn other_members_and_versions_are_told_apart() {
    let member = |name: &str, data: &[u8]| (name.to_owned(), data.to_vec());
    let problem = |members: &[(String, Vec<u8>)]| match open(&ar_of(members)).unwrap_err() {
        DebError::Format { problem, .. } => problem,
        other => panic!("{other}"),
    };
    let version = member("debian-binary", b"2.0\n");
    assert_eq!(
        problem(&[member("x.o", b"")]),
        "the member `x.o` is in the place of `debian-binary`"
    );
    assert_eq!(
        problem(std::slice::from_ref(&version)),
        "the member `control.tar` is missing"
    );
    assert_eq!(
        problem(&[member("debian-binary", b"3.0\n")]),
        "its format version is `3.0` and not 2"
    );
    let tar = tarball(&[]);
    let with_extras = [
        version.clone(),
        member("_gpgbuilder", b"x"),
        member("control.tar", &tar),
        member("data.tar", &tar),
        member("later", b""),
    ];
    assert!(read_data(&open(&ar_of(&with_extras)).unwrap()).unwrap().is_empty());
    let unknown = [version, member("control.tar", &tar), member("data.tar.lzma", &tar)];
    let error = read_data(&open(&ar_of(&unknown)).unwrap()).unwrap_err();
    assert!(
        matches!(error, DebError::Compression { ref member, .. } if member == "data.tar.lzma"),
        "{error}"
    );
}

#[test]
fn damage_is_found_whatever_the_compression() {
    let text: String = (0..20_000_u32)
        .map(|n| char::from(b'a' + (n.wrapping_mul(2_654_435_761) >> 13) as u8 % 26))
        .collect();
    let data = tarball(&[(b'0', "./f", &text)]);
    for compression in [Compression::Gzip, Compression::Xz, Compression::Zstd] {
        let packed = compression.apply(&data);
        let name = format!("data.tar{}", compression.extension());
        let with_data = |packed: &[u8]| {
            let version = ("debian-binary".to_owned(), b"2.0\n".to_vec());
            let control = ("control.tar".to_owned(), tarball(&[]));
            open(&ar_of(&[version, control, (name.clone(), packed.to_vec())])).unwrap()
        };
        let cut = read_data(&with_data(&packed[..packed.len() / 2])).unwrap_err();
        assert!(cut.to_string().contains(&name), "{cut}");
        let without_end = read_data(&with_data(&packed[..packed.len() - 3]));
        assert!(without_end.is_err(), "{compression:?}");
        let mut garbage = packed.clone();
        garbage.extend_from_slice(b"garbage!");
        assert!(read_data(&with_data(&garbage)).is_err(), "{compression:?}");
    }
}

#[test]
fn a_member_that_grows_beyond_all_measure_is_stopped() {
    let mut header = ::tar::Header::new_gnu();
    header.set_path("zeros").unwrap();
    header.set_mode(0o644);
    header.set_uid(0);
    header.set_gid(0);
    header.set_size(1 << 30);
    header.set_cksum();
    let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), 1).unwrap();
    encoder.write_all(header.as_bytes()).unwrap();
    io::copy(&mut io::repeat(0).take(ALWAYS_ALLOWED_BYTES), &mut encoder).unwrap();
    let bomb = encoder.finish().unwrap();
    let members = [
        ("debian-binary".to_owned(), b"2.0\n".to_vec()),
        ("control.tar".to_owned(), tarball(&[])),
        ("data.tar.zst".to_owned(), bomb),
    ];
    let error = read_data(&open(&ar_of(&members)).unwrap()).unwrap_err();
    assert!(
        matches!(
            error,
            DebError::TooLarge {
                limit_bytes: ALWAYS_ALLOWED_BYTES,
                ..
            }
        ),
        "{error}"
    );
}
