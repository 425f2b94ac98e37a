//! Making damaged parts of an identity again from those that are whole.

use super::error::IdentityError;
use super::finding::{Finding, Remedy};
use super::home::Home;
use super::joined::{JoinedRecord, Proven};
use super::load::{Slot, read_pair};
use super::paths::{AUTHORITIES, CLUSTER, CURRENT, JOINED, KUBECONFIG, PEM_PREFIX, PEM_SUFFIX, PKI, SETTINGS};
use super::{KnownCluster, Pair, kubeconfig_text};
use crate::disk::{Disk, Kind};
use crate::join_config::NodeSettings;

impl<D: Disk> Home<D> {
    /// The certificate in use, or the newest one that is whole and for this node. Changes nothing.
    pub(super) fn find_pair(
        &self,
        node_name: Option<&str>,
        findings: &mut Vec<Finding>,
    ) -> Result<Option<Pair>, IdentityError> {
        let fits = |pair: &Pair| node_name.is_none_or(|name| name == pair.leaf.node_name);
        let wrong = match self.read_current()? {
            Ok(pair) if fits(&pair) => return Ok(Some(pair)),
            Ok(pair) => format!("it is for the node `{}`", pair.leaf.node_name),
            Err(wrong) => wrong,
        };
        let mut newest: Option<Pair> = None;
        for name in self.names(PKI)? {
            if !name.starts_with(PEM_PREFIX) || !name.ends_with(PEM_SUFFIX) {
                continue;
            }
            let found = read_pair(self.read(&format!("{PKI}/{name}"))?).ok().filter(fits);
            // The names tell the machine's clock, which may have been wrong; the certificate tells the signer's.
            if found.as_ref().map(|pair| pair.leaf.not_before) >= newest.as_ref().map(|pair| pair.leaf.not_before) {
                newest = found;
            }
        }
        findings.push(Finding {
            path: CURRENT.into(),
            wrong,
            remedy: if newest.is_some() {
                Remedy::Rebuilt
            } else {
                Remedy::Left
            },
        });
        Ok(newest)
    }

    /// The pair that the link leads to, or why there is none.
    fn read_current(&self) -> Result<Result<Pair, String>, IdentityError> {
        Ok(match self.kind(CURRENT)? {
            None => Err("it is not there".into()),
            Some(Kind::Link(target)) => match self.linked_name()? {
                Some(name) => read_pair(self.read(&format!("{PKI}/{name}"))?)
                    .map_err(|wrong| format!("it leads to {}, and {wrong}", target.display())),
                None => Err(format!("it leads to {}, which is elsewhere", target.display())),
            },
            Some(_) => Err("it is no link".into()),
        })
    }

    /// Lets the link lead to the file with `pair`, as kubelet needs it.
    pub(super) fn repair_link(&self, pair: &Pair, findings: &mut Vec<Finding>) -> Result<(), IdentityError> {
        if self.read_current()?.is_ok_and(|current| current == *pair) {
            return Ok(());
        }
        // A pair in a regular file in the link's place gets a name of its own; one in a dated file keeps its.
        let mut path = None;
        for name in self.names(PKI)? {
            let candidate = format!("{PKI}/{name}");
            if name.ends_with(PEM_SUFFIX)
                && candidate != CURRENT
                && read_pair(self.read(&candidate)?).as_ref() == Ok(pair)
            {
                path = Some(candidate);
            }
        }
        let path = match path {
            Some(path) => path,
            None => {
                let path = format!("{PKI}/{}", pair.file_name());
                self.persist(&path, pair.to_pem().expose().as_bytes(), 0o600)?;
                path
            }
        };
        if !matches!(self.kind(CURRENT)?, None | Some(Kind::Link(_))) {
            self.set_aside(CURRENT, "it is no link".into(), findings)?;
        }
        self.persist_link(&path, CURRENT)
    }

    pub(super) fn repair_settings(
        &self,
        settings: Slot<NodeSettings>,
        findings: &mut Vec<Finding>,
    ) -> Result<NodeSettings, IdentityError> {
        let wrong = match settings {
            Slot::Whole(settings) => return Ok(settings),
            Slot::Absent => "it is not there".to_owned(),
            Slot::Damaged(wrong) => {
                self.set_aside(SETTINGS, wrong.clone(), &mut Vec::new())?;
                wrong
            }
        };
        // Written, so that this is said once.
        self.write_settings(&NodeSettings::default())?;
        findings.push(Finding {
            path: SETTINGS.into(),
            wrong,
            remedy: Remedy::Defaults,
        });
        Ok(NodeSettings::default())
    }

    /// Makes the record of the cluster and what is made from it agree.
    pub(super) fn repair_texts(
        &self,
        cluster: &KnownCluster,
        record: &Slot<KnownCluster>,
        kubeconfig: &Slot<Vec<u8>>,
        findings: &mut Vec<Finding>,
    ) -> Result<(), IdentityError> {
        let mut rebuilt = |path: &str, wrong: &str| {
            findings.push(Finding {
                path: path.to_owned(),
                wrong: wrong.to_owned(),
                remedy: Remedy::Rebuilt,
            });
        };
        if let Some(wrong) = wrong_with(record, cluster) {
            self.write_record(CLUSTER, cluster)?;
            rebuilt(CLUSTER, &wrong);
        }
        let authorities = cluster.authorities.clone().into_bytes();
        if let Some(wrong) = wrong_with(&self.read(AUTHORITIES)?, &authorities) {
            self.persist(AUTHORITIES, &authorities, 0o644)?;
            rebuilt(AUTHORITIES, &wrong);
        }
        let text = kubeconfig_text::to_text(cluster).into_bytes();
        if let Some(wrong) = wrong_with(kubeconfig, &text) {
            self.persist(KUBECONFIG, &text, 0o600)?;
            rebuilt(KUBECONFIG, &wrong);
        }
        Ok(())
    }

    pub(super) fn repair_joined(
        &self,
        joined: Slot<JoinedRecord>,
        pair: &Pair,
        findings: &mut Vec<Finding>,
    ) -> Result<JoinedRecord, IdentityError> {
        let wrong = match joined {
            Slot::Whole(joined) => return Ok(joined),
            Slot::Absent => "it is not there".to_owned(),
            Slot::Damaged(wrong) => wrong,
        };
        let joined = JoinedRecord {
            node_name: pair.leaf.node_name.clone(),
            certificate: pair.leaf.fingerprint,
            proven: Proven::No,
            consumed: Vec::new(),
        };
        self.write_record(JOINED, &joined)?;
        findings.push(Finding {
            path: JOINED.into(),
            wrong,
            remedy: Remedy::Rebuilt,
        });
        Ok(joined)
    }
}

/// How a file differs from what it should hold.
fn wrong_with<T: PartialEq>(slot: &Slot<T>, expected: &T) -> Option<String> {
    match slot {
        Slot::Whole(found) if found == expected => None,
        Slot::Whole(_) => Some("it does not say what the record of the cluster says".into()),
        Slot::Absent => Some("it is not there".into()),
        Slot::Damaged(wrong) => Some(wrong.clone()),
    }
}
