//! What the files are like: names, modes, forms; and what a boot costs.

use std::path::Path;

use proptest::prelude::*;
use skerry_firstboot::disk::{Disk, Kind, RealDisk};
use skerry_firstboot::identity::paths::{AUTHORITIES, CURRENT, FOLDERS_OF_A_JOIN, KUBECONFIG, PKI};
use skerry_firstboot::identity::{Home, Loaded, Pair, PairError};
use skerry_firstboot::secret::Secret;

use crate::issuer::{BEGIN, Issuer, new_key};
use crate::machine::{NODE, World, all_files, joined_disk};

/// Certificate and key in kubelet's own form (SEC 1), made by openssl: `ecparam -name prime256v1 -genkey -noout`,
/// `req -x509 -subj "/O=system:nodes/CN=system:node:pole-7" -days 36500`.
const KUBELET_FORM: &str = include_str!("kubelet-form.pem");

#[test]
fn a_boot_of_a_joined_machine_reads_some_small_files_and_changes_nothing() {
    let (disk, identity) = joined_disk(&Issuer::new("ca"));
    let found = Home::new(&disk).load().unwrap();
    assert_eq!(
        (found.state, found.findings),
        (Loaded::Joined(Box::new(identity)), vec![])
    );
    let operations = disk.operations();
    // Each is one or two system calls on a few kilobytes; there is no sync, and nothing here knows a network.
    assert_eq!(operations.changes, 0);
    assert!(operations.reads <= 40, "{operations:?}");
    let bytes: usize = all_files(&disk, "/").iter().map(|(_, content)| content.len()).sum();
    assert!(bytes < 16 << 10, "{bytes}");
}

#[test]
fn keys_and_folders_are_for_root_alone_and_the_authority_is_for_all() {
    let root = tempfile::tempdir().unwrap();
    let disk = RealDisk::new(root.path());
    let issuer = Issuer::new("ca");
    let (home, pending) = (Home::new(&disk), World::new(&issuer).pending());
    home.remember_key(&pending).unwrap();
    let chain = issuer.sign(&pending.key, "system:node:pole-7", BEGIN);
    let found = home.remember_certificate(&pending, &chain).unwrap();
    home.mark_proven(&chain).unwrap();
    assert!(matches!(found.state, Loaded::Joined(_)));
    let files = all_files(&disk, "/");
    assert_eq!(files.len(), 7, "{files:?}");
    for (path, _) in files {
        let found = disk.metadata(Path::new(&path)).unwrap();
        match found.kind {
            Kind::Link(_) => assert_eq!(path, CURRENT),
            _ if path == AUTHORITIES => assert_eq!(found.mode, 0o644),
            _ => assert_eq!(found.mode, 0o600, "{path}"),
        }
    }
    for folder in FOLDERS_OF_A_JOIN {
        assert_eq!(disk.metadata(Path::new(folder)).unwrap().mode, 0o700, "{folder}");
    }
}

#[test]
fn the_certificate_has_kubelets_name_link_and_order() {
    let (disk, identity) = joined_disk(&Issuer::new("ca"));
    let path = format!("{PKI}/kubelet-client-2026-03-01-12-30-45.pem");
    // kubelet makes the target absolute, too.
    assert_eq!(
        disk.metadata(Path::new(CURRENT)).unwrap().kind,
        Kind::Link(path.clone().into())
    );
    let text = String::from_utf8(disk.read(Path::new(&path)).unwrap()).unwrap();
    assert_eq!(text, format!("{}{}", identity.pair.chain, identity.pair.key.expose()));
    let labels: Vec<_> = text.lines().filter(|line| line.starts_with("-----BEGIN")).collect();
    assert_eq!(labels, ["-----BEGIN CERTIFICATE-----", "-----BEGIN PRIVATE KEY-----"]);
    let kubeconfig = String::from_utf8(disk.read(Path::new(KUBECONFIG)).unwrap()).unwrap();
    assert!(kubeconfig.contains("    server: \"https://api.example.org:6443\"\n"));
}

#[test]
fn a_pair_in_the_form_that_kubelet_writes_is_read() {
    let pair = Pair::parse(KUBELET_FORM.as_bytes()).unwrap();
    assert_eq!(pair.leaf.node_name, NODE);
    assert!(pair.leaf.not_before < pair.leaf.not_after);
    assert_eq!(pair.to_pem().expose(), KUBELET_FORM);
    // Also if the key comes first.
    let turned = format!("{}{}", pair.key.expose(), pair.chain);
    assert_eq!(Pair::parse(turned.as_bytes()).unwrap(), pair);
}

#[test]
fn a_pair_that_is_not_whole_says_what_is_missing() {
    let issuer = Issuer::new("ca");
    let key = new_key();
    let chain = issuer.sign(&key, "system:node:pole-7", BEGIN);
    assert!(Pair::new(&chain, &key).is_ok());
    let expected = [
        (String::new(), PairError::Empty),
        ("\0\0\0".into(), PairError::Missing("certificate")),
        (chain.clone(), PairError::Missing("key")),
        (key.expose().to_owned(), PairError::Missing("certificate")),
        (format!("{chain}{}", new_key().expose()), PairError::Misfit),
        (format!("{chain}-----BEGIN PRIVATE KEY-----\nAAAA\n"), PairError::BadKey),
    ];
    for (content, error) in expected {
        assert_eq!(Pair::parse(content.as_bytes()), Err(error));
    }
    // A chain: the node's own certificate comes first, and all of it is kept.
    let longer = format!("{chain}{}", issuer.pem());
    let pair = Pair::new(&longer, &key).unwrap();
    assert_eq!((pair.chain, pair.leaf.node_name.as_str()), (longer, NODE));
}

proptest! {
    #[test]
    fn hostile_bytes_are_no_pair_and_no_panic(content in prop::collection::vec(any::<u8>(), 0..300), at in any::<usize>()) {
        prop_assert!(Pair::parse(&content).is_err());
        let mut spliced = KUBELET_FORM.as_bytes().to_vec();
        let at = at % spliced.len();
        spliced.splice(at..at, content);
        // Whatever is read from it, it is a pair that fits.
        if let Ok(pair) = Pair::parse(&spliced) {
            prop_assert!(Pair::new(&pair.chain, &Secret::new(pair.key.expose())).is_ok());
        }
    }
}
