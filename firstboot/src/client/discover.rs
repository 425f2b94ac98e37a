//! How the cluster is found and believed.
//!
//! | trust | description | what makes it believed |
//! |---|---|---|
//! | pins | cluster-info | the token's signature, a pinned authority in it, and the same text again from a server verified by that authority alone |
//! | authorities | cluster-info | the server is verified before anything is read; a signature, if there is one, must fit, too |
//! | authorities | given | nothing is asked |
//! | pins or authorities | KKP's Secret | the server is verified before the token is shown to it |
//! | the token only | cluster-info | the token's signature |

use super::exchange::{Reply, Request};
use super::failure::{judge, refused, says};
use super::requests::{bearer_of, malformed, secret_of, segment};
use super::{Asked, Client, Purpose, Target, objects};
use crate::causes::with_causes;
use crate::certificates::{bundle, to_pem};
use crate::control_plane::{ApiError, ApiErrorKind, Cluster};
use crate::discovery::cluster_info::{self, ClusterInfo, ClusterInfoError};
use crate::discovery::pin;
use crate::join_config::{BootstrapToken, CaPin, Credential, Discovery, Endpoint, JoinConfig, Trust};
use crate::kubeconfig::{self, Kubeconfig, KubeconfigError};

const KKP_SECRETS: &str = "/api/v1/namespaces/cloud-init-settings/secrets";

/// Tries the endpoints in turn. If none works, the error of the one that came furthest is told.
pub(super) async fn discover(client: &Client, config: &JoinConfig) -> Result<Cluster, ApiError> {
    if config.discovery == Discovery::Given {
        return given(client, config);
    }
    let mut furthest: Option<ApiError> = None;
    for endpoint in client.preference.order(&config.endpoints) {
        let attempt = Attempt {
            client,
            config,
            endpoint,
        };
        match attempt.discover().await {
            Ok(cluster) => {
                client.preference.worked(endpoint);
                return Ok(cluster);
            }
            Err(error) => {
                client.preference.failed(endpoint);
                let further = |before: &ApiError| progress(error.kind) <= progress(before.kind);
                furthest = furthest.filter(further).or(Some(error));
            }
        }
    }
    Err(furthest.unwrap_or_else(|| no_endpoint(config)))
}

/// How far an attempt came that ended like this.
fn progress(kind: ApiErrorKind) -> u8 {
    match kind {
        ApiErrorKind::Dns => 0,
        ApiErrorKind::Connect => 1,
        ApiErrorKind::Timeout => 2,
        ApiErrorKind::NotKubernetes | ApiErrorKind::BadAnswer => 3,
        _ => 4,
    }
}

fn given(client: &Client, config: &JoinConfig) -> Result<Cluster, ApiError> {
    let endpoint = client.preference.order(&config.endpoints).first().copied();
    let endpoint = endpoint.ok_or_else(|| no_endpoint(config))?;
    match &config.trust {
        Trust::Authorities(authorities) => Ok(Cluster {
            server: endpoint.clone(),
            others: config.others_than(endpoint),
            authorities: authorities.clone(),
            tls_server_name: config.tls_server_name.clone(),
            credential: None,
        }),
        _ => Err(ApiError {
            kind: ApiErrorKind::Untrusted,
            endpoint: endpoint.to_string(),
            detail: "the join file has no authorities to verify the control plane by".to_owned(),
            advice: "put the cluster's authorities into the join file, or let it be discovered by cluster-info"
                .to_owned(),
        }),
    }
}

fn no_endpoint(config: &JoinConfig) -> ApiError {
    ApiError {
        kind: ApiErrorKind::Connect,
        endpoint: config.settings.name.clone(),
        detail: "the join file names no control plane".to_owned(),
        advice: "put the control plane's address into the join file".to_owned(),
    }
}

/// One endpoint's turn.
struct Attempt<'a> {
    client: &'a Client,
    config: &'a JoinConfig,
    endpoint: &'a Endpoint,
}

impl Attempt<'_> {
    async fn discover(&self) -> Result<Cluster, ApiError> {
        match (&self.config.discovery, &self.config.trust) {
            (Discovery::KkpSecret { name }, _) => self.by_secret(name).await,
            (_, Trust::Pins(pins)) => self.by_pins(pins).await,
            (_, Trust::Authorities(authorities)) => self.by_authorities(authorities).await,
            (_, Trust::UnsafeTokenOnly) => self.by_token().await,
        }
    }

    async fn by_pins(&self, pins: &[CaPin]) -> Result<Cluster, ApiError> {
        let asked = self.asked(Purpose::ClusterInfo);
        let first = self.strangers_info(&asked).await?;
        if let Some(token) = self.token() {
            first.verify(token).map_err(|error| unbelieved(&error, &asked))?;
        }
        let described = described(&first, &asked)?;
        let authorities = self.pinned_of(&described.authorities, pins, &asked)?;
        let second = self.verified_info(&authorities, &asked).await?;
        let second = parse(judge(second, &asked)?, &asked)?;
        if second.kubeconfig != first.kubeconfig {
            let detail = "the verified server describes another cluster than the one that answered first";
            return Err(refused(ApiErrorKind::Forged, detail, &asked));
        }
        Ok(self.cluster(described, authorities))
    }

    /// Where anonymous clients may not read the description, or there is none, the given authorities are enough.
    async fn by_authorities(&self, authorities: &str) -> Result<Cluster, ApiError> {
        let asked = self.asked(Purpose::ClusterInfo);
        let reply = self.verified_info(authorities, &asked).await?;
        if [401, 403, 404].into_iter().any(|status| says(&reply, status)) {
            return Ok(Cluster {
                server: self.endpoint.clone(),
                others: self.config.others_than(self.endpoint),
                authorities: authorities.to_owned(),
                tls_server_name: self.config.tls_server_name.clone(),
                credential: None,
            });
        }
        let info = parse(judge(reply, &asked)?, &asked)?;
        match self.token().map(|token| info.verify(token)) {
            // The server is verified; who signs the description is then of no importance, but a wrong signature is odd.
            None | Some(Ok(()) | Err(ClusterInfoError::NotSigned { .. })) => {}
            Some(Err(error)) => return Err(unbelieved(&error, &asked)),
        }
        let described = described(&info, &asked)?;
        let authorities = described.authorities.clone();
        Ok(self.cluster(described, authorities))
    }

    async fn by_token(&self) -> Result<Cluster, ApiError> {
        let asked = self.asked(Purpose::ClusterInfo);
        let Some(token) = self.token() else {
            let detail = "the join file has neither pins nor authorities, and its credential cannot verify anything";
            return Err(refused(ApiErrorKind::Untrusted, detail, &asked));
        };
        let info = self.strangers_info(&asked).await?;
        info.verify(token).map_err(|error| unbelieved(&error, &asked))?;
        let described = described(&info, &asked)?;
        let authorities = described.authorities.clone();
        Ok(self.cluster(described, authorities))
    }

    /// KKP's way: a Secret holds a kubeconfig with a bootstrap token.
    async fn by_secret(&self, name: &str) -> Result<Cluster, ApiError> {
        let asked = self.asked(Purpose::KkpSecret);
        let authorities = match &self.config.trust {
            Trust::Authorities(authorities) => authorities.clone(),
            Trust::Pins(pins) => self.pinned_authorities(pins).await?,
            Trust::UnsafeTokenOnly => {
                let detail = "a token that is not a bootstrap token would be shown to whoever answers";
                return Err(refused(ApiErrorKind::Untrusted, detail, &asked));
            }
        };
        let path = format!("{KKP_SECRETS}/{}", segment(name));
        let request = Request {
            bearer: bearer_of(&self.config.credential),
            ..Request::get(path)
        };
        let reply = self.client.ask(&self.target(&authorities), &request, &asked).await?;
        let reply = judge(reply, &asked)?;
        let kubeconfig =
            objects::kubeconfig(&reply.body).ok_or_else(|| malformed("Secret with a kubeconfig", &asked))?;
        let described = kubeconfig::parse(kubeconfig.as_bytes(), kubeconfig::Purpose::JoinFile);
        let mut described = described.map_err(|error| unusable(&error, &asked))?;
        let credential = described.credential.take();
        if credential.is_none() || described.proxy.is_some() {
            let detail = "the kubeconfig in the Secret has no credential for its user, or a `proxy-url`";
            return Err(refused(ApiErrorKind::BadAnswer, detail, &asked));
        }
        let authorities = match &self.config.trust {
            Trust::Pins(pins) => self.pinned_of(&described.authorities, pins, &asked)?,
            _ => described.authorities.clone(),
        };
        Ok(Cluster {
            credential,
            ..self.cluster(described, authorities)
        })
    }

    /// The pinned authorities, from wherever they can be had: the pin makes them right, not who hands them out.
    async fn pinned_authorities(&self, pins: &[CaPin]) -> Result<String, ApiError> {
        let asked = self.asked(Purpose::ClusterInfo);
        let (reply, shown) = self.client.stranger(cluster_info::PATH, &asked).await?;
        let mut candidates = shown.map(|shown| shown.chain).unwrap_or_default();
        // A server that does not describe its cluster may still send its authority's certificate along.
        let info = judge(reply, &asked).and_then(|reply| parse(reply, &asked));
        let described = info.as_ref().ok().and_then(|info| described(info, &asked).ok());
        candidates.extend(
            described
                .and_then(|described| bundle(&described.authorities).ok())
                .unwrap_or_default(),
        );
        let pinned = pin::pinned(&candidates, pins);
        match (pinned.is_empty(), info) {
            (false, _) => Ok(to_pem(&pinned)),
            (true, Err(error)) => Err(error),
            (true, Ok(_)) => Err(not_pinned(&asked)),
        }
    }

    fn pinned_of(&self, authorities: &str, pins: &[CaPin], asked: &Asked<'_>) -> Result<String, ApiError> {
        let pinned = bundle(authorities)
            .map(|certificates| pin::pinned(&certificates, pins))
            .unwrap_or_default();
        match pinned.is_empty() {
            true => Err(not_pinned(asked)),
            false => Ok(to_pem(&pinned)),
        }
    }

    /// The description by whoever answers.
    async fn strangers_info(&self, asked: &Asked<'_>) -> Result<ClusterInfo, ApiError> {
        let (reply, _) = self.client.stranger(cluster_info::PATH, asked).await?;
        parse(judge(reply, asked)?, asked)
    }

    /// The answer of a server that `authorities` vouch for. No credential: only anonymous clients may read cluster-info.
    async fn verified_info(&self, authorities: &str, asked: &Asked<'_>) -> Result<Reply, ApiError> {
        let request = Request::get(cluster_info::PATH);
        self.client.ask(&self.target(authorities), &request, asked).await
    }

    fn target<'b>(&'b self, authorities: &'b str) -> Target<'b> {
        Target {
            endpoint: self.endpoint,
            server_name: self.config.tls_server_name.as_deref(),
            authorities: Some(authorities),
            identity: None,
        }
    }

    fn asked(&self, purpose: Purpose) -> Asked<'_> {
        Asked {
            endpoint: self.endpoint,
            server_name: self.config.tls_server_name.as_deref(),
            purpose,
            secrets: vec![secret_of(&self.config.credential)],
        }
    }

    /// The cluster as it describes itself. The join file's name for the certificate is for the join file's endpoint only.
    fn cluster(&self, described: Kubeconfig, authorities: String) -> Cluster {
        let own = self
            .config
            .tls_server_name
            .as_ref()
            .filter(|_| described.server == *self.endpoint);
        Cluster {
            tls_server_name: described.tls_server_name.or_else(|| own.cloned()),
            others: self.config.others_than(&described.server),
            server: described.server,
            authorities,
            credential: None,
        }
    }

    fn token(&self) -> Option<&BootstrapToken> {
        match &self.config.credential {
            Credential::BootstrapToken(token) => Some(token),
            _ => None,
        }
    }
}

fn parse(reply: Reply, asked: &Asked<'_>) -> Result<ClusterInfo, ApiError> {
    ClusterInfo::parse(&reply.body).map_err(|error| unbelieved(&error, asked))
}

fn described(info: &ClusterInfo, asked: &Asked<'_>) -> Result<Kubeconfig, ApiError> {
    info.cluster().map_err(|error| unusable(&error, asked))
}

fn unusable(error: &KubeconfigError, asked: &Asked<'_>) -> ApiError {
    ApiError {
        advice: error.advice().to_owned(),
        ..refused(
            ApiErrorKind::BadAnswer,
            format!("the kubeconfig in the answer: {}", with_causes(error)),
            asked,
        )
    }
}

fn unbelieved(error: &ClusterInfoError, asked: &Asked<'_>) -> ApiError {
    let kind = match error {
        ClusterInfoError::NotSigned { .. } => ApiErrorKind::NotSigned,
        ClusterInfoError::WrongSignature { .. } => ApiErrorKind::Forged,
        _ => ApiErrorKind::BadAnswer,
    };
    refused(kind, error.to_string(), asked)
}

fn not_pinned(asked: &Asked<'_>) -> ApiError {
    let detail = "none of the authorities that it describes is one of the join file's pins";
    refused(ApiErrorKind::Forged, detail, asked)
}
