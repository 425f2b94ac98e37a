//! The certificates that the server shows: the right one, and those that a client must not trust.

use std::collections::BTreeMap;
use std::sync::Arc;

use rcgen::{CertificateParams, DnType, ExtendedKeyUsagePurpose, KeyPair};
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::version::{TLS12, TLS13};

use super::authority::Authority;
use super::client_certificate::AnyCertificate;
use super::clock::Clock;

const YEAR_SECS: i64 = 365 * 86_400;
const DAY_SECS: i64 = 86_400;

/// What the server shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ServerCertificate {
    /// Signed by the cluster's authority, for its names, valid.
    Genuine,
    /// The same over TLS 1.2, all that some old load balancers speak.
    GenuineTls12,
    /// From another authority of the same name.
    OtherAuthority,
    /// From the second authority of a description that holds two.
    SecondAuthority,
    /// Signed by itself.
    SelfSigned,
    /// The cluster's own, of last year.
    Expired,
    /// The cluster's own, from tomorrow on.
    NotYetValid,
    /// The cluster's own, for another host.
    OtherName,
    /// A node's: from the cluster's authority, for the server's names, but for clients.
    ClientOnly,
}

impl ServerCertificate {
    /// Whether a client may tell such a server its credential.
    pub fn is_genuine(self) -> bool {
        matches!(self, Self::Genuine | Self::GenuineTls12)
    }
}

#[derive(Debug, Clone)]
struct Made {
    config: Arc<ServerConfig>,
    leaf: CertificateDer<'static>,
}

/// The authorities of one mock and the certificates made so far.
#[derive(Debug)]
pub struct ServerIdentity {
    /// The cluster's authority.
    pub genuine: Authority,
    /// A second one, which descriptions may hold as well.
    pub second: Authority,
    /// One that the cluster knows nothing about.
    pub other: Authority,
    names: Vec<String>,
    made: BTreeMap<ServerCertificate, Made>,
}

impl ServerIdentity {
    /// A server that answers to `names`: host names and addresses.
    pub fn new(genuine: Authority, names: &[String], clock: &Clock) -> Self {
        Self {
            genuine,
            second: Authority::new(super::KeyKind::Ecdsa, clock),
            other: Authority::new(super::KeyKind::Ecdsa, clock),
            names: names.to_vec(),
            made: BTreeMap::new(),
        }
    }

    /// The TLS side of a server that shows `kind`.
    pub fn config(&mut self, kind: ServerCertificate, clock: &Clock) -> Arc<ServerConfig> {
        self.made(kind, clock).config
    }

    /// The certificate `kind` itself.
    pub fn leaf(&mut self, kind: ServerCertificate, clock: &Clock) -> CertificateDer<'static> {
        self.made(kind, clock).leaf
    }

    fn made(&mut self, kind: ServerCertificate, clock: &Clock) -> Made {
        if let Some(made) = self.made.get(&kind) {
            return made.clone();
        }
        let made = self.make(kind, clock);
        self.made.insert(kind, made.clone());
        made
    }

    /// Makes the next certificates anew, as after a renewal or when the clock was moved.
    pub fn renew(&mut self) {
        self.made.clear();
    }

    fn make(&self, kind: ServerCertificate, clock: &Clock) -> Made {
        let names = match kind {
            ServerCertificate::OtherName => vec!["another.example".to_owned(), "192.0.2.1".to_owned()],
            _ => self.names.clone(),
        };
        let (from, until) = match kind {
            ServerCertificate::Expired => (-2 * YEAR_SECS, -YEAR_SECS),
            ServerCertificate::NotYetValid => (DAY_SECS, YEAR_SECS),
            _ => (-DAY_SECS, YEAR_SECS),
        };
        let mut params = CertificateParams::new(names).expect("the setup's names are host names or addresses");
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, "kube-apiserver");
        params.extended_key_usages = vec![match kind {
            ServerCertificate::ClientOnly => ExtendedKeyUsagePurpose::ClientAuth,
            _ => ExtendedKeyUsagePurpose::ServerAuth,
        }];
        (params.not_before, params.not_after) = (clock.after(from), clock.after(until));
        let key = KeyPair::generate().expect("the system has random numbers");
        let certificate = match kind {
            ServerCertificate::SelfSigned => params.self_signed(&key).expect("the parameters are complete"),
            ServerCertificate::OtherAuthority => self.other.sign(&params, &key),
            ServerCertificate::SecondAuthority => self.second.sign(&params, &key),
            _ => self.genuine.sign(&params, &key),
        };
        Made {
            config: Arc::new(tls(kind, certificate.der(), &key)),
            leaf: certificate.der().clone(),
        }
    }
}

fn tls(kind: ServerCertificate, leaf: &CertificateDer<'static>, key: &KeyPair) -> ServerConfig {
    let versions = match kind {
        ServerCertificate::GenuineTls12 => vec![&TLS12],
        _ => vec![&TLS12, &TLS13],
    };
    let provider = Arc::new(ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(&versions)
        .expect("ring knows both versions")
        .with_client_cert_verifier(Arc::new(AnyCertificate::new(provider)))
        .with_single_cert(vec![leaf.clone()], private_key(key))
        .expect("key and certificate belong together");
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    config
}

fn private_key(key: &KeyPair) -> PrivateKeyDer<'static> {
    PrivatePkcs8KeyDer::from(key.serialize_der()).into()
}
