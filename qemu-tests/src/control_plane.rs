//! A real control plane on loopback: etcd, kube-apiserver, kube-controller-manager and kube-scheduler, up in seconds.
//!
//! The programs are built from the published Go modules as the components of an image are. The cluster is set up as
//! `kubeadm init` leaves one and as KKP's user clusters are: bootstrap tokens, a signed `cluster-info` that anybody may
//! read, certificates for whoever shows a token, NodeRestriction. Guests behind QEMU's user network reach it at
//! [`HOST_FOR_GUESTS`] through a [`gate`]; the API server reaches them through [`egress`].
//!
//! It can be stopped, and started again with its data and at its addresses.
//!
//! Everything it leaves is in `target/qemu-tests/NAME/control-plane/`; its programs end with it.

pub mod caller;
pub mod certificates;
pub mod egress;
pub mod gate;
pub mod kubectl;
pub mod programs;
pub mod start;
pub mod tunnel;

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::json;
use skerry_builder::progress::{Reporter, Silent};
use skerry_builder::qemu::machine::Forward;
use tempfile::TempDir;

use crate::image::work_folder;
use crate::wait;

use certificates::{Pki, SignedCertificate};
use egress::Egress;
use gate::{Gate, Way};
use programs::Programs;
use start::{Place, Ports, Process, free_port};

/// What guests call the host (QEMU's user network).
pub const HOST_FOR_GUESTS: &str = "10.0.2.2";
/// The address that every guest has.
pub const GUEST: &str = "10.0.2.15";
/// kubelet's port.
pub const KUBELET_PORT: u16 = 10250;
/// Where nodes' pod addresses come from.
pub const CLUSTER_CIDR: &str = "10.244.0.0/16";
const SERVICE_CIDR: &str = "10.96.0.0/16";

/// How long the certificates that it signs are valid (kube-controller-manager's own default).
pub const CERTIFICATE_LIFETIME: Duration = Duration::from_secs(365 * 24 * 3600);

/// It is up in five seconds on an idle machine of two cores.
const PATIENCE: Duration = Duration::from_secs(180);

/// Who is going to join, which decides what `cluster-info` calls the API server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Joiners {
    /// Virtual machines.
    Guests,
    /// Programs of this machine.
    Here,
}

/// A control plane; ends when dropped.
#[derive(Debug)]
pub struct ControlPlane {
    /// None while it is stopped.
    processes: Vec<Process>,
    programs: Programs,
    egress: Egress,
    gate: Gate,
    pki: Pki,
    folder: PathBuf,
    kubeconfig: PathBuf,
    ports: Ports,
    endpoint: String,
    kubelet_port: u16,
    certificate_lifetime: Duration,
    /// A socket's path must be short.
    _sockets: TempDir,
}

impl ControlPlane {
    /// Starts one for the test `name`; panics with what went wrong.
    pub fn start(name: &str, joiners: Joiners) -> Self {
        Self::start_telling(name, joiners, &Silent)
    }

    /// The same; `reporter` hears about programs that have to be built first.
    pub fn start_telling(name: &str, joiners: Joiners, reporter: &dyn Reporter) -> Self {
        Self::set_up(name, joiners, CERTIFICATE_LIFETIME, reporter)
    }

    /// One for guests whose certificates are valid for `lifetime`.
    pub fn start_signing_for(name: &str, lifetime: Duration) -> Self {
        Self::set_up(name, Joiners::Guests, lifetime, &Silent)
    }

    fn set_up(name: &str, joiners: Joiners, certificate_lifetime: Duration, reporter: &dyn Reporter) -> Self {
        let programs = Programs::obtain(reporter);
        let folder = work_folder(name).join("control-plane");
        let _ = std::fs::remove_dir_all(&folder);
        let pki = Pki::create(&folder.join("pki"));
        let sockets = tempfile::tempdir().expect("the folder for temporary files can be written");
        let egress = Egress::start(sockets.path());
        let (ports, kubelet_port) = (Ports::free(), free_port());
        egress.route(&format!("{GUEST}:{KUBELET_PORT}"), kubelet_port);
        let gate = Gate::new(ports.api);
        let endpoint = match joiners {
            Joiners::Guests => format!("{HOST_FOR_GUESTS}:{}", gate.port()),
            Joiners::Here => format!("127.0.0.1:{}", ports.api),
        };
        let mut started = Self {
            processes: Vec::new(),
            programs,
            egress,
            gate,
            pki,
            kubeconfig: folder.join("admin.conf"),
            folder,
            ports,
            endpoint,
            kubelet_port,
            certificate_lifetime,
            _sockets: sockets,
        };
        started.place().name_clients(&["kubectl", "kubeadm"]);
        started.run();
        started.admit_joiners();
        started.name_endpoint();
        started
    }

    /// Ends all its programs, as a power cut would; guests find nobody, until it has been started again and the gate
    /// has been opened.
    pub fn stop(&mut self) {
        self.gate.set(Way::Refused);
        self.processes.clear();
    }

    /// Starts it again with its data, at its addresses; the gate stays as it is.
    pub fn start_again(&mut self) {
        assert!(self.processes.is_empty(), "it was not stopped");
        self.run();
    }

    /// Opens or shuts the way from guests to it.
    pub fn set_way(&mut self, way: Way) {
        self.gate.set(way);
    }

    /// The administrator's kubeconfig.
    pub fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// The API server's port on this machine.
    pub fn port(&self) -> u16 {
        self.ports.api
    }

    /// `host:port` of the API server as those call it who are to join.
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// The folder for whatever belongs to it.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Where the authority's certificate lies.
    pub fn authority_path(&self) -> PathBuf {
        self.pki.path("ca.crt")
    }

    /// What a machine must forward so that the API server reaches its kubelet.
    pub fn kubelet_forward(&self) -> Forward {
        Forward {
            host: self.kubelet_port,
            guest: KUBELET_PORT,
        }
    }

    /// The proxy to the nodes.
    pub fn egress(&self) -> &Egress {
        &self.egress
    }

    /// A client certificate of its authority, and the key, as an administrator would make one by hand: PEM.
    pub fn client_certificate(&self, name: &str, group: Option<&str>) -> SignedCertificate {
        self.pki.client(name, group)
    }

    /// The path of `kubectl` or `kubeadm`, as one can type it.
    pub fn client(&self, name: &str) -> PathBuf {
        self.folder.join("bin").join(name)
    }

    fn place(&self) -> Place<'_> {
        Place {
            folder: &self.folder,
            programs: &self.programs,
            pki: &self.pki,
            ports: self.ports,
            certificate_lifetime: self.certificate_lifetime,
        }
    }

    fn run(&mut self) {
        let egress_file = self.folder.join("egress.yaml");
        std::fs::write(&egress_file, self.egress.configuration()).expect("the work folder can be written");
        let place = self.place();
        place.kubeconfig("admin");
        let mut processes = Vec::from(place.start_api(&egress_file));
        processes.extend(place.start_controllers());
        self.processes = processes;
        self.wait_until_ready();
    }

    fn wait_until_ready(&mut self) {
        wait::until("the API server", PATIENCE, || {
            self.processes.iter_mut().for_each(Process::check);
            self.try_kubectl(&["get", "--raw=/readyz", "--request-timeout=5s"])
        });
        // Before the controllers have made it, no pod is admitted.
        wait::until("the controllers", PATIENCE, || {
            self.processes.iter_mut().for_each(Process::check);
            self.try_kubectl(&["get", "serviceaccount", "default"])
        });
    }

    /// What `kubeadm init` does for nodes that are to join, by itself: rights for bootstrap tokens, `cluster-info`, and
    /// the configurations that `kubeadm join` reads.
    fn admit_joiners(&self) {
        let config = self.folder.join("kubeadm.yaml");
        std::fs::write(&config, self.kubeadm_configuration()).expect("the work folder can be written");
        let (config, kubeconfig) = (config.display().to_string(), self.kubeconfig.display().to_string());
        let from = ["--config", &config, "--kubeconfig", &kubeconfig];
        for phase in [
            ["bootstrap-token", "--skip-token-print"].as_slice(),
            &["upload-config", "all"],
        ] {
            self.kubeadm(&[&["init", "phase"], phase, &from].concat());
        }
    }

    /// kubeadm copies the server from the kubeconfig, where it is called as this machine calls it.
    fn name_endpoint(&self) {
        let object = ["configmap", "cluster-info", "--namespace=kube-public"];
        let description = self.get(&object);
        let here = format!("127.0.0.1:{}", self.ports.api);
        let text = description["data"]["kubeconfig"].as_str().unwrap_or_default();
        // The signer writes to the same object; a patch of one key does not collide.
        let patch = json!({ "data": { "kubeconfig": text.replace(&here, &self.endpoint) } });
        self.kubectl(
            &[
                &["patch"],
                object.as_slice(),
                &["--type=merge", "--patch", &patch.to_string()],
            ]
            .concat(),
        );
    }

    fn kubeadm_configuration(&self) -> String {
        format!(
            "apiVersion: kubeadm.k8s.io/v1beta4\nkind: InitConfiguration\n\
             bootstrapTokens: []\n\
             localAPIEndpoint:\n  advertiseAddress: {HOST_FOR_GUESTS}\n  bindPort: {}\n\
             nodeRegistration:\n  name: nobody\n  criSocket: unix:///run/nobody.sock\n\
             ---\n\
             apiVersion: kubeadm.k8s.io/v1beta4\nkind: ClusterConfiguration\n\
             kubernetesVersion: {}\n\
             networking:\n  podSubnet: {CLUSTER_CIDR}\n  serviceSubnet: {SERVICE_CIDR}\n",
            self.ports.api,
            programs::kubernetes_version(),
        )
    }
}
