//! A machine that joins, as far as a control plane sees it: the real client of `firstboot` with a clock of its own.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use skerry_firstboot::certificates::{Validity, bundle};
use skerry_firstboot::client::{Client, Patience};
use skerry_firstboot::clock::ManualClock;
use skerry_firstboot::control_plane::{
    ApiError, ApiErrorKind, Caller, Cluster, ControlPlane as _, NodeView, Posted, SigningRequest, SigningState,
};
use skerry_firstboot::csr::{self, CertificateError};
use skerry_firstboot::join_config::{Credential, JoinConfig, NetworkSettings};
use skerry_firstboot::secret::Secret;

/// For cases that end when the machine gives up waiting.
const IMPATIENCE: Patience = Patience {
    connect: Duration::from_millis(500),
    handshake: Duration::from_millis(500),
    whole: Duration::from_secs(1),
};

/// A machine's client and clock.
#[derive(Debug)]
pub struct Joiner {
    /// The client.
    pub client: Client,
    /// The clock by which it judges certificates.
    pub clock: Arc<ManualClock>,
}

/// What a machine asks to be, with its key.
#[derive(Debug, Clone)]
pub struct Applicant {
    /// The node's name.
    pub name: String,
    /// Its key, PEM.
    pub key: Secret,
    /// Its request.
    pub request: SigningRequest,
}

/// What a machine has got after [`Joiner::join`].
#[derive(Debug, Clone)]
pub struct Joined {
    /// The cluster.
    pub cluster: Cluster,
    /// Key and request.
    pub applicant: Applicant,
    /// The certificate, PEM.
    pub certificate: String,
}

impl Joiner {
    /// A machine whose clock is right.
    pub fn new() -> Self {
        let now = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default().as_secs();
        Self::at(now)
    }

    /// A machine whose clock says `unix`.
    pub fn at(unix: u64) -> Self {
        Self::on(&NetworkSettings::default(), ManualClock::at(unix))
    }

    /// A machine with these network settings, at the right time.
    pub fn behind(network: &NetworkSettings) -> Self {
        let now = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default().as_secs();
        Self::on(network, ManualClock::at(now))
    }

    fn on(network: &NetworkSettings, clock: ManualClock) -> Self {
        let clock = Arc::new(clock);
        let client = Client::new(network, clock.clone()).expect("the test's proxy is a URL");
        Self { client, clock }
    }

    /// The same machine, which does not wait long for anything.
    pub fn impatient(self) -> Self {
        Self {
            client: self.client.with_patience(IMPATIENCE),
            ..self
        }
    }

    /// Finds the cluster.
    pub async fn discover(&self, config: &JoinConfig) -> Result<Cluster, ApiError> {
        self.client.discover(config).await
    }

    /// Finds the cluster and tells what kind of failure comes of it; panics if none does.
    pub async fn refusal(&self, config: &JoinConfig) -> ApiErrorKind {
        let error = self.discover(config).await.expect_err("this must not be believed");
        error.kind
    }

    /// Posts a request.
    pub async fn post(
        &self,
        cluster: &Cluster,
        credential: &Credential,
        request: &SigningRequest,
    ) -> Result<Posted, ApiError> {
        self.client.post(cluster, Caller::Joining(credential), request).await
    }

    /// Asks how far a request is.
    pub async fn state(
        &self,
        cluster: &Cluster,
        credential: &Credential,
        name: &str,
    ) -> Result<SigningState, ApiError> {
        self.client
            .signing_state(cluster, Caller::Joining(credential), name)
            .await
    }

    /// Looks at the Node `name`.
    pub async fn look_at(
        &self,
        cluster: &Cluster,
        caller: Caller<'_>,
        name: &str,
    ) -> Result<Option<NodeView>, ApiErrorKind> {
        self.client
            .node(cluster, caller, name)
            .await
            .map_err(|error| error.kind)
    }

    /// Discovery, request and certificate in one, for cases about what comes after. Panics unless all goes well.
    pub async fn join(&self, config: &JoinConfig, name: &str) -> Joined {
        let cluster = self.discover(config).await.expect("the cluster is found");
        let applicant = Applicant::new(name);
        let credential = cluster.credential.as_ref().unwrap_or(&config.credential);
        let posted = self.post(&cluster, credential, &applicant.request).await;
        posted.expect("the request is taken");
        let state = self.state(&cluster, credential, &applicant.request.name).await;
        let SigningState::Issued(certificate) = state.expect("the request can be read") else {
            panic!("a mock that approves by itself issues at once");
        };
        Joined {
            cluster,
            applicant,
            certificate,
        }
    }
}

impl Default for Joiner {
    fn default() -> Self {
        Self::new()
    }
}

impl Applicant {
    /// A machine that wants to be `name`, with a new key.
    pub fn new(name: &str) -> Self {
        let key = csr::new_key().expect("the system has random numbers");
        let request = csr::signing_request(&key, name).expect("a fresh key signs");
        Self {
            name: name.to_owned(),
            key,
            request,
        }
    }

    /// Judges a certificate as the join does before it keeps it.
    pub fn judge(&self, cluster: &Cluster, certificate: &str, now: u64) -> Result<Validity, CertificateError> {
        csr::check_certificate(certificate, &self.key, &self.name, &cluster.authorities, now)
    }
}

impl Joined {
    /// The caller that a joined node is.
    pub fn node(&self) -> Caller<'_> {
        Caller::Node {
            certificate: &self.certificate,
            key: &self.applicant.key,
        }
    }

    /// Reads its own Node object.
    pub async fn read_itself(&self, joiner: &Joiner) -> Result<Option<NodeView>, ApiError> {
        joiner
            .client
            .node(&self.cluster, self.node(), &self.applicant.name)
            .await
    }
}

/// Whether two PEM texts hold the same certificates.
pub fn same_certificates(one: &str, other: &str) -> bool {
    match (bundle(one), bundle(other)) {
        (Ok(one), Ok(other)) => one == other,
        _ => false,
    }
}
