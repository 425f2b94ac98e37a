//! The EFI system partition, or the one that a board's firmware reads: boot loader, boot entries, device trees, keys for
//! Secure Boot.

use std::io::{Read, Seek, Write as _};

use serde::Serialize;

use super::pe::{self, PeFile};
use super::{Inspection, direct, finding};
use crate::digest::{HashingWriter, Sha256};
use crate::disk::read::FoundPartition;
use crate::fat::read::{FatEntry, FatKind, FatReadError, FatReader};
use crate::verity;

/// Where the boot loader looks for unified kernel images (UAPI Boot Loader Specification, type 2).
const UKI_FOLDER: &str = "efi/linux/";
/// Where it looks for entries that are text (type 1).
const ENTRY_FOLDER: &str = "loader/entries/";
/// Where it looks for keys to enrol into the firmware (systemd-boot(7), `secure-boot-enroll`).
const KEY_FOLDER: &str = "loader/keys/";
/// What the firmware starts (UEFI 2.10 §3.5.1.1).
const BOOT_FOLDER: &str = "efi/boot/boot";
/// The longest text file that is read.
const MAX_TEXT_BYTES: u64 = 64 << 10;
/// What is hashed at a time.
const PIECE_BYTES: u64 = 4 << 20;
/// Entries that are read at most; the others are counted.
const MAX_ENTRIES: usize = 32;

/// A file of the EFI system partition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct EspFile {
    /// Its path.
    pub path: String,
    /// Its length in bytes.
    pub len_bytes: u64,
    /// The digest of its content; none if it cannot be read, or would not fit on the partition.
    pub sha256: Option<Sha256>,
}

/// What is booted, and by what.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Boot {
    /// The program that the firmware starts.
    pub loader: Option<BootLoader>,
    /// What it can start.
    pub entries: Vec<BootEntry>,
    /// Its settings: the lines of `loader/loader.conf` that are no comments.
    pub settings: Vec<String>,
    /// Device trees, as files of the partition and as sections of unified kernel images.
    pub device_trees: Vec<EspFile>,
    /// Keys that the boot loader may enrol into the firmware for Secure Boot.
    pub enrolled_keys: Vec<String>,
}

/// The boot loader.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BootLoader {
    /// Its path.
    pub path: String,
    /// Its length in bytes.
    pub len_bytes: u64,
    /// Name and version, if it says so the way systemd-boot does (`.sdmagic`).
    pub name: Option<String>,
    /// Whether it has a signature for Secure Boot; whose, is not looked at.
    pub signed: bool,
}

/// Something that the boot loader can start.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BootEntry {
    /// Its path.
    pub path: String,
    /// What it calls itself.
    pub title: Option<String>,
    /// How often it may still be tried; none if it is not counted (UAPI Boot Loader Specification, "Boot counting").
    pub tries_left: Option<u32>,
    /// How often it was tried in vain.
    pub tries_done: Option<u32>,
}

/// The unified kernel image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct InspectedUki {
    /// Its path on the EFI system partition.
    pub path: String,
    /// Its length in bytes.
    pub len_bytes: u64,
    /// The kernel's release (`.uname`).
    pub kernel: Option<String>,
    /// The kernel command line (`.cmdline`).
    pub command_line: Option<String>,
    /// The root hash that the command line names.
    pub root_hash: Option<Sha256>,
    /// The operating system's name (`PRETTY_NAME` in `.osrel`).
    pub os_name: Option<String>,
    /// Whether it has a signature for Secure Boot; whose, is not looked at.
    pub signed: bool,
    /// Its sections.
    pub sections: Vec<UkiSection>,
}

/// A section of a unified kernel image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct UkiSection {
    /// Its name, such as `.initrd`.
    pub name: String,
    /// Its length in bytes.
    pub len_bytes: u64,
}

/// Reads the partition; what of it cannot be read is a finding.
pub(super) fn inspect<R: Read + Seek>(
    disk: &mut R,
    esp: &FoundPartition,
    inspection: &mut Inspection,
) -> Result<(), FatReadError> {
    let mut volume = FatReader::open(disk, esp.offset, esp.len_bytes)?;
    let mut files = volume.list()?;
    files.retain(|entry| entry.kind == FatKind::File);
    files.sort_by(|a, b| a.path.cmp(&b.path));
    inspection.esp_files = esp_files(&mut volume, &files, esp.len_bytes);
    let starts = |entry: &FatEntry, folder: &str| entry.path.to_ascii_lowercase().starts_with(folder);
    let ends = |entry: &FatEntry, ending: &str| entry.path.to_ascii_lowercase().ends_with(ending);
    let trees = inspection
        .esp_files
        .iter()
        .zip(&files)
        .filter(|(_, entry)| ends(entry, ".dtb"));
    inspection.boot.device_trees = trees.map(|(file, _)| file.clone()).collect();
    inspection.boot.enrolled_keys = files
        .iter()
        .filter(|entry| starts(entry, KEY_FOLDER))
        .map(|entry| entry.path.clone())
        .collect();
    if let Some(entry) = files
        .iter()
        .find(|entry| starts(entry, BOOT_FOLDER) && ends(entry, ".efi"))
    {
        inspection.boot.loader = Some(loader(&mut volume, entry, &mut inspection.findings));
    }
    if let Some(entry) = files
        .iter()
        .find(|entry| entry.path.eq_ignore_ascii_case("loader/loader.conf"))
    {
        inspection.boot.settings = setting_lines(&text(&mut volume, entry)?);
    }
    let ukis: Vec<&FatEntry> = files
        .iter()
        .filter(|entry| starts(entry, UKI_FOLDER) && ends(entry, ".efi"))
        .collect();
    let texts = files
        .iter()
        .filter(|entry| starts(entry, ENTRY_FOLDER) && ends(entry, ".conf"));
    read_ukis(&mut volume, &ukis, inspection);
    for entry in texts.take(MAX_ENTRIES) {
        let lines = setting_lines(&text(&mut volume, entry)?);
        let title = lines.iter().find_map(|line| line.strip_prefix("title "));
        inspection
            .boot
            .entries
            .push(boot_entry(entry, title.map(str::to_owned)));
    }
    direct::inspect(&mut volume, inspection)?;
    if inspection.boot.entries.is_empty() {
        let finding = "there is no boot entry: no unified kernel image in EFI/Linux, no file in loader/entries, and no \
                       config.txt with a kernel and an initrd that are there";
        inspection.findings.push(finding.to_owned());
    }
    Ok(())
}

/// The files with their digests. Several names of one content, as a damaged or hostile volume can have them, are not all
/// hashed: together no more than the partition holds.
fn esp_files<R: Read + Seek>(volume: &mut FatReader<R>, files: &[FatEntry], partition_bytes: u64) -> Vec<EspFile> {
    let mut left = partition_bytes;
    let mut digest = |entry: &FatEntry| {
        left = left.checked_sub(entry.len_bytes)?;
        digest(volume, entry).ok()
    };
    files
        .iter()
        .map(|entry| EspFile {
            path: entry.path.clone(),
            len_bytes: entry.len_bytes,
            sha256: digest(entry),
        })
        .collect()
}

fn digest<R: Read + Seek>(volume: &mut FatReader<R>, entry: &FatEntry) -> Result<Sha256, FatReadError> {
    let mut writer = HashingWriter::new(std::io::sink());
    for offset in (0..entry.len_bytes).step_by(PIECE_BYTES as usize) {
        let piece = volume.read_range(entry, offset, PIECE_BYTES)?;
        writer.write_all(&piece).expect("a sink takes everything");
    }
    Ok(writer.finish().1)
}

fn read_ukis<R: Read + Seek>(volume: &mut FatReader<R>, ukis: &[&FatEntry], inspection: &mut Inspection) {
    if ukis.len() > 1 {
        let finding = format!(
            "there are {} unified kernel images; shown is the last by name",
            ukis.len()
        );
        inspection.findings.push(finding);
    }
    for entry in ukis.iter().take(MAX_ENTRIES) {
        match uki(volume, entry) {
            Ok(uki) => {
                inspection.boot.entries.push(boot_entry(entry, uki.os_name.clone()));
                let trees = uki
                    .sections
                    .iter()
                    .filter(|section| section.name.starts_with(".dtb"))
                    .map(|section| EspFile {
                        path: format!("{} ({})", uki.path, section.name),
                        len_bytes: section.len_bytes,
                        sha256: None,
                    });
                inspection.boot.device_trees.extend(trees);
                inspection.uki = Some(uki);
            }
            Err(fault) => {
                inspection.boot.entries.push(boot_entry(entry, None));
                let what = format!("the unified kernel image `{}` cannot be read", entry.path);
                inspection.findings.push(finding(&what, &fault));
            }
        }
    }
}

fn boot_entry(entry: &FatEntry, title: Option<String>) -> BootEntry {
    let (tries_left, tries_done) = tries(&entry.path);
    BootEntry {
        path: entry.path.clone(),
        title,
        tries_left,
        tries_done,
    }
}

/// The counters in a name such as `edge_1+2-1.efi`.
fn tries(path: &str) -> (Option<u32>, Option<u32>) {
    let stem = path.rsplit_once('.').map_or(path, |(stem, _)| stem);
    let Some((_, counters)) = stem.rsplit_once('+') else {
        return (None, None);
    };
    let (left, done) = counters.split_once('-').unwrap_or((counters, ""));
    match left.parse() {
        Ok(left) => (Some(left), done.parse().ok()),
        Err(_) => (None, None),
    }
}

fn text<R: Read + Seek>(volume: &mut FatReader<R>, entry: &FatEntry) -> Result<String, FatReadError> {
    let bytes = volume.read(entry, MAX_TEXT_BYTES)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn setting_lines(text: &str) -> Vec<String> {
    let lines = text.lines().map(str::trim);
    let settings = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
    settings
        .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
        .collect()
}

fn headers<R: Read + Seek>(volume: &mut FatReader<R>, entry: &FatEntry) -> Result<PeFile, pe::PeError> {
    pe::read(&mut |offset, len_bytes| volume.read_range(entry, offset, len_bytes))
}

/// The text of a section, without what pads it.
fn section_text<R: Read + Seek>(
    volume: &mut FatReader<R>,
    entry: &FatEntry,
    file: &PeFile,
    name: &str,
) -> Result<Option<String>, pe::PeError> {
    let Some(section) = file.section(name) else {
        return Ok(None);
    };
    let bytes = section.read(&mut |offset, len_bytes| volume.read_range(entry, offset, len_bytes))?;
    let text = String::from_utf8_lossy(&bytes);
    Ok(Some(text.trim_end_matches(['\0', '\n', ' ']).to_owned()))
}

fn loader<R: Read + Seek>(volume: &mut FatReader<R>, entry: &FatEntry, findings: &mut Vec<String>) -> BootLoader {
    let read = headers(volume, entry).and_then(|file| {
        let magic = section_text(volume, entry, &file, ".sdmagic")?;
        Ok((magic.as_deref().and_then(loader_name), file.is_signed))
    });
    let (name, signed) = read.unwrap_or_else(|fault| {
        findings.push(finding("the boot loader cannot be read", &fault));
        (None, false)
    });
    BootLoader {
        path: entry.path.clone(),
        len_bytes: entry.len_bytes,
        name,
        signed,
    }
}

/// `systemd-boot 257.9` of `#### LoaderInfo: systemd-boot 257.9 ####`.
fn loader_name(magic: &str) -> Option<String> {
    let (_, rest) = magic.split_once("LoaderInfo: ")?;
    let name = rest.split('#').next()?.trim();
    (!name.is_empty()).then(|| name.to_owned())
}

fn uki<R: Read + Seek>(volume: &mut FatReader<R>, entry: &FatEntry) -> Result<InspectedUki, pe::PeError> {
    let file = headers(volume, entry)?;
    let mut text = |name| section_text(volume, entry, &file, name);
    let command_line = text(".cmdline")?;
    let os_release = text(".osrel")?;
    Ok(InspectedUki {
        path: entry.path.clone(),
        len_bytes: entry.len_bytes,
        kernel: text(".uname")?,
        root_hash: command_line.as_deref().and_then(verity::named_root_hash),
        command_line,
        os_name: os_release.as_deref().and_then(pretty_name),
        signed: file.is_signed,
        sections: file
            .sections
            .iter()
            .map(|(name, section)| UkiSection {
                name: name.clone(),
                len_bytes: section.len_bytes,
            })
            .collect(),
    })
}

/// `PRETTY_NAME` of an os-release(5) text, without its quotes.
fn pretty_name(os_release: &str) -> Option<String> {
    let value = os_release.lines().find_map(|line| line.strip_prefix("PRETTY_NAME="))?;
    Some(value.trim_matches(['"', '\'']).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_counters_of_an_entry_are_in_its_name() {
        assert_eq!(tries("EFI/Linux/edge_1+3.efi"), (Some(3), None));
        assert_eq!(tries("EFI/Linux/edge_1+2-1.efi"), (Some(2), Some(1)));
        assert_eq!(tries("EFI/Linux/edge_1.efi"), (None, None));
        assert_eq!(tries("EFI/Linux/c++.efi"), (None, None));
    }

    #[test]
    fn the_loader_says_its_name_between_marks() {
        let name = loader_name("#### LoaderInfo: systemd-boot 257.9-1 ####");
        assert_eq!(name.as_deref(), Some("systemd-boot 257.9-1"));
        assert_eq!(loader_name("#### LoaderInfo:  ####"), None);
        assert_eq!(loader_name("something else"), None);
    }
}
