//! What people hand to a machine that is to join: made by kubeadm, the way they make it.

use crate::control_plane::ControlPlane;
use crate::image::run_skerry;

/// A bootstrap token that lives for an hour.
#[derive(Clone)]
pub struct Token {
    /// The public half.
    pub id: String,
    /// The secret half: what must be nowhere on a disk after the join.
    pub secret: String,
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Token").field("id", &self.id).finish_non_exhaustive()
    }
}

impl Token {
    /// A new one.
    pub fn create(cluster: &ControlPlane) -> Self {
        let printed = cluster.kubeadm(&["token", "create", "--ttl=1h"]);
        Self::parse(printed.trim())
    }

    fn parse(text: &str) -> Self {
        let (id, secret) = text.split_once('.').expect("kubeadm prints `id.secret`");
        Self {
            id: id.to_owned(),
            secret: secret.to_owned(),
        }
    }

    /// Both halves, as it is written.
    pub fn text(&self) -> String {
        format!("{}.{}", self.id, self.secret)
    }
}

/// The line that `kubeadm token create --print-join-command` prints, with its token; for guests the API server is named
/// as they call it.
pub fn kubeadm_line(cluster: &ControlPlane) -> (String, Token) {
    let line = cluster.kubeadm(&["token", "create", "--ttl=1h", "--print-join-command"]);
    let here = format!("127.0.0.1:{}", cluster.port());
    let line = line.trim().replace(&here, cluster.endpoint());
    let mut words = line.split_whitespace().skip_while(|word| *word != "--token");
    let token = Token::parse(words.nth(1).expect("the line holds the token"));
    (line, token)
}

/// A bootstrap kubeconfig: where, whom to trust, and the token.
pub fn bootstrap_kubeconfig(cluster: &ControlPlane, token: &Token) -> String {
    let server = format!("--server=https://{}", cluster.endpoint());
    let authority = format!("--certificate-authority={}", cluster.authority_path().display());
    let credential = format!("--token={}", token.text());
    let path = cluster.folder().join(format!("bootstrap-{}.conf", token.id));
    let file = format!("--kubeconfig={}", path.display());
    for arguments in [
        ["set-cluster", "remote", &server, &authority, "--embed-certs"].as_slice(),
        &["set-credentials", "joiner", &credential],
        &["set-context", "join", "--cluster=remote", "--user=joiner"],
        &["use-context", "join"],
    ] {
        cluster.kubectl(&[&["config", &file], arguments].concat());
    }
    let text = std::fs::read_to_string(&path).expect("kubectl has written it");
    std::fs::remove_file(&path).expect("it can be removed where it was written");
    text
}

/// The join file that `skerry token create` writes for the control plane, with its token.
pub fn skerry(cluster: &ControlPlane) -> (String, Token) {
    let made = skerry_talking(cluster, &[]);
    (made.text, made.token)
}

/// What `skerry token create` makes.
#[derive(Debug)]
pub struct Made {
    /// The join file.
    pub text: String,
    /// Its token.
    pub token: Token,
    /// What it said of it.
    pub talk: String,
}

/// The same with `more` flags, and what was said.
pub fn skerry_talking(cluster: &ControlPlane, more: &[&str]) -> Made {
    let path = cluster.folder().join("join.toml");
    let words = [cluster.kubeconfig(), &path].map(|path| path.to_str().expect("UTF-8"));
    let create = [
        "token",
        "create",
        "--kubeconfig",
        words[0],
        "--ttl",
        "1h",
        "--out",
        words[1],
    ];
    let outcome = run_skerry(&[create.as_slice(), more].concat());
    let talk = String::from_utf8_lossy(&outcome.stderr).into_owned();
    assert!(outcome.status.success(), "skerry token create: {talk}");
    let text = std::fs::read_to_string(&path).expect("it was written");
    std::fs::remove_file(&path).expect("it can be removed where it was written");
    let line = text.lines().find_map(|line| line.trim().strip_prefix("token = "));
    let token = Token::parse(line.expect("the file holds a token").trim_matches('"'));
    Made { text, token, talk }
}
