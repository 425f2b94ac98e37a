//! The way from the API server to the kubelets: guests sit behind QEMU's user network, where nobody can call them.
//!
//! The API server sends what is meant for nodes (`kubectl logs` and `exec`) to a proxy on a Unix socket, by HTTP CONNECT
//! (KEP-1281); hosted control planes do the same by konnectivity. The proxy knows to which port of this machine QEMU
//! has bound each kubelet's port.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader, copy_bidirectional};
use tokio::net::{TcpStream, UnixListener, UnixStream};
use tokio::runtime::Runtime;

/// A CONNECT request is one line and one header.
const MAX_REQUEST_BYTES: u64 = 4096;

type Routes = Arc<Mutex<BTreeMap<String, u16>>>;

/// The proxy; ends when dropped.
#[derive(Debug)]
pub struct Egress {
    socket: PathBuf,
    routes: Routes,
    runtime: Option<Runtime>,
}

impl Egress {
    /// Listens on a socket in `folder`.
    pub fn start(folder: &Path) -> Self {
        let socket = folder.join("egress.sock");
        let routes = Routes::default();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a thread can be started");
        let listener = runtime.block_on(async { UnixListener::bind(&socket) });
        let listener = listener.unwrap_or_else(|error| panic!("{}: {error}", socket.display()));
        runtime.spawn(serve(listener, Arc::clone(&routes)));
        Self {
            socket,
            routes,
            runtime: Some(runtime),
        }
    }

    /// Sends connections to `address` (`host:port`) to `port` of this machine from now on.
    pub fn route(&self, address: &str, port: u16) {
        let mut routes = self.routes.lock().expect("nothing panics while it holds the lock");
        routes.insert(address.to_owned(), port);
    }

    /// The API server's configuration (`EgressSelectorConfiguration`).
    pub fn configuration(&self) -> String {
        format!(
            "apiVersion: apiserver.k8s.io/v1beta1\nkind: EgressSelectorConfiguration\n\
             egressSelections:\n- name: cluster\n  connection:\n    proxyProtocol: HTTPConnect\n    \
             transport:\n      uds:\n        udsName: {}\n",
            self.socket.display()
        )
    }
}

impl Drop for Egress {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

async fn serve(listener: UnixListener, routes: Routes) {
    while let Ok((caller, _)) = listener.accept().await {
        let routes = Arc::clone(&routes);
        // Whoever hangs up early has his reasons, and the API server reports them.
        tokio::spawn(async move { connect(caller, &routes).await });
    }
}

async fn connect(caller: UnixStream, routes: &Routes) -> io::Result<()> {
    let mut caller = BufReader::new(caller);
    let Some(address) = read_request(&mut caller).await? else {
        return caller.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
    };
    let port = routes
        .lock()
        .expect("nothing panics while it holds the lock")
        .get(&address)
        .copied();
    let Some(port) = port else {
        let refusal = format!("HTTP/1.1 502 no node at {address}\r\n\r\n");
        return caller.write_all(refusal.as_bytes()).await;
    };
    let mut node = match TcpStream::connect(("127.0.0.1", port)).await {
        Ok(node) => node,
        Err(error) => {
            let refusal = format!("HTTP/1.1 502 {error}\r\n\r\n");
            return caller.write_all(refusal.as_bytes()).await;
        }
    };
    caller.write_all(b"HTTP/1.1 200 Connected\r\n\r\n").await?;
    copy_bidirectional(&mut caller, &mut node).await.map(drop)
}

/// Reads to the empty line and returns whom the request names (RFC 9110 §9.3.6); none if it is no CONNECT.
async fn read_request(caller: &mut BufReader<UnixStream>) -> io::Result<Option<String>> {
    let mut request = String::new();
    let mut limited = caller.take(MAX_REQUEST_BYTES);
    while !request.ends_with("\r\n\r\n") {
        if limited.read_line(&mut request).await? == 0 {
            return Ok(None);
        }
    }
    let target = request.strip_prefix("CONNECT ").and_then(|rest| rest.split_once(' '));
    Ok(target.map(|(address, _)| address.to_owned()))
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::TcpListener;
    use std::os::unix::net::UnixStream;

    use super::*;

    fn ask(egress: &Egress, request: &str) -> String {
        let mut caller = UnixStream::connect(&egress.socket).unwrap();
        caller.write_all(request.as_bytes()).unwrap();
        caller.shutdown(std::net::Shutdown::Write).unwrap();
        let mut answer = String::new();
        caller.read_to_string(&mut answer).unwrap();
        answer
    }

    #[test]
    fn a_routed_address_is_reached_and_others_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let egress = Egress::start(folder.path());
        let kubelet = TcpListener::bind("127.0.0.1:0").unwrap();
        egress.route("10.0.2.15:10250", kubelet.local_addr().unwrap().port());
        let server = std::thread::spawn(move || {
            let (mut connection, _) = kubelet.accept().unwrap();
            let mut heard = String::new();
            connection.read_to_string(&mut heard).unwrap();
            connection.write_all(format!("heard {heard}").as_bytes()).unwrap();
        });
        let answer = ask(
            &egress,
            "CONNECT 10.0.2.15:10250 HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\nhello",
        );
        assert_eq!(answer, "HTTP/1.1 200 Connected\r\n\r\nheard hello");
        server.join().unwrap();
        let answer = ask(&egress, "CONNECT 192.0.2.1:22 HTTP/1.1\r\n\r\n");
        assert!(answer.starts_with("HTTP/1.1 502 no node at 192.0.2.1:22"), "{answer}");
        assert!(ask(&egress, "GET / HTTP/1.1\r\n\r\n").starts_with("HTTP/1.1 400"));
    }
}
