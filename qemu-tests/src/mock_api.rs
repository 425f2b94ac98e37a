//! A Kubernetes API server of our own on loopback, as far as a joining machine can tell: real TLS, a signed
//! `cluster-info`, bootstrap tokens, certificate signing requests that are approved and signed, Node objects. It fails as
//! a test tells it to ([`Fault`]) and remembers every request ([`Log`]).
//!
//! It shares no code with the client in `firstboot`: signatures, requests and certificates are made and read here once
//! more. What it does not do: watch, list, admission, storage; RBAC is the fixed rules in [`User`].

mod answer;
pub mod authority;
mod body;
mod client_certificate;
pub mod clock;
mod cluster_info;
mod description;
mod faults;
mod join_files;
pub mod joiner;
mod jws;
mod log;
mod nodes;
mod proxy;
mod routes;
mod secrets;
mod server;
mod server_certificate;
mod setup;
pub mod signing;
mod state;
mod tokens;
pub mod users;

use std::net::SocketAddr;
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::watch;

use skerry_firstboot::join_config::{CaPin, Endpoint};

pub use answer::{BrokenAnswer, DateHeader};
pub use authority::{KeyKind, pin_of};
pub use description::{Description, Facts, Kubeconfig};
pub use faults::{Call, Fault, Rule};
pub use jws::{Forgery, forge, sign};
pub use log::{Connection, Handshake, Log, Presented, Request};
pub use nodes::Readiness;
pub use proxy::{Proxy, ProxyRule};
pub use server::{BrokenConnection, Door};
pub use server_certificate::ServerCertificate;
pub use setup::Setup;
pub use signing::{Approval, CLIENT_SIGNER, Entry, Issue, Limits, Phase, Rate, Spec};
pub use tokens::Token;
pub use users::User;

use server::Reservation;
use state::Shared;

/// A running control plane; it ends when it is dropped.
#[derive(Debug)]
pub struct MockApi {
    shared: Arc<Shared>,
    address: SocketAddr,
    host: String,
    token: Token,
    door: watch::Sender<Door>,
    ready: watch::Receiver<Option<Door>>,
    runtime: Option<Runtime>,
}

impl MockApi {
    /// Starts one on a free port of loopback. Panics if the machine has no loopback.
    pub fn start(setup: Setup) -> Self {
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.expect("a thread can be started");
        let reservation = {
            let _context = runtime.enter();
            Reservation::new(setup.address).expect("loopback has a free port")
        };
        let address = reservation.address();
        let (token, host) = (setup.token.clone(), setup.host.clone());
        let shared = Arc::new(Shared::new(setup.into_state(address.port())));
        let (door, asked) = watch::channel(Door::Open);
        let (is, ready) = watch::channel(None);
        runtime.spawn(server::serve(reservation, shared.clone(), asked, is));
        let mut mock = Self {
            shared,
            address,
            host,
            token,
            door,
            ready,
            runtime: Some(runtime),
        };
        mock.wait_for(Door::Open);
        mock
    }

    /// Where it answers, by the name of the setup.
    pub fn endpoint(&self) -> Endpoint {
        self.endpoint_at(&self.host)
    }

    /// Where it answers, by another name or address.
    pub fn endpoint_at(&self, host: &str) -> Endpoint {
        Endpoint {
            host: host.to_owned(),
            port: self.address.port(),
            path: String::new(),
        }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The certificate of its authority, PEM.
    pub fn ca_pem(&self) -> String {
        self.shared.lock().identity.genuine.pem().to_owned()
    }

    /// The pin of its authority.
    pub fn pin(&self) -> CaPin {
        self.shared.lock().identity.genuine.pin()
    }

    /// The pin of the second authority, which descriptions may hold ([`Kubeconfig::TwoAuthorities`]).
    pub fn second_pin(&self) -> CaPin {
        self.shared.lock().identity.second.pin()
    }

    /// The certificate of the second authority, PEM.
    pub fn second_ca_pem(&self) -> String {
        self.shared.lock().identity.second.pem().to_owned()
    }

    /// Puts `pem` into `kube-root-ca.crt` of kube-system; from now on the nodes have a pod there and may read it.
    pub fn put_root_authorities(&self, pem: &str) {
        self.shared.lock().root_authorities = Some(pem.to_owned());
    }

    /// The server's own certificate, as a client sees it first.
    pub fn server_certificate(&self) -> CertificateDer<'static> {
        self.shared.lock().server_certificate()
    }

    /// What happened so far.
    pub fn log(&self) -> Log {
        self.shared.lock().log.clone()
    }

    /// The requests so far.
    pub fn requests(&self) -> Vec<Request> {
        self.shared.lock().log.requests.clone()
    }

    /// The host names that clients asked for in their handshakes.
    pub fn server_names(&self) -> Vec<Option<String>> {
        let log = &self.shared.lock().log;
        log.connections
            .iter()
            .map(|connection| connection.server_name.clone())
            .collect()
    }

    /// Panics if a credential went over a connection that cannot have been verified, or stood anywhere but in
    /// `Authorization`.
    pub fn assert_no_leak(&self) {
        let state = self.shared.lock();
        let leaks = state.log.leaks();
        assert!(leaks.is_empty(), "told a server that was not verified: {leaks:#?}");
        let misplaced = state.log.misplaced(state.tokens.secrets());
        assert!(misplaced.is_empty(), "a secret in the wrong place: {misplaced:#?}");
    }

    /// The signing requests that exist, the oldest first, each brought to where it is now.
    pub fn signing_requests(&self) -> Vec<Entry> {
        let mut state = self.shared.lock();
        let names: Vec<String> = state.signing.list().into_iter().map(|entry| entry.name).collect();
        names.iter().filter_map(|name| state.settle(name)).collect()
    }

    /// How many signing requests were ever created.
    pub fn signing_requests_created(&self) -> usize {
        self.shared.lock().signing.created()
    }

    /// Lets something go wrong from now on.
    pub fn fault(&self, rule: impl Into<Rule>) {
        self.shared.lock().script.add(rule.into());
    }

    /// Lets nothing go wrong any more.
    pub fn heal(&self) {
        self.shared.lock().script.clear();
    }

    /// Approves a signing request as a person would; false if there is none of this name that waits.
    pub fn approve(&self, name: &str) -> bool {
        let mut state = self.shared.lock();
        let now = state.clock.running();
        state.signing.approve(name, now)
    }

    /// Denies a signing request.
    pub fn deny(&self, name: &str, reason: &str) -> bool {
        self.shared.lock().signing.deny(name, reason)
    }

    /// Deletes a signing request.
    pub fn delete_signing_request(&self, name: &str) -> bool {
        self.shared.lock().signing.delete(name)
    }

    /// Posts a signing request in somebody's name, past HTTP; false if the name is taken. Panics if `pem` is no request.
    pub fn post_signing_request(&self, name: &str, pem: &str, user: &User) -> bool {
        let spec = Spec::of_kubelet(pem, user).expect("the test posts a request that can be read");
        let mut state = self.shared.lock();
        let (now, unix) = (state.clock.running(), state.clock.unix());
        state.signing.create(name, spec, now, unix)
    }

    /// Moves the server's clock by `secs`; signing requests that are too old by then are swept away, and the next
    /// connection sees a certificate that fits the new time.
    pub fn move_clock(&self, secs: i64) {
        let mut state = self.shared.lock();
        state.clock.shift(secs);
        state.identity.renew();
        let unix = state.clock.unix();
        state.signing.sweep(unix);
    }

    /// What the server's clock says, seconds since 1970.
    pub fn unix(&self) -> u64 {
        self.shared.unix()
    }

    /// Adds a token.
    pub fn add_token(&self, token: Token) {
        self.shared.lock().tokens.add(token);
    }

    /// Deletes a token.
    pub fn delete_token(&self, id: &str) {
        self.shared.lock().tokens.delete(id);
    }

    /// Lets a token expire now.
    pub fn expire_token(&self, id: &str) {
        let mut state = self.shared.lock();
        let unix = state.clock.unix();
        state.tokens.expire(id, unix);
    }

    /// Registers a Node as a kubelet would.
    pub fn register_node(&self, name: &str, readiness: Readiness, machine_id: &str) {
        self.shared.lock().nodes.register(name, readiness, machine_id);
    }

    /// Puts `text` under `key` of the Secret `name` in `cloud-init-settings`, and lets `bearer` read it.
    pub fn put_kkp_secret(&self, name: &str, key: &str, text: &str, bearer: &str) {
        let mut state = self.shared.lock();
        state.secrets.put(name, key, text);
        state.tokens.set_service_account(bearer);
    }

    /// Nobody listens any more, and connections end: as when the control plane's machine goes down.
    pub fn shut(&mut self) {
        self.set_door(Door::Shut);
    }

    /// It is up again, on the same port.
    pub fn open(&mut self) {
        self.set_door(Door::Open);
    }

    fn set_door(&mut self, door: Door) {
        self.door.send_replace(door);
        self.wait_for(door);
    }

    fn wait_for(&mut self, door: Door) {
        let mut ready = self.ready.clone();
        let wait = async move { ready.wait_for(|is| *is == Some(door)).await.map(|_| ()) };
        let (told, heard) = std::sync::mpsc::channel();
        let runtime = self.runtime.as_ref().expect("it runs until it is dropped");
        // Tests are often inside a runtime of their own, in which nothing may block on another.
        runtime.spawn(async move { told.send(wait.await) });
        let heard = heard.recv().expect("the server answers");
        heard.expect("the server can listen on its own port");
    }
}

impl Drop for MockApi {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

#[cfg(test)]
mod tests;
