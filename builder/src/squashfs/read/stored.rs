//! What each file takes in the image, compressed: its own blocks, and its share of the fragment that holds its rest.

use std::collections::{BTreeMap, BTreeSet};

use super::super::ReadAt;
use super::super::data::UNCOMPRESSED;
use super::super::inode::FileBody;
use super::{Entry, EntryContent, Image};

/// Where a content is, and its length: equal contents are stored once, and then share it.
type Place = (u64, Option<(u32, u32)>, u64);

impl<R: ReadAt + ?Sized> Image<'_, R> {
    /// For each of `entries`, which are this image's, how many bytes of the image its content takes. What several files
    /// share counts for the first of them. A fragment is divided by the lengths of the rests in it, the last of which
    /// takes what rounding left over; so the sum is that of all blocks that belong to files.
    pub fn stored_bytes(&self, entries: &[Entry]) -> Vec<u64> {
        let mut seen: BTreeSet<Place> = BTreeSet::new();
        let mut rests: BTreeMap<u32, Vec<(usize, u64)>> = BTreeMap::new();
        let mut stored = vec![0; entries.len()];
        for (index, entry) in entries.iter().enumerate() {
            let EntryContent::File(file) = &entry.content else {
                continue;
            };
            let body = &file.0;
            if body.len_bytes == 0 || !seen.insert((body.start, body.fragment, body.len_bytes)) {
                continue;
            }
            stored[index] = file.block_bytes();
            if let Some((fragment, _)) = body.fragment {
                rests.entry(fragment).or_default().push((index, self.rest_len(body)));
            }
        }
        for (fragment, rests) in rests {
            let size = self
                .fragments
                .place(fragment)
                .map_or(0, |(_, size)| size & !UNCOMPRESSED);
            let total: u64 = rests.iter().map(|(_, len)| len).sum();
            let mut left = u64::from(size);
            for (position, (index, len)) in rests.iter().enumerate() {
                let share = match position + 1 == rests.len() {
                    true => left,
                    false => (u64::from(size) * len).checked_div(total).unwrap_or(0).min(left),
                };
                stored[*index] = stored[*index].saturating_add(share);
                left -= share;
            }
        }
        stored
    }

    fn rest_len(&self, body: &FileBody) -> u64 {
        body.len_bytes % u64::from(self.superblock.block_size)
    }
}
