//! The tables behind the data: inodes, directories, fragments, export, ids, extended attributes, in this order, which the
//! kernel checks. Everything is appended once, in an order in which each position is known before it is referred to.

use std::collections::BTreeMap;

use crate::tree::{Content, Node, Tree, TreePath};

use super::data::{Stored, StoredData};
use super::dirent::{self, Entry, Listing};
use super::encode::Encoder;
use super::inode::{Body, DirBody, FileBody, Inode, device_number};
use super::metadata::{MetadataWriter, Position};
use super::plan::Plan;
use super::superblock::{NO_TABLE, Superblock, ZSTD, flag};
use super::xattr::XattrSets;
use super::{Settings, SquashfsError};

/// Linux follows no link whose target is longer (`PATH_MAX` with its NUL).
const MAX_TARGET_LEN: usize = 4095;

/// The tables' bytes, which begin where the data ends, and the superblock that refers to them.
pub(super) struct Tables {
    pub bytes: Vec<u8>,
    pub superblock: Superblock,
}

/// Builds the tables of `tree`.
pub(super) fn tables(
    tree: &Tree,
    settings: &Settings,
    plan: &Plan<'_>,
    data: &StoredData,
) -> Result<Tables, SquashfsError> {
    let names = Names::of(tree)?;
    let inodes = Inodes {
        names: &names,
        timestamp: settings.timestamp,
        plan,
        data,
        ids: Ids::default(),
        xattrs: XattrSets::default(),
    };
    assemble(inodes.append_all(settings)?, settings)
}

/// The nodes of a tree by their place in path order, and what follows from the tree's shape alone.
struct Names<'a> {
    nodes: Vec<(&'a TreePath, &'a Node)>,
    /// For each node, the node that is its inode: itself, or the target of a hard link.
    inode_of: Vec<usize>,
    /// For each folder, its entries by name.
    children: Vec<Vec<usize>>,
    /// Names of a file, or 2 and the folders in a folder.
    links: Vec<u32>,
    parent: Vec<usize>,
    /// Inode numbers in the order of the inode table, from 1 on.
    numbers: Vec<u32>,
}

impl<'a> Names<'a> {
    fn of(tree: &'a Tree) -> Result<Self, SquashfsError> {
        let nodes: Vec<_> = tree.iter().collect();
        let places: BTreeMap<&TreePath, usize> = nodes.iter().enumerate().map(|(at, (path, _))| (*path, at)).collect();
        let mut names = Self {
            inode_of: (0..nodes.len()).collect(),
            children: vec![Vec::new(); nodes.len()],
            links: vec![1; nodes.len()],
            parent: vec![0; nodes.len()],
            numbers: vec![0; nodes.len()],
            nodes,
        };
        for (at, (path, node)) in names.nodes.iter().enumerate() {
            if let Some(parent) = path.parent() {
                names.parent[at] = places[&parent];
                names.children[names.parent[at]].push(at);
            }
            match &node.content {
                Content::Dir => {
                    names.links[at] += 1;
                    // The root's parent is the root here; the superfluous link is taken back below.
                    names.links[names.parent[at]] += 1;
                }
                Content::HardLink(target) => {
                    let file = places.get(target).copied();
                    let file = file.filter(|file| matches!(names.nodes[*file].1.content, Content::File(_)));
                    let file = file.ok_or_else(|| SquashfsError::DanglingHardLink {
                        path: (*path).clone(),
                        target: target.clone(),
                    })?;
                    names.inode_of[at] = file;
                    names.links[file] += 1;
                }
                _ => {}
            }
        }
        names.links[0] -= 1;
        names.number()?;
        Ok(names)
    }

    fn number(&mut self) -> Result<(), SquashfsError> {
        let too_many = |_| SquashfsError::TooMany("inodes");
        u32::try_from(self.nodes.len() + 1).map_err(too_many)?;
        let mut next = 1;
        for at in (0..self.nodes.len()).rev() {
            for child in &self.children[at] {
                let inode = self.inode_of[*child];
                if self.numbers[inode] == 0 {
                    self.numbers[inode] = next;
                    next += 1;
                }
            }
        }
        self.numbers[0] = next;
        Ok(())
    }

    /// The root is numbered last.
    fn inode_count(&self) -> u32 {
        self.numbers[0]
    }
}

/// User and group ids, in the order of their first use.
#[derive(Default)]
struct Ids {
    indexes: BTreeMap<u32, u16>,
    list: Vec<u32>,
}

impl Ids {
    fn index(&mut self, id: u32) -> Result<u16, SquashfsError> {
        // The superblock counts the ids in 16 bits.
        let next = u16::try_from(self.list.len()).ok().filter(|next| *next < u16::MAX);
        match (self.indexes.get(&id), next) {
            (Some(index), _) => Ok(*index),
            (None, None) => Err(SquashfsError::TooMany("different owners")),
            (None, Some(next)) => {
                self.indexes.insert(id, next);
                self.list.push(id);
                Ok(next)
            }
        }
    }
}

struct Inodes<'a> {
    names: &'a Names<'a>,
    timestamp: u32,
    plan: &'a Plan<'a>,
    data: &'a StoredData,
    ids: Ids,
    xattrs: XattrSets<'a>,
}

/// The two tables that refer to each other, and what the rest is made of.
struct Appended<'a> {
    inodes: Inodes<'a>,
    inode_table: Vec<u8>,
    directory_table: Vec<u8>,
    /// By inode number, from 1 on.
    positions: Vec<Position>,
}

impl<'a> Inodes<'a> {
    /// Folders come in reverse path order, so that what is in a folder is always appended before the folder's listing,
    /// and the inodes of one folder lie together.
    fn append_all(mut self, settings: &Settings) -> Result<Appended<'a>, SquashfsError> {
        let (mut first, mut second) = (Encoder::new(settings.level)?, Encoder::new(settings.level)?);
        let mut inode_table = MetadataWriter::new("inodes", &mut first);
        let mut directory_table = MetadataWriter::new("directory entries", &mut second);
        let mut positions = Vec::with_capacity(self.names.nodes.len());
        let mut listings: Vec<Option<Listing>> = vec![None; self.names.nodes.len()];
        let names = self.names;
        for at in (0..names.nodes.len()).rev() {
            if names.nodes[at].1.content != Content::Dir {
                continue;
            }
            for child in &names.children[at] {
                let inode = names.inode_of[*child];
                if names.numbers[inode] as usize == positions.len() + 1 {
                    positions.push(inode_table.position()?);
                    let listing = listings[inode].take();
                    inode_table.append(&self.inode(inode, listing)?.to_bytes())?;
                }
            }
            let entries: Vec<Entry<'_>> = names.children[at]
                .iter()
                .map(|child| self.entry(*child, &positions))
                .collect();
            listings[at] = Some(dirent::append(&mut directory_table, &entries)?);
        }
        positions.push(inode_table.position()?);
        let listing = listings[0].take();
        inode_table.append(&self.inode(0, listing)?.to_bytes())?;
        Ok(Appended {
            inodes: self,
            inode_table: inode_table.finish()?,
            directory_table: directory_table.finish()?,
            positions,
        })
    }

    fn entry(&self, at: usize, positions: &[Position]) -> Entry<'a> {
        let inode = self.names.inode_of[at];
        let number = self.names.numbers[inode];
        Entry {
            name: self.names.nodes[at].0.name(),
            inode: positions[number as usize - 1],
            number,
            kind: kind_of(&self.names.nodes[inode].1.content),
        }
    }

    fn inode(&mut self, at: usize, listing: Option<Listing>) -> Result<Inode, SquashfsError> {
        let (path, node) = self.names.nodes[at];
        Ok(Inode {
            mode: node.stat.mode & 0o7777,
            uid: self.ids.index(node.stat.uid)?,
            gid: self.ids.index(node.stat.gid)?,
            mtime: self.timestamp,
            number: self.names.numbers[at],
            links: self.names.links[at],
            xattrs: self.xattrs.number(path, &node.stat)?,
            body: self.body(at, listing)?,
        })
    }

    fn body(&self, at: usize, listing: Option<Listing>) -> Result<Body, SquashfsError> {
        let (path, node) = self.names.nodes[at];
        let device = |major, minor| {
            device_number(major, minor).ok_or_else(|| SquashfsError::DeviceNumber {
                path: path.clone(),
                major,
                minor,
            })
        };
        Ok(match &node.content {
            Content::Dir => {
                let listing = listing.expect("a folder's listing precedes its inode");
                let parent = match at {
                    0 => self.names.inode_count() + 1,
                    _ => self.names.numbers[self.names.parent[at]],
                };
                Body::Dir(DirBody {
                    listing: listing.start,
                    listing_len: listing.len_bytes,
                    parent,
                    index: listing.index,
                })
            }
            Content::File(data) => Body::File(self.file(data)),
            Content::HardLink(_) => unreachable!("a hard link's inode is its target's"),
            Content::Symlink(target) if target.is_empty() || target.len() > MAX_TARGET_LEN => {
                return Err(SquashfsError::SymlinkTarget {
                    path: path.clone(),
                    len_bytes: target.len(),
                });
            }
            Content::Symlink(target) => Body::Symlink {
                target: target.clone().into_bytes(),
            },
            Content::CharDevice { major, minor } => Body::CharDevice {
                number: device(*major, *minor)?,
            },
            Content::BlockDevice { major, minor } => Body::BlockDevice {
                number: device(*major, *minor)?,
            },
            Content::Fifo => Body::Fifo,
        })
    }

    fn file(&self, data: &crate::tree::FileData) -> FileBody {
        let placed = self.plan.placed(data).expect("the plan was made from the same tree");
        let stored: &[Stored] = &self.data.blocks[placed.blocks.clone()];
        let block_size = match stored.is_empty() {
            true => 0,
            false => (data.len_bytes - placed.tail.map_or(0, |tail| u64::from(tail.len_bytes))) / stored.len() as u64,
        };
        let holes = stored.iter().filter(|block| block.size == 0).count() as u64;
        FileBody {
            start: stored.first().map_or(0, |block| block.start),
            len_bytes: data.len_bytes,
            sparse_bytes: holes * block_size,
            block_sizes: stored.iter().map(|block| block.size).collect(),
            fragment: placed.tail.map(|tail| (tail.fragment, tail.offset)),
        }
    }
}

const fn kind_of(content: &Content) -> u16 {
    use super::inode::kind;
    match content {
        Content::Dir => kind::DIR,
        Content::File(_) | Content::HardLink(_) => kind::FILE,
        Content::Symlink(_) => kind::SYMLINK,
        Content::BlockDevice { .. } => kind::BLOCK_DEVICE,
        Content::CharDevice { .. } => kind::CHAR_DEVICE,
        Content::Fifo => kind::FIFO,
    }
}

/// Puts all tables one behind the other.
fn assemble(appended: Appended<'_>, settings: &Settings) -> Result<Tables, SquashfsError> {
    let Inodes {
        names,
        plan,
        data,
        ids,
        xattrs,
        ..
    } = appended.inodes;
    let mut encoder = Encoder::new(settings.level)?;
    let mut bytes = appended.inode_table;
    let directory_table = data.end + bytes.len() as u64;
    bytes.extend(appended.directory_table);
    let mut indexed = |name, entries: Vec<u8>, bytes: &mut Vec<u8>| {
        let mut table = MetadataWriter::new(name, &mut encoder);
        table.append(&entries)?;
        let (stored, index) = table.finish_indexed(data.end + bytes.len() as u64, &[])?;
        bytes.extend(stored);
        Ok::<u64, SquashfsError>(index)
    };
    let fragment_table = match plan.fragments.is_empty() {
        true => NO_TABLE,
        false => indexed("fragments", fragment_entries(plan, data), &mut bytes)?,
    };
    let references = appended.positions.iter().map(|at| at.reference().to_le_bytes());
    let export_table = indexed("exported inodes", references.flatten().collect(), &mut bytes)?;
    let owners = ids.list.iter().flat_map(|id| id.to_le_bytes());
    let id_table = indexed("owners", owners.collect(), &mut bytes)?;
    let (xattr_bytes, xattr_table) = xattrs.tables(data.end + bytes.len() as u64, &mut encoder)?;
    bytes.extend(xattr_bytes);
    let root = appended.positions.last().expect("the root is always there");
    let superblock = Superblock {
        inodes: names.inode_count(),
        mkfs_time: settings.timestamp,
        block_size: settings.block_size,
        fragments: plan.fragments.len() as u32,
        compressor: ZSTD,
        flags: flags(plan, &xattrs, settings),
        ids: ids.list.len() as u16,
        root_inode: root.reference(),
        bytes_used: data.end + bytes.len() as u64,
        id_table,
        xattr_table,
        inode_table: data.end,
        directory_table,
        fragment_table,
        export_table,
    };
    Ok(Tables { bytes, superblock })
}

/// 16 bytes for each fragment block: position, size, four unused.
fn fragment_entries(plan: &Plan<'_>, data: &StoredData) -> Vec<u8> {
    let mut entries = Vec::with_capacity(plan.fragments.len() * 16);
    for block in plan.fragments.iter().map(|block| data.blocks[*block]) {
        entries.extend(block.start.to_le_bytes());
        entries.extend(block.size.to_le_bytes());
        entries.extend([0; 4]);
    }
    entries
}

fn flags(plan: &Plan<'_>, xattrs: &XattrSets<'_>, settings: &Settings) -> u16 {
    let fragments = match plan.fragments.is_empty() {
        true => flag::NO_FRAGMENTS,
        false => flag::ALWAYS_FRAGMENTS,
    };
    let attributes = if xattrs.is_empty() { flag::NO_XATTRS } else { 0 };
    let options = match super::superblock::compressor_options(settings.level).is_empty() {
        true => 0,
        false => flag::COMPRESSOR_OPTIONS,
    };
    flag::DUPLICATES | flag::EXPORTABLE | fragments | attributes | options
}
