//! Package URLs (the purl specification, types `deb`, `golang`, `oci` and `generic`).

use super::{SbomOrigin, SbomPackage};

/// The package's URL.
pub fn of(package: &SbomPackage) -> String {
    let version = encode(&package.version);
    match &package.origin {
        SbomOrigin::Deb => {
            let name = encode(&package.name.to_ascii_lowercase());
            format!("pkg:deb/debian/{name}@{version}?arch={}", encode(&package.arch))
        }
        SbomOrigin::Go { module } => {
            let path: Vec<String> = module
                .split('/')
                .map(|part| encode(&part.to_ascii_lowercase()))
                .collect();
            format!("pkg:golang/{}@{version}", path.join("/"))
        }
        SbomOrigin::Oci { repository } => {
            let name = repository.rsplit('/').next().unwrap_or_default();
            format!(
                "pkg:oci/{}@sha256:{}?arch={}&repository_url={}&tag={version}",
                encode(name),
                package.sha256,
                encode(&package.arch),
                encode(repository)
            )
        }
        SbomOrigin::File => {
            format!(
                "pkg:generic/{}@{version}?checksum=sha256:{}",
                encode(&package.name),
                package.sha256
            )
        }
    }
}

/// Percent-encodes all but letters, digits, `.`, `-`, `_`, `~` and `:`, as the specification asks for.
pub fn encode(text: &str) -> String {
    let encoded = text.bytes().map(|byte| match byte {
        byte if byte.is_ascii_alphanumeric() || b".-_~:".contains(&byte) => char::from(byte).to_string(),
        byte => format!("%{byte:02X}"),
    });
    encoded.collect()
}
