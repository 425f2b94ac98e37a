//! What those who show a token must be allowed to do, and the objects that allow it.

use std::fmt;

use serde_json::json;

use super::TokenError;
use super::api::Api;

/// The group that every bootstrap token has; those of its own begin with it.
const GROUP_PREFIX: &str = "system:bootstrappers:";
/// Letters after the prefix (Kubernetes, `BootstrapGroupPattern`).
const MAX_GROUP_LEN: usize = 256;
const REVIEWS: &str = "/apis/authorization.k8s.io/v1/subjectaccessreviews";
const RBAC: &str = "/apis/rbac.authorization.k8s.io/v1";
/// A node that there need not be: nodes differ by name, not by what they may do.
const SOME_NODE: &str = "system:node:skerry-check";

/// One thing that must be allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Permission {
    /// A machine with the token asks for a certificate.
    Request,
    /// It gets its first certificate without anybody's help.
    FirstCertificate,
    /// A node gets its further certificates without anybody's help.
    Renewal,
    /// Anybody reads what the cluster says of itself.
    ClusterInfo,
}

impl Permission {
    /// All of them, in the order in which a joining machine needs them.
    pub const ALL: [Self; 4] = [Self::ClusterInfo, Self::Request, Self::FirstCertificate, Self::Renewal];

    /// A word for it, for reports that programs read.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Request => "request-certificate",
            Self::FirstCertificate => "approve-first-certificate",
            Self::Renewal => "approve-renewal",
            Self::ClusterInfo => "read-cluster-info",
        }
    }

    /// The objects that grant it to `group`, as YAML documents with the paths that they are posted to.
    fn objects(self, group: &str) -> Vec<(String, String)> {
        let bindings = format!("{RBAC}/clusterrolebindings");
        let suffix = group.strip_prefix(GROUP_PREFIX).unwrap_or(group);
        let cluster = |name: String, role: &str, group: &str| (bindings.clone(), cluster_binding(&name, role, group));
        match self {
            Self::Request => vec![cluster(
                format!("skerry:node-bootstrapper:{suffix}"),
                "system:node-bootstrapper",
                group,
            )],
            Self::FirstCertificate => vec![cluster(
                format!("skerry:approve-first-certificate:{suffix}"),
                "system:certificates.k8s.io:certificatesigningrequests:nodeclient",
                group,
            )],
            Self::Renewal => vec![cluster(
                "skerry:approve-renewal".to_owned(),
                "system:certificates.k8s.io:certificatesigningrequests:selfnodeclient",
                "system:nodes",
            )],
            Self::ClusterInfo => {
                let folder = format!("{RBAC}/namespaces/kube-public");
                vec![
                    (format!("{folder}/roles"), CLUSTER_INFO_ROLE.to_owned()),
                    (format!("{folder}/rolebindings"), CLUSTER_INFO_BINDING.to_owned()),
                ]
            }
        }
    }

    /// The question whether it is granted.
    fn review(self, token_id: &str, group: &str) -> serde_json::Value {
        let requests = |subresource: &str| {
            json!({
                "group": "certificates.k8s.io",
                "resource": "certificatesigningrequests",
                "subresource": subresource,
                "verb": "create",
            })
        };
        let joining = (
            format!("system:bootstrap:{token_id}"),
            vec!["system:bootstrappers", group, "system:authenticated"],
        );
        let ((user, groups), attributes) = match self {
            Self::Request => (joining, requests("")),
            Self::FirstCertificate => (joining, requests("nodeclient")),
            Self::Renewal => (
                (SOME_NODE.to_owned(), vec!["system:nodes", "system:authenticated"]),
                requests("selfnodeclient"),
            ),
            Self::ClusterInfo => (
                ("system:anonymous".to_owned(), vec!["system:unauthenticated"]),
                json!({ "namespace": "kube-public", "resource": "configmaps", "name": "cluster-info", "verb": "get" }),
            ),
        };
        json!({
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SubjectAccessReview",
            "spec": { "user": user, "groups": groups, "resourceAttributes": attributes },
        })
    }
}

impl fmt::Display for Permission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Request => "machines with this token may not ask for a certificate",
            Self::FirstCertificate => "nobody approves a machine's first certificate by itself",
            Self::Renewal => "nobody approves a node's further certificates by itself",
            Self::ClusterInfo => "kube-public/cluster-info cannot be read without credentials",
        })
    }
}

fn cluster_binding(name: &str, role: &str, group: &str) -> String {
    format!(
        "apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRoleBinding\nmetadata:\n  name: {name}\nroleRef:\n  \
         apiGroup: rbac.authorization.k8s.io\n  kind: ClusterRole\n  name: {role}\nsubjects:\n- apiGroup: \
         rbac.authorization.k8s.io\n  kind: Group\n  name: {group}\n"
    )
}

const CLUSTER_INFO_ROLE: &str = "\
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata:
  name: skerry:read-cluster-info
  namespace: kube-public
rules:
- apiGroups: [\"\"]
  resources: [configmaps]
  resourceNames: [cluster-info]
  verbs: [get]
";

const CLUSTER_INFO_BINDING: &str = "\
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata:
  name: skerry:read-cluster-info
  namespace: kube-public
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: Role
  name: skerry:read-cluster-info
subjects:
- apiGroup: rbac.authorization.k8s.io
  kind: User
  name: system:anonymous
";

/// The YAML that grants `permissions` to `group`, for `kubectl apply -f -`.
pub fn yaml(permissions: &[Permission], group: &str) -> String {
    let objects = permissions.iter().flat_map(|permission| permission.objects(group));
    objects.map(|(_, text)| text).collect::<Vec<_>>().join("---\n")
}

/// `system:bootstrappers:` and letters, digits, `:` and `-` (Kubernetes, `BootstrapGroupPattern`).
pub fn check_group(group: &str) -> Result<(), TokenError> {
    let letter = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let fits = |rest: &str| {
        let inner = rest.bytes().all(|byte| letter(byte) || byte == b':' || byte == b'-');
        rest.len() <= MAX_GROUP_LEN && inner && rest.bytes().next_back().is_some_and(letter)
    };
    match group.strip_prefix(GROUP_PREFIX).is_some_and(fits) {
        true => Ok(()),
        false => Err(TokenError::Group {
            group: group.escape_debug().to_string(),
        }),
    }
}

/// What is not granted to those who show the token.
pub(super) async fn missing(api: &Api, token_id: &str, group: &str) -> Result<Vec<Permission>, TokenError> {
    let mut missing = Vec::new();
    for permission in Permission::ALL {
        let answer = api.post(REVIEWS, &permission.review(token_id, group)).await?;
        if answer.status != 201 {
            return Err(answer.refused("ask who may do what (SubjectAccessReview)"));
        }
        if !answer.json()?["status"]["allowed"].as_bool().unwrap_or(false) {
            missing.push(permission);
        }
    }
    Ok(missing)
}

/// Makes the objects that grant `permission`; those that are there stay as they are.
pub(super) async fn grant(api: &Api, permission: Permission, group: &str) -> Result<(), TokenError> {
    for (path, text) in permission.objects(group) {
        let answer = api.post_yaml(&path, text).await?;
        if !matches!(answer.status, 201 | 409) {
            return Err(answer.refused("make roles and bindings"));
        }
    }
    Ok(())
}
