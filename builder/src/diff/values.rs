//! What is one value in each image: command line, kernel, partitions, sizes.

use std::collections::{BTreeMap, BTreeSet};
use std::io;

use serde::Serialize;

use super::DiffError;
use crate::digest::{HashingWriter, Sha256};
use crate::inspect::{InspectedPartition, Inspection, MediumGroup, Opened, Source};
use crate::squashfs::{FileRange, ReadAt};

/// What is read at a time.
const PIECE_BYTES: u64 = 1 << 20;

/// A value that differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ValueChange {
    /// What it is, such as `command line`.
    pub what: &'static str,
    /// In A; none if A has none.
    pub a: Option<String>,
    /// In B; none if B has none.
    pub b: Option<String>,
}

/// Something that takes another amount of room.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SizeChange {
    /// What.
    pub what: &'static str,
    /// Bytes in A.
    pub a: u64,
    /// Bytes in B.
    pub b: u64,
}

/// A partition that differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PartitionChange {
    /// Its number, from 1.
    pub number: usize,
    /// In A; none if A has none of this number.
    pub a: Option<InspectedPartition>,
    /// In B; none if B has none of this number.
    pub b: Option<InspectedPartition>,
}

/// A file of the EFI system partition that differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BootFileChange {
    /// Its path.
    pub path: String,
    /// Its length in A; none if it is not there.
    pub a: Option<u64>,
    /// Its length in B; none if it is not there.
    pub b: Option<u64>,
}

pub(super) fn values(a: &Inspection, b: &Inspection) -> Vec<ValueChange> {
    let [a, b] = [a, b].map(|inspection| {
        let uki = inspection.uki.as_ref();
        let loader = inspection.boot.loader.as_ref();
        let contents = inspection.contents.as_ref();
        let root = inspection.root.as_ref();
        [
            ("system", uki.and_then(|uki| uki.os_name.clone())),
            ("kernel", inspection.kernel().map(str::to_owned)),
            ("command line", inspection.command_line().map(without_root_hash)),
            ("root hash", inspection.root_hash().map(|hash| hash.to_string())),
            ("boot loader", loader.and_then(|loader| loader.name.clone())),
            (
                "default target",
                contents.and_then(|contents| contents.units.default_target.clone()),
            ),
            ("disk id", Some(inspection.disk_id.to_string())),
            (
                "root file system",
                root.map(|root| format!("{}, blocks of {} bytes", root.compressor, root.block_bytes)),
            ),
        ]
    });
    let changes = a
        .into_iter()
        .zip(b)
        .map(|((what, a), (_, b))| ValueChange { what, a, b });
    changes.filter(|change| change.a != change.b).collect()
}

/// The root hash differs with any file; it is a value of its own.
fn without_root_hash(command_line: &str) -> String {
    let words = command_line.split_whitespace();
    let others: Vec<&str> = words.filter(|word| !word.starts_with("roothash=")).collect();
    others.join(" ")
}

pub(super) fn sizes(a: &Inspection, b: &Inspection) -> Vec<SizeChange> {
    let of_group = |inspection: &Inspection, group| {
        let parts = inspection.medium.iter().filter(|part| part.group == group);
        parts.map(|part| part.len_bytes).sum::<u64>()
    };
    let unpacked = |inspection: &Inspection| inspection.contents.as_ref().map_or(0, |contents| contents.file_bytes);
    let mut rows = vec![
        (
            "root on the medium",
            of_group(a, MediumGroup::Root),
            of_group(b, MediumGroup::Root),
        ),
        ("root unpacked", unpacked(a), unpacked(b)),
        (
            "boot files",
            of_group(a, MediumGroup::Boot),
            of_group(b, MediumGroup::Boot),
        ),
        (
            "hash tree",
            of_group(a, MediumGroup::Verity),
            of_group(b, MediumGroup::Verity),
        ),
    ];
    // A disk is larger than the image that was written to it.
    if a.source != Source::Device && b.source != Source::Device {
        rows.push(("disk image", a.len_bytes, b.len_bytes));
    }
    rows.into_iter()
        .filter(|(_, a, b)| a != b)
        .map(|(what, a, b)| SizeChange { what, a, b })
        .collect()
}

pub(super) fn partitions(a: &Inspection, b: &Inspection) -> Vec<PartitionChange> {
    let [a, b] = [a, b].map(|inspection| {
        let partitions = inspection.partitions.iter();
        partitions
            .map(|partition| (partition.number, partition.clone()))
            .collect::<BTreeMap<_, _>>()
    });
    let numbers: BTreeSet<usize> = a.keys().chain(b.keys()).copied().collect();
    numbers
        .into_iter()
        .map(|number| PartitionChange {
            number,
            a: a.get(&number).cloned(),
            b: b.get(&number).cloned(),
        })
        .filter(|change| change.a != change.b)
        .collect()
}

pub(super) fn boot_files(a: &Inspection, b: &Inspection) -> Vec<BootFileChange> {
    let [a, b] = [a, b].map(|inspection| {
        let files = inspection.esp_files.iter();
        files
            .map(|file| (file.path.as_str(), (file.len_bytes, file.sha256)))
            .collect::<BTreeMap<_, _>>()
    });
    let paths: BTreeSet<&str> = a.keys().chain(b.keys()).copied().collect();
    paths
        .into_iter()
        .filter(|path| {
            // A file that could not be read is not the same as another.
            let is_unread = a.get(path).is_some_and(|(_, sha256)| sha256.is_none());
            is_unread || a.get(path) != b.get(path)
        })
        .map(|path| BootFileChange {
            path: path.to_owned(),
            a: a.get(path).map(|(len_bytes, _)| *len_bytes),
            b: b.get(path).map(|(len_bytes, _)| *len_bytes),
        })
        .collect()
}

/// Where a root cannot be looked into, whether the partitions have the same bytes.
pub(super) fn root_bytes(a: &Opened, b: &Opened) -> Result<Option<ValueChange>, DiffError> {
    let digest = |opened| digest(opened, "root partition", Opened::root_range(opened));
    Ok(bytes("root partition (SHA-256)", digest(a)?, digest(b)?))
}

/// Whether what lies before the partitions, for boards, has the same bytes.
pub(super) fn loader_bytes(a: &Opened, b: &Opened) -> Result<Option<ValueChange>, DiffError> {
    let digest = |opened| digest(opened, "boot loaders", Opened::loader_range(opened));
    Ok(bytes("boot loaders (SHA-256)", digest(a)?, digest(b)?))
}

fn bytes(what: &'static str, a: Option<Sha256>, b: Option<Sha256>) -> Option<ValueChange> {
    let [a, b] = [a, b].map(|digest| digest.map(|sha256| sha256.to_string()));
    (a != b).then_some(ValueChange { what, a, b })
}

fn digest(opened: &Opened, part: &'static str, range: Option<FileRange<'_>>) -> Result<Option<Sha256>, DiffError> {
    let Some(range) = range else {
        return Ok(None);
    };
    let mut writer = HashingWriter::new(io::sink());
    let mut piece = vec![0; PIECE_BYTES as usize];
    for offset in (0..range.len_bytes()).step_by(PIECE_BYTES as usize) {
        let len = (range.len_bytes() - offset).min(PIECE_BYTES) as usize;
        range
            .read_at(&mut piece[..len], offset)
            .and_then(|()| io::Write::write_all(&mut writer, &piece[..len]))
            .map_err(|source| DiffError::Part {
                part,
                file: opened.inspection.file.clone(),
                offset,
                source,
            })?;
    }
    Ok(Some(writer.finish().1))
}
