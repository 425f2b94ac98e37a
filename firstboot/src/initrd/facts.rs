//! What later programs should know about the way the machine came up: `/run/skerry/boot.json`.
//!
//! Times are seconds since the kernel started counting (`CLOCK_BOOTTIME`), rounded to milliseconds.

use serde::{Deserialize, Serialize};

use nix::time::{ClockId, clock_gettime};

use super::cmdline::Cmdline;
use super::device_mapper::Mapped;
use super::disks::TableKind;
use super::failure::BootError;
use super::handover::{Identity, write_file};
use super::machine_id::MachineIdSource;
use super::root_disk::RootDisk;

/// Where the facts lie.
pub const PATH: &str = "/run/skerry/boot.json";
/// Where the machine id of this boot lies, for the unit that stores it on var.
pub const MACHINE_ID_PATH: &str = "/run/skerry/machine-id";

/// Where the name of a disk lies on which var is to be made by `skerry-node grow-disk`. Its unit starts nothing on machines
/// without this file.
pub const GROW_PATH: &str = "/run/skerry/grow-disk";

/// The format of the file. Fields are only ever added within version 1.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct BootFacts {
    /// The version of this format.
    pub version: u32,
    /// `skerry.slot=` of the command line.
    pub slot: Option<String>,
    /// 64 hex digits.
    pub root_hash: String,
    /// The verified device, such as `/dev/dm-0`.
    pub root_device: String,
    /// The partition below it.
    pub root_partition: String,
    /// The partition with its hashes: the same one if they lie behind the file system.
    pub verity_partition: String,
    /// The whole disk of both.
    pub disk: String,
    /// The disk's partition table.
    #[serde(default)]
    pub partition_table: TableKind,
    /// What became of var.
    pub var: Var,
    /// Where the machine id comes from.
    pub machine_id_source: MachineIdSource,
    /// The watchdog that is running, such as `watchdog0`.
    pub watchdog: Option<String>,
    /// How far the boot was when, in order.
    pub steps: Vec<Step>,
}

/// What became of var.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub enum Var {
    /// There is no such partition; systemd-repart, or `skerry-node grow-disk`, makes it at the first boot.
    Absent,
    /// It is mounted.
    Mounted {
        /// Its device.
        device: String,
    },
    /// It is there but cannot be used.
    Failed {
        /// Its device, or the disk if its table cannot be read.
        device: String,
        /// Why.
        reason: String,
    },
}

/// A step that was done at some time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// Which.
    pub name: String,
    /// When it was done.
    pub seconds: f64,
}

/// Collects the steps.
#[derive(Debug, Clone, Default)]
pub struct Stopwatch(Vec<Step>);

impl Stopwatch {
    /// The step of this name is done now.
    pub fn mark(&mut self, name: &str) {
        let since_start = clock_gettime(ClockId::CLOCK_BOOTTIME).map_or(0, |time| {
            time.tv_sec()
                .saturating_mul(1000)
                .saturating_add(time.tv_nsec() / 1_000_000)
        });
        self.0.push(Step {
            name: name.to_owned(),
            seconds: since_start as f64 / 1000.0,
        });
    }
}

impl BootFacts {
    /// With nothing but the root.
    pub fn new(cmdline: &Cmdline, root: &RootDisk, mapped: &Mapped) -> Self {
        Self {
            version: 1,
            slot: cmdline.slot.clone(),
            root_hash: cmdline.root_hash.to_string(),
            root_device: mapped.node.display().to_string(),
            root_partition: root.root.node().display().to_string(),
            verity_partition: root.hashes.device.node().display().to_string(),
            disk: root.disk.device.node().display().to_string(),
            partition_table: root.table,
            var: Var::Absent,
            machine_id_source: MachineIdSource::Random,
            watchdog: None,
            steps: Vec::new(),
        }
    }

    /// The same with what became of var.
    #[must_use]
    pub fn var(self, var: Var) -> Self {
        Self { var, ..self }
    }

    /// The same with the source of the machine id.
    #[must_use]
    pub fn machine_id(self, identity: Identity) -> Self {
        Self {
            machine_id_source: identity.source,
            ..self
        }
    }

    /// The same with the running watchdog.
    #[must_use]
    pub fn watchdog(self, name: Option<&str>) -> Self {
        Self {
            watchdog: name.map(str::to_owned),
            ..self
        }
    }

    /// The same with the steps.
    #[must_use]
    pub fn steps(self, stopwatch: Stopwatch) -> Self {
        Self {
            steps: stopwatch.0,
            ..self
        }
    }

    /// Writes the file.
    pub fn write(&self) -> Result<(), BootError> {
        let mut text = serde_json::to_string(self).expect("a struct of strings and finite numbers");
        text.push('\n');
        write_file(PATH, &text, 0o444)?;
        match self.grows() {
            true => write_file(GROW_PATH, &format!("{}\n", self.disk), 0o444),
            false => Ok(()),
        }
    }

    /// Whether var is to be made by us: systemd-repart knows no table but a GPT.
    fn grows(&self) -> bool {
        self.partition_table == TableKind::Mbr && self.var == Var::Absent
    }

    /// One line for the console.
    pub fn summary(&self) -> String {
        let var = match &self.var {
            Var::Absent => "no var yet".to_owned(),
            Var::Mounted { device } => format!("var on {device}"),
            Var::Failed { device, .. } => format!("var on {device} is UNUSABLE"),
        };
        let steps: Vec<_> = self
            .steps
            .iter()
            .map(|step| format!("{} {:.3}", step.name, step.seconds))
            .collect();
        format!(
            "root {}… verified on {}, {var}; {} s",
            &self.root_hash[..8],
            self.root_partition,
            steps.join(", ")
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOLDEN: &str = concat!(
        r#"{"version":1,"slot":"a","root-hash":"00112233","root-device":"/dev/dm-0","root-partition":"/dev/vda2","#,
        r#""verity-partition":"/dev/vda3","disk":"/dev/vda","partition-table":"gpt","#,
        r#""var":{"state":"mounted","device":"/dev/vda6"},"#,
        r#""machine-id-source":"stored","watchdog":null,"steps":[{"name":"start","seconds":1.25}]}"#
    );

    #[test]
    fn the_file_reads_as_it_always_did() {
        let facts: BootFacts = serde_json::from_str(GOLDEN).unwrap();
        assert_eq!(serde_json::to_string(&facts).unwrap(), GOLDEN);
        let before = GOLDEN.replace(r#""partition-table":"gpt","#, "");
        assert_eq!(serde_json::from_str::<BootFacts>(&before).unwrap(), facts);
        assert_eq!(
            facts.summary(),
            "root 00112233… verified on /dev/vda2, var on /dev/vda6; start 1.250 s"
        );
    }

    #[test]
    fn var_is_ours_to_make_only_on_a_disk_with_an_mbr_that_has_none() {
        let facts: BootFacts = serde_json::from_str(GOLDEN).unwrap();
        let with = |partition_table, var| BootFacts {
            partition_table,
            var,
            ..facts.clone()
        };
        assert!(with(TableKind::Mbr, Var::Absent).grows());
        assert!(!with(TableKind::Gpt, Var::Absent).grows());
        assert!(!with(TableKind::Mbr, facts.var.clone()).grows());
    }

    #[test]
    fn steps_are_told_in_the_order_of_time() {
        let mut stopwatch = Stopwatch::default();
        stopwatch.mark("one");
        stopwatch.mark("two");
        assert!(stopwatch.0[0].seconds > 0.0 && stopwatch.0[0].seconds <= stopwatch.0[1].seconds);
    }
}
