//! Where an identity lives: the changes that a join makes to it.

use std::io;
use std::path::Path;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::error::IdentityError;
use super::joined::{Consumed, JoinedRecord, Medium, Proven};
use super::load::Slot;
use super::pair::{Leaf, PairError, public_key};
use super::paths::{
    AUTHORITIES, CLUSTER, FOLDERS_OF_A_JOIN, JOIN, JOINED, KUBECONFIG, OUTER_FOLDERS, PENDING, RESET, SETTINGS,
};
use super::record::{self, RecordError};
use super::{Digest, Found, KnownCluster, PendingJoin};
use crate::disk::{Disk, Kind};
use crate::join_config::NodeSettings;

/// The place on a disk where the machine's identity lives.
#[derive(Debug, Clone)]
pub struct Home<D> {
    pub(super) disk: D,
}

impl<D: Disk> Home<D> {
    /// The identity on `disk`.
    pub fn new(disk: D) -> Self {
        Self { disk }
    }

    /// Keeps a key and what it is for. To be called before the signing request is posted, and again with the same key
    /// if something about the join changes. An identity that the machine has stays as it is.
    pub fn remember_key(&self, pending: &PendingJoin) -> Result<(), IdentityError> {
        public_key(&pending.key)?;
        self.make_folders()?;
        self.write_record(PENDING, pending)
    }

    /// Keeps the certificate that was issued for `pending`. On a machine that has no identity it becomes that, not
    /// proven; on one that has, it waits beside it until [`Home::mark_proven`].
    pub fn remember_certificate(&self, pending: &PendingJoin, chain: &str) -> Result<Found, IdentityError> {
        let issued = PendingJoin {
            certificate: Some(chain.to_owned()),
            proven: Proven::No,
            ..pending.clone()
        };
        let leaf = match issued.pair() {
            Some(pair) => pair?.leaf,
            None => return Err(PairError::Missing("certificate").into()),
        };
        if leaf.node_name != pending.node_name {
            return Err(IdentityError::WrongNode {
                expected: pending.node_name.clone(),
                found: leaf.node_name,
            });
        }
        self.remember_key(&issued)?;
        // What follows is the same as after a power cut.
        self.load()
    }

    /// Drops a join under way whose key can never lead to a certificate, such as one whose request was denied.
    pub fn forget_key(&self) -> Result<(), IdentityError> {
        self.remove(PENDING)?;
        self.sync_folder(JOIN)
    }

    /// Says that a call with the certificate `chain` has worked. A successor takes the identity's place; kubelet must
    /// not run while that happens.
    pub fn mark_proven(&self, chain: &str) -> Result<(), IdentityError> {
        let leaf = Leaf::parse(chain)?;
        if let Slot::Whole(pending) = self.read_record::<PendingJoin>(PENDING)?
            && pending.fingerprint() == Some(leaf.fingerprint)
        {
            let proven = PendingJoin {
                proven: Proven::Yes,
                ..pending
            };
            self.write_record(PENDING, &proven)?;
            return self.activate(&proven);
        }
        self.change_joined(|joined| {
            joined.proven = Proven::Yes;
            Ok(())
        })
    }

    /// Says what has become of the medium with a join file that was used.
    pub fn mark_scrubbed(
        &self,
        join_file: Digest,
        token_id: Option<&str>,
        medium: Medium,
    ) -> Result<(), IdentityError> {
        self.change_joined(|joined| {
            if joined.proven == Proven::No {
                return Err(IdentityError::NotProven);
            }
            joined.remember(Consumed {
                join_file,
                token_id: token_id.map(str::to_owned),
                medium,
            });
            Ok(())
        })
    }

    /// Replaces what is known of the cluster that the machine has joined, such as its authorities when they rotate.
    pub fn remember_cluster(&self, cluster: &KnownCluster) -> Result<(), IdentityError> {
        if !matches!(self.read_record::<JoinedRecord>(JOINED)?, Slot::Whole(_)) {
            return Err(IdentityError::NotJoined);
        }
        self.write_cluster(cluster)
    }

    /// Wipes the identity, and a join under way. Once begun it is carried on by [`Home::load`] after a power cut.
    pub fn factory_reset(&self) -> Result<(), IdentityError> {
        self.make_folders()?;
        self.persist(RESET, b"", 0o600)?;
        self.finish_reset()
    }

    /// Writes the record of the cluster and what is made from it.
    pub(super) fn write_cluster(&self, cluster: &KnownCluster) -> Result<(), IdentityError> {
        self.persist(AUTHORITIES, cluster.authorities.as_bytes(), 0o644)?;
        self.write_record(CLUSTER, cluster)?;
        self.persist(KUBECONFIG, cluster.to_kubeconfig().as_bytes(), 0o600)
    }

    fn change_joined(
        &self,
        change: impl FnOnce(&mut JoinedRecord) -> Result<(), IdentityError>,
    ) -> Result<(), IdentityError> {
        let Slot::Whole(mut joined) = self.read_record::<JoinedRecord>(JOINED)? else {
            return Err(IdentityError::NotJoined);
        };
        let before = joined.clone();
        change(&mut joined)?;
        if joined == before {
            return Ok(());
        }
        self.write_record(JOINED, &joined)
    }

    /// Makes the folders that are not there. Those of the join are synced into their parents in any case: an earlier try
    /// may have failed between the two.
    pub(super) fn make_folders(&self) -> Result<(), IdentityError> {
        for folder in OUTER_FOLDERS {
            if self.make_folder(folder, 0o755)? {
                self.sync_parent(folder)?;
            }
        }
        for folder in FOLDERS_OF_A_JOIN {
            self.make_folder(folder, 0o700)?;
            self.sync_parent(folder)?;
        }
        Ok(())
    }

    fn make_folder(&self, folder: &str, mode: u32) -> Result<bool, IdentityError> {
        match self.disk.make_folder(Path::new(folder), mode) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
            Err(source) => Err(failed("make the folder", folder, source)),
        }
    }

    fn sync_parent(&self, path: &str) -> Result<(), IdentityError> {
        let parent = Path::new(path).parent().unwrap_or(Path::new("/"));
        self.disk
            .sync_folder(parent)
            .map_err(|source| failed("sync the folder of", path, source))
    }

    pub(super) fn sync_folder(&self, folder: &str) -> Result<(), IdentityError> {
        self.disk
            .sync_folder(Path::new(folder))
            .map_err(|source| failed("sync", folder, source))
    }

    pub(super) fn remove(&self, path: &str) -> Result<(), IdentityError> {
        self.disk
            .remove_if_there(Path::new(path))
            .map_err(|source| failed("remove", path, source))
    }

    pub(super) fn persist(&self, path: &str, content: &[u8], mode: u32) -> Result<(), IdentityError> {
        if self.kind(path)? == Some(Kind::Folder) {
            self.set_aside(path, "it is a folder".into(), &mut Vec::new())?;
        }
        self.disk
            .persist(Path::new(path), content, mode)
            .map_err(|source| failed("write", path, source))
    }

    pub(super) fn persist_link(&self, target: &str, path: &str) -> Result<(), IdentityError> {
        self.disk
            .persist_link(Path::new(target), Path::new(path))
            .map_err(|source| failed("link", path, source))
    }

    pub(super) fn write_record<T: Serialize>(&self, path: &str, value: &T) -> Result<(), IdentityError> {
        self.write_text(path, record::to_sealed_text(value))
    }

    pub(super) fn write_settings(&self, settings: &NodeSettings) -> Result<(), IdentityError> {
        self.write_text(SETTINGS, record::to_text(settings))
    }

    fn write_text(&self, path: &str, text: Result<String, toml::ser::Error>) -> Result<(), IdentityError> {
        let text = text.map_err(|source| IdentityError::Form {
            path: path.into(),
            source,
        })?;
        self.persist(path, text.as_bytes(), 0o600)
    }

    pub(super) fn read_record<T: DeserializeOwned>(&self, path: &str) -> Result<Slot<T>, IdentityError> {
        self.read_text(path, record::parse_sealed)
    }

    pub(super) fn read_settings(&self) -> Result<Slot<NodeSettings>, IdentityError> {
        self.read_text(SETTINGS, record::parse)
    }

    fn read_text<T>(
        &self,
        path: &str,
        parse: impl FnOnce(&[u8]) -> Result<T, RecordError>,
    ) -> Result<Slot<T>, IdentityError> {
        Ok(match self.read(path)? {
            Slot::Absent => Slot::Absent,
            Slot::Damaged(wrong) => Slot::Damaged(wrong),
            Slot::Whole(content) => match parse(&content) {
                Ok(value) => Slot::Whole(value),
                Err(RecordError::Damaged(wrong)) => Slot::Damaged(wrong),
                Err(RecordError::Newer(found)) => {
                    return Err(IdentityError::Newer {
                        path: path.into(),
                        found,
                    });
                }
            },
        })
    }

    /// The content of a regular file. What the disk cannot read at the moment is no damage.
    pub(super) fn read(&self, path: &str) -> Result<Slot<Vec<u8>>, IdentityError> {
        match self.kind(path)? {
            None => Ok(Slot::Absent),
            Some(Kind::File(_)) => {
                let content = self.disk.read(Path::new(path));
                content.map(Slot::Whole).map_err(|source| failed("read", path, source))
            }
            Some(Kind::Link(_)) => Ok(Slot::Damaged("it is a link".into())),
            Some(_) => Ok(Slot::Damaged("it is no file".into())),
        }
    }

    pub(super) fn kind(&self, path: &str) -> Result<Option<Kind>, IdentityError> {
        match self.disk.metadata(Path::new(path)) {
            Ok(found) => Ok(Some(found.kind)),
            Err(error) if is_absent(&error) => Ok(None),
            Err(source) => Err(failed("look at", path, source)),
        }
    }

    /// The names in a folder as text; none if the folder is not there.
    pub(super) fn names(&self, folder: &str) -> Result<Vec<String>, IdentityError> {
        match self.disk.list(Path::new(folder)) {
            Ok(names) => Ok(names.into_iter().filter_map(|name| name.into_string().ok()).collect()),
            Err(error) if is_absent(&error) => Ok(Vec::new()),
            Err(source) => Err(failed("list", folder, source)),
        }
    }
}

fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

pub(super) fn failed(doing: &'static str, path: &str, source: io::Error) -> IdentityError {
    IdentityError::Disk {
        doing,
        path: path.into(),
        source,
    }
}
