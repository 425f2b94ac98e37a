//! P1: the power is cut before every change of the disk, and what was not synced is lost or kept in many combinations.

use proptest::prelude::*;
use skerry_firstboot::disk::ModelDisk;
use skerry_firstboot::identity::{Home, Loaded, Proven};

use crate::issuer::Issuer;
use crate::machine::{TOKEN_SECRET, World, blank_disk, kubelet_pair};

const SEEDS: u64 = 12;

/// How many changes a whole join makes.
fn changes_of_a_join(issuer: &Issuer) -> usize {
    let disk = blank_disk();
    World::new(issuer).run(&disk).unwrap();
    disk.operations().changes
}

/// Lets a machine boot on `disk` and go on to the end; returns whether it had joined when it booted.
fn finishes(world: &mut World<'_>, disk: &ModelDisk) -> bool {
    // Also before anything is repaired, kubelet would not find half an identity.
    kubelet_pair(disk);
    let state = Home::new(disk).load().unwrap().state;
    let identity = world.run(disk).unwrap();
    assert_eq!(identity.proven, Proven::Yes);
    assert!(!identity.must_scrub() && world.medium.is_none());
    assert_eq!(world.posted.len(), 1, "keys for which a request was posted");
    let settled = Home::new(disk.reboot(0)).load().unwrap();
    assert_eq!(settled.state, Loaded::Joined(Box::new(identity)));
    assert_eq!(settled.findings, []);
    matches!(state, Loaded::Joined(_))
}

#[test]
fn a_join_that_is_cut_anywhere_ends_joined_with_one_key_and_without_a_token() {
    let issuer = Issuer::new("ca");
    let total = changes_of_a_join(&issuer);
    let (mut boots, mut already_joined) = (0, 0);
    for cut in 1..=total + 1 {
        let disk = blank_disk();
        let mut world = World::new(&issuer);
        disk.cut_power_at(cut);
        assert_eq!(world.run(&disk).is_ok(), cut > total, "cut at {cut}");
        for seed in 0..SEEDS {
            let mut world = world.clone();
            boots += 1;
            already_joined += usize::from(finishes(&mut world, &disk.reboot(seed)));
        }
    }
    // The cuts fell on both sides of the point of no return.
    assert!(
        already_joined > 0 && already_joined < boots,
        "{already_joined} of {boots}"
    );
}

#[test]
fn damage_is_never_reported_after_a_mere_power_cut() {
    let issuer = Issuer::new("ca");
    for cut in 1..=changes_of_a_join(&issuer) {
        let disk = blank_disk();
        disk.cut_power_at(cut);
        World::new(&issuer).run(&disk).unwrap_err();
        for seed in 0..8 {
            let found = Home::new(disk.reboot(seed)).load().unwrap();
            assert_eq!(found.findings, [], "cut at {cut}, seed {seed}");
        }
    }
}

#[test]
fn no_byte_of_a_token_is_ever_given_to_the_disk() {
    let issuer = Issuer::new("ca");
    let disk = blank_disk();
    let mut world = World::new(&issuer);
    world.run(&disk).unwrap();
    let written = disk.ever_written();
    let holds = |needle: &str| written.windows(needle.len()).any(|part| part == needle.as_bytes());
    assert!(holds("PRIVATE KEY") && holds("abcdef"), "the scan sees what is written");
    assert!(!holds(TOKEN_SECRET));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn however_often_the_power_is_cut_the_join_ends_with_one_key(
        cuts in prop::collection::vec((1usize..60, any::<u64>()), 1..12),
    ) {
        let issuer = Issuer::new("ca");
        let mut world = World::new(&issuer);
        let mut disk = blank_disk();
        for (cut, seed) in cuts {
            disk.cut_power_at(cut);
            let _cut_or_done = world.run(&disk);
            disk = disk.reboot(seed);
        }
        finishes(&mut world, &disk);
    }
}
