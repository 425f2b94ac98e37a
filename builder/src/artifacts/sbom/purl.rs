//! Package URLs (the purl specification, types `deb`, `golang`, `oci` and `generic`).

use super::{SbomOrigin, SbomPackage};

/// The package's URL.
pub fn of(package: &SbomPackage) -> String {
    let version = encode(&package.version);
    match &package.origin {
        SbomOrigin::Deb { release } => {
            let name = encode(&package.name.to_ascii_lowercase());
            // Scanners look up Debian's advisories by release and source package.
            let distro = release
                .as_ref()
                .map(|release| format!("&distro=debian-{}", encode(release)));
            let upstream = package.source.as_deref().filter(|source| *source != package.name);
            let upstream = upstream.map(|source| format!("&upstream={}", encode(&source_and_version(source))));
            let arch = encode(&package.arch);
            let [distro, upstream] = [distro, upstream].map(Option::unwrap_or_default);
            format!("pkg:deb/debian/{name}@{version}?arch={arch}{distro}{upstream}")
        }
        SbomOrigin::Go { module } => of_module(module, &package.version),
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

/// The URL of a Go module.
pub fn of_module(path: &str, version: &str) -> String {
    let parts = path.split('/').map(|part| encode(&part.to_ascii_lowercase()));
    format!("pkg:golang/{}@{}", parts.collect::<Vec<_>>().join("/"), encode(version))
}

/// `linux-signed-amd64 (6.12+1)` as `linux-signed-amd64@6.12+1`.
fn source_and_version(source: &str) -> String {
    match source.split_once(" (") {
        Some((name, version)) => format!("{name}@{}", version.trim_end_matches(')')),
        None => source.to_owned(),
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
