//! What a person can do about a failure: commands to type, keys of the join file to change.

use super::Purpose;
use crate::control_plane::ApiErrorKind;

/// What advice is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trouble {
    /// A class of failures.
    Kind(ApiErrorKind),
    /// TCP connects and TLS does not get through.
    Handshake,
    /// The proxy does not connect.
    Proxy,
    /// The certificate is for other names.
    OtherName,
}

const NEW_TOKEN: &str = "make a new token (`skerry token create`, or `kubeadm token create --print-join-command` on the \
                         control plane) and put it into the join file";
const CHECK_ADDRESS: &str =
    "check the address and the port in the join file, and that firewalls let this machine out to it";
const PORTAL: &str = "if the network wants a log-in first (captive portal) or looks into TLS, let this machine past it; else \
                      check the address in the join file";
const OTHER_AUTHORITY: &str = "if this network looks into TLS or wants a log-in first, let this machine past it; if the \
                               cluster has a new authority, put its pin or certificate into the join file";
const FORGED: &str = "compare token and pin in the join file with `kubeadm token create --print-join-command`: they are of \
                      another cluster, or somebody is in between";
const CLOCK: &str = "set the machine's clock, or let it reach a time server (`ntp` in the join file); if the clock is right, \
                     the control plane's certificate has to be renewed (`kubeadm certs renew apiserver`)";
const MTU: &str = "packets of full size are often lost on the way (MTU black hole: PPPoE, VPN, mobile networks): lower the \
                   router's MTU, or let it answer with ICMP `fragmentation needed`";
const MAY_REQUEST: &str = "let tokens make requests: `kubectl create clusterrolebinding skerry-bootstrap \
                           --clusterrole=system:node-bootstrapper --group=system:bootstrappers`, and approve them: `kubectl \
                           create clusterrolebinding skerry-approve \
                           --clusterrole=system:certificates.k8s.io:certificatesigningrequests:nodeclient \
                           --group=system:bootstrappers`";
const MAY_READ_INFO: &str = "let everybody read it: `kubeadm init phase bootstrap-token` on the control plane, or put the \
                             cluster's authorities into the join file instead of a pin";
const SIGNER: &str = "a new token is signed within seconds by the controller `bootstrapsigner`; if it stays like this, the \
                      token has expired or may not sign: make a new token (`skerry token create`, or `kubeadm token create \
                      --print-join-command`)";

/// What can be done about `trouble` with a request for `purpose`; empty if only time helps.
pub(super) fn on(trouble: Trouble, purpose: Purpose) -> String {
    let kind = match trouble {
        Trouble::Handshake => return MTU.to_owned(),
        Trouble::Proxy => return "check `proxy` in the join file, or set `proxy-control-plane` to false".to_owned(),
        Trouble::OtherName => {
            return "use one of these names in the join file, or add this one to the certificate (`certSANs` of kubeadm's \
                    ClusterConfiguration)"
                .to_owned();
        }
        Trouble::Kind(kind) => kind,
    };
    let text = match (kind, purpose) {
        (ApiErrorKind::Dns, _) => {
            "check the name in the join file and this network's name servers (`dns` in the join file)"
        }
        (ApiErrorKind::Connect | ApiErrorKind::Timeout, _) => CHECK_ADDRESS,
        (ApiErrorKind::Untrusted, Purpose::JoinFile) => {
            "compare the pin with the keys of the server's chain, or let this machine past whoever looks into TLS here"
        }
        (ApiErrorKind::Untrusted, _) => OTHER_AUTHORITY,
        (ApiErrorKind::Clock { .. }, _) => CLOCK,
        (ApiErrorKind::NotKubernetes, _) => PORTAL,
        (ApiErrorKind::BadAnswer, _) => CHECK_ADDRESS,
        (ApiErrorKind::NotSigned, _) => SIGNER,
        (ApiErrorKind::Forged, _) => FORGED,
        (ApiErrorKind::Unauthorized | ApiErrorKind::Forbidden, Purpose::JoinFile) => {
            "let the web server hand out the join file without a log-in; the device's id and the pin must do"
        }
        (ApiErrorKind::Unauthorized | ApiErrorKind::Forbidden, Purpose::ClusterInfo) => MAY_READ_INFO,
        (ApiErrorKind::NotFound, Purpose::ClusterInfo) => MAY_READ_INFO,
        (ApiErrorKind::Unauthorized, Purpose::NodeItself) => {
            "the cluster does not know this node's certificate: it was made anew or its authority was; join again"
        }
        (ApiErrorKind::Unauthorized, _) => NEW_TOKEN,
        (ApiErrorKind::Forbidden, Purpose::SigningRequest) => MAY_REQUEST,
        (ApiErrorKind::Forbidden, Purpose::KkpSecret) => {
            "the token may not read Secrets of the namespace cloud-init-settings: use the one of the account cloud-init-getter"
        }
        (ApiErrorKind::NotFound, Purpose::KkpSecret) => {
            "check the Secret's name in the join file: `kubectl -n cloud-init-settings get secrets`"
        }
        _ => "",
    };
    text.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_right_is_answered_with_the_commands_that_grant_it() {
        let text = on(Trouble::Kind(ApiErrorKind::Forbidden), Purpose::SigningRequest);
        assert!(text.contains("--clusterrole=system:node-bootstrapper --group=system:bootstrappers"));
        assert!(text.contains("certificatesigningrequests:nodeclient"));
        assert!(!text.contains("  "), "{text}");
    }

    #[test]
    fn a_token_that_ran_out_is_answered_with_how_to_make_one() {
        let text = on(Trouble::Kind(ApiErrorKind::Unauthorized), Purpose::SigningRequest);
        assert!(text.contains("skerry token create") && text.contains("kubeadm token create --print-join-command"));
    }

    #[test]
    fn what_passes_by_itself_has_no_advice() {
        let throttled = ApiErrorKind::Throttled { retry_after: None };
        let down = ApiErrorKind::Server {
            status: 503,
            retry_after: None,
        };
        for kind in [throttled, down] {
            assert_eq!(on(Trouble::Kind(kind), Purpose::SigningRequest), "");
        }
    }
}
