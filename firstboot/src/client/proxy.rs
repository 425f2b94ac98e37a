//! The way through an HTTP proxy (RFC 9110 §9.3.6, CONNECT), where the join file says so. Proxies of the environment are
//! ignored: the program's environment is its service's, and kubelet gets the same settings as these.

use std::net::IpAddr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

use super::failure::Failure;
use crate::join_config::{Address, Endpoint, NetworkSettings};
use crate::secret::Secret;

/// The longest answer of a proxy that is read, in bytes.
const MAX_ANSWER_BYTES: usize = 8 << 10;

/// A proxy and who is reached without it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Proxy {
    /// Its host; an IPv6 address without brackets.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// `user:password`.
    login: Option<Secret>,
    direct: Vec<String>,
}

/// The proxy's URL is not one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the join file's `proxy` is not `http://HOST:PORT`")]
pub struct ProxyError;

impl Proxy {
    /// The proxy that the control plane is reached through, if the settings want one for it.
    pub fn of(network: &NetworkSettings) -> Result<Option<Self>, ProxyError> {
        let url = network.proxy.as_deref().filter(|_| network.proxy_control_plane);
        let Some(url) = url else {
            return Ok(None);
        };
        let rest = url.strip_prefix("http://").ok_or(ProxyError)?.trim_end_matches('/');
        let (login, authority) = match rest.rsplit_once('@') {
            Some((login, authority)) => (Some(Secret::new(login)), authority),
            None => (None, rest),
        };
        let (host, port) = authority.rsplit_once(':').ok_or(ProxyError)?;
        let host = match host.strip_prefix('[') {
            Some(host) => host.strip_suffix(']').ok_or(ProxyError)?,
            None => host,
        };
        let valid = |byte: u8| byte.is_ascii_alphanumeric() || b"-._:".contains(&byte);
        match port.parse() {
            Ok(port) if port != 0 && !host.is_empty() && host.bytes().all(valid) => Ok(Some(Self {
                host: host.to_owned(),
                port,
                login,
                direct: network.no_proxy.clone(),
            })),
            _ => Err(ProxyError),
        }
    }

    /// Whether `host` is reached through the proxy, by the rules that kubelet follows for `NO_PROXY`: `*`, an address, a
    /// network, a domain with all below it, or `.domain` (`*.domain`) for all below it only.
    pub fn serves(&self, host: &str) -> bool {
        let address: Option<IpAddr> = host.parse().ok();
        !self.direct.iter().any(|rule| exempts(rule, host, address))
    }

    /// Asks the proxy at the other end of `stream` to connect to `endpoint`.
    pub async fn connect<S>(&self, stream: &mut S, endpoint: &Endpoint) -> Result<(), Failure>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let lost = |error: std::io::Error| Failure::Proxy(format!("it closed the connection: {}", error.kind()));
        stream
            .write_all(self.request(endpoint).expose().as_bytes())
            .await
            .map_err(lost)?;
        let mut answer = Vec::new();
        // Byte by byte: what comes after the empty line is not the proxy's.
        while !answer.ends_with(b"\r\n\r\n") {
            if answer.len() == MAX_ANSWER_BYTES {
                return Err(Failure::Proxy("its answer has no end".to_owned()));
            }
            answer.push(stream.read_u8().await.map_err(lost)?);
        }
        let text = String::from_utf8_lossy(&answer);
        let line = text.lines().next().unwrap_or_default();
        let status = line.strip_prefix("HTTP/1.").and_then(|rest| rest.split(' ').nth(1));
        match status {
            Some(status) if status.len() == 3 && status.starts_with('2') => Ok(()),
            Some("407") => Err(Failure::Proxy("it wants another user name or password".to_owned())),
            _ => Err(Failure::Proxy(format!("it answers `{line}`"))),
        }
    }

    fn request(&self, endpoint: &Endpoint) -> Secret {
        let authority = authority(endpoint);
        let login = self.login.as_ref().map(|login| {
            let login = STANDARD.encode(login.expose());
            format!("Proxy-Authorization: Basic {login}\r\n")
        });
        let login = login.unwrap_or_default();
        Secret::new(format!(
            "CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n{login}\r\n"
        ))
    }
}

/// `HOST:PORT`, with brackets where they are needed.
pub(crate) fn authority(endpoint: &Endpoint) -> String {
    let Endpoint { host, port, .. } = endpoint;
    match host.contains(':') {
        true => format!("[{host}]:{port}"),
        false => format!("{host}:{port}"),
    }
}

fn exempts(rule: &str, host: &str, address: Option<IpAddr>) -> bool {
    let rule = rule.trim().to_ascii_lowercase();
    let host = host.to_ascii_lowercase();
    if rule == "*" {
        return true;
    }
    if let Some(address) = address {
        let within = Address::try_from(rule.clone()).is_ok_and(|network| contains(&network, address));
        return within || rule.parse() == Ok(address);
    }
    let below = |domain: &str| host.strip_suffix(domain).is_some_and(|rest| rest.ends_with('.'));
    match rule.strip_prefix("*.").or_else(|| rule.strip_prefix('.')) {
        Some(domain) => !domain.is_empty() && below(domain),
        None => !rule.is_empty() && (host == rule || below(&rule)),
    }
}

fn contains(network: &Address, address: IpAddr) -> bool {
    let (network_bits, bits, width) = match (network.address, address) {
        (IpAddr::V4(network), IpAddr::V4(address)) => (u128::from(network.to_bits()), address.to_bits().into(), 32),
        (IpAddr::V6(network), IpAddr::V6(address)) => (network.to_bits(), address.to_bits(), 128),
        _ => return false,
    };
    let ignored = u32::from(width - network.prefix);
    (network_bits ^ bits).checked_shr(ignored).unwrap_or(0) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proxy(url: &str, direct: &[&str]) -> Result<Option<Proxy>, ProxyError> {
        Proxy::of(&NetworkSettings {
            proxy: Some(url.to_owned()),
            no_proxy: direct.iter().map(|rule| (*rule).to_owned()).collect(),
            proxy_control_plane: true,
            ..NetworkSettings::default()
        })
    }

    fn endpoint() -> Endpoint {
        Endpoint {
            host: "2001:db8::1".to_owned(),
            port: 6443,
            path: String::new(),
        }
    }

    #[test]
    fn the_control_plane_is_reached_directly_unless_the_settings_say_otherwise() {
        let network = NetworkSettings {
            proxy: Some("http://proxy:3128".to_owned()),
            ..NetworkSettings::default()
        };
        assert_eq!(Proxy::of(&network), Ok(None));
        assert_eq!(Proxy::of(&NetworkSettings::default()), Ok(None));
    }

    #[test]
    fn a_proxy_has_a_host_a_port_and_perhaps_a_login() {
        let proxy = |url| proxy(url, &[]).unwrap().unwrap();
        let plain = proxy("http://proxy.example.com:3128/");
        assert_eq!((plain.host.as_str(), plain.port), ("proxy.example.com", 3128));
        let full = proxy("http://user:p@ss@[2001:db8::5]:80");
        assert_eq!((full.host.as_str(), full.port), ("2001:db8::5", 80));
        let request = full.request(&endpoint());
        let expected = "CONNECT [2001:db8::1]:6443 HTTP/1.1\r\nHost: [2001:db8::1]:6443\r\n\
                        Proxy-Authorization: Basic dXNlcjpwQHNz\r\n\r\n";
        assert_eq!(request.expose(), expected);
        assert!(!format!("{full:?}").contains("p@ss"));
    }

    #[test]
    fn what_is_no_proxy_is_refused() {
        for url in [
            "https://proxy:1",
            "proxy:3128",
            "http://proxy",
            "http://:1",
            "http://p:0",
            "http://[::1:1",
            "http://a b:1",
        ] {
            assert_eq!(proxy(url, &[]), Err(ProxyError), "{url}");
        }
    }

    #[test]
    fn exempted_hosts_are_reached_directly() {
        let rules = [
            "10.0.0.0/8",
            "2001:db8::/32",
            "192.0.2.7",
            "example.com",
            ".inner.test",
            "*.starred.test",
            " Upper.Test ",
        ];
        let proxy = proxy("http://p:1", &rules).unwrap().unwrap();
        for direct in [
            "10.1.2.3",
            "2001:db8::1",
            "192.0.2.7",
            "example.com",
            "cp.example.com",
            "a.inner.test",
            "a.starred.test",
            "UPPER.test",
        ] {
            assert!(!proxy.serves(direct), "{direct}");
        }
        for through in [
            "11.0.0.1",
            "2001:db9::1",
            "192.0.2.8",
            "badexample.com",
            "inner.test",
            "starred.test",
            "cp.example.com.evil",
        ] {
            assert!(proxy.serves(through), "{through}");
        }
        let all = self::proxy("http://p:1", &["*"]).unwrap().unwrap();
        assert!(!all.serves("cp.example.com") && !all.serves("192.0.2.1"));
        let none = self::proxy("http://p:1", &["", "."]).unwrap().unwrap();
        assert!(none.serves("cp.example.com"));
        let any = self::proxy("http://p:1", &["0.0.0.0/0"]).unwrap().unwrap();
        assert!(!any.serves("192.0.2.1") && any.serves("2001:db8::1"));
    }

    async fn ask(answer: &'static [u8]) -> Result<(), Failure> {
        let proxy = proxy("http://p:1", &[]).unwrap().unwrap();
        let (mut near, mut far) = tokio::io::duplex(64 << 10);
        let serve = async {
            let mut asked = Vec::new();
            while !asked.ends_with(b"\r\n\r\n") {
                asked.push(far.read_u8().await.unwrap());
            }
            far.write_all(answer).await.unwrap();
            drop(far);
        };
        let endpoint = endpoint();
        tokio::join!(proxy.connect(&mut near, &endpoint), serve).0
    }

    #[tokio::test]
    async fn a_proxy_that_connects_is_used_and_others_are_named() {
        assert!(ask(b"HTTP/1.1 200 Connection established\r\n\r\n").await.is_ok());
        assert!(ask(b"HTTP/1.0 200\r\nVia: x\r\n\r\n").await.is_ok());
        for (answer, told) in [
            (&b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n"[..], "password"),
            (b"HTTP/1.1 503 Out\r\n\r\n", "503"),
            (b"HTTP/1.1 2", "closed"),
            (b"SSH-2.0-OpenSSH\r\n\r\n", "SSH"),
            (&[b'x'; MAX_ANSWER_BYTES + 1], "no end"),
        ] {
            let Err(Failure::Proxy(reason)) = ask(answer).await else {
                panic!("{}", String::from_utf8_lossy(answer));
            };
            assert!(reason.contains(told), "{reason}");
        }
    }
}
