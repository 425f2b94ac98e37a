//! Which block holds what, and which blocks form a batch: decided from sizes and digests, without reading a file.

use std::collections::BTreeMap;
use std::ops::Range;

use crate::digest::Sha256;
use crate::tree::{Content, FileData, Origin, Tree, TreePath};

use super::{Settings, SquashfsError, Stats};

/// Part of every cache key. A new value forgets all cached blocks; needed when blocks of equal inputs become different
/// for a reason that is in no other field of the key (zstd's version is one).
const CACHE_VERSION: &[u8] = b"skerry squashfs blocks 1";
/// A batch is full with so many bytes of file data: small enough to keep many cores busy, and large enough that a tree
/// of 300 MB has a few hundred cache entries.
const BATCH_BYTES: u64 = 2 << 20;
/// A file of this size begins and ends a batch, so that its cached blocks do not depend on its neighbours.
const LARGE_FILE_BYTES: u64 = 1 << 20;

/// A distinct file content.
#[derive(Debug)]
pub(super) struct Placed<'a> {
    pub data: &'a FileData,
    /// The first path that has it, for errors.
    pub path: &'a TreePath,
    /// Its full blocks, as a range of [`Plan::blocks`].
    pub blocks: Range<usize>,
    /// What is left after the full blocks.
    pub tail: Option<Tail>,
}

/// A place inside a fragment.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tail {
    pub fragment: u32,
    pub offset: u32,
    pub len_bytes: u32,
}

/// A range of a file's content.
#[derive(Debug, Clone, Copy)]
pub(super) struct Slice {
    /// Index into [`Plan::contents`].
    pub content: usize,
    pub offset: u64,
    pub len_bytes: u32,
}

/// Consecutive blocks that are compressed and cached together.
#[derive(Debug)]
pub(super) struct Batch {
    pub blocks: Range<usize>,
    /// Length of its file data.
    pub len_bytes: u64,
}

/// The layout of all file data. Blocks are stored in order and without gaps.
#[derive(Debug)]
pub(super) struct Plan<'a> {
    pub contents: Vec<Placed<'a>>,
    /// A full block of one file, or a fragment block of several rests.
    pub blocks: Vec<Vec<Slice>>,
    /// Which blocks are fragment blocks.
    pub fragments: Vec<usize>,
    pub batches: Vec<Batch>,
    by_content: BTreeMap<(Sha256, u64), usize>,
    file_bytes: u64,
}

impl<'a> Plan<'a> {
    pub(super) fn of(tree: &'a Tree, settings: &Settings) -> Result<Self, SquashfsError> {
        let mut by_origin: BTreeMap<&Origin, Vec<(&TreePath, &FileData)>> = BTreeMap::new();
        let mut file_bytes = 0;
        for (path, node) in tree.iter() {
            if let Content::File(data) = &node.content {
                by_origin.entry(&node.origin).or_default().push((path, data));
                file_bytes += data.len_bytes;
            }
        }
        let mut planner = Planner {
            plan: Self {
                contents: Vec::new(),
                blocks: Vec::new(),
                fragments: Vec::new(),
                batches: Vec::new(),
                by_content: BTreeMap::new(),
                file_bytes,
            },
            block_size: settings.block_size,
            batch: Batch {
                blocks: 0..0,
                len_bytes: 0,
            },
        };
        for files in by_origin.into_values() {
            planner.add_origin(files)?;
        }
        Ok(planner.plan)
    }

    /// Where the content is; none if it is empty or of another tree.
    pub(super) fn placed(&self, data: &FileData) -> Option<&Placed<'a>> {
        let index = self.by_content.get(&(data.sha256, data.len_bytes))?;
        self.contents.get(*index)
    }

    /// The cache key of a batch: what its blocks consist of, and all that decides how they are stored.
    pub(super) fn key(&self, batch: &Batch, settings: &Settings) -> Sha256 {
        let mut recipe = Vec::new();
        for (block, slices) in batch.blocks.clone().zip(&self.blocks[batch.blocks.clone()]) {
            recipe.push(u8::from(self.is_fragment(block)));
            recipe.extend((slices.len() as u64).to_le_bytes());
            for slice in slices {
                recipe.extend(self.contents[slice.content].data.sha256.as_bytes());
                recipe.extend(slice.offset.to_le_bytes());
                recipe.extend(slice.len_bytes.to_le_bytes());
            }
        }
        let zstd_version = zstd::zstd_safe::version_number().to_le_bytes();
        let level = settings.level.to_le_bytes();
        Sha256::of_fields([CACHE_VERSION, &zstd_version, &level, &recipe])
    }

    /// Whether a block holds rests; such a block is never left out as a hole.
    pub(super) fn is_fragment(&self, block: usize) -> bool {
        self.fragments.binary_search(&block).is_ok()
    }

    /// What is known before anything is stored.
    pub(super) fn stats(&self) -> Stats {
        Stats {
            file_bytes: self.file_bytes,
            distinct_bytes: self.batches.iter().map(|batch| batch.len_bytes).sum(),
            blocks: (self.blocks.len() - self.fragments.len()) as u64,
            fragments: self.fragments.len() as u64,
            batches: self.batches.len() as u64,
            ..Stats::default()
        }
    }
}

struct Planner<'a> {
    plan: Plan<'a>,
    block_size: u32,
    batch: Batch,
}

impl<'a> Planner<'a> {
    fn add_origin(&mut self, files: Vec<(&'a TreePath, &'a FileData)>) -> Result<(), SquashfsError> {
        let first = self.plan.contents.len();
        for (path, data) in files {
            let next = self.plan.contents.len();
            let index = *self
                .plan
                .by_content
                .entry((data.sha256, data.len_bytes))
                .or_insert(next);
            if index == next {
                self.add_full_blocks(path, data);
            }
        }
        self.end_batch();
        self.add_tails(first..self.plan.contents.len())?;
        self.end_batch();
        Ok(())
    }

    fn add_full_blocks(&mut self, path: &'a TreePath, data: &'a FileData) {
        if data.len_bytes >= LARGE_FILE_BYTES {
            self.end_batch();
        }
        let content = self.plan.contents.len();
        let first = self.plan.blocks.len();
        let block_size = u64::from(self.block_size);
        for block in 0..data.len_bytes / block_size {
            self.add_block(vec![Slice {
                content,
                offset: block * block_size,
                len_bytes: self.block_size,
            }]);
        }
        if data.len_bytes >= LARGE_FILE_BYTES {
            self.end_batch();
        }
        self.plan.contents.push(Placed {
            data,
            path,
            blocks: first..self.plan.blocks.len(),
            tail: None,
        });
    }

    fn add_tails(&mut self, contents: Range<usize>) -> Result<(), SquashfsError> {
        let mut slices: Vec<Slice> = Vec::new();
        let mut filled = 0;
        for content in contents {
            let len = self.plan.contents[content].data.len_bytes;
            let len_bytes = (len % u64::from(self.block_size)) as u32;
            if len_bytes == 0 {
                continue;
            }
            if filled + len_bytes > self.block_size {
                self.add_fragment(std::mem::take(&mut slices));
                filled = 0;
            }
            let fragment = u32::try_from(self.plan.fragments.len()).map_err(|_| SquashfsError::TooMany("fragments"))?;
            self.plan.contents[content].tail = Some(Tail {
                fragment,
                offset: filled,
                len_bytes,
            });
            slices.push(Slice {
                content,
                offset: len - u64::from(len_bytes),
                len_bytes,
            });
            filled += len_bytes;
        }
        if !slices.is_empty() {
            self.add_fragment(slices);
        }
        Ok(())
    }

    fn add_fragment(&mut self, slices: Vec<Slice>) {
        self.plan.fragments.push(self.plan.blocks.len());
        self.add_block(slices);
    }

    fn add_block(&mut self, slices: Vec<Slice>) {
        let len: u64 = slices.iter().map(|slice| u64::from(slice.len_bytes)).sum();
        self.plan.blocks.push(slices);
        self.batch.blocks.end = self.plan.blocks.len();
        self.batch.len_bytes += len;
        if self.batch.len_bytes >= BATCH_BYTES {
            self.end_batch();
        }
    }

    fn end_batch(&mut self) {
        let end = self.plan.blocks.len();
        let next = Batch {
            blocks: end..end,
            len_bytes: 0,
        };
        let batch = std::mem::replace(&mut self.batch, next);
        if !batch.blocks.is_empty() {
            self.plan.batches.push(batch);
        }
    }
}
