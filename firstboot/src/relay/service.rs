//! `skerry-node relay` as a service: what is made at its start, and what goes on beside the requests.

use std::cell::RefCell;
use std::convert::Infallible;
use std::io;
use std::path::Path;
use std::process::ExitCode;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::runtime::LocalOptions;
use tokio::sync::Notify;
use tokio::task::spawn_local;
use tokio::time::sleep;

use super::config::Config;
use super::keeper::{Keeper, Secrets};
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

/// Serves until it is ended. Comes back with an error only if it cannot begin.
pub fn run(root: &Path) -> io::Result<ExitCode> {
    let options = LocalOptions::default();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build_local(options)?;
    runtime.block_on(async {
        let config = Config::read(root).map_err(told)?;
        let never = serve(root, config).await?;
        match never {}
    })
}

fn told(error: impl std::error::Error) -> io::Error {
    io::Error::other(with_causes(&error))
}

async fn serve(root: &Path, config: Config) -> io::Result<Infallible> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let disk = RealDisk::new(root);
    let certificate = ServerCertificate::obtain(&disk).map_err(told)?;
    let authorities = Arc::new(Authorities::from_pem(&config.cluster.authorities).map_err(told)?);
    let peers = PeerCheck::new(authorities, &config.node_name, Arc::clone(&clock))
        .or_without(config.certificate.clone(), SocketOwner::kubelet());
    let socket = TcpListener::bind(ADDRESS).await?;
    let listener = Listener::new(socket, &certificate, Arc::new(peers)).map_err(told)?;
    let opened = opening::open(root, &config);
    let changed = Rc::new(Notify::new());
    let secrets = match config.settings.relay.cache_secrets {
        true => Secrets::Kept,
        false => Secrets::NotKept,
    };
    let keeper = Rc::new(RefCell::new(Keeper::new(opened.store, secrets, Rc::clone(&changed))));
    let upstream = upstream(&config, &clock)?;
    let last_answer = clock::last_remembered(root);
    let passing = Rc::new(Passing::new(upstream, Rc::clone(&keeper), clock, last_answer));
    disk.persist(Path::new(KUBECONFIG), kubeconfig_for(&certificate).as_bytes(), 0o600)?;
    spawn_local(keep_writing(keeper, changed));
    spawn_local(show_life());
    let chores = chores::Chores::new(root, config, opened.key, Rc::clone(&passing));
    spawn_local(async move { chores.go_on().await });
    if let Err(error) = notify::ready("standing between kubelet and the control plane") {
        log(&format!("cannot tell the service manager: {error}"));
    }
    Ok(listener.serve(passing).await)
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

async fn keep_writing(keeper: Rc<RefCell<Keeper<RealDisk>>>, changed: Rc<Notify>) {
    loop {
        changed.notified().await;
        sleep(GATHER).await;
        if let Err(error) = keeper.borrow_mut().flush() {
            log(&format!(
                "what is kept for times alone cannot be written: {error}; trying again with the next change"
            ));
        }
    }
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
