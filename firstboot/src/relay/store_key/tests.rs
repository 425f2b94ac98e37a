use std::cell::Cell;
use std::io;

use nix::errno::Errno;
use proptest::prelude::*;

use super::*;
use crate::disk::ModelDisk;

/// A sealer that turns every bit over, in the moods that a TPM has.
struct Fake {
    name: &'static str,
    mood: Cell<Mood>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mood {
    Well,
    Absent,
    Later,
    Unusable,
    Foreign,
}

impl Fake {
    fn new() -> Self {
        Self {
            name: "TPM 2.0",
            mood: Cell::new(Mood::Well),
        }
    }

    fn turn(&self, bytes: &[u8]) -> Result<Vec<u8>, SealError> {
        let sealer = self.name;
        let source = Box::new(io::Error::other("no"));
        Err(match self.mood.get() {
            Mood::Well => return Ok(bytes.iter().map(|byte| !byte).collect()),
            Mood::Absent => SealError::Absent { sealer },
            Mood::Later => SealError::Later { sealer, source },
            Mood::Unusable => SealError::Unusable { sealer, source },
            Mood::Foreign => SealError::Foreign { sealer, source },
        })
    }
}

impl Sealer for Fake {
    fn name(&self) -> &'static str {
        self.name
    }

    fn seal(&self, secret: &[u8]) -> Result<Vec<u8>, SealError> {
        self.turn(secret)
    }

    fn unseal(&self, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, SealError> {
        self.turn(sealed).map(Zeroizing::new)
    }
}

fn file(disk: &ModelDisk) -> String {
    String::from_utf8(disk.read(Path::new(KEY)).unwrap()).unwrap()
}

fn is_same(one: &Obtained, other: &Obtained) -> bool {
    one.key.expose() == other.key.expose()
}

fn is_readable(disk: &ModelDisk, key: &StoreKey) -> bool {
    let written = String::from_utf8_lossy(&disk.ever_written()).into_owned();
    written.contains(&STANDARD.encode(key.expose()))
}

#[test]
fn a_key_is_made_once_and_found_again() {
    for sealer in [None, Some(Fake::new())] {
        let sealer = sealer.as_ref().map(|sealer| sealer as &dyn Sealer);
        let disk = ModelDisk::new();
        let made = obtain(&disk, sealer).unwrap();
        let found = obtain(&disk.reboot(0), sealer).unwrap();
        assert!(is_same(&made, &found));
        assert_eq!((made.findings, found.findings), (Vec::new(), Vec::new()));
        assert_eq!((made.protection, found.protection), (found.protection, made.protection));
        let other = obtain(&ModelDisk::new(), sealer).unwrap();
        assert!(made.key.expose() != other.key.expose());
    }
}

#[test]
fn the_file_says_how_the_key_is_kept_and_a_sealed_key_is_never_readable() {
    let disk = ModelDisk::new();
    let open = obtain(&disk, None).unwrap();
    assert_eq!(open.protection, Protection::Open);
    assert!(file(&disk).starts_with("version = 1\nkey = \""), "{}", file(&disk));
    assert!(is_readable(&disk, &open.key));
    assert_eq!(disk.metadata(Path::new(KEY)).unwrap().mode, 0o600);
    assert_eq!(disk.metadata(Path::new(FOLDER)).unwrap().mode, 0o700);

    let disk = ModelDisk::new();
    let sealed = obtain(&disk, Some(&Fake::new())).unwrap();
    assert_eq!(sealed.protection, Protection::Sealed("TPM 2.0"));
    assert!(file(&disk).starts_with("version = 1\nsealed-by = \"TPM 2.0\"\nkey = \""));
    assert!(!is_readable(&disk, &sealed.key));
}

#[test]
fn a_key_that_will_never_be_unsealed_is_set_aside_and_a_new_one_made() {
    for mood in [Mood::Foreign, Mood::Unusable, Mood::Absent] {
        let (disk, fake) = (ModelDisk::new(), Fake::new());
        let before = obtain(&disk, Some(&fake)).unwrap();
        let text = file(&disk);
        fake.mood.set(mood);
        let after = obtain(&disk, Some(&fake)).unwrap();
        assert!(!is_same(&before, &after));
        assert!(matches!(after.findings[0], KeyFinding::Replaced { .. }), "{mood:?}");
        // The new one lies open for as long as the sealer does not work.
        assert_eq!(after.protection, Protection::Open);
        assert!(matches!(after.findings[1], KeyFinding::NotSealed { .. }));
        let aside = disk.reboot(0).read(Path::new(KEY_SET_ASIDE)).unwrap();
        assert_eq!(aside, text.as_bytes());
    }
}

#[test]
fn a_sealed_key_is_of_no_use_without_its_sealer() {
    let (disk, fake) = (ModelDisk::new(), Fake::new());
    let before = obtain(&disk, Some(&fake)).unwrap();
    let other = Fake {
        name: "secure element",
        ..Fake::new()
    };
    for sealer in [None, Some(&other as &dyn Sealer)] {
        let disk = disk.reboot(1);
        let after = obtain(&disk, sealer).unwrap();
        assert!(!is_same(&before, &after));
        let said = after.findings[0].to_string();
        assert!(said.contains("sealed by a TPM 2.0, which this machine does not have"), "{said}");
    }
}

#[test]
fn a_sealer_that_cannot_answer_now_costs_nothing_but_time() {
    let (disk, fake) = (ModelDisk::new(), Fake::new());
    fake.mood.set(Mood::Later);
    let error = obtain(&disk, Some(&fake)).unwrap_err();
    assert!(matches!(error, KeyError::Later(_)) && !error.advice().is_empty());
    // No open key in the meantime.
    assert!(disk.metadata(Path::new(KEY)).is_err());
    fake.mood.set(Mood::Well);
    let made = obtain(&disk, Some(&fake)).unwrap();
    fake.mood.set(Mood::Later);
    obtain(&disk, Some(&fake)).unwrap_err();
    fake.mood.set(Mood::Well);
    assert!(is_same(&made, &obtain(&disk, Some(&fake)).unwrap()));
}

#[test]
fn a_key_that_lay_open_is_sealed_as_soon_as_the_machine_can() {
    let (disk, fake) = (ModelDisk::new(), Fake::new());
    let open = obtain(&disk, None).unwrap();
    fake.mood.set(Mood::Absent);
    assert_eq!(obtain(&disk, Some(&fake)).unwrap().findings, []);
    fake.mood.set(Mood::Unusable);
    let still = obtain(&disk, Some(&fake)).unwrap();
    assert_eq!(still.protection, Protection::Open);
    assert!(matches!(still.findings[..], [KeyFinding::NotSealed { .. }]));
    fake.mood.set(Mood::Well);
    let sealed = obtain(&disk, Some(&fake)).unwrap();
    assert_eq!(sealed.findings, [KeyFinding::SealedNow { by: "TPM 2.0" }]);
    assert!(is_same(&open, &sealed));
    let again = obtain(&disk.reboot(0), Some(&fake)).unwrap();
    assert_eq!((again.findings, again.protection), (Vec::new(), Protection::Sealed("TPM 2.0")));
}

#[test]
fn a_file_that_was_not_written_whole_or_by_a_newer_system_is_set_aside() {
    let disk = ModelDisk::new();
    obtain(&disk, None).unwrap();
    let text = file(&disk);
    let newer = text.replace("version = 1", "version = 2");
    let newer = newer[..newer.find('#').unwrap()].to_owned();
    let short = to_sealed_text(&Record {
        sealed_by: None,
        key: STANDARD.encode([1; 31]),
    });
    for wrong in [text[..40].to_owned(), String::new(), newer, short.unwrap()] {
        let disk = disk.reboot(1);
        disk.persist(Path::new(KEY), wrong.as_bytes(), 0o600).unwrap();
        let made = obtain(&disk, None).unwrap();
        assert!(matches!(made.findings[..], [KeyFinding::Replaced { .. }]), "{wrong}");
        assert!(is_same(&made, &obtain(&disk, None).unwrap()));
    }
    disk.unlink(Path::new(KEY)).unwrap();
    disk.symlink(Path::new("/etc/passwd"), Path::new(KEY)).unwrap();
    let made = obtain(&disk, None).unwrap();
    assert!(made.findings[0].to_string().contains("it is no file"));
}

#[test]
fn a_key_is_made_whole_wherever_the_power_is_cut() {
    let fake = Fake::new();
    for sealer in [None, Some(&fake as &dyn Sealer)] {
        for cut in 1.. {
            let disk = ModelDisk::new();
            disk.cut_power_at(cut);
            let made = obtain(&disk, sealer);
            for seed in 0..20 {
                let after = obtain(&disk.reboot(seed), sealer).unwrap();
                assert_eq!(after.findings, [], "cut at {cut}, seed {seed}");
                assert!(made.as_ref().is_ok_and(|made| is_same(made, &after)) || made.is_err());
            }
            if made.is_ok() {
                break;
            }
        }
    }
}

#[test]
fn a_disk_that_fails_is_an_error_and_not_another_key() {
    let disk = ModelDisk::new();
    let made = obtain(&disk, None).unwrap();
    disk.cut_power_at(1);
    disk.unlink(Path::new("/x")).unwrap_err();
    assert!(matches!(obtain(&disk, None), Err(KeyError::Disk { .. })));
    assert!(is_same(&made, &obtain(&disk.reboot(0), None).unwrap()));
    let full = ModelDisk::new();
    full.fail_from(1, Errno::ENOSPC);
    let error = obtain(&full, None).unwrap_err();
    assert_eq!(error.advice(), "free some space on /var");
}

#[test]
fn a_key_is_never_shown() {
    let key = StoreKey::new([0xab; KEY_LEN]);
    let obtained = Obtained {
        key,
        protection: Protection::Open,
        findings: Vec::new(),
    };
    let shown = format!("{obtained:?} {obtained:#?}");
    assert!(!shown.contains("ab") && !shown.contains("171"), "{shown}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn any_bytes_in_the_file_are_refused_and_the_next_key_is_good(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let disk = ModelDisk::new();
        obtain(&disk, None).unwrap();
        disk.persist(Path::new(KEY), &bytes, 0o600).unwrap();
        let made = obtain(&disk, Some(&Fake::new())).unwrap();
        prop_assert!(matches!(made.findings[..], [KeyFinding::Replaced { .. }]));
        prop_assert!(is_same(&made, &obtain(&disk, Some(&Fake::new())).unwrap()));
    }
}
