//! A joined machine whose pods depend on all that its kubelet fetches, to be left alone with them.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use skerry_builder::qemu::machine::Forward;

use crate::control_plane::kubectl;
use crate::control_plane::start::free_port;
use crate::join_file;
use crate::monitor::Link;
use crate::scene::Scene;
use crate::tpm::Tpm;
use crate::wait;
use crate::workload::dependants::{self, DAEMON_SET_PORT, DEPLOYMENT_PORT, GREETING, Given};
use crate::workload::{self, PAGE_PORT};

/// How long an emulated machine may take from power-on until its pods answer.
const PATIENCE: Duration = Duration::from_secs(1200);
/// How long an answer may take: a process is started for each line of it.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(20);

/// How much runs on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Crew {
    /// The Deployment's pod alone.
    Small,
    /// The DaemonSet's pod, too.
    Full,
}

impl Crew {
    /// The node's ports that lead to its pods.
    fn ports(self) -> &'static [u16] {
        match self {
            Self::Small => &[DEPLOYMENT_PORT],
            Self::Full => &[DEPLOYMENT_PORT, DAEMON_SET_PORT],
        }
    }
}

/// The machine, its pods and its control plane.
#[derive(Debug)]
pub struct Outpost {
    /// Control plane and machine.
    pub scene: Scene,
    /// The node's name.
    pub name: String,
    crew: Crew,
    /// Ports of the node, and those of this machine that lead there.
    ports: Vec<(u16, u16)>,
    /// What the ConfigMap is expected to say.
    greeting: String,
}

impl Outpost {
    /// A machine for the test `test`, with a TPM if there is one for it, that has joined and whose pods answer.
    pub fn man(test: &str, memory_mib: u64, crew: Crew, tpm: Option<Tpm>) -> Self {
        let mut scene = Scene::set(test, workload::image());
        if let Some(tpm) = tpm {
            scene.node.give_tpm(tpm);
        }
        let mut ports = vec![(PAGE_PORT, scene.page_port())];
        ports.extend(crew.ports().iter().map(|port| (*port, free_port())));
        let hardware = scene.node.hardware();
        hardware.memory_mib = memory_mib;
        let forwards = ports[1..].iter().map(|&(guest, host)| Forward { host, guest });
        hardware.forwards.extend(forwards);
        let (file, _) = join_file::skerry(&scene.cluster);
        scene.node.seed(&file);
        let name = scene.join();
        let cluster = &scene.cluster;
        cluster.apply(&dependants::possessions().to_string());
        cluster.apply(&dependants::deployment().to_string());
        if crew == Crew::Full {
            cluster.apply(&dependants::daemon_set().to_string());
            cluster.apply(&dependants::crier().to_string());
        }
        let mut outpost = Self {
            scene,
            name,
            crew,
            ports,
            greeting: GREETING.to_owned(),
        };
        outpost.expect_answers();
        outpost
    }

    /// Cuts the machine's power, switches it on and waits until all its pods answer; returns their answers and how long
    /// that took.
    pub fn cold_boot(&mut self) -> (Vec<Given>, Duration) {
        self.scene.node.power_off();
        let start = Instant::now();
        self.scene.node.power_on();
        (self.expect_answers(), start.elapsed())
    }

    /// Cuts the machine's power, pulls its cable, switches it on and waits until its pods answer to one another, which the
    /// machine's console tells; returns how long that took. The cable is plugged in then.
    pub fn cold_boot_without_a_cable(&mut self) -> Duration {
        assert_eq!(self.crew, Crew::Full, "the crier has nobody to listen to");
        let node = &mut self.scene.node;
        node.power_off();
        let start = Instant::now();
        node.power_on();
        node.set_link(Link::Unplugged);
        node.expect(dependants::CRY);
        let took = start.elapsed();
        node.set_link(Link::Up);
        took
    }

    /// Waits until all pods answer with all that they were given, in the order of their ports.
    pub fn expect_answers(&mut self) -> Vec<Given> {
        wait::until("the pods' answers", PATIENCE, || {
            self.scene.node.listen();
            self.answers()
        })
    }

    /// What the pods answer now; why not, if one of them is not well.
    pub fn answers(&self) -> Result<Vec<Given>, String> {
        let ports = self.crew.ports().iter();
        ports
            .map(|&port| {
                let answer = self.ask(port, dependants::PATH);
                let answer = answer.map_err(|error| format!("port {port}: {error}"))?;
                Given::read(&answer, &self.greeting).map_err(|reason| format!("port {port}: {reason}"))
            })
            .collect()
    }

    /// Waits until the API server says that the node is Ready in the machine's boot `boot`.
    pub fn expect_ready(&mut self, boot: &str) {
        wait::until("the node's return", PATIENCE, || {
            self.scene.node.listen();
            let node = self.scene.cluster.try_get(&["node", &self.name])?;
            let status = &node["status"];
            let ready = kubectl::condition(&node, "Ready");
            match status["nodeInfo"]["bootID"] == boot {
                true => ready,
                false => Err(format!("{ready:?} in boot {}", status["nodeInfo"]["bootID"])),
            }
        });
    }

    /// Gives the ConfigMap another text, which pods are expected to say from now on.
    pub fn change_greeting(&mut self, text: &str) {
        let patch = dependants::greeting(text).to_string();
        self.scene.cluster.apply(&patch);
        text.clone_into(&mut self.greeting);
    }

    /// What `port` of the node answers to a request for `path` (HTTP/1.0).
    pub fn ask(&self, port: u16, path: &str) -> std::io::Result<String> {
        let ports = self.ports.iter().find(|(guest, _)| *guest == port);
        let (_, host) = ports.expect("the port is forwarded");
        let mut connection = TcpStream::connect(("127.0.0.1", *host))?;
        connection.set_read_timeout(Some(ANSWER_TIMEOUT))?;
        connection.write_all(format!("GET {path} HTTP/1.0\r\n\r\n").as_bytes())?;
        let mut answer = String::new();
        connection.read_to_string(&mut answer)?;
        Ok(answer)
    }
}
