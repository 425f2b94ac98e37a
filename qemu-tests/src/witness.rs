//! What a node's root sees of its relay.

use crate::scene::Scene;
use crate::workload::{PRELOADED, powerful_pod};

/// The store's folder, from a pod that sees the node's processes.
const STORE: &str = "/proc/1/root/var/lib/skerry/relay";
/// Prints a file of the relay's process (proc(5)). Arguments end with a null character, which the shell leaves out; its own
/// process must not be taken for the relay.
const RELAY: &str = r#"for process in /proc/[0-9]*; do
    case "$(cat $process/comm)$(cat $process/cmdline)" in skerry-node*noderelay*) cat $process/FILE;; esac
done 2>/dev/null"#;

/// Somebody who looks: a pod with the rights of root.
#[derive(Debug)]
pub struct Witness<'a>(&'a Scene);

impl<'a> Witness<'a> {
    /// Starts it.
    pub fn call(scene: &'a Scene) -> Self {
        let pod = powerful_pod("witness", PRELOADED, "exec sleep 1000000");
        scene.run(&pod);
        Self(scene)
    }

    /// Kind, mode, owner and group of the store's folder, then of each file in it.
    pub fn store(&self) -> String {
        self.run(&format!("stat -c '%F %a %u %g' {STORE} {STORE}/*"))
    }

    /// What the relay has in memory.
    pub fn relay_memory_kib(&self) -> u64 {
        self.relay_number("status", "VmRSS:")
    }

    /// What the relay has had written to the disk since it was started.
    pub fn relay_written_bytes(&self) -> u64 {
        self.relay_number("io", "write_bytes:")
    }

    fn relay_number(&self, file: &str, key: &str) -> u64 {
        let text = self.run(&RELAY.replace("FILE", file));
        let number = text
            .lines()
            .find_map(|line| line.strip_prefix(key)?.split_whitespace().next());
        let number = number.unwrap_or_else(|| panic!("no {key} of a relay: {text}"));
        number.parse().expect("it is a number")
    }

    fn run(&self, script: &str) -> String {
        self.0.cluster.kubectl(&["exec", "witness", "--", "sh", "-c", script])
    }
}
