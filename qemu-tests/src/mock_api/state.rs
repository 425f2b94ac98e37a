//! What the mock knows, behind one lock.

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use rustls::ServerConfig;
use rustls::pki_types::CertificateDer;

use super::clock::Clock;
use super::faults::{Call, Fault, Script};
use super::log::{Handshake, Log};
use super::nodes::Nodes;
use super::secrets::Secrets;
use super::server::BrokenConnection;
use super::server_certificate::{ServerCertificate, ServerIdentity};
use super::signing::{Bucket, Decision, Entry, Signer, SigningRequests, Spec, issue};
use super::tokens::Tokens;

/// A cluster.
#[derive(Debug)]
pub struct State {
    /// The time.
    pub clock: Clock,
    /// URL by which the cluster describes itself.
    pub server: String,
    /// Authorities and the server's certificates.
    pub identity: ServerIdentity,
    /// Tokens.
    pub tokens: Tokens,
    /// Signing requests.
    pub signing: SigningRequests,
    /// Nodes.
    pub nodes: Nodes,
    /// Secrets of `cloud-init-settings`.
    pub secrets: Secrets,
    /// What `kube-root-ca.crt` of kube-system holds, if the nodes have a pod there and so may read it.
    pub root_authorities: Option<String>,
    /// What is to go wrong.
    pub script: Script,
    /// What happened.
    pub log: Log,
    /// How many requests are taken.
    pub gate: Bucket,
}

impl State {
    /// The certificate that connections see if nothing is to go wrong.
    pub fn server_certificate(&mut self) -> CertificateDer<'static> {
        let clock = self.clock;
        self.identity.leaf(ServerCertificate::Genuine, &clock)
    }

    /// Brings the signing request `name` to where it is now.
    pub fn settle(&mut self, name: &str) -> Option<Entry> {
        let Self {
            clock,
            identity,
            script,
            signing,
            ..
        } = self;
        let sign = |spec: &Spec| -> Decision {
            let faults = script.at(Call::Sign);
            let wrong = faults.iter().find_map(|fault| match fault {
                Fault::Issue(wrong) => Some(wrong),
                _ => None,
            });
            let signer = Signer {
                genuine: &identity.genuine,
                other: &identity.other,
                clock,
            };
            issue(spec, &signer, wrong)
        };
        signing.settle(name, clock.running(), sign).cloned()
    }
}

/// The state as the server's tasks and the test share it.
#[derive(Debug)]
pub struct Shared(Mutex<State>);

impl Shared {
    /// Puts `state` behind the lock.
    pub fn new(state: State) -> Self {
        Self(Mutex::new(state))
    }

    /// The state, until the guard goes.
    pub fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// What the mock's clock says.
    pub fn unix(&self) -> u64 {
        self.lock().clock.unix()
    }

    /// Takes note of a new connection: its number, the certificate it is to see, and what else is wrong with it.
    pub fn connected(&self) -> (usize, ServerCertificate, Option<BrokenConnection>) {
        let mut state = self.lock();
        let faults = state.script.at(Call::Connect);
        let shown = faults.iter().find_map(|fault| match fault {
            Fault::Certificate(shown) => Some(*shown),
            _ => None,
        });
        let broken = faults.iter().find_map(|fault| match fault {
            Fault::Connection(broken) => Some(*broken),
            _ => None,
        });
        let (shown, at) = (shown.unwrap_or(ServerCertificate::Genuine), running(&state));
        (state.log.connected(shown, at), shown, broken)
    }

    /// Takes note of the name that a client asked for.
    pub fn hello(&self, number: usize, name: Option<String>) {
        self.lock()
            .log
            .update(number, |connection| connection.server_name = name);
    }

    /// Takes note of the end of a handshake.
    pub fn handshake(&self, number: usize, ended: Handshake) {
        self.lock()
            .log
            .update(number, |connection| connection.handshake = ended);
    }

    /// The TLS side with the certificate `shown`.
    pub fn tls(&self, shown: ServerCertificate) -> Arc<ServerConfig> {
        let mut state = self.lock();
        let clock = state.clock;
        state.identity.config(shown, &clock)
    }
}

fn running(state: &State) -> Duration {
    state.clock.running()
}
