//! The kernel as firmware takes it that starts Linux itself: a plain arm64 `Image`.
//!
//! Spec: Linux, `Documentation/arch/arm64/booting.rst`, "Call the kernel image"; for compressed kernels that unpack
//! themselves as EFI programs, `drivers/firmware/efi/libstub/zboot-header.S`. Deliberately not supported: an `Image` in
//! gzip, which such firmware unpacks as well, but which is no EFI program and so fits into no unified kernel image.

use crate::arch::Arch;
use crate::failure::Diagnose;

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

/// Checks that firmware which is no EFI can start `kernel`. Kernels for x86 have one format for all.
pub fn check(arch: Arch, kernel: &[u8]) -> Result<(), KernelImageError> {
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
    use super::*;

    /// The first 64 bytes of Debian's kernel 7.3.4 for arm64, without what differs by build.
    fn image() -> Vec<u8> {
        let mut bytes = vec![0; 64];
        bytes[..4].copy_from_slice(b"MZ\x40\xfa");
        bytes[0x38..0x3c].copy_from_slice(b"ARM\x64");
        bytes
    }

    #[test]
    fn a_plain_image_is_started_although_it_is_an_efi_program_too() {
        assert_eq!(check(Arch::Aarch64, &image()), Ok(()));
    }

    #[test]
    fn a_kernel_that_only_efi_firmware_can_unpack_is_refused_with_what_to_do() {
        let mut zboot = image();
        zboot[4..8].copy_from_slice(b"zimg");
        let error = check(Arch::Aarch64, &zboot).unwrap_err();
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
