//! The root folder of a volume in memory, slot by slot.

use std::collections::BTreeSet;

use super::FatUpdateError;
use crate::fat::MAX_FOLDER_ENTRIES;
use crate::fat::boot_sector::SECTOR_BYTES;
use crate::fat::dir_entry::{self, AnyEntry, DirEntry, ENTRY_BYTES, ShortEntry, ShortName};
use crate::fat::read::LongName;
use crate::fat::time::{DosTime, UtcTime};

/// Entries in a sector.
const SLOTS_PER_SECTOR: usize = SECTOR_BYTES as usize / ENTRY_BYTES;
/// The first byte of a slot that is free although others follow.
const DELETED: u8 = 0xe5;

type Slot = [u8; ENTRY_BYTES];

/// The root folder.
#[derive(Debug, Default)]
pub(super) struct RootFolder {
    clusters: Vec<u32>,
    slots: Vec<Slot>,
}

/// A file that is there: its slots, the long entries first.
#[derive(Debug)]
pub(super) struct Found {
    first: usize,
    short: usize,
    pub(super) entry: ShortEntry,
}

/// Where a new file's entries can go: into slots of one sector.
#[derive(Debug)]
pub(super) struct Place {
    /// Slots from here to `first` are marked as deleted, since the list would end there.
    from: usize,
    first: usize,
    /// Whether the folder needs one more cluster.
    pub(super) grows: bool,
    short: ShortName,
    long_entries: Vec<Slot>,
}

/// In which order sectors have to be written.
#[derive(Debug)]
pub(super) struct Steps {
    /// What nobody sees yet.
    pub(super) before: Vec<usize>,
    /// What makes the new entry visible; none if a new cluster's link does.
    pub(super) commit: Option<usize>,
}

impl RootFolder {
    pub(super) fn new(clusters: Vec<u32>, bytes: &[u8]) -> Self {
        Self {
            clusters,
            slots: bytes.as_chunks::<ENTRY_BYTES>().0.to_vec(),
        }
    }

    pub(super) fn cluster(&self, index: usize) -> u32 {
        self.clusters[index]
    }

    pub(super) fn last_cluster(&self) -> u32 {
        self.clusters.last().copied().expect("a chain has at least one cluster")
    }

    /// The bytes of a sector.
    pub(super) fn sector(&self, sector: usize) -> Vec<u8> {
        self.slots[sector * SLOTS_PER_SECTOR..][..SLOTS_PER_SECTOR].concat()
    }

    /// The file or folder of this name, without regard to case.
    pub(super) fn find(&self, name: &str) -> Option<Found> {
        let wanted = dir_entry::folded(name);
        let mut long_name = LongName::default();
        let mut first = None;
        for (index, slot) in self.slots.iter().enumerate() {
            match AnyEntry::parse(slot) {
                AnyEntry::End => return None,
                AnyEntry::Deleted => (long_name, first) = (LongName::default(), None),
                AnyEntry::Long(part) => {
                    if part.is_last() || first.is_none() {
                        first = Some(index);
                    }
                    long_name.push(&part);
                }
                AnyEntry::Short(entry) => {
                    let here = first.take().unwrap_or(index);
                    let found = std::mem::take(&mut long_name).finish(&entry);
                    if !entry.is_label && dir_entry::folded(&found) == wanted {
                        return Some(Found {
                            first: here,
                            short: index,
                            entry,
                        });
                    }
                }
            }
        }
        None
    }

    /// The volume's label, if the folder has one.
    pub(super) fn label(&self) -> Option<String> {
        let slots = self.slots[..self.end()].iter();
        let mut labels = slots.filter_map(|slot| match AnyEntry::parse(slot) {
            AnyEntry::Short(entry) if entry.is_label => Some(entry.name),
            _ => None,
        });
        let label = labels.next()?;
        Some(String::from_utf8_lossy(&label).trim_end_matches(' ').to_owned())
    }

    /// The time of the volume: that of its label.
    pub(super) fn time(&self) -> DosTime {
        let is_label = |slot: &&Slot| matches!(AnyEntry::parse(slot), AnyEntry::Short(entry) if entry.is_label);
        match self.slots.iter().find(is_label) {
            Some(slot) => DosTime {
                time: u16::from_le_bytes([slot[22], slot[23]]),
                date: u16::from_le_bytes([slot[24], slot[25]]),
                hundredths: 0,
            },
            None => DosTime::from(UtcTime::from_unix(0)),
        }
    }

    /// Gives an entry another content; returns the sector to write.
    pub(super) fn change(&mut self, found: &Found, entry: &DirEntry) -> usize {
        let fresh = entry.to_bytes(&found.entry.name);
        let slot = &mut self.slots[found.short];
        // Time and date of the change, where the content begins, its length; all else stays.
        for range in [20..28, 28..32] {
            slot[range.clone()].copy_from_slice(&fresh[range]);
        }
        found.short / SLOTS_PER_SECTOR
    }

    /// Deletes an entry; returns the sectors to write, one after the other. The short entry's comes first: long ones
    /// without it are passed over by everybody.
    pub(super) fn delete(&mut self, found: &Found) -> Vec<usize> {
        for slot in &mut self.slots[found.first..=found.short] {
            slot[0] = DELETED;
        }
        let sectors = found.first / SLOTS_PER_SECTOR..=found.short / SLOTS_PER_SECTOR;
        sectors.rev().collect()
    }

    /// Where the entries of `name` can go.
    pub(super) fn place(&self, name: &str) -> Result<Place, FatUpdateError> {
        let mut taken: BTreeSet<ShortName> = self.short_names().collect();
        let (short, long_entries) = dir_entry::encode_name(name, &mut taken);
        let count = long_entries.len() + 1;
        if count > SLOTS_PER_SECTOR {
            return Err(FatUpdateError::RootFull);
        }
        let end = self.end();
        let is_free = |first: usize| self.slots[first..first + count].iter().all(|slot| slot[0] == DELETED);
        let in_one_sector = |first: &usize| first % SLOTS_PER_SECTOR + count <= SLOTS_PER_SECTOR;
        let hole = (0..(end + 1).saturating_sub(count)).find(|first| in_one_sector(first) && is_free(*first));
        let (from, first) = match hole {
            Some(first) => (first, first),
            None if in_one_sector(&end) => (end, end),
            None => (end, end.next_multiple_of(SLOTS_PER_SECTOR)),
        };
        let grows = first + count > self.slots.len();
        if grows && self.slots.len() + self.slots_per_cluster() > MAX_FOLDER_ENTRIES {
            return Err(FatUpdateError::RootFull);
        }
        Ok(Place {
            from,
            first,
            grows,
            short,
            long_entries,
        })
    }

    /// Puts a new entry to its place, in a new cluster if it needs one.
    pub(super) fn insert(&mut self, place: &Place, entry: &DirEntry, cluster: Option<u32>) -> Steps {
        let (old_end, old_len) = (self.end(), self.slots.len());
        if let Some(cluster) = cluster {
            self.slots.resize(old_len + self.slots_per_cluster(), [0; ENTRY_BYTES]);
            self.clusters.push(cluster);
        }
        let mut touched: BTreeSet<usize> = (old_len..self.slots.len()).collect();
        for index in place.from..place.first {
            self.slots[index][0] = DELETED;
            touched.insert(index);
        }
        let entries = place.long_entries.iter().copied().chain([entry.to_bytes(&place.short)]);
        for (index, slot) in (place.first..).zip(entries) {
            self.slots[index] = slot;
            touched.insert(index);
        }
        // What follows the end of the list may be anything; it must not become part of it.
        let after = place.first + place.long_entries.len() + 1;
        if after > old_end
            && let Some(slot) = self.slots.get_mut(after)
            && slot[0] != 0
        {
            *slot = [0; ENTRY_BYTES];
            touched.insert(after);
        }
        let commit = (place.from < old_len).then_some(place.from / SLOTS_PER_SECTOR);
        let sectors: BTreeSet<usize> = touched.iter().map(|index| index / SLOTS_PER_SECTOR).collect();
        Steps {
            before: sectors.into_iter().filter(|sector| Some(*sector) != commit).collect(),
            commit,
        }
    }

    /// The first slot after the list.
    fn end(&self) -> usize {
        let end = self.slots.iter().position(|slot| slot[0] == 0);
        end.unwrap_or(self.slots.len())
    }

    fn slots_per_cluster(&self) -> usize {
        self.slots.len() / self.clusters.len().max(1)
    }

    fn short_names(&self) -> impl Iterator<Item = ShortName> + '_ {
        self.slots[..self.end()]
            .iter()
            .filter_map(|slot| match AnyEntry::parse(slot) {
                AnyEntry::Short(entry) => Some(entry.name),
                _ => None,
            })
    }
}
