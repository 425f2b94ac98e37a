//! `skerry run`: boots a built image in QEMU; with `--join` it joins, with `--until` it is a smoke test.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use skerry_firstboot::node::state::NodeState;

use crate::cli::RunArgs;
use crate::definition::{BoardSpec, ImageSpec};
use crate::failure::{Failure, FailureKind};
use crate::printer::Printer;
use crate::qemu::accel::{self, AccelChoice};
use crate::qemu::echo::Echo;
use crate::qemu::machine::{Accel, Boot, Console, DiskBus, Forward};
use crate::qemu::process::Qemu;
use crate::qemu::until::{self, Outcome};
use crate::qemu::{Machine, QemuError, disk_copy, firmware};
use crate::seed::{self as seeding, Change, JoinFile};
use crate::uki;

use super::{duration, file_failed, load_image, output_failed, seed};

/// Boots the image that the command line means.
pub fn run(arguments: &RunArgs, printer: &Printer) -> Result<(), Failure> {
    let spec = load_image(&arguments.image)?;
    let artifacts = arguments.image.directory.join("out").join(&spec.name);
    let built = |end: &str| artifacts.join(format!("{}.{end}", spec.name));
    if !built("raw").exists() {
        let message = format!("{} does not exist", built("raw").display());
        return Err(
            Failure::new(FailureKind::Request, message).hint(format!("build it first: skerry build {}", spec.name))
        );
    }
    let goal = arguments.until.as_deref().map(str::parse::<NodeState>).transpose();
    let goal = goal.map_err(|error| Failure::new(FailureKind::Usage, error.to_string()))?;
    let join = arguments
        .join
        .as_deref()
        .map(|path| seed::read_join_file(path, printer));
    let join = join.transpose()?;
    let timeout = duration::parse("--timeout", &arguments.timeout)?;
    let folder = tempfile::tempdir().map_err(|error| file_failed("make a folder in", &std::env::temp_dir(), &error))?;
    let (accel, word) = accel::choose(arguments.accel.parse::<AccelChoice>()?, spec.architecture)?;
    let boot = prepare_boot(arguments, &spec, &built("efi"), folder.path())?;
    let disk = folder.path().join("disk.raw");
    let machine = Machine {
        arch: spec.architecture,
        disk: disk.clone(),
        disk_bus: arguments.disk.parse::<DiskBus>()?,
        memory_mib: checked_memory(arguments)?,
        accel,
        boot,
        tpm: None,
        forwards: forwards(arguments)?,
        console: if goal.is_some() {
            Console::Output
        } else {
            Console::Terminal
        },
        extra: extra_arguments(arguments),
    };
    if arguments.print_command {
        return print_command(machine, built("raw"), folder, printer);
    }
    prepare_disk(&built("raw"), &disk, arguments, join.as_ref())?;
    word.iter().for_each(|word| printer.say(word));
    match goal {
        Some(goal) => wait_for(machine, goal, timeout, printer),
        None => interact(&machine, printer),
    }
}

fn forwards(arguments: &RunArgs) -> Result<Vec<Forward>, QemuError> {
    arguments.forwards.iter().map(|text| text.parse()).collect()
}

/// The machine's own disk: a copy of the image, as large as a card, with the join file on it as on hardware.
fn prepare_disk(raw: &Path, disk: &Path, arguments: &RunArgs, join: Option<&JoinFile>) -> Result<(), Failure> {
    let copied = disk_copy::copy(raw, disk, arguments.disk_size.bytes());
    copied.map_err(|source| QemuError::File {
        doing: "copy the image to",
        path: disk.to_owned(),
        source,
    })?;
    if let Some(file) = join {
        seeding::seed(disk, Change::Put(file))?;
    }
    Ok(())
}

/// Below this the kernel does not even unpack the initrd.
const LEAST_MEMORY_MIB: u64 = 96;

fn checked_memory(arguments: &RunArgs) -> Result<u64, Failure> {
    let mib = arguments.memory.bytes() >> 20;
    let message = || {
        format!(
            "`--memory {}` is too little: the image needs at least {LEAST_MEMORY_MIB}M to start",
            arguments.memory
        )
    };
    (mib >= LEAST_MEMORY_MIB)
        .then_some(mib)
        .ok_or_else(|| Failure::new(FailureKind::Usage, message()))
}

/// A machine that restarts has not reached what was waited for.
fn extra_arguments(arguments: &RunArgs) -> Vec<String> {
    let ends_at_restart = arguments.until.iter().map(|_| "-no-reboot".to_owned());
    ends_at_restart.chain(arguments.extra.iter().cloned()).collect()
}

/// Prints a command that can be run as it is: the image is not written to, and the firmware's files stay.
fn print_command(machine: Machine, raw: PathBuf, folder: tempfile::TempDir, printer: &Printer) -> Result<(), Failure> {
    let kept = folder.keep();
    printer.detail(&format!("the files of this machine are in {}", kept.display()));
    let extra = std::iter::once("-snapshot".to_owned())
        .chain(machine.extra.iter().cloned())
        .collect();
    let machine = Machine {
        disk: raw,
        extra,
        ..machine
    };
    printer.data(&format!("{}\n", machine.command())).map_err(output_failed)
}

fn prepare_boot(arguments: &RunArgs, spec: &ImageSpec, uki: &Path, folder: &Path) -> Result<Boot, Failure> {
    // What a board's firmware starts itself, UEFI would not find on the disk.
    let is_without_loader = spec.board.as_ref().and_then(BoardSpec::direct_boot).is_some();
    if arguments.direct || is_without_loader {
        return direct(uki, folder);
    }
    let found = firmware::find(Path::new("/"), spec.architecture);
    let found = found.ok_or(QemuError::NoFirmware {
        arch: spec.architecture,
    })?;
    let variables = folder.join("variables.fd");
    let copied = std::fs::copy(&found.variables, &variables);
    copied.map_err(|source| QemuError::File {
        doing: "copy",
        path: found.variables.clone(),
        source,
    })?;
    Ok(Boot::Uefi {
        code: found.code,
        variables,
    })
}

/// Takes kernel, initrd and command line out of the unified kernel image.
fn direct(uki: &Path, folder: &Path) -> Result<Boot, Failure> {
    let bytes = std::fs::read(uki).map_err(|error| file_failed("read", uki, &error))?;
    let sections =
        uki::read(&bytes).map_err(|error| Failure::new(FailureKind::Request, format!("{}: {error}", uki.display())))?;
    let section = |name: &str| {
        let found = sections.iter().find(|section| section.name == name);
        let message = || format!("{} has no section {name}", uki.display());
        found
            .map(|section| &bytes[section.range.clone()])
            .ok_or_else(|| Failure::new(FailureKind::Request, message()))
    };
    let write = |name: &str, content: &[u8]| -> Result<PathBuf, Failure> {
        let path = folder.join(name);
        std::fs::write(&path, content).map_err(|error| file_failed("write", &path, &error))?;
        Ok(path)
    };
    let command_line = String::from_utf8_lossy(section(".cmdline")?)
        .trim_end_matches('\0')
        .trim()
        .to_owned();
    Ok(Boot::Direct {
        kernel: write("kernel", section(".linux")?)?,
        initrd: write("initrd", section(".initrd")?)?,
        command_line,
    })
}

fn wait_for(mut machine: Machine, goal: NodeState, timeout: Duration, printer: &Printer) -> Result<(), Failure> {
    let start = Instant::now();
    loop {
        let mut qemu = Qemu::start(&machine)?;
        let (power_on, mut echo) = (Instant::now(), Echo::default());
        let outcome = until::wait(&mut qemu, goal, timeout.saturating_sub(start.elapsed()), &mut |line| {
            if let Some(text) = echo.line(power_on.elapsed(), line) {
                printer.console(&text);
            }
        })?;
        match outcome {
            Outcome::Reached { after, reason } => {
                printer.step("Reached", &format!("{goal}: {reason}"), after);
                return Ok(());
            }
            Outcome::KvmBroken if machine.accel == Accel::Kvm => {
                printer.say("KVM gave up inside the firmware; starting again under emulation");
                machine.accel = Accel::Tcg;
            }
            Outcome::KvmBroken => {}
        }
    }
}

fn interact(machine: &Machine, printer: &Printer) -> Result<(), Failure> {
    printer.say("Ctrl-A X ends the machine; Ctrl-A H lists more keys");
    for forward in &machine.forwards {
        printer.say(&format!(
            "127.0.0.1:{} leads to port {} of the machine",
            forward.host, forward.guest
        ));
    }
    let mut qemu = Qemu::start(machine)?;
    let status = qemu.wait().map_err(|source| QemuError::Run {
        program: machine.program(),
        source,
    })?;
    while qemu.hear(Duration::from_secs(1)).is_ok() {}
    match status.success() {
        true => Ok(()),
        false => Err(QemuError::Ended {
            status: status.to_string(),
            tail: qemu.tail(),
        }
        .into()),
    }
}
