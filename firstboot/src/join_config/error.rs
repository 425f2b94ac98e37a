//! What can be wrong with a join file. No message repeats text that could be a secret.

use super::VERSION;
use super::k0s::K0sError;
use super::kubeadm;
use super::mask::Spot;
use crate::kubeconfig::KubeconfigError;

/// A join file that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum JoinConfigError {
    /// More than anybody writes into a join file.
    #[error("the join file has more than {limit_bytes} bytes")]
    TooLarge {
        /// How many there may be.
        limit_bytes: usize,
    },
    /// Not UTF-8.
    #[error("the join file is not UTF-8 text")]
    NotText,
    /// UTF-16, as Windows PowerShell's `>` writes it.
    #[error("the join file is UTF-16 text")]
    Utf16,
    /// Nothing in it.
    #[error("the join file is empty")]
    Empty,
    /// None of the forms.
    #[error("the file is in none of the forms of a join file")]
    Unrecognised,
    /// A bootstrap token and nothing else.
    #[error("the join file holds a token and nothing else")]
    OnlyAToken,
    /// A token of k3s or RKE2.
    #[error(
        "tokens of k3s and RKE2 cannot be used: only their own agent can join with them, over a server of their own"
    )]
    K3sToken,
    /// Something at a place in the text.
    #[error("{spot}: {problem}")]
    Text {
        /// Where.
        spot: Spot,
        /// What.
        problem: Problem,
    },
    /// There is no `version`.
    #[error("`version` is missing")]
    NoVersion,
    /// Nothing says where the control plane is.
    #[error("nothing says where the control plane is")]
    NoEndpoint,
    /// Nothing says how the control plane is recognised.
    #[error("nothing says by what the control plane is recognised: {form} holds no pin and no certificate")]
    NoTrust {
        /// What was read.
        form: &'static str,
    },
    /// Nothing to join with.
    #[error("there is no token: {form} holds no credential")]
    NoCredential {
        /// What was read.
        form: &'static str,
    },
    /// Parts that exclude each other.
    #[error("{0}")]
    Contradiction(Contradiction),
    /// The script's values are not in its text.
    #[error("the KKP script's {0} cannot be read from its `curl` line")]
    KkpScript(&'static str),
    /// A kubeconfig that cannot be used.
    #[error("the kubeconfig cannot be used")]
    Kubeconfig(#[source] KubeconfigError),
    /// A k0s token that cannot be used.
    #[error("the k0s token cannot be used")]
    K0s(#[source] K0sError),
    /// The text of the key `join` cannot be used.
    #[error("the text of `join`, which begins in line {line}, cannot be used")]
    Join {
        /// Where it begins.
        line: usize,
        /// Why.
        #[source]
        source: Box<JoinConfigError>,
    },
}

/// Parts of a join file that exclude each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Contradiction {
    /// Without discovery there is nobody to get certificates from.
    #[error("`discovery = \"given\"` needs the authorities' certificates, not pins")]
    GivenWithoutAuthorities,
    /// The cluster's description is signed with a bootstrap token.
    #[error("`discovery = \"cluster-info\"` needs a bootstrap token")]
    ClusterInfoWithoutToken,
    /// Unlike a bootstrap token, which signs without being shown, a bearer token is shown to the server.
    #[error(
        "`unsafe-skip-ca-verification` is not enough for KKP's values: their token would be shown to whoever answers"
    )]
    BearerWithoutTrust,
    /// The client speaks to proxies in plain text, at a port that is named.
    #[error("the proxy must be `http://HOST:PORT` where the control plane is reached through it")]
    Proxy,
    /// The secret is repeated where it would stay readable.
    #[error("the token stands in an endpoint or a setting as well, where it would stay readable on the machine")]
    SecretInTheOpen,
}

/// What is wrong at a place in a join file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// Not TOML.
    #[error("{0}")]
    Syntax(String),
    /// The format of another time.
    #[error("this is version {found} of the format, and this program reads version {VERSION}")]
    NewerVersion {
        /// What the file says.
        found: i64,
    },
    /// A key that means nothing.
    #[error("unknown key `{key}`")]
    UnknownKey {
        /// Its name, masked.
        key: String,
        /// The key that was probably meant.
        suggestion: Option<String>,
    },
    /// A value of another type.
    #[error("`{key}` must be {expected}")]
    Type {
        /// The key.
        key: String,
        /// What it must be.
        expected: &'static str,
    },
    /// A value that cannot be.
    #[error("`{key}`: {reason}")]
    Value {
        /// The key or flag.
        key: String,
        /// Why.
        reason: String,
        /// What to do.
        advice: &'static str,
    },
    /// Two keys that say the same thing.
    #[error("`{key}` and `{other}` cannot both be there")]
    Both {
        /// The one.
        key: String,
        /// The other.
        other: String,
    },
    /// A key that must be there.
    #[error("`{key}` is missing")]
    Missing {
        /// Which.
        key: String,
    },
}

const WRITE_FIRST_LINE: &str = "write `version = 1` as the first line";
const KUBEADM_TRUST_ADVICE: &str = "use the whole line that `kubeadm token create --print-join-command` prints: the pin is in \
                                    `--discovery-token-ca-cert-hash`";
const TRUST_ADVICE: &str = "write a TOML file with `version = 1`, `ca-pins = [\"sha256:…\"]` or `ca = \"\"\"…\"\"\"`, and the \
                            text of this one as `join = '''…'''`";

impl JoinConfigError {
    /// The line in the file, from 1, where the error has one. For the text of `join` it is the line there.
    pub fn line(&self) -> Option<usize> {
        self.spot().map(|spot| spot.line)
    }

    /// The column in characters, from 1, where the error has one.
    pub fn column(&self) -> Option<usize> {
        self.spot().map(|spot| spot.column)
    }

    /// The line with a caret below the place; what could be a secret is hidden.
    pub fn excerpt(&self) -> Option<&str> {
        self.spot().map(|spot| spot.excerpt.as_str())
    }

    fn spot(&self) -> Option<&Spot> {
        match self {
            Self::Text { spot, .. } => Some(spot),
            Self::Join { source, .. } => source.spot(),
            _ => None,
        }
    }

    /// What a person can do about it.
    pub fn advice(&self) -> String {
        match self {
            Self::TooLarge { .. } | Self::Unrecognised => {
                "a join file is TOML that begins with `version = 1`, a `kubeadm \
                                                           join …` line, a bootstrap kubeconfig or a k0s token"
                    .to_owned()
            }
            Self::NotText | Self::Utf16 => "save the file as UTF-8 text".to_owned(),
            Self::Empty => "write the join file again".to_owned(),
            Self::OnlyAToken => "use the whole line that `kubeadm token create --print-join-command` prints".to_owned(),
            Self::K3sToken => {
                "use a control plane whose tokens any kubelet can join with (kubeadm, KKP, Kamaji, k0s)".to_owned()
            }
            Self::Text { problem, .. } => problem.advice(),
            Self::NoVersion => WRITE_FIRST_LINE.to_owned(),
            Self::NoEndpoint => "add `endpoints = [\"https://HOST:6443\"]`".to_owned(),
            Self::NoTrust { form } if *form == kubeadm::FORM => KUBEADM_TRUST_ADVICE.to_owned(),
            Self::NoTrust { .. } => TRUST_ADVICE.to_owned(),
            Self::NoCredential { .. } => "make a token with `kubeadm token create` or `skerry token create`".to_owned(),
            Self::Contradiction(Contradiction::GivenWithoutAuthorities) => {
                "give `ca` instead of `ca-pins`, or leave `discovery` out".to_owned()
            }
            Self::Contradiction(Contradiction::BearerWithoutTrust) => {
                "give `ca-pins` or `ca` of the user cluster instead".to_owned()
            }
            Self::Contradiction(Contradiction::Proxy) => {
                "write it so, with its port, or leave `proxy-control-plane` out".to_owned()
            }
            Self::Contradiction(Contradiction::SecretInTheOpen) => {
                "let the token stand in `token` only, and make a new one".to_owned()
            }
            Self::Contradiction(Contradiction::ClusterInfoWithoutToken) => "leave `discovery` out".to_owned(),
            Self::KkpScript(_) => {
                "write a TOML file with `version = 1`, `ca-pins` and a table `[kkp]` with `server`, `token` and \
                                   `secret`"
                    .to_owned()
            }
            Self::Kubeconfig(error) => error.advice().to_owned(),
            Self::K0s(error) => error.advice().to_owned(),
            Self::Join { source, .. } => source.advice(),
        }
    }
}

impl Problem {
    fn advice(&self) -> String {
        match self {
            Self::Syntax(_) => "correct the marked place; texts stand in double quotes, lists in brackets".to_owned(),
            Self::NewerVersion { .. } => "boot a newer image, or write the file with an older `skerry`".to_owned(),
            Self::UnknownKey {
                suggestion: Some(key), ..
            } => format!("did you mean `{key}`?"),
            Self::UnknownKey { suggestion: None, .. } => "remove it".to_owned(),
            Self::Type { key, expected } => format!("make `{key}` {expected}"),
            Self::Value { advice, .. } => (*advice).to_owned(),
            Self::Both { other, .. } => format!("remove one of them; `{other}` says it already"),
            Self::Missing { key } => format!("add `{key}`"),
        }
    }
}
