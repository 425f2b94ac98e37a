//! `skerry-node grow-disk` on disks with an MBR, with sfdisk and e2fsck as judges.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, also in its helpers")]
#![allow(clippy::print_stdout, reason = "a skipped test says so")]
#![allow(missing_debug_implementations, reason = "nobody prints a disk")]

#[path = "grow_disk/images.rs"]
mod images;
#[path = "grow_disk/judges.rs"]
mod judges;
#[path = "grow_disk/machines.rs"]
mod machines;
