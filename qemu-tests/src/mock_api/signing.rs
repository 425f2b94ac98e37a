//! Certificate signing requests, from being posted to being issued or forgotten.
//!
//! Approver and signer are controllers of their own that work through a queue; here each request knows at which moment
//! they will have come to it, so nothing runs in between and ten thousand requests cost nothing.

mod issue;
mod object;
mod rates;
mod request;

use std::collections::BTreeMap;
use std::time::Duration;

pub use issue::{Issue, Signer, issue};
pub use object::object;
pub use rates::{Bucket, Limits, Rate};
pub use request::{Refused, Spec, read};

/// The signer that kubelets ask for client certificates.
pub const CLIENT_SIGNER: &str = "kubernetes.io/kube-apiserver-client-kubelet";

/// Sweeps of the cleaner (`pkg/controller/certificates/cleaner`): decided requests go after an hour.
const KEEP_DECIDED_SECS: u64 = 3600;
/// Requests that nobody decided go after a day.
const KEEP_PENDING_SECS: u64 = 24 * 3600;

/// Who approves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Approval {
    /// The controller, as it does for kubelets with a bootstrap token or a node's certificate.
    #[default]
    Automatic,
    /// A person: [`MockApi::approve`](super::MockApi::approve).
    Manual,
}

/// How far a request is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Phase {
    /// Not decided; the approver will come to it at this time of the mock, if ever.
    Pending(Option<Duration>),
    /// Approved; the signer will come to it at this time.
    Approved(Duration),
    /// Issued: PEM.
    Issued(String),
    /// Denied, with the reason.
    Denied(String),
    /// Approved, and the signer failed, with the reason.
    Failed(String),
}

/// One request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Name of the object.
    pub name: String,
    /// What is asked for.
    pub spec: Spec,
    /// How far it is.
    pub phase: Phase,
    /// When it was posted, seconds since 1970.
    pub created: u64,
    /// Which one it is, counted from 1.
    pub number: usize,
}

/// What the signer makes of an approved request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// The certificate, PEM.
    Issued(String),
    /// Nothing yet.
    Withheld,
    /// It was denied after all.
    Denied(String),
    /// It cannot be signed.
    Failed(String),
}

/// All requests of a cluster.
#[derive(Debug)]
pub struct SigningRequests {
    entries: BTreeMap<String, Entry>,
    approval: Approval,
    approver: Bucket,
    signer: Bucket,
    created: usize,
}

impl SigningRequests {
    /// None yet.
    pub fn new(approval: Approval, limits: &Limits) -> Self {
        Self {
            entries: BTreeMap::new(),
            approval,
            approver: Bucket::new(limits.approving),
            signer: Bucket::new(limits.signing),
            created: 0,
        }
    }

    /// Takes a request in; false if its name is taken. `now` is the mock's running time, `unix` what its clock says.
    pub fn create(&mut self, name: &str, spec: Spec, now: Duration, unix: u64) -> bool {
        if self.entries.contains_key(name) {
            return false;
        }
        let approved = self.approval == Approval::Automatic && spec.is_approved_by_controller();
        // A SubjectAccessReview and an update: two of the approver's calls.
        let approve_at = approved.then(|| self.approver.next(now, 2));
        self.created += 1;
        let entry = Entry {
            name: name.to_owned(),
            spec,
            phase: Phase::Pending(approve_at),
            created: unix,
            number: self.created,
        };
        self.entries.insert(name.to_owned(), entry);
        true
    }

    /// Brings one request to where it is at `now`, and shows it. `sign` is asked when the signer has come to it.
    pub fn settle(&mut self, name: &str, now: Duration, sign: impl FnOnce(&Spec) -> Decision) -> Option<&Entry> {
        let entry = self.entries.get_mut(name)?;
        if let Phase::Pending(Some(approve_at)) = entry.phase
            && approve_at <= now
        {
            entry.phase = Phase::Approved(self.signer.next(approve_at, 1));
        }
        if let Phase::Approved(sign_at) = entry.phase
            && sign_at <= now
        {
            entry.phase = match sign(&entry.spec) {
                Decision::Issued(pem) => Phase::Issued(pem),
                Decision::Denied(reason) => Phase::Denied(reason),
                Decision::Failed(reason) => Phase::Failed(reason),
                Decision::Withheld => Phase::Approved(sign_at),
            };
        }
        Some(entry)
    }

    /// A person approves; false if there is no such request or it is decided.
    pub fn approve(&mut self, name: &str, now: Duration) -> bool {
        let Some(entry) = self.undecided(name) else {
            return false;
        };
        entry.phase = Phase::Pending(Some(now));
        true
    }

    /// A person denies.
    pub fn deny(&mut self, name: &str, reason: &str) -> bool {
        let entry = self.undecided(name);
        entry
            .map(|entry| entry.phase = Phase::Denied(reason.to_owned()))
            .is_some()
    }

    /// Deletes a request.
    pub fn delete(&mut self, name: &str) -> bool {
        self.entries.remove(name).is_some()
    }

    /// Deletes what the cleaner deletes when the clock says `unix`.
    pub fn sweep(&mut self, unix: u64) {
        self.entries.retain(|_, entry| {
            let keep = match entry.phase {
                Phase::Pending(_) => KEEP_PENDING_SECS,
                _ => KEEP_DECIDED_SECS,
            };
            unix.saturating_sub(entry.created) < keep
        });
    }

    /// The request `name` as it was when somebody last looked.
    pub fn get(&self, name: &str) -> Option<&Entry> {
        self.entries.get(name)
    }

    /// How many were ever created.
    pub fn created(&self) -> usize {
        self.created
    }

    /// Those that exist, the oldest first.
    pub fn list(&self) -> Vec<Entry> {
        let mut entries: Vec<_> = self.entries.values().cloned().collect();
        entries.sort_by_key(|entry| entry.number);
        entries
    }

    fn undecided(&mut self, name: &str) -> Option<&mut Entry> {
        let entry = self.entries.get_mut(name)?;
        matches!(entry.phase, Phase::Pending(_)).then_some(entry)
    }
}

#[cfg(test)]
mod tests;
