//! Endpoints as they are written: `https://host:port/path`, `host:port` or `host`.

use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;

use super::Endpoint;

/// kubeadm's port, for a host without one.
const KUBERNETES_PORT: u16 = 6443;
/// The port of an `https` URL without one (RFC 9110 §4.2.2).
const HTTPS_PORT: u16 = 443;
/// RFC 1035 §2.3.4.
const NAME_LEN: usize = 253;
/// RFC 1035 §2.3.4.
const LABEL_LEN: usize = 63;

/// Why a text names no endpoint. Never repeats the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EndpointError {
    /// Plain text.
    #[error("plain `http` is refused: anybody on the way could read and change it")]
    PlainHttp,
    /// Another protocol.
    #[error("only `https` is spoken")]
    Scheme,
    /// `user@host`.
    #[error("it must not hold a user name or password")]
    UserInfo,
    /// `?…` or `#…`.
    #[error("it must not hold a query or fragment")]
    Query,
    /// The host is no name and no address.
    #[error("its host is neither a DNS name nor an IP address (an IPv6 address is written in brackets)")]
    Host,
    /// The port is not from 1 to 65535.
    #[error("its port is not a number from 1 to 65535")]
    Port,
    /// The path has parts that mean something else than they say.
    #[error("its path may hold only letters, digits and `-._~` between slashes")]
    Path,
}

impl FromStr for Endpoint {
    type Err = EndpointError;

    fn from_str(text: &str) -> Result<Self, EndpointError> {
        let text = text.trim();
        let (rest, default_port) = match text.split_once("://") {
            None => (text, KUBERNETES_PORT),
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("https") => (rest, HTTPS_PORT),
            Some((scheme, _)) if scheme.eq_ignore_ascii_case("http") => return Err(EndpointError::PlainHttp),
            Some(_) => return Err(EndpointError::Scheme),
        };
        let (authority, path) = match rest.find(['/', '?', '#']) {
            Some(at) => rest.split_at(at),
            None => (rest, ""),
        };
        if authority.contains('@') {
            return Err(EndpointError::UserInfo);
        }
        let (host, port) = split_port(authority)?;
        Ok(Self {
            host: canonical_host(host)?,
            port: match port {
                None => default_port,
                Some(port) => port_number(port)?,
            },
            path: canonical_path(path)?,
        })
    }
}

fn port_number(text: &str) -> Result<u16, EndpointError> {
    match text.parse() {
        Ok(port) if port > 0 && !text.starts_with('+') => Ok(port),
        _ => Err(EndpointError::Port),
    }
}

/// Host without brackets, and port.
fn split_port(authority: &str) -> Result<(&str, Option<&str>), EndpointError> {
    if let Some(rest) = authority.strip_prefix('[') {
        let (host, after) = rest.split_once(']').ok_or(EndpointError::Host)?;
        let _: Ipv6Addr = host.parse().map_err(|_| EndpointError::Host)?;
        return match after.strip_prefix(':') {
            Some(port) => Ok((host, Some(port))),
            None if after.is_empty() => Ok((host, None)),
            None => Err(EndpointError::Host),
        };
    }
    match authority.split_once(':') {
        None => Ok((authority, None)),
        Some((_, port)) if port.contains(':') => Err(EndpointError::Host),
        Some((host, port)) => Ok((host, Some(port))),
    }
}

/// A DNS name in lower case or an address in its shortest form.
pub(crate) fn canonical_host(host: &str) -> Result<String, EndpointError> {
    if let Ok(address) = host.parse::<IpAddr>() {
        return Ok(address.to_string());
    }
    let name = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    let fits = |label: &str| {
        (1..=LABEL_LEN).contains(&label.len())
            && label.bytes().all(plain)
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    // `10.0.0` and `300.1.1.1` are mistyped addresses, no names.
    let numeric = name
        .rsplit('.')
        .next()
        .is_some_and(|last| last.bytes().all(|byte| byte.is_ascii_digit()));
    match name.len() <= NAME_LEN && name.split('.').all(fits) && !numeric {
        true => Ok(name),
        false => Err(EndpointError::Host),
    }
}

fn canonical_path(path: &str) -> Result<String, EndpointError> {
    if path.contains(['?', '#']) {
        return Err(EndpointError::Query);
    }
    let trimmed = path.trim_end_matches('/');
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    let fits = |part: &str| !part.is_empty() && part != "." && part != ".." && part.bytes().all(plain);
    match trimmed.is_empty() || trimmed[1..].split('/').all(fits) {
        true => Ok(trimmed.to_owned()),
        false => Err(EndpointError::Path),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(text: &str) -> Result<String, EndpointError> {
        text.parse::<Endpoint>().map(|endpoint| endpoint.to_string())
    }

    #[test]
    fn the_ways_people_write_endpoints_mean_the_same() {
        for (text, expected) in [
            ("https://192.0.2.1:6443", "https://192.0.2.1:6443"),
            ("192.0.2.1:6443", "https://192.0.2.1:6443"),
            ("Edge.Example.COM", "https://edge.example.com:6443"),
            ("https://edge.example.com", "https://edge.example.com:443"),
            ("HTTPS://edge.example.com./", "https://edge.example.com:443"),
            ("[2001:DB8::1]:6443", "https://[2001:db8::1]:6443"),
            ("https://[2001:db8:0::1]", "https://[2001:db8::1]:443"),
            (
                "https://r.example/k8s/clusters/c-x/",
                "https://r.example:443/k8s/clusters/c-x",
            ),
            (" host_1:1 ", "https://host_1:1"),
        ] {
            assert_eq!(read(text).as_deref(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn what_is_no_endpoint_is_refused_with_its_reason() {
        for (text, expected) in [
            ("http://192.0.2.1:6443", EndpointError::PlainHttp),
            ("ftp://192.0.2.1", EndpointError::Scheme),
            ("https://me:pw@192.0.2.1", EndpointError::UserInfo),
            ("192.0.2.1:0", EndpointError::Port),
            ("192.0.2.1:65536", EndpointError::Port),
            ("192.0.2.1:+1", EndpointError::Port),
            ("192.0.2.1:", EndpointError::Port),
            ("", EndpointError::Host),
            ("https://", EndpointError::Host),
            ("10.0.0:6443", EndpointError::Host),
            ("300.1.1.1", EndpointError::Host),
            ("2001:db8::1", EndpointError::Host),
            ("[192.0.2.1]", EndpointError::Host),
            ("[::1]x", EndpointError::Host),
            ("[fe80::1%eth0]", EndpointError::Host),
            ("-a.example", EndpointError::Host),
            ("a..b", EndpointError::Host),
            ("mün.example", EndpointError::Host),
            ("a b", EndpointError::Host),
            ("https://a/../b", EndpointError::Path),
            ("https://a//b", EndpointError::Path),
            ("https://a/%2e", EndpointError::Path),
            ("https://a?x=1", EndpointError::Query),
            ("https://a/b#c", EndpointError::Query),
        ] {
            assert_eq!(read(text), Err(expected), "{text}");
        }
        assert_eq!(read(&format!("{}.example", "a".repeat(64))), Err(EndpointError::Host));
        assert_eq!(read(&"a.".repeat(130)), Err(EndpointError::Host));
    }

    proptest! {
        #[test]
        fn what_is_shown_reads_as_the_same_endpoint(text in "(https://)?[a-z0-9:.\\[\\]-]{0,20}(:[0-9]{1,5})?[a-z/.]{0,9}") {
            if let Ok(endpoint) = text.parse::<Endpoint>() {
                prop_assert_eq!(endpoint.to_string().parse::<Endpoint>(), Ok(endpoint.clone()));
                prop_assert!(!endpoint.path.ends_with('/'));
            }
        }
    }
}
