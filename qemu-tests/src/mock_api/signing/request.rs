//! What is posted: checked as the API server does (`pkg/apis/certificates/validation`), recognised as the approver does
//! (`pkg/apis/certificates/helpers.go`).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rcgen::CertificateSigningRequestParams;
use rustls::pki_types::CertificateSigningRequestDer;
use rustls::pki_types::pem::PemObject as _;
use serde_json::Value;
use x509_parser::certification_request::X509CertificationRequest;
use x509_parser::prelude::FromDer as _;
use x509_parser::x509::AttributeTypeAndValue;

use super::CLIENT_SIGNER;
use crate::mock_api::users::{BOOTSTRAPPERS, NODES, User};

/// Usages that the signer knows besides those of kubelets (`KeyUsage` in `certificates.k8s.io/v1`).
const KNOWN_USAGES: [&str; 5] = [
    "digital signature",
    "key encipherment",
    "client auth",
    "server auth",
    "content commitment",
];

/// What is asked for, and by whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spec {
    /// The request, base64 of PEM as it was posted.
    pub request: String,
    /// The signer.
    pub signer: String,
    /// Key usages.
    pub usages: Vec<String>,
    /// How long the certificate is to be valid.
    pub expiration_secs: Option<i64>,
    /// Who posted it.
    pub user: User,
    /// `CN` of the subject.
    pub common_names: Vec<String>,
    /// `O` of the subject.
    pub organizations: Vec<String>,
    /// The request, read.
    pub parsed: CertificateSigningRequestParams,
}

/// Why something posted is not taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refused {
    /// 400: it cannot be read.
    Unreadable(String),
    /// 422: a field is wrong.
    Invalid(String),
}

/// Reads what was posted: name and specification.
pub fn read(body: &[u8], user: &User) -> Result<(String, Spec), Refused> {
    let object: Value = serde_json::from_slice(body).map_err(|error| Refused::Unreadable(error.to_string()))?;
    let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
    for (pointer, expected) in [
        ("/kind", "CertificateSigningRequest"),
        ("/apiVersion", "certificates.k8s.io/v1"),
    ] {
        if text(pointer).as_deref() != Some(expected) {
            return Err(Refused::Unreadable(format!("{pointer} is not {expected}")));
        }
    }
    let name = text("/metadata/name").filter(|name| is_object_name(name));
    let name = name.ok_or_else(|| invalid("metadata.name"))?;
    let request = text("/spec/request").ok_or_else(|| invalid("spec.request"))?;
    let signer = text("/spec/signerName").filter(|signer| signer.contains('/'));
    let expiration_secs = object.pointer("/spec/expirationSeconds").and_then(Value::as_i64);
    if expiration_secs.is_some_and(|secs| secs < 600) {
        return Err(invalid(
            "spec.expirationSeconds: may not specify a duration less than 600 seconds",
        ));
    }
    let der = der_of(&request)?;
    let (common_names, organizations) = subject(&der)?;
    let spec = Spec {
        common_names,
        organizations,
        parsed: CertificateSigningRequestParams::from_der(&der).map_err(|error| unusable(&error.to_string()))?,
        request,
        signer: signer.ok_or_else(|| invalid("spec.signerName"))?,
        usages: usages(&object)?,
        expiration_secs,
        user: user.clone(),
    };
    Ok((name, spec))
}

fn usages(object: &Value) -> Result<Vec<String>, Refused> {
    let usages = object.pointer("/spec/usages").and_then(Value::as_array);
    let usages: Option<Vec<String>> = usages.and_then(|usages| {
        let texts = usages.iter().map(|usage| usage.as_str().map(str::to_owned));
        texts.collect()
    });
    usages
        .filter(|usages| !usages.is_empty() && usages.iter().all(|usage| KNOWN_USAGES.contains(&usage.as_str())))
        .ok_or_else(|| invalid("spec.usages"))
}

fn der_of(request: &str) -> Result<CertificateSigningRequestDer<'static>, Refused> {
    let pem = STANDARD.decode(request).map_err(|_| unusable("not base64"))?;
    CertificateSigningRequestDer::from_pem_slice(&pem)
        .map_err(|_| unusable("PEM block type must be CERTIFICATE REQUEST"))
}

/// rcgen keeps one value of each kind only; a second organization must not get lost here.
fn subject(der: &CertificateSigningRequestDer<'_>) -> Result<(Vec<String>, Vec<String>), Refused> {
    let (_, request) = X509CertificationRequest::from_der(der).map_err(|error| unusable(&error.to_string()))?;
    let subject = &request.certification_request_info.subject;
    let text = |value: &AttributeTypeAndValue<'_>| value.as_str().unwrap_or("?").to_owned();
    let names = subject.iter_common_name().map(text).collect();
    Ok((names, subject.iter_organization().map(text).collect()))
}

fn unusable(why: &str) -> Refused {
    invalid(&format!("spec.request: {why}"))
}

fn invalid(what: &str) -> Refused {
    Refused::Invalid(what.to_owned())
}

/// Any name that can stand in a path (`apimachinery/pkg/api/validation/path`): kubelet's have upper case and `_`.
fn is_object_name(name: &str) -> bool {
    !["", ".", ".."].contains(&name) && !name.contains(['/', '%'])
}

impl Spec {
    /// A request for a client certificate as a kubelet of `user` would post it.
    pub fn of_kubelet(pem: &str, user: &User) -> Result<Self, Refused> {
        let object = serde_json::json!({
            "kind": "CertificateSigningRequest",
            "apiVersion": "certificates.k8s.io/v1",
            "metadata": { "name": "any" },
            "spec": {
                "request": STANDARD.encode(pem),
                "signerName": CLIENT_SIGNER,
                "usages": ["digital signature", "client auth"],
            },
        });
        read(object.to_string().as_bytes(), user).map(|(_, spec)| spec)
    }

    /// Whether the controller approves it: a kubelet's request for a client certificate, by somebody who may have one.
    pub fn is_approved_by_controller(&self) -> bool {
        let mut usages: Vec<&str> = self.usages.iter().map(String::as_str).collect();
        usages.sort_unstable();
        let usages_fit = usages == ["client auth", "digital signature"]
            || usages == ["client auth", "digital signature", "key encipherment"];
        let name_fits = matches!(self.common_names.as_slice(), [name] if name.starts_with("system:node:"));
        let own = self.common_names.first() == Some(&self.user.name) && self.user.is_in(NODES);
        self.signer == CLIENT_SIGNER
            && usages_fit
            && name_fits
            && self.organizations == [NODES]
            && self.parsed.params.subject_alt_names.is_empty()
            && (own || self.user.is_in(BOOTSTRAPPERS))
    }
}
