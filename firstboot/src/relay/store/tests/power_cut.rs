//! The power is cut before every change of the disk, and what was not synced is lost, kept or torn in many combinations.

use proptest::prelude::*;

use super::*;
use crate::relay::store::write::End;

/// Something that is done to a store.
#[derive(Debug, Clone)]
enum Step {
    Put {
        at: (u8, u8),
        seed: u8,
        len: usize,
    },
    Remove((u8, u8)),
    Retain {
        collection: u8,
        below: u8,
    },
    Forget(u8),
    Flush,
    /// The program ends without a flush and starts again.
    Restart,
    /// It ends in the middle of a flush, and starts again: what it wrote is seen, and not synced.
    Crash,
    /// The power is cut this many changes from now on.
    CutAfter(usize),
}

/// A machine whose relay keeps objects, and what it should have kept.
struct Machine {
    disk: ModelDisk,
    store: Store<ModelDisk>,
    /// As programs see it.
    now: Content,
    /// As of the last flush that returned.
    flushed: Content,
    /// What a flush that was cut off would have made of it.
    tried: Option<Content>,
    /// Seed of the next loss.
    seed: u64,
    cuts: usize,
}

impl Machine {
    fn new(seed: u64) -> Self {
        let disk = ModelDisk::new();
        let store = reopen(&disk);
        Self {
            disk,
            store,
            now: Content::new(),
            flushed: Content::new(),
            tried: None,
            seed,
            cuts: 0,
        }
    }

    fn step(&mut self, step: &Step) {
        match *step {
            Step::Put { at, seed, len } => {
                let (collection, object) = names(at);
                let value = value(seed, len);
                if self.store.put(&collection, &object, Digest::of(&value), &value).is_ok() {
                    self.now.insert((collection, object), value);
                }
            }
            Step::Remove(at) => {
                let (collection, object) = names(at);
                self.store.remove(&collection, &object);
                self.now.remove(&(collection, object));
            }
            Step::Retain { collection, below } => {
                let (collection, limit) = names((collection, below));
                self.store.retain(&collection, |object| object < limit.as_str());
                self.now
                    .retain(|(of, object), _| *of != collection || object.is_empty() || *object < limit);
            }
            Step::Forget(collection) => {
                let (collection, _) = names((collection, 0));
                self.store.forget(&collection);
                self.now.retain(|(of, _), _| *of != collection);
            }
            Step::Flush => self.flush(),
            Step::Restart => self.restart(),
            Step::Crash => {
                self.tried = Some(self.now.clone());
                let _written_or_not = self.store.write_behind(End::Commit);
                self.restart();
            }
            Step::CutAfter(changes) => self.disk.cut_power_at(changes),
        }
        while self.disk.is_dead() {
            self.cuts += 1;
            self.seed = self.seed.wrapping_mul(31).wrapping_add(17);
            self.disk = self.disk.reboot(self.seed % 100);
            self.restart();
        }
    }

    fn flush(&mut self) {
        self.tried = Some(self.now.clone());
        match self.store.flush() {
            Ok(_) => self.flushed = self.tried.take().unwrap(),
            Err(_) => assert!(self.disk.is_dead()),
        }
    }

    /// Opens the store: it is as at the last flush, or at the one that was cut off.
    fn restart(&mut self) {
        let (store, findings) = open(&self.disk);
        self.store = store;
        if self.disk.is_dead() {
            return;
        }
        assert!(!findings.iter().any(Finding::is_damage), "{findings:?}");
        self.now = content(&self.store);
        let is_as_tried = self.tried.take().is_some_and(|tried| tried == self.now);
        assert!(
            is_as_tried || self.now == self.flushed,
            "{:?}, not {:?}",
            short(&self.now),
            short(&self.flushed)
        );
        // What was found once is found again.
        self.flushed = self.now.clone();
    }
}

fn names((collection, object): (u8, u8)) -> (String, String) {
    let object = if object == 0 {
        String::new()
    } else {
        format!("o{object}")
    };
    (format!("/c{collection}"), object)
}

/// Values are shown by what they are made of.
fn short(content: &Content) -> Vec<String> {
    let show = |((collection, object), value): (&(String, String), &Vec<u8>)| {
        format!("{collection} {object}: {} times {:?}", value.len(), value.first())
    };
    content.iter().map(show).collect()
}

/// A day of a node, with everything that happens to a store: small and large flushes, and a replaced log.
fn day() -> Vec<Step> {
    let put = |at, seed, len| Step::Put { at, seed, len };
    let mut steps = vec![
        put((0, 0), 1, 20),
        put((0, 1), 1, 3000),
        put((0, 2), 1, 500),
        Step::Flush,
    ];
    // More than waits in memory, in one flush.
    steps.extend((0..5).map(|object| put((1, object), 2, 90_000)));
    steps.extend([put((0, 1), 3, 3100), Step::Flush, Step::Remove((0, 2)), Step::Flush]);
    steps.extend([
        Step::Retain {
            collection: 1,
            below: 2,
        },
        put((2, 1), 4, 10),
        Step::Restart,
    ]);
    // Until most of the log is of no use.
    for seed in 5..9 {
        steps.extend([put((1, 1), seed, 120_000), Step::Flush]);
    }
    steps.extend([
        Step::Forget(1),
        put((1, 1), 10, 70),
        Step::Flush,
        put((0, 1), 11, 100),
        Step::Flush,
    ]);
    steps
}

#[test]
fn a_day_that_is_cut_anywhere_leaves_the_store_as_at_one_of_its_flushes() {
    let mut whole = Machine::new(0);
    day().iter().for_each(|step| whole.step(step));
    let total = whole.disk.operations().changes;
    assert!(total > 40, "{total}");
    for cut in 1..=total {
        for seed in 0..6 {
            let mut machine = Machine::new(seed);
            machine.step(&Step::CutAfter(cut));
            for step in day() {
                machine.step(&step);
            }
            assert!(machine.cuts <= 1);
            machine.step(&Step::Flush);
            let (after, _) = open(&machine.disk.reboot(0));
            assert_eq!(content(&after), machine.now, "cut at {cut}, seed {seed}");
        }
    }
}

#[test]
fn the_second_commit_of_a_large_flush_may_be_lost_without_a_word_of_damage() {
    let disk = ModelDisk::new();
    let mut store = reopen(&disk);
    put(&mut store, PODS, "a", &value(1, 100_000));
    store.flush().unwrap();
    let large = content(&store);
    put(&mut store, PODS, "b", b"b");
    // What is written is not synced any more.
    disk.cut_power_at(2);
    store.flush().unwrap_err();
    let mut seen = [0, 0];
    for seed in 0..600 {
        let (store, findings) = open(&disk.reboot(seed));
        assert!(!findings.iter().any(Finding::is_damage), "seed {seed}: {findings:?}");
        let found = content(&store);
        assert!(found == large || found.len() == 2, "seed {seed}");
        seen[found.len() - 1] += 1;
    }
    assert!(seen[0] > 20 && seen[1] > 20, "{seen:?}");
}

fn step() -> impl Strategy<Value = Step> {
    let at = (0_u8..3, 0_u8..5);
    let len = prop_oneof![4 => 0_usize..300, 2 => 300_usize..6000, 1 => 60_000_usize..200_000];
    prop_oneof![
        8 => (at.clone(), any::<u8>(), len).prop_map(|(at, seed, len)| Step::Put { at, seed, len }),
        2 => at.prop_map(Step::Remove),
        1 => (0_u8..3, 0_u8..5).prop_map(|(collection, below)| Step::Retain { collection, below }),
        1 => (0_u8..3).prop_map(Step::Forget),
        5 => Just(Step::Flush),
        1 => Just(Step::Restart),
        1 => Just(Step::Crash),
        2 => (1_usize..12).prop_map(Step::CutAfter),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn however_often_the_power_is_cut_the_store_is_as_at_the_last_flush_or_the_one_that_was_cut_off(
        steps in prop::collection::vec(step(), 1..60),
        seed in any::<u64>(),
    ) {
        let mut machine = Machine::new(seed);
        for step in &steps {
            machine.step(step);
        }
        machine.step(&Step::Flush);
        let after = machine.disk.reboot(0);
        prop_assert_eq!(content(&open(&after).0), machine.now);
    }
}
