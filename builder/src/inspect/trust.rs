//! Which keys an image trusts, as far as files of its root file system say.

use serde::Serialize;

use super::root_view::RootView;
use crate::squashfs::ReadAt;
use crate::squashfs::read::EntryContent;

/// The bundle that TLS libraries read on Debian.
const BUNDLE: &str = "etc/ssl/certs/ca-certificates.crt";

/// Folders whose files are keys, endings of such files, and what they are trusted for.
const FOLDERS: [(&str, &[&str], &str); 7] = [
    ("etc/verity.d", &[".crt"], "file systems with a verity signature"),
    ("usr/lib/verity.d", &[".crt"], "file systems with a verity signature"),
    ("usr/share/keyrings", &[".gpg", ".pgp", ".asc"], "archives of packages"),
    ("etc/apt/trusted.gpg.d", &[".gpg", ".asc"], "archives of packages"),
    (
        "etc/systemd",
        &["import-pubring.gpg", "import-pubring.pgp"],
        "downloads of systemd-sysupdate",
    ),
    (
        "usr/lib/systemd",
        &["import-pubring.gpg", "import-pubring.pgp"],
        "downloads of systemd-sysupdate",
    ),
    ("root/.ssh", &["authorized_keys"], "logins as root by SSH"),
];

/// What is trusted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct TrustedKeys {
    /// How many authorities the bundle of certificates has; none if there is no bundle.
    pub certificate_authorities: Option<usize>,
    /// Other keys.
    pub files: Vec<KeyFile>,
}

/// A file with keys.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct KeyFile {
    /// Its path.
    pub path: String,
    /// What its keys are trusted for.
    pub trusted_for: &'static str,
}

/// Looks into the tree.
pub(super) fn read<R: ReadAt + ?Sized>(root: &RootView<'_, R>) -> TrustedKeys {
    let count = |bundle: String| {
        bundle
            .lines()
            .filter(|line| line.trim() == "-----BEGIN CERTIFICATE-----")
            .count()
    };
    let mut files = Vec::new();
    for (folder, endings, trusted_for) in FOLDERS {
        for (name, entry) in root.children(folder) {
            let is_key = endings.iter().any(|ending| name.ends_with(ending));
            if is_key && !matches!(entry.content, EntryContent::Dir) {
                files.push(KeyFile {
                    path: entry.path.to_string(),
                    trusted_for,
                });
            }
        }
    }
    TrustedKeys {
        certificate_authorities: root.text(BUNDLE).map(count),
        files,
    }
}
