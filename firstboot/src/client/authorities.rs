//! Which authorities a cluster names, asked by a node that knows it: how it learns of the next one before the old one goes.
//!
//! | where | who may read it | who writes it | when an authority is replaced by hand |
//! |---|---|---|---|
//! | `kube-system/kube-root-ca.crt` | a node with a pod of that namespace | kube-controller-manager (`--root-ca-file`) | holds both from the second step on |
//! | `kube-public/cluster-info` | anybody, but not as a node | the administrator | is renewed in the last step |
//!
//! (Kubernetes, "Manual Rotation of CA Certificates"; "Using Node Authorization"; the Role
//! `kubeadm:bootstrap-signer-clusterinfo` has `system:anonymous` for its only subject.) Both are read, over connections
//! that the known authorities vouch for. `kube-root-ca.crt` of another namespace is not asked: whoever may write
//! ConfigMaps there could have every node trust him.

use super::exchange::{Reply, Request};
use super::failure::{judge, refused, says};
use super::requests::{asked, get, malformed};
use super::{Asked, Client, Purpose, Target, objects};
use crate::control_plane::{ApiError, ApiErrorKind, Caller, Cluster};
use crate::discovery::cluster_info::{self, ClusterInfo};
use crate::join_config::authorities::canonical;
use crate::tls::Authorities;

const ROOT_AUTHORITIES: &str = "/api/v1/namespaces/kube-system/configmaps/kube-root-ca.crt";

/// All authorities that `cluster` names; none if it does not tell `caller`. What cannot be read in one place may be read
/// in the other.
pub(super) async fn named(client: &Client, cluster: &Cluster, caller: Caller<'_>) -> Result<Option<String>, ApiError> {
    let asked = asked(cluster, caller, Purpose::Authorities);
    let root = get(client, cluster, caller, ROOT_AUTHORITIES, &asked).await;
    let root = root.and_then(|reply| read(reply, of_root, &asked));
    let info = anonymously(client, cluster, &asked).await;
    let info = info.and_then(|reply| read(reply, of_info, &asked));
    let (told, mut failed): (Vec<_>, Vec<_>) = [root, info].into_iter().partition(Result::is_ok);
    let told: String = told.into_iter().flatten().flatten().collect();
    match (told.is_empty(), failed.pop()) {
        (false, _) => Ok(Some(told)),
        (true, Some(failure)) => failure,
        (true, None) => Ok(None),
    }
}

async fn anonymously(client: &Client, cluster: &Cluster, asked: &Asked<'_>) -> Result<Reply, ApiError> {
    let target = Target {
        endpoint: &cluster.server,
        server_name: cluster.tls_server_name.as_deref(),
        authorities: Some(&cluster.authorities),
        identity: None,
    };
    client.ask(&target, &Request::get(cluster_info::PATH), asked).await
}

/// What an answer names; none if the API server does not let the caller know.
fn read(
    reply: Reply,
    within: impl FnOnce(&[u8]) -> Option<String>,
    asked: &Asked<'_>,
) -> Result<Option<String>, ApiError> {
    if [401, 403, 404].into_iter().any(|status| says(&reply, status)) {
        return Ok(None);
    }
    let body = judge(reply, asked)?.body;
    let pem = within(&body).ok_or_else(|| malformed("ConfigMap with certificates", asked))?;
    // One that TLS cannot take would have the node trust nobody any more.
    match Authorities::from_pem(&pem) {
        Ok(_) => Ok(Some(pem)),
        Err(error) => Err(refused(ApiErrorKind::BadAnswer, error.to_string(), asked)),
    }
}

fn of_root(body: &[u8]) -> Option<String> {
    canonical(&objects::root_authorities(body)?).ok()
}

fn of_info(body: &[u8]) -> Option<String> {
    let info = ClusterInfo::parse(body).ok()?;
    Some(info.cluster().ok()?.authorities)
}
