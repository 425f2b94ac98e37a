//! Connections: a name becomes addresses, an address a TCP connection, that perhaps a way through a proxy, and that TLS.
//!
//! Each step has its own bound and its own failure. That is why this is not a general HTTP client: those cannot tell a
//! host that does not answer from one whose TLS does not get through, nor check for another name than the URL's.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::Patience;
use super::failure::Failure;
use super::proxy::Proxy;
use crate::join_config::Endpoint;
use crate::tls::{Tls, Verdict};

/// The way to an endpoint.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Way<'a> {
    pub endpoint: &'a Endpoint,
    /// The name in its certificate, where it is not the endpoint's host.
    pub server_name: Option<&'a str>,
    /// The proxy, if the settings want one; whether it serves this endpoint is seen here.
    pub proxy: Option<&'a Proxy>,
    pub patience: &'a Patience,
}

/// Connects to the end of `way`.
pub(crate) async fn connect(way: &Way<'_>, tls: &Tls) -> Result<TlsStream<TcpStream>, Failure> {
    let Way { endpoint, patience, .. } = *way;
    let proxy = way.proxy.filter(|proxy| proxy.serves(&endpoint.host));
    let name = way.server_name.unwrap_or(&endpoint.host);
    let name = ServerName::try_from(name.to_owned()).map_err(|_| Failure::Dns(format!("`{name}` is no host name")))?;
    let deadline = Instant::now() + patience.connect;
    let stream = match proxy {
        None => reach(&endpoint.host, endpoint.port, deadline).await?,
        Some(proxy) => {
            let lost = |failure: Failure| Failure::Proxy(failure.to_string());
            let mut stream = reach(&proxy.host, proxy.port, deadline).await.map_err(lost)?;
            let connected = timeout_at(deadline, proxy.connect(&mut stream, endpoint)).await;
            connected.unwrap_or_else(|_| Err(Failure::Proxy("it does not answer in time".to_owned())))?;
            stream
        }
    };
    let handshake = TlsConnector::from(tls.config.clone()).connect(name, stream);
    match timeout(patience.handshake, handshake).await {
        Err(_) => Err(Failure::HandshakeTimeout),
        Ok(result) => result.map_err(|error| explain(&error, tls)),
    }
}

/// A TCP connection to `host`, whichever of its addresses answers first in the resolver's order. What time there is is
/// shared among the addresses, so that a dead one does not use it up.
async fn reach(host: &str, port: u16, deadline: Instant) -> Result<TcpStream, Failure> {
    let addresses = resolve(host, port, deadline).await?;
    let mut failure = Failure::Dns(format!("{host} has no address"));
    for (place, address) in addresses.iter().enumerate() {
        let left = deadline.saturating_duration_since(Instant::now());
        let share = left / u32::try_from(addresses.len() - place).unwrap_or(u32::MAX);
        match dial(*address, share).await {
            Ok(stream) => return Ok(stream),
            Err(error) => failure = Failure::NoConnection(format!("{address}: {}", reason(&error))),
        }
    }
    Err(failure)
}

async fn resolve(host: &str, port: u16, deadline: Instant) -> Result<Vec<SocketAddr>, Failure> {
    if let Ok(address) = host.parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(address, port)]);
    }
    match timeout_at(deadline, tokio::net::lookup_host((host, port))).await {
        Err(_) => Err(Failure::Dns(format!("no name server answers for {host} in time"))),
        Ok(Err(error)) => Err(Failure::Dns(format!("{host}: {error}"))),
        Ok(Ok(addresses)) => Ok(addresses.collect()),
    }
}

async fn dial(address: SocketAddr, patience: Duration) -> io::Result<TcpStream> {
    let stream = timeout(patience, TcpStream::connect(address));
    let stream = stream.await.map_err(|_| io::ErrorKind::TimedOut)??;
    stream.set_nodelay(true)?;
    Ok(stream)
}

fn reason(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::TimedOut => "no answer in time".to_owned(),
        _ => error.to_string(),
    }
}

/// Why a handshake failed: the judge's own words first, because rustls has fewer.
fn explain(error: &io::Error, tls: &Tls) -> Failure {
    let seen = tls.seen();
    match seen {
        Some(shown) if !matches!(shown.verdict, Verdict::Trusted | Verdict::Unchecked) => {
            return Failure::Untrusted(Box::new(shown));
        }
        _ => {}
    }
    match error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        Some(rustls::Error::AlertReceived(alert)) => Failure::Alert(format!("{alert:?}")),
        Some(rustls::Error::InvalidMessage(_) | rustls::Error::InappropriateMessage { .. }) => Failure::NotTls,
        Some(error) => Failure::Handshake(error.to_string()),
        None => Failure::Broken(format!("during the TLS handshake: {}", error.kind())),
    }
}
