use proptest::prelude::*;

use super::*;

fn entry(path: &str, mode: u16, content: CpioContent) -> CpioEntry {
    CpioEntry {
        path: path.to_owned(),
        mode,
        content,
    }
}

fn entries() -> Vec<CpioEntry> {
    vec![
        entry("dev", 0o755, CpioContent::Dir),
        entry("dev/console", 0o600, CpioContent::CharDevice { major: 5, minor: 1 }),
        entry("init", 0o755, CpioContent::File(b"hello".to_vec())),
        entry("link", 0o777, CpioContent::Symlink("init".to_owned())),
    ]
}

#[test]
fn the_archive_has_these_bytes() {
    let archive = write(&entries()[2..3], 0x65).unwrap();
    let mut golden = Vec::new();
    golden.extend(b"070701");
    golden.extend(b"00000001000081ed0000000000000000000000010000006500000005");
    golden.extend(b"000000000000000000000000000000000000000500000000init\0\0hello\0\0\0");
    golden.extend(b"070701");
    golden.extend(b"00000000000000000000000000000000000000010000000000000000");
    golden.extend(b"000000000000000000000000000000000000000b00000000TRAILER!!!\0");
    golden.resize(512, 0);
    assert_eq!(String::from_utf8_lossy(&archive), String::from_utf8_lossy(&golden));
}

#[test]
fn what_was_written_is_read_back_and_ends_on_a_block() {
    let archive = write(&entries(), 0).unwrap();
    assert_eq!(archive.len() % 512, 0);
    assert_eq!(read(&archive).unwrap(), entries());
}

#[test]
fn an_entry_before_its_folder_is_refused() {
    let error = write(&entries()[1..], 0).unwrap_err();
    assert_eq!(
        error.to_string(),
        "`dev/console` comes before its folder in the initial RAM disk"
    );
    let below_file = [entries()[2].clone(), entry("init/x", 0o644, CpioContent::Dir)];
    assert!(matches!(write(&below_file, 0), Err(CpioError::NoFolder { .. })));
}

#[test]
fn paths_that_are_no_paths_and_paths_that_repeat_are_refused() {
    for path in ["", "/init", "a//b", "../a", "a\0b", "TRAILER!!!"] {
        let entry = entry(path, 0o644, CpioContent::File(Vec::new()));
        assert_eq!(write(&[entry], 0), Err(CpioError::BadPath(path.to_owned())));
    }
    let twice = [entries()[2].clone(), entries()[2].clone()];
    assert_eq!(write(&twice, 0), Err(CpioError::Twice("init".to_owned())));
}

proptest! {
    #[test]
    fn broken_archives_never_panic(at in 0_usize..600, value: u8, len in 0_usize..1024) {
        let mut archive = write(&entries(), 0).unwrap();
        let at = at % archive.len();
        archive[at] = value;
        archive.truncate(len);
        let _ = read(&archive);
    }
}
