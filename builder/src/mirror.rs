//! Where the Debian archives are served from. Flows in: what the user said, or the text of the host's apt sources.
//! Flows out: the base URL of each archive.
//!
//! Formats: sources.list(5) of apt 3.0, both the one-line style and deb822. No host name is known here: a host without
//! Debian sources has to be told. Deliberately unsupported: the `mirror:`, `cdrom:`, `copy:` and `tor:` methods, and
//! archives whose path ends neither in `/debian` nor in `/debian-security` (those can be given explicitly).

mod apt_sources;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::failure::Diagnose;

use apt_sources::{AptSource, KeyClaim};

/// Folder names of Debian's archives on a mirror. A URL that ends in one of them stands for the folder above.
const ARCHIVES: [&str; 2] = ["debian", "debian-security"];

/// Base URLs of Debian archives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mirror {
    place: Place,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Place {
    /// All archives are folders below one URL or local folder, written without a final slash.
    Below(String),
    /// Each known archive has a URL of its own.
    Each(BTreeMap<&'static str, String>),
}

/// One file of apt's sources.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceFile {
    /// Its name; the extension tells the format.
    pub name: String,
    /// Its content.
    pub text: String,
}

/// Why no mirror is known.
#[derive(Debug, thiserror::Error)]
pub enum MirrorError {
    /// The URL given cannot be used.
    #[error("`{url}` is no mirror: {problem}")]
    BadUrl {
        /// As given, without credentials.
        url: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// Neither given nor found.
    #[error("no mirror of the Debian archive is known: the host's apt sources name none")]
    NotFound,
    /// Only some archives have a known place.
    #[error("the mirror from the host's apt sources has no archive `{archive}`")]
    NoSuchArchive {
        /// Its folder name.
        archive: String,
    },
    /// The host's apt sources cannot be read.
    #[error("cannot read `{path}`")]
    Read {
        /// Which file or folder.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
}

impl Diagnose for MirrorError {
    fn hints(&self) -> Vec<String> {
        let forms = "give one with `--mirror URL` or `SKERRY_MIRROR`, where `URL/debian/dists` and \
                     `URL/debian-security/dists` exist (http, https, file, or a local folder)";
        vec![forms.to_owned()]
    }
}

impl Mirror {
    /// The mirror that was given, else the one in apt's sources.
    pub fn choose(given: Option<&str>, apt_sources: &[SourceFile]) -> Result<Self, MirrorError> {
        match given {
            Some(text) => Self::parse(text),
            None => Self::from_apt_sources(apt_sources),
        }
    }

    /// A URL or local folder that holds the archives, or one of them (its siblings are then expected beside it).
    pub fn parse(text: &str) -> Result<Self, MirrorError> {
        let bad = |problem| MirrorError::BadUrl {
            url: without_credentials(text),
            problem,
        };
        let base = text.trim().trim_end_matches('/');
        if base.is_empty() {
            return Err(bad("it is empty"));
        }
        if base.contains(['?', '#']) && base.contains("://") {
            return Err(bad("a base URL has no query and no fragment"));
        }
        if let Some((scheme, rest)) = base.split_once("://") {
            match scheme {
                "http" | "https" if rest.is_empty() || rest.starts_with('/') => return Err(bad("it names no host")),
                "file" if !rest.starts_with('/') => return Err(bad("a file URL has three slashes and a full path")),
                "http" | "https" | "file" => {}
                _ => return Err(bad("its scheme is not http, https or file")),
            }
        }
        let base = split_archive(base).map_or(base, |(above, _)| above);
        Ok(Self {
            place: Place::Below(base.to_owned()),
        })
    }

    /// The first Debian archives that apt's sources name, those with Debian's own key first: other vendors' archives
    /// also have paths such as `/linux/debian`. Whether it really is Debian's is for the signature to tell.
    pub fn from_apt_sources(files: &[SourceFile]) -> Result<Self, MirrorError> {
        let mut sources: Vec<AptSource> = files
            .iter()
            .flat_map(|file| match file.name.rsplit_once('.') {
                Some((_, "list")) => apt_sources::parse_one_line_style(&file.text),
                Some((_, "sources")) => apt_sources::parse_deb822_style(&file.text),
                _ => Vec::new(),
            })
            .filter(AptSource::could_be_debian)
            .collect();
        // A stable sort keeps apt's own order within a rank.
        sources.sort_by_key(|source| match source.key {
            KeyClaim::Debian => 0,
            KeyClaim::None => 1,
            KeyClaim::Other => 2,
        });
        let mut found: BTreeMap<&'static str, String> = BTreeMap::new();
        for source in &sources {
            let url = source.uri.trim_end_matches('/');
            if let Some((_, archive)) = split_archive(url) {
                found.entry(archive).or_insert_with(|| url.to_owned());
            }
        }
        let Some(above) = found
            .values()
            .find_map(|url| split_archive(url).map(|(above, _)| above.to_owned()))
        else {
            return Err(MirrorError::NotFound);
        };
        for archive in ARCHIVES {
            found.entry(archive).or_insert_with(|| format!("{above}/{archive}"));
        }
        Ok(Self {
            place: Place::Each(found),
        })
    }

    /// The archive's URL or local folder without a final slash, such as `http://mirror/debian-security`.
    pub fn archive(&self, archive: &str) -> Result<String, MirrorError> {
        match &self.place {
            Place::Below(base) => Ok(format!("{base}/{archive}")),
            Place::Each(urls) => urls.get(archive).cloned().ok_or_else(|| MirrorError::NoSuchArchive {
                archive: archive.to_owned(),
            }),
        }
    }
}

/// Reads `sources.list` and `sources.list.d/` below `etc_apt`, in apt's order. Missing files are none.
pub fn read_apt_sources(etc_apt: &Path) -> Result<Vec<SourceFile>, MirrorError> {
    let mut paths = vec![etc_apt.join("sources.list")];
    let folder = etc_apt.join("sources.list.d");
    let mut parts = match fs::read_dir(&folder) {
        Ok(entries) => entries
            .map(|entry| entry.map(|entry| entry.path()))
            .collect::<io::Result<Vec<PathBuf>>>()
            .map_err(|source| MirrorError::Read { path: folder, source })?,
        Err(_) => Vec::new(),
    };
    parts.sort();
    paths.append(&mut parts);
    let is_source = |path: &PathBuf| matches!(path.extension(), Some(end) if end == "list" || end == "sources");
    let mut files = Vec::new();
    for path in paths.into_iter().filter(is_source) {
        match fs::read(&path) {
            Ok(bytes) => files.push(SourceFile {
                name: path
                    .file_name()
                    .map(|name| name.to_string_lossy().into_owned())
                    .unwrap_or_default(),
                text: String::from_utf8_lossy(&bytes).into_owned(),
            }),
            Err(source) if source.kind() == io::ErrorKind::NotFound => {}
            Err(source) => return Err(MirrorError::Read { path, source }),
        }
    }
    Ok(files)
}

/// The URL as it may be shown and logged: a user name and password in it are left out.
pub fn without_credentials(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else {
        return url.to_owned();
    };
    let host_end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    match rest[..host_end].rfind('@') {
        Some(at) => format!("{scheme}://{}", &rest[at + 1..]),
        None => url.to_owned(),
    }
}

/// Splits `http://host/debian` into what is above the archive and the archive's name.
fn split_archive(url: &str) -> Option<(&str, &'static str)> {
    let (above, last) = url.rsplit_once('/')?;
    let archive = ARCHIVES.into_iter().find(|archive| *archive == last)?;
    // In `http://debian` it is the host's name.
    (!above.ends_with('/')).then_some((above, archive))
}
