//! Which rules about disks a command line sets aside.

use std::collections::BTreeSet;

use crate::cli::OverrideArgs;
use crate::device::Override;

/// The rules that `flags` set aside.
pub(super) fn allowed(flags: &OverrideArgs) -> BTreeSet<Override> {
    let fixed = flags.allow_fixed_disk.then_some(Override::FixedDisk);
    let large = flags.allow_large_disk.then_some(Override::LargeDisk);
    fixed.into_iter().chain(large).collect()
}
