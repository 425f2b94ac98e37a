//! Putting a certificate into place, and wiping everything. Both are logs: begun once, they are carried on by
//! [`Home::load`] after a power cut, and doing them again changes nothing.

use std::path::Path;

use super::PendingJoin;
use super::error::IdentityError;
use super::home::Home;
use super::joined::{JoinedRecord, Proven};
use super::load::Slot;
use super::pair::PairError;
use super::paths::{AUTHORITIES_FOLDER, CURRENT, JOIN, JOINED, KUBERNETES, PKI, RESET, SKERRY};
use crate::disk::{Disk, Kind};

impl<D: Disk> Home<D> {
    /// Makes the certificate of `pending` the machine's identity.
    pub(super) fn activate(&self, pending: &PendingJoin) -> Result<(), IdentityError> {
        let pair = pending.pair().ok_or(PairError::Missing("certificate"))??;
        let mut joined = JoinedRecord {
            node_name: pending.node_name.clone(),
            certificate: pair.leaf.fingerprint,
            proven: pending.proven,
            consumed: match self.read_record::<JoinedRecord>(JOINED)? {
                Slot::Whole(before) => before.consumed,
                _ => Vec::new(),
            },
        };
        joined.remember(pending.consumed());
        let pem = format!("{PKI}/{}", pair.file_name());
        self.make_folders()?;
        self.persist(&pem, pair.to_pem().expose().as_bytes(), 0o600)?;
        self.clear_for_link()?;
        self.persist_link(&pem, CURRENT)?;
        self.write_cluster(&pending.cluster)?;
        self.write_settings(&pending.settings)?;
        self.write_record(JOINED, &joined)?;
        self.conclude(pending)
    }

    /// Ends a join whose identity is in place. What a proven identity has replaced is deleted, but not what kubelet has
    /// rotated to since.
    pub(super) fn conclude(&self, pending: &PendingJoin) -> Result<(), IdentityError> {
        if pending.proven == Proven::Yes {
            let current = self.linked_name()?;
            for name in self.names(PKI)? {
                let path = format!("{PKI}/{name}");
                if path != CURRENT && current.as_ref() != Some(&name) {
                    self.remove_file(&path)?;
                }
            }
            self.sync_folder(PKI)?;
        }
        self.forget_key()
    }

    /// Carries a factory reset to its end, if one was begun.
    pub(super) fn finish_reset(&self) -> Result<(), IdentityError> {
        if self.kind(RESET)?.is_none() {
            return Ok(());
        }
        let own = |prefix: &'static str| move |name: &str| name.trim_start_matches('.').starts_with(prefix);
        self.wipe(PKI, |_| true)?;
        self.wipe(AUTHORITIES_FOLDER, own("ca.crt"))?;
        self.wipe(KUBERNETES, own("kubelet.conf"))?;
        self.wipe(SKERRY, own("settings.toml"))?;
        self.wipe(JOIN, |name| name != "factory-reset")?;
        self.remove(RESET)?;
        self.sync_folder(JOIN)
    }

    fn wipe(&self, folder: &str, is_ours: impl Fn(&str) -> bool) -> Result<(), IdentityError> {
        let names = self.names(folder)?;
        for name in names.iter().filter(|name| is_ours(name)) {
            self.remove_file(&format!("{folder}/{name}"))?;
        }
        match self.kind(folder)? {
            Some(_) => self.sync_folder(folder),
            None => Ok(()),
        }
    }

    /// Removes what is no folder.
    fn remove_file(&self, path: &str) -> Result<(), IdentityError> {
        match self.kind(path)? {
            Some(Kind::Folder) | None => Ok(()),
            Some(_) => self.remove(path),
        }
    }

    /// The name in the folder of certificates that the link leads to.
    pub(super) fn linked_name(&self) -> Result<Option<String>, IdentityError> {
        let Some(Kind::Link(target)) = self.kind(CURRENT)? else {
            return Ok(None);
        };
        let beside = target
            .parent()
            .is_some_and(|folder| folder == Path::new(PKI) || folder == Path::new(""));
        Ok(target
            .file_name()
            .filter(|_| beside)
            .and_then(|name| name.to_str())
            .map(str::to_owned))
    }
}
