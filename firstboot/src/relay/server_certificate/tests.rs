use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use tempfile::TempDir;

use super::*;
use crate::certificates::{bundle, facts};
use crate::clock::ManualClock;
use crate::disk::RealDisk;
use crate::tls::{Authorities, Check, Tls};

fn machine() -> (TempDir, RealDisk) {
    let root = tempfile::tempdir().unwrap();
    fs::create_dir_all(root.path().join("run/skerry")).unwrap();
    let disk = RealDisk::new(root.path());
    (root, disk)
}

fn below(root: &TempDir, path: &str) -> PathBuf {
    root.path().join(path.trim_start_matches('/'))
}

#[test]
fn it_is_made_once_and_found_again() {
    let (root, disk) = machine();
    let made = ServerCertificate::obtain(&disk).unwrap();
    let mode = |path| fs::metadata(below(&root, path)).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(FOLDER), mode(FILE)), (0o700, 0o600));
    let found = ServerCertificate::obtain(&disk).unwrap();
    assert_eq!(made.to_pem(), found.to_pem());
    assert!(!format!("{made:?}").contains("PRIVATE"));
}

#[test]
fn what_is_left_of_a_damaged_one_is_replaced() {
    let (root, disk) = machine();
    let made = ServerCertificate::obtain(&disk).unwrap().to_pem();
    let file = below(&root, FILE);
    let whole = fs::read_to_string(&file).unwrap();
    let other = make().unwrap();
    let key_at = whole.find("-----BEGIN PRIVATE").unwrap();
    let foreign_key = &other.expose()[other.expose().find("-----BEGIN PRIVATE").unwrap()..];
    let mixed = format!("{}{foreign_key}", &whole[..key_at]);
    for damaged in [
        "",
        &whole[..key_at],
        &whole[key_at..],
        &whole[..whole.len() - 50],
        &mixed,
    ] {
        fs::write(&file, damaged).unwrap();
        let again = ServerCertificate::obtain(&disk).unwrap();
        assert_ne!(again.to_pem(), made);
        assert_eq!(ServerCertificate::obtain(&disk).unwrap().to_pem(), again.to_pem());
    }
}

#[test]
fn a_certificate_of_another_name_is_not_used() {
    let (root, disk) = machine();
    ServerCertificate::obtain(&disk).unwrap();
    let stranger = rcgen::generate_simple_self_signed(vec!["example.com".to_owned()]).unwrap();
    let content = stranger.cert.pem() + &stranger.signing_key.serialize_pem();
    fs::write(below(&root, FILE), content).unwrap();
    let used = ServerCertificate::obtain(&disk).unwrap().to_pem();
    let leaf = &bundle(&used).unwrap()[0];
    assert_eq!(facts(leaf).unwrap().common_name, NAME);
}

#[test]
fn a_client_that_trusts_it_alone_accepts_it_in_any_year() {
    let (_root, disk) = machine();
    let certificate = ServerCertificate::obtain(&disk).unwrap();
    let authorities = Arc::new(Authorities::from_pem(&certificate.to_pem()).unwrap());
    // 2001, 2026 and 9000.
    for now in [978_307_200, 1_780_272_000, 221_845_392_000] {
        let clock: Arc<dyn crate::clock::Clock> = Arc::new(ManualClock::at(now));
        let tls = Tls::new(Check::Authorities(Arc::clone(&authorities)), None, &clock).unwrap();
        assert_eq!(shake_hands(&tls, &certificate), Ok(()), "{now}");
    }
}

/// A handshake in memory.
fn shake_hands(tls: &Tls, certificate: &ServerCertificate) -> Result<(), rustls::Error> {
    let resolver = rustls::sign::SingleCertAndKey::from(Arc::clone(&certificate.certified));
    let config = rustls::ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(resolver));
    let mut client = rustls::ClientConnection::new(Arc::clone(&tls.config), ServerName::from(ADDRESS))?;
    let mut server = rustls::ServerConnection::new(Arc::new(config))?;
    while client.is_handshaking() || server.is_handshaking() {
        let mut wire = Vec::new();
        client.write_tls(&mut wire).unwrap();
        server.read_tls(&mut wire.as_slice()).unwrap();
        server.process_new_packets()?;
        wire.clear();
        server.write_tls(&mut wire).unwrap();
        client.read_tls(&mut wire.as_slice()).unwrap();
        client.process_new_packets()?;
    }
    Ok(())
}
