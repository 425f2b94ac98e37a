use std::io::{Read, Seek, SeekFrom, Write};
use std::process::Command;

use super::*;

fn store() -> (tempfile::TempDir, Store) {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    (folder, store)
}

fn put(store: &Store, shelf: Shelf, key: &Sha256, content: &[u8]) -> Result<PathBuf, StoreError> {
    let mut pending = store.pending(shelf, key)?;
    pending.write_all(content).unwrap();
    pending.commit()
}

fn files_below(path: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(path).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(files_below(&path));
        } else {
            files.push(path);
        }
    }
    files
}

#[test]
fn the_root_comes_from_the_first_variable_that_says_something() {
    let root = |values: [Option<&str>; 3]| {
        let [cache, xdg, home] = values.map(|value| value.map(OsStr::new));
        default_root(cache, xdg, home).ok()
    };
    assert_eq!(root([Some("/a"), Some("/b"), Some("/c")]), Some("/a".into()));
    assert_eq!(root([Some("a"), None, None]), Some("a".into()));
    assert_eq!(root([Some(""), Some("/b"), Some("/c")]), Some("/b/skerry".into()));
    assert_eq!(root([None, Some("b"), Some("/c")]), Some("/c/.cache/skerry".into()));
    assert_eq!(root([None, None, Some("")]), None);
}

#[test]
fn content_comes_back_from_every_shelf() {
    let (_folder, store) = store();
    for shelf in Shelf::ALL {
        let key = Sha256::of(b"content");
        assert!(store.get(shelf, &key).is_none());
        let path = put(&store, shelf, &key, b"content").unwrap();
        assert!(path.ends_with(format!("{}/{}/{key}", shelf.name(), &key.to_string()[..2])));
        assert_eq!(store.get(shelf, &key), Some(path));
        assert_eq!(store.read(shelf, &key).unwrap(), b"content");
    }
    assert_eq!(files_below(&store.root().join("tmp")), Vec::<PathBuf>::new());
}

#[test]
fn content_under_another_digest_is_refused_and_leaves_nothing() {
    let (_folder, store) = store();
    let key = Sha256::of(b"expected");
    let error = put(&store, Shelf::Inputs, &key, b"swapped").unwrap_err();
    assert!(
        matches!(&error, StoreError::WrongContent { expected, actual, len_bytes: 7, .. }
        if *expected == key && *actual == Sha256::of(b"swapped"))
    );
    assert!(store.get(Shelf::Inputs, &key).is_none());
    assert_eq!(files_below(&store.root().join("tmp")), Vec::<PathBuf>::new());
}

#[test]
fn a_writer_that_jumps_is_checked_too() {
    let (_folder, store) = store();
    let key = Sha256::of(b"head and tail");
    let mut pending = store.pending(Shelf::Components, &key).unwrap();
    pending.write_all(b"____ and tail").unwrap();
    pending.seek(SeekFrom::Start(0)).unwrap();
    pending.write_all(b"head").unwrap();
    pending.commit().unwrap();
    assert_eq!(store.read(Shelf::Components, &key).unwrap(), b"head and tail");
}

#[test]
fn what_is_not_committed_vanishes() {
    let (_folder, store) = store();
    let key = Sha256::of(b"key");
    let mut pending = store.pending(Shelf::Blocks, &key).unwrap();
    pending.write_all(b"half").unwrap();
    drop(pending);
    assert!(store.get(Shelf::Blocks, &key).is_none());
    assert_eq!(files_below(&store.root().join("tmp")), Vec::<PathBuf>::new());
}

#[test]
fn an_entry_that_a_power_cut_shortened_counts_as_missing_and_is_removed() {
    let (_folder, store) = store();
    let key = Sha256::of(b"key");
    let whole = put(&store, Shelf::Blocks, &key, b"many bytes").unwrap();
    let whole = fs::read(whole).unwrap();
    for len in 0..whole.len() {
        let path = store.entry_path(Shelf::Blocks, &key);
        fs::write(&path, &whole[..len]).unwrap();
        assert!(store.get(Shelf::Blocks, &key).is_none(), "{len} bytes");
        assert!(!path.exists());
    }
    // As long as it should be, but the last block never reached the disk.
    fs::write(store.entry_path(Shelf::Blocks, &key), vec![0; whole.len()]).unwrap();
    assert!(store.get(Shelf::Blocks, &key).is_none());
}

#[test]
fn a_download_continues_where_another_attempt_stopped() {
    let (folder, store) = store();
    let key = Sha256::of(b"first and second");
    let mut pending = store.resume(&key).unwrap().unwrap();
    pending.write_all(b"first and ").unwrap();
    assert!(
        store.resume(&key).unwrap().is_none(),
        "two writers would spoil the file"
    );
    drop(pending);
    drop(store);
    let store = Store::open(folder.path()).unwrap();
    let mut pending = store.resume(&key).unwrap().unwrap();
    assert_eq!(pending.len_bytes().unwrap(), 10);
    pending.write_all(b"second").unwrap();
    pending.commit().unwrap();
    assert_eq!(store.read(Shelf::Inputs, &key).unwrap(), b"first and second");
    assert_eq!(files_below(&store.root().join("partial")), Vec::<PathBuf>::new());
}

#[test]
fn what_dead_processes_left_is_swept_and_what_living_ones_use_is_not() {
    let (folder, living) = store();
    let mut pending = living.pending(Shelf::Builds, &Sha256::of(b"key")).unwrap();
    pending.write_all(b"being written").unwrap();
    let dead = folder.path().join("tmp/dead");
    fs::create_dir(&dead).unwrap();
    fs::write(dead.join("0"), b"half").unwrap();
    let _other = Store::open(folder.path()).unwrap();
    assert!(!dead.exists());
    pending.commit().unwrap();
    assert_eq!(
        living.read(Shelf::Builds, &Sha256::of(b"key")).unwrap(),
        b"being written"
    );
}

#[test]
fn many_writers_and_openers_of_the_same_entry_all_succeed() {
    let (folder, _store) = store();
    let content = vec![7; 100_000];
    let key = Sha256::of(&content);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..8 {
                    let store = Store::open(folder.path()).unwrap();
                    put(&store, Shelf::Inputs, &key, &content).unwrap();
                    assert_eq!(store.read(Shelf::Inputs, &key).unwrap(), content);
                }
            });
        }
    });
    assert_eq!(fs::read_dir(folder.path().join("tmp")).unwrap().count(), 1);
}

#[test]
fn an_imported_file_is_found_by_its_digest() {
    let (_folder, store) = store();
    let scratch = store.scratch().unwrap();
    let program = scratch.path().join("program");
    fs::write(&program, b"program").unwrap();
    let imported = store.import(&program).unwrap();
    assert_eq!((imported.sha256, imported.len_bytes), (Sha256::of(b"program"), 7));
    assert_eq!(store.get(Shelf::Components, &imported.sha256), Some(imported.path));
    let path = scratch.path().to_owned();
    drop(scratch);
    assert!(!path.exists());
}

fn age(store: &Store, shelf: Shelf, key: &Sha256, age: Duration) {
    let file = File::options().append(true).open(store.entry_path(shelf, key)).unwrap();
    file.set_modified(SystemTime::now() - age).unwrap();
}

#[test]
fn pruning_removes_the_least_recently_used_entries() {
    let (_folder, store) = store();
    let keys: Vec<Sha256> = (0u8..4).map(|number| Sha256::of(&[number; 100])).collect();
    for (number, key) in (0u8..4).zip(&keys) {
        put(&store, Shelf::Inputs, key, &[number; 100]).unwrap();
        age(
            &store,
            Shelf::Inputs,
            key,
            Duration::from_secs(86_400 * (4 - u64::from(number))),
        );
    }
    assert_eq!(store.info().unwrap()[&Shelf::Inputs], Usage { entries: 4, bytes: 400 });
    assert!(
        store.get(Shelf::Inputs, &keys[0]).is_some(),
        "the oldest is now the last used"
    );
    let keep = Keep {
        max_age: Some(Duration::from_secs(86_400 * 5 / 2)),
        max_bytes: None,
    };
    assert_eq!(store.prune(keep).unwrap(), Pruned { entries: 1, bytes: 100 });
    let keep = Keep {
        max_age: None,
        max_bytes: Some(250),
    };
    assert_eq!(store.prune(keep).unwrap().entries, 1);
    let left: Vec<bool> = keys.iter().map(|key| store.get(Shelf::Inputs, key).is_some()).collect();
    assert_eq!(left, [true, false, false, true]);
}

#[test]
fn pruning_is_refused_while_somebody_else_has_the_store_open() {
    let (folder, store) = store();
    let other = Store::open(folder.path()).unwrap();
    assert!(matches!(
        store.prune(Keep::default()).unwrap_err(),
        StoreError::Busy { .. }
    ));
    drop(other);
    assert_eq!(store.prune(Keep::default()).unwrap(), Pruned::default());
    // Both have their shared lock again.
    Store::open(folder.path()).unwrap();
}

/// A small file system, unmounted when dropped; `None` where that takes more rights than we have.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    fn mount() -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=256k", "skerry-test"])
            .arg(folder.path())
            .output();
        mounted
            .is_ok_and(|output| output.status.success())
            .then_some(Self(folder))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let unmounted = Command::new("umount").arg("--lazy").arg(self.0.path()).status();
        assert!(unmounted.unwrap().success());
    }
}

#[test]
#[allow(clippy::print_stdout, reason = "a skipped test says so")]
fn a_full_disk_names_the_path_and_leaves_nothing() {
    let Some(disk) = SmallDisk::mount() else {
        println!("skipped: no permission to mount a small file system");
        return;
    };
    let store = Store::open(disk.0.path()).unwrap();
    let content = vec![1; 1 << 20];
    let key = Sha256::of(&content);
    let ways: [&dyn Fn() -> Pending; 2] = [&|| store.pending(Shelf::Inputs, &key).unwrap(), &|| {
        store.resume(&key).unwrap().unwrap()
    }];
    for way in ways {
        let mut pending = way();
        let full = pending.write_all(&content).unwrap_err();
        let error = pending.write_error(full);
        drop(pending);
        let start = format!("cannot write `{}/", disk.0.path().display());
        assert!(error.to_string().starts_with(&start), "{error}");
        assert!(crate::failure::Diagnose::hints(&error)[0].contains("skerry cache prune"));
        assert_eq!(files_below(disk.0.path()), [disk.0.path().join("lock")]);
    }
}

#[test]
fn reading_back_what_is_pending_is_possible() {
    let (_folder, store) = store();
    let mut pending = store.pending(Shelf::Builds, &Sha256::of(b"key")).unwrap();
    pending.write_all(b"superblock last").unwrap();
    pending.seek(SeekFrom::Start(11)).unwrap();
    let mut tail = String::new();
    pending.read_to_string(&mut tail).unwrap();
    assert_eq!(tail, "last");
}
