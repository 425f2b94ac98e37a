//! A machine that joins anew: the old identity is of use until the new one is proven.

use std::path::Path;

use skerry_firstboot::disk::{Disk as _, ModelDisk};
use skerry_firstboot::identity::paths::PKI;
use skerry_firstboot::identity::{Home, Identity, Loaded, Medium, Proven};

use crate::issuer::{BEGIN, Issuer, public_key};
use crate::machine::{World, all_files, assert_kubelet_can_start, blank_disk, joined_disk, kubelet_pair};

fn loaded(disk: &ModelDisk) -> Identity {
    let found = Home::new(disk).load().unwrap();
    assert_eq!(found.findings, []);
    match found.state {
        Loaded::Joined(identity) => *identity,
        other => panic!("{other:?}"),
    }
}

/// A new join file that renames the node.
fn renaming<'a>(issuer: &'a Issuer) -> World<'a> {
    let mut world = World::new(issuer).with_file("version = 1\n# the second join file\n");
    world.node_name = "pole-8".into();
    world.begin = BEGIN + 86_400;
    world.now = BEGIN + 90_000;
    world
}

#[test]
fn a_cut_at_any_point_leaves_the_old_identity_or_the_new_one_and_the_new_one_wins() {
    let (old_issuer, new_issuer) = (Issuer::new("old"), Issuer::new("new"));
    let (start, old) = joined_disk(&old_issuer);
    let whole = start.reboot(0);
    renaming(&new_issuer).run(&whole).unwrap();
    let total = whole.operations().changes;
    let (mut kept_old, mut had_new) = (0, 0);
    for cut in 1..=total {
        let disk = start.reboot(0);
        let mut world = renaming(&new_issuer);
        disk.cut_power_at(cut);
        world.run(&disk).unwrap_err();
        for seed in 0..10 {
            let after = disk.reboot(seed);
            let found = loaded(&after);
            assert_kubelet_can_start(&after);
            assert_eq!(kubelet_pair(&after), Some(found.pair.clone()));
            if found.node_name == old.node_name {
                assert_eq!((&found.pair, &found.cluster), (&old.pair, &old.cluster));
                kept_old += 1;
            } else {
                assert_eq!((found.node_name.as_str(), found.proven), ("pole-8", Proven::Yes));
                had_new += 1;
            }
            let mut world = world.clone();
            let identity = world.run(&after).unwrap();
            assert_eq!((identity.node_name.as_str(), world.posted.len()), ("pole-8", 1));
            assert_eq!(identity.cluster, new_issuer.cluster());
        }
    }
    assert!(kept_old > 0 && had_new > 0);
}

#[test]
fn of_the_old_identity_nothing_stays_but_the_knowledge_of_its_join_file() {
    let (old_issuer, new_issuer) = (Issuer::new("old"), Issuer::new("new"));
    let (disk, old) = joined_disk(&old_issuer);
    // What kubelet has left there meanwhile.
    for name in ["kubelet-client-2026-05-05-05-05-05.pem", "kubelet.crt", "kubelet.key"] {
        disk.persist(&Path::new(PKI).join(name), b"old", 0o600).unwrap();
    }
    let new = renaming(&new_issuer).run(&disk).unwrap();
    let files = all_files(&disk, PKI);
    let names: Vec<_> = files.iter().map(|(path, _)| path.trim_start_matches(PKI)).collect();
    assert_eq!(
        names,
        ["/kubelet-client-2026-03-02-12-30-45.pem", "/kubelet-client-current.pem"]
    );
    let everything: Vec<u8> = all_files(&disk, "/")
        .into_iter()
        .flat_map(|(_, content)| content)
        .collect();
    let everything = String::from_utf8(everything).unwrap();
    assert!(!everything.contains(old.pair.key.expose().lines().nth(1).unwrap()));
    assert!(!everything.contains(&old_issuer.pem()));
    assert!(new.is_consumed(&old.consumed[0].join_file) && new.consumed.len() == 2);
}

#[test]
fn a_certificate_that_is_not_proven_waits_and_survives_reboots() {
    let (old_issuer, new_issuer) = (Issuer::new("old"), Issuer::new("new"));
    let (disk, old) = joined_disk(&old_issuer);
    let world = renaming(&new_issuer);
    let pending = world.pending();
    let home = Home::new(&disk);
    home.remember_key(&pending).unwrap();
    let chain = new_issuer.sign(&pending.key, "system:node:pole-8", BEGIN);
    home.remember_certificate(&pending, &chain).unwrap();
    for seed in 0..4 {
        let found = loaded(&disk.reboot(seed));
        assert_eq!((found.node_name, found.pair), (old.node_name.clone(), old.pair.clone()));
        let successor = found.successor.unwrap();
        assert_eq!(successor.certificate.as_deref(), Some(chain.as_str()));
        assert_eq!(public_key(&successor.key), public_key(&pending.key));
    }
    // A call with the old certificate says nothing about the new one.
    home.mark_proven(&old.pair.chain).unwrap();
    assert!(loaded(&disk).successor.is_some());
    home.forget_key().unwrap();
    assert_eq!(loaded(&disk), old);
}

#[test]
fn what_kubelet_rotated_to_survives_a_join_whose_end_was_lost() {
    let issuer = Issuer::new("ca");
    let (disk, identity) = joined_disk(&issuer);
    let home = Home::new(&disk);
    let world = World::new(&issuer);
    // As if the removal of the join under way had not been synced: it is found again, long after it was carried out.
    let pending = skerry_firstboot::identity::PendingJoin {
        key: identity.pair.key.clone(),
        certificate: Some(identity.pair.chain.clone()),
        proven: Proven::Yes,
        ..world.pending()
    };
    let rotated = issuer.sign(&identity.pair.key, "system:node:pole-7", BEGIN + 1_000_000);
    let pem = format!("{rotated}{}", identity.pair.key.expose());
    let path = format!("{PKI}/kubelet-client-2026-03-13-02-17-25.pem");
    disk.persist(Path::new(&path), pem.as_bytes(), 0o600).unwrap();
    disk.persist_link(Path::new(&path), Path::new(skerry_firstboot::identity::paths::CURRENT))
        .unwrap();
    home.remember_key(&pending).unwrap();
    let found = loaded(&disk);
    assert_eq!((found.pair.chain, found.successor), (rotated, None));
    assert_kubelet_can_start(&disk);
}

#[test]
fn a_scrub_is_recorded_only_of_a_proven_identity() {
    let issuer = Issuer::new("ca");
    let disk = blank_disk();
    let (world, home) = (World::new(&issuer), Home::new(&disk));
    let pending = world.pending();
    let scrub = || home.mark_scrubbed(world.digest(), Some("abcdef"), Medium::Erased);
    assert!(scrub().is_err());
    home.remember_key(&pending).unwrap();
    let chain = issuer.sign(&pending.key, "system:node:pole-7", BEGIN);
    home.remember_certificate(&pending, &chain).unwrap();
    assert!(scrub().is_err() && loaded(&disk).must_scrub());
    home.mark_proven(&chain).unwrap();
    scrub().unwrap();
    assert!(!loaded(&disk).must_scrub());
}
