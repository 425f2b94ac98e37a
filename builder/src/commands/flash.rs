//! `skerry flash`: writes an image onto disks and reads it back, or lists the disks.

mod candidates;
mod confirm;
mod finish;
mod signals;

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::SystemTime;

use nix::errno::Errno;
use nix::unistd::{AccessFlags, access};

use crate::artifacts::manifest::Manifest;
use crate::cli::FlashArgs;
use crate::device::guard::refusals;
use crate::device::{DiskFacts, Host, Target};
use crate::failure::{Failure, FailureKind};
use crate::flash::{self, BlockDevice, Context, Image, Named};
use crate::printer::{self, Printer};
use crate::progress::terminal;
use crate::shell::quoted;

use super::overrides::allowed;
use super::seed;

/// Flashes the image onto the disks that the command line means.
pub fn flash(arguments: &FlashArgs, printer: &Printer) -> Result<(), Failure> {
    let host = Host::default();
    if arguments.devices.is_empty() {
        return candidates::list(arguments, &host, printer);
    }
    let stop = Arc::new(AtomicBool::new(false));
    let image = Image::find(&arguments.image, &stop)?;
    let disks = chosen(arguments, &host, image.plan.image_bytes)?;
    let join = arguments
        .join
        .as_deref()
        .map(|path| seed::read_join_file(path, printer));
    let join = join.transpose()?;
    confirm::confirm(&disks, &arguments.confirm)?;
    let media = disks.iter().map(open).collect::<Result<Vec<_>, _>>()?;
    warn_of_little_room(&disks, &image.manifest, printer);
    signals::watch(&stop, *printer)?;
    let mut reader = image.reader(&stop)?;
    let reporter = terminal::with_rows(printer, media.len());
    let context = Context {
        stop: &stop,
        reporter: &*reporter,
        nonce: nonce(),
    };
    let outcome = flash::flash(&image.plan, &mut *reader, &media, &context);
    let run = finish::Run {
        arguments,
        image: &image,
        disks: &disks,
        media: &media,
        join: join.as_ref(),
        stopped: stop.load(Ordering::Relaxed),
    };
    run.finish(outcome, printer)
}

/// The disks, if all of them may be overwritten; otherwise nothing is written to any.
fn chosen(arguments: &FlashArgs, host: &Host, image_bytes: u64) -> Result<Vec<DiskFacts>, Failure> {
    let mut disks: Vec<DiskFacts> = Vec::new();
    for word in &arguments.devices {
        let target = host.target(word).map_err(|error| not_found(word, &error))?;
        let refused = refusals(&target, image_bytes, &allowed(&arguments.overrides));
        match target {
            Target::Disk(disk) if refused.is_empty() => {
                if disks.iter().any(|other| other.number == disk.number) {
                    let message = format!("`{}` is named twice", disk.path.display());
                    return Err(Failure::new(FailureKind::Usage, message));
                }
                check_rights(&disk)?;
                disks.push(*disk);
            }
            _ => {
                let mut failure = Failure::new(FailureKind::Safety, format!("`{}` is not overwritten", word.display()));
                failure.chain.extend(refused.iter().map(ToString::to_string));
                failure
                    .hints
                    .extend(refused.iter().filter_map(|refusal| refusal.hint()));
                return Err(failure);
            }
        }
    }
    Ok(disks)
}

fn not_found(word: &Path, error: &io::Error) -> Failure {
    let message = format!("cannot look at `{}`: {error}", word.display());
    Failure::new(FailureKind::Request, message).hint("`skerry flash IMAGE` without a device lists the disks")
}

/// Without the right to write, the command that has it is told; nothing is run on its own.
fn check_rights(disk: &DiskFacts) -> Result<(), Failure> {
    match access(&disk.path, AccessFlags::R_OK | AccessFlags::W_OK) {
        Ok(()) => Ok(()),
        Err(errno) => Err(cannot_open(disk, &io::Error::from(errno))),
    }
}

fn open(disk: &DiskFacts) -> Result<Named<BlockDevice>, Failure> {
    let medium = BlockDevice::open(disk).map_err(|error| cannot_open(disk, &error))?;
    let name = disk.path.display().to_string();
    Ok(Named { name, medium })
}

fn cannot_open(disk: &DiskFacts, error: &io::Error) -> Failure {
    let path = disk.path.display();
    let failure = |kind, text: &str| Failure::new(kind, format!("`{path}` is not overwritten: {text}"));
    match error.raw_os_error().map(Errno::from_raw) {
        Some(Errno::EACCES | Errno::EPERM) => {
            failure(FailureKind::Request, "you may not write to it").hint(format!("run this: `{}`", as_root()))
        }
        Some(Errno::EBUSY) => failure(FailureKind::Safety, "it is in use, perhaps in another container")
            .hint(format!("find out by whom: `sudo fuser -vm {path}`, `lsblk {path}`")),
        Some(Errno::ESTALE) => failure(FailureKind::Safety, "another disk has just got its name")
            .hint("look at the list again: `skerry flash IMAGE` without a device"),
        _ => failure(FailureKind::Request, &error.to_string()),
    }
}

/// This very command line with the rights of root.
fn as_root() -> String {
    let program = std::env::current_exe().unwrap_or_else(|_| "skerry".into());
    let words = std::env::args_os().skip(1);
    let words = std::iter::once(program.into_os_string()).chain(words);
    let words: Vec<String> = words.map(|word| quoted(&word.to_string_lossy())).collect();
    format!("sudo {}", words.join(" "))
}

/// A medium that holds the image may still be too small for what the first boot adds.
fn warn_of_little_room(disks: &[DiskFacts], manifest: &Manifest, printer: &Printer) {
    let wanted = manifest.least_disk_bytes();
    for disk in disks.iter().filter(|disk| disk.len_bytes < wanted) {
        printer.warn(&format!(
            "{} has no room for the second slot and var, which the first boot makes: {} are needed",
            disk.path.display(),
            printer::bytes(wanted)
        ));
    }
}

/// The time will do: it only has to differ from that of earlier runs.
fn nonce() -> u64 {
    let now = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    now.as_nanos() as u64 ^ u64::from(std::process::id())
}
