//! The ConfigMaps in which a cluster names its authorities: `kube-public/cluster-info` as the bootstrap signer keeps it, and
//! `kube-root-ca.crt`.

use serde_json::{Value, json};

use super::answer::Answer;
use super::description::{Description, Facts, Kubeconfig};
use super::jws;
use super::tokens::Token;

/// Answers the question for it.
pub fn answer<'a>(facts: &Facts<'_>, tokens: impl Iterator<Item = &'a Token>, wrong: &[&Description]) -> Answer {
    if wrong.contains(&&Description::Missing) {
        return Answer::failure(404, "NotFound", r#"configmaps "cluster-info" not found"#);
    }
    let kind = wrong.iter().find_map(|wrong| match wrong {
        Description::Kubeconfig(kind) => Some(kind),
        _ => None,
    });
    let kubeconfig = facts.kubeconfig(kind.unwrap_or(&Kubeconfig::Unnamed));
    let mut data = serde_json::Map::new();
    for token in tokens {
        let signature = signature(&kubeconfig, token, wrong);
        data.extend(signature.map(|signature| (format!("jws-kubeconfig-{}", token.id), Value::String(signature))));
    }
    for wrong in wrong {
        match wrong {
            Description::Padding(bytes) => {
                data.insert("padding".to_owned(), Value::String("x".repeat(*bytes)));
            }
            Description::Tampered => {
                let tampered = facts.kubeconfig(&Kubeconfig::OtherServer("https://192.0.2.1:6443".to_owned()));
                data.insert("kubeconfig".to_owned(), Value::String(tampered));
            }
            _ => {}
        }
    }
    if !wrong.contains(&&Description::NoKubeconfig) {
        data.entry("kubeconfig").or_insert(Value::String(kubeconfig));
    }
    Answer::json(200, &config_map("kube-public", "cluster-info", Value::Object(data)))
}

fn signature(kubeconfig: &str, token: &Token, wrong: &[&Description]) -> Option<String> {
    let (id, secret) = (&token.id, &token.secret);
    let forged = wrong.iter().find_map(|wrong| match wrong {
        Description::NoSignature => Some(None),
        Description::Signature(forgery) => Some(Some(jws::forge(*forgery, kubeconfig, id, secret))),
        _ => None,
    });
    forged.unwrap_or_else(|| Some(jws::sign(kubeconfig, id, secret)))
}

/// The ConfigMap `kube-root-ca.crt` of the namespace kube-system.
pub fn root_authorities(pem: &str) -> Value {
    config_map("kube-system", "kube-root-ca.crt", json!({ "ca.crt": pem }))
}

fn config_map(namespace: &str, name: &str, data: Value) -> Value {
    json!({
        "kind": "ConfigMap",
        "apiVersion": "v1",
        "metadata": {
            "name": name,
            "namespace": namespace,
            "uid": "6b3a5e5c-5d5f-4e0b-9f0e-5a3c7b1d2e4f",
            "resourceVersion": "301",
            "creationTimestamp": "2026-01-01T00:00:00Z",
        },
        "data": data,
    })
}
