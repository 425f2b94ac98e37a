//! `/etc/pam.d/common-*`, as pam-auth-update(8) of libpam-runtime 1.7 makes them.
//!
//! In: the profiles in `usr/share/pam-configs` and the templates in `usr/share/pam`. Out: five files. Only profiles with
//! `Default: yes` take part, as in an installation that asks no questions. A tree without templates has no PAM, and gets
//! no files. Deliberately unsupported: profiles that conflict with each other (`Conflicts:`), which Debian resolves by a
//! question; they stop the build.

mod profile;

use std::collections::BTreeMap;

use super::made::{By, path};
use crate::failure::Diagnose;
use crate::tree::{Tree, TreeError, TreePath};

use profile::{Profile, Stack};

/// Why the PAM configuration cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum PamError {
    /// A profile or template that cannot be read from the store, or is no UTF-8.
    #[error("cannot read {path}")]
    Read {
        /// The file.
        path: TreePath,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A profile with a line that has no meaning.
    #[error("{path}:{line}: `{text}` is no line of a PAM profile")]
    BadLine {
        /// The profile.
        path: TreePath,
        /// Its line, from 1.
        line: usize,
        /// The line's text.
        text: String,
    },
    /// Two profiles exclude each other.
    #[error("the PAM profile {path} conflicts with `{other}`")]
    Conflict {
        /// The profile.
        path: TreePath,
        /// File name of the other one.
        other: String,
    },
    /// A file has no place.
    #[error("cannot put a PAM file into the tree")]
    Insert(#[source] TreeError),
}

impl Diagnose for PamError {
    fn hints(&self) -> Vec<String> {
        match self {
            Self::BadLine { path, .. } | Self::Conflict { path, .. } => {
                vec![format!("leave it out with the exclude pattern `{}`", path.as_str())]
            }
            Self::Read { .. } | Self::Insert(_) => Vec::new(),
        }
    }
}

/// File, stack, and the names of the two variables in its template.
const FILES: [(&str, Stack, &str); 5] = [
    ("common-account", Stack::Account, "account"),
    ("common-auth", Stack::Auth, "auth"),
    ("common-password", Stack::Password, "password"),
    ("common-session", Stack::Session, "session"),
    (
        "common-session-noninteractive",
        Stack::SessionNoninteractive,
        "session_nonint",
    ),
];

/// Writes the five files where the tree has their templates.
pub fn apply(tree: &mut Tree) -> Result<(), PamError> {
    let profiles = read_profiles(tree)?;
    for (file, stack, variable) in FILES {
        let template = path(&format!("usr/share/pam/{file}"));
        let Some(template) = read(tree, &template)? else {
            continue;
        };
        let primary = profile::primary_block(&profiles, stack);
        let additional = profile::additional_block(&profiles, stack);
        let mut text = String::new();
        for line in template.lines().filter(|line| !line.starts_with('#')) {
            match line.strip_prefix('$').and_then(|name| name.strip_prefix(variable)) {
                Some("_primary") => text.push_str(&primary),
                Some("_additional") => text.push_str(&additional),
                _ if line.is_empty() => {}
                _ => text.extend([line, "\n"]),
            }
        }
        let place = path(&format!("etc/pam.d/{file}"));
        tree.replace(place, By("pam").file(0o644, text))
            .map_err(PamError::Insert)?;
    }
    Ok(())
}

/// The profiles that are on by default, highest priority first; of equal ones the later name first, as Debian does it.
fn read_profiles(tree: &Tree) -> Result<Vec<Profile>, PamError> {
    let folder = path("usr/share/pam-configs");
    let mut profiles = BTreeMap::new();
    for (place, _) in tree.children(&folder) {
        if let Some(text) = read(tree, place)? {
            let profile = Profile::parse(&text).map_err(|(line, text)| PamError::BadLine {
                path: place.clone(),
                line,
                text,
            })?;
            if profile.on_by_default {
                profiles.insert(place.clone(), profile);
            }
        }
    }
    for (place, profile) in &profiles {
        let present = |other: &&String| profiles.keys().any(|place| place.name() == other.as_str());
        if let Some(other) = profile.conflicts.iter().find(present) {
            return Err(PamError::Conflict {
                path: place.clone(),
                other: other.clone(),
            });
        }
    }
    let mut profiles: Vec<Profile> = profiles.into_values().rev().collect();
    profiles.sort_by_key(|profile| std::cmp::Reverse(profile.priority));
    Ok(profiles)
}

fn read(tree: &Tree, place: &TreePath) -> Result<Option<String>, PamError> {
    let Some(data) = tree.file(place.as_str()) else {
        return Ok(None);
    };
    let text = data.read().and_then(|bytes| {
        let text = String::from_utf8(bytes);
        text.map_err(|error| std::io::Error::new(std::io::ErrorKind::InvalidData, error))
    });
    text.map(Some).map_err(|source| PamError::Read {
        path: place.clone(),
        source,
    })
}

#[cfg(test)]
mod tests;
