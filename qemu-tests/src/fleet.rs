//! Ten thousand machines that join at once, in virtual time: the real flow of `firstboot` over the mock's approver and
//! signer, without sockets and without waiting.
//!
//! The server takes so many requests in a second and tells the others when to come again; what each machine did is
//! written down, so that a test can say whether it kept to that.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use skerry_firstboot::clock::ManualClock;
use skerry_firstboot::control_plane::{
    ApiError, ApiErrorKind, Caller, Cluster, ControlPlane, NodeView, Posted, SigningRequest, SigningState,
};
use skerry_firstboot::disk::{Disk as _, ModelDisk};
use skerry_firstboot::identity::{Decision, Digest, Home, JoinFile, KeyChoice, decide};
use skerry_firstboot::join::retry::Jitter;
use skerry_firstboot::join::{Advance, Applicant, Attempt, Erasable};
use skerry_firstboot::join_config::JoinConfig;
use tokio::task::LocalSet;
use tokio::time::Instant;

use crate::mock_api::authority::{Authority, KeyKind};
use crate::mock_api::clock::Clock;
use crate::mock_api::signing::{
    Approval, Bucket, Decision as Signed, Limits, Phase, Signer, SigningRequests, Spec, issue,
};
use crate::mock_api::users::{BOOTSTRAPPERS, KUBEADM_TOKENS, User};

/// What the server tells those whom it has no time for (`Retry-After: 1`, as kube-apiserver does).
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// The machines, and the server that they all ask.
#[derive(Debug)]
pub struct Fleet {
    server: Rc<RefCell<Server>>,
    config: JoinConfig,
    started: Instant,
}

/// What came of it.
#[derive(Debug)]
pub struct Report {
    /// How long each machine took from power-on to its certificate, the shortest first.
    pub joined: Vec<Duration>,
    /// Signing requests that were ever created.
    pub requests_created: usize,
    /// Requests that were answered, and those that were told to come again.
    pub answered: u64,
    /// See above.
    pub turned_away: u64,
    /// Requests that came before the time their machine was told.
    pub too_early: u64,
}

#[derive(Debug)]
struct Server {
    clock: Clock,
    authority: Authority,
    other: Authority,
    signing: SigningRequests,
    gate: Bucket,
    not_before: BTreeMap<usize, Instant>,
    answered: u64,
    turned_away: u64,
    too_early: u64,
}

/// The server as one machine sees it.
struct Seat {
    machine: usize,
    server: Rc<RefCell<Server>>,
    cluster: Cluster,
    started: Instant,
}

impl Fleet {
    /// A server with these limits, and machines that all have the join file `config`. To be made inside of a runtime
    /// whose time is paused.
    pub fn new(config: JoinConfig, limits: &Limits) -> Self {
        let clock = Clock::right();
        let server = Server {
            authority: Authority::new(KeyKind::Ecdsa, &clock),
            other: Authority::new(KeyKind::Ecdsa, &clock),
            clock,
            signing: SigningRequests::new(Approval::Automatic, limits),
            gate: Bucket::new(limits.requests),
            not_before: BTreeMap::new(),
            answered: 0,
            turned_away: 0,
            too_early: 0,
        };
        Self {
            server: Rc::new(RefCell::new(server)),
            config,
            started: Instant::now(),
        }
    }

    /// Powers on `machines` of them at once and waits until all have joined.
    pub async fn join(&self, machines: usize) -> Report {
        let joins = LocalSet::new();
        let handles: Vec<_> = (0..machines)
            .map(|machine| {
                let (seat, config) = (self.seat(machine), self.config.clone());
                joins.spawn_local(async move { seat.join(&config).await })
            })
            .collect();
        joins.await;
        let mut joined = Vec::with_capacity(machines);
        for handle in handles {
            joined.push(handle.await.expect("no machine gives up"));
        }
        joined.sort_unstable();
        let server = self.server.borrow();
        Report {
            joined,
            requests_created: server.signing.created(),
            answered: server.answered,
            turned_away: server.turned_away,
            too_early: server.too_early,
        }
    }

    fn seat(&self, machine: usize) -> Seat {
        Seat {
            machine,
            server: Rc::clone(&self.server),
            cluster: Cluster {
                server: self.config.endpoints[0].clone(),
                others: Vec::new(),
                authorities: self.server.borrow().authority.pem().to_owned(),
                tls_server_name: None,
                credential: None,
            },
            started: self.started,
        }
    }
}

impl Seat {
    /// Joins as skerry-node does: looks at the disk before each step, waits as long as the step says.
    async fn join(self, config: &JoinConfig) -> Duration {
        let disk = ModelDisk::new();
        for folder in ["/var", "/var/lib"] {
            disk.make_folder(folder.as_ref(), 0o755)
                .expect("the disk is empty and works");
        }
        let home = Home::new(disk);
        let clock = ManualClock::at(self.server.borrow().clock.unix());
        let (name, id) = (format!("machine-{}", self.machine), format!("{:032x}", self.machine));
        let mut jitter = Jitter::seeded(self.machine as u64);
        let mut attempt = Attempt::default();
        loop {
            let file = JoinFile {
                config,
                digest: Digest::of(b"the fleet's join file"),
                node_name: &name,
            };
            let found = home.load().expect("the disk works");
            let key = match decide(&found.state, Some(&file), 0) {
                Decision::Join { key } => key,
                _ => KeyChoice::Pending,
            };
            let applicant = Applicant {
                plane: &self,
                home: &home,
                clock: &clock,
                file,
                key,
                erasable: Erasable::No,
                machine_id: &id,
            };
            match attempt.advance(&applicant, &mut jitter).await {
                Advance::Certified => return self.started.elapsed(),
                Advance::Went { wait, .. } | Advance::Failed { wait, .. } => tokio::time::sleep(wait).await,
            }
        }
    }

    /// Comes to the server with one request.
    fn knock(&self) -> Result<(), ApiError> {
        let now = Instant::now();
        let mut server = self.server.borrow_mut();
        if server.not_before.remove(&self.machine).is_some_and(|told| now < told) {
            server.too_early += 1;
        }
        let running = now - self.started;
        if server.gate.take(running) {
            server.answered += 1;
            return Ok(());
        }
        server.turned_away += 1;
        server.not_before.insert(self.machine, now + RETRY_AFTER);
        Err(ApiError {
            kind: ApiErrorKind::Throttled {
                retry_after: Some(RETRY_AFTER),
            },
            endpoint: self.cluster.server.to_string(),
            detail: "too many requests".to_owned(),
            advice: String::new(),
        })
    }
}

impl ControlPlane for Seat {
    /// cluster-info is read twice, first from whoever answers.
    async fn discover(&self, _config: &JoinConfig) -> Result<Cluster, ApiError> {
        self.knock()?;
        self.knock()?;
        Ok(self.cluster.clone())
    }

    async fn post(&self, _: &Cluster, _: Caller<'_>, request: &SigningRequest) -> Result<Posted, ApiError> {
        self.knock()?;
        let groups = [BOOTSTRAPPERS, KUBEADM_TOKENS];
        let user = User::authenticated("system:bootstrap:abcdef", groups.into_iter());
        let spec = Spec::of_kubelet(&request.pem, &user).expect("the client's requests are well formed");
        let mut server = self.server.borrow_mut();
        let unix = server.clock.unix();
        let created = server.signing.create(&request.name, spec, self.started.elapsed(), unix);
        Ok(if created { Posted::Created } else { Posted::AlreadyThere })
    }

    async fn signing_state(&self, _: &Cluster, _: Caller<'_>, name: &str) -> Result<SigningState, ApiError> {
        self.knock()?;
        let mut server = self.server.borrow_mut();
        let Server {
            clock,
            authority,
            other,
            signing,
            ..
        } = &mut *server;
        let sign = |spec: &Spec| -> Signed {
            let signer = Signer {
                genuine: authority,
                other,
                clock,
            };
            issue(spec, &signer, None)
        };
        let entry = signing.settle(name, self.started.elapsed(), sign);
        Ok(match entry.map(|entry| entry.phase.clone()) {
            None => SigningState::Gone,
            Some(Phase::Pending(_)) => SigningState::Pending,
            Some(Phase::Approved(_)) => SigningState::Approved,
            Some(Phase::Issued(chain)) => SigningState::Issued(chain),
            Some(Phase::Denied(reason)) => SigningState::Denied(reason),
            Some(Phase::Failed(reason)) => SigningState::Failed(reason),
        })
    }

    async fn node(&self, _: &Cluster, _: Caller<'_>, _: &str) -> Result<Option<NodeView>, ApiError> {
        self.knock().map(|()| None)
    }

    async fn authorities(&self, _: &Cluster, _: Caller<'_>) -> Result<Option<String>, ApiError> {
        self.knock().map(|()| None)
    }
}
