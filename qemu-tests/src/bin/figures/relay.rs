//! What the relay costs: on a machine that is left alone for ten minutes, and between a client and a real API server.

use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use skerry_firstboot::disk::RealDisk;
use skerry_firstboot::identity::Home;
use skerry_firstboot::identity::paths::{CURRENT, FOLDERS_OF_A_JOIN};
use skerry_firstboot::join::retry::{Jitter, Random as _};
use skerry_firstboot::relay::{ADDRESS, service};
use skerry_qemu_tests::control_plane::caller::Caller;
use skerry_qemu_tests::control_plane::start::Process;
use skerry_qemu_tests::control_plane::{ControlPlane, Joiners};
use skerry_qemu_tests::image::repository;
use skerry_qemu_tests::joiner;
use skerry_qemu_tests::outpost::{Crew, Outpost};
use skerry_qemu_tests::witness::Witness;
use skerry_qemu_tests::{join_file, wait};

use super::row;

/// The command with which this program is a relay, for the machine whose files lie below a folder.
pub const COMMAND: &str = "relay";
/// The command that measures only what needs no machine: a minute in place of a quarter of an hour.
pub const BETWEEN: &str = "relay-between";

const NODE: &str = "bench";
/// What is asked for to see how long a question takes.
const SMALL: &str = "/api/v1/namespaces/default/services/kubernetes";
const PATIENCE: Duration = Duration::from_secs(60);
const PROTOBUF: &str = "application/vnd.kubernetes.protobuf";
/// How often the small question is asked each way.
const QUESTIONS: usize = 500;
/// How often the large one.
const LISTS: usize = 5;
/// The large answer.
const PODS: usize = 50;
const POD_BYTES: usize = 1_000_000;
/// How long a machine is watched that has nothing to do, after its pods have settled.
const SETTLE: Duration = Duration::from_secs(120);
const IDLE: Duration = Duration::from_secs(600);

/// Is a relay.
pub fn run(root: &str) -> ! {
    let outcome = service::run(Path::new(root));
    panic!("the relay has ended: {outcome:?}");
}

/// Prints the rows.
pub fn print() {
    print_machine();
    print_between();
}

fn print_machine() {
    let outpost = Outpost::man("figures-relay", 512, Crew::Full, None);
    let witness = Witness::call(&outpost.scene);
    wait::pass(SETTLE);
    let before = witness.relay_written_bytes();
    wait::pass(IDLE);
    let written = witness.relay_written_bytes() - before;
    let per_day = written as f64 * 86_400.0 / IDLE.as_secs_f64();
    row(
        "relay, resident memory",
        "≤ 8 MiB",
        &format!("{:.1} MiB", witness.relay_memory_kib() as f64 / 1024.0),
        "`VmRSS` on the emulated machine, four pods",
    );
    row(
        "relay, written to the disk per idle day",
        "",
        &format!("{:.2} MB", per_day / 1e6),
        "`write_bytes` of ten minutes, times 144",
    );
}

/// A relay on this machine, and the API server behind it.
struct Between {
    cluster: ControlPlane,
    caller: Caller,
    /// The API server's port, then the relay's.
    ports: [u16; 2],
    process: Process,
}

/// How long an answer took, and how long it was.
type Answered = (Duration, usize);

impl Between {
    fn start() -> Self {
        let cluster = ControlPlane::start("figures-relay-between", Joiners::Here);
        let certificate = cluster.client_certificate(&format!("system:node:{NODE}"), Some("system:nodes"));
        let root = repository().join("target/figures/relay");
        if root.exists() {
            // It belongs to the cluster of an earlier run.
            std::fs::remove_dir_all(&root).expect("the target folder can be written");
        }
        // As they are on every machine.
        for folder in FOLDERS_OF_A_JOIN.iter().chain(&["/run/skerry/relay"]) {
            std::fs::create_dir_all(root.join(&folder[1..])).expect("the target folder can be written");
        }
        let (file, _) = join_file::skerry(&cluster);
        let (client, home) = (joiner::client(), Home::new(RealDisk::new(&root)));
        joiner::runtime().block_on(joiner::identity(&client, &home, &file, NODE));
        // The link that the join has left is one of a machine, from its root.
        let current = root.join(&CURRENT[1..]);
        std::fs::remove_file(&current).expect("the join has made it");
        let pem = format!("{}{}", certificate.certificate, certificate.key);
        std::fs::write(&current, pem).expect("the target folder can be written");
        let mut command = Command::new(std::env::current_exe().expect("a program knows where it lies"));
        command.arg(COMMAND).arg(&root);
        let mut between = Self {
            caller: Caller::new(Some(&certificate)),
            ports: [cluster.port(), ADDRESS.port()],
            process: Process::start("relay", command, cluster.folder()),
            cluster,
        };
        wait::until("the relay", PATIENCE, || {
            between.process.check();
            between.ask(ADDRESS.port(), SMALL)
        });
        between
    }

    fn ask(&self, port: u16, path: &str) -> Result<Answered, String> {
        let start = Instant::now();
        let reply = self.caller.ask(port, path, PROTOBUF)?;
        match reply.status {
            200 => Ok((start.elapsed(), reply.body.len())),
            status => Err(format!("{path}: {status}")),
        }
    }

    /// Asks by turns, so that what else the machine does disturbs both alike: direct, then through the relay.
    fn medians(&self, path: &str, count: usize) -> [Answered; 2] {
        let mut answers = [Vec::new(), Vec::new()];
        for _ in 0..count {
            for (port, answers) in self.ports.iter().zip(&mut answers) {
                answers.push(self.ask(*port, path).unwrap_or_else(|reason| panic!("{reason}")));
            }
        }
        answers.map(|mut answers| {
            answers.sort();
            answers[count / 2]
        })
    }
}

/// Prints the rows of what lies between a client and an API server.
pub fn print_between() {
    let between = Between::start();
    let [direct, relayed] = between.medians(SMALL, QUESTIONS);
    row(
        "relay, added latency",
        "≤ 1 ms",
        &format!("{:.2} ms", relayed.0.saturating_sub(direct.0).as_secs_f64() * 1e3),
        "median of 500 reads of a Service, against as many without the relay",
    );
    fill(&between.cluster);
    let path = format!("/api/v1/pods?fieldSelector=spec.nodeName%3D{NODE}&resourceVersion=0");
    let [direct, relayed] = between.medians(&path, LISTS);
    let (slow, fast) = (relayed.0.as_secs_f64(), direct.0.as_secs_f64());
    row(
        "relay, speed of a list of 50 MB",
        "≥ 80 % of direct",
        &format!(
            "{:.0} % ({slow:.2} s, direct {fast:.2} s; {:.1} MB compressed)",
            100.0 * fast / slow,
            direct.1 as f64 / 1e6
        ),
        "50 pods of 1 MB, as kubelet asks for them, which the relay learns",
    );
}

/// Makes the node and its large pods, which never run.
fn fill(cluster: &ControlPlane) {
    cluster.apply(&json!({ "apiVersion": "v1", "kind": "Node", "metadata": { "name": NODE } }).to_string());
    let mut random = Jitter::seeded(1);
    let path = cluster.folder().join("pods.json");
    let items: Vec<Value> = (0..PODS).map(|number| large_pod(number, &mut random)).collect();
    let list = json!({ "apiVersion": "v1", "kind": "List", "items": items });
    std::fs::write(&path, list.to_string()).expect("the work folder can be written");
    cluster.kubectl(&["create", "-f", path.to_str().expect("UTF-8")]);
}

/// Numbers, which are compressed to a half, like most objects not to nothing.
fn large_pod(number: usize, random: &mut Jitter) -> Value {
    let mut value = String::with_capacity(POD_BYTES + 32);
    while value.len() < POD_BYTES {
        let _ = write!(value, "{}", random.next());
    }
    json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": { "name": format!("large-{number}") },
        "spec": {
            "nodeName": NODE,
            "tolerations": [{ "operator": "Exists" }],
            "containers": [{ "name": "large", "image": "none", "env": [{ "name": "LARGE", "value": value }] }],
        },
    })
}
