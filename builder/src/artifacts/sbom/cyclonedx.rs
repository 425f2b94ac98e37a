//! CycloneDX 1.6 as JSON (ECMA-424).

use serde::Serialize;

use crate::digest::Sha256;
use crate::fat::time::UtcTime;
use crate::gpt::Guid;

use super::{GoModule, Ids, SbomInput, SbomOrigin, SbomPackage, licence, purl};

/// The reference of the image within the document.
const IMAGE: &str = "image";

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Document {
    #[serde(rename = "$schema")]
    schema: &'static str,
    bom_format: &'static str,
    spec_version: &'static str,
    serial_number: String,
    version: u32,
    metadata: Metadata,
    components: Vec<Component>,
    dependencies: Vec<Dependency>,
}

#[derive(Serialize)]
struct Metadata {
    timestamp: String,
    tools: Tools,
    component: Component,
}

#[derive(Serialize)]
struct Tools {
    components: [Component; 1],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Component {
    #[serde(rename = "type")]
    kind: &'static str,
    #[serde(rename = "bom-ref", skip_serializing_if = "Option::is_none")]
    reference: Option<String>,
    name: String,
    version: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    hashes: Vec<Hash>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    licenses: Vec<LicenceChoice>,
    #[serde(skip_serializing_if = "Option::is_none")]
    purl: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    external_references: Vec<ExternalReference>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    properties: Vec<Property>,
}

#[derive(Serialize)]
struct Hash {
    alg: &'static str,
    content: Sha256,
}

#[derive(Serialize)]
struct LicenceChoice {
    license: Licence,
}

#[derive(Serialize)]
#[serde(rename_all = "lowercase")]
enum Licence {
    /// One of SPDX's list.
    Id(String),
    /// Any other.
    Name(String),
}

#[derive(Serialize)]
struct ExternalReference {
    #[serde(rename = "type")]
    kind: &'static str,
    url: String,
}

#[derive(Serialize)]
struct Property {
    name: &'static str,
    value: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Dependency {
    #[serde(rename = "ref")]
    reference: String,
    depends_on: Vec<String>,
}

/// The document's text.
pub fn to_json(input: &SbomInput) -> String {
    let sorted = super::sorted(input);
    let mut ids = Ids::default();
    let references: Vec<String> = sorted
        .iter()
        .map(|package| ids.give("package", &package.name))
        .collect();
    let modules = super::modules(&sorted, &mut ids, "module");
    let packages = sorted
        .iter()
        .zip(&references)
        .map(|(package, id)| describe(package, id));
    let components = packages.chain(modules.iter().map(|(module, id)| describe_module(module, id)));
    let needs = sorted.iter().zip(&references).map(|(package, id)| {
        let linked = modules.iter().filter(|(module, _)| package.modules.contains(module));
        dependency(id, linked.map(|(_, id)| id.clone()).collect())
    });
    let dependencies = std::iter::once(dependency(IMAGE, references.clone())).chain(needs);
    let document = Document {
        schema: "http://cyclonedx.org/schema/bom-1.6.schema.json",
        bom_format: "CycloneDX",
        spec_version: "1.6",
        serial_number: format!("urn:uuid:{}", Guid::derive(&input.digest, "cyclonedx")),
        version: 1,
        metadata: Metadata {
            timestamp: UtcTime::from_unix(input.timestamp).to_string(),
            tools: Tools {
                components: [plain("application", None, "skerry", env!("CARGO_PKG_VERSION"))],
            },
            component: plain("operating-system", Some(IMAGE), &input.image, &input.image_version),
        },
        components: components.collect(),
        dependencies: dependencies.filter(|needed| !needed.depends_on.is_empty()).collect(),
    };
    serde_json::to_string_pretty(&document).expect("the document has no maps and no fallible fields") + "\n"
}

fn dependency(reference: &str, depends_on: Vec<String>) -> Dependency {
    Dependency {
        reference: reference.to_owned(),
        depends_on,
    }
}

fn plain(kind: &'static str, reference: Option<&str>, name: &str, version: &str) -> Component {
    Component {
        kind,
        reference: reference.map(str::to_owned),
        name: name.to_owned(),
        version: version.to_owned(),
        hashes: Vec::new(),
        licenses: Vec::new(),
        purl: None,
        external_references: Vec::new(),
        properties: Vec::new(),
    }
}

fn describe(package: &SbomPackage, reference: &str) -> Component {
    let kind = match package.origin {
        SbomOrigin::Deb { .. } => "library",
        SbomOrigin::Go { .. } | SbomOrigin::File => "application",
        SbomOrigin::Oci { .. } => "container",
    };
    let (url, path) = match &package.download {
        Some(download) if download.contains("://") => (Some(download), None),
        other => (None, other.as_ref()),
    };
    let property = |name, value: Option<&String>| value.cloned().map(|value| Property { name, value });
    let properties = [
        property("skerry:architecture", Some(&package.arch)),
        property("skerry:source-package", package.source.as_ref()),
        property("skerry:path-in-archive", path),
    ];
    let reference_to = |url: &String| ExternalReference {
        kind: "distribution",
        url: url.clone(),
    };
    Component {
        hashes: vec![Hash {
            alg: "SHA-256",
            content: package.sha256,
        }],
        licenses: licence::distinct(&package.licences)
            .into_iter()
            .map(|name| choice(name))
            .collect(),
        purl: Some(purl::of(package)),
        external_references: url.map(reference_to).into_iter().collect(),
        properties: properties.into_iter().flatten().collect(),
        ..plain(kind, Some(reference), &package.name, &package.version)
    }
}

fn choice(name: &str) -> LicenceChoice {
    let license = match licence::is_listed(name) {
        true => Licence::Id(name.to_owned()),
        false => Licence::Name(name.to_owned()),
    };
    LicenceChoice { license }
}

/// The entry for a Go module. Its checksum is one of its source, in a form of Go's own, and no digest of a file.
fn describe_module(module: &GoModule, reference: &str) -> Component {
    let sum = module.sum.iter().map(|sum| Property {
        name: "skerry:go.sum",
        value: sum.clone(),
    });
    Component {
        purl: Some(purl::of_module(&module.path, &module.version)),
        properties: sum.collect(),
        ..plain("library", Some(reference), &module.path, &module.version)
    }
}
