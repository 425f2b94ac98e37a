//! Labels and taints that a kubelet may give its own node.
//!
//! kubelet refuses to start with others (`--node-labels`), and the admission plugin NodeRestriction refuses them at the
//! API server (Kubernetes 1.36, `k8s.io/kubelet/pkg/apis/well_known_labels.go`), so they are refused here, where somebody
//! can still change the file. Keys and values are as in "Labels and Selectors", Syntax and character set.

use super::node_name::is_subdomain;

/// Length of the name in a key, and of a value.
const NAME_LEN: usize = 63;
/// Keys of Kubernetes' own that a kubelet may set.
const ALLOWED_KEYS: [&str; 11] = [
    "beta.kubernetes.io/arch",
    "beta.kubernetes.io/instance-type",
    "beta.kubernetes.io/os",
    "failure-domain.beta.kubernetes.io/region",
    "failure-domain.beta.kubernetes.io/zone",
    "kubernetes.io/arch",
    "kubernetes.io/hostname",
    "kubernetes.io/os",
    "node.kubernetes.io/instance-type",
    "topology.kubernetes.io/region",
    "topology.kubernetes.io/zone",
];
/// Prefixes of Kubernetes' own below which a kubelet may set any key.
const ALLOWED_PREFIXES: [&str; 2] = ["kubelet.kubernetes.io", "node.kubernetes.io"];
/// What belongs to Kubernetes.
const KUBERNETES_DOMAINS: [&str; 2] = ["kubernetes.io", "k8s.io"];
const EFFECTS: [&str; 3] = ["NoSchedule", "PreferNoSchedule", "NoExecute"];

/// Why a label or taint is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LabelError {
    /// The key.
    #[error("a key is letters, digits and `-_.`, at most 63, optionally with a DNS name and `/` before it")]
    Key,
    /// The value.
    #[error(
        "a value is letters, digits and `-_.`, begins and ends with a letter or digit, and has at most 63 characters"
    )]
    Value,
    /// `node-role.kubernetes.io/…`.
    #[error(
        "kubelet may not set `node-role.kubernetes.io/`: a node must not be able to make itself a control plane; label it \
         from the cluster (`kubectl label node`)"
    )]
    Role,
    /// Another prefix of Kubernetes.
    #[error(
        "kubelet may set only `kubelet.kubernetes.io/`, `node.kubernetes.io/` and the well-known topology, instance type, \
         os, arch and hostname labels among those of `kubernetes.io` and `k8s.io`"
    )]
    Reserved,
    /// No known effect.
    #[error("a taint is `key=value:Effect` or `key:Effect`; effects are NoSchedule, PreferNoSchedule and NoExecute")]
    Taint,
}

/// Whether a kubelet may give its node this label.
pub(crate) fn check_label(key: &str, value: &str) -> Result<(), LabelError> {
    check_key(key)?;
    check_value(value)?;
    let Some((prefix, _)) = key.split_once('/') else {
        return Ok(());
    };
    if !KUBERNETES_DOMAINS.iter().any(|domain| is_below(prefix, domain))
        || ALLOWED_KEYS.contains(&key)
        || ALLOWED_PREFIXES.iter().any(|allowed| is_below(prefix, allowed))
    {
        return Ok(());
    }
    Err(match is_below(prefix, "node-role.kubernetes.io") {
        true => LabelError::Role,
        false => LabelError::Reserved,
    })
}

/// A taint: a node has each pair of key and effect once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Taint<'t> {
    pub(crate) key: &'t str,
    /// Empty if there is none.
    pub(crate) value: &'t str,
    pub(crate) effect: &'t str,
}

impl<'t> Taint<'t> {
    /// Reads a taint that kubelet can register with, as kubectl writes it.
    pub(crate) fn parse(text: &'t str) -> Result<Self, LabelError> {
        let (what, effect) = text.rsplit_once(':').ok_or(LabelError::Taint)?;
        let (key, value) = what.split_once('=').unwrap_or((what, ""));
        if !EFFECTS.contains(&effect) {
            return Err(LabelError::Taint);
        }
        check_key(key)?;
        check_value(value)?;
        Ok(Self { key, value, effect })
    }

    /// Whether a node can have only one of both.
    pub(crate) fn excludes(&self, other: &Taint<'_>) -> bool {
        (self.key, self.effect) == (other.key, other.effect)
    }
}

fn is_below(prefix: &str, domain: &str) -> bool {
    prefix
        .strip_suffix(domain)
        .is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}

fn check_key(key: &str) -> Result<(), LabelError> {
    let name = match key.split_once('/') {
        Some((prefix, name)) if is_subdomain(prefix) => name,
        Some(_) => return Err(LabelError::Key),
        None => key,
    };
    match is_name(name) {
        true => Ok(()),
        false => Err(LabelError::Key),
    }
}

fn check_value(value: &str) -> Result<(), LabelError> {
    match value.is_empty() || is_name(value) {
        true => Ok(()),
        false => Err(LabelError::Value),
    }
}

fn is_name(text: &str) -> bool {
    let edge = |byte: &u8| byte.is_ascii_alphanumeric();
    let bytes = text.as_bytes();
    bytes.first().is_some_and(edge)
        && bytes.last().is_some_and(edge)
        && bytes.len() <= NAME_LEN
        && bytes.iter().all(|byte| edge(byte) || b"-_.".contains(byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_taint(text: &str) -> Result<(), LabelError> {
        Taint::parse(text).map(drop)
    }

    #[test]
    fn keys_without_prefix_of_others_and_the_allowed_ones_of_kubernetes_may_be_set() {
        for key in [
            "site",
            "example.com/site",
            "notkubernetes.io/x",
            "topology.kubernetes.io/zone",
            "kubernetes.io/hostname",
            "node.kubernetes.io/anything",
            "x.kubelet.kubernetes.io/y",
        ] {
            assert_eq!(check_label(key, "shop-7"), Ok(()), "{key}");
        }
    }

    #[test]
    fn other_labels_of_kubernetes_are_refused_with_the_reason() {
        for key in [
            "kubernetes.io/role",
            "k8s.io/x",
            "x.k8s.io/y",
            "node-restriction.kubernetes.io/x",
            "topology.kubernetes.io/rack",
            "xnode.kubernetes.io/y",
        ] {
            assert_eq!(check_label(key, ""), Err(LabelError::Reserved), "{key}");
        }
        for key in [
            "node-role.kubernetes.io/worker",
            "node-role.kubernetes.io/control-plane",
        ] {
            assert_eq!(check_label(key, ""), Err(LabelError::Role), "{key}");
        }
    }

    #[test]
    fn keys_and_values_follow_the_syntax_of_labels() {
        for key in [
            "",
            "a b",
            "-a",
            "a-",
            "/a",
            "a/",
            "A.B/c",
            "a/b/c",
            "ä",
            &"a".repeat(64),
        ] {
            assert_eq!(check_label(key, ""), Err(LabelError::Key), "{key}");
        }
        for value in ["a b", "-a", "a_", "a=b", "a,b", &"a".repeat(64)] {
            assert_eq!(check_label("a", value), Err(LabelError::Value), "{value}");
        }
        assert_eq!(check_label("A_b.c-D", &"a".repeat(63)), Ok(()));
    }

    #[test]
    fn taints_need_a_known_effect() {
        for taint in [
            "a=b:NoSchedule",
            "a:NoExecute",
            "example.com/a=:PreferNoSchedule",
            "node-role.kubernetes.io/x:NoSchedule",
        ] {
            assert_eq!(check_taint(taint), Ok(()), "{taint}");
        }
        for taint in ["a", "a=b", "a=b:", "a=b:noschedule", "a:b:NoSchedule:Never"] {
            assert_eq!(check_taint(taint), Err(LabelError::Taint), "{taint}");
        }
        assert_eq!(check_taint("a:b:NoSchedule"), Err(LabelError::Key));
        assert_eq!(check_taint(":NoSchedule"), Err(LabelError::Key));
        assert_eq!(check_taint("a=b c:NoSchedule"), Err(LabelError::Value));
        let [one, same, other] =
            ["a=b:NoSchedule", "a:NoSchedule", "a:NoExecute"].map(|text| Taint::parse(text).unwrap());
        assert!(one.excludes(&same) && !one.excludes(&other));
    }
}
