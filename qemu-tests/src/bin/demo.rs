//! What Skerry is, in one command (`./just demo`): a machine boots from a finished image, joins a control plane that is
//! somewhere else, and runs a pod that answers over the network.
//!
//! The control plane runs on loopback and the machine in QEMU; the join file is made and put on the machine's disk by
//! the commands that users run. At a terminal all of it stays up until Ctrl-C; otherwise, and with `--once`, it ends
//! after the checks.

use std::io::IsTerminal as _;
use std::time::Instant;

use skerry_builder::arch::Arch;
use skerry_builder::cli::{Talk, When};
use skerry_builder::env::in_ci;
use skerry_builder::printer::Printer;
use skerry_builder::progress::terminal;
use skerry_builder::qemu::accel::{self, AccelChoice};
use skerry_builder::qemu::machine::Accel;
use skerry_firstboot::node::state::NodeState;
use skerry_qemu_tests::control_plane::programs::kubernetes_version;
use skerry_qemu_tests::control_plane::{ControlPlane, Joiners};
use skerry_qemu_tests::join_file;
use skerry_qemu_tests::node::Start;
use skerry_qemu_tests::scene::Scene;
use skerry_qemu_tests::workload::{self, PRELOADED};

const NAME: &str = "demo";
const MEMORY_MIB: u64 = 512;
/// What QEMU says when the processor's virtualisation meets code that it cannot run.
const KVM_BROKEN: &str = "KVM internal error";

/// What happens after the checks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Then {
    End,
    Stay,
}

fn main() {
    let once = std::env::args().any(|argument| argument == "--once");
    let then = match once || in_ci() || !std::io::stdin().is_terminal() {
        true => Then::End,
        false => Then::Stay,
    };
    let printer = Printer::new(&Talk {
        quiet: 0,
        verbose: 0,
        color: When::Auto,
        progress: When::Auto,
    });
    // What fails says why in a sentence of its own; where in the code that was helps nobody here. The control plane and
    // the machine end with this process.
    std::panic::set_hook(Box::new(move |failure| {
        let reason = failure.payload_as_str().unwrap_or("the demo failed");
        printer.say(&format!("error: {reason}"));
        std::process::exit(1);
    }));
    let words: Vec<String> = std::env::args().collect();
    let arch = words.iter().find_map(|word| word.strip_prefix("--arch="));
    let arch = arch.map_or(Ok(Arch::X86_64), str::parse);
    let arch = arch.unwrap_or_else(|error| panic!("--arch: {error}"));
    Demo { printer, arch }.run(then);
}

struct Demo {
    printer: Printer,
    arch: Arch,
}

impl Demo {
    fn run(&self, then: Then) {
        let mut scene = self.set_the_scene();
        let name = self.join(&mut scene);
        self.run_the_page(&scene);
        self.show(&scene, &["get", "nodes", "-o", "wide"]);
        self.show(&scene, &["get", "pods", "-o", "wide"]);
        self.fetch_the_page(&scene);
        self.show(&scene, &["logs", "page"]);
        self.show(&scene, &["exec", "page", "--", "cat", "/www/index.html"]);
        if then == Then::Stay {
            self.stay(&scene, &name);
        }
    }

    /// The image, the control plane and the machine, with a join file on its disk.
    fn set_the_scene(&self) -> Scene {
        let start = Instant::now();
        let image = workload::build(&format!("demo-image-{}", self.arch), self.arch);
        let words = format!("{} with the page preloaded", image.artifact("raw").display());
        self.printer.step("Built", &words, start.elapsed());

        let start = Instant::now();
        let reporter = terminal::for_printer(&self.printer);
        let cluster = ControlPlane::start_telling(NAME, Joiners::Guests, reporter.as_ref());
        let words = format!(
            "a control plane, Kubernetes {}, on 127.0.0.1:{}",
            kubernetes_version(),
            cluster.port()
        );
        self.printer.step("Started", &words, start.elapsed());

        let start = Instant::now();
        let (file, token) = join_file::skerry(&cluster);
        let mut scene = Scene::with(NAME, &image, cluster, Start::Firmware);
        scene.node.seed(&file);
        let words = format!("a join file with token {} onto the machine's EFI partition", token.id);
        self.printer.step("Put", &words, start.elapsed());

        let (accel, word) = accel::choose(AccelChoice::Auto, self.arch).expect("emulation always works");
        word.iter().for_each(|word| self.printer.say(word));
        scene.node.hardware().accel = accel;
        scene.node.hardware().memory_mib = MEMORY_MIB;
        scene
    }

    /// Powers the machine on, shows what its console says, and returns the node's name.
    fn join(&self, scene: &mut Scene) -> String {
        let (ready, failed) = (NodeState::Ready.line(""), NodeState::Failed.line(""));
        let ends = [ready.as_str(), failed.as_str(), KVM_BROKEN];
        loop {
            let start = Instant::now();
            scene.node.power_on();
            let line = scene
                .node
                .expect_one_of(&ends, &mut |line| self.printer.say(&format!("  | {line}")));
            if line.contains(KVM_BROKEN) && scene.node.hardware().accel == Accel::Kvm {
                self.printer.say("KVM gave up; starting again under emulation");
                scene.node.power_off();
                scene.node.hardware().accel = Accel::Tcg;
                continue;
            }
            assert!(line.contains(&ready), "the machine did not join: {line}");
            let name = scene.cluster.wait_for_any_node();
            let words = format!("node {name} is Ready, {MEMORY_MIB} MiB of memory, time since power-on");
            self.printer.step("Joined", &words, start.elapsed());
            return name;
        }
    }

    fn run_the_page(&self, scene: &Scene) {
        let start = Instant::now();
        scene.run(&workload::page_pod(PRELOADED));
        self.printer
            .step("Running", "pod page, from the image on the machine", start.elapsed());
    }

    fn fetch_the_page(&self, scene: &Scene) {
        let answer = scene.expect_page();
        let page = answer.split_once("\r\n\r\n").map_or(answer.as_str(), |(_, page)| page);
        self.print(&format!("$ curl http://127.0.0.1:{}/\n{page}\n", scene.page_port()));
    }

    /// Runs `kubectl` and shows the command with what it prints.
    fn show(&self, scene: &Scene, arguments: &[&str]) {
        let printed = scene.cluster.kubectl(arguments);
        self.print(&format!("$ kubectl {}\n{printed}\n", arguments.join(" ")));
    }

    fn stay(&self, scene: &Scene, name: &str) {
        let kubectl = scene.cluster.client("kubectl");
        self.printer.say(&format!(
            "The machine and its control plane run until Ctrl-C. Try:\n  \
             export KUBECONFIG={}\n  {} describe node {name}\n  curl http://127.0.0.1:{}/",
            scene.cluster.kubeconfig().display(),
            kubectl.display(),
            scene.page_port()
        ));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let interrupted = runtime
            .expect("a runtime can be made")
            .block_on(tokio::signal::ctrl_c());
        interrupted.expect("signals can be heard");
        self.printer.say("\nStopping the machine and the control plane");
    }

    fn print(&self, text: &str) {
        self.printer.data(text).expect("standard output can be written");
    }
}
