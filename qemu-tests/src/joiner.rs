//! A machine that joins, without the machine: the join itself and the real client, on this machine's network, with a
//! disk in memory.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use skerry_firstboot::client::Client;
use skerry_firstboot::clock::ManualClock;
use skerry_firstboot::control_plane::{Caller, ControlPlane as _};
use skerry_firstboot::disk::{Disk, ModelDisk};
use skerry_firstboot::identity::{Decision, Digest, Home, Identity, JoinFile, Loaded, decide};
use skerry_firstboot::join::retry::Jitter;
use skerry_firstboot::join::{Advance, Applicant, Attempt, Erasable};
use skerry_firstboot::join_config::{JoinConfig, NetworkSettings, parse};
use tokio::runtime::Runtime;

/// Longer than the slowest of many joiners takes.
const PATIENCE: Duration = Duration::from_secs(300);

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

/// Joins as node `name` by `file`, and makes the first call as that node; panics if the file cannot be read or the join
/// takes too long, with what it last did.
pub async fn join(file: &str, name: &str) {
    let (client, home) = (client(), Home::new(ModelDisk::new()));
    let identity = identity(&client, &home, file, name).await;
    let caller = Caller::Node {
        certificate: &identity.pair.chain,
        key: &identity.pair.key,
    };
    let node = client.node(&identity.cluster.to_cluster(), caller, name).await;
    let node = node.unwrap_or_else(|error| panic!("{name}, as a node: {error}"));
    assert_eq!(node, None, "{name}: nobody has registered this node");
}

/// The identity of node `name` by `file`, as `home` keeps it; panics as [`join`] does.
pub async fn identity<D: Disk>(client: &Client, home: &Home<D>, file: &str, name: &str) -> Identity {
    let config = parse(file.as_bytes())
        .unwrap_or_else(|error| panic!("{name}: {error}"))
        .config;
    let mut last = String::new();
    let joined = certify(client, home, (&config, file, name), &mut last);
    let joined = tokio::time::timeout(PATIENCE, joined).await;
    joined.unwrap_or_else(|_| panic!("{name} has not joined; last: {last}"))
}

/// Goes on until there is a certificate; `last` says what was done.
async fn certify<D: Disk>(
    client: &Client,
    home: &Home<D>,
    (config, file, name): (&JoinConfig, &str, &str),
    last: &mut String,
) -> Identity {
    let clock = ManualClock::at(now());
    let file = JoinFile {
        config,
        digest: Digest::of(file.as_bytes()),
        node_name: name,
    };
    let (mut attempt, mut random) = (Attempt::default(), Jitter::from_system());
    loop {
        let found = home.load().expect("the disk does not fail").state;
        let key = match decide(&found, Some(&file), now()) {
            Decision::Join { key } => key,
            other => panic!("{name} need not join: {other:?}"),
        };
        let applicant = Applicant {
            plane: client,
            home,
            clock: &clock,
            file,
            key,
            erasable: Erasable::Yes,
            machine_id: name,
        };
        let wait = match attempt.advance(&applicant, &mut random).await {
            Advance::Certified => break,
            Advance::Went { doing, wait } => {
                *last = doing;
                wait
            }
            Advance::Failed { error, wait } => {
                *last = error.to_string();
                wait
            }
        };
        tokio::time::sleep(wait).await;
    }
    match home.load().expect("the disk does not fail").state {
        Loaded::Joined(identity) => *identity,
        other => panic!("{name}: {other:?}"),
    }
}

fn now() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.expect("it is later than 1970").as_secs()
}
