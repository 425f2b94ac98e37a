//! What the node's root sees of the relay.

use skerry_qemu_tests::outpost::Outpost;
use skerry_qemu_tests::workload::{PRELOADED, powerful_pod};

/// The store's folder, from a pod that sees the node's processes.
const STORE: &str = "/proc/1/root/var/lib/skerry/relay";
/// `VmRSS` of the relay (proc(5)): arguments end with a null character, which the shell leaves out.
const MEMORY: &str = r#"for process in /proc/[0-9]*; do
    case "$(cat $process/comm)$(cat $process/cmdline)" in skerry-node*noderelay*) cat $process/status;; esac
done 2>/dev/null"#;
const MEMORY_GOAL_KIB: u64 = 8 << 10;

/// Somebody who looks.
pub struct Witness<'a>(&'a Outpost);

impl<'a> Witness<'a> {
    /// Starts a pod with the rights of root.
    pub fn call(outpost: &'a Outpost) -> Self {
        let pod = powerful_pod("witness", PRELOADED, "exec sleep 1000000");
        outpost.scene.run(&pod);
        Self(outpost)
    }

    /// Modes and owners.
    pub fn the_store_is_roots_alone(&self) {
        let text = self.run(&format!("stat -c '%F %a %u %g' {STORE} {STORE}/*"));
        let mut lines = text.lines();
        assert_eq!(lines.next(), Some("directory 700 0 0"), "{text}");
        let files: Vec<&str> = lines.collect();
        assert!(files.len() >= 2, "no key or no log: {text}");
        assert!(files.iter().all(|file| *file == "regular file 600 0 0"), "{text}");
    }

    /// What the relay has in memory.
    pub fn the_relay_is_small(&self) {
        let status = self.run(MEMORY);
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = line.and_then(|line| line.trim().strip_suffix(" kB"));
        let kib: u64 = kib.unwrap_or_else(|| panic!("no relay: {status}")).parse().unwrap();
        println!("the relay has {kib} KiB in memory");
        assert!(kib <= MEMORY_GOAL_KIB, "{status}");
    }

    fn run(&self, script: &str) -> String {
        let cluster = &self.0.scene.cluster;
        cluster.kubectl(&["exec", "witness", "--", "sh", "-c", script])
    }
}
