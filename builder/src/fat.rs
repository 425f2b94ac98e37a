//! FAT32 volumes, written once and whole.
