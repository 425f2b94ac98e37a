//! The words of `skerry seed`.

use std::path::PathBuf;

use clap::Args;

use super::OverrideArgs;

/// `skerry seed`.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  skerry seed out/edge-x86_64/edge-x86_64.raw --join join.toml\n  \
    skerry token create --kubeconfig admin.conf --out - \\\n    | skerry seed /dev/sdX --join -\n  \
    skerry seed /dev/sdX --remove\n  \
    skerry seed --stick /dev/sdX --join join.toml\n  \
    skerry seed --fleet devices.csv --join join.toml --out joins\n  \
    skerry seed edge-x86_64.raw --fleet devices.csv --join join.toml \\\n    --out images"
)]
pub struct SeedArgs {
    /// A disk image, or the disk that it was written to; with `--fleet` the image that is copied.
    #[arg(value_name = "RAW|DEVICE", required_unless_present_any = ["stick", "fleet"], conflicts_with = "stick")]
    pub target: Option<PathBuf>,
    /// The join file: TOML, a `kubeadm join` line, a bootstrap kubeconfig or a k0s token; `-` reads it from standard input.
    #[arg(long, value_name = "FILE", required_unless_present = "remove")]
    pub join: Option<PathBuf>,
    /// Take the join file away.
    #[arg(long, conflicts_with_all = ["join", "stick", "fleet"])]
    pub remove: bool,
    /// Make a USB stick labelled SKERRY-JOIN of a device or file, or change the join file of one; devices are refused as by `skerry flash`.
    #[arg(long, value_name = "DEVICE|FILE", conflicts_with = "fleet")]
    pub stick: Option<PathBuf>,
    /// Let `--stick` erase whatever else is on the device or in the file.
    #[arg(long)]
    pub erase: bool,
    /// Print what was done as JSON.
    #[arg(long)]
    pub json: bool,
    /// Many devices at once.
    #[command(flatten)]
    pub fleet: FleetArgs,
    /// Rules about the device of `--stick` that may be set aside.
    #[command(flatten)]
    pub overrides: OverrideArgs,
}

/// `skerry seed --fleet`.
#[derive(Debug, Args)]
#[command(next_help_heading = "Many devices")]
pub struct FleetArgs {
    /// Write a join file, or a copy of the image, for each line of this list (CSV); `--join` is what all have in common.
    #[arg(id = "fleet", long = "fleet", value_name = "CSV", requires = "out")]
    pub list: Option<PathBuf>,
    /// The folder for them.
    #[arg(long, value_name = "DIR", requires = "fleet")]
    pub out: Option<PathBuf>,
    /// What the files are called, with `{name}`, `{serial}` or `{mac}` [default: `{name}.toml` or `{name}.raw`].
    #[arg(long, value_name = "TEMPLATE", requires = "fleet")]
    pub file_name: Option<String>,
    /// Replace files with other content.
    #[arg(long, requires = "fleet")]
    pub force: bool,
}
