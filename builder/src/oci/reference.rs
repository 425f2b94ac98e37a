//! Names of images as containerd keeps them: registry, repository, tag or digest, nothing left to defaults.

use std::fmt;
use std::str::FromStr;

use serde::{Serialize, Serializer};

use crate::digest::Sha256;

/// The registry of names that have none, and the folder there of names that have no folder.
const DEFAULT_REGISTRY: &str = "docker.io";
const DEFAULT_FOLDER: &str = "library";
const DEFAULT_TAG: &str = "latest";
/// Another name of the same registry.
const OLD_REGISTRY: &str = "index.docker.io";
/// Registry and repository together.
const MAX_NAME_LEN: usize = 255;
const MAX_TAG_LEN: usize = 128;

/// The full name of an image; `Display` is the canonical form, such as `docker.io/library/busybox:1.37`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Reference {
    name: String,
    tag: Option<String>,
    digest: Option<Sha256>,
}

/// A text that names no image.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no image reference (such as `registry.example/team/app:1.0`)")]
pub struct BadReference(pub String);

impl Reference {
    /// The tag; none if only a digest says which.
    pub fn tag(&self) -> Option<&str> {
        self.tag.as_deref()
    }

    /// The digest that the manifest must have.
    pub const fn digest(&self) -> Option<Sha256> {
        self.digest
    }

    /// Registry and repository.
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl FromStr for Reference {
    type Err = BadReference;

    /// Reads a reference as people write it (the `reference` grammar of the distribution project).
    fn from_str(text: &str) -> Result<Self, BadReference> {
        let bad = || BadReference(text.escape_default().to_string());
        let (rest, digest) = match text.split_once('@') {
            Some((rest, digest)) => (rest, Some(digest)),
            None => (text, None),
        };
        let digest = digest
            .map(|digest| digest.strip_prefix("sha256:").and_then(|hex| hex.parse().ok()))
            .map(|digest| digest.ok_or_else(bad))
            .transpose()?;
        // A colon before the last slash is a port.
        let last_part = rest.rfind('/').map_or(0, |slash| slash + 1);
        let (name, tag) = match rest[last_part..].find(':') {
            Some(colon) => (&rest[..last_part + colon], Some(&rest[last_part + colon + 1..])),
            None => (rest, None),
        };
        let name = full_name(name).ok_or_else(bad)?;
        if tag.is_some_and(|tag| !is_tag(tag)) || name.len() > MAX_NAME_LEN {
            return Err(bad());
        }
        let tag = match (tag, digest) {
            (None, None) => Some(DEFAULT_TAG),
            (tag, _) => tag,
        };
        Ok(Self {
            name,
            tag: tag.map(str::to_owned),
            digest,
        })
    }
}

fn full_name(name: &str) -> Option<String> {
    let (registry, path) = match name.split_once('/') {
        Some((first, rest)) if first.contains(['.', ':']) || first == "localhost" => (first, rest),
        _ => (DEFAULT_REGISTRY, name),
    };
    let registry = if registry == OLD_REGISTRY {
        DEFAULT_REGISTRY
    } else {
        registry
    };
    if !is_registry(registry) || !path.split('/').all(is_path_part) {
        return None;
    }
    Some(match path.contains('/') || registry != DEFAULT_REGISTRY {
        true => format!("{registry}/{path}"),
        false => format!("{registry}/{DEFAULT_FOLDER}/{path}"),
    })
}

fn is_registry(text: &str) -> bool {
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, Some(port)),
        _ => (text, None),
    };
    let is_port = |port: &str| !port.is_empty() && port.len() <= 5 && port.bytes().all(|byte| byte.is_ascii_digit());
    let is_label = |label: &str| {
        let inner = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        !label.is_empty() && label.bytes().all(inner) && !label.starts_with('-') && !label.ends_with('-')
    };
    let is_ipv6 = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'))
        .is_some_and(|address| address.parse::<std::net::Ipv6Addr>().is_ok());
    port.is_none_or(is_port) && (is_ipv6 || host.split('.').all(is_label))
}

/// Lower-case letters and digits, separated by `.`, `_`, `__` or any number of `-`.
fn is_path_part(part: &str) -> bool {
    let is_word = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let separators = part
        .as_bytes()
        .chunk_by(|a, b| is_word(*a) == is_word(*b))
        .filter(|run| !is_word(run[0]));
    let ends_well = |byte: Option<&u8>| byte.is_some_and(|byte| is_word(*byte));
    let mut separators =
        separators.map(|run| matches!(run, b"." | b"_" | b"__") || run.iter().all(|byte| *byte == b'-'));
    ends_well(part.as_bytes().first()) && ends_well(part.as_bytes().last()) && separators.all(|valid| valid)
}

fn is_tag(tag: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
    (1..=MAX_TAG_LEN).contains(&tag.len()) && tag.bytes().all(inner) && !tag.starts_with(['.', '-'])
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        if let Some(digest) = &self.digest {
            write!(f, "@sha256:{digest}")?;
        }
        Ok(())
    }
}

impl Serialize for Reference {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use skerry_firstboot::preload::PAUSE_IMAGE;

    use super::*;

    #[test]
    fn short_names_are_completed_as_containerd_does_it() {
        for (text, full) in [
            ("busybox", "docker.io/library/busybox:latest"),
            ("busybox:1.37", "docker.io/library/busybox:1.37"),
            ("team/app", "docker.io/team/app:latest"),
            ("index.docker.io/library/app", "docker.io/library/app:latest"),
            ("localhost/app:x", "localhost/app:x"),
            (
                "registry.example:5000/a/b__c/d-1.e:v1",
                "registry.example:5000/a/b__c/d-1.e:v1",
            ),
            ("[fd00::1]:5000/app:1", "[fd00::1]:5000/app:1"),
            (PAUSE_IMAGE, PAUSE_IMAGE),
        ] {
            assert_eq!(text.parse::<Reference>().unwrap().to_string(), full);
        }
    }

    #[test]
    fn a_digest_stands_in_for_a_tag_and_is_kept_beside_one() {
        let hex = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        for name in ["r.example/app", "r.example/app:1"] {
            let text = format!("{name}@sha256:{hex}");
            let reference: Reference = text.parse().unwrap();
            assert_eq!(reference.to_string(), text);
            assert_eq!(reference.digest().unwrap().to_string(), hex);
        }
    }

    #[test]
    fn what_no_registry_would_take_is_refused() {
        let long = "a/".repeat(140) + "a";
        for text in [
            "",
            ":1",
            "App",
            "a b",
            "a//b",
            "/a",
            "a/",
            "-a",
            "a..b",
            "a___b",
            "a:",
            "a:.x",
            "a:b:c",
            "r.example:port/a",
            "-r.example/a",
            "a@sha512:00",
            "a@sha256:00",
            "../a",
            "a\n",
            &long,
        ] {
            assert!(text.parse::<Reference>().is_err(), "{text:?}");
        }
    }
}
