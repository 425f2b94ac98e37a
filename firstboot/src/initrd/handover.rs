//! Builds the new root below /sysroot and goes there.
//!
//! `/run/systemd/volatile-root` is deliberately not written: systemd-repart finds the disk through the device number of
//! `/`, the two partitions below the mapped device, and the disk that both are on. The link is for roots whose own file
//! system is an overlay; here only /etc is.

use std::ffi::CString;
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;

use nix::mount::{MsFlags, mount};
use nix::sys::statfs::{FsType, TMPFS_MAGIC, statfs};
use nix::unistd::{chdir, chroot, execve};

use super::cmdline::Cmdline;
use super::console;
use super::device_mapper::Mapped;
use super::disks::{BlockDevice, Disk, Table, TableError};
use super::facts::{MACHINE_ID_PATH, Var};
use super::failure::BootError;
use super::ids::Guid;
use super::loader::Loader;
use super::machine_id::{MachineId, MachineIdSource};
use super::mbr;
use super::module_index::ModuleName;
use super::mounts::{attach, make_folder, targets};
use super::root_disk::RootDisk;

const SYSROOT: &str = "/sysroot";
/// The service manager itself: `/sbin/init` is a link to it from a package that an image need not have.
const INIT: &str = "/usr/lib/systemd/systemd";
/// "Variable Data Partition" (UAPI Discoverable Partitions).
const VAR_TYPE: &str = "4d21b016-b534-45c2-a9fb-5c16e091fd2d";
const VAR_LABEL: &str = "var";
/// Below var, so `/var/lib/skerry/machine-id` on the running machine.
const STORED_MACHINE_ID: &str = "/sysroot/var/lib/skerry/machine-id";
/// On /run, so in RAM: the changes to /etc, and overlayfs' own folder.
const ETC_UPPER: &str = "/run/skerry/etc/upper";
const ETC_WORK: &str = "/run/skerry/etc/work";
/// `RAMFS_MAGIC` of include/uapi/linux/magic.h: an initrd's root when the kernel has no tmpfs for it.
const RAMFS_MAGIC: FsType = FsType(0x8584_58f6);

/// Mounts the verified root.
pub fn mount_root(mapped: &Mapped) -> Result<(), BootError> {
    make_folder(SYSROOT)?;
    let device = mapped.node.display().to_string();
    attach(&device, SYSROOT, "squashfs", MsFlags::MS_RDONLY, "")
}

/// Mounts var if the root's disk has one. A var that does not mount never stops the boot: a machine that comes up
/// without its data can still be reached and mended, one that restarts for ever cannot. ext4 replays its journal while
/// it mounts, so no check runs first.
pub fn mount_var(root: &RootDisk, loader: &mut Loader) -> Var {
    let partition = match var_partition(&root.disk) {
        Ok(Some(partition)) => partition,
        Ok(None) => return Var::Absent,
        Err(reason) => return var_failed(root.disk.device.node().display().to_string(), reason.to_string()),
    };
    loader.load(&ModuleName::new("ext4"));
    let device = partition.node().display().to_string();
    match mount(
        Some(device.as_str()),
        "/sysroot/var",
        Some("ext4"),
        MsFlags::MS_NOATIME,
        None::<&str>,
    ) {
        Ok(()) => Var::Mounted { device },
        Err(reason) => var_failed(device, reason.to_string()),
    }
}

/// By type and label, or by number where the table is an MBR.
fn var_partition(disk: &Disk) -> Result<Option<&BlockDevice>, TableError> {
    let kind: Guid = VAR_TYPE.parse().expect("a GUID");
    let number = match disk.table()? {
        Table::Mbr(table) => table.entry(mbr::VAR).map(|_| mbr::VAR),
        Table::Gpt(entries) => entries
            .into_iter()
            .find(|entry| entry.kind == kind && entry.label == VAR_LABEL)
            .map(|entry| entry.number),
    };
    Ok(number.and_then(|number| disk.numbered(number)))
}

fn var_failed(device: String, reason: String) -> Var {
    console::alert(&format!("cannot use var on {device}: {reason}; going on without it"));
    Var::Failed { device, reason }
}

/// A machine id and where it comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Identity {
    /// The id.
    pub id: MachineId,
    /// Its source.
    pub source: MachineIdSource,
}

/// Decides on the machine id of this boot and leaves it in `/run/skerry/machine-id`.
pub fn settle_machine_id(cmdline: &Cmdline) -> Result<Identity, BootError> {
    let identity = match (cmdline.machine_id, stored_machine_id()) {
        (Some(id), _) => Identity {
            id,
            source: MachineIdSource::CommandLine,
        },
        (None, Some(id)) => Identity {
            id,
            source: MachineIdSource::Stored,
        },
        (None, None) => Identity {
            id: MachineId::random().map_err(|source| BootError::Read {
                path: "/dev/random".into(),
                source,
            })?,
            source: MachineIdSource::Random,
        },
    };
    write_file(MACHINE_ID_PATH, &format!("{}\n", identity.id), 0o444)?;
    Ok(identity)
}

fn stored_machine_id() -> Option<MachineId> {
    match MachineId::read(Path::new(STORED_MACHINE_ID)) {
        Ok(id) => Some(id),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
        Err(error) => {
            console::warn(&format!(
                "the machine id on var cannot be used, a new one is made: {error}"
            ));
            None
        }
    }
}

/// Puts a layer of RAM over /etc, with the machine id in it.
pub fn overlay_etc(identity: Identity) -> Result<(), BootError> {
    make_folder(ETC_WORK)?;
    let id_path = format!("{ETC_UPPER}/machine-id");
    write_file(&id_path, &format!("{}\n", identity.id), 0o444)?;
    // The mounted folder takes its mode from the upper one.
    set_mode(ETC_UPPER, 0o755)?;
    let options = format!("lowerdir={SYSROOT}/etc,upperdir={ETC_UPPER},workdir={ETC_WORK}");
    attach("etc", "/sysroot/etc", "overlay", MsFlags::empty(), &options)
}

/// Writes a file of one of the RAM file systems, whole, and its folders.
pub fn write_file(path: &str, text: &str, mode: u32) -> Result<(), BootError> {
    if let Some(folder) = Path::new(path).parent().and_then(Path::to_str) {
        make_folder(folder)?;
    }
    fs::write(path, text).map_err(|source| BootError::Write {
        path: path.into(),
        source,
    })?;
    set_mode(path, mode)
}

fn set_mode(path: &str, mode: u32) -> Result<(), BootError> {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).map_err(|source| BootError::Write {
        path: path.into(),
        source,
    })
}

/// Makes /sysroot the root and becomes its init.
pub fn switch_root() -> Result<std::convert::Infallible, BootError> {
    let step = |step| move |source| BootError::SwitchRoot { step, source };
    for target in targets() {
        let inside = format!("{SYSROOT}{target}");
        mount(
            Some(target),
            inside.as_str(),
            None::<&str>,
            MsFlags::MS_MOVE,
            None::<&str>,
        )
        .map_err(step("move the kernel's mounts into"))?;
    }
    chdir(SYSROOT).map_err(step("enter"))?;
    free_initrd();
    mount(Some("."), "/", None::<&str>, MsFlags::MS_MOVE, None::<&str>).map_err(step("mount"))?;
    chroot(".").and_then(|()| chdir("/")).map_err(step("enter"))?;
    start_init()
}

/// Gives back the memory that the initrd's files take. They could not be reached any more.
fn free_initrd() {
    let in_memory = statfs("/").is_ok_and(|stat| matches!(stat.filesystem_type(), TMPFS_MAGIC | RAMFS_MAGIC));
    // Anything else is no initrd but somebody's disk.
    if in_memory && let Ok(root) = fs::metadata("/") {
        remove_below(Path::new("/"), root.dev());
    }
}

/// Removes what it can on this device; mount points and what is behind them stay.
fn remove_below(folder: &Path, device: u64) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        match fs::symlink_metadata(&path) {
            Ok(metadata) if metadata.dev() != device => {}
            Ok(metadata) if metadata.is_dir() => {
                remove_below(&path, device);
                let _ = fs::remove_dir(&path);
            }
            _ => {
                let _ = fs::remove_file(&path);
            }
        }
    }
}

/// Passes on the arguments that the kernel gave, and of the environment only the kind of terminal: the kernel puts
/// unknown words of its command line there.
fn start_init() -> Result<std::convert::Infallible, BootError> {
    let path = CString::new(INIT).expect("no NUL in a constant");
    let arguments = std::env::args()
        .skip(1)
        .filter_map(|argument| CString::new(argument).ok());
    let arguments: Vec<_> = std::iter::once(path.clone()).chain(arguments).collect();
    let terminal = std::env::var("TERM").unwrap_or_else(|_| "linux".to_owned());
    let environment = CString::new(format!("TERM={terminal}")).into_iter().collect::<Vec<_>>();
    execve(&path, &arguments, &environment).map_err(|source| BootError::Exec { path: INIT, source })
}
