//! The device mapper's ioctl interface, version 4 (kernel: include/uapi/linux/dm-ioctl.h), as much as one table needs.
//!
//! Every request is one buffer: `struct dm_ioctl` (312 bytes), then, for a table, `struct dm_target_spec` (40 bytes) and
//! the parameters as a C string, padded to 8 bytes. The answer comes back in the same buffer.

use std::fs::File;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::symlink;
use std::path::PathBuf;

use nix::errno::Errno;
use nix::libc;

use super::failure::BootError;

const CONTROL: &str = "/dev/mapper/control";
const HEADER_BYTES: usize = 312;
const TARGET_BYTES: usize = 40;
/// Offset of `dev`, which the kernel fills in.
const DEV_OFFSET: usize = 40;
const READ_ONLY_FLAG: u32 = 1;

/// `_IOWR(0xfd, command, struct dm_ioctl)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Command {
    Create = 3,
    /// Without the suspend flag it resumes: the loaded table becomes the live one.
    Resume = 6,
    Load = 9,
}

impl Command {
    const fn name(self) -> &'static str {
        match self {
            Self::Create => "create the mapped device",
            Self::Resume => "activate the mapped device",
            Self::Load => "load the verity table",
        }
    }
}

/// A table of one target from sector 0 on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    /// The target's name.
    pub target: &'static str,
    /// Its length in sectors of 512 bytes.
    pub sectors: u64,
    /// Its parameters.
    pub parameters: String,
}

/// A device that the device mapper provides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mapped {
    /// Such as `/dev/dm-0`.
    pub node: PathBuf,
}

/// The way to the device mapper.
#[derive(Debug)]
pub struct Control(File);

impl Control {
    /// Opens the control device; `dm-mod` must be loaded.
    pub fn open() -> Result<Self, BootError> {
        let control = File::options().read(true).write(true).open(CONTROL);
        control
            .map(Self)
            .map_err(|source| BootError::DeviceMapperMissing { source })
    }

    /// Makes `/dev/mapper/NAME` with this table, read-only.
    pub fn map_read_only(&self, name: &str, uuid: &str, table: &Table) -> Result<Mapped, BootError> {
        self.call(Command::Create, request(name, uuid, None))?;
        self.call(Command::Load, request(name, "", Some(table)))?;
        let answer = self.call(Command::Resume, request(name, "", None))?;
        let minor = minor(&answer);
        let node = PathBuf::from(format!("/dev/dm-{minor}"));
        // udev, which makes these names otherwise, does not run yet. It finds the same link later.
        symlink(format!("../dm-{minor}"), format!("/dev/mapper/{name}")).map_err(|source| BootError::Write {
            path: format!("/dev/mapper/{name}").into(),
            source,
        })?;
        Ok(Mapped { node })
    }

    #[allow(unsafe_code, reason = "there is no safe wrapper for this ioctl")]
    fn call(&self, command: Command, mut buffer: Vec<u8>) -> Result<Vec<u8>, BootError> {
        let code = nix::request_code_readwrite!(0xfd, command as u8, HEADER_BYTES);
        // SAFETY: the buffer outlives the call and its `data_size` field, set by `request`, is its true length; the
        // kernel reads and writes within that only (it takes bytes, so any alignment does).
        let status = unsafe { libc::ioctl(self.0.as_raw_fd(), code as _, buffer.as_mut_ptr()) };
        Errno::result(status).map_err(|source| BootError::DeviceMapper {
            step: command.name(),
            source,
        })?;
        Ok(buffer)
    }
}

/// The bytes of one request. `name` and `uuid` are ours and short enough for their fields.
fn request(name: &str, uuid: &str, table: Option<&Table>) -> Vec<u8> {
    let body = table.map(target).unwrap_or_default();
    let total = u32::try_from(HEADER_BYTES + body.len()).expect("one target of a few hundred bytes");
    let mut bytes = Vec::with_capacity(HEADER_BYTES + body.len());
    let header_bytes = HEADER_BYTES as u32;
    let (targets, flags) = if table.is_some() { (1, READ_ONLY_FLAG) } else { (0, 0) };
    // version[3], data_size, data_start, target_count, open_count, flags, event_nr, padding
    for field in [4, 0, 0, total, header_bytes, targets, 0, flags, 0, 0] {
        bytes.extend_from_slice(&u32::to_ne_bytes(field));
    }
    bytes.extend_from_slice(&[0; 8]);
    push_text(&mut bytes, name, 128);
    // uuid[129] and 7 bytes of padding.
    push_text(&mut bytes, uuid, 136);
    bytes.extend_from_slice(&body);
    bytes
}

fn target(table: &Table) -> Vec<u8> {
    let padded = (table.parameters.len() + 1).next_multiple_of(8);
    let next = u32::try_from(TARGET_BYTES + padded).expect("parameters of a few hundred bytes");
    let mut bytes = Vec::with_capacity(TARGET_BYTES + padded);
    bytes.extend_from_slice(&[0; 8]);
    bytes.extend_from_slice(&table.sectors.to_ne_bytes());
    bytes.extend_from_slice(&[0; 4]);
    bytes.extend_from_slice(&next.to_ne_bytes());
    push_text(&mut bytes, table.target, 16);
    push_text(&mut bytes, &table.parameters, padded);
    bytes
}

fn push_text(bytes: &mut Vec<u8>, text: &str, field_bytes: usize) {
    assert!(text.len() < field_bytes, "`{text}` is longer than its field");
    let end = bytes.len() + field_bytes;
    bytes.extend_from_slice(text.as_bytes());
    bytes.resize(end, 0);
}

/// The minor number in an answer's `dev` field (the kernel's 64-bit encoding: `new_encode_dev`).
fn minor(answer: &[u8]) -> u64 {
    let mut field = [0; 8];
    field.copy_from_slice(&answer[DEV_OFFSET..DEV_OFFSET + 8]);
    let dev = u64::from_ne_bytes(field);
    dev & 0xff | (dev >> 12) & !0xff
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_request_has_the_layout_of_the_kernels_structs() {
        let table = Table {
            target: "verity",
            sectors: 200,
            parameters: "1 a b".into(),
        };
        let bytes = request("root", "U-1", Some(&table));
        let mut golden = Vec::new();
        for field in [4_u32, 0, 0, 312 + 40 + 8, 312, 1, 0, 1, 0, 0, 0, 0] {
            golden.extend_from_slice(&field.to_ne_bytes());
        }
        golden.extend_from_slice(b"root");
        golden.resize(48 + 128, 0);
        golden.extend_from_slice(b"U-1");
        golden.resize(312, 0);
        golden.extend_from_slice(&0_u64.to_ne_bytes());
        golden.extend_from_slice(&200_u64.to_ne_bytes());
        golden.extend_from_slice(&0_u32.to_ne_bytes());
        golden.extend_from_slice(&48_u32.to_ne_bytes());
        golden.extend_from_slice(b"verity\0\0\0\0\0\0\0\0\0\0");
        golden.extend_from_slice(b"1 a b\0\0\0");
        assert_eq!(bytes, golden);
    }

    #[test]
    fn a_request_without_a_table_is_the_header_alone() {
        let bytes = request("root", "", None);
        assert_eq!(bytes.len(), 312);
        assert_eq!(bytes[12..16], 312_u32.to_ne_bytes());
    }

    #[test]
    fn the_request_codes_are_those_of_the_header_file() {
        let code = |command| nix::request_code_readwrite!(0xfd, command as u8, HEADER_BYTES) as u32;
        assert_eq!(code(Command::Create), 0xc138_fd03);
        assert_eq!(code(Command::Resume), 0xc138_fd06);
        assert_eq!(code(Command::Load), 0xc138_fd09);
    }

    #[test]
    fn large_minor_numbers_are_put_together_from_their_halves() {
        let mut answer = vec![0; 312];
        // Major 254, minor 0x345.
        answer[40..44].copy_from_slice(&0x0030_fe45_u32.to_ne_bytes());
        assert_eq!(minor(&answer), 0x345);
    }
}
