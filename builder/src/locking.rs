//! From the specification to its lock: the only stage that reads package indexes.
//!
//! In: an [`ImageSpec`], a mirror. Out: a [`Lock`]. An index counts only after the suite's `InRelease` was verified with
//! the keys that the definition names and the index's digest was found in it (Debian wiki, "DebianRepository/Format").

use std::io::Read as _;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use globset::{Glob, GlobSet, GlobSetBuilder};

use crate::apt::index::{self, IndexEntry};
use crate::apt::release::{self, ByHash, Policy, Release, SigningKeys, ValidUntil};
use crate::apt::resolve::{self, Request, Selection, Universe};
use crate::component;
use crate::definition::{ArchiveDefinition, ImageSpec};
use crate::digest::Sha256;
use crate::failure::{Diagnose, Failure, FailureKind};
use crate::fetch::{FetchOptions, Wanted, fetch, fetch_index};
use crate::lock::{LOCK_VERSION, Lock, LockedArchive, LockedComponent, LockedFile, LockedPackage};
use crate::mirror::Mirror;
use crate::progress::Reporter;
use crate::store::{Shelf, Store};

/// Largest `InRelease` that is read; Debian's are 150 kB.
const MAX_INRELEASE_BYTES: u64 = 8 << 20;
/// Largest index that is unpacked; Debian's largest is 60 MB.
const MAX_INDEX_BYTES: u64 = 512 << 20;

/// What locking works with.
#[expect(missing_debug_implementations, reason = "a view of other stages' types")]
#[derive(Clone, Copy)]
pub struct Workshop<'a> {
    /// Where packages come from.
    pub mirror: &'a Mirror,
    /// Where indexes and components are kept.
    pub store: &'a Store,
    /// How to use the network.
    pub fetch: FetchOptions,
    /// Hears how far the work is.
    pub reporter: &'a dyn Reporter,
}

/// What can be wrong with an archive, beside its signature.
#[derive(Debug, thiserror::Error)]
pub enum LockingError {
    /// The file with the keys cannot be read.
    #[error("cannot read the keys of {archive}: {path}")]
    Keys {
        /// The archive.
        archive: String,
        /// The file.
        path: String,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// The suite has no such index.
    #[error("{suite} of {archive} has no index {path}")]
    NoIndex {
        /// The archive.
        archive: String,
        /// The suite.
        suite: String,
        /// The index, below the suite's folder.
        path: String,
    },
    /// The index cannot be unpacked.
    #[error("the index {label} cannot be unpacked")]
    Unpack {
        /// Which.
        label: String,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
}

impl Diagnose for LockingError {
    fn kind(&self) -> FailureKind {
        match self {
            Self::Unpack { .. } => FailureKind::Verification,
            _ => FailureKind::Request,
        }
    }

    fn hints(&self) -> Vec<String> {
        match self {
            Self::NoIndex { .. } => vec!["check `components` and `architecture` of the definition".to_owned()],
            _ => Vec::new(),
        }
    }
}

/// The archives as they are now, verified and read.
#[derive(Debug)]
pub struct Indexes {
    /// Suites in the order of the definition.
    pub archives: Vec<LockedArchive>,
    /// All packages.
    pub universe: Universe,
}

/// The request that the definition makes of the archives.
pub fn request(spec: &ImageSpec) -> Request {
    let packages = spec.packages.iter().chain([&spec.kernel.package]).cloned().collect();
    Request {
        packages,
        excluded: spec.without.iter().cloned().collect(),
    }
}

/// Reads and verifies the indexes of all suites. `previous` is the lock so far: an archive must not step back behind it.
pub fn read_indexes(spec: &ImageSpec, previous: Option<&Lock>, workshop: Workshop<'_>) -> Result<Indexes, Failure> {
    let mut archives = Vec::new();
    let mut packages = Vec::new();
    for definition in &spec.archives {
        let keys = signing_keys(spec, definition)?;
        let wanted = wanted_names(spec, definition)?;
        for suite in &definition.suites {
            let not_before = previous
                .and_then(|lock| date_of(lock, &definition.archive, suite))
                .unwrap_or(0);
            let policy = Policy {
                now: SystemTime::now()
                    .duration_since(UNIX_EPOCH)
                    .unwrap_or(Duration::ZERO)
                    .as_secs(),
                check_valid_until: match definition.check_valid_until {
                    true => ValidUntil::Enforced,
                    false => ValidUntil::Ignored,
                },
                suite: suite.clone(),
                not_before,
            };
            let place = Suite {
                spec,
                definition,
                name: suite,
                workshop,
            };
            let (locked, mut entries) = place.read(&keys, &policy)?;
            if let Some(wanted) = &wanted {
                entries.retain(|entry| wanted.is_match(&entry.name));
            }
            packages.push((archives.len(), entries));
            archives.push(locked);
        }
    }
    Ok(Indexes {
        archives,
        universe: Universe::new(spec.architecture, packages)?,
    })
}

/// Which packages may come from the archive; none for all of them.
fn wanted_names(spec: &ImageSpec, archive: &ArchiveDefinition) -> Result<Option<GlobSet>, Failure> {
    if archive.only.is_empty() {
        return Ok(None);
    }
    let mut set = GlobSetBuilder::new();
    for pattern in &archive.only {
        let glob = Glob::new(pattern).map_err(|error| {
            let message = format!(
                "{}: `archives.only` has a pattern that cannot be read: {error}",
                spec.file.display()
            );
            Failure::new(FailureKind::Request, message)
        })?;
        set.add(glob);
    }
    let set = set
        .build()
        .map_err(|error| Failure::new(FailureKind::Request, error.to_string()))?;
    Ok(Some(set))
}

/// The lock for what was selected. Components are made if they are not there yet, because their digests are pinned.
pub fn make_lock(
    spec: &ImageSpec,
    indexes: &Indexes,
    selection: &Selection,
    workshop: Workshop<'_>,
) -> Result<Lock, Failure> {
    let packages = selection.packages.values().map(|selected| {
        let entry = &selected.entry;
        LockedPackage {
            name: entry.name.clone(),
            version: entry.version.clone(),
            architecture: entry.architecture.clone(),
            source: entry.source_text(),
            archive: indexes.archives[selected.archive].archive.clone(),
            path: entry.filename.clone(),
            len_bytes: entry.len_bytes,
            sha256: entry.sha256,
        }
    });
    Ok(Lock {
        version: LOCK_VERSION,
        spec_digest: spec.lock_digest(),
        timestamp: indexes.archives.iter().map(|archive| archive.date).max().unwrap_or(0),
        archives: indexes.archives.clone(),
        packages: packages.collect(),
        components: make_components(spec, workshop)?,
    })
}

/// Resolves the definition's packages.
pub fn select(spec: &ImageSpec, indexes: &Indexes) -> Result<Selection, Failure> {
    Ok(resolve::resolve(&indexes.universe, &request(spec))?)
}

fn make_components(spec: &ImageSpec, workshop: Workshop<'_>) -> Result<Vec<LockedComponent>, Failure> {
    let bench = component::Workshop {
        store: workshop.store,
        fetch: workshop.fetch,
        reporter: workshop.reporter,
        folder: &spec.folder,
    };
    let mut locked = Vec::new();
    for component in &spec.components {
        let built = component::obtain(component, spec.architecture, None, &bench)?;
        let file = |file: component::BuiltFile| LockedFile {
            name: file.name,
            len_bytes: file.len_bytes,
            sha256: file.sha256,
        };
        let mut files: Vec<LockedFile> = built.into_iter().map(file).collect();
        files.sort_by(|a, b| a.name.cmp(&b.name));
        let recipe = component.recipe(spec.architecture);
        locked.push(LockedComponent {
            name: component.name.clone(),
            recipe,
            version: component.version.clone(),
            files,
        });
    }
    Ok(locked)
}

fn date_of(lock: &Lock, archive: &str, suite: &str) -> Option<u64> {
    lock.archives
        .iter()
        .find(|locked| locked.archive == archive && locked.suite == suite)
        .map(|locked| locked.date)
}

fn signing_keys(spec: &ImageSpec, definition: &ArchiveDefinition) -> Result<SigningKeys, Failure> {
    let path = spec.folder.join(&definition.keys);
    let text = std::fs::read_to_string(&path).map_err(|source| LockingError::Keys {
        archive: definition.archive.clone(),
        path: path.display().to_string(),
        source,
    })?;
    let fingerprints = definition.fingerprints.iter().map(|text| text.parse());
    let fingerprints = fingerprints.collect::<Result<Vec<_>, _>>();
    let fingerprints = fingerprints.map_err(|error: release::BadFingerprint| {
        Failure::new(FailureKind::Request, format!("{}: {error}", spec.file.display()))
    })?;
    Ok(SigningKeys::from_armored(
        &path.display().to_string(),
        &text,
        &fingerprints,
    )?)
}

/// One suite on its way into the lock.
#[derive(Clone, Copy)]
struct Suite<'a> {
    spec: &'a ImageSpec,
    definition: &'a ArchiveDefinition,
    name: &'a str,
    workshop: Workshop<'a>,
}

impl Suite<'_> {
    fn read(&self, keys: &SigningKeys, policy: &Policy) -> Result<(LockedArchive, Vec<IndexEntry>), Failure> {
        let base = format!(
            "{}/dists/{}",
            self.workshop.mirror.archive(&self.definition.archive)?,
            self.name
        );
        let label = format!("InRelease of {}", self.name);
        let url = format!("{base}/InRelease");
        let inrelease = fetch_index(&label, &url, MAX_INRELEASE_BYTES, &self.workshop.fetch)?;
        let release = release::verify(&inrelease, keys, policy)?;
        let mut entries = Vec::new();
        for component in &self.definition.components {
            entries.extend(self.read_component(&base, component, &release)?);
        }
        let locked = LockedArchive {
            archive: self.definition.archive.clone(),
            suite: self.name.to_owned(),
            components: self.definition.components.clone(),
            date: release.date,
            inrelease_sha256: Sha256::of(&inrelease),
        };
        Ok((locked, entries))
    }

    fn read_component(&self, base: &str, component: &str, release: &Release) -> Result<Vec<IndexEntry>, Failure> {
        let folder = format!("{component}/binary-{}", self.spec.architecture.names().debian);
        let path = format!("{folder}/Packages.xz");
        let missing = || LockingError::NoIndex {
            archive: self.definition.archive.clone(),
            suite: self.name.to_owned(),
            path: path.clone(),
        };
        let (sha256, len_bytes) = *release.files.get(&path).ok_or_else(missing)?;
        let label = format!("{} {component}", self.name);
        // Under its digest the index stays there while the mirror is being updated.
        let url = match release.by_hash {
            ByHash::Offered => format!("{base}/{folder}/by-hash/SHA256/{sha256}"),
            ByHash::Absent => format!("{base}/{path}"),
        };
        let wanted = Wanted {
            label: label.clone(),
            url,
            sha256,
            len_bytes: Some(len_bytes),
        };
        fetch(
            vec![wanted],
            self.workshop.store,
            &self.workshop.fetch,
            self.workshop.reporter,
        )?;
        let packed = self
            .workshop
            .store
            .open_entry(Shelf::Inputs, &sha256)
            .ok_or_else(missing)?;
        let mut text = String::new();
        let unpacked = liblzma::read::XzDecoder::new_multi_decoder(packed.reader())
            .take(MAX_INDEX_BYTES)
            .read_to_string(&mut text);
        unpacked.map_err(|source| LockingError::Unpack { label, source })?;
        Ok(index::parse(&text)?)
    }
}
