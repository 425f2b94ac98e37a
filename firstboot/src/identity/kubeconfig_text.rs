//! kubelet's kubeconfig.
//!
//! It is made from [`KnownCluster`] alone, so that it can be made again at any time. The certificate is named by the link
//! that kubelet moves when it rotates it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::cluster::KnownCluster;
use super::paths::CURRENT;
use crate::join_config::Endpoint;

const SERVER: &str = "    server: ";
const AUTHORITIES: &str = "    certificate-authority-data: ";
const TLS_SERVER_NAME: &str = "    tls-server-name: ";

/// The kubeconfig of a node of `cluster`.
pub(super) fn to_text(cluster: &KnownCluster) -> String {
    let server = quoted(&cluster.server.to_string());
    let authorities = STANDARD.encode(&cluster.authorities);
    let tls_server_name = match &cluster.tls_server_name {
        Some(name) => format!("{TLS_SERVER_NAME}{}\n", quoted(name)),
        None => String::new(),
    };
    format!(
        "apiVersion: v1\nkind: Config\nclusters:\n- name: skerry\n  cluster:\n\
         {SERVER}{server}\n{AUTHORITIES}{authorities}\n{tls_server_name}\
         contexts:\n- name: skerry\n  context:\n    cluster: skerry\n    user: node\n\
         current-context: skerry\n\
         users:\n- name: node\n  user:\n    client-certificate: {CURRENT}\n    client-key: {CURRENT}\n"
    )
}

/// The cluster in a text that [`to_text`] wrote; none if it is not exactly such a text.
pub(super) fn read_back(text: &str) -> Option<KnownCluster> {
    let value = |key: &str| text.lines().find_map(|line| line.strip_prefix(key));
    let authorities = STANDARD.decode(value(AUTHORITIES)?).ok()?;
    let cluster = KnownCluster {
        tls_server_name: match value(TLS_SERVER_NAME) {
            Some(name) => Some(unquoted(name)?.to_owned()),
            None => None,
        },
        authorities: String::from_utf8(authorities).ok()?,
        server: endpoint(unquoted(value(SERVER)?)?)?,
    };
    (to_text(&cluster) == text).then_some(cluster)
}

/// A double-quoted scalar (YAML 1.2 §7.3.1).
fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for character in text.chars() {
        match character {
            '"' | '\\' => quoted.extend(['\\', character]),
            ' '..='~' => quoted.push(character),
            other => quoted.push_str(&format!("\\U{:08x}", u32::from(other))),
        }
    }
    quoted.push('"');
    quoted
}

/// What is between the quotes; none if anything in it is escaped.
fn unquoted(text: &str) -> Option<&str> {
    let inner = text.strip_prefix('"')?.strip_suffix('"')?;
    (!inner.contains('\\')).then_some(inner)
}

/// Reads what [`Endpoint`]'s `Display` writes.
fn endpoint(url: &str) -> Option<Endpoint> {
    let rest = url.strip_prefix("https://")?;
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let (host, port) = authority.rsplit_once(':')?;
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    Some(Endpoint {
        host: bare.unwrap_or(host).to_owned(),
        port: port.parse().ok()?,
        path: path.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde::Deserialize;

    use super::*;

    const GOLDEN: &str = "\
apiVersion: v1
kind: Config
clusters:
- name: skerry
  cluster:
    server: \"https://[2001:db8::1]:6443/k8s/clusters/c-x\"
    certificate-authority-data: LS0tLS1CRUdJTgo=
    tls-server-name: \"api.example.org\"
contexts:
- name: skerry
  context:
    cluster: skerry
    user: node
current-context: skerry
users:
- name: node
  user:
    client-certificate: /var/lib/kubelet/pki/kubelet-client-current.pem
    client-key: /var/lib/kubelet/pki/kubelet-client-current.pem
";

    fn cluster() -> KnownCluster {
        KnownCluster {
            tls_server_name: Some("api.example.org".into()),
            authorities: "-----BEGIN\n".into(),
            server: Endpoint {
                host: "2001:db8::1".into(),
                port: 6443,
                path: "/k8s/clusters/c-x".into(),
            },
        }
    }

    #[test]
    fn the_text_is_the_golden_one_and_is_read_back() {
        assert_eq!(to_text(&cluster()), GOLDEN);
        assert_eq!(read_back(GOLDEN), Some(cluster()));
        let plain = KnownCluster {
            tls_server_name: None,
            ..cluster()
        };
        assert!(!to_text(&plain).contains("tls-server-name"));
        assert_eq!(read_back(&to_text(&plain)), Some(plain));
    }

    #[test]
    fn a_text_that_was_cut_or_edited_is_not_read_back() {
        for len in 0..GOLDEN.len() {
            assert_eq!(read_back(&GOLDEN[..len]), None, "{len}");
        }
        assert_eq!(read_back(&GOLDEN.replace("user: node", "user: admin")), None);
    }

    #[derive(Deserialize)]
    struct Config {
        clusters: Vec<Named>,
    }

    #[derive(Deserialize)]
    struct Named {
        cluster: Server,
    }

    #[derive(Deserialize)]
    #[serde(rename_all = "kebab-case")]
    struct Server {
        server: String,
        tls_server_name: String,
    }

    proptest! {
        #[test]
        fn a_yaml_reader_finds_the_same_server_and_name_whatever_they_hold(host in "\\PC{0,20}", name in any::<String>()) {
            let mut cluster = cluster();
            cluster.server.host = host;
            cluster.tls_server_name = Some(name.clone());
            let found: Config = serde_saphyr::from_str(&to_text(&cluster)).unwrap();
            prop_assert_eq!(&found.clusters[0].cluster.server, &cluster.server.to_string());
            prop_assert_eq!(&found.clusters[0].cluster.tls_server_name, &name);
        }

        #[test]
        fn hostile_text_is_no_kubeconfig_and_no_panic(text in any::<String>(), at in 0..GOLDEN.len()) {
            prop_assert_eq!(read_back(&text), None);
            let mut spliced = GOLDEN.to_owned();
            spliced.insert_str(at, &text);
            prop_assert!(text.is_empty() || read_back(&spliced) != Some(cluster()));
        }
    }
}
