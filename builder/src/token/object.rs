//! The Secret that is a bootstrap token.

use std::time::SystemTime;

use serde_json::json;
use skerry_firstboot::discovery::cluster_info::PATH as CLUSTER_INFO;
use skerry_firstboot::join_config::BootstrapToken;

use super::api::{Api, Who};
use super::{Made, Patience, Request, TokenError, poll, random, unix};
use crate::fat::UtcTime;

const SECRETS: &str = "/api/v1/namespaces/kube-system/secrets";
/// Ids that are taken by chance: one in two billion for each token that there is.
const TRIES: usize = 5;

/// Where the Secret of the token `id` is.
pub(super) fn path(id: &str) -> String {
    format!("{SECRETS}/bootstrap-token-{id}")
}

/// Makes a token with a random id. Its end is told by the API server's clock, which is the one that decides.
pub(super) async fn create(api: &Api, request: &Request) -> Result<Made, TokenError> {
    let now = api.server_time().await?.unwrap_or_else(SystemTime::now);
    let expires = now.checked_add(request.ttl).ok_or(TokenError::NoTime)?;
    for _ in 0..TRIES {
        let token = random::token()?;
        let answer = api.post(SECRETS, &object(&token, expires, request)).await?;
        match answer.status {
            201 => return Ok(Made { token, expires }),
            409 => {}
            _ => return Err(answer.refused("make a Secret in kube-system")),
        }
    }
    Err(TokenError::NoId)
}

fn object(token: &BootstrapToken, expires: SystemTime, request: &Request) -> serde_json::Value {
    json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": { "name": format!("bootstrap-token-{}", token.id), "namespace": "kube-system" },
        "type": "bootstrap.kubernetes.io/token",
        "stringData": {
            "description": request.description,
            "token-id": token.id,
            "token-secret": token.secret.expose(),
            "expiration": UtcTime::from_unix(unix(expires)).to_string(),
            "usage-bootstrap-authentication": "true",
            "usage-bootstrap-signing": "true",
            "auth-extra-groups": request.group,
        },
    })
}

/// The API server learns of a new token by watching; then it either knows whose it is, or takes no such tokens at all.
pub(super) async fn wait_until_accepted(
    api: &Api,
    token: &BootstrapToken,
    patience: Patience,
) -> Result<(), TokenError> {
    let whole = token.whole();
    let accepted = poll(patience, async || {
        let answer = api.get(CLUSTER_INFO, Who::Bearer(&whole)).await?;
        Ok(if answer.status == 401 { Err(()) } else { Ok(()) })
    });
    accepted.await?.map_err(|()| TokenError::NotAccepted)
}
