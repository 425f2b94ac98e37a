//! FAT32 volumes, written once and whole; one file of a finished one can be changed ([`update`]).
//!
//! In: files (bytes, or ranges of host files), a volume size, a label, a serial number and a time. Out: the same bytes on
//! every machine, each file in one contiguous run. Spec: Microsoft's FAT specification of 2005 ("FAT: General Overview of
//! On-Disk Format"), with VFAT long names.
//!
//! Firmware decides between FAT12, FAT16 and FAT32 by the number of clusters alone, so a volume here really has at least
//! [`boot_sector::MIN_CLUSTERS`] of them; OVMF refuses one that only calls itself FAT32.
//!
//! Deliberately unsupported: FAT12 and FAT16, sectors other than 512 bytes.

use std::path::PathBuf;

use crate::digest::Sha256;
use crate::failure::Diagnose;

pub mod boot_sector;
pub mod dir_entry;
mod folders;
pub mod read;
pub mod table;
pub mod time;
pub mod update;
mod write;

#[cfg(test)]
mod tests;

use boot_sector::{Geometry, VolumeLabel};
use dir_entry::{Attribute, DirEntry, ENTRY_BYTES};
use folders::{Child, Folders};
use time::DosTime;
pub use time::UtcTime;

/// A folder may take 2 MiB, which are 65,536 entries (FAT specification, "FAT Directory Structure").
pub(crate) const MAX_FOLDER_ENTRIES: usize = 65_536;

/// Where a file's content comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FatData {
    /// These bytes.
    Bytes(Vec<u8>),
    /// Part of a host file, read when the volume is written.
    Host {
        /// The file.
        path: PathBuf,
        /// Where the part begins, in bytes.
        offset: u64,
        /// How long the part is, in bytes.
        len_bytes: u64,
    },
}

impl FatData {
    /// The length in bytes.
    pub fn len_bytes(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::Host { len_bytes, .. } => *len_bytes,
        }
    }
}

/// One file of a volume; its folders come into being by themselves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FatFile {
    /// The path from the volume's root, parts separated by `/`, without a leading one; kept in this case.
    pub path: String,
    /// The content.
    pub data: FatData,
}

/// A file with its place.
#[derive(Debug, Clone, PartialEq, Eq)]
struct PlacedFile {
    file: FatFile,
    first_cluster: u32,
}

/// A folder with its place and its entries, padded to whole clusters.
#[derive(Debug, Clone, PartialEq, Eq)]
struct PlacedFolder {
    first_cluster: u32,
    bytes: Vec<u8>,
}

/// A planned volume: all that is needed to write it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FatVolume {
    geometry: Geometry,
    label: VolumeLabel,
    serial: u32,
    folders: Vec<PlacedFolder>,
    files: Vec<PlacedFile>,
    next_free_cluster: u32,
}

/// Why a volume cannot be planned or written.
#[derive(Debug, thiserror::Error)]
pub enum FatError {
    /// Firmware would take it for FAT16.
    #[error("a volume of {volume_bytes} bytes is too small for FAT32, which needs {minimum_bytes} bytes")]
    VolumeTooSmall {
        /// The size asked for.
        volume_bytes: u64,
        /// The smallest size possible.
        minimum_bytes: u64,
    },
    /// Sector numbers are 32 bits wide.
    #[error("a volume of {volume_bytes} bytes is too large for FAT32, which ends at {maximum_bytes} bytes")]
    VolumeTooLarge {
        /// The size asked for.
        volume_bytes: u64,
        /// The largest size possible.
        maximum_bytes: u64,
    },
    /// The files do not fit.
    #[error("the files need {needed_bytes} bytes, but the FAT volume has room for {available_bytes} bytes")]
    Full {
        /// What files and folders take, in whole clusters.
        needed_bytes: u64,
        /// What the volume has for them.
        available_bytes: u64,
    },
    /// A path that FAT cannot hold.
    #[error("`{path}` cannot be stored on FAT: {reason}")]
    BadPath {
        /// The path.
        path: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// Two paths that FAT cannot tell apart, or a file where a folder is needed.
    #[error("`{path}` and `{other}` are the same name on FAT, which ignores case")]
    Clash {
        /// The second path.
        path: String,
        /// The first one.
        other: String,
    },
    /// A label that FAT cannot hold.
    #[error("`{label}` is not a FAT volume label (1 to 11 of `A`-`Z`, `0`-`9`, `-`, `_` and inner spaces)")]
    BadLabel {
        /// The label.
        label: String,
    },
    /// A file beyond 4 GiB.
    #[error("`{path}` has {len_bytes} bytes; a file on FAT ends at 4294967295")]
    FileTooLarge {
        /// The file's path on the volume.
        path: String,
        /// Its length.
        len_bytes: u64,
    },
    /// A folder beyond [`MAX_FOLDER_ENTRIES`].
    #[error("the folder `{path}` has too many entries for FAT")]
    FolderTooLarge {
        /// The folder's path on the volume.
        path: String,
    },
    /// A host file cannot be opened.
    #[error("cannot open `{}` for the FAT volume", path.display())]
    OpenSource {
        /// The host file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A host file has shrunk since the plan.
    #[error("`{}` ended after {found_bytes} of the {expected_bytes} bytes planned for the FAT volume", path.display())]
    ShortSource {
        /// The host file.
        path: PathBuf,
        /// The planned length.
        expected_bytes: u64,
        /// What was there.
        found_bytes: u64,
    },
    /// A write failed.
    #[error("cannot write {what} of the FAT volume at byte {offset}")]
    Write {
        /// Which part, such as a file's path.
        what: String,
        /// Where in the output.
        offset: u64,
        /// Why.
        source: std::io::Error,
    },
}

impl Diagnose for FatError {
    fn hints(&self) -> Vec<String> {
        match self {
            Self::VolumeTooSmall { minimum_bytes, .. } => vec![format!(
                "make the EFI system partition at least {} MiB",
                minimum_bytes.div_ceil(1 << 20)
            )],
            Self::Full { needed_bytes, .. } => vec![format!(
                "make the EFI system partition larger: {} MiB of files have to fit",
                needed_bytes.div_ceil(1 << 20)
            )],
            Self::ShortSource { path, .. } => {
                vec![format!("`{}` changed during the build; build again", path.display())]
            }
            _ => Vec::new(),
        }
    }
}

/// The serial number for a volume whose content is known by `digest`.
pub fn serial_from(digest: &Sha256) -> u32 {
    let bytes = digest.as_bytes();
    u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])
}

/// Plans a volume of `volume_bytes` (whole sectors of it) that holds `files`, in the order of their paths.
///
/// `timestamp` is in seconds since 1970 and becomes every time on the volume, in UTC; FAT knows 1980 to 2107, so times
/// outside are moved to the nearest one within.
pub fn plan(
    mut files: Vec<FatFile>,
    volume_bytes: u64,
    label: &str,
    serial: u32,
    timestamp: u64,
) -> Result<FatVolume, FatError> {
    let geometry = Geometry::for_volume(volume_bytes)?;
    let label = VolumeLabel::new(label)?;
    files.sort_by(|a, b| a.path.cmp(&b.path));
    let folders = Folders::of(&files)?;
    let places = allocate(&geometry, &folders, &files)?;
    let time = DosTime::from(UtcTime::from_unix(timestamp));
    let folders = (0..folders.len())
        .map(|index| PlacedFolder {
            first_cluster: places.folders[index],
            bytes: folder_bytes(
                &geometry,
                &folders,
                index,
                &Stamp {
                    label,
                    time,
                    places: &places,
                    files: &files,
                },
            ),
        })
        .collect();
    Ok(FatVolume {
        geometry,
        label,
        serial,
        folders,
        next_free_cluster: places.next_free,
        files: (files.into_iter().zip(places.files))
            .map(|(file, first_cluster)| PlacedFile { file, first_cluster })
            .collect(),
    })
}

/// First clusters by index; an empty file has 0.
struct Places {
    folders: Vec<u32>,
    files: Vec<u32>,
    next_free: u32,
}

/// What every folder's entries need to know.
struct Stamp<'a> {
    label: VolumeLabel,
    time: DosTime,
    places: &'a Places,
    files: &'a [FatFile],
}

/// Gives out clusters one after the other: folders first, so that a listing reads one stretch of the disk.
fn allocate(geometry: &Geometry, folders: &Folders, files: &[FatFile]) -> Result<Places, FatError> {
    let cluster_bytes = geometry.cluster_bytes();
    let mut next = u64::from(table::FIRST_CLUSTER);
    let mut take = |len_bytes: u64| {
        let first = next;
        next += len_bytes.div_ceil(cluster_bytes);
        if first == next { 0 } else { first }
    };
    let folder_places: Vec<u64> = (0..folders.len())
        .map(|index| take((folders.entry_count(index) * ENTRY_BYTES) as u64))
        .collect();
    let file_places: Vec<u64> = files.iter().map(|file| take(file.data.len_bytes())).collect();
    let needed = next - u64::from(table::FIRST_CLUSTER);
    if needed > u64::from(geometry.clusters) {
        return Err(FatError::Full {
            needed_bytes: needed * cluster_bytes,
            available_bytes: u64::from(geometry.clusters) * cluster_bytes,
        });
    }
    let narrow = |cluster: u64| u32::try_from(cluster).expect("the cluster count was checked and is 32 bits wide");
    Ok(Places {
        folders: folder_places.into_iter().map(narrow).collect(),
        files: file_places.into_iter().map(narrow).collect(),
        next_free: narrow(next),
    })
}

/// The entries of one folder, padded with zeros (which end the list) to whole clusters.
fn folder_bytes(geometry: &Geometry, folders: &Folders, index: usize, stamp: &Stamp<'_>) -> Vec<u8> {
    let entry = |attribute, first_cluster, len_bytes| DirEntry {
        attribute,
        first_cluster,
        len_bytes,
        time: stamp.time,
    };
    let folder = folders.get(index);
    let mut bytes = Vec::new();
    match folder.parent {
        None => bytes.extend(entry(Attribute::VolumeLabel, 0, 0).to_bytes(stamp.label.as_bytes())),
        Some(parent) => {
            // The root is cluster 0 in `..` entries whatever its real cluster is (specification, "FAT Directory Structure").
            let parent_cluster = if parent == 0 { 0 } else { stamp.places.folders[parent] };
            let own_cluster = stamp.places.folders[index];
            bytes.extend(entry(Attribute::Folder, own_cluster, 0).to_bytes(b".          "));
            bytes.extend(entry(Attribute::Folder, parent_cluster, 0).to_bytes(b"..         "));
        }
    }
    for named in folder.children() {
        let entry = match named.child {
            Child::Folder(child) => entry(Attribute::Folder, stamp.places.folders[child], 0),
            Child::File(file) => {
                let len_bytes = u32::try_from(stamp.files[file].data.len_bytes())
                    .expect("lengths were checked when the folders were made");
                entry(Attribute::File, stamp.places.files[file], len_bytes)
            }
        };
        for long in &named.long_entries {
            bytes.extend(long);
        }
        bytes.extend(entry.to_bytes(&named.short));
    }
    let cluster_bytes = geometry.cluster_bytes() as usize;
    bytes.resize(bytes.len().next_multiple_of(cluster_bytes), 0);
    bytes
}
