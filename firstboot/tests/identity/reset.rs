//! P6 and P7: what a change of the system keeps, and what a factory reset wipes.

use std::path::Path;

use skerry_firstboot::disk::{Disk as _, ModelDisk};
use skerry_firstboot::identity::{Digest, Home, IdentityError, Loaded, paths};

use crate::issuer::Issuer;
use crate::machine::{World, all_files, joined_disk};

const FOREIGN: [&str; 3] = [
    "/var/lib/skerry/machine-id",
    "/var/lib/skerry/kubernetes/manifests/static.yaml",
    "/var/lib/kubelet/config",
];

/// A joined machine with a join under way and files of others.
fn full_disk(issuer: &Issuer) -> ModelDisk {
    let (disk, _) = joined_disk(issuer);
    disk.make_folder(Path::new("/var/lib/skerry/kubernetes/manifests"), 0o700)
        .unwrap();
    disk.sync_folder(Path::new(paths::KUBERNETES)).unwrap();
    for path in FOREIGN {
        disk.persist(Path::new(path), b"not ours", 0o644).unwrap();
    }
    for name in [
        "kubelet-client-current.pem.damaged",
        "kubelet-server-2026-01-01-00-00-00.pem",
    ] {
        disk.persist(&Path::new(paths::PKI).join(name), b"a PRIVATE KEY", 0o600)
            .unwrap();
    }
    Home::new(&disk)
        .remember_key(&World::new(issuer).with_file("other").pending())
        .unwrap();
    disk
}

fn assert_wiped(disk: &ModelDisk) {
    let found = Home::new(disk).load().unwrap();
    assert_eq!((found.state, found.findings), (Loaded::Fresh, vec![]));
    let mut left: Vec<_> = all_files(disk, "/").into_iter().map(|(path, _)| path).collect();
    left.sort();
    let mut expected = FOREIGN.map(str::to_owned);
    expected.sort();
    assert_eq!(left, expected);
}

#[test]
fn a_factory_reset_wipes_all_of_the_identity_and_nothing_else() {
    let issuer = Issuer::new("ca");
    let disk = full_disk(&issuer);
    Home::new(&disk).factory_reset().unwrap();
    assert_wiped(&disk.reboot(0));
    // On a machine that has none it is no error, and afterwards a machine can join.
    Home::new(&disk).factory_reset().unwrap();
    World::new(&issuer).run(&disk).unwrap();
}

#[test]
fn a_factory_reset_that_is_cut_is_carried_to_its_end_or_has_not_begun() {
    let issuer = Issuer::new("ca");
    let start = full_disk(&issuer);
    let before = Home::new(&start).load().unwrap().state;
    let whole = start.reboot(0);
    Home::new(&whole).factory_reset().unwrap();
    let mut not_begun = 0;
    for cut in 1..=whole.operations().changes {
        let disk = start.reboot(0);
        disk.cut_power_at(cut);
        Home::new(&disk).factory_reset().unwrap_err();
        for seed in 0..24 {
            let after = disk.reboot(seed);
            if Home::new(&after).load().unwrap().state == before {
                not_begun += 1;
                Home::new(&after).factory_reset().unwrap();
            }
            assert_wiped(&after);
        }
    }
    assert!(not_begun > 0);
}

#[test]
fn a_system_that_was_rolled_back_finds_the_identity_as_the_newer_one_left_it() {
    let (disk, identity) = joined_disk(&Issuer::new("ca"));
    // All of it is on var, which both systems share.
    for (path, _) in all_files(&disk, "/") {
        assert!(
            path.starts_with("/var/lib/skerry/") || path.starts_with("/var/lib/kubelet/"),
            "{path}"
        );
    }
    // A newer program may add keys within the version.
    let text = String::from_utf8(disk.read(Path::new(paths::JOINED)).unwrap()).unwrap();
    let body = format!("added-later = 7\n{}", text.split("# sha256 ").next().unwrap());
    let sealed = format!("{body}# sha256 {}\n", Digest::of(body.as_bytes()));
    disk.persist(Path::new(paths::JOINED), sealed.as_bytes(), 0o600)
        .unwrap();
    let found = Home::new(&disk).load().unwrap();
    assert_eq!(
        (found.state, found.findings),
        (Loaded::Joined(Box::new(identity)), vec![])
    );
}

#[test]
fn files_of_a_newer_version_stop_the_program_before_it_changes_anything() {
    for path in [paths::JOINED, paths::CLUSTER, paths::SETTINGS, paths::PENDING] {
        let (disk, _) = joined_disk(&Issuer::new("ca"));
        let newer = b"version = 2\nnode-name = { first = \"a\" }\n";
        disk.persist(Path::new(path), newer, 0o600).unwrap();
        // Damage beside it is not touched either.
        disk.unlink(Path::new(paths::KUBECONFIG)).unwrap();
        let (before, changes) = (all_files(&disk, "/"), disk.operations().changes);
        let error = Home::new(&disk).load().unwrap_err();
        assert!(matches!(error, IdentityError::Newer { found: 2, .. }), "{error:?}");
        assert!(error.to_string().contains(path) && !error.advice().is_empty());
        assert_eq!(disk.operations().changes, changes);
        assert_eq!(all_files(&disk, "/"), before);
    }
}
