//! The way from guests to the API server, which a test can shut while the control plane goes on: a port of its own.
//!
//! So that a machine is alone while somebody changes things in its cluster, as people do while a line is down.

use std::io;
use std::time::Duration;

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::runtime::Runtime;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::start::free_port;

/// A connection over loopback is made at once, or not at all.
const CONNECT_TIMEOUT: Duration = Duration::from_millis(200);

/// What a guest finds where the API server should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// The API server; nothing, as soon as it is connected, if that does not run.
    Open,
    /// Nobody who listens: connections are refused, and those there were are closed.
    Refused,
    /// Packets vanish: nothing is answered, and connections there were stay, but carry nothing.
    Silent,
}

/// The gate; connections end when it is dropped.
#[derive(Debug)]
pub struct Gate {
    port: u16,
    way: watch::Sender<Way>,
    keeper: Option<JoinHandle<()>>,
    runtime: Option<Runtime>,
    api_port: u16,
}

impl Gate {
    /// An open one before the API server on `api_port` of this machine.
    pub fn new(api_port: u16) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a thread can be started");
        let mut gate = Self {
            port: free_port(),
            way: watch::Sender::new(Way::Refused),
            keeper: None,
            runtime: Some(runtime),
            api_port,
        };
        gate.set(Way::Open);
        gate
    }

    /// The port of this machine that guests are told.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Opens or shuts it, for connections there are and for those to come.
    pub fn set(&mut self, way: Way) {
        let runtime = self.runtime.as_ref().expect("it runs until it is dropped");
        let (port, api_port) = (self.port, self.api_port);
        self.way.send_replace(way);
        let (keeper, connections) = (self.keeper.take(), self.way.subscribe());
        let outcome: io::Result<_> = runtime.block_on(async move {
            if let Some(keeper) = keeper {
                keeper.abort();
                // The error says that it was aborted: its port is free now.
                let _ = keeper.await;
            }
            Ok(match way {
                Way::Open => {
                    let listener = TcpListener::bind(("127.0.0.1", port)).await?;
                    Some(tokio::spawn(serve(listener, api_port, connections)))
                }
                Way::Refused => None,
                Way::Silent => {
                    let full = full_listener(port).await?;
                    Some(tokio::spawn(async move {
                        std::future::pending::<()>().await;
                        drop(full);
                    }))
                }
            })
        });
        self.keeper = outcome.unwrap_or_else(|error| panic!("port {port}: {error}"));
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

async fn serve(listener: TcpListener, api_port: u16, way: watch::Receiver<Way>) {
    while let Ok((guest, _)) = listener.accept().await {
        tokio::spawn(carry(guest, api_port, way.clone()));
    }
}

async fn carry(mut guest: TcpStream, api_port: u16, mut way: watch::Receiver<Way>) {
    let through = async {
        let mut api = TcpStream::connect(("127.0.0.1", api_port)).await?;
        api.set_nodelay(true)?;
        guest.set_nodelay(true)?;
        copy_bidirectional(&mut guest, &mut api).await
    };
    tokio::select! {
        // Whoever hangs up has his reasons.
        _ = through => return,
        _ = way.wait_for(|way| *way != Way::Open) => {}
    }
    // An error says that the gate is no more.
    let _ = way.wait_for(|way| *way != Way::Silent).await;
}

/// A listener that nobody accepts from and whose queue is full: the kernel drops who else wants to connect.
async fn full_listener(port: u16) -> io::Result<(TcpListener, Vec<TcpStream>)> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind(([127, 0, 0, 1], port).into())?;
    let listener = socket.listen(0)?;
    let mut waiting = Vec::new();
    while let Ok(connected) = tokio::time::timeout(CONNECT_TIMEOUT, TcpStream::connect(("127.0.0.1", port))).await {
        waiting.push(connected?);
    }
    Ok((listener, waiting))
}

#[cfg(test)]
mod tests {
    use std::io::{ErrorKind, Read as _, Write as _};
    use std::net::{TcpListener, TcpStream};

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(60);

    fn connect(gate: &Gate) -> io::Result<TcpStream> {
        TcpStream::connect_timeout(&([127, 0, 0, 1], gate.port()).into(), CONNECT_TIMEOUT)
    }

    /// What comes back, within `patience`, on a connection that was said something.
    fn ask(connection: &mut TcpStream, patience: Duration) -> io::Result<usize> {
        connection.set_read_timeout(Some(patience))?;
        connection.write_all(b"x")?;
        connection.read(&mut [0; 8])
    }

    /// An API server that says back what it is told.
    fn echo() -> u16 {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        std::thread::spawn(move || {
            for connection in listener.incoming() {
                let mut connection = connection.unwrap();
                std::thread::spawn(move || io::copy(&mut connection.try_clone().unwrap(), &mut connection));
            }
        });
        port
    }

    #[test]
    fn an_open_gate_leads_to_the_server_a_shut_one_refuses_and_a_silent_one_swallows() {
        let mut gate = Gate::new(echo());
        let mut early = connect(&gate).unwrap();
        assert_eq!(ask(&mut early, PATIENCE).unwrap(), 1);

        gate.set(Way::Silent);
        assert_eq!(connect(&gate).unwrap_err().kind(), ErrorKind::TimedOut);
        assert_eq!(
            ask(&mut early, CONNECT_TIMEOUT).unwrap_err().kind(),
            ErrorKind::WouldBlock
        );

        gate.set(Way::Refused);
        assert_eq!(connect(&gate).unwrap_err().kind(), ErrorKind::ConnectionRefused);
        assert!(
            !matches!(ask(&mut early, PATIENCE), Ok(1..)),
            "the old connection lives"
        );

        gate.set(Way::Open);
        let mut late = connect(&gate).unwrap();
        assert_eq!(ask(&mut late, PATIENCE).unwrap(), 1);
    }
}
