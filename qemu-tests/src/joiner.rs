//! A machine that joins, without the machine: the real client, on this machine's network, and nothing written.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use skerry_firstboot::client::Client;
use skerry_firstboot::clock::ManualClock;
use skerry_firstboot::control_plane::{ApiError, ApiErrorKind, Caller, ControlPlane as _, Posted, SigningState};
use skerry_firstboot::csr;
use skerry_firstboot::join_config::{JoinConfig, NetworkSettings};
use tokio::runtime::Runtime;

/// How often a joiner asks again.
const INTERVAL: Duration = Duration::from_secs(2);
/// How often it fails before something is wrong: longer than any of its waits takes.
const TRIES: u32 = 150;

/// A client with a clock of its own: what moves the clock forward must not move this machine's.
pub fn client() -> Client {
    let clock = ManualClock::at(now());
    Client::new(&NetworkSettings::default(), Arc::new(clock)).expect("there is no proxy to misunderstand")
}

/// What joins run on: as on a node, one thread.
pub fn runtime() -> Runtime {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime can be made")
}

/// Discovers the cluster, asks for a certificate as node `name`, checks it, and uses it once; panics with what cannot
/// be overcome by asking again.
pub async fn join(config: &JoinConfig, name: &str) {
    let client = client();
    let cluster = persist("discovery", async || client.discover(config).await).await;
    let credential = cluster.credential.as_ref().unwrap_or(&config.credential);
    let caller = Caller::Joining(credential);
    let key = csr::new_key().expect("the system has random numbers");
    let request = csr::signing_request(&key, name).expect("the key is new");
    let posted = persist("the request", async || client.post(&cluster, caller, &request).await).await;
    assert_ne!(posted, Posted::Taken, "{name}: the request's name is taken");
    let certificate = loop {
        let state = persist("the answer", async || {
            client.signing_state(&cluster, caller, &request.name).await
        });
        match state.await {
            SigningState::Issued(certificate) => break certificate,
            SigningState::Pending | SigningState::Approved => tokio::time::sleep(INTERVAL).await,
            other => panic!("{name}: {other:?}"),
        }
    };
    let checked = csr::check_certificate(&certificate, &key, name, &cluster.authorities, now());
    checked.unwrap_or_else(|error| panic!("{name}: {error}"));
    let caller = Caller::Node {
        certificate: &certificate,
        key: &key,
    };
    let node = persist("its node", async || client.node(&cluster, caller, name).await).await;
    assert_eq!(node, None, "{name}: nobody has registered this node");
}

/// Asks again while only time is missing.
async fn persist<T>(what: &str, mut ask: impl AsyncFnMut() -> Result<T, ApiError>) -> T {
    let mut tries = 0;
    loop {
        let error = match ask().await {
            Ok(answer) => return answer,
            Err(error) => error,
        };
        tries += 1;
        let wait = match error.kind {
            ApiErrorKind::NotSigned | ApiErrorKind::Timeout => INTERVAL,
            ApiErrorKind::Throttled { retry_after } => retry_after.unwrap_or(INTERVAL),
            _ => panic!("{what}: {error}"),
        };
        assert!(tries < TRIES, "{what}, {tries} times: {error}");
        tokio::time::sleep(wait).await;
    }
}

fn now() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.expect("it is later than 1970").as_secs()
}
