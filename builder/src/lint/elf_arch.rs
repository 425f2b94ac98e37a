//! `elf-arch`: every program, library, kernel module and EFI program is for the image's machine.

use std::io::{self, BufReader, Read};

use super::elf_file::{self, HEADER_LEN};
use super::{ContentReader, check_files, head};
use crate::arch::Arch;
use crate::tree::{FileData, Tree, TreePath};

/// Code for the kernel's BPF machine is the same on all machines (`EM_BPF`).
const BPF: u16 = 247;

/// Code for the processors of devices.
const FIRMWARE_FOLDERS: [&str; 2] = ["usr/lib/firmware/", "lib/firmware/"];

/// Other files may end like a module too: `.ko` is also the code of the Korean language.
const MODULE_FOLDERS: [&str; 2] = ["usr/lib/modules/", "lib/modules/"];
const MODULE_SUFFIXES: [&str; 4] = [".ko", ".ko.gz", ".ko.xz", ".ko.zst"];

const EFI_SUFFIXES: [&str; 4] = [".efi", ".efi.stub", ".efi.signed", ".EFI"];

/// Memory a decoder may take for the head of one kernel module.
const MAX_DECODER_BYTES: u64 = 128 << 20;

pub(super) fn check(tree: &Tree, arch: Arch) -> Vec<(TreePath, String)> {
    check_files(tree, |path, data| {
        if FIRMWARE_FOLDERS.iter().any(|folder| path.as_str().starts_with(folder)) {
            return Ok(Vec::new());
        }
        let problem = match EFI_SUFFIXES.iter().any(|suffix| path.name().ends_with(suffix)) {
            true => check_efi(data, arch)?,
            false => check_elf(path, data, arch)?,
        };
        Ok(problem.into_iter().collect())
    })
}

fn check_elf(path: &TreePath, data: &FileData, arch: Arch) -> io::Result<Option<String>> {
    let name = path.name();
    let in_folder = MODULE_FOLDERS.iter().any(|folder| path.as_str().starts_with(folder));
    let is_module = in_folder && MODULE_SUFFIXES.iter().any(|suffix| name.ends_with(suffix));
    let header = match is_module {
        true => match module_head(name, data) {
            Ok(header) => header,
            Err(error) => return Ok(Some(format!("cannot be decompressed: {error}"))),
        },
        false => {
            let (header, count) = head::<HEADER_LEN>(data)?;
            header[..count].to_vec()
        }
    };
    let wanted = arch.names().elf_machine;
    Ok(match elf_file::machine(&header) {
        Some(machine) if machine == wanted || machine == BPF => None,
        Some(machine) => Some(format!("is for {}, the image for {arch}", elf_machine_name(machine))),
        None if is_module => Some("is no kernel module".to_owned()),
        None => None,
    })
}

/// The first bytes of a kernel module, decompressed.
fn module_head(name: &str, data: &FileData) -> io::Result<Vec<u8>> {
    let content = BufReader::with_capacity(4096, ContentReader::new(data));
    let mut header = Vec::with_capacity(HEADER_LEN);
    let limit = HEADER_LEN as u64;
    match name.rsplit('.').next() {
        Some("gz") => flate2::bufread::GzDecoder::new(content)
            .take(limit)
            .read_to_end(&mut header)?,
        Some("xz") => {
            let stream = liblzma::stream::Stream::new_stream_decoder(MAX_DECODER_BYTES, 0)?;
            liblzma::bufread::XzDecoder::new_stream(content, stream)
                .take(limit)
                .read_to_end(&mut header)?
        }
        Some("zst") => zstd::stream::read::Decoder::with_buffer(content)?
            .take(limit)
            .read_to_end(&mut header)?,
        _ => content.take(limit).read_to_end(&mut header)?,
    };
    Ok(header)
}

/// PE format, "MS-DOS stub" and "COFF file header": the word at 0x3c tells where the signature is; the machine
/// follows it.
fn check_efi(data: &FileData, arch: Arch) -> io::Result<Option<String>> {
    const NO_PE: &str = "is no EFI program";
    let (dos, count) = head::<64>(data)?;
    let signature = u64::from(u32::from_le_bytes(dos[0x3c..].try_into().expect("four bytes")));
    if count < dos.len() || &dos[..2] != b"MZ" || signature + 6 > data.len_bytes {
        return Ok(Some(NO_PE.to_owned()));
    }
    let mut coff = [0; 6];
    data.read_at(&mut coff, signature)?;
    let machine = u16::from_le_bytes([coff[4], coff[5]]);
    Ok(match &coff[..4] == b"PE\0\0" {
        false => Some(NO_PE.to_owned()),
        true if machine == arch.names().pe_machine => None,
        true => Some(format!(
            "is an EFI program for {}, the image for {arch}",
            pe_machine_name(machine)
        )),
    })
}

fn elf_machine_name(machine: u16) -> String {
    match machine {
        3 => "i386".to_owned(),
        8 => "MIPS".to_owned(),
        20 | 21 => "PowerPC".to_owned(),
        22 => "S/390".to_owned(),
        40 => "32-bit ARM".to_owned(),
        243 => "RISC-V".to_owned(),
        _ => Arch::ALL
            .iter()
            .find(|arch| arch.names().elf_machine == machine)
            .map_or_else(|| format!("ELF machine {machine}"), |arch| arch.to_string()),
    }
}

fn pe_machine_name(machine: u16) -> String {
    match machine {
        0x14c => "i386".to_owned(),
        _ => Arch::ALL
            .iter()
            .find(|arch| arch.names().pe_machine == machine)
            .map_or_else(|| format!("PE machine {machine:#x}"), |arch| arch.to_string()),
    }
}
