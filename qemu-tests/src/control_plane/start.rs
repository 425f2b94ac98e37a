//! The running programs of a control plane, and the flags that kubeadm and KKP give them.

use std::fs::File;
use std::net::TcpListener;
use std::ops::Range;
use std::os::unix::fs::symlink;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use skerry_builder::qemu::process::die_with_parent;

use super::certificates::Pki;
use super::programs::Programs;
use super::{CLUSTER_CIDR, HOST_FOR_GUESTS, SERVICE_CIDR};

/// How much of a log is shown when its program has ended.
const TAIL_LINES: usize = 15;

/// A program in the background, with its output in a file. It is killed when dropped, or when the thread that started
/// it ends.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts `command`, with its output in `folder/NAME.log`.
    pub fn start(name: &str, mut command: Command, folder: &Path) -> Self {
        let log = folder.join(format!("{name}.log"));
        // What it said before it was stopped stays.
        let output = File::options().append(true).create(true).open(&log);
        let output = output.expect("the work folder can be written");
        let errors = output.try_clone().expect("an open file can be opened again");
        // In a process group of its own, so that Ctrl-C at a terminal is heard by its starter alone.
        command
            .stdin(Stdio::null())
            .stdout(output)
            .stderr(errors)
            .process_group(0);
        die_with_parent(&mut command);
        let child = command.spawn().unwrap_or_else(|error| panic!("{name}: {error}"));
        Self {
            name: name.to_owned(),
            child,
            log,
        }
    }

    /// What it has said so far.
    pub fn log(&self) -> String {
        let bytes = std::fs::read(&self.log).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Panics with the end of the log if it has ended.
    pub fn check(&mut self) {
        let ended = self.child.try_wait().expect("a child can be asked for");
        if let Some(status) = ended {
            let log = self.log();
            let lines: Vec<&str> = log.lines().collect();
            let tail = lines[lines.len().saturating_sub(TAIL_LINES)..].join("\n");
            panic!("{} ended with {status}; {}:\n{tail}", self.name, self.log.display());
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Both fail only if it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Below the ports that the kernel gives to outgoing connections (`net.ipv4.ip_local_port_range`, from 32768): one of
/// those could be given away before the program that it was chosen for is there.
const PORTS: Range<u16> = 12_000..32_000;

/// A TCP port of this machine that nobody uses now, another one each time.
pub fn free_port() -> u16 {
    static ASKED: AtomicU32 = AtomicU32::new(0);
    let count = u32::from(PORTS.end - PORTS.start);
    // Tests that run beside this process begin elsewhere.
    let first = std::process::id().wrapping_mul(97);
    for _ in 0..count {
        let number = first.wrapping_add(ASKED.fetch_add(1, Ordering::Relaxed)) % count;
        let port = PORTS.start + u16::try_from(number).expect("it is less than the count");
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
    panic!("loopback has no free port in {PORTS:?}");
}

/// Where a control plane lives.
#[derive(Debug)]
pub(super) struct Place<'a> {
    pub(super) folder: &'a Path,
    pub(super) programs: &'a Programs,
    pub(super) pki: &'a Pki,
    pub(super) ports: Ports,
    pub(super) certificate_lifetime: Duration,
}

/// The ports that stay when it is stopped and started again.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ports {
    /// The API server's.
    pub(super) api: u16,
    etcd: u16,
    etcd_peers: u16,
}

impl Ports {
    pub(super) fn free() -> Self {
        Self {
            api: free_port(),
            etcd: free_port(),
            etcd_peers: free_port(),
        }
    }
}

impl Place<'_> {
    /// etcd and the API server, which is not ready yet.
    pub(super) fn start_api(&self, egress: &Path) -> [Process; 2] {
        let (etcd, peers) = (self.ports.etcd, self.ports.etcd_peers);
        let data = self.folder.join("etcd");
        let url = |port| format!("http://127.0.0.1:{port}");
        let etcd_flags = [
            flag("data-dir", data.display()),
            flag("listen-client-urls", url(etcd)),
            flag("advertise-client-urls", url(etcd)),
            flag("listen-peer-urls", url(peers)),
            flag("initial-advertise-peer-urls", url(peers)),
            flag("initial-cluster", format!("default={}", url(peers))),
            // What it holds is thrown away with the test.
            flag("unsafe-no-fsync", true),
        ];
        let etcd_program = self.run("etcd", &etcd_flags);
        [
            etcd_program,
            self.run("kube-apiserver", &self.api_flags(&url(etcd), egress)),
        ]
    }

    fn api_flags(&self, etcd: &str, egress: &Path) -> Vec<String> {
        vec![
            flag("etcd-servers", etcd),
            flag("bind-address", "127.0.0.1"),
            flag("advertise-address", HOST_FOR_GUESTS),
            flag("secure-port", self.ports.api),
            flag("tls-cert-file", self.file("apiserver.crt")),
            flag("tls-private-key-file", self.file("apiserver.key")),
            flag("client-ca-file", self.file("ca.crt")),
            flag("kubelet-client-certificate", self.file("apiserver-kubelet-client.crt")),
            flag("kubelet-client-key", self.file("apiserver-kubelet-client.key")),
            flag("kubelet-preferred-address-types", "InternalIP"),
            flag("service-account-issuer", "https://kubernetes.default.svc"),
            flag("service-account-key-file", self.file("sa.pub")),
            flag("service-account-signing-key-file", self.file("sa.key")),
            flag("service-cluster-ip-range", SERVICE_CIDR),
            flag("authorization-mode", "Node,RBAC"),
            flag("enable-admission-plugins", "NodeRestriction"),
            flag("enable-bootstrap-token-auth", true),
            flag("allow-privileged", true),
            flag("egress-selector-config-file", egress.display()),
        ]
    }

    /// The controllers and the scheduler.
    pub(super) fn start_controllers(&self) -> [Process; 2] {
        let controllers = [
            flag("kubeconfig", self.kubeconfig("controller-manager")),
            flag("bind-address", "127.0.0.1"),
            flag("secure-port", free_port()),
            flag("controllers", "*,bootstrapsigner,tokencleaner"),
            flag("leader-elect", false),
            flag("use-service-account-credentials", true),
            flag("service-account-private-key-file", self.file("sa.key")),
            flag("root-ca-file", self.file("ca.crt")),
            flag("cluster-signing-cert-file", self.file("ca.crt")),
            flag("cluster-signing-key-file", self.file("ca.key")),
            flag("cluster-signing-duration", seconds(self.certificate_lifetime)),
            flag("allocate-node-cidrs", true),
            flag("cluster-cidr", CLUSTER_CIDR),
            flag("service-cluster-ip-range", SERVICE_CIDR),
        ];
        let scheduler = [
            flag("kubeconfig", self.kubeconfig("scheduler")),
            flag("bind-address", "127.0.0.1"),
            flag("secure-port", free_port()),
            flag("leader-elect", false),
        ];
        [
            self.run("kube-controller-manager", &controllers),
            self.run("kube-scheduler", &scheduler),
        ]
    }

    /// Writes a kubeconfig for this machine's own use and returns where.
    pub(super) fn kubeconfig(&self, name: &str) -> String {
        let path = self.folder.join(format!("{name}.conf"));
        let text = self.pki.kubeconfig(name, ("127.0.0.1", self.ports.api));
        std::fs::write(&path, text).expect("the work folder can be written");
        path.display().to_string()
    }

    /// Gives programs that people call their names; in the store they have only digests.
    pub(super) fn name_clients(&self, names: &[&str]) {
        let folder = self.folder.join("bin");
        std::fs::create_dir_all(&folder).expect("the work folder can be written");
        for name in names {
            symlink(self.programs.path(name), folder.join(name)).expect("the work folder can be written");
        }
    }

    fn file(&self, name: &str) -> String {
        self.pki.path(name).display().to_string()
    }

    fn run(&self, name: &str, flags: &[String]) -> Process {
        let mut command = Command::new(self.programs.path(name));
        command.args(flags).current_dir(self.folder);
        Process::start(name, command, self.folder)
    }
}

/// As Go reads it (time.ParseDuration).
fn seconds(time: Duration) -> String {
    format!("{}s", time.as_secs())
}

fn flag(name: &str, value: impl std::fmt::Display) -> String {
    format!("--{name}={value}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_port_is_given_twice_and_none_that_the_kernel_gives_away_or_somebody_has() {
        let taken = free_port();
        let listener = TcpListener::bind(("127.0.0.1", taken)).unwrap();
        let mut ports: Vec<u16> = (0..100).map(|_| free_port()).collect();
        assert!(ports.iter().all(|port| PORTS.contains(port) && *port != taken));
        ports.sort_unstable();
        ports.dedup();
        assert_eq!(ports.len(), 100);
        drop(listener);
    }
}
