//! Values of the network settings: proxies, mirrors, names of interfaces and hosts. They end up in configuration files of
//! other programs, so nothing passes that could be more than one value there.

use std::net::IpAddr;

use super::endpoint::canonical_host;
use super::node_name::is_subdomain;

/// Longest text for an interface: a pattern or a hardware address.
const INTERFACE_LEN: usize = 64;
/// Longest URL.
const URL_LEN: usize = 512;

/// Why a value of the network settings is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NetworkError {
    /// Neither `http://` nor `https://`.
    #[error("it must begin with `http://` or `https://`")]
    Scheme,
    /// `user:password@host`.
    #[error("it must not hold a user name or password: these settings stay readable on the machine")]
    UserInfo,
    /// Host or port.
    #[error("what follows `://` must be a host and a port, such as `proxy.example:3128`")]
    Authority,
    /// Something behind the port.
    #[error("nothing may follow the port")]
    Trailing,
    /// Something in a path that a URL cannot hold.
    #[error("its path may hold only letters, digits and `-._~/`")]
    Path,
    /// No interface.
    #[error("an interface is a name, a pattern such as `en*`, or a hardware address")]
    Interface,
    /// No host.
    #[error("it is neither a DNS name nor an IP address")]
    Host,
    /// No domain.
    #[error("it is no DNS name of letters, digits and `-` between dots")]
    Domain,
    /// No time server.
    #[error("it is neither an IP address nor a DNS name of letters, digits and `-` between dots")]
    Server,
    /// No registry.
    #[error(
        "it is no registry: a DNS name of letters, digits and `-` between dots, or an IPv4 address, in lower case, and \
         perhaps a port"
    )]
    Registry,
    /// No room for pods.
    #[error("it is too small: a gateway and one pod need a prefix of at most 30, or 126 for IPv6")]
    TooSmall,
    /// No address with a prefix length.
    #[error("it is no address with the length of its network's prefix")]
    Address,
    /// No network, domain or host.
    #[error("it is neither a host, a domain (`.example.com`), a network (`10.0.0.0/8`) nor `*`")]
    Direct,
}

/// `http(s)://host[:port]` for everything that goes through a proxy.
pub(crate) fn proxy(text: &str) -> Result<String, NetworkError> {
    let (scheme, authority, rest) = split_url(text)?;
    match rest {
        "" | "/" => Ok(format!("{scheme}://{authority}")),
        _ => Err(NetworkError::Trailing),
    }
}

/// Whether the control plane can be reached through a proxy that [`proxy`] has passed: the client asks it in plain text,
/// at a port that is named.
pub(super) fn leads_to_control_plane(proxy: &str) -> bool {
    let authority = proxy.strip_prefix("http://").unwrap_or_default();
    authority
        .rsplit_once(':')
        .is_some_and(|(_, port)| port.parse::<u16>().is_ok())
}

/// `http(s)://host[:port][/path]`, where images are taken from.
pub(super) fn mirror(text: &str) -> Result<String, NetworkError> {
    let (scheme, authority, path) = split_url(text)?;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte);
    match path.bytes().all(plain) {
        true => Ok(format!("{scheme}://{authority}{path}")),
        false => Err(NetworkError::Path),
    }
}

fn split_url(text: &str) -> Result<(&str, &str, &str), NetworkError> {
    let (scheme, rest) = text.split_once("://").ok_or(NetworkError::Scheme)?;
    if !matches!(scheme, "http" | "https") {
        return Err(NetworkError::Scheme);
    }
    let (authority, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    if authority.contains('@') {
        return Err(NetworkError::UserInfo);
    }
    match is_authority(authority) && !authority.starts_with('_') && text.len() <= URL_LEN {
        true => Ok((scheme, authority, path)),
        false => Err(NetworkError::Authority),
    }
}

/// `host`, `host:port` or `[address]:port`.
pub(super) fn is_authority(text: &str) -> bool {
    // An endpoint is the same with a path, which there is none of here, and with white space around it.
    !text.contains(['/', '?', '#', ' ', '\t']) && text.parse::<super::Endpoint>().is_ok()
}

/// The host of a registry as image references name it; it becomes the name of a folder.
pub(super) fn registry(text: &str) -> Result<String, NetworkError> {
    let name = text.rsplit_once(':').map_or(text, |(name, _)| name);
    // containerd's name for all that have no folder of their own.
    let fits = name == "_default" || is_subdomain(name);
    match fits && is_authority(text) {
        true => Ok(text.to_owned()),
        false => Err(NetworkError::Registry),
    }
}

/// A name, a pattern or a hardware address, as systemd.network(5) matches them.
pub(crate) fn interface(text: &str) -> Result<String, NetworkError> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.*?[]".contains(&byte);
    let is_pattern = (1..=INTERFACE_LEN).contains(&text.len()) && text.bytes().all(plain);
    match is_pattern || is_hardware_address(text) {
        true => Ok(text.to_owned()),
        false => Err(NetworkError::Interface),
    }
}

/// Six pairs of hex digits between colons or dashes.
pub(crate) fn is_hardware_address(text: &str) -> bool {
    let separator = if text.contains('-') { '-' } else { ':' };
    let is_pair = |pair: &str| pair.len() == 2 && pair.bytes().all(|byte| byte.is_ascii_hexdigit());
    text.split(separator).count() == 6 && text.split(separator).all(is_pair)
}

pub(crate) fn host(text: &str) -> Result<String, NetworkError> {
    canonical_host(text).map_err(|_| NetworkError::Host)
}

/// A DNS name that other programs' files can hold: of a network, of a cluster.
pub(super) fn domain(text: &str) -> Result<String, NetworkError> {
    let name = host(text).map_err(|_| NetworkError::Domain)?;
    match is_subdomain(&name) && name.parse::<IpAddr>().is_err() {
        true => Ok(name),
        false => Err(NetworkError::Domain),
    }
}

/// The same, or an address: a time server.
pub(super) fn server(text: &str) -> Result<String, NetworkError> {
    match text.parse::<IpAddr>() {
        Ok(address) => Ok(address.to_string()),
        Err(_) => domain(text).map_err(|_| NetworkError::Server),
    }
}

/// A network that a bridge and its pods find room in (the CNI plugin `host-local`).
pub(super) fn pod_range(text: &str) -> Result<super::Address, NetworkError> {
    let range = address(text)?;
    let bits = if range.address.is_ipv4() { 32 } else { 128 };
    match range.prefix + 2 <= bits {
        true => Ok(range),
        false => Err(NetworkError::TooSmall),
    }
}

pub(super) fn address(text: &str) -> Result<super::Address, NetworkError> {
    super::Address::try_from(text.to_owned()).map_err(|_| NetworkError::Address)
}

/// What is reached without the proxy.
pub(super) fn direct(text: &str) -> Result<String, NetworkError> {
    let network = || address(text).is_ok();
    let domain = || canonical_host(text.trim_start_matches("*.").trim_start_matches('.')).is_ok();
    match text == "*" || network() || domain() || is_authority(text) {
        true => Ok(text.to_owned()),
        false => Err(NetworkError::Direct),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proxy_is_scheme_host_and_port() {
        for text in [
            "http://proxy.example:3128",
            "https://192.0.2.1:8080",
            "http://[2001:db8::1]:3128",
            "http://proxy",
        ] {
            assert_eq!(proxy(text).as_deref(), Ok(text));
        }
        assert_eq!(proxy("http://proxy:3128/").as_deref(), Ok("http://proxy:3128"));
        for (text, expected) in [
            ("proxy:3128", NetworkError::Scheme),
            ("socks5://proxy", NetworkError::Scheme),
            ("http://me:pw@proxy", NetworkError::UserInfo),
            ("http://", NetworkError::Authority),
            ("http://a b", NetworkError::Authority),
            ("http:// a", NetworkError::Authority),
            ("http://proxy:x", NetworkError::Authority),
            ("http://proxy\nHTTPS_PROXY=x", NetworkError::Authority),
            ("http://proxy:1/path", NetworkError::Trailing),
            ("http://proxy:1?x", NetworkError::Trailing),
        ] {
            assert_eq!(proxy(text), Err(expected), "{text}");
        }
    }

    #[test]
    fn a_mirror_may_have_a_path_and_nothing_else() {
        let text = "http://192.0.2.1:5000/v2/mirror";
        assert_eq!(mirror(text).as_deref(), Ok(text));
        assert_eq!(mirror("https://a/b?c"), Err(NetworkError::Path));
        assert_eq!(mirror("https://a/b\"c"), Err(NetworkError::Path));
        for text in ["docker.io", "registry.example:5000", "192.0.2.1:5000", "_default"] {
            assert_eq!(registry(text).as_deref(), Ok(text));
        }
        for text in ["..", "", "a/b", "https://a", "Docker.io", "a?b", "a:0", " a", "a_b"] {
            assert_eq!(registry(text), Err(NetworkError::Registry), "{text}");
        }
    }

    #[test]
    fn no_value_can_hold_a_second_one() {
        for text in ["", "eth0\nDHCP=yes", "eth0 eth1", "!eth0", "eth0:1", &"e".repeat(65)] {
            assert_eq!(interface(text), Err(NetworkError::Interface), "{text:?}");
        }
        for text in ["en*", "eth0.7", "52:54:00:12:34:56"] {
            assert_eq!(interface(text).as_deref(), Ok(text));
        }
        for text in [
            "10.0.0.0/8",
            ".example.com",
            "*.example.com",
            "example.com",
            "a:8080",
            "*",
            "2001:db8::/32",
        ] {
            assert_eq!(direct(text).as_deref(), Ok(text));
        }
        for text in ["a,b", "10.0.0.0/64", "", "a b", "a\"b"] {
            assert_eq!(direct(text), Err(NetworkError::Direct), "{text:?}");
        }
    }
}
