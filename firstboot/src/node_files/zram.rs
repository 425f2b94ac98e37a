//! Compressed swap in memory, for small machines: what the system's own programs do not touch shrinks to a third and
//! leaves room for the page cache. Pods do not swap (kubelet's `NoSwap`).
//!
//! The header is written here, in the form of mkswap(8) version 1 (`union swap_header` of linux/swap.h): one page.

use std::io;
use std::path::Path;
use std::process::Command;

use super::facts::MachineFacts;
use super::sizing::SMALL_BYTES;
use crate::join_config::Swap;

const DEVICE: &str = "dev/zram0";
const SIZE: &str = "sys/block/zram0/disksize";

/// `bootbits` before the header's fields.
const FIELDS_AT: usize = 1024;
const MAGIC: &[u8] = b"SWAPSPACE2";

/// What could not be done.
#[derive(Debug, thiserror::Error)]
pub enum ZramError {
    /// A program.
    #[error("{0} failed: {1}")]
    Program(&'static str, String),
    /// A file of the kernel.
    #[error("cannot write /{0}")]
    Write(&'static str, #[source] io::Error),
}

/// How large the swap is to be, uncompressed; none if there shall be none.
pub fn size_bytes(facts: &MachineFacts, swap: Swap) -> Option<u64> {
    let wanted = match swap {
        Swap::None => false,
        Swap::Zram => true,
        Swap::Auto => facts.memory_bytes <= SMALL_BYTES,
    };
    wanted.then_some((facts.memory_bytes / 2) & !0xf_ffff)
}

/// The first page of a swap area of `bytes`.
pub fn header(bytes: u64, page_bytes: usize) -> Vec<u8> {
    let last_page = u32::try_from(bytes / page_bytes as u64)
        .unwrap_or(u32::MAX)
        .saturating_sub(1);
    let mut page = vec![0; page_bytes];
    page[FIELDS_AT..FIELDS_AT + 4].copy_from_slice(&1u32.to_ne_bytes());
    page[FIELDS_AT + 4..FIELDS_AT + 8].copy_from_slice(&last_page.to_ne_bytes());
    page[page_bytes - MAGIC.len()..].copy_from_slice(MAGIC);
    page
}

/// Sets the swap up below `root`, unless it is there or not wanted. Pages are read one at a time and swapping comes
/// before dropping the page cache, as fits memory instead of a disk.
pub fn set_up(root: &Path, facts: &MachineFacts, swap: Swap) -> Result<(), ZramError> {
    let Some(bytes) = size_bytes(facts, swap) else {
        return Ok(());
    };
    let active = std::fs::read_to_string(root.join("proc/swaps")).unwrap_or_default();
    if active.contains("/zram0") {
        return Ok(());
    }
    run("modprobe", &["zram"])?;
    let write = |path: &'static str, content: &[u8]| {
        let written = std::fs::OpenOptions::new().write(true).open(root.join(path));
        written
            .and_then(|mut file| io::Write::write_all(&mut file, content))
            .map_err(|error| ZramError::Write(path, error))
    };
    write(SIZE, bytes.to_string().as_bytes())?;
    write(DEVICE, &header(bytes, page_bytes()))?;
    run("swapon", &["-p", "100", "/dev/zram0"])?;
    write("proc/sys/vm/swappiness", b"100")?;
    write("proc/sys/vm/page-cluster", b"0")
}

fn page_bytes() -> usize {
    let asked = nix::unistd::sysconf(nix::unistd::SysconfVar::PAGE_SIZE);
    asked
        .ok()
        .flatten()
        .and_then(|size| usize::try_from(size).ok())
        .unwrap_or(4096)
}

fn run(program: &'static str, arguments: &[&str]) -> Result<(), ZramError> {
    let output = Command::new(program)
        .args(arguments)
        .output()
        .map_err(|error| ZramError::Program(program, error.to_string()))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(ZramError::Program(program, said))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::node_files::sizing::MIB;

    fn machine(mebibytes: u64) -> MachineFacts {
        MachineFacts {
            memory_bytes: mebibytes * MIB,
            cpus: 1,
        }
    }

    #[test]
    fn small_machines_get_half_of_their_memory_and_others_only_if_asked() {
        assert_eq!(size_bytes(&machine(219), Swap::Auto), Some(109 * MIB));
        assert_eq!(size_bytes(&machine(480), Swap::Auto), Some(240 * MIB));
        assert_eq!(size_bytes(&machine(980), Swap::Auto), None);
        assert_eq!(size_bytes(&machine(980), Swap::Zram), Some(490 * MIB));
        assert_eq!(size_bytes(&machine(219), Swap::None), None);
    }

    #[test]
    fn swap_that_is_active_is_left_alone() {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir(root.path().join("proc")).unwrap();
        std::fs::write(
            root.path().join("proc/swaps"),
            "Filename Type\n/dev/zram0 partition 1 0 100\n",
        )
        .unwrap();
        set_up(root.path(), &machine(219), Swap::Auto).unwrap();
    }

    #[test]
    fn the_header_is_what_mkswap_writes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("swap");
        std::fs::File::create(&path).unwrap().set_len(4 * MIB).unwrap();
        let made = Command::new("/usr/sbin/mkswap")
            .args(["-q", "-p", "4096", "-U", "00000000-0000-0000-0000-000000000000"])
            .arg(&path)
            .status();
        match made {
            Ok(status) if status.success() => {
                let page = std::fs::read(&path).unwrap();
                assert!(page[..4096] == header(4 * MIB, 4096), "the pages differ");
            }
            other => println!("skipped: mkswap is not here to judge ({other:?})"),
        }
    }
}
