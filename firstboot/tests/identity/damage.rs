//! P3 and P4: damage that is found at a boot.

use std::path::Path;

use proptest::prelude::*;
use skerry_firstboot::disk::{Disk, Kind, ModelDisk};
use skerry_firstboot::identity::paths::{AUTHORITIES, CLUSTER, CURRENT, JOINED, KUBECONFIG, PENDING, PKI, SETTINGS};
use skerry_firstboot::identity::{Finding, Home, Identity, Loaded, Remedy};
use skerry_firstboot::join_config::NodeSettings;

use crate::issuer::{BEGIN, Issuer, new_key};
use crate::machine::{World, all_files, assert_kubelet_can_start, blank_disk, joined_disk};

fn put(disk: &ModelDisk, path: &str, content: &[u8]) {
    disk.persist(Path::new(path), content, 0o600).unwrap();
}

fn current_target(disk: &ModelDisk) -> String {
    match disk.metadata(Path::new(CURRENT)).unwrap().kind {
        Kind::Link(target) => target.to_str().unwrap().to_owned(),
        other => panic!("{other:?}"),
    }
}

/// Loads a damaged machine that is expected to be joined still, and checks that a second boot finds nothing to mend.
fn repaired(disk: &ModelDisk) -> (Identity, Vec<Finding>) {
    let found = Home::new(disk).load().unwrap();
    assert_kubelet_can_start(disk);
    let changes = disk.operations().changes;
    let again = Home::new(disk).load().unwrap();
    assert_eq!((&again.state, again.findings.len()), (&found.state, 0));
    assert_eq!(disk.operations().changes, changes);
    // What was mended lasts.
    assert_eq!(Home::new(disk.reboot(0)).load().unwrap(), again);
    match found.state {
        Loaded::Joined(identity) => (*identity, found.findings),
        other => panic!("{other:?} {:?}", found.findings),
    }
}

fn assert_rebuilt(findings: &[Finding], path: &str) {
    assert_eq!(findings.len(), 1, "{findings:?}");
    assert_eq!((findings[0].path.as_str(), findings[0].remedy), (path, Remedy::Rebuilt));
    assert!(findings[0].to_string().contains("made anew from the rest"));
}

#[test]
fn a_file_that_is_empty_gone_or_torn_is_made_again_from_the_rest() {
    let (start, identity) = joined_disk(&Issuer::new("ca"));
    for path in [KUBECONFIG, AUTHORITIES, CLUSTER] {
        let whole = start.read(Path::new(path)).unwrap();
        for damage in [None, Some(&b""[..]), Some(&[0; 300]), Some(&whole[..whole.len() / 2])] {
            let disk = start.reboot(0);
            match damage {
                None => disk.unlink(Path::new(path)).unwrap(),
                Some(content) => put(&disk, path, content),
            }
            let (found, findings) = repaired(&disk);
            assert_eq!(found, identity);
            assert_rebuilt(&findings, path);
            assert_eq!(disk.read(Path::new(path)).unwrap(), whole);
        }
    }
}

#[test]
fn settings_that_cannot_be_read_cost_the_settings_and_not_the_identity() {
    let (disk, identity) = joined_disk(&Issuer::new("ca"));
    put(&disk, SETTINGS, b"version = 1\nname = [");
    let (found, findings) = repaired(&disk);
    assert_eq!(found.settings, NodeSettings::default());
    assert_eq!((found.pair, found.consumed), (identity.pair, identity.consumed));
    assert_eq!((findings.len(), findings[0].remedy), (1, Remedy::Defaults));
    let aside = disk.read(Path::new(&format!("{SETTINGS}.damaged"))).unwrap();
    assert_eq!(aside, b"version = 1\nname = [");
}

#[test]
fn a_lost_record_of_the_join_is_made_from_the_certificate_and_nothing_counts_as_proven() {
    let (disk, identity) = joined_disk(&Issuer::new("ca"));
    put(&disk, JOINED, b"");
    let (found, findings) = repaired(&disk);
    assert_rebuilt(&findings, JOINED);
    assert_eq!((found.node_name, found.pair), (identity.node_name, identity.pair));
    assert_eq!(found.proven, skerry_firstboot::identity::Proven::No);
}

#[test]
fn after_an_unsynced_rotation_the_newest_whole_certificate_is_linked() {
    let issuer = Issuer::new("ca");
    let (disk, identity) = joined_disk(&issuer);
    let rotate = |day: u64, name: &str| {
        let chain = issuer.sign(&identity.pair.key, "system:node:pole-7", BEGIN + day * 86_400);
        let path = format!("{PKI}/kubelet-client-{name}.pem");
        put(
            &disk,
            &path,
            format!("{chain}{}", identity.pair.key.expose()).as_bytes(),
        );
        chain
    };
    // The clock was set back between the two, so that the names lie about which is newer.
    let newest = rotate(20, "2026-03-11-00-00-00");
    rotate(10, "2026-03-12-00-00-00");
    // The last one came back empty, and the link leads to it.
    let torn = format!("{PKI}/kubelet-client-2026-04-01-00-00-00.pem");
    put(&disk, &torn, b"");
    disk.persist_link(Path::new(&torn), Path::new(CURRENT)).unwrap();
    let (found, findings) = repaired(&disk);
    assert_eq!(found.pair.chain, newest);
    assert_rebuilt(&findings, CURRENT);
    assert!(findings[0].wrong.ends_with("and it is empty"), "{}", findings[0].wrong);
    assert_eq!(
        current_target(&disk),
        format!("{PKI}/kubelet-client-2026-03-11-00-00-00.pem")
    );
}

#[test]
fn a_link_that_dangles_or_is_gone_or_leads_elsewhere_is_set_right() {
    let (start, identity) = joined_disk(&Issuer::new("ca"));
    let right = current_target(&start);
    for target in [
        None,
        Some("/nowhere.pem"),
        Some("gone.pem"),
        Some("/var/lib/kubelet/pki/kubelet-client-1.pem"),
    ] {
        let disk = start.reboot(0);
        match target {
            None => disk.unlink(Path::new(CURRENT)).unwrap(),
            Some(target) => disk.persist_link(Path::new(target), Path::new(CURRENT)).unwrap(),
        }
        let (found, findings) = repaired(&disk);
        assert_eq!(found, identity);
        assert_rebuilt(&findings, CURRENT);
        assert_eq!(current_target(&disk), right);
    }
}

#[test]
fn a_relative_link_is_as_good_as_an_absolute_one() {
    let (disk, identity) = joined_disk(&Issuer::new("ca"));
    let name = current_target(&disk).rsplit('/').next().unwrap().to_owned();
    disk.persist_link(Path::new(&name), Path::new(CURRENT)).unwrap();
    let found = Home::new(&disk).load().unwrap();
    assert_eq!(
        (found.state, found.findings),
        (Loaded::Joined(Box::new(identity)), vec![])
    );
}

#[test]
fn a_regular_file_in_the_place_of_the_link_is_set_aside_and_what_it_holds_is_used() {
    let (start, identity) = joined_disk(&Issuer::new("ca"));
    let pem = start.read(Path::new(&current_target(&start))).unwrap();
    for lose_dated in [false, true] {
        let disk = start.reboot(0);
        if lose_dated {
            disk.unlink(Path::new(&current_target(&disk))).unwrap();
        }
        disk.unlink(Path::new(CURRENT)).unwrap();
        put(&disk, CURRENT, &pem);
        let (found, findings) = repaired(&disk);
        assert_eq!(found, identity);
        assert!(findings.iter().all(|finding| finding.path == CURRENT), "{findings:?}");
        assert_eq!(disk.read(Path::new(&current_target(&disk))).unwrap(), pem);
        assert_eq!(disk.read(Path::new(&format!("{CURRENT}.damaged"))).unwrap(), pem);
    }
}

#[test]
fn an_identity_beyond_repair_is_set_aside_whole_and_the_machine_joins_anew() {
    let issuer = Issuer::new("ca");
    let (start, identity) = joined_disk(&issuer);
    let other_key = format!("{}{}", identity.pair.chain, new_key().expose());
    for content in [&b""[..], b"-----BEGIN CERTIFICATE-----\n", other_key.as_bytes()] {
        let disk = start.reboot(0);
        put(&disk, &current_target(&disk), content);
        let found = Home::new(&disk).load().unwrap();
        assert_eq!(found.state, Loaded::Fresh);
        assert!(
            found
                .findings
                .iter()
                .any(|finding| finding.path == CURRENT && finding.wrong.contains("leads to"))
        );
        let set_aside = found
            .findings
            .iter()
            .filter(|finding| finding.remedy == Remedy::SetAside)
            .count();
        assert_eq!(set_aside, 4, "{:?}", found.findings);
        assert!(disk.read(Path::new(&format!("{KUBECONFIG}.damaged"))).is_ok());
        let settled = Home::new(disk.reboot(0)).load().unwrap();
        assert_eq!((settled.state, settled.findings), (Loaded::Fresh, vec![]));
        World::new(&issuer).run(&disk).unwrap();
        assert_kubelet_can_start(&disk);
    }
}

#[test]
fn a_damaged_join_under_way_is_set_aside_and_does_not_touch_the_identity() {
    let issuer = Issuer::new("ca");
    let (start, identity) = joined_disk(&issuer);
    let pending = World::new(&issuer).pending();
    Home::new(&start).remember_key(&pending).unwrap();
    let text = String::from_utf8(start.read(Path::new(PENDING)).unwrap()).unwrap();
    let bad_key = text.replace("BEGIN PRIVATE KEY", "BEGIN PRIVATE PIG");
    for content in ["", &text[..text.len() / 2], &bad_key] {
        let disk = start.reboot(0);
        put(&disk, PENDING, content.as_bytes());
        let (found, findings) = repaired(&disk);
        assert_eq!(found, identity);
        assert_eq!((findings.len(), findings[0].path.as_str()), (1, PENDING));
        assert!(
            !findings[0]
                .to_string()
                .contains(pending.key.expose().lines().nth(1).unwrap())
        );
    }
}

#[test]
fn a_certificate_of_another_node_or_for_another_key_is_not_taken() {
    let issuer = Issuer::new("ca");
    let disk = blank_disk();
    let (home, pending) = (Home::new(&disk), World::new(&issuer).pending());
    home.remember_key(&pending).unwrap();
    let chains = [
        issuer.sign(&pending.key, "system:node:pole-9", BEGIN),
        issuer.sign(&pending.key, "admin", BEGIN),
        issuer.sign(&pending.key, "system:node:", BEGIN),
        issuer.sign(&new_key(), "system:node:pole-7", BEGIN),
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n".into(),
        String::new(),
    ];
    for chain in chains {
        let error = home.remember_certificate(&pending, &chain).unwrap_err();
        assert!(!error.advice().is_empty(), "{error}");
        assert_eq!(home.load().unwrap().state, Loaded::Requested(Box::new(pending.clone())));
    }
}

/// Damages one file in one of the ways in which files are found damaged.
fn damage(disk: &ModelDisk, path: &str, (kind, at): (u8, usize)) {
    let path = Path::new(path);
    let content = disk.read(path).unwrap_or_default();
    let at = at % content.len().max(1);
    disk.unlink(path).unwrap();
    let flip = |mut content: Vec<u8>| {
        content.iter_mut().skip(at).take(1).for_each(|byte| *byte ^= 0x55);
        content
    };
    match kind {
        0 => {}
        1 => disk.create(path, b"", 0o600).unwrap(),
        2 => disk.create(path, &content[..at.min(content.len())], 0o600).unwrap(),
        3 => disk.create(path, &vec![0; content.len()], 0o600).unwrap(),
        4 => disk.create(path, &flip(content), 0o644).unwrap(),
        5 => disk.symlink(Path::new("/var/lib/nowhere"), path).unwrap(),
        6 => disk.make_folder(path, 0o700).unwrap(),
        _ => disk.create(path, b"\xff\xfe nonsense", 0o600).unwrap(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn whatever_is_damaged_the_next_boot_is_calm_and_the_machine_ends_joined(
        damages in prop::collection::vec((any::<prop::sample::Index>(), (0u8..8, any::<usize>())), 1..5),
        with_successor in any::<bool>(),
    ) {
        let issuer = Issuer::new("ca");
        let (disk, _) = joined_disk(&issuer);
        let mut world = World::new(&issuer).with_file("another join file");
        if with_successor {
            let pending = world.pending();
            Home::new(&disk).remember_key(&pending).unwrap();
            let chain = issuer.sign(&pending.key, "system:node:pole-7", BEGIN);
            Home::new(&disk).remember_certificate(&pending, &chain).unwrap();
        }
        for (index, how) in damages {
            let files = all_files(&disk, "/");
            damage(&disk, &index.get(&files).0, how);
        }
        let found = Home::new(&disk).load().unwrap();
        let again = Home::new(&disk).load().unwrap();
        prop_assert_eq!(&again.state, &found.state);
        prop_assert_eq!(again.findings, vec![]);
        // kubelet's client does not look at the authority, so a flipped bit there cannot be told from another authority.
        let identity = world.run(&disk).unwrap();
        prop_assert_eq!(identity.node_name, "pole-7");
    }
}
