//! Linux as a board's firmware starts it by itself: kernel, initrd and command line as files of the first partition.

use std::io::{Read, Seek};

use flate2::read::GzDecoder;
use serde::Serialize;

use super::{BootEntry, Inspection};
use crate::digest::Sha256;
use crate::direct_boot::{self, SETTINGS};
use crate::fat::read::{FatEntry, FatReadError, FatReader};
use crate::kernel_image;

/// Before the release in every kernel (`init/version-timestamp.c`, `linux_banner`); it also stands before a `%s`.
const BANNER: &[u8] = b"Linux version ";
/// A release is shorter than this (`__NEW_UTS_LEN`, 64).
const MAX_RELEASE_BYTES: usize = 64;
/// Kernels have 50 MB, unpacked.
const MAX_KERNEL_BYTES: u64 = 128 << 20;
/// What is unpacked at a time.
const PIECE_BYTES: u64 = 4 << 20;

/// What the firmware starts unless it is told otherwise.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DirectKernel {
    /// The kernel's path on the first partition.
    pub path: String,
    /// Its length in bytes.
    pub len_bytes: u64,
    /// Its release, if it tells that, plain or in gzip.
    pub kernel: Option<String>,
    /// The initrd's path.
    pub initrd: String,
    /// The kernel command line.
    pub command_line: String,
    /// The root hash that the command line names.
    pub root_hash: Option<Sha256>,
}

/// Adds what the firmware's settings name, if it has such settings.
pub(super) fn inspect<R: Read + Seek>(
    volume: &mut FatReader<R>,
    inspection: &mut Inspection,
) -> Result<(), FatReadError> {
    for settings in SETTINGS {
        let Some(entry) = direct_boot::find(volume, settings)? else {
            continue;
        };
        inspection.boot.entries.push(BootEntry {
            path: entry.kernel.path.clone(),
            title: Some(settings.to_owned()),
            tries_left: None,
            tries_done: None,
        });
        if settings == SETTINGS[0] {
            inspection.direct = Some(DirectKernel {
                kernel: release(volume, &entry.kernel)?,
                root_hash: entry.root_hash(),
                path: entry.kernel.path,
                len_bytes: entry.kernel.len_bytes,
                initrd: entry.initrd.path,
                command_line: entry.command_line,
            });
        }
    }
    Ok(())
}

/// What a kernel calls itself; none if it does not, or is larger than any.
fn release<R: Read + Seek>(volume: &mut FatReader<R>, kernel: &FatEntry) -> Result<Option<String>, FatReadError> {
    if kernel.len_bytes > MAX_KERNEL_BYTES {
        return Ok(None);
    }
    let bytes = volume.read(kernel, MAX_KERNEL_BYTES)?;
    Ok(match bytes.starts_with(&kernel_image::GZIP) {
        // What follows a place where the archive is damaged cannot tell.
        true => release_from(GzDecoder::new(&bytes[..]).take(MAX_KERNEL_BYTES)),
        false => release_in(&bytes),
    })
}

fn release_from(mut unpacked: impl Read) -> Option<String> {
    let mut piece = Vec::new();
    loop {
        let kept = piece.len();
        let read = unpacked.by_ref().take(PIECE_BYTES).read_to_end(&mut piece);
        if let Some(found) = release_in(&piece) {
            return Some(found);
        }
        if read.is_err() || piece.len() == kept {
            return None;
        }
        // It may begin at the end of one piece and end in the next one.
        piece.drain(..piece.len().saturating_sub(BANNER.len() + MAX_RELEASE_BYTES));
    }
}

fn release_in(bytes: &[u8]) -> Option<String> {
    let places = bytes.windows(BANNER.len()).enumerate();
    let mut found = places.filter(|(_, window)| *window == BANNER).filter_map(|(at, _)| {
        let rest = &bytes[at + BANNER.len()..];
        let len = rest.iter().take(MAX_RELEASE_BYTES).position(|byte| *byte == b' ')?;
        let text = std::str::from_utf8(&rest[..len]).ok()?;
        text.starts_with(|first: char| first.is_ascii_digit())
            .then(|| text.to_owned())
    });
    found.next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kernel_tells_its_release_behind_its_banner() {
        let kernel = b"..Linux version %s (%s)\0..Linux version 7.3.4+deb13-arm64 (debian-kernel@..";
        assert_eq!(release_in(kernel).as_deref(), Some("7.3.4+deb13-arm64"));
        assert_eq!(release_from(&kernel[..]).as_deref(), Some("7.3.4+deb13-arm64"));
        assert_eq!(release_in(b"Linux version 7.3"), None);
        assert_eq!(release_from(&b"Linux version 7.3"[..]), None);
        assert_eq!(release_in(b"MZ"), None);
    }

    #[test]
    fn a_banner_is_found_wherever_it_is_cut() {
        for beyond in [0, 1, 10, 21, 22, 100] {
            let before = PIECE_BYTES as usize - beyond;
            let kernel = [vec![0; before], b"Linux version 7.3.4 (x".to_vec()].concat();
            assert_eq!(release_from(&kernel[..]).as_deref(), Some("7.3.4"), "{beyond}");
        }
    }
}
