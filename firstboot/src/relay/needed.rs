//! What kubelet has to read before it can start a pod, and so what is kept for times alone. Everything else, such as
//! leases, events and reviews of access, passes through.

use super::wire::Kind;

/// Group, resource and kind of what is kept. `csinodes` is not among them: kubelet takes an answer about its own for a
/// sign that it can be written, and ends itself when it cannot (pkg/volume/csi: `initializeCSINode`).
const NEEDED: [(&str, &str, &str); 14] = [
    ("", "configmaps", "ConfigMap"),
    ("", "namespaces", "Namespace"),
    ("", "nodes", "Node"),
    ("", "persistentvolumeclaims", "PersistentVolumeClaim"),
    ("", "persistentvolumes", "PersistentVolume"),
    ("", "pods", "Pod"),
    ("", "secrets", "Secret"),
    ("", "serviceaccounts", "ServiceAccount"),
    ("", "services", "Service"),
    ("certificates.k8s.io", "clustertrustbundles", "ClusterTrustBundle"),
    ("node.k8s.io", "runtimeclasses", "RuntimeClass"),
    ("resource.k8s.io", "resourceclaims", "ResourceClaim"),
    ("storage.k8s.io", "csidrivers", "CSIDriver"),
    ("storage.k8s.io", "volumeattachments", "VolumeAttachment"),
];

/// The kind of the objects at a path of the API, with or without a query; none if they are not kept.
pub fn kind_at(path: &str) -> Option<Kind> {
    let path = path.split_once('?').map_or(path, |(path, _)| path);
    let parts: Vec<&str> = path.strip_prefix('/')?.split('/').collect();
    let (group, version, rest) = match parts.as_slice() {
        ["api", version, rest @ ..] => ("", *version, rest),
        ["apis", group, version, rest @ ..] => (*group, *version, rest),
        _ => return None,
    };
    let resource = match rest {
        ["namespaces", _, resource, ..] => resource,
        [resource, ..] => resource,
        [] => return None,
    };
    let (_, _, kind) = NEEDED
        .iter()
        .find(|(known, name, _)| *known == group && name == resource)?;
    let api_version = match group {
        "" => version.to_owned(),
        _ => format!("{group}/{version}"),
    };
    Some(Kind::new(&api_version, kind))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_pods_need_is_kept_under_its_kind() {
        for (path, kind) in [
            ("/api/v1/pods?fieldSelector=spec.nodeName=n", Kind::new("v1", "Pod")),
            ("/api/v1/namespaces/a/secrets/s", Kind::new("v1", "Secret")),
            ("/api/v1/namespaces/a", Kind::new("v1", "Namespace")),
            (
                "/apis/storage.k8s.io/v1/csidrivers",
                Kind::new("storage.k8s.io/v1", "CSIDriver"),
            ),
        ] {
            assert_eq!(kind_at(path), Some(kind), "{path}");
        }
    }

    #[test]
    fn what_kubelet_writes_or_would_misunderstand_is_not_kept() {
        for path in [
            "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/n",
            "/api/v1/namespaces/a/events",
            "/apis/storage.k8s.io/v1/csinodes/n",
            "/apis/example.com/v1/pods",
            "/healthz",
            "/api",
            "",
        ] {
            assert_eq!(kind_at(path), None, "{path}");
        }
    }
}
