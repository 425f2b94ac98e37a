//! A way into a pod's network: `kubectl port-forward`.

use std::time::Duration;

use super::ControlPlane;
use super::start::{Process, free_port};
use crate::wait;

/// How long an emulated machine may take to listen for it.
const PATIENCE: Duration = Duration::from_secs(60);

/// A port of this machine that leads to one of a pod's loopback; ends when dropped.
#[derive(Debug)]
pub struct Tunnel {
    port: u16,
    _process: Process,
}

impl Tunnel {
    /// To `port` in the network of `pod`.
    pub fn dig(cluster: &ControlPlane, pod: &str, port: u16) -> Self {
        let own = free_port();
        let command = cluster.kubectl_command(&["port-forward", pod, &format!("{own}:{port}")]);
        let mut process = Process::start(&format!("tunnel-{own}"), command, cluster.folder());
        wait::until("the tunnel", PATIENCE, || {
            process.check();
            let log = process.log();
            log.contains("Forwarding from").then_some(()).ok_or(log)
        });
        Self {
            port: own,
            _process: process,
        }
    }

    /// The port of this machine.
    pub fn port(&self) -> u16 {
        self.port
    }
}
