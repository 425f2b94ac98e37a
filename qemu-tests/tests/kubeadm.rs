//! kubeadm as the judge: what it prints joins, and what it refuses is refused here.
#![allow(clippy::unwrap_used, reason = "tests: a surprise is a failure")]

use std::fmt::Write as _;
use std::time::Duration;

use skerry_firstboot::control_plane::{ApiErrorKind, ControlPlane as _};
use skerry_firstboot::join_config;
use skerry_qemu_tests::control_plane::{ControlPlane, Joiners};
use skerry_qemu_tests::join_file::{self, Token};
use skerry_qemu_tests::joiner;
use skerry_qemu_tests::wait;

/// What becomes of a machine with a certain join line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Decision {
    Trusted,
    Refused,
}

/// Whether the line says that the authority need not be checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unpinned {
    Allowed,
    NotMentioned,
}

/// What a join line says.
#[derive(Debug, Clone)]
struct Said {
    endpoint: String,
    token: String,
    pins: Vec<String>,
    unpinned: Unpinned,
}

impl Said {
    fn with_pins(&self, pins: &[&str]) -> Self {
        Self {
            pins: pins.iter().map(|pin| (*pin).to_owned()).collect(),
            ..self.clone()
        }
    }

    fn with_token(&self, token: &str) -> Self {
        Self {
            token: token.to_owned(),
            ..self.clone()
        }
    }

    fn line(&self) -> String {
        let mut line = format!("kubeadm join {} --token {}", self.endpoint, self.token);
        for pin in &self.pins {
            write!(line, " --discovery-token-ca-cert-hash {pin}").unwrap();
        }
        if self.unpinned == Unpinned::Allowed {
            line.push_str(" --discovery-token-unsafe-skip-ca-verification");
        }
        line
    }

    /// The same as kubeadm's configuration, which alone can shorten its patience.
    fn configuration(&self) -> String {
        format!(
            "apiVersion: kubeadm.k8s.io/v1beta4\nkind: JoinConfiguration\n\
             discovery:\n  bootstrapToken:\n    apiServerEndpoint: {}\n    token: {}\n    caCertHashes: {:?}\n    \
             unsafeSkipCAVerification: {}\n\
             nodeRegistration:\n  name: nobody\n  criSocket: unix:///run/nobody.sock\n  ignorePreflightErrors: [all]\n\
             timeouts:\n  discovery: 6s\n  kubernetesAPICall: 6s\n",
            self.endpoint,
            self.token,
            self.pins,
            self.unpinned == Unpinned::Allowed
        )
    }

    /// What kubeadm does: its checks before a join read the cluster's description and change nothing on this machine.
    fn by_kubeadm(&self, cluster: &ControlPlane) -> (Decision, String) {
        let path = cluster.folder().join("join.yaml");
        std::fs::write(&path, self.configuration()).unwrap();
        match cluster.try_kubeadm(&["join", "phase", "preflight", "--config", path.to_str().unwrap()]) {
            Ok(talk) => (Decision::Trusted, talk),
            Err(talk) => (Decision::Refused, talk),
        }
    }

    /// What a machine does with the same line.
    fn by_skerry(&self) -> (Decision, String) {
        let parsed = match join_config::parse(self.line().as_bytes()) {
            Ok(parsed) => parsed,
            Err(error) => return (Decision::Refused, error.to_string()),
        };
        let client = joiner::client();
        match joiner::runtime().block_on(client.discover(&parsed.config)) {
            Ok(cluster) => (Decision::Trusted, cluster.server.to_string()),
            Err(error) => (Decision::Refused, error.to_string()),
        }
    }
}

/// What is said, in words.
type Case = (&'static str, Said);

fn trusted(good: &Said) -> Vec<Case> {
    let pin = good.pins[0].as_str();
    let unpinned = Said {
        unpinned: Unpinned::Allowed,
        ..good.with_pins(&[])
    };
    vec![
        ("as printed", good.clone()),
        (
            "two pins of which the second fits",
            good.with_pins(&[&wrong_pin(), pin]),
        ),
        ("a pin in upper case", good.with_pins(&[&pin.to_uppercase()])),
        ("no pin, by permission", unpinned),
    ]
}

fn refused(good: &Said) -> Vec<Case> {
    let pin = good.pins[0].as_str();
    let (id, _) = good.token.split_once('.').unwrap();
    vec![
        ("a wrong pin", good.with_pins(&[&wrong_pin()])),
        ("another digest", good.with_pins(&[&pin.replace("sha256", "sha512")])),
        ("a pin that is too short", good.with_pins(&[&pin[..pin.len() - 2]])),
        ("no pin", good.with_pins(&[])),
        ("another secret", good.with_token(&format!("{id}.0123456789abcdef"))),
        ("an unknown token", good.with_token("zzzzzz.0123456789abcdef")),
        ("a token in upper case", good.with_token(&good.token.to_uppercase())),
        ("half a token", good.with_token(id)),
    ]
}

fn wrong_pin() -> String {
    format!("sha256:{}", "5".repeat(64))
}

#[test]
fn kubeadm_and_skerry_trust_and_refuse_the_same() {
    let cluster = ControlPlane::start("kubeadm", Joiners::Here);
    let (line, token) = join_file::kubeadm_line(&cluster);
    wait_for_signature(&line);
    let good = Said {
        endpoint: cluster.endpoint().to_owned(),
        token: token.text(),
        pins: vec![line.split_whitespace().last().unwrap().to_owned()],
        unpinned: Unpinned::NotMentioned,
    };
    let trusted = trusted(&good).into_iter().map(|case| (case, Decision::Trusted));
    let refused = refused(&good).into_iter().map(|case| (case, Decision::Refused));
    for ((what, said), decision) in trusted.chain(refused) {
        let (kubeadm, talk) = said.by_kubeadm(&cluster);
        assert_eq!(kubeadm, decision, "kubeadm, {what}: {talk}");
        let (skerry, talk) = said.by_skerry();
        assert_eq!(skerry, decision, "skerry, {what}: {talk}");
    }
}

/// The signer comes after the token; until then the answer is to come again.
fn wait_for_signature(line: &str) {
    let config = join_config::parse(line.as_bytes()).unwrap().config;
    let runtime = joiner::runtime();
    wait::until("the signature", Duration::from_secs(60), || {
        match runtime.block_on(joiner::client().discover(&config)) {
            Ok(_) => Ok(()),
            Err(error) => {
                assert_eq!(error.kind, ApiErrorKind::NotSigned, "{error}");
                Err(error.to_string())
            }
        }
    });
}

#[test]
fn what_kubeadm_and_kubectl_write_gets_a_certificate_from_the_real_signer() {
    let cluster = ControlPlane::start("kubeadm-forms", Joiners::Here);
    let (line, _) = join_file::kubeadm_line(&cluster);
    let kubeconfig = join_file::bootstrap_kubeconfig(&cluster, &Token::create(&cluster));
    for (name, file) in [("by-line", line), ("by-kubeconfig", kubeconfig)] {
        let parsed = join_config::parse(file.as_bytes()).unwrap();
        assert_eq!(parsed.warnings, Vec::<String>::new());
        joiner::runtime().block_on(joiner::join(&file, name));
    }
}
