use std::io::SeekFrom;
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;

use super::*;
use crate::deb::archive::tests::{Compression, deb_of, tarball};

/// A cache that is a folder; a pending entry is renamed when it is committed.
struct Folder(PathBuf);

struct Pending {
    file: tempfile::NamedTempFile,
    target: PathBuf,
}

impl Folder {
    fn entry(&self, key: &Sha256) -> PathBuf {
        self.0.join(key.to_string())
    }
}

impl UnpackCache for Folder {
    fn open(&self, key: &Sha256) -> io::Result<Option<File>> {
        match File::open(self.entry(key)) {
            Ok(file) => Ok(Some(file)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn create(&self, key: &Sha256) -> io::Result<Box<dyn PendingFile>> {
        let file = tempfile::NamedTempFile::new_in(&self.0)?;
        Ok(Box::new(Pending {
            file,
            target: self.entry(key),
        }))
    }
}

impl Write for Pending {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        self.file.write(buffer)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Seek for Pending {
    fn seek(&mut self, position: SeekFrom) -> io::Result<u64> {
        self.file.seek(position)
    }
}

impl PendingFile for Pending {
    fn commit(self: Box<Self>) -> io::Result<File> {
        Ok(self.file.persist(&self.target)?)
    }
}

const CONTROL: &str = "Package: demo\nVersion: 1.0-1\nArchitecture: amd64\nDescription: x\n";
const COPYRIGHT: &str = "Format: x\n\nFiles: *\nLicense: MIT\n\nFiles: b\nLicense: Apache-2.0\n";

struct Fixture {
    folder: tempfile::TempDir,
    cache: Folder,
    key: Sha256,
}

impl Fixture {
    fn new(control: &[(u8, &str, &str)], data: &[(u8, &str, &str)], compression: Compression) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let bytes = deb_of(&tarball(control), &tarball(data), compression);
        let key = Sha256::of(&bytes);
        std::fs::write(folder.path().join("demo.deb"), bytes).unwrap();
        let cache = Folder(folder.path().join("cache"));
        std::fs::create_dir(&cache.0).unwrap();
        Self { folder, cache, key }
    }

    fn with_data(data: &[(u8, &str, &str)]) -> Self {
        Self::new(&[(b'0', "./control", CONTROL)], data, Compression::Zstd)
    }

    fn deb(&self) -> PathBuf {
        self.folder.path().join("demo.deb")
    }

    fn unpack(&self) -> Result<UnpackedDeb, DebError> {
        unpack(&self.deb(), &self.key, &self.cache)
    }

    fn error(&self) -> String {
        let message = self.unpack().unwrap_err().to_string();
        assert_eq!(
            std::fs::read_dir(&self.cache.0).unwrap().count(),
            0,
            "nothing is left behind"
        );
        message.replace(&self.deb().display().to_string(), "demo.deb")
    }
}

fn demo() -> Fixture {
    Fixture::new(
        &[
            (b'5', "./", ""),
            (b'0', "./control", CONTROL),
            (b'0', "./conffiles", "/etc/demo.conf\nremove-on-upgrade /etc/old\n"),
            (b'0', "./postinst", "#!/bin/sh\n"),
            (b'0', "./triggers", "# why\nactivate-noawait ldconfig\n\n"),
            (b'0', "./md5sums", "x"),
        ],
        &[
            (b'5', "./", ""),
            (b'5', "./etc/", ""),
            (b'0', "./etc/demo.conf", "a = 1\n"),
            (b'0', "./usr/bin/demo", "program"),
            (b'1', "./usr/bin/again", "./usr/bin/demo"),
            (b'1', "./usr/bin/third", "./usr/bin/again"),
            (b'2', "./usr/bin/link", "demo"),
            (b'0', "./usr/share/doc/demo/copyright", COPYRIGHT),
            (b'0', "./empty", ""),
            (b'5', "./etc/", ""),
        ],
        Compression::Xz,
    )
}

#[test]
fn a_package_is_unpacked_with_all_that_it_says() {
    let unpacked = demo().unpack().unwrap();
    assert_eq!(unpacked.control.name, "demo");
    assert_eq!(unpacked.scripts[&ScriptKind::Postinst].text, "#!/bin/sh\n");
    assert_eq!(
        unpacked.scripts[&ScriptKind::Postinst].sha256,
        Sha256::of(b"#!/bin/sh\n")
    );
    assert_eq!(unpacked.conffiles, [TreePath::parse("etc/demo.conf").unwrap()]);
    assert_eq!(unpacked.triggers, ["activate-noawait ldconfig"]);
    assert_eq!(unpacked.licences, ["Apache-2.0", "MIT"]);
    let paths: Vec<_> = unpacked.entries.iter().map(|entry| entry.path.as_str()).collect();
    let doc = "usr/share/doc/demo/copyright";
    let program = "usr/bin/demo";
    assert_eq!(
        paths,
        [
            "",
            "etc",
            "etc/demo.conf",
            program,
            "usr/bin/again",
            "usr/bin/third",
            "usr/bin/link",
            doc,
            "empty"
        ]
    );
    let Content::File(data) = &unpacked.entries[3].content else {
        panic!("no file")
    };
    assert_eq!(data.read().unwrap(), b"program");
    assert_eq!(data.sha256, Sha256::of(b"program"));
    let hard_link = Content::HardLink(TreePath::parse(program).unwrap());
    assert_eq!(unpacked.entries[4].content, hard_link);
    assert_eq!(unpacked.entries[5].content, hard_link);
    assert_eq!(
        (unpacked.entries[3].user.as_str(), unpacked.entries[3].group.as_str()),
        ("root", "adm")
    );
}

#[test]
fn the_second_time_the_package_itself_is_not_needed() {
    let fixture = demo();
    let first = fixture.unpack().unwrap();
    std::fs::remove_file(fixture.deb()).unwrap();
    assert_eq!(fixture.unpack().unwrap(), first);
}

#[test]
fn a_torn_or_damaged_cache_entry_is_made_anew() {
    let fixture = demo();
    let first = fixture.unpack().unwrap();
    let path = fixture.cache.entry(&fixture.key);
    let good = std::fs::read(&path).unwrap();
    for len in [0, 10, good.len() - 64, good.len() - 1] {
        std::fs::write(&path, &good[..len]).unwrap();
        assert_eq!(fixture.unpack().unwrap(), first);
        assert_eq!(std::fs::read(&path).unwrap(), good);
    }
    let trailer = good.len() as u64 - 64;
    for offset in [trailer - 5, trailer, trailer + 8, trailer + 17, trailer + 40] {
        let file = File::options().write(true).open(&path).unwrap();
        file.write_all_at(b"\xff", offset).unwrap();
        assert_eq!(fixture.unpack().unwrap(), first);
        assert_eq!(std::fs::read(&path).unwrap(), good);
    }
}

#[test]
fn the_same_package_makes_the_same_cache_entry_byte_for_byte() {
    let entry = |fixture: Fixture| {
        fixture.unpack().unwrap();
        Sha256::of(&std::fs::read(fixture.cache.entry(&fixture.key)).unwrap())
    };
    assert_eq!(entry(demo()), entry(demo()));
}

#[test]
fn entries_that_contradict_each_other_are_refused() {
    let error = |data: &[(u8, &str, &str)]| Fixture::with_data(data).error();
    assert_eq!(
        error(&[(b'0', "a", "1"), (b'0', "./a", "2")]),
        "the entry /a of demo.deb is there twice"
    );
    assert_eq!(
        error(&[(b'1', "b", "missing")]),
        "the entry /b of demo.deb is a hard link to nothing that came before it"
    );
    assert_eq!(
        error(&[(b'5', "d", ""), (b'1', "b", "d")]),
        "the entry /b of demo.deb is a hard link to a folder"
    );
    assert_eq!(
        error(&[(b'0', "../../etc/passwd", "x")]),
        "cannot read the member `data.tar.zst` of demo.deb"
    );
}

#[test]
fn a_package_without_a_usable_control_file_is_refused() {
    let error = |control: &[(u8, &str, &str)]| Fixture::new(control, &[], Compression::Gzip).error();
    assert_eq!(error(&[]), "the control file `control` of demo.deb is missing");
    assert_eq!(
        error(&[(b'0', "control", "x\n")]),
        "cannot read the control file of demo.deb"
    );
    let twice = [(b'0', "control", CONTROL), (b'0', "./control", CONTROL)];
    assert_eq!(error(&twice), "the control file `control` of demo.deb appears twice");
    let long = "#".repeat(5 << 20);
    assert_eq!(
        error(&[(b'0', "preinst", &long)]),
        "the control file `preinst` of demo.deb is too long"
    );
}
