//! Makes a bootstrap token in a cluster, and the join file that goes with it.
//!
//! In: an operator's kubeconfig, for how long the token is valid, where machines reach the control plane. Out: a Secret
//! `bootstrap-token-ID` in `kube-system` (Kubernetes documentation, "Authenticating with Bootstrap Tokens") and a join
//! file that has been checked against the cluster: the token is accepted, `cluster-info` is signed with it and can be
//! read without credentials, and a machine that shows it may ask for a certificate and gets one without anybody's help.
//! What is missing for that is found by asking the API server who may do what, whatever the names of roles and bindings.
//!
//! Where `cluster-info` is of no use, the join file carries the authorities' certificates in place of pins. Nothing is
//! left behind when the token turns out to be useless.

mod api;
mod cluster_info;
mod error;
mod object;
mod random;
pub mod rbac;

#[cfg(test)]
mod tests;

use std::time::{Duration, SystemTime};

use skerry_firstboot::join_config::{
    AfterJoin, BootstrapToken, Credential, Discovery, Endpoint, JoinConfig, NodeSettings, Trust,
};
use skerry_firstboot::kubeconfig::Kubeconfig;
use skerry_firstboot::secret::Secret;

use crate::fat::UtcTime;

use api::Api;
pub use cluster_info::Unusable;
pub use error::TokenError;
use rbac::Permission;

/// The group that kubeadm gives its tokens, and to which its clusters' bindings refer.
pub const DEFAULT_GROUP: &str = "system:bootstrappers:kubeadm:default-node-token";

/// What is asked for.
#[derive(Debug, Clone)]
pub struct Request {
    /// How long the token is valid.
    pub ttl: Duration,
    /// Where machines reach the control plane; empty: where `cluster-info` says, or the kubeconfig.
    pub endpoints: Vec<Endpoint>,
    /// Group of those who show the token.
    pub group: String,
    /// What the token is for, as `kubeadm token list` shows it.
    pub description: String,
    /// The node's name, or a template for it; empty: chosen by the machine.
    pub node_name: String,
    /// What to do about missing permissions.
    pub rbac: Rbac,
    /// How long controllers may take.
    pub patience: Patience,
}

/// What to do about missing permissions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rbac {
    /// Tell.
    Check,
    /// Grant them.
    Apply,
}

/// How long controllers may take.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// In all, for one thing.
    pub total: Duration,
    /// From one look to the next.
    pub step: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            total: Duration::from_secs(20),
            step: Duration::from_millis(500),
        }
    }
}

/// A token and its join file.
#[derive(Debug)]
pub struct Created {
    /// The public part of the token.
    pub id: String,
    /// When it ends to be valid, by the API server's clock.
    pub expires: UtcTime,
    /// What the join file says.
    pub config: JoinConfig,
    /// The join file's text.
    pub join_file: Secret,
    /// Why the authorities' certificates are in it, if they are.
    pub embedded: Option<Unusable>,
    /// What those who show the token lack.
    pub missing: Vec<Permission>,
    /// What was granted.
    pub granted: Vec<Permission>,
}

/// Makes the token. Blocks until done; must not be called from within an async runtime.
pub fn create(kubeconfig: &Kubeconfig, request: &Request) -> Result<Created, TokenError> {
    rbac::check_group(&request.group)?;
    if request.ttl.is_zero() {
        return Err(TokenError::NoTime);
    }
    let api = Api::new(kubeconfig)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(TokenError::Runtime)?;
    runtime.block_on(async {
        let made = object::create(&api, request).await?;
        let finished = finish(&api, kubeconfig, request, &made).await;
        if finished.is_err() {
            // A token that nobody can use is one more that can be stolen. The first error is the one to tell.
            let _ = api.delete(&object::path(&made.token.id)).await;
        }
        finished
    })
}

/// A token that the cluster has.
struct Made {
    token: BootstrapToken,
    expires: SystemTime,
}

async fn finish(api: &Api, kubeconfig: &Kubeconfig, request: &Request, made: &Made) -> Result<Created, TokenError> {
    object::wait_until_accepted(api, &made.token, request.patience).await?;
    let (mut missing, granted) = permissions(api, request, &made.token).await?;
    let described = cluster_info::describe(api, &made.token, request.patience).await?;
    let (trust, discovery, server, embedded) = match described {
        Ok(cluster) => (Trust::Pins(cluster.pins), Discovery::ClusterInfo, cluster.server, None),
        Err(unusable) => {
            let authorities = Trust::Authorities(kubeconfig.authorities.clone());
            (authorities, Discovery::Given, kubeconfig.server.clone(), Some(unusable))
        }
    };
    if embedded.is_some() {
        // Nobody has to read it then.
        missing.retain(|permission| *permission != Permission::ClusterInfo);
    }
    let endpoints = match request.endpoints.as_slice() {
        [] => vec![server],
        chosen => chosen.to_vec(),
    };
    let config = JoinConfig {
        tls_server_name: kubeconfig
            .tls_server_name
            .clone()
            .filter(|_| endpoints.contains(&kubeconfig.server)),
        endpoints,
        trust,
        discovery,
        credential: Credential::BootstrapToken(made.token.clone()),
        after_join: AfterJoin::Erase,
        settings: NodeSettings {
            name: request.node_name.clone(),
            ..NodeSettings::default()
        },
    };
    let join_file = config.to_toml().map_err(TokenError::Write)?;
    // What a machine would refuse must not leave this place, such as an impossible node name.
    skerry_firstboot::join_config::parse_strict(join_file.expose().as_bytes())
        .map_err(|source| TokenError::JoinFile(Box::new(source)))?;
    Ok(Created {
        id: made.token.id.clone(),
        expires: UtcTime::from_unix(unix(made.expires)),
        config,
        join_file,
        embedded,
        missing,
        granted,
    })
}

/// What is missing, and what was granted because of that.
async fn permissions(
    api: &Api,
    request: &Request,
    token: &BootstrapToken,
) -> Result<(Vec<Permission>, Vec<Permission>), TokenError> {
    let missing = rbac::missing(api, &token.id, &request.group).await?;
    if missing.is_empty() || request.rbac == Rbac::Check {
        return Ok((missing, Vec::new()));
    }
    for permission in &missing {
        rbac::grant(api, *permission, &request.group).await?;
    }
    let left = poll(request.patience, async || {
        let left = rbac::missing(api, &token.id, &request.group).await?;
        Ok(if left.is_empty() { Ok(()) } else { Err(left) })
    });
    match left.await? {
        Ok(()) => Ok((Vec::new(), missing)),
        Err(left) => Err(TokenError::NotGranted { left }),
    }
}

fn unix(time: SystemTime) -> u64 {
    time.duration_since(SystemTime::UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}

/// Looks until it is there or the time is over; then the last answer counts.
async fn poll<T, N>(
    patience: Patience,
    mut look: impl AsyncFnMut() -> Result<Result<T, N>, TokenError>,
) -> Result<Result<T, N>, TokenError> {
    let end = tokio::time::Instant::now() + patience.total;
    loop {
        let seen = look().await?;
        if seen.is_ok() || tokio::time::Instant::now() + patience.step > end {
            return Ok(seen);
        }
        tokio::time::sleep(patience.step).await;
    }
}
