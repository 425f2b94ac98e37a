//! An HTTP proxy on loopback that tunnels by `CONNECT` (RFC 9110 §9.3.6), and one that does not let anybody through.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, Runtime};

/// Whom a proxy lets through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProxyRule {
    /// Everybody.
    Open,
    /// Nobody: 407.
    Closed,
}

/// A running proxy; it ends when it is dropped.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
    runtime: Option<Runtime>,
}

impl Proxy {
    /// Starts one on a free port of loopback. Panics if the machine has no loopback.
    pub fn start(rule: ProxyRule) -> Self {
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.expect("a thread can be started");
        let socket = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("loopback has a free port");
        let address = socket.local_addr().expect("a bound socket has an address");
        socket.set_nonblocking(true).expect("sockets can be switched");
        let asked = Arc::new(Mutex::new(Vec::new()));
        runtime.spawn(serve(socket, rule, asked.clone()));
        Self {
            address,
            asked,
            runtime: Some(runtime),
        }
    }

    /// Its URL.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The first lines of the requests so far, such as `CONNECT 127.0.0.1:6443 HTTP/1.1`.
    pub fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

async fn serve(socket: std::net::TcpListener, rule: ProxyRule, asked: Arc<Mutex<Vec<String>>>) {
    let Ok(listener) = TcpListener::from_std(socket) else {
        return;
    };
    while let Ok((stream, _)) = listener.accept().await {
        let asked = asked.clone();
        // Either side may hang up at any time.
        tokio::spawn(async move { tunnel(stream, rule, &asked).await.ok() });
    }
}

async fn tunnel(stream: TcpStream, rule: ProxyRule, asked: &Mutex<Vec<String>>) -> std::io::Result<()> {
    let mut client = BufReader::new(stream);
    let mut first = String::new();
    client.read_line(&mut first).await?;
    let first = first.trim_end().to_owned();
    asked.lock().unwrap_or_else(PoisonError::into_inner).push(first.clone());
    let mut header = String::new();
    while client.read_line(&mut header).await? > 2 {
        header.clear();
    }
    let target = first.strip_prefix("CONNECT ").and_then(|rest| rest.split(' ').next());
    match (rule, target) {
        (ProxyRule::Open, Some(target)) => {
            let mut server = TcpStream::connect(target).await?;
            client.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await?;
            copy_bidirectional(&mut client, &mut server).await.map(|_| ())
        }
        _ => {
            let refusal = b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n";
            client.write_all(refusal).await
        }
    }
}
