//! The unified kernel image: boot stub, kernel, initial RAM disk and command line in one file that firmware starts.
//!
//! In: systemd's `linux*.efi.stub` and the parts. Out: the same PE file with one section per part. Spec: UAPI
//! "Unified Kernel Image", PE format (Microsoft), systemd-stub(7) 257; sections stand in the order of ukify 257.13.
//! Deliberately not supported: signatures (a stub's is dropped, as it would not hold), profiles, and stubs without room
//! for more section headers.

pub mod pe;
#[cfg(test)]
mod sample;

use std::ops::Range;

use crate::arch::Arch;
use crate::failure::{Diagnose, FailureKind};
use pe::{NewSection, Pe, PeError};

/// Kernels cut off what exceeds `COMMAND_LINE_SIZE`, 2048 on x86 and arm64, with the final NUL.
pub const MAX_CMDLINE_LEN: usize = 2047;

/// Written where neither stub nor kernel has a `.sbat`, so that shim starts the image at all (shim, SBAT.md).
const SBAT: &str = "sbat,1,SBAT Version,sbat,1,https://github.com/rhboot/shim/blob/main/SBAT.md\n\
    uki,1,UKI,uki,1,https://uapi-group.org/specifications/specs/unified_kernel_image/\n";

/// Sections that only the parts of a [`UkiParts`] may become.
const OWN_SECTIONS: [&str; 6] = [".osrel", ".cmdline", ".uname", ".initrd", ".linux", ".sbat"];

/// A section beyond those that every image has, such as `.dtbauto`.
#[derive(Debug, Clone, Copy)]
pub struct ExtraSection<'a> {
    /// Its name: a dot and up to seven more characters.
    pub name: &'a str,
    /// Its content.
    pub bytes: &'a [u8],
}

/// What goes into an image.
#[derive(Debug, Clone)]
pub struct UkiParts<'a> {
    /// systemd's EFI stub, a PE file.
    pub stub: &'a [u8],
    /// The kernel, a PE file too (its EFI stub).
    pub kernel: &'a [u8],
    /// The initial RAM disk, as the kernel takes it.
    pub initrd: &'a [u8],
    /// The kernel's command line: printable ASCII, at most [`MAX_CMDLINE_LEN`].
    pub cmdline: &'a str,
    /// An os-release file's text; systemd-boot shows its `PRETTY_NAME` and sorts by its `VERSION_ID`.
    pub os_release: &'a str,
    /// The kernel's version as `uname -r` prints it.
    pub uname: &'a str,
    /// What all the parts must be for.
    pub arch: Arch,
    /// Further sections, placed after `.cmdline` in this order. A name may repeat, as `.dtbauto` does.
    pub extra: Vec<ExtraSection<'a>>,
}

/// Why an image cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum UkiError {
    /// The stub cannot be understood or extended.
    #[error("cannot use the EFI stub")]
    Stub(#[source] PeError),
    /// The kernel is no PE file.
    #[error("cannot use the kernel as an EFI program")]
    Kernel(#[source] PeError),
    /// A part is for another machine.
    #[error("the {part} is for PE machine {found:#06x}, but the image is for {arch} ({expected:#06x})")]
    WrongArch {
        /// Stub or kernel.
        part: &'static str,
        /// What its header says.
        found: u16,
        /// The image's.
        arch: Arch,
        /// What the header should say.
        expected: u16,
    },
    /// The command line would be cut off.
    #[error("the kernel command line has {len} characters, and the kernel cuts it off after {MAX_CMDLINE_LEN}")]
    CmdlineTooLong {
        /// Its length.
        len: usize,
    },
    /// The command line holds what the stub or the kernel would misread.
    #[error("the kernel command line holds {found:?} at character {at}; only printable ASCII is allowed")]
    CmdlineCharacter {
        /// The character.
        found: char,
        /// Its position from 1.
        at: usize,
    },
    /// A part that every image needs is empty.
    #[error("the {0} of the unified kernel image is empty")]
    Empty(&'static str),
    /// The kernel's version is no single word.
    #[error("`{}` is not a kernel version", .0.escape_debug())]
    BadUname(String),
    /// An extra section has a name that cannot be, or that is taken.
    #[error("`{}` cannot be the name of an extra section", .0.escape_debug())]
    SectionName(String),
}

impl Diagnose for UkiError {
    fn kind(&self) -> FailureKind {
        FailureKind::Request
    }

    fn hints(&self) -> Vec<String> {
        match self {
            Self::Stub(_) => {
                vec!["the stub comes from the package `systemd-boot-efi`, version 252 or later".to_owned()]
            }
            Self::Kernel(_) => vec!["use a kernel built with `CONFIG_EFI_STUB`, as Debian's are".to_owned()],
            Self::CmdlineTooLong { .. } | Self::CmdlineCharacter { .. } => {
                vec!["shorten or correct the extra command line in the definition".to_owned()]
            }
            _ => Vec::new(),
        }
    }
}

/// Makes the image.
pub fn assemble(parts: &UkiParts<'_>) -> Result<Vec<u8>, UkiError> {
    let stub = Pe::parse(parts.stub).map_err(UkiError::Stub)?;
    let kernel = Pe::parse(parts.kernel).map_err(UkiError::Kernel)?;
    check_arch("EFI stub", stub.machine, parts.arch)?;
    check_arch("kernel", kernel.machine, parts.arch)?;
    check_cmdline(parts.cmdline)?;
    check_texts(parts)?;

    let mut sections = vec![
        NewSection::new(".osrel", parts.os_release.as_bytes()),
        NewSection::new(".cmdline", parts.cmdline.as_bytes()),
    ];
    for extra in &parts.extra {
        let taken = OWN_SECTIONS.contains(&extra.name) || stub.section(extra.name).is_some();
        let well_formed =
            extra.name.len() <= 8 && extra.name.starts_with('.') && extra.name.bytes().all(|b| b.is_ascii_graphic());
        if taken || !well_formed {
            return Err(UkiError::SectionName(extra.name.to_owned()));
        }
        sections.push(NewSection::new(extra.name, extra.bytes));
    }
    sections.push(NewSection::new(".uname", parts.uname.as_bytes()));
    sections.push(NewSection::new(".linux", parts.kernel).as_code());
    sections.push(NewSection::new(".initrd", parts.initrd));
    if stub.section(".sbat").is_none() {
        sections.push(NewSection::new(".sbat", SBAT.as_bytes()));
    }
    // Firmware that enforces W^X goes by the outer file's promise, which the kernel inside must keep as well.
    let flags = stub.dll_characteristics & (kernel.dll_characteristics | !pe::NX_COMPAT);
    pe::append(parts.stub, &stub, &sections, flags).map_err(UkiError::Stub)
}

fn check_arch(part: &'static str, found: u16, arch: Arch) -> Result<(), UkiError> {
    let expected = arch.names().pe_machine;
    if found == expected {
        return Ok(());
    }
    Err(UkiError::WrongArch {
        part,
        found,
        arch,
        expected,
    })
}

fn check_cmdline(cmdline: &str) -> Result<(), UkiError> {
    if cmdline.is_empty() {
        return Err(UkiError::Empty("command line"));
    }
    if let Some((at, found)) = cmdline.chars().enumerate().find(|(_, c)| !matches!(c, ' '..='~')) {
        return Err(UkiError::CmdlineCharacter { found, at: at + 1 });
    }
    if cmdline.len() > MAX_CMDLINE_LEN {
        return Err(UkiError::CmdlineTooLong { len: cmdline.len() });
    }
    Ok(())
}

fn check_texts(parts: &UkiParts<'_>) -> Result<(), UkiError> {
    if parts.initrd.is_empty() {
        return Err(UkiError::Empty("initial RAM disk"));
    }
    if parts.os_release.is_empty() {
        return Err(UkiError::Empty("os-release text"));
    }
    if parts.uname.is_empty() || !parts.uname.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(UkiError::BadUname(parts.uname.to_owned()));
    }
    Ok(())
}

/// One section of an image that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UkiSection {
    /// Its name.
    pub name: String,
    /// Its size in memory.
    pub virtual_size: u32,
    /// Where its content is in the file, without the padding that follows.
    pub range: Range<usize>,
}

/// Reads the sections of a unified kernel image, whoever made it; all ranges lie inside `bytes`.
pub fn read(bytes: &[u8]) -> Result<Vec<UkiSection>, PeError> {
    let pe = Pe::parse(bytes)?;
    let sections = pe.sections.into_iter();
    Ok(sections
        .map(|section| UkiSection {
            range: section.content(),
            name: section.name,
            virtual_size: section.virtual_size,
        })
        .collect())
}

#[cfg(test)]
mod tests;
