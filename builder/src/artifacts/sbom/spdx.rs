//! SPDX 2.3 as JSON. What is not known is `NOASSERTION`, as the specification wants it.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::digest::Sha256;
use crate::fat::time::UtcTime;
use crate::gpt::Guid;

use super::licence::{self, Licences};
use super::{GoModule, Ids, NOASSERTION, SbomInput, SbomPackage, purl};

const DOCUMENT_ID: &str = "SPDXRef-DOCUMENT";
const IMAGE_ID: &str = "SPDXRef-Image";

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Document {
    spdx_version: &'static str,
    data_license: &'static str,
    #[serde(rename = "SPDXID")]
    id: &'static str,
    name: String,
    document_namespace: String,
    creation_info: CreationInfo,
    packages: Vec<Package>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    has_extracted_licensing_infos: Vec<licence::Extracted>,
    relationships: Vec<Relationship>,
}

#[derive(Serialize)]
struct CreationInfo {
    created: String,
    creators: [String; 1],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Package {
    #[serde(rename = "SPDXID")]
    id: String,
    name: String,
    version_info: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    package_file_name: Option<String>,
    download_location: String,
    files_analyzed: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    source_info: Option<String>,
    license_concluded: &'static str,
    license_declared: String,
    copyright_text: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    primary_package_purpose: Option<&'static str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    checksums: Vec<Checksum>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    external_refs: Vec<ExternalRef>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Checksum {
    algorithm: &'static str,
    checksum_value: Sha256,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ExternalRef {
    reference_category: &'static str,
    reference_type: &'static str,
    reference_locator: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Relationship {
    spdx_element_id: String,
    relationship_type: &'static str,
    related_spdx_element: String,
}

/// The document's text.
pub fn to_json(input: &SbomInput) -> String {
    let sorted = super::sorted(input);
    let mut licences = Licences::default();
    let mut ids = Ids::default();
    let mut packages = vec![image_package(input)];
    packages.extend(sorted.iter().map(|package| describe(package, &mut ids, &mut licences)));
    let modules = super::modules(&sorted, &mut ids, "SPDXRef-Module");
    let relationships = relate(&sorted, &packages, &modules);
    packages.extend(modules.iter().map(|(module, id)| describe_module(module, id)));
    let name = format!("{}-{}", input.image, input.image_version);
    let document = Document {
        spdx_version: "SPDX-2.3",
        data_license: "CC0-1.0",
        id: DOCUMENT_ID,
        document_namespace: format!(
            "https://spdx.org/spdxdocs/{}-{}",
            purl::encode(&name),
            Guid::derive(&input.digest, "sbom")
        ),
        name,
        creation_info: CreationInfo {
            created: UtcTime::from_unix(input.timestamp).to_string(),
            creators: [format!("Tool: skerry-{}", env!("CARGO_PKG_VERSION"))],
        },
        packages,
        has_extracted_licensing_infos: licences.extracted(),
        relationships,
    };
    serde_json::to_string_pretty(&document).expect("the document has no maps and no fallible fields") + "\n"
}

/// The document describes the image, the image contains packages, and a program has modules linked in.
fn relate(sorted: &[&SbomPackage], described: &[Package], modules: &BTreeMap<&GoModule, String>) -> Vec<Relationship> {
    let relationship = |from: &str, relationship_type, to: &str| Relationship {
        spdx_element_id: from.to_owned(),
        relationship_type,
        related_spdx_element: to.to_owned(),
    };
    let mut all = vec![relationship(DOCUMENT_ID, "DESCRIBES", IMAGE_ID)];
    all.extend(
        described[1..]
            .iter()
            .map(|package| relationship(IMAGE_ID, "CONTAINS", &package.id)),
    );
    for (package, described) in sorted.iter().zip(&described[1..]) {
        let linked = modules.iter().filter(|(module, _)| package.modules.contains(module));
        all.extend(linked.map(|(_, id)| relationship(&described.id, "STATIC_LINK", id)));
    }
    all
}

fn image_package(input: &SbomInput) -> Package {
    Package {
        id: IMAGE_ID.to_owned(),
        name: input.image.clone(),
        version_info: input.image_version.clone(),
        package_file_name: None,
        download_location: NOASSERTION.to_owned(),
        files_analyzed: false,
        source_info: None,
        license_concluded: NOASSERTION,
        license_declared: NOASSERTION.to_owned(),
        copyright_text: NOASSERTION,
        primary_package_purpose: Some("OPERATING-SYSTEM"),
        checksums: Vec::new(),
        external_refs: Vec::new(),
    }
}

/// The entry for a package.
fn describe(package: &SbomPackage, ids: &mut Ids, licences: &mut Licences) -> Package {
    // A download location has to be a URI; a path in an archive is told as the file's name.
    let (uri, file_name) = match &package.download {
        Some(download) if download.contains("://") => (Some(download.clone()), None),
        other => (None, other.clone()),
    };
    Package {
        id: ids.give("SPDXRef-Package", &package.name),
        name: package.name.clone(),
        version_info: package.version.clone(),
        package_file_name: file_name,
        download_location: uri.unwrap_or_else(|| NOASSERTION.to_owned()),
        files_analyzed: false,
        source_info: package
            .source
            .as_ref()
            .map(|source| format!("built from the source package {source}")),
        license_concluded: NOASSERTION,
        license_declared: licences.expression(&package.licences),
        copyright_text: NOASSERTION,
        primary_package_purpose: None,
        checksums: vec![Checksum {
            algorithm: "SHA256",
            checksum_value: package.sha256,
        }],
        external_refs: vec![purl_reference(purl::of(package))],
    }
}

/// The entry for a Go module. Its checksum is one of its source, in a form of Go's own.
fn describe_module(module: &GoModule, id: &str) -> Package {
    Package {
        id: id.to_owned(),
        name: module.path.clone(),
        version_info: module.version.clone(),
        package_file_name: None,
        download_location: NOASSERTION.to_owned(),
        files_analyzed: false,
        source_info: module.sum.as_ref().map(|sum| format!("checksum in go.sum: {sum}")),
        license_concluded: NOASSERTION,
        license_declared: NOASSERTION.to_owned(),
        copyright_text: NOASSERTION,
        primary_package_purpose: None,
        checksums: Vec::new(),
        external_refs: vec![purl_reference(purl::of_module(&module.path, &module.version))],
    }
}

fn purl_reference(reference_locator: String) -> ExternalRef {
    ExternalRef {
        reference_category: "PACKAGE-MANAGER",
        reference_type: "purl",
        reference_locator,
    }
}
