//! The words of `skerry flash`.

use std::path::PathBuf;

use clap::Args;

use super::OverrideArgs;

/// `skerry flash`.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  skerry flash out/edge-x86_64\n  skerry flash out/edge-x86_64 /dev/sdX --confirm SERIAL\n  \
    skerry flash https://images.example/edge/edge.raw.zst sdb sdc sdd --join join.toml"
)]
pub struct FlashArgs {
    /// A disk image (`.raw` or `.raw.zst`, with its manifest.json beside it), a folder of artifacts, or an image's URL.
    #[arg(value_name = "IMAGE")]
    pub image: String,
    /// The disks to overwrite, such as `/dev/sdb` or `sdb`; without any, the disks of this machine are listed.
    #[arg(value_name = "DEVICE")]
    pub devices: Vec<PathBuf>,
    /// Overwrite the disk with this serial number (without one: its model; without that: `NAME:BYTES`), and do not ask.
    #[arg(long, value_name = "SERIAL")]
    pub confirm: Vec<String>,
    /// Put this join file onto each disk when it is done; `-` reads it from standard input.
    #[arg(long, value_name = "FILE")]
    pub join: Option<PathBuf>,
    /// Print what was done, or the disks, as JSON.
    #[arg(long)]
    pub json: bool,
    /// Rules that may be set aside.
    #[command(flatten)]
    pub overrides: OverrideArgs,
}
