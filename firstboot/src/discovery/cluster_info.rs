//! The ConfigMap `kube-public/cluster-info`: a kubeconfig without a user and a signature of it for each bootstrap token.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::jws;
use crate::join_config::BootstrapToken;
use crate::kubeconfig::{self, Kubeconfig, KubeconfigError, Purpose};

/// Path of the ConfigMap below an endpoint.
pub const PATH: &str = "/api/v1/namespaces/kube-public/configmaps/cluster-info";
/// The largest ConfigMap there can be (etcd's limit on an object), plus what JSON adds to it, in bytes.
pub const MAX_BYTES: usize = 1 << 20;

const KUBECONFIG: &str = "kubeconfig";
const SIGNATURE_PREFIX: &str = "jws-kubeconfig-";

/// What a cluster says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClusterInfo {
    /// The kubeconfig, byte for byte.
    pub kubeconfig: String,
    signatures: BTreeMap<String, String>,
}

/// Why an answer is no description of a cluster that can be believed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ClusterInfoError {
    /// It is larger than [`MAX_BYTES`].
    #[error("the cluster-info is {len_bytes} bytes long, more than {MAX_BYTES}")]
    TooLarge {
        /// Its length.
        len_bytes: usize,
    },
    /// It is not a ConfigMap in JSON.
    #[error("the cluster-info is not a ConfigMap in JSON")]
    NotConfigMap,
    /// There is no kubeconfig in it.
    #[error("the ConfigMap cluster-info has no key `{KUBECONFIG}`")]
    NoKubeconfig,
    /// There is no signature by this token.
    #[error("the ConfigMap cluster-info has no key `{SIGNATURE_PREFIX}{id}`")]
    NotSigned {
        /// The token's id.
        id: String,
    },
    /// The signature is not the token's.
    #[error("the signature in the ConfigMap cluster-info does not fit the token {id}")]
    WrongSignature {
        /// The token's id.
        id: String,
    },
}

#[derive(Deserialize)]
struct ConfigMap {
    kind: Option<String>,
    #[serde(default)]
    data: BTreeMap<String, String>,
}

impl ClusterInfo {
    /// Reads the ConfigMap as the API server sends it.
    pub fn parse(body: &[u8]) -> Result<Self, ClusterInfoError> {
        let len_bytes = body.len();
        if len_bytes > MAX_BYTES {
            return Err(ClusterInfoError::TooLarge { len_bytes });
        }
        let map: ConfigMap = serde_json::from_slice(body).map_err(|_| ClusterInfoError::NotConfigMap)?;
        if map.kind.as_deref() != Some("ConfigMap") {
            return Err(ClusterInfoError::NotConfigMap);
        }
        let mut data = map.data;
        let kubeconfig = data.remove(KUBECONFIG).filter(|text| !text.is_empty());
        Ok(Self {
            kubeconfig: kubeconfig.ok_or(ClusterInfoError::NoKubeconfig)?,
            signatures: data,
        })
    }

    /// The cluster that the kubeconfig describes.
    pub fn cluster(&self) -> Result<Kubeconfig, KubeconfigError> {
        kubeconfig::parse(self.kubeconfig.as_bytes(), Purpose::ClusterInfo)
    }

    /// Checks the signature by `token`.
    pub fn verify(&self, token: &BootstrapToken) -> Result<(), ClusterInfoError> {
        let id = token.id.clone();
        match self
            .signatures
            .get(&format!("{SIGNATURE_PREFIX}{id}"))
            .filter(|text| !text.is_empty())
        {
            None => Err(ClusterInfoError::NotSigned { id }),
            Some(signature) if jws::verify(self.kubeconfig.as_bytes(), signature, token) => Ok(()),
            Some(_) => Err(ClusterInfoError::WrongSignature { id }),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::secret::Secret;

    fn token() -> BootstrapToken {
        BootstrapToken {
            id: "abcdef".to_owned(),
            secret: Secret::new("0123456789abcdef"),
        }
    }

    fn parse(map: &serde_json::Value) -> Result<ClusterInfo, ClusterInfoError> {
        ClusterInfo::parse(map.to_string().as_bytes())
    }

    #[test]
    fn a_signed_description_is_read_and_verified() {
        let signature = jws::sign("apiVersion: v1\n".as_bytes(), &token());
        let map = json!({"kind": "ConfigMap", "metadata": {"name": "cluster-info"}, "data": {
            "kubeconfig": "apiVersion: v1\n", "jws-kubeconfig-abcdef": signature, "jws-kubeconfig-zzzzzz": "x..y",
        }});
        let info = parse(&map).unwrap();
        assert_eq!(info.kubeconfig, "apiVersion: v1\n");
        assert_eq!(info.verify(&token()), Ok(()));
    }

    #[test]
    fn a_missing_signature_and_a_wrong_one_are_told_apart() {
        let id = "abcdef".to_owned();
        let mut map = json!({"kind": "ConfigMap", "data": {"kubeconfig": "a: b", "jws-kubeconfig-abcdeg": "x..y"}});
        let missing = ClusterInfoError::NotSigned { id: id.clone() };
        assert_eq!(parse(&map).unwrap().verify(&token()), Err(missing.clone()));
        map["data"]["jws-kubeconfig-abcdef"] = json!("");
        assert_eq!(parse(&map).unwrap().verify(&token()), Err(missing));
        map["data"]["jws-kubeconfig-abcdef"] = json!(jws::sign(b"a: c", &token()));
        assert_eq!(
            parse(&map).unwrap().verify(&token()),
            Err(ClusterInfoError::WrongSignature { id })
        );
    }

    #[test]
    fn what_is_no_description_is_refused() {
        let none = Err(ClusterInfoError::NoKubeconfig);
        assert_eq!(parse(&json!({"kind": "ConfigMap"})), none);
        assert_eq!(parse(&json!({"kind": "ConfigMap", "data": {"kubeconfig": ""}})), none);
        let other = Err(ClusterInfoError::NotConfigMap);
        assert_eq!(parse(&json!({"kind": "Secret", "data": {"kubeconfig": "a: b"}})), other);
        assert_eq!(parse(&json!({"kind": "ConfigMap", "data": {"kubeconfig": 1}})), other);
        assert_eq!(ClusterInfo::parse(b"<html>"), other);
        assert_eq!(
            ClusterInfo::parse(b"{\"kind\":\"ConfigMap\",\"data\":{\"kubeconfig\":\"\xff\"}}"),
            other
        );
        let long = vec![b' '; MAX_BYTES + 1];
        let len_bytes = MAX_BYTES + 1;
        assert_eq!(ClusterInfo::parse(&long), Err(ClusterInfoError::TooLarge { len_bytes }));
    }

    proptest! {
        #[test]
        fn hostile_answers_never_panic(body in proptest::collection::vec(any::<u8>(), 0..400)) {
            let _ = ClusterInfo::parse(&body);
        }
    }
}
