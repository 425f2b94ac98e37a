//! The software bill of materials: SPDX 2.3 as JSON.
//!
//! In: packages and components, in types of this module. Out: the same text each time: its date is the lock's, and its
//! namespace comes from a digest. What is not known is `NOASSERTION`, as the specification wants it. Deliberately
//! unsupported: lists of files.

use std::collections::BTreeSet;

use serde::Serialize;

use crate::digest::Sha256;
use crate::fat::time::UtcTime;
use crate::gpt::Guid;

pub mod licence;
pub mod purl;

#[cfg(test)]
mod tests;

use licence::Licences;

/// Where a package is from.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum SbomOrigin {
    /// Debian's archive.
    Deb,
    /// Built from a Go module.
    Go {
        /// The module's path, such as `k8s.io/kubernetes`.
        module: String,
    },
    /// A container image that is brought along.
    Oci {
        /// Registry and repository, such as `docker.io/library/busybox`.
        repository: String,
    },
    /// A file: an upstream release, or one that the user gave.
    File,
}

/// A package or component in the image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SbomPackage {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Its architecture, as its origin names it.
    pub arch: String,
    /// The source package it is built from, where that has a name of its own.
    pub source: Option<String>,
    /// The digest of the package or file.
    pub sha256: Sha256,
    /// Its licences; empty if they are not known. Names that SPDX does not list are kept as they are.
    pub licences: Vec<String>,
    /// Where it is from.
    pub origin: SbomOrigin,
    /// Its path in the archive, or its URL; never a path on the host.
    pub download: Option<String>,
}

/// What the document describes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SbomInput {
    /// The image's name.
    pub image: String,
    /// The image's version.
    pub image_version: String,
    /// The lock's time, in seconds since 1970.
    pub timestamp: u64,
    /// What decides the content of the image, such as the lock's digest; names the document.
    pub digest: Sha256,
    /// What is in the image, in any order.
    pub packages: Vec<SbomPackage>,
}

const NOASSERTION: &str = "NOASSERTION";
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
    spdx_element_id: &'static str,
    relationship_type: &'static str,
    related_spdx_element: String,
}

/// The document's text.
pub fn to_json(input: &SbomInput) -> String {
    let mut sorted: Vec<&SbomPackage> = input.packages.iter().collect();
    sorted.sort_by_key(|package| {
        (
            &package.origin,
            &package.name,
            &package.version,
            &package.arch,
            package.sha256,
        )
    });
    let mut licences = Licences::default();
    let mut packages = vec![image_package(input)];
    let mut ids = Ids::default();
    packages.extend(sorted.iter().map(|package| describe(package, &mut ids, &mut licences)));
    let contained = packages[1..].iter().map(|package| Relationship {
        spdx_element_id: IMAGE_ID,
        relationship_type: "CONTAINS",
        related_spdx_element: package.id.clone(),
    });
    let described = Relationship {
        spdx_element_id: DOCUMENT_ID,
        relationship_type: "DESCRIBES",
        related_spdx_element: IMAGE_ID.to_owned(),
    };
    let relationships = std::iter::once(described).chain(contained).collect();
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
        external_refs: vec![ExternalRef {
            reference_category: "PACKAGE-MANAGER",
            reference_type: "purl",
            reference_locator: purl::of(package),
        }],
    }
}

/// The ids given out so far.
#[derive(Debug, Default)]
struct Ids(BTreeSet<String>);

impl Ids {
    /// An id for `name`: letters, digits, `.` and `-` stay (SPDX 2.3 §7.2), and a number keeps apart what is equal then. It
    /// depends on little else than the name, so that two documents compare well.
    fn give(&mut self, prefix: &str, name: &str) -> String {
        let plain = name
            .chars()
            .map(|c| if c.is_ascii_alphanumeric() || c == '.' { c } else { '-' });
        let base = format!("{prefix}-{}", plain.collect::<String>());
        let numbered = (2_u32..).map(|number| format!("{base}-{number}"));
        let id = std::iter::once(base.clone())
            .chain(numbered)
            .find(|id| !self.0.contains(id))
            .expect("numbers do not run out");
        self.0.insert(id.clone());
        id
    }
}
