//! From a join file to a certificate, one step at a time.
//!
//! ```text
//! Start ──discover──→ Found ──key kept, request posted──→ Requested ──issued, checked, kept──→ Certified
//!                       ↑                                      │
//!                       └──────────── request gone ────────────┘
//! ```
//!
//! [`Applicant::step`] goes one arrow. It may be repeated as often as one likes, after any error and after any power cut:
//! the key is on the disk before anybody hears of it, the request's name follows from the key, and so every repetition
//! finds what the one before has done. Waiting, saying and starting kubelet are the caller's.

mod attempt;
mod authorities;
mod error;
pub mod retry;

use std::time::Duration;

use crate::clock::Clock;
use crate::control_plane::{ApiErrorKind, Caller, Cluster, ControlPlane, NodeView, Posted, SigningState};
use crate::csr;
use crate::disk::Disk;
use crate::identity::{Home, JoinFile, KeyChoice, KnownCluster, Loaded, Medium, PendingJoin, Proven, check_cluster};
use crate::join_config::{AfterJoin, Credential};
use retry::{Polls, Random};

pub use attempt::{Advance, Attempt};
pub use authorities::{LearnError, Learnt, learn_authorities};
pub use error::{JoinError, Resume};

/// How many names for a request are tried without a pause. One that is taken is somebody's mistake; more are a plan.
const NAMES_AT_ONCE: u32 = 8;

/// A machine that asks to become a node.
#[expect(
    missing_debug_implementations,
    reason = "a view of other types, one of which holds a token"
)]
pub struct Applicant<'a, P, D> {
    /// Whom it asks.
    pub plane: &'a P,
    /// Where it keeps what lasts.
    pub home: &'a Home<D>,
    /// The time by which certificates are checked.
    pub clock: &'a dyn Clock,
    /// By what file it asks.
    pub file: JoinFile<'a>,
    /// With which key, as [`decide`](crate::identity::decide) said after the last look at the disk.
    pub key: KeyChoice,
    /// Whether the file's medium lets the file be erased.
    pub erasable: Erasable,
    /// The machine's own id, as kubelet will report it.
    pub machine_id: &'a str,
}

/// Whether a medium lets a file be erased.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Erasable {
    /// A disk or a stick.
    Yes,
    /// A credential of the hypervisor, a server.
    No,
}

/// How far an applicant has come.
#[derive(Debug, Clone)]
pub enum Progress {
    /// Nothing is known of the control plane.
    Start,
    /// It was found and verified.
    Found(Box<Cluster>),
    /// It has the request for a certificate.
    Requested {
        /// The control plane.
        cluster: Box<Cluster>,
        /// What was asked for.
        pending: Box<PendingJoin>,
        /// The waits between two looks.
        polls: Polls,
    },
    /// The certificate is on the disk.
    Certified,
}

/// What came of a step that did not fail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// How long to wait before the next step.
    pub wait: Duration,
    /// What was done or is being waited for, in words.
    pub doing: String,
}

impl<P: ControlPlane, D: Disk> Applicant<'_, P, D> {
    /// Goes one arrow of the module's diagram. After an error `progress` says from where to try again.
    pub async fn step(&self, progress: &mut Progress, random: &mut impl Random) -> Result<Step, JoinError> {
        match progress {
            Progress::Start => {
                let (cluster, step) = self.discover().await?;
                *progress = Progress::Found(cluster);
                Ok(step)
            }
            Progress::Found(cluster) => {
                let pending = self.request(cluster).await?;
                let doing = format!(
                    "asked for a certificate for {} ({})",
                    pending.node_name, pending.csr_name
                );
                *progress = Progress::Requested {
                    cluster: cluster.clone(),
                    pending: Box::new(pending),
                    polls: Polls::default(),
                };
                Ok(at_once(doing))
            }
            Progress::Requested { .. } => self.collect(progress, random).await,
            Progress::Certified => Ok(at_once("the certificate is there".to_owned())),
        }
    }

    async fn discover(&self) -> Result<(Box<Cluster>, Step), JoinError> {
        let cluster = self.plane.discover(self.file.config).await?;
        let found = self.home.load()?;
        check_cluster(&found.state, self.file.config, &KnownCluster::from(&cluster))?;
        let doing = format!("the control plane at {} is the right one", cluster.server);
        Ok((Box::new(cluster), at_once(doing)))
    }

    /// Keeps a key, then posts the request for its certificate.
    async fn request(&self, cluster: &Cluster) -> Result<PendingJoin, JoinError> {
        let credential = self.credential(cluster);
        self.check_name(cluster, credential).await?;
        let mut pending = self.pending(cluster)?;
        let plain = csr::signing_request(&pending.key, &pending.node_name)?;
        for _name in 0..NAMES_AT_ONCE {
            let request = match pending.csr_variant {
                0 => plain.clone(),
                attempt => csr::renamed(&plain, attempt),
            };
            request.name.clone_into(&mut pending.csr_name);
            self.home.remember_key(&pending)?;
            match self.plane.post(cluster, Caller::Joining(credential), &request).await? {
                Posted::Created | Posted::AlreadyThere => return Ok(pending),
                Posted::Taken => pending.csr_variant += 1,
            }
        }
        Err(JoinError::NoFreeName { request: plain.name })
    }

    /// Refuses a name under which another machine is at work: two kubelets with one name take turns in killing each
    /// other's pods. Who may not read Node objects cannot know, and joins.
    async fn check_name(&self, cluster: &Cluster, credential: &Credential) -> Result<(), JoinError> {
        let name = self.file.node_name;
        let view = match self.plane.node(cluster, Caller::Joining(credential), name).await {
            Ok(view) => view,
            Err(error) if matches!(error.kind, ApiErrorKind::Forbidden | ApiErrorKind::NotFound) => None,
            Err(error) => return Err(error.into()),
        };
        match view {
            Some(NodeView {
                ready: true,
                machine_id,
                ..
            }) if machine_id != self.machine_id => Err(JoinError::NameTaken { name: name.to_owned() }),
            _ => Ok(()),
        }
    }

    /// The join under way if it is about the same, otherwise a new one with a new key.
    fn pending(&self, cluster: &Cluster) -> Result<PendingJoin, JoinError> {
        let found = self.home.load()?;
        let under_way = match found.state {
            Loaded::Fresh => None,
            Loaded::Requested(pending) => Some(pending),
            Loaded::Joined(identity) => identity.successor,
        };
        let config = self.file.config;
        let (key, csr_variant) = match (self.key, under_way) {
            (KeyChoice::Pending, Some(pending)) => (pending.key, pending.csr_variant),
            _ => (csr::new_key()?, 0),
        };
        Ok(PendingJoin {
            node_name: self.file.node_name.to_owned(),
            csr_name: String::new(),
            csr_variant,
            join_file: self.file.digest,
            token_id: token_id(&config.credential),
            medium: match (config.after_join, self.erasable) {
                (AfterJoin::Erase, Erasable::Yes) => Medium::ToErase,
                _ => Medium::Stays,
            },
            proven: Proven::No,
            key,
            certificate: None,
            cluster: KnownCluster::from(cluster),
            settings: config.settings.clone(),
        })
    }

    /// Looks at the request; checks and keeps the certificate if it was issued.
    async fn collect(&self, progress: &mut Progress, random: &mut impl Random) -> Result<Step, JoinError> {
        let Progress::Requested {
            cluster,
            pending,
            polls,
        } = progress
        else {
            return Ok(at_once(String::new()));
        };
        let (cluster, pending) = (cluster.clone(), pending.clone());
        let caller = Caller::Joining(self.credential(&cluster));
        let name = &pending.csr_name;
        let state = self.plane.signing_state(&cluster, caller, name).await?;
        let wait = polls.next(random);
        let undecided = |doing: String| Ok(Step { wait, doing });
        match state {
            SigningState::Pending => undecided(format!(
                "nobody has approved the request {name} yet; `kubectl certificate approve {name}` does"
            )),
            SigningState::Approved => undecided(format!("the request {name} is approved and not signed yet")),
            SigningState::Gone => {
                *progress = Progress::Found(cluster);
                Err(JoinError::Gone { request: name.clone() })
            }
            SigningState::Denied(reason) => Err(JoinError::Denied {
                request: name.clone(),
                reason,
            }),
            SigningState::Failed(reason) => {
                let error = JoinError::NotSigned {
                    request: name.clone(),
                    reason,
                };
                self.use_another_request(progress, cluster, &pending)?;
                Err(error)
            }
            SigningState::Issued(chain) => {
                let now = self.clock.now();
                let authorities = &cluster.authorities;
                match csr::check_certificate(&chain, &pending.key, &pending.node_name, authorities, now) {
                    Ok(_) => {
                        self.home.remember_certificate(&pending, &chain)?;
                        *progress = Progress::Certified;
                        Ok(at_once("the certificate is there".to_owned()))
                    }
                    Err(error) => {
                        self.use_another_request(progress, cluster, &pending)?;
                        Err(error.into())
                    }
                }
            }
        }
    }

    /// What was signed for this request will never be of use, and asking for it again brings the same: the next request
    /// has another name.
    fn use_another_request(
        &self,
        progress: &mut Progress,
        cluster: Box<Cluster>,
        pending: &PendingJoin,
    ) -> Result<(), JoinError> {
        *progress = Progress::Found(cluster);
        let next = PendingJoin {
            csr_variant: pending.csr_variant + 1,
            ..pending.clone()
        };
        Ok(self.home.remember_key(&next)?)
    }

    fn credential<'c>(&'c self, cluster: &'c Cluster) -> &'c Credential {
        cluster.credential.as_ref().unwrap_or(&self.file.config.credential)
    }
}

fn at_once(doing: String) -> Step {
    Step {
        wait: Duration::ZERO,
        doing,
    }
}

/// The public part of a bootstrap token.
fn token_id(credential: &Credential) -> Option<String> {
    match credential {
        Credential::BootstrapToken(token) => Some(token.id.clone()),
        _ => None,
    }
}
