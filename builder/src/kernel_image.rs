//! The kernel as firmware takes it that starts Linux itself: an arm64 `Image` in gzip.
//!
//! In: the kernel of the package. Out: the file for such firmware, a third of its size, which is so much less to write to a
//! card and to read at each start. Spec: Linux, `Documentation/arch/arm64/booting.rst`, "Call the kernel image"; for compressed
//! kernels that unpack themselves as EFI programs, `drivers/firmware/efi/libstub/zboot-header.S`; Raspberry Pi
//! documentation, "config.txt", `arm_64bit`: a kernel may be a gzip archive. The time and the name in its header (RFC 1952 §2.3)
//! stay empty.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;

use crate::arch::Arch;
use crate::failure::Diagnose;

/// What a gzip archive begins with (RFC 1952 §2.3.1).
pub const GZIP: [u8; 2] = [0x1f, 0x8b];
/// Where the header of an `Image` has its magic number.
const MAGIC_AT: usize = 0x38;
const MAGIC: &[u8] = b"ARM\x64";
/// Where a self-unpacking kernel says so.
const ZBOOT_AT: usize = 4;
const ZBOOT: &[u8] = b"zimg";

/// Why firmware could not start a kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KernelImageError {
    /// Only EFI firmware can start it.
    #[error("the kernel is a compressed EFI program, which the firmware of this board cannot start")]
    Zboot,
    /// It has no header that says what it is.
    #[error("the kernel is no arm64 `Image`: byte {MAGIC_AT} does not begin the magic number `ARM\\x64`")]
    NoImage,
}

impl Diagnose for KernelImageError {
    fn hints(&self) -> Vec<String> {
        match self {
            Self::Zboot => vec!["choose a kernel package that is built without `CONFIG_EFI_ZBOOT`".to_owned()],
            Self::NoImage => vec!["check `kernel.package`".to_owned()],
        }
    }
}

/// The file from which firmware that is no EFI starts `kernel`. Kernels for x86 are compressed, and have one format for all.
pub fn for_firmware(arch: Arch, kernel: Vec<u8>) -> Result<Vec<u8>, KernelImageError> {
    check(arch, &kernel)?;
    match arch {
        Arch::X86_64 => Ok(kernel),
        Arch::Aarch64 => {
            let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
            let packed = encoder.write_all(&kernel).and_then(|()| encoder.finish());
            Ok(packed.expect("memory takes all that is written to it"))
        }
    }
}

fn check(arch: Arch, kernel: &[u8]) -> Result<(), KernelImageError> {
    let has = |at: usize, magic: &[u8]| kernel.get(at..).is_some_and(|bytes| bytes.starts_with(magic));
    match arch {
        Arch::X86_64 => Ok(()),
        Arch::Aarch64 if has(0, b"MZ") && has(ZBOOT_AT, ZBOOT) => Err(KernelImageError::Zboot),
        Arch::Aarch64 if has(MAGIC_AT, MAGIC) => Ok(()),
        Arch::Aarch64 => Err(KernelImageError::NoImage),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use flate2::read::GzDecoder;

    use super::*;

    /// The first 64 bytes of Debian's kernel 7.3.4 for arm64, without what differs by build.
    fn image() -> Vec<u8> {
        let mut bytes = vec![0; 64];
        bytes[..4].copy_from_slice(b"MZ\x40\xfa");
        bytes[0x38..0x3c].copy_from_slice(b"ARM\x64");
        bytes
    }

    #[test]
    fn an_image_becomes_a_gzip_archive_of_itself_without_time_or_name() {
        let kernel = [image(), vec![7; 1 << 20]].concat();
        let packed = for_firmware(Arch::Aarch64, kernel.clone()).unwrap();
        assert_eq!(packed[..10], [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255]);
        let mut unpacked = Vec::new();
        GzDecoder::new(&packed[..]).read_to_end(&mut unpacked).unwrap();
        assert!(unpacked == kernel);
        assert_eq!(for_firmware(Arch::X86_64, vec![1, 2, 3]).unwrap(), [1, 2, 3]);
    }

    #[test]
    fn a_kernel_that_only_efi_firmware_can_unpack_is_refused_with_what_to_do() {
        let mut zboot = image();
        zboot[4..8].copy_from_slice(b"zimg");
        let error = for_firmware(Arch::Aarch64, zboot).unwrap_err();
        assert_eq!(error, KernelImageError::Zboot);
        assert!(error.hints()[0].contains("CONFIG_EFI_ZBOOT"));
    }

    #[test]
    fn what_has_no_header_is_refused_at_any_length() {
        for len in [0, 1, 0x38, 0x3b] {
            assert_eq!(
                check(Arch::Aarch64, &image()[..len]),
                Err(KernelImageError::NoImage),
                "{len}"
            );
        }
    }
}
