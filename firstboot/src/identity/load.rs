//! What a boot finds: reads everything, carries on what a power cut has interrupted, repairs what is damaged.
//!
//! On a machine that has joined and was not damaged, it changes nothing.

use std::path::Path;

use super::error::IdentityError;
use super::finding::{Finding, Remedy};
use super::home::{Home, failed};
use super::joined::{JoinedRecord, Proven};
use super::pair::PairError;
use super::paths::{AUTHORITIES_FOLDER, CLUSTER, CURRENT, JOIN, JOINED, KUBECONFIG, KUBERNETES, PENDING, PKI, SKERRY};
use super::{Found, Identity, KnownCluster, Loaded, Pair, PendingJoin, kubeconfig_text};
use crate::disk::{Disk, Kind, is_temporary};
use crate::join_config::NodeSettings;

/// How many things from one path are set aside; the last one is replaced.
const ASIDE_AT_MOST: usize = 8;

/// What is at a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Slot<T> {
    Absent,
    /// Something that cannot be read as what it should be, and why.
    Damaged(String),
    Whole(T),
}

impl<T> Slot<T> {
    pub(super) fn whole(self) -> Option<T> {
        match self {
            Self::Whole(value) => Some(value),
            _ => None,
        }
    }

    pub(super) fn is_absent(&self) -> bool {
        matches!(self, Self::Absent)
    }
}

/// The records, read before anything is changed.
struct Shelf {
    pending: Slot<PendingJoin>,
    joined: Slot<JoinedRecord>,
    cluster: Slot<KnownCluster>,
    settings: Slot<NodeSettings>,
}

impl<D: Disk> Home<D> {
    /// How far the machine has come. Fails if the disk does, or if a newer system has written what is there; both change
    /// nothing. Damage is no failure.
    pub fn load(&self) -> Result<Found, IdentityError> {
        self.finish_reset()?;
        let mut shelf = self.read_shelf()?;
        let mut findings = Vec::new();
        self.sweep(&mut findings)?;
        let mut pending = self.usable_pending(&shelf.pending, &mut findings)?;
        if let Some(join) = pending.take_if(|join| is_to_be_carried_out(join, &shelf.joined)) {
            self.activate(&join)?;
            shelf = self.read_shelf()?;
        }
        let mut identity = self.establish(shelf, &mut findings)?;
        if identity.is_none()
            && let Some(join) = pending.take_if(|join| join.certificate.is_some())
        {
            // Its turn would have come with the proof; there is nothing left that it could be a successor to.
            self.activate(&join)?;
            identity = self.establish(self.read_shelf()?, &mut findings)?;
        }
        let state = match (identity, pending) {
            (None, None) => Loaded::Fresh,
            (None, Some(pending)) => Loaded::Requested(Box::new(pending)),
            (Some(identity), pending) => {
                Loaded::Joined(Box::new(self.with_successor(identity, pending, &mut findings)))
            }
        };
        Ok(Found { state, findings })
    }

    fn read_shelf(&self) -> Result<Shelf, IdentityError> {
        Ok(Shelf {
            pending: self.read_record(PENDING)?,
            joined: self.read_record(JOINED)?,
            cluster: self.read_record(CLUSTER)?,
            settings: self.read_settings()?,
        })
    }

    /// Removes what a power cut has left of files in the making; they may hold a part of a key.
    fn sweep(&self, findings: &mut Vec<Finding>) -> Result<(), IdentityError> {
        for folder in [JOIN, PKI, KUBERNETES, AUTHORITIES_FOLDER, SKERRY] {
            for name in self.names(folder)? {
                // Others write here, too, and may be at it.
                let foreign = folder == SKERRY && name != ".settings.toml.new";
                if foreign || !is_temporary(name.as_ref()) {
                    continue;
                }
                let path = format!("{folder}/{name}");
                if let Err(error) = self.disk.unlink(Path::new(&path)) {
                    findings.push(Finding {
                        path,
                        wrong: format!("a part of a file that cannot be removed: {error}"),
                        remedy: Remedy::Left,
                    });
                }
            }
        }
        Ok(())
    }

    fn usable_pending(
        &self,
        slot: &Slot<PendingJoin>,
        findings: &mut Vec<Finding>,
    ) -> Result<Option<PendingJoin>, IdentityError> {
        let wrong = match slot {
            Slot::Absent => return Ok(None),
            Slot::Damaged(wrong) => wrong.clone(),
            Slot::Whole(pending) => match pending.check() {
                Ok(()) => return Ok(Some(pending.clone())),
                Err(error) => error.to_string(),
            },
        };
        self.set_aside(PENDING, wrong, findings)?;
        Ok(None)
    }

    /// The identity, repaired where that is possible; what is left of one that cannot be is set aside.
    fn establish(&self, shelf: Shelf, findings: &mut Vec<Finding>) -> Result<Option<Identity>, IdentityError> {
        let kubeconfig = self.read(KUBECONFIG)?;
        let link = self.kind(CURRENT)?;
        if shelf.joined.is_absent() && shelf.cluster.is_absent() && kubeconfig.is_absent() && link.is_none() {
            return Ok(None);
        }
        let node_name = match &shelf.joined {
            Slot::Whole(joined) => Some(joined.node_name.as_str()),
            _ => None,
        };
        let Some((pair, cluster)) = self.find_basis(node_name, &shelf.cluster, &kubeconfig, findings)? else {
            for path in [JOINED, CLUSTER, KUBECONFIG, CURRENT] {
                if self.kind(path)?.is_some() {
                    self.set_aside(path, "the identity that it belongs to cannot be used".into(), findings)?;
                }
            }
            return Ok(None);
        };
        self.repair_link(&pair, findings)?;
        let settings = self.repair_settings(shelf.settings, findings)?;
        self.repair_texts(&cluster, &shelf.cluster, &kubeconfig, findings)?;
        let joined = self.repair_joined(shelf.joined, &pair, findings)?;
        Ok(Some(Identity {
            node_name: joined.node_name,
            pair,
            cluster,
            settings,
            proven: joined.proven,
            consumed: joined.consumed,
            successor: None,
        }))
    }

    /// What nothing else can be made from: certificate with key, and the cluster.
    fn find_basis(
        &self,
        node_name: Option<&str>,
        cluster: &Slot<KnownCluster>,
        kubeconfig: &Slot<Vec<u8>>,
        findings: &mut Vec<Finding>,
    ) -> Result<Option<(Pair, KnownCluster)>, IdentityError> {
        let pair = self.find_pair(node_name, findings)?;
        let cluster = find_cluster(cluster, kubeconfig);
        Ok(pair.zip(cluster))
    }

    fn with_successor(
        &self,
        mut identity: Identity,
        pending: Option<PendingJoin>,
        findings: &mut Vec<Finding>,
    ) -> Identity {
        let Some(pending) = pending else { return identity };
        let joined = self.read_record::<JoinedRecord>(JOINED).ok().and_then(Slot::whole);
        if joined.is_none_or(|joined| Some(joined.certificate) != pending.fingerprint()) {
            identity.successor = Some(Box::new(pending));
        } else if let Err(error) = self.conclude(&pending) {
            findings.push(Finding {
                path: PENDING.into(),
                wrong: format!("a join that is done, and {error}"),
                remedy: Remedy::Left,
            });
        }
        identity
    }

    /// Renames what is at `path`. What was set aside earlier stays, as far as there is a name left.
    pub(super) fn set_aside(
        &self,
        path: &str,
        wrong: String,
        findings: &mut Vec<Finding>,
    ) -> Result<(), IdentityError> {
        let mut aside = format!("{path}.damaged");
        for number in 2..=ASIDE_AT_MOST {
            if self.kind(&aside)?.is_none() {
                break;
            }
            aside = format!("{path}.damaged.{number}");
        }
        let renamed = self.disk.rename(Path::new(path), Path::new(&aside));
        renamed.map_err(|source| failed("set aside", path, source))?;
        if let Some(folder) = Path::new(path).parent().and_then(Path::to_str) {
            self.sync_folder(folder)?;
        }
        findings.push(Finding {
            path: path.to_owned(),
            wrong,
            remedy: Remedy::SetAside,
        });
        Ok(())
    }

    /// Makes room for the link at [`CURRENT`]: anything but a link would be lost.
    pub(super) fn clear_for_link(&self) -> Result<(), IdentityError> {
        match self.kind(CURRENT)? {
            None | Some(Kind::Link(_)) => Ok(()),
            Some(_) => self.set_aside(CURRENT, "it is no link".into(), &mut Vec::new()),
        }
    }
}

/// Whether a join holds a certificate that is to be put into place now.
fn is_to_be_carried_out(join: &PendingJoin, joined: &Slot<JoinedRecord>) -> bool {
    match (join.fingerprint(), joined) {
        (None, _) => false,
        (Some(certificate), Slot::Whole(joined)) => joined.certificate != certificate && join.proven == Proven::Yes,
        (Some(_), Slot::Absent) => true,
        (Some(_), Slot::Damaged(_)) => join.proven == Proven::Yes,
    }
}

/// The cluster from its record, or from the kubeconfig that was made from it.
fn find_cluster(record: &Slot<KnownCluster>, kubeconfig: &Slot<Vec<u8>>) -> Option<KnownCluster> {
    match (record, kubeconfig) {
        (Slot::Whole(cluster), _) => Some(cluster.clone()),
        (_, Slot::Whole(text)) => {
            let cluster = kubeconfig_text::read_back(std::str::from_utf8(text).ok()?)?;
            cluster.has_readable_authorities().then_some(cluster)
        }
        _ => None,
    }
}

/// Why a file is no pair.
pub(super) fn read_pair(slot: Slot<Vec<u8>>) -> Result<Pair, String> {
    match slot {
        Slot::Absent => Err("it is not there".into()),
        Slot::Damaged(wrong) => Err(wrong),
        Slot::Whole(content) => Pair::parse(&content).map_err(|error: PairError| error.to_string()),
    }
}
