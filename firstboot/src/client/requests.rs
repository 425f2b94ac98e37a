//! The requests to a verified cluster: signing request and Node.

use hyper::Method;

use super::exchange::{Reply, Request};
use super::failure::{clean, judge, refused, says};
use super::{Asked, Client, Purpose, Target, objects};
use crate::control_plane::{ApiError, ApiErrorKind, Caller, Cluster, NodeView, Posted, SigningRequest, SigningState};
use crate::csr;
use crate::join_config::Credential;
use crate::secret::Secret;

const SIGNING_REQUESTS: &str = "/apis/certificates.k8s.io/v1/certificatesigningrequests";

pub(super) async fn post(
    client: &Client,
    cluster: &Cluster,
    caller: Caller<'_>,
    request: &SigningRequest,
) -> Result<Posted, ApiError> {
    let asked = asked(cluster, caller, Purpose::SigningRequest);
    let posted = Request {
        method: Method::POST,
        path: SIGNING_REQUESTS.to_owned(),
        bearer: bearer(caller),
        body: Some(objects::new_request(request)),
    };
    let reply = client.ask(&Target::of(cluster, caller), &posted, &asked).await?;
    if !says(&reply, 409) {
        return judge(reply, &asked).map(|_| Posted::Created);
    }
    let path = format!("{SIGNING_REQUESTS}/{}", segment(&request.name));
    let there = get(client, cluster, caller, &path, &asked).await?;
    let there = objects::posted_request(&judge(there, &asked)?.body);
    match there.and_then(|there| csr::same_key(&there, &request.pem)) {
        Some(true) => Ok(Posted::AlreadyThere),
        Some(false) => Ok(Posted::Taken),
        None => Err(malformed("CertificateSigningRequest", &asked)),
    }
}

pub(super) async fn signing_state(
    client: &Client,
    cluster: &Cluster,
    caller: Caller<'_>,
    name: &str,
) -> Result<SigningState, ApiError> {
    let asked = asked(cluster, caller, Purpose::SigningRequest);
    let path = format!("{SIGNING_REQUESTS}/{}", segment(name));
    let reply = get(client, cluster, caller, &path, &asked).await?;
    if says(&reply, 404) {
        return Ok(SigningState::Gone);
    }
    let state = objects::signing_state(&judge(reply, &asked)?.body);
    let state = state.ok_or_else(|| malformed("CertificateSigningRequest", &asked))?;
    Ok(match state {
        SigningState::Denied(reason) => SigningState::Denied(clean(&reason, &asked.secrets)),
        SigningState::Failed(reason) => SigningState::Failed(clean(&reason, &asked.secrets)),
        state => state,
    })
}

pub(super) async fn node(
    client: &Client,
    cluster: &Cluster,
    caller: Caller<'_>,
    name: &str,
) -> Result<Option<NodeView>, ApiError> {
    let purpose = match caller {
        Caller::Joining(_) => Purpose::NodeBefore,
        Caller::Node { .. } => Purpose::NodeItself,
    };
    let asked = asked(cluster, caller, purpose);
    let path = format!("/api/v1/nodes/{}", segment(name));
    let reply = get(client, cluster, caller, &path, &asked).await?;
    if says(&reply, 404) {
        return Ok(None);
    }
    let view = objects::node(&judge(reply, &asked)?.body).ok_or_else(|| malformed("Node", &asked))?;
    let reason = clean(&view.reason, &asked.secrets);
    Ok(Some(NodeView { reason, ..view }))
}

pub(super) async fn get(
    client: &Client,
    cluster: &Cluster,
    caller: Caller<'_>,
    path: &str,
    asked: &Asked<'_>,
) -> Result<Reply, ApiError> {
    let request = Request {
        bearer: bearer(caller),
        ..Request::get(path)
    };
    client.ask(&Target::of(cluster, caller), &request, asked).await
}

pub(super) fn asked<'a>(cluster: &'a Cluster, caller: Caller<'a>, purpose: Purpose) -> Asked<'a> {
    let secret = match caller {
        Caller::Node { key, .. } => key,
        Caller::Joining(credential) => secret_of(credential),
    };
    Asked {
        endpoint: &cluster.server,
        server_name: cluster.tls_server_name.as_deref(),
        purpose,
        secrets: vec![secret],
    }
}

/// The secret part of a credential.
pub(super) fn secret_of(credential: &Credential) -> &Secret {
    match credential {
        Credential::BootstrapToken(token) => &token.secret,
        Credential::Bearer(token) => token,
        Credential::ClientCertificate { key, .. } => key,
    }
}

fn bearer(caller: Caller<'_>) -> Option<Secret> {
    match caller {
        Caller::Node { .. } => None,
        Caller::Joining(credential) => bearer_of(credential),
    }
}

/// What goes into the header `Authorization`.
pub(super) fn bearer_of(credential: &Credential) -> Option<Secret> {
    match credential {
        Credential::BootstrapToken(token) => Some(token.whole()),
        Credential::Bearer(token) => Some(token.clone()),
        Credential::ClientCertificate { .. } => None,
    }
}

pub(super) fn malformed(kind: &str, asked: &Asked<'_>) -> ApiError {
    refused(
        ApiErrorKind::BadAnswer,
        format!("the answer is not a {kind} in JSON"),
        asked,
    )
}

/// A name as one segment of a path (RFC 3986 §3.3): names come from configurations and must not lead elsewhere.
pub(super) fn segment(name: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
    let encode = |byte: u8| match plain(byte) {
        true => char::from(byte).to_string(),
        false => format!("%{byte:02X}"),
    };
    name.bytes().map(encode).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_stays_within_its_segment() {
        assert_eq!(segment("node-csr-Ab_9.x"), "node-csr-Ab_9.x");
        assert_eq!(segment("../secrets?x=1 #"), "..%2Fsecrets%3Fx%3D1%20%23");
        assert_eq!(segment("é"), "%C3%A9");
    }
}
