//! Who asks, and what RBAC lets them do. The rules are kubeadm's and KKP's: `system:node-bootstrapper` and automatic
//! approval for all bootstrap tokens, reading nodes for kubeadm's default group only.

/// The group of all bootstrap tokens.
pub const BOOTSTRAPPERS: &str = "system:bootstrappers";
/// The group that `kubeadm token create` gives its tokens.
pub const KUBEADM_TOKENS: &str = "system:bootstrappers:kubeadm:default-node-token";
/// The group of all nodes.
pub const NODES: &str = "system:nodes";
/// The ServiceAccount whose token KKP's edge script holds.
pub const KKP_GETTER: &str = "system:serviceaccount:cloud-init-settings:cloud-init-getter";

/// Who asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// Name.
    pub name: String,
    /// Groups.
    pub groups: Vec<String>,
}

impl User {
    /// Nobody in particular.
    pub fn anonymous() -> Self {
        Self {
            name: "system:anonymous".to_owned(),
            groups: vec!["system:unauthenticated".to_owned()],
        }
    }

    /// Somebody with a valid credential.
    pub fn authenticated<'a>(name: &str, groups: impl Iterator<Item = &'a str>) -> Self {
        let groups = groups.chain(["system:authenticated"]);
        Self {
            name: name.to_owned(),
            groups: groups.map(str::to_owned).collect(),
        }
    }

    /// Whether this user is in `group`.
    pub fn is_in(&self, group: &str) -> bool {
        self.groups.iter().any(|own| own == group)
    }

    /// The name of the node that this is, if it is one.
    pub fn node_name(&self) -> Option<&str> {
        self.name.strip_prefix("system:node:").filter(|_| self.is_in(NODES))
    }

    /// Whether `cluster-info` may be read: kubeadm's binding has this one subject, and no node is that.
    pub fn may_read_cluster_info(&self) -> bool {
        *self == Self::anonymous()
    }

    /// Whether signing requests may be made and read.
    pub fn may_request_certificates(&self) -> bool {
        self.is_in(BOOTSTRAPPERS) || self.is_in(NODES)
    }

    /// Whether the Node `name` may be read.
    pub fn may_read_node(&self, name: &str) -> bool {
        self.is_in(KUBEADM_TOKENS) || self.node_name() == Some(name)
    }

    /// Whether the Node `name` may be written (NodeRestriction: one's own).
    pub fn may_write_node(&self, name: &str) -> bool {
        self.node_name() == Some(name)
    }

    /// Whether the Secrets of `cloud-init-settings` may be read.
    pub fn may_read_cloud_init_settings(&self) -> bool {
        self.name == KKP_GETTER
    }
}
