//! What a machine boots from: the unified kernel image, the boot partition with it or its parts, and the disk around them.

use crate::definition::{BoardSpec, DirectBoot, ImageSpec};
use crate::digest::Sha256;
use crate::disk::{self, DiskInput, DiskLayout, SlotInput, TableKind};
use crate::failure::Failure;
use crate::fat::{self, FatData, FatFile};
use crate::initrd::{self, InitrdInput};
use crate::kernel_image;
use crate::lock::Lock;
use crate::rootfs::assemble::RootFs;
use crate::tree::FileData;
use crate::uki::{self, ExtraSection, UkiParts};
use crate::{squashfs, verity};

use super::inputs::{self, Inputs};
use super::output::Staging;
use super::plan::{self, BuildPlan};

/// The unified kernel image, and what of its parts is made here.
#[derive(Debug)]
pub(super) struct Uki {
    /// The file.
    pub bytes: Vec<u8>,
    /// The initrd in it.
    initrd: Vec<u8>,
    /// What the kernel is told.
    pub command_line: String,
}

pub(super) fn make_uki(
    root: &RootFs,
    inputs: &Inputs,
    plan: &BuildPlan,
    lock: &Lock,
    verified: &verity::Verity,
) -> Result<Uki, Failure> {
    let spec = &plan.spec;
    let initrd = initrd::assemble(&InitrdInput {
        tree: &root.tree,
        kernel_version: &root.boot.kernel_release,
        init: &inputs.init,
        modules: &spec.kernel.initrd_modules,
        timestamp: u32::try_from(lock.timestamp).unwrap_or(u32::MAX),
    })?;
    let command_line = command_line(spec, verified);
    let (stub, kernel) = (read(&root.boot.stub)?, read(&root.boot.kernel)?);
    let os_release = root
        .tree
        .file("usr/lib/os-release")
        .map(read)
        .transpose()?
        .unwrap_or_default();
    let device_trees = root.board.device_trees.iter().map(read);
    let device_trees = device_trees.collect::<Result<Vec<_>, Failure>>()?;
    let extra = |bytes| ExtraSection {
        name: ".dtbauto",
        bytes,
    };
    let bytes = uki::assemble(&UkiParts {
        arch: spec.architecture,
        stub: &stub,
        kernel: &kernel,
        initrd: &initrd.bytes,
        cmdline: &command_line,
        os_release: &String::from_utf8_lossy(&os_release),
        uname: &root.boot.kernel_release,
        extra: device_trees.iter().map(|bytes| extra(bytes)).collect(),
    })?;
    Ok(Uki {
        bytes,
        initrd: initrd.bytes,
        command_line,
    })
}

fn command_line(spec: &ImageSpec, verified: &verity::Verity) -> String {
    let mut words = vec![format!("roothash={}", verified.root_hash)];
    match spec.partitioning().0 {
        // The kernel uses the backup table, should a power cut hit while systemd-repart writes the first one.
        TableKind::Gpt => words.push("gpt".to_owned()),
        TableKind::Mbr => {}
    }
    words.extend(spec.kernel.command_line.iter().cloned());
    words.join(" ")
}

pub(super) fn write_disk(
    root: &RootFs,
    plan: &BuildPlan,
    lock: &Lock,
    staging: &Staging,
    (written, verified, uki): (&squashfs::FsImage, &verity::Verity, &Uki),
) -> Result<DiskLayout, Failure> {
    let spec = &plan.spec;
    let version = plan::image_version(lock);
    let files = boot_files(root, spec, &version, uki)?;
    let serial = fat::serial_from(&plan.digest);
    let esp = fat::plan(files, spec.esp_size.bytes(), "ESP", serial, lock.timestamp)?;
    let slot = |kind: &str, len_bytes, slot_bytes| SlotInput {
        path: staging.path(kind),
        len_bytes,
        slot_bytes,
    };
    let (table, first_partition) = spec.partitioning();
    let layout = DiskLayout::plan(DiskInput {
        arch: spec.architecture,
        seed: plan.digest,
        label: format!("{}_{version}", spec.name),
        esp,
        root: slot("root", written.len_bytes, plan::slot_sizes(spec).root),
        verity: slot("verity", verified.len_bytes, plan::slot_sizes(spec).verity),
        root_hash: Sha256::from_bytes(*verified.root_hash.as_bytes()),
        table,
        first_partition,
        loaders: root.board.loaders.clone(),
    })?;
    disk::write(&layout, &staging.path("raw"))?;
    Ok(layout)
}

fn read(data: &FileData) -> Result<Vec<u8>, Failure> {
    data.read().map_err(|error| inputs::unreadable(&error))
}

/// The files of the boot partition: what starts Linux, and what else the board's firmware reads.
fn boot_files(root: &RootFs, spec: &ImageSpec, version: &str, uki: &Uki) -> Result<Vec<FatFile>, Failure> {
    let mut files = match spec.board.as_ref().and_then(BoardSpec::direct_boot) {
        Some(paths) => direct_files(root, spec, uki, paths)?,
        None => loader_files(root, spec, version, uki)?,
    };
    for (path, data) in &root.board.files {
        files.push(file(path.clone(), read(data)?));
    }
    Ok(files)
}

/// systemd-boot with the unified kernel image.
fn loader_files(root: &RootFs, spec: &ImageSpec, version: &str, uki: &Uki) -> Result<Vec<FatFile>, Failure> {
    let boot_file = spec.architecture.names().efi_boot_file;
    Ok(vec![
        file(format!("EFI/BOOT/{boot_file}"), read(&root.boot.loader)?),
        // Three tries, then the boot loader falls back (UAPI Boot Loader Specification, "Boot counting").
        file(format!("EFI/Linux/{}_{version}+3.efi", spec.name), uki.bytes.clone()),
        file("loader/loader.conf".to_owned(), b"timeout 0\neditor no\n".to_vec()),
    ])
}

/// The parts of the unified kernel image, for firmware that starts Linux itself.
fn direct_files(root: &RootFs, spec: &ImageSpec, uki: &Uki, paths: DirectBoot<'_>) -> Result<Vec<FatFile>, Failure> {
    let kernel = kernel_image::for_firmware(spec.architecture, read(&root.boot.kernel)?)?;
    Ok(vec![
        file(paths.kernel.to_owned(), kernel),
        file(paths.initrd.to_owned(), uki.initrd.clone()),
        file(
            paths.command_line.to_owned(),
            format!("{}\n", uki.command_line).into_bytes(),
        ),
    ])
}

fn file(path: String, bytes: Vec<u8>) -> FatFile {
    FatFile {
        path,
        data: FatData::Bytes(bytes),
    }
}

#[cfg(test)]
mod tests;
