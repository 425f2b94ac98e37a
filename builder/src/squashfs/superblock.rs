//! The superblock (96 bytes at offset 0) and the compressor options behind it.

/// Length on disk.
pub(super) const LEN: usize = 96;
/// A table position that means "no such table".
pub(super) const NO_TABLE: u64 = u64::MAX;
/// The compressor number of zstd.
pub(super) const ZSTD: u16 = 6;
/// The level at which mksquashfs leaves the compressor options out.
const DEFAULT_LEVEL: i32 = 15;

const MAGIC: [u8; 4] = *b"hsqs";
const VERSION: (u16, u16) = (4, 0);

/// Bits of [`Superblock::flags`].
pub(super) mod flag {
    pub const NO_FRAGMENTS: u16 = 0x10;
    pub const ALWAYS_FRAGMENTS: u16 = 0x20;
    pub const DUPLICATES: u16 = 0x40;
    pub const EXPORTABLE: u16 = 0x80;
    pub const NO_XATTRS: u16 = 0x200;
    pub const COMPRESSOR_OPTIONS: u16 = 0x400;
}

/// The first 96 bytes of an image. Positions are in bytes from the image's start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Superblock {
    /// Number of inodes.
    pub inodes: u32,
    /// When the image was made, in seconds since 1970.
    pub mkfs_time: u32,
    /// Bytes of a data block before compression.
    pub block_size: u32,
    /// Number of fragment blocks.
    pub fragments: u32,
    /// Compressor; 6 is zstd.
    pub compressor: u16,
    /// Feature bits.
    pub flags: u16,
    /// Number of distinct user and group ids.
    pub ids: u16,
    /// The root's inode: block position in the inode table, shifted left by 16, and offset in that block.
    pub root_inode: u64,
    /// Length of the image without padding.
    pub bytes_used: u64,
    /// Position of the id table's index.
    pub id_table: u64,
    /// Position of the extended attribute table's header, or all ones.
    pub xattr_table: u64,
    /// Position of the inode table.
    pub inode_table: u64,
    /// Position of the directory table.
    pub directory_table: u64,
    /// Position of the fragment table's index, or all ones.
    pub fragment_table: u64,
    /// Position of the export table's index, or all ones.
    pub export_table: u64,
}

impl Superblock {
    /// As it is on disk.
    pub fn to_bytes(&self) -> [u8; LEN] {
        let mut bytes = Vec::with_capacity(LEN);
        bytes.extend(MAGIC);
        for word in [self.inodes, self.mkfs_time, self.block_size, self.fragments] {
            bytes.extend(word.to_le_bytes());
        }
        let block_log = self.block_size.trailing_zeros() as u16;
        for half in [self.compressor, block_log, self.flags, self.ids, VERSION.0, VERSION.1] {
            bytes.extend(half.to_le_bytes());
        }
        for position in [
            self.root_inode,
            self.bytes_used,
            self.id_table,
            self.xattr_table,
            self.inode_table,
            self.directory_table,
            self.fragment_table,
            self.export_table,
        ] {
            bytes.extend(position.to_le_bytes());
        }
        bytes.try_into().expect("the fields add up to 96 bytes")
    }

    /// Reads what [`Superblock::to_bytes`] wrote; the error says what is wrong.
    pub fn from_bytes(bytes: &[u8; LEN]) -> Result<Self, &'static str> {
        let u16_at = |at: usize| u16::from_le_bytes([bytes[at], bytes[at + 1]]);
        let u32_at = |at: usize| u32::from(u16_at(at)) | u32::from(u16_at(at + 2)) << 16;
        let u64_at = |at: usize| u64::from(u32_at(at)) | u64::from(u32_at(at + 4)) << 32;
        if bytes[..4] != MAGIC {
            return Err("no squashfs magic");
        }
        if (u16_at(28), u16_at(30)) != VERSION {
            return Err("a version other than 4.0");
        }
        let block_size = u32_at(12);
        if !block_size.is_power_of_two()
            || !(4 << 10..=1 << 20).contains(&block_size)
            || u32::from(u16_at(22)) != block_size.trailing_zeros()
        {
            return Err("an impossible block size");
        }
        Ok(Self {
            inodes: u32_at(4),
            mkfs_time: u32_at(8),
            block_size,
            fragments: u32_at(16),
            compressor: u16_at(20),
            flags: u16_at(24),
            ids: u16_at(26),
            root_inode: u64_at(32),
            bytes_used: u64_at(40),
            id_table: u64_at(48),
            xattr_table: u64_at(56),
            inode_table: u64_at(64),
            directory_table: u64_at(72),
            fragment_table: u64_at(80),
            export_table: u64_at(88),
        })
    }
}

/// The bytes between superblock and data: one uncompressed metadata block with the zstd level, as mksquashfs writes it,
/// or nothing at mksquashfs' default level.
pub(super) fn compressor_options(level: i32) -> Vec<u8> {
    match level {
        DEFAULT_LEVEL => Vec::new(),
        _ => [
            &(super::metadata::UNCOMPRESSED | 4).to_le_bytes()[..],
            &level.to_le_bytes(),
        ]
        .concat(),
    }
}
