//! The boot sector, the FSInfo sector and the geometry that follows from them (FAT specification, "Boot Sector and BPB").

use super::FatError;

/// Bytes in a sector; firmware reads others, but not everywhere.
pub const SECTOR_BYTES: u64 = 512;
/// Fewer clusters mean FAT16 (specification, "FAT Type Determination"). The 16 above the limit of 65,525 are there since
/// "there is a lot of FAT code out there that is off by 1 or 2 or 8" (same place).
pub const MIN_CLUSTERS: u32 = 65_525 + 16;
/// Sectors before the first FAT, at the least.
const MIN_RESERVED_SECTORS: u64 = 32;
/// The data area begins at a multiple of these sectors (4 KiB), so that clusters lie on flash pages.
const DATA_ALIGNMENT_SECTORS: u64 = 8;
/// 32-bit entries in a sector of the FAT.
const ENTRIES_PER_FAT_SECTOR: u64 = SECTOR_BYTES / 4;
/// The count of FATs; one would do, but the specification asks for two.
pub const FATS: u64 = 2;
/// Where FSInfo is, in sectors.
pub const FS_INFO_SECTOR: u64 = 1;
/// Where the copies of boot sector and FSInfo begin, in sectors.
pub const BACKUP_SECTOR: u64 = 6;
/// The first cluster of the root folder.
pub const ROOT_CLUSTER: u32 = 2;
/// Sector numbers are 32 bits wide; the last one is left unused.
const MAX_SECTORS: u64 = u32::MAX as u64;

/// Where things lie on a volume.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Geometry {
    /// The volume's sectors.
    pub total_sectors: u32,
    /// Sectors before the first FAT.
    pub reserved_sectors: u16,
    /// Sectors in a cluster, a power of two.
    pub sectors_per_cluster: u8,
    /// Sectors of each FAT.
    pub fat_sectors: u32,
    /// How many FATs there are: 1 or 2.
    pub fats: u8,
    /// Clusters in the data area; their numbers begin at 2.
    pub clusters: u32,
}

impl Geometry {
    /// The geometry for a volume of `volume_bytes`: the largest clusters (to a limit by size) that leave enough of them.
    pub fn for_volume(volume_bytes: u64) -> Result<Self, FatError> {
        let sectors = volume_bytes / SECTOR_BYTES;
        if sectors > MAX_SECTORS {
            let maximum_bytes = MAX_SECTORS * SECTOR_BYTES;
            return Err(FatError::VolumeTooLarge {
                volume_bytes,
                maximum_bytes,
            });
        }
        let largest: u8 = match volume_bytes >> 30 {
            0..8 => 8,
            8..16 => 16,
            16..32 => 32,
            _ => 64,
        };
        std::iter::successors(Some(largest), |size| Some(size / 2))
            .take_while(|size| *size > 0)
            .find_map(|sectors_per_cluster| Self::divide(sectors, sectors_per_cluster))
            .ok_or_else(|| FatError::VolumeTooSmall {
                volume_bytes,
                minimum_bytes: Self::minimum_bytes(),
            })
    }

    /// The smallest volume that is FAT32.
    pub fn minimum_bytes() -> u64 {
        (u64::from(MIN_CLUSTERS)..)
            .find(|sectors| Self::divide(*sectors, 1).is_some())
            .expect("a larger volume has more clusters")
            * SECTOR_BYTES
    }

    /// Divides `sectors` (32 bits) into reserved sectors, FATs and at least [`MIN_CLUSTERS`] clusters.
    fn divide(sectors: u64, sectors_per_cluster: u8) -> Option<Self> {
        let size = u64::from(sectors_per_cluster);
        // A FAT for clusters in place of the FATs themselves is a few sectors too long and saves solving an equation.
        let fat_sectors = (sectors / size + 2).div_ceil(ENTRIES_PER_FAT_SECTOR);
        let data_start = (MIN_RESERVED_SECTORS + FATS * fat_sectors).next_multiple_of(DATA_ALIGNMENT_SECTORS);
        let clusters = sectors.checked_sub(data_start)? / size;
        if clusters < u64::from(MIN_CLUSTERS) {
            return None;
        }
        Some(Self {
            total_sectors: u32::try_from(sectors).ok()?,
            reserved_sectors: u16::try_from(data_start - FATS * fat_sectors).ok()?,
            sectors_per_cluster,
            fat_sectors: u32::try_from(fat_sectors).ok()?,
            fats: FATS as u8,
            clusters: u32::try_from(clusters).ok()?,
        })
    }

    /// Bytes in a cluster.
    pub fn cluster_bytes(&self) -> u64 {
        u64::from(self.sectors_per_cluster) * SECTOR_BYTES
    }

    /// Where FAT `index` begins, in bytes from the volume's start.
    pub fn fat_offset(&self, index: u64) -> u64 {
        (u64::from(self.reserved_sectors) + index * u64::from(self.fat_sectors)) * SECTOR_BYTES
    }

    /// Where `cluster` (2 or above) begins, in bytes from the volume's start.
    pub fn cluster_offset(&self, cluster: u32) -> u64 {
        self.fat_offset(u64::from(self.fats)) + (u64::from(cluster) - 2) * self.cluster_bytes()
    }

    /// Whether `cluster` is the number of a cluster in the data area.
    pub fn contains(&self, cluster: u32) -> bool {
        cluster.checked_sub(2).is_some_and(|index| index < self.clusters)
    }
}

/// A volume label: 11 bytes, padded with spaces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VolumeLabel([u8; 11]);

impl VolumeLabel {
    /// The label `text`; lower case is refused, since systems disagree about it.
    pub fn new(text: &str) -> Result<Self, FatError> {
        let allowed = |byte: &u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || b"-_ ".contains(byte);
        let bytes = text.as_bytes();
        if bytes.is_empty() || bytes.len() > 11 || text.trim() != text || !bytes.iter().all(allowed) {
            return Err(FatError::BadLabel { label: text.to_owned() });
        }
        let mut label = [b' '; 11];
        label[..bytes.len()].copy_from_slice(bytes);
        Ok(Self(label))
    }

    /// The padded bytes.
    pub const fn as_bytes(&self) -> &[u8; 11] {
        &self.0
    }
}

impl std::fmt::Display for VolumeLabel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(String::from_utf8_lossy(&self.0).trim_end())
    }
}

/// A FAT32 boot sector with its BIOS parameter block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BootSector {
    /// Where things lie.
    pub geometry: Geometry,
    /// The first cluster of the root folder.
    pub root_cluster: u32,
    /// The volume's serial number.
    pub serial: u32,
    /// The volume's label.
    pub label: VolumeLabel,
}

/// Which field of a boot sector is wrong; the name is the specification's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the boot sector's {field} ({value}) is not that of a FAT32 volume with 512-byte sectors")]
pub struct BadBootSector {
    /// The field.
    pub field: &'static str,
    /// What it holds.
    pub value: u64,
}

impl BootSector {
    /// The sector's bytes.
    pub fn to_bytes(&self) -> [u8; SECTOR_BYTES as usize] {
        let mut bytes = [0; SECTOR_BYTES as usize];
        let mut put = |at: usize, field: &[u8]| bytes[at..at + field.len()].copy_from_slice(field);
        put(0, &[0xeb, 0x58, 0x90]); // jump to byte 90
        put(3, b"SKERRY  ");
        put(11, &(SECTOR_BYTES as u16).to_le_bytes());
        put(13, &[self.geometry.sectors_per_cluster]);
        put(14, &self.geometry.reserved_sectors.to_le_bytes());
        put(16, &[self.geometry.fats]);
        put(21, &[0xf8]); // media: fixed disk
        put(24, &63_u16.to_le_bytes()); // sectors per track, heads: BIOS geometry, which nobody uses
        put(26, &255_u16.to_le_bytes());
        put(32, &self.geometry.total_sectors.to_le_bytes());
        put(36, &self.geometry.fat_sectors.to_le_bytes());
        put(44, &self.root_cluster.to_le_bytes());
        put(48, &(FS_INFO_SECTOR as u16).to_le_bytes());
        put(50, &(BACKUP_SECTOR as u16).to_le_bytes());
        put(64, &[0x80, 0, 0x29]); // drive number, reserved, extended signature
        put(67, &self.serial.to_le_bytes());
        put(71, self.label.as_bytes());
        put(82, b"FAT32   ");
        put(90, &[0xf4, 0xeb, 0xfd]); // hlt, jump back: this volume does not boot by BIOS
        put(510, &[0x55, 0xaa]);
        bytes
    }

    /// Reads a boot sector of a volume that has `volume_bytes`; only what [`Geometry`] can address is accepted.
    pub fn parse(bytes: &[u8; SECTOR_BYTES as usize], volume_bytes: u64) -> Result<Self, BadBootSector> {
        let u16_at = |at: usize| u16::from_le_bytes([bytes[at], bytes[at + 1]]);
        let u32_at = |at: usize| u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
        let check = |holds: bool, field: &'static str, value: u64| match holds {
            true => Ok(()),
            false => Err(BadBootSector { field, value }),
        };
        check(bytes[510..] == [0x55, 0xaa], "signature", u16_at(510).into())?;
        check(
            u64::from(u16_at(11)) == SECTOR_BYTES,
            "BPB_BytsPerSec",
            u16_at(11).into(),
        )?;
        check(bytes[13].is_power_of_two(), "BPB_SecPerClus", bytes[13].into())?;
        check(u16_at(14) > 0, "BPB_RsvdSecCnt", u16_at(14).into())?;
        check(matches!(bytes[16], 1 | 2), "BPB_NumFATs", bytes[16].into())?;
        check(u16_at(17) == 0, "BPB_RootEntCnt", u16_at(17).into())?;
        check(u16_at(22) == 0, "BPB_FATSz16", u16_at(22).into())?;
        check(
            u64::from(u32_at(32)) * SECTOR_BYTES <= volume_bytes,
            "BPB_TotSec32",
            u32_at(32).into(),
        )?;
        check(u32_at(36) > 0, "BPB_FATSz32", u32_at(36).into())?;
        let before_data = u64::from(u16_at(14)) + u64::from(bytes[16]) * u64::from(u32_at(36));
        let data = u64::from(u32_at(32)).checked_sub(before_data);
        check(data.is_some(), "BPB_TotSec32", u32_at(32).into())?;
        let clusters = data.unwrap_or(0) / u64::from(bytes[13]);
        let limit = (u64::from(u32_at(36)) * ENTRIES_PER_FAT_SECTOR).min(0x0fff_fff7);
        check(
            (65_525..=limit.saturating_sub(2)).contains(&clusters),
            "cluster count",
            clusters,
        )?;
        let mut label = [0; 11];
        label.copy_from_slice(&bytes[71..82]);
        Ok(Self {
            geometry: Geometry {
                total_sectors: u32_at(32),
                reserved_sectors: u16_at(14),
                sectors_per_cluster: bytes[13],
                fat_sectors: u32_at(36),
                fats: bytes[16],
                clusters: clusters as u32,
            },
            root_cluster: u32_at(44),
            serial: u32_at(67),
            label: VolumeLabel(label),
        })
    }
}

/// The FSInfo sector: hints for whoever allocates next (FAT specification, "FSInfo Sector Structure").
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FsInfo {
    /// Free clusters.
    pub free_clusters: u32,
    /// Where to look for the next free one.
    pub next_free: u32,
}

impl FsInfo {
    /// The sector's bytes.
    pub fn to_bytes(&self) -> [u8; SECTOR_BYTES as usize] {
        let mut bytes = [0; SECTOR_BYTES as usize];
        bytes[0..4].copy_from_slice(b"RRaA");
        bytes[484..488].copy_from_slice(b"rrAa");
        bytes[488..492].copy_from_slice(&self.free_clusters.to_le_bytes());
        bytes[492..496].copy_from_slice(&self.next_free.to_le_bytes());
        bytes[508..].copy_from_slice(&[0, 0, 0x55, 0xaa]);
        bytes
    }
}
