//! The object `CertificateSigningRequest` as the API shows it (`certificates.k8s.io/v1`).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::{Entry, Phase};
use crate::mock_api::clock::rfc3339;

/// The object of `entry`.
pub fn object(entry: &Entry) -> Value {
    let spec = &entry.spec;
    let mut object = json!({
        "kind": "CertificateSigningRequest",
        "apiVersion": "certificates.k8s.io/v1",
        "metadata": {
            "name": entry.name,
            "uid": format!("00000000-0000-4000-8000-{:012}", entry.number),
            "resourceVersion": (1000 + entry.number).to_string(),
            "creationTimestamp": rfc3339(entry.created),
        },
        "spec": {
            "request": spec.request,
            "signerName": spec.signer,
            "usages": spec.usages,
            "username": spec.user.name,
            "groups": spec.user.groups,
        },
        "status": status(entry),
    });
    if let Some(secs) = spec.expiration_secs {
        object["spec"]["expirationSeconds"] = json!(secs);
    }
    object
}

fn status(entry: &Entry) -> Value {
    let condition = |kind: &str, reason: &str, message: &str| {
        json!({
            "type": kind,
            "status": "True",
            "reason": reason,
            "message": message,
            "lastUpdateTime": rfc3339(entry.created),
            "lastTransitionTime": rfc3339(entry.created),
        })
    };
    let approved = condition(
        "Approved",
        "AutoApproved",
        "Auto approving kubelet client certificate after SubjectAccessReview.",
    );
    match &entry.phase {
        Phase::Pending(_) => json!({}),
        Phase::Approved(_) => json!({ "conditions": [approved] }),
        Phase::Issued(pem) => json!({ "conditions": [approved], "certificate": STANDARD.encode(pem) }),
        Phase::Denied(reason) => json!({ "conditions": [condition("Denied", "MockDenied", reason)] }),
        Phase::Failed(reason) => {
            json!({ "conditions": [approved, condition("Failed", "SignerValidationFailure", reason)] })
        }
    }
}
