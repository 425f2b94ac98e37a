//! What is decided at a boot: R1 to R5, P5.

use skerry_firstboot::disk::ModelDisk;
use skerry_firstboot::identity::{
    Decision, Digest, Home, Identity, JoinFile, KeyChoice, Loaded, Medium, RenewReason, WaitReason, check_cluster,
    decide,
};
use skerry_firstboot::join_config::{CaPin, JoinConfig, Trust};

use crate::issuer::{BEGIN, Issuer, YEAR, endpoint};
use crate::machine::{NODE, World, config, joined_disk};

const NOW: u64 = BEGIN + 1000;
const EXPIRED: u64 = BEGIN + YEAR + 1;

fn with_file(loaded: &Loaded, config: &JoinConfig, content: &str, node_name: &str) -> Decision {
    let file = JoinFile {
        config,
        digest: Digest::of(content.as_bytes()),
        node_name,
    };
    decide(loaded, Some(&file), NOW)
}

/// An identity whose join file, `used`, has this medium.
fn joined(issuer: &Issuer, medium: Medium) -> Loaded {
    let (_, mut identity) = joined_disk(issuer);
    identity.consumed[0].join_file = Digest::of(b"used");
    identity.consumed[0].medium = medium;
    Loaded::Joined(Box::new(identity))
}

fn identity(loaded: &mut Loaded) -> &mut Identity {
    match loaded {
        Loaded::Joined(identity) => identity,
        other => panic!("{other:?}"),
    }
}

fn renews(decision: Decision) -> RenewReason {
    match decision {
        Decision::RenewIdentity { reason, .. } => reason,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_fresh_machine_waits_for_a_join_file_and_joins_with_a_new_key() {
    let config = config(Trust::UnsafeTokenOnly);
    let reason = WaitReason::NoJoinFile;
    assert_eq!(decide(&Loaded::Fresh, None, NOW), Decision::Wait { reason });
    let key = KeyChoice::New;
    assert_eq!(with_file(&Loaded::Fresh, &config, "new", NODE), Decision::Join { key });
}

#[test]
fn a_key_is_used_again_for_the_same_node_of_the_same_cluster_whatever_the_token() {
    let (issuer, other) = (Issuer::new("ca"), Issuer::new("other"));
    let pending = World::new(&issuer).pending();
    let requested = Loaded::Requested(Box::new(pending));
    let both = Trust::Authorities(format!("{}{}", other.pem(), issuer.pem()));
    let same = [
        Trust::Authorities(issuer.pem()),
        both,
        Trust::Pins(vec![CaPin(other.pin()), CaPin(issuer.pin())]),
        Trust::UnsafeTokenOnly,
    ];
    for trust in same {
        let again = with_file(&requested, &config(trust.clone()), "a file with a fresh token", NODE);
        assert_eq!(
            again,
            Decision::Join {
                key: KeyChoice::Pending
            },
            "{trust:?}"
        );
    }
    let mut elsewhere = config(Trust::UnsafeTokenOnly);
    elsewhere.endpoints = vec![endpoint("other.example.org")];
    let others = [
        (config(Trust::Authorities(other.pem())), NODE),
        (config(Trust::Authorities("no certificate".into())), NODE),
        (config(Trust::Pins(vec![CaPin(other.pin())])), NODE),
        (elsewhere, NODE),
        (config(Trust::Authorities(issuer.pem())), "pole-8"),
    ];
    for (config, name) in others {
        let anew = with_file(&requested, &config, "file", name);
        assert_eq!(
            anew,
            Decision::Join { key: KeyChoice::New },
            "{:?} {name}",
            config.trust
        );
    }
    assert!(matches!(
        decide(&requested, None, NOW),
        Decision::Wait {
            reason: WaitReason::JoinFileGone { .. }
        }
    ));
}

#[test]
fn a_joined_machine_starts_kubelet_and_erases_what_is_still_to_be_erased() {
    let issuer = Issuer::new("ca");
    let config = config(Trust::Authorities(issuer.pem()));
    for medium in [Medium::ToErase, Medium::Erased, Medium::Stays] {
        let loaded = joined(&issuer, medium);
        assert_eq!(decide(&loaded, None, NOW), Decision::StartKubelet);
        let expected = match medium {
            Medium::Stays => Decision::StartKubelet,
            _ => Decision::StartKubeletAndFinishScrub,
        };
        assert_eq!(with_file(&loaded, &config, "used", NODE), expected, "{medium:?}");
        // Other hardware under a name made from it is no other node.
        assert_eq!(with_file(&loaded, &config, "used", "pole-8"), expected, "{medium:?}");
    }
}

#[test]
fn a_clock_that_is_behind_does_no_harm() {
    let loaded = joined(&Issuer::new("ca"), Medium::Erased);
    assert_eq!(decide(&loaded, None, 0), Decision::StartKubelet);
}

#[test]
fn an_expired_certificate_is_renewed_with_any_join_file_and_waits_without() {
    let issuer = Issuer::new("ca");
    let mut loaded = joined(&issuer, Medium::Stays);
    let not_after = BEGIN + YEAR;
    assert_eq!(decide(&loaded, None, not_after), Decision::StartKubelet);
    let reason = WaitReason::CertificateExpired { not_after };
    assert_eq!(decide(&loaded, None, EXPIRED), Decision::Wait { reason });
    let config = config(Trust::Authorities(issuer.pem()));
    for content in ["used", "new"] {
        let file = JoinFile {
            config: &config,
            digest: Digest::of(content.as_bytes()),
            node_name: NODE,
        };
        let reason = RenewReason::CertificateExpired { not_after };
        let key = KeyChoice::New;
        assert_eq!(
            decide(&loaded, Some(&file), EXPIRED),
            Decision::RenewIdentity { reason, key }
        );
    }
    // The key of a renewal that was begun is used again.
    identity(&mut loaded).successor = Some(Box::new(World::new(&issuer).pending()));
    let file = JoinFile {
        config: &config,
        digest: Digest::of(b"used"),
        node_name: NODE,
    };
    let decision = decide(&loaded, Some(&file), EXPIRED);
    assert!(matches!(
        decision,
        Decision::RenewIdentity {
            key: KeyChoice::Pending,
            ..
        }
    ));
}

#[test]
fn a_rotated_authority_is_the_same_cluster_while_the_bundles_overlap() {
    let (old, new) = (Issuer::new("old"), Issuer::new("new"));
    let mut loaded = joined(&old, Medium::Erased);
    let bundle = format!("{}{}", old.pem(), new.pem());
    let both = config(Trust::Authorities(bundle.clone()));
    assert_eq!(renews(with_file(&loaded, &both, "new", NODE)), RenewReason::NewJoinFile);
    let only_new = config(Trust::Authorities(new.pem()));
    assert_eq!(
        renews(with_file(&loaded, &only_new, "new", NODE)),
        RenewReason::OtherCluster
    );
    identity(&mut loaded).cluster.authorities = bundle;
    assert_eq!(
        renews(with_file(&loaded, &only_new, "new", NODE)),
        RenewReason::NewJoinFile
    );
}

#[test]
fn a_new_authority_is_kept_in_all_places_at_once() {
    let (old, new) = (Issuer::new("old"), Issuer::new("new"));
    let (disk, before) = joined_disk(&old);
    let mut cluster = before.cluster.clone();
    cluster.authorities.push_str(&new.pem());
    let total = {
        let disk = disk.reboot(0);
        Home::new(&disk).remember_cluster(&cluster).unwrap();
        assert_eq!(Home::new(&disk).load().unwrap().findings, []);
        disk.operations().changes
    };
    for (cut, seed) in (1..=total).flat_map(|cut| (0..8).map(move |seed| (cut, seed))) {
        let disk = disk.reboot(0);
        disk.cut_power_at(cut);
        Home::new(&disk).remember_cluster(&cluster).unwrap_err();
        let Loaded::Joined(found) = Home::new(disk.reboot(seed)).load().unwrap().state else {
            panic!("not joined any more");
        };
        assert!(found.cluster == cluster || found.cluster == before.cluster);
        assert_eq!(found.pair, before.pair);
    }
    assert!(Home::new(ModelDisk::new()).remember_cluster(&cluster).is_err());
}

#[test]
fn another_name_in_a_new_join_file_is_a_reason_to_join_anew() {
    let issuer = Issuer::new("ca");
    let loaded = joined(&issuer, Medium::Erased);
    let config = config(Trust::Authorities(issuer.pem()));
    let reason = renews(with_file(&loaded, &config, "new", "pole-8"));
    let expected = RenewReason::NodeName {
        from: NODE.into(),
        to: "pole-8".into(),
    };
    assert_eq!(reason, expected);
    assert_eq!(
        reason.to_string(),
        "the join file renames the node from `pole-7` to `pole-8`"
    );
}

#[test]
fn a_cluster_made_anew_at_the_same_address_is_joined_only_if_the_join_file_names_it() {
    let (old, new) = (Issuer::new("old"), Issuer::new("new"));
    let loaded = joined(&old, Medium::Erased);
    let token_only = config(Trust::UnsafeTokenOnly);
    let refused = check_cluster(&loaded, &token_only, &new.cluster()).unwrap_err();
    assert!(refused.to_string().contains("https://api.example.org:6443") && !refused.advice().is_empty());
    // Also when the description names another address than the one that was asked.
    let mut moved = new.cluster();
    moved.server = endpoint("10.0.0.1");
    assert!(check_cluster(&loaded, &token_only, &moved).is_err());
    assert_eq!(check_cluster(&loaded, &token_only, &old.cluster()), Ok(()));
    let pinned = config(Trust::Pins(vec![CaPin(new.pin())]));
    assert_eq!(check_cluster(&loaded, &pinned, &new.cluster()), Ok(()));
    assert_eq!(check_cluster(&Loaded::Fresh, &token_only, &new.cluster()), Ok(()));
    // Another cluster elsewhere is another cluster.
    let mut elsewhere = token_only;
    elsewhere.endpoints = vec![endpoint("other.example.org")];
    assert_eq!(check_cluster(&loaded, &elsewhere, &moved), Ok(()));
}

#[test]
fn a_certificate_that_lies_ready_is_proven_before_anything_else_unless_there_is_a_newer_join_file() {
    let issuer = Issuer::new("ca");
    let mut loaded = joined(&issuer, Medium::Erased);
    let mut successor = World::new(&issuer).pending();
    successor.join_file = Digest::of(b"second");
    let chain = issuer.sign(&successor.key, "system:node:pole-7", BEGIN);
    identity(&mut loaded).successor = Some(Box::new(successor.clone()));
    assert_eq!(decide(&loaded, None, NOW), Decision::StartKubelet);
    successor.certificate = Some(chain);
    identity(&mut loaded).successor = Some(Box::new(successor));
    let config = config(Trust::Authorities(issuer.pem()));
    assert_eq!(decide(&loaded, None, NOW), Decision::ProveSuccessor);
    for content in ["used", "second"] {
        assert_eq!(with_file(&loaded, &config, content, NODE), Decision::ProveSuccessor);
    }
    assert_eq!(
        renews(with_file(&loaded, &config, "third", NODE)),
        RenewReason::NewJoinFile
    );
    assert_ne!(decide(&loaded, None, EXPIRED), Decision::ProveSuccessor);
}

#[test]
fn the_same_file_keeps_its_key_although_the_cluster_calls_itself_by_another_address() {
    let issuer = Issuer::new("ca");
    let mut pending = World::new(&issuer).pending();
    pending.join_file = Digest::of(b"the file");
    pending.cluster.server = endpoint("internal.example.org");
    let requested = Loaded::Requested(Box::new(pending));
    let key = KeyChoice::Pending;
    let unpinned = config(Trust::UnsafeTokenOnly);
    assert_eq!(
        with_file(&requested, &unpinned, "the file", NODE),
        Decision::Join { key }
    );
}
