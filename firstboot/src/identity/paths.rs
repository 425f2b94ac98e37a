//! Where the parts of an identity lie, as the machine sees them. All of it is on var: an older or newer system finds it.

/// kubelet's certificates and keys.
pub const PKI: &str = "/var/lib/kubelet/pki";
/// The link to the certificate and key in use; kubelet moves it when it rotates them.
pub const CURRENT: &str = "/var/lib/kubelet/pki/kubelet-client-current.pem";
/// What comes before the date in the name of a certificate and key.
pub(super) const PEM_PREFIX: &str = "kubelet-client-";
/// What comes after it.
pub(super) const PEM_SUFFIX: &str = ".pem";

/// Lies at `/etc/kubernetes` on a machine.
pub const KUBERNETES: &str = "/var/lib/skerry/kubernetes";
/// kubelet's kubeconfig.
pub const KUBECONFIG: &str = "/var/lib/skerry/kubernetes/kubelet.conf";
/// The folder of [`AUTHORITIES`].
pub(super) const AUTHORITIES_FOLDER: &str = "/var/lib/skerry/kubernetes/pki";
/// The cluster's authorities.
pub const AUTHORITIES: &str = "/var/lib/skerry/kubernetes/pki/ca.crt";

/// What skerry-node keeps.
pub const SKERRY: &str = "/var/lib/skerry";
/// What the node is to be like.
pub const SETTINGS: &str = "/var/lib/skerry/settings.toml";
/// The state of the join.
pub const JOIN: &str = "/var/lib/skerry/join";
/// A join under way: the key, and what it was made for.
pub const PENDING: &str = "/var/lib/skerry/join/pending.toml";
/// The cluster that the machine has joined.
pub const CLUSTER: &str = "/var/lib/skerry/join/cluster.toml";
/// That it has joined, written last.
pub const JOINED: &str = "/var/lib/skerry/join/joined.toml";
/// That everything is to be wiped; removed last.
pub(super) const RESET: &str = "/var/lib/skerry/join/factory-reset";

/// Folders that every system has, parents first.
pub(super) const OUTER_FOLDERS: [&str; 2] = ["/var", "/var/lib"];
/// The folders that a join makes, parents first.
pub const FOLDERS_OF_A_JOIN: [&str; 6] = [SKERRY, JOIN, KUBERNETES, AUTHORITIES_FOLDER, "/var/lib/kubelet", PKI];
