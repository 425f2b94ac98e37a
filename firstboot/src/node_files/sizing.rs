//! How much of a machine's memory its pods may have.
//!
//! kubelet's own defaults are for servers: at 256 MiB its eviction threshold of 100 MiB evicts every pod at once, and
//! what distributions reserve (KKP: 400 MiB) is more than there is. Reservations grow more slowly than the memory,
//! because the system's own programs do not grow; what grows are the shims, one for each pod.

use super::facts::MachineFacts;
use crate::join_config::KubeletSettings;

/// Bytes in a mebibyte.
pub const MIB: u64 = 1 << 20;

/// `MemTotal` up to which a machine counts as small: 512 MiB, of which the kernel keeps a few for itself, and what
/// machines with a megabyte more call so.
pub const SMALL_BYTES: u64 = 520 * MIB;
/// `MemTotal` up to which heaps are bounded.
pub const MIDDLE_BYTES: u64 = 1100 * MIB;

/// How a machine's memory is shared out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sizing {
    /// Pods at most.
    pub max_pods: u32,
    /// Kept from pods, in bytes.
    pub reserved_bytes: u64,
    /// Kept from pods, in thousandths of a processor.
    pub reserved_millicpus: u32,
    /// Below so much available memory pods are evicted, in bytes.
    pub eviction_bytes: u64,
    /// Soft limit for the heap of kubelet, and for that of containerd, in bytes.
    pub heap_limit_bytes: Option<u64>,
    /// By how many percent a heap may grow before it is collected; Go's own value if none.
    pub heap_growth_percent: Option<u32>,
}

impl Sizing {
    /// The shares of a machine, where `settings` do not fix them.
    pub fn of(facts: &MachineFacts, settings: &KubeletSettings) -> Self {
        let memory = facts.memory_bytes;
        let mebibytes = memory / MIB;
        let reserved = (memory / 4).min(64 * MIB + memory / 16);
        // What is still there when the threshold is reached must not be eaten by the threshold itself.
        let eviction = (memory / 32).clamp(4 * MIB, 100 * MIB);
        Self {
            max_pods: settings.max_pods.unwrap_or((mebibytes / 16).clamp(12, 110) as u32),
            reserved_bytes: whole(settings.reserved_memory.unwrap_or(reserved)),
            reserved_millicpus: (50 * facts.cpus.min(4)).max(50),
            eviction_bytes: whole(settings.eviction_memory.unwrap_or(eviction)),
            heap_limit_bytes: (memory <= MIDDLE_BYTES).then(|| whole((memory / 4).max(48 * MIB))),
            heap_growth_percent: (memory <= SMALL_BYTES).then_some(50),
        }
    }

    /// Environment lines for a Go program. A soft limit makes the collector work instead of the kernel's out-of-memory
    /// killer; below it, a growth of half instead of the whole heap costs a little processor time and saves about 10 MB
    /// in each of kubelet and containerd.
    pub fn heap_environment(&self) -> String {
        let mut lines = String::new();
        if let Some(bytes) = self.heap_limit_bytes {
            lines.push_str(&format!("GOMEMLIMIT={}MiB\n", bytes / MIB));
        }
        if let Some(percent) = self.heap_growth_percent {
            lines.push_str(&format!("GOGC={percent}\n"));
        }
        lines
    }
}

/// Whole mebibytes, so that the numbers are readable; never none at all of something that was asked for.
fn whole(bytes: u64) -> u64 {
    match bytes {
        0 => 0,
        _ => (bytes / MIB).max(1) * MIB,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sizing(memory_bytes: u64) -> Sizing {
        let facts = MachineFacts { memory_bytes, cpus: 1 };
        Sizing::of(&facts, &KubeletSettings::default())
    }

    /// Measured on a machine of 256 MiB: 219 MiB managed by the kernel, about 53 MiB of them anonymous memory of the
    /// system's own programs when it is idle and joined.
    #[test]
    fn a_machine_of_256_mib_leaves_its_first_pod_more_than_half_and_does_not_evict_it() {
        let sizing = sizing(219 * MIB);
        let for_pods = 219 * MIB - sizing.reserved_bytes - sizing.eviction_bytes;
        assert!(for_pods > 150 * MIB, "{sizing:?}");
        assert!(
            219 * MIB - 53 * MIB - 40 * MIB > 4 * sizing.eviction_bytes,
            "{sizing:?}"
        );
        assert_eq!(sizing.max_pods, 13);
    }

    #[test]
    fn a_large_machine_has_the_usual_pods_and_threshold_and_free_heaps() {
        let sizing = sizing(7900 * MIB);
        assert_eq!((sizing.max_pods, sizing.eviction_bytes), (110, 100 * MIB));
        assert_eq!(sizing.heap_environment(), "");
    }

    #[test]
    fn what_the_join_file_says_is_taken() {
        let facts = MachineFacts {
            memory_bytes: 480 * MIB,
            cpus: 2,
        };
        let settings = KubeletSettings {
            max_pods: Some(5),
            reserved_memory: Some(33 * MIB),
            eviction_memory: Some(9 * MIB),
            ..KubeletSettings::default()
        };
        let sizing = Sizing::of(&facts, &settings);
        assert_eq!(
            (sizing.max_pods, sizing.reserved_bytes, sizing.eviction_bytes),
            (5, 33 * MIB, 9 * MIB)
        );
    }

    #[test]
    fn heaps_of_small_machines_are_bounded() {
        assert_eq!(sizing(219 * MIB).heap_environment(), "GOMEMLIMIT=54MiB\nGOGC=50\n");
        assert_eq!(sizing(970 * MIB).heap_environment(), "GOMEMLIMIT=242MiB\n");
    }

    proptest! {
        #[test]
        fn pods_always_get_more_than_the_half_and_more_memory_never_means_less(memory in 128 * MIB..64 * 1024 * MIB) {
            let (less, more) = (sizing(memory), sizing(memory + 64 * MIB));
            let for_pods = |memory: u64, sizing: &Sizing| memory - sizing.reserved_bytes - sizing.eviction_bytes;
            prop_assert!(for_pods(memory, &less) * 2 > memory);
            prop_assert!(for_pods(memory + 64 * MIB, &more) > for_pods(memory, &less));
            prop_assert!(more.max_pods >= less.max_pods);
        }
    }
}
