//! Inodes from the inode table.

use super::super::ReadAt;
use super::super::inode::{Body, DirBody, FileBody, Inode, LISTING_EXTRA, NONE, kind};
use super::super::metadata::Position;
use super::super::superblock::Superblock;
use super::ReadError;
use super::metadata::{Budget, Cursor, MetadataReader};

/// Longer targets cannot be followed (`PATH_MAX`).
const MAX_TARGET_LEN: u32 = 4096;

/// Reads the inode that `reference` points at; the index of a folder is left out.
pub(super) fn read<R: ReadAt + ?Sized>(
    metadata: &MetadataReader<'_, R>,
    superblock: &Superblock,
    reference: u64,
    budget: &mut Budget,
) -> Result<Inode, ReadError> {
    let block = superblock.inode_table.checked_add(reference >> 16);
    let mut reader = InodeReader {
        cursor: metadata.cursor(block, reference as u16)?,
        reference,
        block_size: superblock.block_size,
    };
    let type_number = reader.cursor.u16()?;
    let is_extended = type_number > kind::EXTENDED;
    let basic = if is_extended {
        type_number - kind::EXTENDED
    } else {
        type_number
    };
    let mut inode = Inode {
        mode: reader.cursor.u16()?,
        uid: reader.cursor.u16()?,
        gid: reader.cursor.u16()?,
        mtime: reader.cursor.u32()?,
        number: reader.cursor.u32()?,
        links: 1,
        xattrs: None,
        body: Body::Fifo,
    };
    let form = if is_extended { Form::Extended } else { Form::Basic };
    match basic {
        kind::DIR => reader.dir(&mut inode, form)?,
        kind::FILE => reader.file(&mut inode, form, budget)?,
        kind::SYMLINK | kind::BLOCK_DEVICE | kind::CHAR_DEVICE | kind::FIFO => {
            reader.special(&mut inode, basic)?;
            if is_extended {
                inode.xattrs = reader.xattrs()?;
            }
        }
        kind::SOCKET => return Err(reader.corrupt("the type of a socket")),
        _ => return Err(reader.corrupt("an unknown type")),
    }
    Ok(inode)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Basic,
    Extended,
}

struct InodeReader<'m, 'd, R: ReadAt + ?Sized> {
    cursor: Cursor<'m, 'd, R>,
    reference: u64,
    block_size: u32,
}

impl<R: ReadAt + ?Sized> InodeReader<'_, '_, R> {
    fn corrupt(&self, what: &'static str) -> ReadError {
        ReadError::Inode {
            reference: self.reference,
            what,
        }
    }

    fn xattrs(&mut self) -> Result<Option<u32>, ReadError> {
        Ok(Some(self.cursor.u32()?).filter(|set| *set != NONE))
    }

    fn dir(&mut self, inode: &mut Inode, form: Form) -> Result<(), ReadError> {
        let cursor = &mut self.cursor;
        let (block, len, offset, parent);
        if form == Form::Basic {
            (block, inode.links) = (cursor.u32()?, cursor.u32()?);
            (len, offset) = (u32::from(cursor.u16()?), cursor.u16()?);
            parent = cursor.u32()?;
        } else {
            (inode.links, len) = (cursor.u32()?, cursor.u32()?);
            (block, parent) = (cursor.u32()?, cursor.u32()?);
            let _index_count = cursor.u16()?;
            offset = cursor.u16()?;
            inode.xattrs = self.xattrs()?;
        }
        let listing_len = len
            .checked_sub(LISTING_EXTRA)
            .ok_or_else(|| self.corrupt("an impossible length"))?;
        inode.body = Body::Dir(DirBody {
            listing: Position { block, offset },
            listing_len,
            parent,
            index: Vec::new(),
        });
        Ok(())
    }

    fn file(&mut self, inode: &mut Inode, form: Form, budget: &mut Budget) -> Result<(), ReadError> {
        let cursor = &mut self.cursor;
        let (start, len_bytes, sparse_bytes, fragment, offset);
        if form == Form::Basic {
            start = u64::from(cursor.u32()?);
            (fragment, offset) = (cursor.u32()?, cursor.u32()?);
            (len_bytes, sparse_bytes) = (u64::from(cursor.u32()?), 0);
        } else {
            (start, len_bytes, sparse_bytes) = (cursor.u64()?, cursor.u64()?, cursor.u64()?);
            (inode.links, fragment, offset) = (cursor.u32()?, cursor.u32()?, cursor.u32()?);
            inode.xattrs = self.xattrs()?;
        }
        let block_size = u64::from(self.block_size);
        let count = match fragment {
            NONE => len_bytes.div_ceil(block_size),
            _ => len_bytes / block_size,
        };
        let list_len = count.checked_mul(4).and_then(|len| usize::try_from(len).ok());
        let list_len = list_len.ok_or_else(|| self.corrupt("an impossible length"))?;
        budget.take(list_len)?;
        let list = self.cursor.bytes(list_len)?;
        let (sizes, _) = list.as_chunks::<4>();
        inode.body = Body::File(FileBody {
            start,
            len_bytes,
            sparse_bytes,
            block_sizes: sizes.iter().map(|size| u32::from_le_bytes(*size)).collect(),
            fragment: (fragment != NONE).then_some((fragment, offset)),
        });
        Ok(())
    }

    fn special(&mut self, inode: &mut Inode, basic: u16) -> Result<(), ReadError> {
        inode.links = self.cursor.u32()?;
        inode.body = match basic {
            kind::FIFO => Body::Fifo,
            kind::BLOCK_DEVICE => Body::BlockDevice {
                number: self.cursor.u32()?,
            },
            kind::CHAR_DEVICE => Body::CharDevice {
                number: self.cursor.u32()?,
            },
            _ => Body::Symlink { target: self.target()? },
        };
        Ok(())
    }

    fn target(&mut self) -> Result<Vec<u8>, ReadError> {
        let len = self.cursor.u32()?;
        if len == 0 || len > MAX_TARGET_LEN {
            return Err(self.corrupt("a link target of an impossible length"));
        }
        self.cursor.bytes(len as usize)
    }
}
