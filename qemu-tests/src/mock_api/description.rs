//! What a cluster says about itself: the kubeconfig in `cluster-info`, right and wrong.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::jws::Forgery;

/// What is wrong with `cluster-info`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Description {
    /// There is no such ConfigMap.
    Missing,
    /// The signer has not been there yet.
    NoSignature,
    /// There is no key `kubeconfig`.
    NoKubeconfig,
    /// A signature that does not fit.
    Signature(Forgery),
    /// Another kubeconfig than the one that is signed.
    Tampered,
    /// A kubeconfig with something in it, properly signed: what the holder of any token can do.
    Kubeconfig(Kubeconfig),
    /// One more key with so many bytes.
    Padding(usize),
}

/// What is in a kubeconfig.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kubeconfig {
    /// A cluster without a name, as kubeadm and KKP write it.
    Unnamed,
    /// Two named clusters and a context that names the right one.
    WithContext,
    /// A context that names no cluster.
    WrongContext,
    /// Two named clusters and no context.
    NoContext,
    /// The other authority's certificate.
    OtherAuthority,
    /// The certificates of both authorities, the genuine one last.
    TwoAuthorities,
    /// `certificate-authority` with a path.
    AuthorityFile,
    /// No certificate.
    NoAuthority,
    /// Base64 of something that is no certificate.
    AuthorityNotPem,
    /// `insecure-skip-tls-verify: true`.
    Insecure,
    /// `server: http://…`.
    PlainServer,
    /// Another server, with its URL.
    OtherServer(String),
    /// `tls-server-name`.
    TlsServerName(String),
    /// `proxy-url`.
    Proxy,
    /// A user whose credential is made by a program.
    ExecPlugin,
    /// No clusters at all.
    NoClusters,
    /// Aliases that grow to gigabytes.
    Bomb,
    /// Ten thousand nested lists.
    Deep,
    /// A megabyte and more.
    Huge,
    /// Text that is not YAML.
    NotYaml,
}

/// What a description is made of.
#[derive(Debug, Clone)]
pub struct Facts<'a> {
    /// URL of the API server.
    pub server: &'a str,
    /// Certificate of the authority, PEM.
    pub authority: &'a str,
    /// Certificate of the second authority.
    pub second: &'a str,
    /// Certificate of an authority that has nothing to do with the cluster.
    pub other: &'a str,
}

impl Facts<'_> {
    /// The text of `kind`.
    pub fn kubeconfig(&self, kind: &Kubeconfig) -> String {
        let (server, genuine) = (self.server, STANDARD.encode(self.authority));
        let usual = format!("certificate-authority-data: {genuine}\n    server: {server}");
        let cluster = |fields: &str| file(&[("", fields)], "");
        match kind {
            Kubeconfig::Unnamed => cluster(&usual),
            Kubeconfig::WithContext => file(&self.two_clusters(&usual), context("right")),
            Kubeconfig::WrongContext => file(&self.two_clusters(&usual), context("nowhere")),
            Kubeconfig::NoContext => file(&self.two_clusters(&usual), ""),
            Kubeconfig::OtherAuthority => cluster(&self.signed_by(self.other)),
            Kubeconfig::TwoAuthorities => cluster(&self.signed_by(&format!("{}{}", self.second, self.authority))),
            Kubeconfig::AuthorityFile => {
                cluster(&format!("certificate-authority: /etc/ssl/ca.pem\n    server: {server}"))
            }
            Kubeconfig::NoAuthority => cluster(&format!("server: {server}")),
            Kubeconfig::AuthorityNotPem => cluster(&self.signed_by("not a certificate")),
            Kubeconfig::Insecure => cluster(&format!("insecure-skip-tls-verify: true\n    server: {server}")),
            Kubeconfig::PlainServer => cluster(&usual.replace("server: https", "server: http")),
            Kubeconfig::OtherServer(url) => cluster(&usual.replace(server, url)),
            Kubeconfig::TlsServerName(name) => cluster(&format!("{usual}\n    tls-server-name: {name}")),
            Kubeconfig::Proxy => cluster(&format!("{usual}\n    proxy-url: http://127.0.0.1:9")),
            Kubeconfig::ExecPlugin => cluster(&usual).replace("users: null\n", EXEC_USER),
            Kubeconfig::NoClusters => file(&[], ""),
            Kubeconfig::Bomb => format!("{}{}", bomb(), cluster(&usual)),
            Kubeconfig::Deep => format!("deep: {}\n{}", "[".repeat(10_000), cluster(&usual)),
            Kubeconfig::Huge => format!("{}# {}\n", cluster(&usual), "x".repeat(1 << 20)),
            Kubeconfig::NotYaml => "\t{ <html>".to_owned(),
        }
    }

    fn signed_by(&self, authority: &str) -> String {
        let encoded = STANDARD.encode(authority);
        format!("certificate-authority-data: {encoded}\n    server: {}", self.server)
    }

    fn two_clusters<'a>(&self, usual: &'a str) -> [(&'static str, &'a str); 2] {
        [("wrong", "server: https://192.0.2.1:6443"), ("right", usual)]
    }
}

const EXEC_USER: &str = "users:
- name: someone
  user:
    exec:
      apiVersion: client.authentication.k8s.io/v1
      command: /bin/sh
";

fn context(cluster: &str) -> &'static str {
    match cluster {
        "right" => "contexts:\n- context:\n    cluster: right\n    user: \"\"\n  name: there\ncurrent-context: there\n",
        _ => "contexts:\n- context:\n    cluster: nowhere\n    user: \"\"\n  name: there\ncurrent-context: there\n",
    }
}

fn file(clusters: &[(&str, &str)], contexts: &str) -> String {
    let mut text = String::from("apiVersion: v1\n");
    text.push_str(if clusters.is_empty() {
        "clusters: null\n"
    } else {
        "clusters:\n"
    });
    for (name, fields) in clusters {
        text.push_str(&format!("- cluster:\n    {fields}\n  name: \"{name}\"\n"));
    }
    match contexts {
        "" => text.push_str("contexts: null\ncurrent-context: \"\"\n"),
        contexts => text.push_str(contexts),
    }
    text.push_str("kind: Config\npreferences: {}\nusers: null\n");
    text
}

/// Nine times each line before: ten lines are three thousand million words.
fn bomb() -> String {
    let mut text = String::from("a0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol]\n");
    for line in 1..10 {
        let aliases = vec![format!("*a{}", line - 1); 9].join(", ");
        text.push_str(&format!("a{line}: &a{line} [{aliases}]\n"));
    }
    text
}
