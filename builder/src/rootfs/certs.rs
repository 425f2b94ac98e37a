//! The bundle of certificate authorities, `/etc/ssl/certs/ca-certificates.crt`, as update-ca-certificates(8) makes it.
//!
//! In: `*.crt` (PEM, RFC 7468) below `usr/share/ca-certificates` and, after them, below `usr/local/share/ca-certificates`,
//! where overlays put their own. Out: one file, in the order of the paths' bytes. Deliberately left out: the links named
//! by subject hash (`c_rehash`). Go, curl, GnuTLS and OpenSSL's default file all read the bundle, and the hash covers
//! OpenSSL's own canonical form of the name, which no standard describes.

use std::io;

use super::made::{By, path};
use crate::failure::Diagnose;
use crate::tree::{Tree, TreeError, TreePath};

const BUNDLE: &str = "etc/ssl/certs/ca-certificates.crt";
const SOURCES: [&str; 2] = ["usr/share/ca-certificates", "usr/local/share/ca-certificates"];
/// Far above any certificate; a bigger file is a mistake, such as a whole archive.
const MAX_CERTIFICATE_BYTES: u64 = 1 << 20;

/// Why there is no bundle.
#[derive(Debug, thiserror::Error)]
pub enum CertsError {
    /// A file that holds no certificate.
    #[error("{path} is no certificate in PEM form")]
    NotPem {
        /// The file.
        path: TreePath,
    },
    /// A file that cannot be read from the store.
    #[error("cannot read {path}")]
    Read {
        /// The file.
        path: TreePath,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The bundle has no place.
    #[error("cannot put the bundle of certificates into the tree")]
    Insert(#[source] TreeError),
}

impl Diagnose for CertsError {
    fn hints(&self) -> Vec<String> {
        match self {
            Self::NotPem { path } => vec![format!(
                "convert it: `openssl x509 -inform der -in {0} -out {0}`",
                path.name()
            )],
            Self::Read { .. } => vec!["`skerry cache prune` drops damaged entries of the store".to_owned()],
            Self::Insert(_) => Vec::new(),
        }
    }
}

/// Writes the bundle and returns the number of files in it; none at all is no error and makes no bundle.
pub fn apply(tree: &mut Tree) -> Result<usize, CertsError> {
    let mut files = Vec::new();
    for folder in SOURCES {
        let folder = path(folder);
        let certificates = tree.below(&folder).filter(|(path, _)| path.name().ends_with(".crt"));
        files.extend(certificates.map(|(path, _)| path.clone()));
    }
    let mut bundle = Vec::new();
    for file in &files {
        append(tree, file, &mut bundle)?;
    }
    if !files.is_empty() {
        let node = By("certs").file(0o644, bundle);
        tree.replace(path(BUNDLE), node).map_err(CertsError::Insert)?;
    }
    Ok(files.len())
}

fn append(tree: &Tree, file: &TreePath, bundle: &mut Vec<u8>) -> Result<(), CertsError> {
    let not_pem = || CertsError::NotPem { path: file.clone() };
    let data = tree.file(file.as_str()).ok_or_else(not_pem)?;
    if data.len_bytes > MAX_CERTIFICATE_BYTES {
        return Err(not_pem());
    }
    let text = data.read().map_err(|source| CertsError::Read {
        path: file.clone(),
        source,
    })?;
    let has = |label: &[u8]| text.windows(label.len()).any(|window| window == label);
    if !has(b"-----BEGIN CERTIFICATE-----") || !has(b"-----END CERTIFICATE-----") {
        return Err(not_pem());
    }
    bundle.extend_from_slice(&text);
    if !text.ends_with(b"\n") {
        bundle.push(b'\n');
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pem(body: &str) -> String {
        format!("-----BEGIN CERTIFICATE-----\n{body}\n-----END CERTIFICATE-----")
    }

    #[test]
    fn the_bundle_is_in_name_order_with_the_image_s_own_authorities_last() {
        let mut tree = Tree::new();
        for (place, body) in [
            ("usr/local/share/ca-certificates/a.crt", "own"),
            ("usr/share/ca-certificates/mozilla/B.crt", "second"),
            ("usr/share/ca-certificates/mozilla/A.crt", "first"),
            ("usr/share/ca-certificates/README", "no"),
        ] {
            tree.insert(path(place), By("test").file(0o644, pem(body))).unwrap();
        }
        assert_eq!(apply(&mut tree).unwrap(), 3);
        let bundle = String::from_utf8(tree.file(BUNDLE).unwrap().read().unwrap()).unwrap();
        assert_eq!(bundle, format!("{}\n{}\n{}\n", pem("first"), pem("second"), pem("own")));
    }

    #[test]
    fn a_binary_certificate_is_refused_by_name() {
        let mut tree = Tree::new();
        let place = "usr/local/share/ca-certificates/corp.crt";
        tree.insert(path(place), By("test").file(0o644, [0x30, 0x82])).unwrap();
        let error = apply(&mut tree).unwrap_err();
        assert_eq!(error.to_string(), format!("/{place} is no certificate in PEM form"));
    }

    #[test]
    fn a_tree_without_authorities_gets_no_bundle() {
        let mut tree = Tree::new();
        assert_eq!(apply(&mut tree).unwrap(), 0);
        assert!(tree.at(BUNDLE).is_none());
    }
}
