//! A cluster's authority is replaced: the real client and the disk of a node against the mock control plane (R2). What
//! kubelet's part in it is, and when a node asks, is in firstboot's tests of the agent.
#![allow(clippy::unwrap_used, reason = "test code")]

use std::path::Path;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use skerry_firstboot::client::Client;
use skerry_firstboot::clock::{Clock, ManualClock};
use skerry_firstboot::control_plane::{ApiErrorKind, Caller, ControlPlane as _};
use skerry_firstboot::disk::{Disk as _, ModelDisk, RealDisk};
use skerry_firstboot::identity::paths::{CURRENT, FOLDERS_OF_A_JOIN, KUBECONFIG};
use skerry_firstboot::identity::{Home, Identity, Loaded};
use skerry_firstboot::join::{LearnError, Learnt, learn_authorities};
use skerry_firstboot::relay::authorities;
use skerry_firstboot::relay::config::Config;
use skerry_qemu_tests::joiner;
use skerry_qemu_tests::mock_api::joiner::same_certificates;
use skerry_qemu_tests::mock_api::{
    BrokenAnswer, Call, Description, Fault, Kubeconfig, MockApi, Presented, ServerCertificate, Setup,
};

const NODE: &str = "shop-7";

/// A node of the mock's cluster.
struct Node {
    mock: MockApi,
    client: Client,
    disk: ModelDisk,
    home: Home<ModelDisk>,
    joined: Identity,
}

impl Node {
    async fn new() -> Self {
        let mock = MockApi::start(Setup::default());
        let (client, disk) = (joiner::client(), ModelDisk::new());
        let home = Home::new(disk.clone());
        Self {
            joined: joiner::identity(&client, &home, &mock.join_toml(), NODE).await,
            mock,
            client,
            disk,
            home,
        }
    }

    /// As it is on the disk.
    fn identity(&self) -> Identity {
        match self.home.load().unwrap().state {
            Loaded::Joined(identity) => *identity,
            other => panic!("{other:?}"),
        }
    }

    async fn learn(&self) -> Result<Learnt, LearnError> {
        let identity = self.identity();
        learn_authorities(&self.client, &self.home, &identity.cluster, &identity.pair).await
    }

    /// Looks at its own Node object as `identity`.
    async fn works_as(&self, identity: &Identity) -> Result<(), ApiErrorKind> {
        let caller = Caller::Node {
            certificate: &identity.pair.chain,
            key: &identity.pair.key,
        };
        let answer = self.client.node(&identity.cluster.to_cluster(), caller, NODE).await;
        answer.map(drop).map_err(|error| error.kind)
    }

    fn describe(&self, kubeconfig: Kubeconfig) {
        self.mock.fault(Fault::Description(Description::Kubeconfig(kubeconfig)));
    }

    /// Both authorities, the known one first.
    fn both(&self) -> String {
        format!("{}{}", self.mock.ca_pem(), self.mock.second_ca_pem())
    }

    /// From now on the server's certificate is the next authority's.
    fn switch(&self) {
        self.mock.fault(Fault::Certificate(ServerCertificate::SecondAuthority));
    }
}

#[tokio::test]
async fn the_next_authority_in_cluster_info_is_learnt_and_outlives_the_one_that_was_pinned() {
    let node = Node::new().await;
    assert_eq!(node.learn().await.unwrap(), Learnt::Nothing);
    node.describe(Kubeconfig::TwoAuthorities);
    assert_eq!(node.learn().await.unwrap(), Learnt::More);
    assert_eq!(node.learn().await.unwrap(), Learnt::Nothing);
    let identity = node.identity();
    assert!(same_certificates(&identity.cluster.authorities, &node.both()));
    let known = String::from_utf8(node.disk.read(Path::new(KUBECONFIG)).unwrap()).unwrap();
    let encoded = STANDARD.encode(&identity.cluster.authorities);
    assert!(known.contains(&encoded), "{known}");
    node.mock.assert_no_leak();
    node.switch();
    assert_eq!(node.works_as(&identity).await, Ok(()));
    assert_eq!(node.works_as(&node.joined).await, Err(ApiErrorKind::Untrusted));
}

#[tokio::test]
async fn a_node_with_a_pod_in_kube_system_reads_it_there_and_cluster_info_without_its_certificate() {
    let node = Node::new().await;
    node.mock.fault(Fault::Description(Description::Missing));
    assert_eq!(node.learn().await.unwrap(), Learnt::Nothing, "nobody tells it");
    node.mock.put_root_authorities(&node.both());
    assert_eq!(node.learn().await.unwrap(), Learnt::More);
    assert!(same_certificates(&node.identity().cluster.authorities, &node.both()));
    let last: Vec<_> = node.mock.requests().into_iter().rev().take(2).collect();
    let who: Vec<_> = last
        .iter()
        .map(|request| (request.path.rsplit('/').next().unwrap(), &request.presented))
        .collect();
    let as_node = Presented::Certificate(format!("system:node:{NODE}"));
    assert_eq!(
        who,
        [("cluster-info", &Presented::Nothing), ("kube-root-ca.crt", &as_node)]
    );
    node.mock.assert_no_leak();
}

#[tokio::test]
async fn a_control_plane_that_no_known_authority_vouches_for_teaches_nothing() {
    for shown in [
        ServerCertificate::SecondAuthority,
        ServerCertificate::OtherAuthority,
        ServerCertificate::SelfSigned,
        ServerCertificate::OtherName,
    ] {
        let node = Node::new().await;
        node.describe(Kubeconfig::TwoAuthorities);
        node.mock.put_root_authorities(&node.both());
        node.mock.fault(Fault::Certificate(shown));
        // A connection of before may be open still.
        let client = joiner::client();
        let asked = node.mock.requests().len();
        let identity = node.identity();
        let outcome = learn_authorities(&client, &node.home, &identity.cluster, &identity.pair).await;
        assert!(
            matches!(&outcome, Err(LearnError::Api(error)) if error.kind == ApiErrorKind::Untrusted),
            "{shown:?}: {outcome:?}"
        );
        assert_eq!(node.identity(), node.joined, "{shown:?}");
        assert_eq!(node.mock.requests().len(), asked, "{shown:?}");
    }
}

#[tokio::test]
async fn what_is_no_bundle_is_not_kept_and_does_not_hide_the_other_place() {
    for broken in [
        Description::Kubeconfig(Kubeconfig::AuthorityNotPem),
        Description::Kubeconfig(Kubeconfig::NoAuthority),
        Description::Kubeconfig(Kubeconfig::Insecure),
        Description::Kubeconfig(Kubeconfig::Bomb),
        Description::NoKubeconfig,
    ] {
        let node = Node::new().await;
        node.mock.fault(Fault::Description(broken.clone()));
        let outcome = node.learn().await;
        assert!(
            matches!(&outcome, Err(LearnError::Api(error)) if error.kind == ApiErrorKind::BadAnswer),
            "{broken:?}: {outcome:?}"
        );
        node.mock.put_root_authorities("hello");
        assert!(node.learn().await.is_err());
        assert_eq!(node.identity(), node.joined, "{broken:?}");
        node.mock.put_root_authorities(&node.both());
        assert_eq!(node.learn().await.unwrap(), Learnt::More, "{broken:?}");
    }
}

#[tokio::test]
async fn a_control_plane_in_trouble_is_told_and_changes_nothing() {
    let node = Node::new().await;
    node.describe(Kubeconfig::TwoAuthorities);
    for call in [Call::ClusterInfo, Call::ReadRootAuthorities] {
        node.mock.fault(Fault::Answer(BrokenAnswer::status(503)).on(call));
    }
    let outcome = node.learn().await;
    assert!(
        matches!(&outcome, Err(LearnError::Api(error)) if matches!(error.kind, ApiErrorKind::Server { .. })),
        "{outcome:?}"
    );
    assert_eq!(node.identity(), node.joined);
    node.mock.heal();
    node.describe(Kubeconfig::TwoAuthorities);
    assert_eq!(node.learn().await.unwrap(), Learnt::More);
}

#[tokio::test]
async fn a_relay_that_runs_for_months_learns_the_next_authority_by_the_files_of_its_machine() {
    let mock = MockApi::start(Setup::default());
    let root = tempfile::tempdir().unwrap();
    let at = |path: &str| root.path().join(&path[1..]);
    for folder in FOLDERS_OF_A_JOIN {
        std::fs::create_dir_all(at(folder)).unwrap();
    }
    let home = Home::new(RealDisk::new(root.path()));
    let joined = joiner::identity(&joiner::client(), &home, &mock.join_toml(), NODE).await;
    // The link that the join has left is one of a machine, from its root.
    std::fs::remove_file(at(CURRENT)).unwrap();
    std::fs::write(at(CURRENT), joined.pair.to_pem().expose()).unwrap();
    let clock: Arc<dyn Clock> = Arc::new(ManualClock::at(mock.unix()));
    let learn = || authorities::learn(root.path(), &clock);
    assert_eq!(learn().await.unwrap(), Learnt::Nothing);
    mock.fault(Fault::Description(Description::Kubeconfig(Kubeconfig::TwoAuthorities)));
    assert_eq!(learn().await.unwrap(), Learnt::More);
    let known = Config::read(root.path()).unwrap().cluster.authorities;
    let both = format!("{}{}", mock.ca_pem(), mock.second_ca_pem());
    assert!(same_certificates(&known, &both));
    // The mock counts whoever shows the next authority's certificate as a stranger.
    mock.assert_no_leak();
    mock.fault(Fault::Certificate(ServerCertificate::SecondAuthority));
    assert_eq!(learn().await.unwrap(), Learnt::Nothing);
}
