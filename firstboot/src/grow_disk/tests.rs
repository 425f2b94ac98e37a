use super::*;
use crate::initrd::mbr::tests::golden;
use crate::initrd::mbr::{Mbr, VAR};

const MIB: u64 = 2048;

/// Writes down what is done, and fails at one step.
#[derive(Default)]
struct Recorder {
    done: Vec<&'static str>,
    fails_at: Option<&'static str>,
    table: Option<[u8; SECTOR_BYTES]>,
}

impl Recorder {
    fn step(&mut self, name: &'static str) -> Result<(), GrowError> {
        if self.fails_at == Some(name) {
            return Err(GrowError::Run(io::ErrorKind::Other.into()));
        }
        self.done.push(name);
        Ok(())
    }
}

impl Disk for Recorder {
    fn show_partition(&mut self, _: Entry) -> Result<(), GrowError> {
        self.step("partition")
    }

    fn make_file_system(&mut self) -> Result<(), GrowError> {
        self.step("file system")
    }

    fn write_table(&mut self, sector: &[u8; SECTOR_BYTES]) -> Result<(), GrowError> {
        self.step("table")?;
        self.table = Some(*sector);
        Ok(())
    }

    fn announce(&mut self) -> Result<(), GrowError> {
        self.step("announced")
    }
}

#[test]
fn the_table_is_written_when_the_file_system_is_whole() {
    let plan = plan(&golden(), 300 * MIB).unwrap().unwrap();
    let mut disk = Recorder::default();
    carry_out(&plan, &mut disk).unwrap();
    assert_eq!(disk.done, ["partition", "file system", "table", "announced"]);
    let table = Mbr::parse(&disk.table.unwrap()).unwrap();
    assert_eq!(table.entry(VAR), Some(plan.var));
    assert_eq!(Outcome::Made(plan.var).to_string(), "made var of 203 MiB");
}

#[test]
fn a_failure_before_the_table_leaves_it_as_it_was() {
    let plan = plan(&golden(), 300 * MIB).unwrap().unwrap();
    for fails_at in ["partition", "file system", "table"] {
        let mut disk = Recorder {
            fails_at: Some(fails_at),
            ..Recorder::default()
        };
        assert!(carry_out(&plan, &mut disk).is_err());
        assert_eq!(disk.table, None, "{fails_at}");
    }
}

#[test]
fn on_a_disk_with_a_gpt_nothing_is_opened() {
    let root = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(root.path().join("run/skerry")).unwrap();
    let facts = concat!(
        r#"{"version":1,"slot":null,"root-hash":"00","root-device":"/dev/dm-0","root-partition":"/dev/vda2","#,
        r#""verity-partition":"/dev/vda3","disk":"/dev/vda","var":{"state":"absent"},"#,
        r#""machine-id-source":"random","watchdog":null,"steps":[]}"#
    );
    let path = root.path().join("run/skerry/boot.json");
    std::fs::write(&path, facts).unwrap();
    assert_eq!(grow(root.path()).unwrap(), Outcome::NotOurs);
    std::fs::remove_file(path).unwrap();
    assert!(matches!(grow(root.path()), Err(GrowError::Facts { .. })));
}
