//! The proxy, as the environment variables that Go programs read.
//!
//! kubelet talks to the control plane and nobody else, so it is told of the proxy only if the control plane is reached
//! through it; containerd pulls images and is told always. With certificate rotation kubelet obeys nothing but its
//! environment (a kubeconfig's `proxy-url` is ignored).

use super::{PlanError, is_word};
use crate::join_config::NetworkSettings;

/// Never reached through a proxy: the machine itself and the cluster's Services.
const ALWAYS_DIRECT: [&str; 5] = ["localhost", "127.0.0.0/8", "::1", ".svc", ".cluster.local"];

/// Lines of an environment file; empty without a proxy.
pub fn environment(network: &NetworkSettings) -> Result<String, PlanError> {
    let Some(proxy) = &network.proxy else {
        return Ok(String::new());
    };
    if !is_word(proxy) || !["http://", "https://"].iter().any(|scheme| proxy.starts_with(scheme)) {
        return Err(PlanError::new(
            "network.proxy",
            proxy,
            "is no URL such as http://proxy.example:3128",
        ));
    }
    if let Some(bad) = network
        .no_proxy
        .iter()
        .find(|host| !is_word(host) || host.contains(','))
    {
        return Err(PlanError::new("network.no-proxy", bad, "is no host, domain or network"));
    }
    let direct: Vec<&str> = ALWAYS_DIRECT
        .into_iter()
        .chain(network.no_proxy.iter().map(String::as_str))
        .collect();
    let direct = direct.join(",");
    Ok(format!(
        "HTTP_PROXY=\"{proxy}\"\nHTTPS_PROXY=\"{proxy}\"\nNO_PROXY=\"{direct}\"\n"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(proxy: &str, no_proxy: &[&str]) -> NetworkSettings {
        NetworkSettings {
            proxy: Some(proxy.to_owned()),
            no_proxy: no_proxy.iter().map(ToString::to_string).collect(),
            ..NetworkSettings::default()
        }
    }

    #[test]
    fn the_proxy_and_what_goes_around_it_become_variables() {
        let text = environment(&settings(
            "http://user:p%40ss@proxy:3128",
            &["10.0.0.0/8", ".example.com"],
        ))
        .unwrap();
        assert_eq!(
            text,
            "HTTP_PROXY=\"http://user:p%40ss@proxy:3128\"\nHTTPS_PROXY=\"http://user:p%40ss@proxy:3128\"\n\
             NO_PROXY=\"localhost,127.0.0.0/8,::1,.svc,.cluster.local,10.0.0.0/8,.example.com\"\n"
        );
        assert_eq!(environment(&NetworkSettings::default()).unwrap(), "");
    }

    #[test]
    fn a_proxy_cannot_bring_another_variable() {
        for bad in [
            "proxy:3128",
            "http://p\nLD_PRELOAD=/x",
            "http://p\" X=\"",
            "socks5://p",
            "http://a b",
        ] {
            assert!(environment(&settings(bad, &[])).is_err(), "{bad:?}");
        }
        assert!(environment(&settings("http://p", &["a\nb"])).is_err());
    }
}
