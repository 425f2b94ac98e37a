//! What a cluster says of itself before it is trusted, and how it is believed: pure, no requests.
//!
//! In: the answer to `GET …/namespaces/kube-public/configmaps/cluster-info` ([`cluster_info`]), its signature by a
//! bootstrap token ([`jws`]), the authorities in it and the pins of the join file ([`pin`]). What is done with them, and
//! in which order, is the client's business (kubeadm's token discovery: `cmd/kubeadm/app/discovery/token/token.go`).

pub mod cluster_info;
pub mod jws;
pub mod pin;
