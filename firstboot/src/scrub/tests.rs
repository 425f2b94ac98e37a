mod on_real_media;

use std::cell::RefCell;

use super::*;

const FILE: &[u8] = b"token = \"abcdef.0123456789abcdef\"\n";

/// Says what was asked for; the "device" is mounted by linking its file.
#[derive(Debug, Default)]
struct Log {
    log: RefCell<Vec<String>>,
    refuses: Option<nix::libc::c_int>,
}

impl Log {
    fn say(&self, what: &str, access: Option<Access>) -> io::Result<()> {
        self.log.borrow_mut().push(match access {
            Some(access) => format!("{what} {access:?}"),
            None => what.to_owned(),
        });
        match self.refuses {
            Some(code) if access == Some(Access::ReadWrite) => Err(io::Error::from_raw_os_error(code)),
            _ => Ok(()),
        }
    }
}

impl Mounts for Log {
    fn mount(&self, device: &Path, at: &Path, access: Access) -> io::Result<()> {
        self.say("mount", Some(access))?;
        fs::hard_link(device.join("join.toml"), at.join("join.toml"))
    }

    fn unmount(&self, at: &Path) -> io::Result<()> {
        self.say("unmount", None)?;
        match fs::remove_file(at.join("join.toml")) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    fn remount(&self, _: &Path, access: Access) -> io::Result<()> {
        self.say("remount", Some(access))
    }
}

/// A machine with a join file on its EFI partition and the same on a stick.
fn machine() -> (tempfile::TempDir, Trace, Trace) {
    let root = tempfile::tempdir().unwrap();
    for folder in ["efi", "stick", "dev/disk/by-label"] {
        fs::create_dir_all(root.path().join(folder)).unwrap();
    }
    let path = root.path().join("efi/join.toml");
    fs::write(&path, FILE).unwrap();
    fs::write(root.path().join("stick/join.toml"), FILE).unwrap();
    let link = root.path().join("dev/disk/by-label/SKERRY-JOIN");
    std::os::unix::fs::symlink(root.path().join("stick"), link).unwrap();
    let trace = |source| Trace {
        source,
        digest: Digest::of(FILE),
    };
    let stick = Source::UsbStick {
        file: "join.toml".into(),
    };
    (root, trace(Source::EfiPartition { path }), trace(stick))
}

#[test]
fn a_file_on_the_efi_partition_is_overwritten_deleted_and_the_partition_closed_again() {
    let (root, trace, _) = machine();
    let path = root.path().join("efi/join.toml");
    // A second name shows what became of the content.
    let witness = root.path().join("witness");
    fs::hard_link(&path, &witness).unwrap();
    let mounts = Log::default();
    assert_eq!(
        scrub(root.path(), &trace, AfterJoin::Erase, &mounts).unwrap(),
        Scrubbed::Erased
    );
    assert!(!path.exists());
    let left = fs::read(&witness).unwrap();
    assert!(left.len() >= FILE.len() && left.iter().all(|byte| *byte == 0));
    assert_eq!(*mounts.log.borrow(), ["remount ReadWrite", "remount ReadOnly"]);
    assert_eq!(
        scrub(root.path(), &trace, AfterJoin::Erase, &mounts).unwrap(),
        Scrubbed::Gone
    );
}

#[test]
fn a_file_on_a_stick_is_erased_while_it_is_mounted() {
    let (root, _, trace) = machine();
    let mounts = Log::default();
    assert_eq!(
        scrub(root.path(), &trace, AfterJoin::Erase, &mounts).unwrap(),
        Scrubbed::Erased
    );
    let left = fs::read(root.path().join("stick/join.toml")).unwrap();
    assert!(left.iter().all(|byte| *byte == 0));
    assert_eq!(*mounts.log.borrow(), ["unmount", "mount ReadWrite", "unmount"]);
    fs::remove_file(root.path().join("dev/disk/by-label/SKERRY-JOIN")).unwrap();
    let outcome = scrub(root.path(), &trace, AfterJoin::Erase, &mounts).unwrap();
    assert_eq!(outcome, Scrubbed::Kept(Kept::Unplugged));
}

#[test]
fn a_file_that_was_overwritten_before_a_power_cut_is_deleted_at_the_next_try() {
    let (root, trace, _) = machine();
    fs::write(root.path().join("efi/join.toml"), [0; 100]).unwrap();
    assert_eq!(
        scrub(root.path(), &trace, AfterJoin::Erase, &Log::default()).unwrap(),
        Scrubbed::Erased
    );
    assert!(!root.path().join("efi/join.toml").exists());
}

#[test]
fn what_may_not_or_cannot_be_erased_stays_as_it_is() {
    let (root, trace, _) = machine();
    let path = root.path().join("efi/join.toml");
    let kept = |trace: &Trace, after_join| match scrub(root.path(), trace, after_join, &Log::default()).unwrap() {
        Scrubbed::Kept(reason) => reason,
        other => panic!("{other:?}"),
    };
    assert_eq!(kept(&trace, AfterJoin::Keep), Kept::Asked);
    for source in [
        Source::Credential,
        Source::Https {
            url: "https://a".into(),
        },
    ] {
        let trace = Trace {
            source,
            ..trace.clone()
        };
        assert_eq!(kept(&trace, AfterJoin::Erase), Kept::NotAFile);
    }
    fs::write(&path, "a new join file").unwrap();
    assert_eq!(kept(&trace, AfterJoin::Erase), Kept::Changed);
    assert_eq!(fs::read_to_string(&path).unwrap(), "a new join file");
}

#[test]
fn a_medium_that_cannot_be_written_is_told_apart_from_a_broken_one() {
    let (root, on_esp, on_stick) = machine();
    for code in [nix::libc::EROFS, nix::libc::EACCES] {
        let mounts = Log {
            refuses: Some(code),
            ..Log::default()
        };
        for trace in [&on_esp, &on_stick] {
            let outcome = scrub(root.path(), trace, AfterJoin::Erase, &mounts).unwrap();
            assert_eq!(outcome, Scrubbed::Kept(Kept::ReadOnly));
        }
    }
    let mounts = Log {
        refuses: Some(nix::libc::EIO),
        ..Log::default()
    };
    let error = scrub(root.path(), &on_esp, AfterJoin::Erase, &mounts).unwrap_err();
    assert_eq!(error.to_string(), "cannot mount the EFI partition for writing");
    assert_eq!(fs::read(root.path().join("efi/join.toml")).unwrap(), FILE);
}
