//! The words by which rules about disks are set aside; the same for all commands that overwrite disks.

use clap::Args;

/// Rules that may be set aside.
#[derive(Debug, Args)]
#[command(next_help_heading = "Advanced")]
pub struct OverrideArgs {
    /// Overwrite also a disk that is part of a machine.
    #[arg(long)]
    pub allow_fixed_disk: bool,
    /// Overwrite also a disk of more than 256 GiB.
    #[arg(long)]
    pub allow_large_disk: bool,
}
