//! Keeps the machine id that the initrd chose at the first boot, once there is a place to keep it.

use std::io;
use std::path::Path;

use crate::device::is_machine_id;
use crate::persist::persist;

/// Where the initrd leaves the id of this boot.
pub const CHOSEN: &str = "run/skerry/machine-id";
/// Where the initrd looks for it at the next boot.
pub const KEPT: &str = "var/lib/skerry/machine-id";

/// Copies the chosen id to where it lasts, both below `root`. An id that is already kept is never replaced.
pub fn keep(root: &Path) -> io::Result<()> {
    let kept = root.join(KEPT);
    if std::fs::read(&kept).is_ok_and(|text| is_id(text.trim_ascii_end())) {
        return Ok(());
    }
    let chosen = std::fs::read(root.join(CHOSEN))?;
    if !is_id(chosen.trim_ascii_end()) {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            format!("/{CHOSEN} holds no machine id"),
        ));
    }
    std::fs::create_dir_all(root.join("var/lib/skerry"))?;
    persist(&kept, &chosen, 0o444)
}

fn is_id(text: &[u8]) -> bool {
    std::str::from_utf8(text).is_ok_and(is_machine_id)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "0123456789abcdef0123456789abcdef\n";

    fn machine(chosen: &str) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(root.path().join("run/skerry")).unwrap();
        std::fs::create_dir_all(root.path().join("var/lib/skerry")).unwrap();
        std::fs::write(root.path().join(CHOSEN), chosen).unwrap();
        root
    }

    #[test]
    fn the_first_id_is_kept_and_a_later_one_does_not_replace_it() {
        let root = machine(ID);
        keep(root.path()).unwrap();
        std::fs::write(root.path().join(CHOSEN), ID.replace('0', "9")).unwrap();
        keep(root.path()).unwrap();
        assert_eq!(std::fs::read_to_string(root.path().join(KEPT)).unwrap(), ID);
    }

    #[test]
    fn an_empty_file_left_by_a_power_cut_is_replaced() {
        let root = machine(ID);
        std::fs::write(root.path().join(KEPT), "").unwrap();
        keep(root.path()).unwrap();
        assert_eq!(std::fs::read_to_string(root.path().join(KEPT)).unwrap(), ID);
    }

    #[test]
    fn text_that_is_no_id_is_not_kept() {
        for text in ["", "uninitialized\n", &"0".repeat(32), &ID.to_uppercase()] {
            let root = machine(text);
            assert!(keep(root.path()).is_err(), "{text:?}");
        }
    }
}
