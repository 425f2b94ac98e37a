//! The log is not what was written: by decay, by somebody's hand, or from another machine or time.

use proptest::prelude::*;

use super::*;
use crate::relay::store::seal::{HEAD_LEN, RECORD_MAGIC};
use crate::relay::store::{SET_ASIDE, Wrong};

/// A log with three flushes, and what the store held after each.
fn history() -> (Vec<u8>, Vec<Content>) {
    let disk = ModelDisk::new();
    let mut store = reopen(&disk);
    let mut states = vec![Content::new()];
    for round in 0..3_u8 {
        put(&mut store, PODS, "", &[round; 30]);
        put(&mut store, PODS, "a", &[round; 60]);
        put(&mut store, PODS, &round.to_string(), &[round; 20]);
        store.flush().unwrap();
        states.push(content(&store));
    }
    (log_of(&disk), states)
}

/// All values that an object ever had.
fn is_old_or_new(found: &Content, states: &[Content]) -> bool {
    found
        .iter()
        .all(|(key, value)| states.iter().any(|state| state.get(key) == Some(value)))
}

#[test]
fn a_flipped_byte_anywhere_makes_objects_old_or_lost_but_never_wrong_and_is_said() {
    let (log, states) = history();
    let newest = states.last().unwrap();
    for byte in 0..log.len() {
        let mut flipped = log.clone();
        flipped[byte] ^= 0x10;
        let disk = with_log(&flipped);
        let (store, findings) = open(&disk);
        let found = content(&store);
        assert!(is_old_or_new(&found, &states), "byte {byte}: {found:?}");
        assert!(!findings.is_empty(), "byte {byte}");
        if byte >= HEAD_LEN {
            assert!(found.len() >= newest.len() - 1, "byte {byte}: {found:?}");
        }
        // It is said once, and nothing is lost by it that was not lost before.
        assert_eq!(content(&reopen(&disk)), found, "byte {byte}");
    }
}

#[test]
fn damage_to_one_object_of_a_large_flush_costs_that_object_alone() {
    let disk = ModelDisk::new();
    let mut store = reopen(&disk);
    for object in 0..100_u8 {
        put(&mut store, PODS, &object.to_string(), &value(object, 1000));
    }
    store.flush().unwrap();
    let whole = content(&store);
    let log = log_of(&disk);
    for byte in (HEAD_LEN..log.len() - 200).step_by(997) {
        let mut flipped = log.clone();
        flipped[byte] ^= 1;
        let (store, findings) = open(&with_log(&flipped));
        let found = content(&store);
        assert!(matches!(findings[..], [Finding::Damaged { .. }]), "{findings:?}");
        // The tag of a record is needed by the next one as well.
        assert!(found.len() >= 98, "byte {byte}: {}", found.len());
        assert!(is_old_or_new(&found, std::slice::from_ref(&whole)));
    }
}

#[test]
fn a_log_that_is_cut_off_anywhere_is_as_at_one_of_its_flushes() {
    let (log, states) = history();
    for len in 0..log.len() {
        let (store, findings) = open(&with_log(&log[..len]));
        let found = content(&store);
        assert!(states.contains(&found), "{len}");
        let is_damage = findings.iter().any(Finding::is_damage);
        assert_eq!(is_damage, len < HEAD_LEN, "{len}: {findings:?}");
    }
}

#[test]
fn the_log_of_another_key_or_version_or_no_log_is_set_aside_and_a_new_one_begun() {
    let (log, _) = history();
    let mut newer = log.clone();
    newer[8] = 2;
    let cases = [
        (log.clone(), StoreKey::new([8; 32]), Wrong::OtherKey),
        (newer, key(), Wrong::Version(2)),
        (b"something else".repeat(20), key(), Wrong::NoLog),
        (Vec::new(), key(), Wrong::NoLog),
        (vec![0; 4096], key(), Wrong::NoLog),
    ];
    for (log, key, wrong) in cases {
        let disk = with_log(&log);
        let (mut store, findings) = Store::open(disk.clone(), key.clone(), Limits::default());
        assert_eq!(findings, [Finding::SetAside { wrong }]);
        assert!(findings[0].to_string().contains(SET_ASIDE));
        assert_eq!(content(&store).len(), 0);
        assert_eq!(disk.read(Path::new(SET_ASIDE)).unwrap(), log);
        put(&mut store, PODS, "a", b"a");
        store.flush().unwrap();
        let (again, findings) = Store::open(disk.reboot(0), key, Limits::default());
        assert_eq!((content(&again).len(), findings), (1, Vec::new()));
    }
}

#[test]
fn a_folder_or_link_in_the_place_of_the_log_is_set_aside() {
    let disk = ModelDisk::new();
    drop(open(&disk));
    disk.unlink(Path::new(LOG)).unwrap();
    disk.symlink(Path::new("/etc/passwd"), Path::new(LOG)).unwrap();
    let (mut store, findings) = open(&disk);
    assert_eq!(findings, [Finding::SetAside { wrong: Wrong::NoFile }]);
    put(&mut store, PODS, "a", b"a");
    store.flush().unwrap();
    assert_eq!(content(&reopen(&disk)).len(), 1);
}

/// Two logs that have their beginning in common: one flush, then on each another one of the same length.
fn fork() -> (Vec<u8>, Vec<u8>, usize) {
    let disk = ModelDisk::new();
    let mut store = reopen(&disk);
    put(&mut store, PODS, "a", b"first");
    store.flush().unwrap();
    let common = log_of(&disk);
    let mut ends = [b"older", b"newer"].map(|text| {
        let disk = with_log(&common);
        let mut store = reopen(&disk);
        put(&mut store, PODS, "a", text);
        put(&mut store, PODS, text.escape_ascii().to_string().as_str(), b"x");
        store.flush().unwrap();
        put(&mut store, PODS, "after", text);
        store.flush().unwrap();
        log_of(&disk)
    });
    assert_eq!(ends[0].len(), ends[1].len());
    (std::mem::take(&mut ends[0]), std::mem::take(&mut ends[1]), common.len())
}

#[test]
fn the_end_of_an_older_log_behind_a_newer_one_is_dropped() {
    let (older, newer, common) = fork();
    let expected = content(&open(&with_log(&newer)).0);
    let (store, findings) = open(&with_log(&[&newer[..], &older[common..]].concat()));
    assert_eq!(content(&store), expected);
    assert!(matches!(findings[..], [Finding::Torn { .. }]), "{findings:?}");
}

#[test]
fn an_older_log_and_a_newer_one_are_not_mixed_without_a_word() {
    let (older, newer, common) = fork();
    let states = |log: &[u8]| {
        let lens = common..=log.len();
        lens.map(|len| content(&open(&with_log(&log[..len])).0))
            .collect::<Vec<_>>()
    };
    let states = [states(&older), states(&newer)].concat();
    let mut told = 0;
    for begin in common..newer.len() {
        let mixed = [&newer[..begin], &older[begin..]].concat();
        let (store, findings) = open(&with_log(&mixed));
        let found = content(&store);
        assert!(is_old_or_new(&found, &states), "from {begin}: {found:?}");
        let is_said = findings.iter().any(Finding::is_damage);
        assert!(
            is_said || states.contains(&found),
            "from {begin}: {found:?} {findings:?}"
        );
        told += usize::from(is_said);
    }
    assert!(told > 100, "{told}");
}

#[test]
fn records_of_a_log_before_it_was_replaced_do_not_fit_into_the_new_one() {
    let disk = ModelDisk::new();
    let mut store = reopen(&disk);
    put(&mut store, PODS, "a", b"before");
    store.flush().unwrap();
    let before = log_of(&disk);
    store.rewrite().unwrap();
    let after = log_of(&disk);
    let mixed = [&after[..HEAD_LEN], &before[HEAD_LEN..]].concat();
    let (store, findings) = open(&with_log(&mixed));
    assert_eq!(content(&store).len(), 0);
    assert!(matches!(findings[..], [Finding::Torn { .. }]), "{findings:?}");
}

#[test]
fn records_that_changed_places_are_damage() {
    let disk = ModelDisk::new();
    let mut store = reopen(&disk);
    for object in ["a", "b", "c"] {
        put(&mut store, PODS, object, b"value");
    }
    store.flush().unwrap();
    put(&mut store, PODS, "d", b"value");
    store.flush().unwrap();
    let mut log = log_of(&disk);
    let starts: Vec<usize> = (0..log.len())
        .filter(|start| log[*start..].starts_with(&RECORD_MAGIC))
        .collect();
    // Behind the two commits of an empty log.
    let (first, second) = (starts[2], starts[3]);
    let len = second - first;
    let (one, other) = log[first..].split_at_mut(len);
    one.swap_with_slice(&mut other[..len]);
    let (store, findings) = open(&with_log(&log));
    let names: Vec<_> = store.entries(PODS).map(|(object, _)| object.to_owned()).collect();
    assert_eq!(names, ["d"]);
    assert!(matches!(findings[..], [Finding::Damaged { .. }]), "{findings:?}");
}

#[test]
fn an_object_that_decays_while_the_store_is_open_is_an_error_and_then_dropped() {
    let disk = ModelDisk::new();
    let mut store = reopen(&disk);
    put(&mut store, PODS, "a", &value(1, 1000));
    put(&mut store, PODS, "b", &value(2, 1000));
    store.flush().unwrap();
    let mut log = log_of(&disk);
    let middle = log.len() - 500;
    log[middle] ^= 1;
    disk.create(Path::new(LOG), &log, 0o600).unwrap();
    assert!(store.get(PODS, "b").is_err());
    store.rewrite().unwrap();
    let findings = store.take_findings();
    assert!(matches!(&findings[..], [Finding::Lost { object, .. }] if object == "b"));
    assert!(findings[0].is_damage());
    assert_eq!(content(&store).len(), 1);
    assert_eq!(content(&reopen(&disk)).len(), 1);
}

#[test]
fn a_log_full_of_what_only_looks_like_records_is_given_up_in_time() {
    let (log, states) = history();
    // Each claims to go on to the end of the file.
    let mut hostile = log.clone();
    let len = 2 << 20;
    while hostile.len() < log.len() + len {
        let rest = log.len() + len - hostile.len();
        hostile.extend_from_slice(&RECORD_MAGIC);
        hostile.extend_from_slice(&u32::try_from(rest).unwrap().saturating_sub(20).to_le_bytes());
    }
    let begin = std::time::Instant::now();
    let (store, _) = open(&with_log(&hostile));
    assert_eq!(content(&store), *states.last().unwrap());
    // All of them would take hours.
    assert!(begin.elapsed() < std::time::Duration::from_secs(60));
}

/// Something that happens to a file.
#[derive(Debug, Clone)]
enum Harm {
    Flip(prop::sample::Index, u8),
    Cut(prop::sample::Index),
    Copy(prop::sample::Index, prop::sample::Index, usize),
    Insert(prop::sample::Index, Vec<u8>),
    Remove(prop::sample::Index, usize),
}

fn harm() -> impl Strategy<Value = Harm> {
    let place = any::<prop::sample::Index>;
    prop_oneof![
        3 => (place(), 1_u8..).prop_map(|(at, bits)| Harm::Flip(at, bits)),
        1 => place().prop_map(Harm::Cut),
        2 => (place(), place(), 1_usize..300).prop_map(|(from, to, len)| Harm::Copy(from, to, len)),
        1 => (place(), prop::collection::vec(any::<u8>(), 1..200)).prop_map(|(at, bytes)| Harm::Insert(at, bytes)),
        1 => (place(), 1_usize..300).prop_map(|(at, len)| Harm::Remove(at, len)),
    ]
}

fn apply(harm: &Harm, log: &mut Vec<u8>) {
    if log.is_empty() {
        return;
    }
    match harm {
        Harm::Flip(at, bits) => {
            let at = at.index(log.len());
            log[at] ^= bits;
        }
        Harm::Cut(at) => log.truncate(at.index(log.len())),
        Harm::Copy(from, to, len) => {
            let (from, to) = (from.index(log.len()), to.index(log.len()));
            let len = (*len).min(log.len() - from.max(to));
            log.copy_within(from..from + len, to);
        }
        Harm::Insert(at, bytes) => {
            let at = at.index(log.len());
            log.splice(at..at, bytes.iter().copied());
        }
        Harm::Remove(at, len) => {
            let at = at.index(log.len());
            let end = (at + len).min(log.len());
            log.drain(at..end);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn whatever_is_done_to_the_log_no_object_has_a_value_that_it_never_had(
        harms in prop::collection::vec(harm(), 1..6),
    ) {
        let (mut log, states) = history();
        harms.iter().for_each(|harm| apply(harm, &mut log));
        let disk = with_log(&log);
        let (mut store, _) = open(&disk);
        let found = content(&store);
        prop_assert!(is_old_or_new(&found, &states), "{:?}", found);
        // And it goes on from there.
        put(&mut store, PODS, "new", b"new");
        store.flush().unwrap();
        let again = content(&reopen(&disk.reboot(0)));
        prop_assert_eq!(again.len(), found.len() + 1);
    }
}
