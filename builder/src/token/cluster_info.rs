//! What a cluster says of itself to those who only have a token.

use std::fmt;

use skerry_firstboot::certificates;
use skerry_firstboot::discovery::cluster_info::{ClusterInfo, ClusterInfoError, PATH};
use skerry_firstboot::discovery::pin;
use skerry_firstboot::join_config::{BootstrapToken, CaPin, Endpoint};
use skerry_firstboot::kubeconfig::{self, Purpose};

use super::api::{Api, Who};
use super::{Patience, TokenError, poll};

/// A cluster as its `cluster-info` describes it.
pub(super) struct Described {
    pub(super) server: Endpoint,
    pub(super) pins: Vec<CaPin>,
}

/// Why machines cannot use `cluster-info`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unusable {
    /// There is none.
    Absent,
    /// It holds no kubeconfig, or one without authorities.
    Malformed,
    /// Nobody signs it.
    Unsigned,
    /// It cannot be read without credentials.
    Private,
}

impl fmt::Display for Unusable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Absent => "the cluster has no ConfigMap kube-public/cluster-info",
            Self::Malformed => "the ConfigMap kube-public/cluster-info describes no cluster",
            Self::Unsigned => {
                "kube-public/cluster-info was not signed: the controller `bootstrapsigner` does not run \
                 (kube-controller-manager, `--controllers=*,bootstrapsigner,tokencleaner`)"
            }
            Self::Private => "kube-public/cluster-info cannot be read without credentials",
        })
    }
}

/// Reads `cluster-info`, waits until `token` has signed it, and looks whether everybody can read it.
pub(super) async fn describe(
    api: &Api,
    token: &BootstrapToken,
    patience: Patience,
) -> Result<Result<Described, Unusable>, TokenError> {
    let info = match poll(patience, async || signed(api, token).await).await? {
        Ok(Ok(info)) => info,
        Ok(Err(unusable)) => return Ok(Err(unusable)),
        Err(Unsigned) => return Ok(Err(Unusable::Unsigned)),
    };
    if api.get(PATH, Who::Nobody).await?.status != 200 {
        return Ok(Err(Unusable::Private));
    }
    Ok(described(&info.kubeconfig).ok_or(Unusable::Malformed))
}

/// The one thing that may still come.
struct Unsigned;

/// One look at it.
async fn signed(
    api: &Api,
    token: &BootstrapToken,
) -> Result<Result<Result<ClusterInfo, Unusable>, Unsigned>, TokenError> {
    let answer = api.get(PATH, Who::Operator).await?;
    let info = match answer.status {
        200 => ClusterInfo::parse(&answer.body),
        404 => return Ok(Ok(Err(Unusable::Absent))),
        _ => return Err(answer.refused("read the ConfigMap cluster-info in kube-public")),
    };
    let verified = info.and_then(|info| info.verify(token).map(|()| info));
    Ok(match verified {
        Ok(info) => Ok(Ok(info)),
        Err(ClusterInfoError::NotSigned { .. } | ClusterInfoError::WrongSignature { .. }) => Err(Unsigned),
        Err(_) => Ok(Err(Unusable::Malformed)),
    })
}

fn described(kubeconfig: &str) -> Option<Described> {
    let cluster = kubeconfig::parse(kubeconfig.as_bytes(), Purpose::ClusterInfo).ok()?;
    let authorities = certificates::bundle(&cluster.authorities).ok()?;
    let pins: Option<Vec<CaPin>> = authorities.iter().map(|authority| pin::of(authority)).collect();
    Some(Described {
        server: cluster.server,
        pins: pins?,
    })
}
