//! Registry mirrors, as containerd's `hosts.toml` files (containerd's docs/hosts.md).
//!
//! Without `server`, containerd asks the registry itself last, under the name that it really has (`docker.io` answers at
//! `registry-1.docker.io`).

use super::{PlanError, PlannedFile, Reader};
use crate::join_config::RegistryMirror;
use crate::join_config::node_name::is_subdomain;

/// Where containerd looks; `config_path` in its configuration.
pub const FOLDER: &str = "/etc/containerd/certs.d";

/// One file for each registry.
pub fn plan(registries: &[RegistryMirror]) -> Result<Vec<PlannedFile>, PlanError> {
    registries.iter().map(file).collect()
}

fn file(registry: &RegistryMirror) -> Result<PlannedFile, PlanError> {
    let folder = folder_name(&registry.host)?;
    let mut content = String::new();
    for mirror in &registry.mirrors {
        if !is_url(mirror) {
            let why = "is no URL such as https://mirror.example or http://192.0.2.1:5000/path";
            return Err(PlanError::new(
                format!("registries.{}.mirrors", registry.host),
                mirror,
                why,
            ));
        }
        content.push_str(&format!(
            "[host.\"{mirror}\"]\ncapabilities = [\"pull\", \"resolve\"]\n"
        ));
    }
    Ok(PlannedFile {
        path: format!("{FOLDER}/{folder}/hosts.toml").into(),
        mode: 0o644,
        content,
        reader: Reader::Always,
    })
}

/// The folder that containerd looks for first: `:5000` is written `_5000_` (containerd 2.3, `hostDirectory`).
fn folder_name(host: &str) -> Result<String, PlanError> {
    let (name, port) = match host.rsplit_once(':') {
        Some((name, port)) => (name, Some(port)),
        None => (host, None),
    };
    let name_fits = name == "_default" || is_subdomain(name);
    let port_fits = port.is_none_or(|port| port.parse::<u16>().is_ok_and(|number| number > 0));
    match (name_fits && port_fits, port) {
        (false, _) => Err(PlanError::new(
            "registries.host",
            host,
            "is no registry such as docker.io or host:5000",
        )),
        (true, Some(port)) => Ok(format!("{name}_{port}_")),
        (true, None) => Ok(name.to_owned()),
    }
}

/// Characters of a URL (RFC 3986 §2) that need no escape in a TOML string.
fn is_url(text: &str) -> bool {
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    rest.is_some_and(|rest| {
        let host_begins = rest.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '[');
        host_begins
            && rest
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || "-._~:/[]%@".contains(c))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mirror(host: &str, mirrors: &[&str]) -> Result<Vec<PlannedFile>, PlanError> {
        plan(&[RegistryMirror {
            host: host.to_owned(),
            mirrors: mirrors.iter().map(ToString::to_string).collect(),
        }])
    }

    #[test]
    fn mirrors_are_asked_in_their_order() {
        let files = mirror("docker.io", &["https://near.example", "http://10.0.0.1:5000/hub"]).unwrap();
        assert_eq!(
            files[0].path.to_str().unwrap(),
            "/etc/containerd/certs.d/docker.io/hosts.toml"
        );
        let read: toml::Table = files[0].content.parse().unwrap();
        let hosts: Vec<_> = read["host"].as_table().unwrap().keys().cloned().collect();
        assert_eq!(hosts.len(), 2);
        let places = ["near.example", "10.0.0.1"].map(|text| files[0].content.find(text).unwrap());
        assert!(places[0] < places[1]);
    }

    #[test]
    fn a_port_is_written_as_containerd_looks_for_it() {
        let files = mirror("registry.local:5000", &[]).unwrap();
        assert!(files[0].path.ends_with("registry.local_5000_/hosts.toml"));
    }

    #[test]
    fn a_host_cannot_leave_the_folder() {
        for host in ["", "..", "../../etc", "a/b", "a:0", "a:b", "UPPER", "a b", "_other"] {
            assert!(mirror(host, &[]).is_err(), "{host}");
        }
    }

    #[test]
    fn a_mirror_cannot_bring_other_keys() {
        for url in [
            "near.example",
            "https://",
            "https://a\"]\nskip_verify=true",
            "ftp://a",
            "https://a b",
        ] {
            assert!(mirror("docker.io", &[url]).is_err(), "{url}");
        }
    }
}
