//! The certificates of a control plane, as kubeadm lays them out ("PKI certificates and requirements", Kubernetes 1.36).

use std::path::{Path, PathBuf};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, KeyUsagePurpose,
};
use time::OffsetDateTime;

use super::HOST_FOR_GUESTS;

/// What guests and this machine call the API server, and what pods would.
const SERVER_NAMES: [&str; 5] = [
    "localhost",
    "127.0.0.1",
    HOST_FOR_GUESTS,
    "kubernetes.default.svc",
    "10.96.0.1",
];
/// As long as an authority lives by kubeadm's defaults, and its certificates.
const AUTHORITY_LIFE: Duration = Duration::from_secs(3650 * 86_400);
const CERTIFICATE_LIFE: Duration = Duration::from_secs(365 * 86_400);
/// For a guest whose clock is a little behind.
const BACKDATE: Duration = Duration::from_secs(300);

/// The authority of a cluster, and the folder with what it signed.
#[derive(Debug)]
pub struct Pki {
    folder: PathBuf,
    authority: CertifiedIssuer<'static, KeyPair>,
}

/// A certificate and its key.
pub struct SignedCertificate {
    /// PEM.
    pub certificate: String,
    /// PEM (PKCS #8).
    pub key: String,
}

impl std::fmt::Debug for SignedCertificate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SignedCertificate").finish_non_exhaustive()
    }
}

impl Pki {
    /// Makes an authority and all that the control plane's programs need of it in `folder`.
    pub fn create(folder: &Path) -> Self {
        std::fs::create_dir_all(folder).expect("the work folder can be written");
        let authority = CertifiedIssuer::self_signed(authority_params(), new_key()).expect("the parameters are valid");
        let pki = Self {
            folder: folder.to_owned(),
            authority,
        };
        pki.write("ca.crt", &pki.authority.pem());
        pki.write("ca.key", &pki.authority.key().serialize_pem());
        let accounts = new_key();
        pki.write("sa.key", &accounts.serialize_pem());
        pki.write("sa.pub", &accounts.public_key_pem());
        let mut server = params("kube-apiserver", None, ExtendedKeyUsagePurpose::ServerAuth);
        let names = CertificateParams::new(SERVER_NAMES.map(str::to_owned)).expect("the names are valid");
        server.subject_alt_names = names.subject_alt_names;
        pki.issue("apiserver", &server);
        let client = |name, group| params(name, group, ExtendedKeyUsagePurpose::ClientAuth);
        let masters = Some("system:masters");
        pki.issue(
            "apiserver-kubelet-client",
            &client("kube-apiserver-kubelet-client", masters),
        );
        pki.issue("admin", &client("kubernetes-admin", masters));
        pki.issue("controller-manager", &client("system:kube-controller-manager", None));
        pki.issue("scheduler", &client("system:kube-scheduler", None));
        pki
    }

    /// The path of one of its files, such as `ca.crt`.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// A kubeconfig with the client certificate `name` for an API server at `host` and `port`.
    pub fn kubeconfig(&self, name: &str, (host, port): (&str, u16)) -> String {
        let embedded = |name: &str| {
            let pem = std::fs::read(self.path(name)).expect("the file was written when the authority was made");
            STANDARD.encode(pem)
        };
        format!(
            "apiVersion: v1\nkind: Config\n\
             clusters:\n- name: skerry\n  cluster:\n    server: https://{host}:{port}\n    \
             certificate-authority-data: {authority}\n\
             users:\n- name: {name}\n  user:\n    client-certificate-data: {certificate}\n    client-key-data: {key}\n\
             contexts:\n- name: skerry\n  context:\n    cluster: skerry\n    user: {name}\n\
             current-context: skerry\n",
            authority = embedded("ca.crt"),
            certificate = embedded(&format!("{name}.crt")),
            key = embedded(&format!("{name}.key")),
        )
    }

    /// A certificate for a client `name` of `group`.
    pub fn client(&self, name: &str, group: Option<&str>) -> SignedCertificate {
        self.sign(&params(name, group, ExtendedKeyUsagePurpose::ClientAuth))
    }

    fn issue(&self, name: &str, params: &CertificateParams) {
        let signed = self.sign(params);
        self.write(&format!("{name}.crt"), &signed.certificate);
        self.write(&format!("{name}.key"), &signed.key);
    }

    fn sign(&self, params: &CertificateParams) -> SignedCertificate {
        let key = new_key();
        let certificate = params
            .signed_by(&key, &self.authority)
            .expect("the parameters are valid");
        SignedCertificate {
            certificate: certificate.pem(),
            key: key.serialize_pem(),
        }
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).expect("the work folder can be written");
    }
}

fn new_key() -> KeyPair {
    KeyPair::generate().expect("the system has random numbers")
}

fn authority_params() -> CertificateParams {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![
        KeyUsagePurpose::DigitalSignature,
        KeyUsagePurpose::KeyEncipherment,
        KeyUsagePurpose::KeyCertSign,
    ];
    named(params, "kubernetes", None, AUTHORITY_LIFE)
}

fn params(name: &str, group: Option<&str>, usage: ExtendedKeyUsagePurpose) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![usage];
    params.use_authority_key_identifier_extension = true;
    named(params, name, group, CERTIFICATE_LIFE)
}

fn named(mut params: CertificateParams, name: &str, group: Option<&str>, life: Duration) -> CertificateParams {
    params.distinguished_name = DistinguishedName::new();
    if let Some(group) = group {
        params.distinguished_name.push(DnType::OrganizationName, group);
    }
    params.distinguished_name.push(DnType::CommonName, name);
    params.not_before = OffsetDateTime::now_utc() - BACKDATE;
    params.not_after = params.not_before + life;
    params
}
