//! A control plane in memory: it holds signing requests and nodes, and fails when the test says so.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use skerry_firstboot::control_plane::{
    ApiError, ApiErrorKind, Caller, Cluster, ControlPlane, NodeView, Posted, SigningRequest, SigningState,
};
use skerry_firstboot::identity::Pair;
use skerry_firstboot::join_config::{Credential, JoinConfig};
use tokio::time::Instant;

use crate::issuer::{Issuer, endpoint};
use crate::machine::TOKEN_SECRET;
use crate::signer::{self, Requested};

/// The requests that a machine makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Call {
    Discover,
    ReadNode,
    Post,
    ReadRequest,
    /// As the node itself.
    ReadOwnNode,
    ReadAuthorities,
}

/// One request, as the test that lets it fail sees it.
#[derive(Debug, Clone, Copy)]
pub struct Asked {
    pub call: Call,
    /// Its number among all requests, from 1.
    pub number: usize,
    /// Its number among those of its kind, from 1.
    pub nth: usize,
    /// When, since the server was made.
    pub at: Duration,
}

/// How a request fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// It is not carried out.
    Refused(ApiErrorKind),
    /// It is carried out, and nobody hears of it.
    AnswerLost,
    /// The machine loses power before the request leaves it.
    PowerCutBefore,
    /// The machine loses power when the request has been carried out, before the answer is there.
    PowerCutAfter,
}

/// A request for a certificate, as the controllers of the control plane see it.
#[derive(Debug)]
pub struct Posting {
    pub name: String,
    pub requested: Requested,
    /// How long ago it was posted.
    pub age: Duration,
    /// How often the machine has looked at it, this time included.
    pub looks: u32,
}

struct Entry {
    requested: Requested,
    posted: Instant,
    looks: u32,
}

type Trouble<'a> = Box<dyn FnMut(Asked) -> Option<Fault> + 'a>;
type Controllers<'a> = Box<dyn FnMut(&Posting) -> SigningState + 'a>;

/// The control plane.
pub struct ApiServer<'a> {
    /// Whose authority signs its own certificate.
    pub serves_as: Cell<&'a Issuer>,
    /// What it tells of its authorities; nothing if that is empty.
    pub described: RefCell<String>,
    pub nodes: RefCell<BTreeMap<String, NodeView>>,
    trouble: RefCell<Trouble<'a>>,
    controllers: RefCell<Controllers<'a>>,
    /// Whether somebody else's request has this name.
    reserved: Cell<fn(&str) -> bool>,
    entries: RefCell<BTreeMap<String, Entry>>,
    /// Names of all requests that were ever made, in their order.
    created: RefCell<Vec<String>>,
    keys: RefCell<BTreeSet<Vec<u8>>>,
    calls: RefCell<Vec<Asked>>,
    issued: RefCell<BTreeSet<String>>,
    power_cut: Cell<bool>,
    started: Instant,
}

impl<'a> ApiServer<'a> {
    /// One that signs whatever is posted, and never fails. Needs a tokio runtime for its clock.
    pub fn new(issuer: &'a Issuer) -> Self {
        Self {
            serves_as: Cell::new(issuer),
            described: RefCell::new(issuer.pem()),
            nodes: RefCell::default(),
            trouble: RefCell::new(Box::new(|_| None)),
            controllers: RefCell::new(Box::new(|posting| {
                SigningState::Issued(signer::sign(issuer, &posting.requested))
            })),
            reserved: Cell::new(|_| false),
            entries: RefCell::default(),
            created: RefCell::default(),
            keys: RefCell::default(),
            calls: RefCell::default(),
            issued: RefCell::default(),
            power_cut: Cell::new(false),
            started: Instant::now(),
        }
    }

    /// Lets requests fail from now on.
    pub fn trouble(&self, trouble: impl FnMut(Asked) -> Option<Fault> + 'a) {
        *self.trouble.borrow_mut() = Box::new(trouble);
    }

    /// Ends the failing.
    pub fn mend(&self) {
        self.trouble(|_| None);
        self.restore_the_power();
    }

    /// Who decides about requests, whenever one is looked at; `Gone` deletes it.
    pub fn controllers(&self, controllers: impl FnMut(&Posting) -> SigningState + 'a) {
        *self.controllers.borrow_mut() = Box::new(controllers);
    }

    /// Signs whatever is posted, with this authority.
    pub fn sign_with(&self, issuer: &'a Issuer) {
        self.controllers(|posting| SigningState::Issued(signer::sign(issuer, &posting.requested)));
    }

    /// Which names somebody else's requests have.
    pub fn reserve(&self, reserved: fn(&str) -> bool) {
        self.reserved.set(reserved);
    }

    /// As if the cluster was made anew: nothing of before is known.
    pub fn recreate(&self, issuer: &'a Issuer) {
        self.serves_as.set(issuer);
        *self.described.borrow_mut() = issuer.pem();
        self.sign_with(issuer);
        self.nodes.borrow_mut().clear();
        self.entries.borrow_mut().clear();
        self.issued.borrow_mut().clear();
    }

    /// Whether the machine has lost its power in a request.
    pub fn has_cut_the_power(&self) -> bool {
        self.power_cut.get()
    }

    /// From now on nobody is there to ask.
    pub fn cut_the_power(&self) {
        self.power_cut.set(true);
    }

    /// The machine is switched on again.
    pub fn restore_the_power(&self) {
        self.power_cut.set(false);
    }

    /// Whether it has issued this certificate.
    pub fn knows(&self, chain: &str) -> bool {
        self.issued.borrow().contains(chain.trim_end())
    }

    /// Names of all requests that were ever made, in their order.
    pub fn created(&self) -> Vec<String> {
        self.created.borrow().clone()
    }

    /// For how many keys a request was posted.
    pub fn keys(&self) -> usize {
        self.keys.borrow().len()
    }

    /// All requests so far.
    pub fn calls(&self) -> Vec<Asked> {
        self.calls.borrow().clone()
    }

    /// When requests of one kind were made, since the server was made.
    pub fn times(&self, call: Call) -> Vec<Duration> {
        let calls = self.calls.borrow();
        calls
            .iter()
            .filter(|asked| asked.call == call)
            .map(|asked| asked.at)
            .collect()
    }

    /// Carries out a request, unless it fails.
    fn answer<T>(&self, call: Call, carry_out: impl FnOnce() -> Result<T, ApiError>) -> Result<T, ApiError> {
        if self.power_cut.get() {
            return Err(failed(ApiErrorKind::Timeout));
        }
        let asked = {
            let mut calls = self.calls.borrow_mut();
            let asked = Asked {
                call,
                number: calls.len() + 1,
                nth: calls.iter().filter(|earlier| earlier.call == call).count() + 1,
                at: self.started.elapsed(),
            };
            calls.push(asked);
            asked
        };
        let fault = (self.trouble.borrow_mut())(asked);
        match fault {
            None => carry_out(),
            Some(Fault::Refused(kind)) => Err(failed(kind)),
            Some(Fault::PowerCutBefore) => {
                self.power_cut.set(true);
                Err(failed(ApiErrorKind::Timeout))
            }
            Some(Fault::AnswerLost) => carry_out().and(Err(failed(ApiErrorKind::Timeout))),
            Some(Fault::PowerCutAfter) => {
                self.power_cut.set(true);
                carry_out().and(Err(failed(ApiErrorKind::Timeout)))
            }
        }
    }

    /// What TLS and the authenticator do.
    fn admit(&self, cluster: &Cluster, caller: Caller<'_>) -> Result<(), ApiError> {
        if !cluster.authorities.contains(&self.serves_as.get().pem()) {
            return Err(failed(ApiErrorKind::Untrusted));
        }
        match caller {
            Caller::Joining(Credential::BootstrapToken(token)) if token.secret.expose() == TOKEN_SECRET => Ok(()),
            Caller::Node { certificate, key } => {
                Pair::new(certificate, key).expect("a client can only show a certificate whose key it has");
                match self.knows(certificate) {
                    true => Ok(()),
                    false => Err(failed(ApiErrorKind::Unauthorized)),
                }
            }
            Caller::Joining(_) => Err(failed(ApiErrorKind::Unauthorized)),
        }
    }
}

impl ControlPlane for &ApiServer<'_> {
    async fn discover(&self, config: &JoinConfig) -> Result<Cluster, ApiError> {
        self.answer(Call::Discover, || {
            assert!(!config.endpoints.is_empty());
            Ok(Cluster {
                server: endpoint("api.example.org"),
                others: Vec::new(),
                authorities: self.described.borrow().clone(),
                tls_server_name: None,
                credential: None,
            })
        })
    }

    async fn post(&self, cluster: &Cluster, caller: Caller<'_>, request: &SigningRequest) -> Result<Posted, ApiError> {
        self.answer(Call::Post, || {
            self.admit(cluster, caller)?;
            let requested = Requested::read(&request.pem);
            if (self.reserved.get())(&request.name) {
                return Ok(Posted::Taken);
            }
            let mut entries = self.entries.borrow_mut();
            if let Some(there) = entries.get(&request.name) {
                return Ok(match there.requested.key == requested.key {
                    true => Posted::AlreadyThere,
                    false => Posted::Taken,
                });
            }
            self.created.borrow_mut().push(request.name.clone());
            self.keys.borrow_mut().insert(requested.key.clone());
            let entry = Entry {
                requested,
                posted: Instant::now(),
                looks: 0,
            };
            entries.insert(request.name.clone(), entry);
            Ok(Posted::Created)
        })
    }

    async fn signing_state(&self, cluster: &Cluster, caller: Caller<'_>, name: &str) -> Result<SigningState, ApiError> {
        self.answer(Call::ReadRequest, || {
            self.admit(cluster, caller)?;
            let mut entries = self.entries.borrow_mut();
            let Some(entry) = entries.get_mut(name) else {
                return Ok(SigningState::Gone);
            };
            entry.looks += 1;
            let posting = Posting {
                name: name.to_owned(),
                requested: entry.requested.clone(),
                age: entry.posted.elapsed(),
                looks: entry.looks,
            };
            let state = (self.controllers.borrow_mut())(&posting);
            match &state {
                SigningState::Gone => drop(entries.remove(name)),
                SigningState::Issued(chain) => drop(self.issued.borrow_mut().insert(chain.trim_end().to_owned())),
                _ => {}
            }
            Ok(state)
        })
    }

    async fn node(&self, cluster: &Cluster, caller: Caller<'_>, name: &str) -> Result<Option<NodeView>, ApiError> {
        let call = match caller {
            Caller::Joining(_) => Call::ReadNode,
            Caller::Node { .. } => Call::ReadOwnNode,
        };
        self.answer(call, || {
            self.admit(cluster, caller)?;
            Ok(self.nodes.borrow().get(name).cloned())
        })
    }

    async fn authorities(&self, cluster: &Cluster, caller: Caller<'_>) -> Result<Option<String>, ApiError> {
        self.answer(Call::ReadAuthorities, || {
            self.admit(cluster, caller)?;
            Ok(Some(self.described.borrow().clone()).filter(|described| !described.is_empty()))
        })
    }
}

fn failed(kind: ApiErrorKind) -> ApiError {
    ApiError {
        kind,
        endpoint: "https://api.example.org:6443".into(),
        detail: "as the test says".into(),
        advice: String::new(),
    }
}
