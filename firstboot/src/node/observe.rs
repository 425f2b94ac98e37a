//! Watches, from the machine's own side, how its Node object comes to be Ready.
//!
//! Pure: an answer of the API server flows in, what it means for the node flows out.

use std::time::Duration;

use super::state::NodeState;
use crate::control_plane::{ApiError, ApiErrorKind, NodeView};
use crate::join::retry::{Backoff, Random};
use crate::join_config::{NetworkSettings, PodNetwork};

/// How long between two looks at the Node object, at least and at most.
const SHORTEST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(30);
/// The wait is this part of the time that has passed: who waits for minutes does not mind seconds.
const PART: u32 = 20;

/// What one look at the Node object means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Where the node is.
    pub state: NodeState,
    /// Why it is not further.
    pub reason: String,
    /// What happens next, or what somebody has to do.
    pub next: String,
    /// Addresses for its pods, as the cluster gave them.
    pub pod_cidrs: Vec<String>,
}

/// How long until the next look, when the first one was so long ago; give or take a quarter, so that machines that were
/// switched on together do not ask together.
pub fn pace(watched: Duration, random: &mut impl Random) -> Duration {
    let plain = (watched / PART).clamp(SHORTEST, LONGEST);
    plain.mul_f64(0.75 + random.next() / 2.0)
}

/// How long until the next look after one that failed. kubelet goes on meanwhile; nobody waits for this.
pub fn pace_after(error: &ApiError, backoff: &mut Backoff, random: &mut impl Random) -> Duration {
    let wait = backoff.after(error.kind, random);
    match error.kind.retry_after() {
        Some(_) => wait,
        None => wait.min(LONGEST.mul_f64(0.75 + random.next() / 2.0)),
    }
}

/// The Node object was there and is not any more.
pub fn deleted(name: &str) -> Finding {
    Finding {
        state: NodeState::Joined,
        reason: format!("the node {name} was deleted from the cluster"),
        next: "starting kubelet again, which registers it anew; switch the machine off if it is not wanted".to_owned(),
        pod_cidrs: Vec::new(),
    }
}

/// What a Ready node is that lacks the image's container images: no pod can start on it.
pub fn without_images(finding: Finding, name: &str) -> Finding {
    Finding {
        state: NodeState::Joined,
        reason: format!("{name} is Ready, and containerd does not take the system's container images"),
        next: "trying again every minute; if /var is full, delete pods or images".to_owned(),
        ..finding
    }
}

/// What an answer about the node `name` means.
pub fn judge(answer: Result<Option<NodeView>, ApiError>, name: &str, network: &NetworkSettings) -> Finding {
    let joined = |reason: String, next: &str| Finding {
        state: NodeState::Joined,
        reason,
        next: next.to_owned(),
        pod_cidrs: Vec::new(),
    };
    match answer {
        Ok(None) => joined(
            format!("the control plane has accepted {name}; kubelet has not registered it yet"),
            "looking again every few seconds",
        ),
        Ok(Some(view)) => registered(view, name, network),
        Err(error) => joined(error.to_string(), &next_after(&error)),
    }
}

fn registered(view: NodeView, name: &str, network: &NetworkSettings) -> Finding {
    if view.ready {
        return Finding {
            state: NodeState::Ready,
            reason: format!("{name} is Ready"),
            next: "it runs what the control plane schedules".to_owned(),
            pod_cidrs: view.pod_cidrs,
        };
    }
    let next = match network.pod_network {
        PodNetwork::Cluster => "the cluster's own network has to come up on this node first",
        PodNetwork::Bridge if view.pod_cidrs.is_empty() && network.pod_cidr.is_none() => {
            "the cluster has to give the node addresses for its pods (kube-controller-manager \
             `--allocate-node-cidrs`); where it does not, set `network.pod-cidr` in the join file"
        }
        PodNetwork::Bridge => "looking again every few seconds",
    };
    let why = if view.reason.is_empty() {
        "kubelet has not reported yet"
    } else {
        &view.reason
    };
    Finding {
        state: NodeState::Joined,
        reason: format!("{name} is registered and not Ready: {why}"),
        next: next.to_owned(),
        pod_cidrs: view.pod_cidrs,
    }
}

fn next_after(error: &ApiError) -> String {
    match error.kind {
        ApiErrorKind::Untrusted => {
            "this is not the control plane that the node joined, or its authority was replaced; \
            a new join file joins anew, and until then everything stays as it is"
                .to_owned()
        }
        ApiErrorKind::Unauthorized => "the control plane does not know this node's certificate (was the cluster made \
            anew?); a new join file joins anew"
            .to_owned(),
        _ if error.advice.is_empty() => "trying again".to_owned(),
        _ => error.advice.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view(ready: bool, pod_cidrs: &[&str]) -> NodeView {
        NodeView {
            ready,
            reason: "cni plugin not initialized".into(),
            pod_cidrs: pod_cidrs.iter().map(|cidr| (*cidr).to_owned()).collect(),
            machine_id: String::new(),
        }
    }

    fn failed(kind: ApiErrorKind) -> ApiError {
        ApiError {
            kind,
            endpoint: "https://k8s.example:6443".into(),
            detail: "d".into(),
            advice: String::new(),
        }
    }

    #[test]
    fn a_network_of_the_clusters_own_is_waited_for() {
        let network = NetworkSettings {
            pod_network: PodNetwork::Cluster,
            ..NetworkSettings::default()
        };
        let finding = judge(Ok(Some(view(false, &["10.244.3.0/24"]))), "edge-1", &network);
        assert!(finding.next.contains("cluster's own network"), "{}", finding.next);
    }

    #[test]
    fn a_join_file_with_pod_addresses_has_nobody_to_ask_for_them() {
        let network = NetworkSettings {
            pod_cidr: Some("10.88.0.0/24".to_owned().try_into().unwrap()),
            ..NetworkSettings::default()
        };
        let finding = judge(Ok(Some(view(false, &[]))), "edge-1", &network);
        assert!(!finding.next.contains("network.pod-cidr"), "{}", finding.next);
        assert!(
            finding.reason.contains("cni plugin not initialized"),
            "{}",
            finding.reason
        );
    }

    #[test]
    fn a_node_without_pod_addresses_says_which_key_helps() {
        let finding = judge(Ok(Some(view(false, &[]))), "edge-1", &NetworkSettings::default());
        assert_eq!(finding.state, NodeState::Joined);
        assert!(finding.next.contains("network.pod-cidr"), "{}", finding.next);
    }

    #[test]
    fn a_recreated_cluster_asks_for_a_new_join_file_and_changes_nothing() {
        for kind in [ApiErrorKind::Untrusted, ApiErrorKind::Unauthorized] {
            let finding = judge(Err(failed(kind)), "edge-1", &NetworkSettings::default());
            assert_eq!(finding.state, NodeState::Joined);
            assert!(finding.next.contains("new join file"), "{}", finding.next);
        }
    }

    #[test]
    fn a_ready_node_is_ready() {
        let finding = judge(Ok(Some(view(true, &[]))), "edge-1", &NetworkSettings::default());
        assert_eq!(finding.state, NodeState::Ready);
    }
}
