//! The one way in which this program writes a join file.

use toml::{Table, Value};

use super::{AfterJoin, Credential, Discovery, JoinConfig, NodeSettings, Trust, VERSION};
use crate::control_plane::Cluster;
use crate::kubeconfig;
use crate::secret::Secret;

/// A configuration that no join file says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Inexpressible {
    /// A credential that stands only in forms with one endpoint.
    #[error("only a bootstrap token can be used with more or fewer than one endpoint")]
    Endpoints,
    /// Trust, discovery and credential that do not go together.
    #[error("this credential cannot be used with this kind of discovery")]
    Combination,
}

impl JoinConfig {
    /// The configuration as a join file, with its secret. [`parse_strict`](super::parse_strict) reads the same from it.
    pub fn to_toml(&self) -> Result<Secret, Inexpressible> {
        let mut text = format!("version = {VERSION}\n");
        let whole = match (&self.discovery, &self.credential) {
            (Discovery::KkpSecret { .. }, _) if self.trust != Trust::UnsafeTokenOnly => false,
            (Discovery::Given, Credential::Bearer(_) | Credential::ClientCertificate { .. }) => {
                text.push_str(&self.as_kubeconfig()?);
                true
            }
            (_, Credential::BootstrapToken(token)) => {
                let list: Vec<String> = self.endpoints.iter().map(ToString::to_string).collect();
                text.push_str(&format!("endpoints = {}\n", Value::from(list)));
                text.push_str(&line("token", token.whole().expose()));
                false
            }
            _ => return Err(Inexpressible::Combination),
        };
        if !whole {
            text.push_str(&self.trust());
            text.push_str(&self.optional("tls-server-name", self.tls_server_name.as_deref()));
        }
        if self.after_join == AfterJoin::Keep {
            text.push_str(&line("after-join", "keep"));
        }
        if let Discovery::KkpSecret { name } = &self.discovery {
            text.push_str(&self.kkp(name)?);
        }
        text.push_str(&settings(&self.settings));
        Ok(Secret::new(text))
    }

    fn optional(&self, key: &str, value: Option<&str>) -> String {
        value.map_or(String::new(), |value| line(key, value))
    }

    fn trust(&self) -> String {
        let discovery = match (&self.trust, &self.discovery) {
            (Trust::Authorities(_), Discovery::ClusterInfo) => line("discovery", "cluster-info"),
            _ => String::new(),
        };
        let trust = match &self.trust {
            Trust::Authorities(pem) => format!("ca = \"\"\"\n{pem}\"\"\"\n"),
            Trust::Pins(pins) => {
                let list: Vec<String> = pins.iter().map(ToString::to_string).collect();
                format!("ca-pins = {}\n", Value::from(list))
            }
            Trust::UnsafeTokenOnly => "unsafe-skip-ca-verification = true\n".to_owned(),
        };
        discovery + &trust
    }

    fn kkp(&self, name: &str) -> Result<String, Inexpressible> {
        let ([server], Credential::Bearer(token)) = (self.endpoints.as_slice(), &self.credential) else {
            return Err(Inexpressible::Combination);
        };
        let (server, token) = (line("server", &server.to_string()), line("token", token.expose()));
        Ok(format!("\n[kkp]\n{server}{token}{}", line("secret", name)))
    }

    /// As the text of the key `join`: TOML has no key for credentials of this kind.
    fn as_kubeconfig(&self) -> Result<String, Inexpressible> {
        let [server] = self.endpoints.as_slice() else {
            return Err(Inexpressible::Endpoints);
        };
        let Trust::Authorities(authorities) = &self.trust else {
            return Err(Inexpressible::Combination);
        };
        let cluster = Cluster {
            server: server.clone(),
            others: Vec::new(),
            authorities: authorities.clone(),
            tls_server_name: self.tls_server_name.clone(),
            credential: None,
        };
        let yaml = kubeconfig::with_credential(&cluster, &self.credential);
        Ok(format!("join = '''\n{}'''\n", yaml.expose()))
    }
}

fn line(key: &str, value: &str) -> String {
    format!("{key} = {}\n", Value::from(value))
}

/// The tables of what differs from the default.
fn settings(settings: &NodeSettings) -> String {
    let mut all = table(settings);
    let default = table(&NodeSettings::default());
    let mut node = Table::new();
    for key in ["name", "labels", "taints"] {
        if let Some(value) = all.remove(key) {
            node.insert(key.to_owned(), value);
        }
    }
    let mut top = Table::new();
    top.insert("node".to_owned(), differing(node, &default));
    for key in ["kubelet", "network", "relay"] {
        if let (Some(Value::Table(part)), Some(Value::Table(usual))) = (all.remove(key), default.get(key)) {
            top.insert(key.to_owned(), differing(part, usual));
        }
    }
    // Without a default to differ from.
    for key in ["wifi", "registries"] {
        if let Some(value) = all.remove(key) {
            top.insert(key.to_owned(), value);
        }
    }
    top.retain(|_, value| match value {
        Value::Table(part) => !part.is_empty(),
        Value::Array(list) => !list.is_empty(),
        _ => true,
    });
    match top.is_empty() {
        true => String::new(),
        false => format!("\n{top}"),
    }
}

fn differing(part: Table, usual: &Table) -> Value {
    Value::Table(
        part.into_iter()
            .filter(|(key, value)| usual.get(key) != Some(value))
            .collect(),
    )
}

fn table(settings: &NodeSettings) -> Table {
    // Numbers beyond a TOML integer are the only thing that could fail, and `quantity` lets none through.
    Table::try_from(settings).unwrap_or_default()
}
