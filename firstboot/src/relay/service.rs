//! `skerry-node relay` as a service: what is made at its start, and what goes on beside the requests.

use std::io;
use std::path::Path;
use std::process::ExitCode;
use std::rc::Rc;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use nix::sys::signal::{SigSet, Signal};
use tokio::net::TcpListener;
use tokio::runtime::LocalOptions;
use tokio::sync::oneshot;
use tokio::task::spawn_local;
use tokio::time::sleep;

use super::config::Config;
use super::keeper::{Keeper, Secrets};
use super::keeping::Keeping;
use super::listener::Listener;
use super::passing::Passing;
use super::peer::{PeerCheck, SocketOwner};
use super::server_certificate::ServerCertificate;
use super::upstream::{Upstream, UpstreamSettings};
use super::{ADDRESS, KUBECONFIG, chores, opening};
use crate::causes::with_causes;
use crate::clock::{self, Clock, SystemClock};
use crate::control_plane::Cluster;
use crate::disk::{Disk as _, RealDisk};
use crate::join_config::Endpoint;
use crate::kubeconfig;
use crate::node::announce::log;
use crate::node::notify;
use crate::tls::Authorities;

/// How soon a change is written: what happens together is written together.
const GATHER: Duration = Duration::from_secs(2);
/// A third of the unit's `WatchdogSec=`.
const SIGN_OF_LIFE: Duration = Duration::from_secs(20);

/// Serves until it is told to end by SIGTERM or SIGINT, or has to be started anew; what has passed until then is written.
pub fn run(root: &Path) -> io::Result<ExitCode> {
    let options = LocalOptions::default();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build_local(options)?;
    runtime.block_on(async {
        // Before there are other threads: they inherit it.
        let end = end_is_asked_for()?;
        let config = Config::read(root).map_err(told)?;
        serve(root, config, end).await
    })?;
    Ok(ExitCode::SUCCESS)
}

/// Ends when SIGTERM or SIGINT comes, which from now on end nothing by themselves.
fn end_is_asked_for() -> io::Result<impl Future<Output = ()>> {
    let signals = SigSet::from_iter([Signal::SIGTERM, Signal::SIGINT]);
    signals.thread_block()?;
    let (tell, told) = oneshot::channel();
    let wait = move || {
        // Who asked has gone: it is ending already.
        let _ = signals.wait().map(|_| tell.send(()));
    };
    thread::Builder::new().name("signals".to_owned()).spawn(wait)?;
    Ok(async move {
        if told.await.is_err() {
            std::future::pending().await
        }
    })
}

fn told(error: impl std::error::Error) -> io::Error {
    io::Error::other(with_causes(&error))
}

async fn serve(root: &Path, config: Config, end: impl Future<Output = ()>) -> io::Result<()> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let disk = RealDisk::new(root);
    let certificate = ServerCertificate::obtain(&disk).map_err(told)?;
    let authorities = Arc::new(Authorities::from_pem(&config.cluster.authorities).map_err(told)?);
    let peers = PeerCheck::new(authorities, &config.node_name, Arc::clone(&clock))
        .or_without(config.certificate.clone(), SocketOwner::kubelet());
    let socket = TcpListener::bind(ADDRESS).await?;
    let listener = Listener::new(socket, &certificate, Arc::new(peers)).map_err(told)?;
    let opened = opening::open(root, &config);
    let secrets = match config.settings.relay.cache_secrets {
        true => Secrets::Kept,
        false => Secrets::NotKept,
    };
    let keeping = Keeping::start(Keeper::new(opened.store, secrets), GATHER)?;
    let upstream = upstream(&config, &clock)?;
    let last_answer = clock::last_remembered(root);
    let passing = Rc::new(Passing::new(upstream, keeping.clone(), clock, last_answer));
    disk.persist(Path::new(KUBECONFIG), kubeconfig_for(&certificate).as_bytes(), 0o600)?;
    spawn_local(show_life());
    let chores = chores::Chores::new(root, config, opened.key, Rc::clone(&passing));
    if let Err(error) = notify::ready("standing between kubelet and the control plane") {
        log(&format!("cannot tell the service manager: {error}"));
    }
    tokio::select! {
        never = listener.serve(passing) => match never {},
        () = chores.go_on() => {}
        () = end => {}
    }
    // After all that was read before.
    keeping.ask(Keeper::flush).await.map(drop)
}

fn upstream(config: &Config, clock: &Arc<dyn Clock>) -> io::Result<Upstream> {
    let cluster = &config.cluster;
    let mut endpoints = vec![cluster.server.clone()];
    endpoints.extend(cluster.others.iter().cloned());
    let settings = UpstreamSettings {
        identity: config.certificate.clone(),
        ..UpstreamSettings::new(endpoints, cluster.tls_server_name.clone(), cluster.authorities.clone())
    };
    Upstream::new(settings, &config.settings.network, Arc::clone(clock)).map_err(told)
}

/// The kubeconfig with which kubelet finds the relay, and shows the certificate that it would show the control plane.
fn kubeconfig_for(certificate: &ServerCertificate) -> String {
    kubeconfig::to_yaml(&Cluster {
        server: Endpoint {
            host: ADDRESS.ip().to_string(),
            port: ADDRESS.port(),
            path: String::new(),
        },
        others: Vec::new(),
        authorities: certificate.to_pem(),
        tls_server_name: None,
        credential: None,
    })
}

/// Made in the thread that answers: who hangs gives no sign.
async fn show_life() {
    loop {
        if let Err(error) = notify::alive() {
            log(&format!("cannot tell the service manager: {error}"));
        }
        sleep(SIGN_OF_LIFE).await;
    }
}
