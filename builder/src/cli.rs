//! The command line: types and help text only.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

mod flash;
mod overrides;
mod seed;

pub use flash::FlashArgs;
pub use overrides::OverrideArgs;
pub use seed::{FleetArgs, SeedArgs};

/// Builds minimal, verified, reproducible OS images for edge machines that join a remote Kubernetes control plane.
#[derive(Debug, Parser)]
#[command(name = "skerry", version, arg_required_else_help = true, max_term_width = 100)]
#[command(
    after_help = "Exit codes: 0 done · 1 request failed · 2 usage · 3 network, retry may help · \
    4 verification failed · 5 refused for safety · 70 bug · 130 interrupted"
)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
    /// How to speak.
    #[command(flatten)]
    pub talk: Talk,
}

/// How to speak.
#[derive(Debug, Args)]
#[command(next_help_heading = "Output")]
pub struct Talk {
    /// Say only errors and data; twice: nothing but the exit code.
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub quiet: u8,
    /// Say what is done and why; twice: debug.
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
    /// When to use colour.
    #[arg(long, global = true, value_enum, default_value_t = When::Auto, hide_possible_values = true)]
    pub color: When,
    /// When to draw progress bars.
    #[arg(long, global = true, value_enum, default_value_t = When::Auto, env = "SKERRY_PROGRESS", hide_possible_values = true)]
    pub progress: When,
}

/// When to do something that suits terminals.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum When {
    /// If a terminal is there.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// The verbs.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Write a commented definition to start from.
    Init(InitArgs),
    /// Check a definition without building anything.
    Check(CheckArgs),
    /// Pin every input of an image by version and hash.
    Lock(LockArgs),
    /// Build the disk image; prints its path.
    Build(BuildArgs),
    /// Show what a finished image holds.
    Inspect(InspectArgs),
    /// Compare two finished images.
    Diff(DiffArgs),
    /// Put a join file onto a finished image or a disk, or take it away.
    Seed(SeedArgs),
    /// Write an image onto disks, and read it back.
    Flash(FlashArgs),
    /// Boot an image in QEMU.
    Run(RunArgs),
    /// Make a bootstrap token and the join file that goes with it.
    Token(TokenArgs),
    /// Look at or clean the cache.
    Cache(CacheArgs),
    /// Write shell completions or the definition's schema.
    Generate(GenerateArgs),
}

/// Which image is meant.
#[derive(Debug, Args)]
pub struct Image {
    /// The image: `NAME` for `images/NAME.toml`, or a path to a definition; may be left out if there is only one.
    #[arg(value_name = "IMAGE")]
    pub image: Option<String>,
    /// The folder that holds `images/` and `overlays/`.
    #[arg(short = 'C', long, value_name = "DIR", default_value = ".")]
    pub directory: PathBuf,
}

/// Where inputs come from and are kept.
#[derive(Debug, Args)]
#[command(next_help_heading = "Inputs")]
pub struct Inputs {
    /// Where the Debian archive is served from; by default the definition's or this machine's own mirror.
    #[arg(long, value_name = "URL", env = "SKERRY_MIRROR")]
    pub mirror: Option<String>,
    /// Use nothing but the cache.
    #[arg(long, env = "SKERRY_OFFLINE", value_parser = clap::builder::FalseyValueParser::new())]
    pub offline: bool,
    /// Where downloads and compiled parts are kept [default: ~/.cache/skerry].
    #[arg(long, value_name = "DIR", env = "SKERRY_CACHE_DIR")]
    pub cache_dir: Option<PathBuf>,
}

/// `skerry init`.
#[derive(Debug, Args)]
pub struct InitArgs {
    /// The new image's name.
    pub name: String,
    /// The folder that holds, or is to hold, `images/`.
    #[arg(short = 'C', long, value_name = "DIR", default_value = ".")]
    pub directory: PathBuf,
}

/// `skerry check`.
#[derive(Debug, Args)]
pub struct CheckArgs {
    /// Which.
    #[command(flatten)]
    pub image: Image,
    /// Print every value and the file that set it.
    #[arg(long)]
    pub show_origin: bool,
    /// Print the merged definition as JSON.
    #[arg(long)]
    pub json: bool,
}

/// `skerry lock`.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  skerry lock edge-x86_64 --update\n  skerry lock edge-x86_64 --explain libseccomp2"
)]
pub struct LockArgs {
    /// Which.
    #[command(flatten)]
    pub image: Image,
    /// Where from.
    #[command(flatten)]
    pub inputs: Inputs,
    /// Take the newest versions, even if the lock still fits the definition.
    #[arg(long)]
    pub update: bool,
    /// Change nothing; fail if the lock does not fit the definition.
    #[arg(long, conflicts_with = "update")]
    pub check: bool,
    /// Tell why a package is in the image, or why it is not or cannot be.
    #[arg(long, value_name = "PACKAGE", conflicts_with_all = ["check"])]
    pub explain: Option<String>,
}

/// `skerry build`.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  skerry build edge-x86_64\n  skerry build edge-x86_64 --locked --offline --out /tmp/out"
)]
pub struct BuildArgs {
    /// Which.
    #[command(flatten)]
    pub image: Image,
    /// Build every image below images/, one after the other, each with what the others have fetched and unpacked.
    #[arg(long, conflicts_with = "image")]
    pub all: bool,
    /// Where from.
    #[command(flatten)]
    pub inputs: Inputs,
    /// Fail if the lock is missing or does not fit the definition [default in CI].
    #[arg(long)]
    pub locked: bool,
    /// The folder for the artifacts; with --all, for one folder per image [default: out/IMAGE].
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Print what would be done, and do nothing.
    #[arg(long)]
    pub dry_run: bool,
    /// Compute everything anew, but for downloads and unpacked packages.
    #[arg(long)]
    pub no_block_cache: bool,
    /// How many threads compute [default: one per core].
    #[arg(long, value_name = "N")]
    pub threads: Option<usize>,
    /// Print the time each stage took.
    #[arg(long)]
    pub timings: bool,
    /// Print the manifest instead of the image's path.
    #[arg(long)]
    pub json: bool,
}

/// `skerry inspect`.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  skerry inspect out/edge-x86_64\n  skerry inspect edge-x86_64.raw.zst --html sizes.html\n  \
    skerry inspect /dev/sdX --json\n\nExit code 4: something in or beside the image does not match its digest."
)]
pub struct InspectArgs {
    /// A disk image, a compressed one, a folder of artifacts, or a disk.
    #[arg(value_name = "RAW|RAW.zst|DIR|DEVICE")]
    pub target: PathBuf,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
    /// Write a page with maps of the sizes to this file, and print its path instead of the report.
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
}

/// `skerry diff`.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  skerry diff out/edge-x86_64 /dev/sdX\n  skerry diff old.raw.zst new.raw.zst --all\n\n\
    Exit codes: 0 the same · 1 they differ · 2 usage, or an image cannot be read · 4 an image is damaged"
)]
pub struct DiffArgs {
    /// The older image: whatever `skerry inspect` takes.
    #[arg(value_name = "A")]
    pub a: PathBuf,
    /// The newer image.
    #[arg(value_name = "B")]
    pub b: PathBuf,
    /// Show every changed file, not only the largest.
    #[arg(long)]
    pub all: bool,
    /// Print JSON, with every changed file.
    #[arg(long)]
    pub json: bool,
}

/// `skerry run`.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  skerry run edge-x86_64 --memory 256M\n  skerry run edge-x86_64 --until waiting --timeout 5m\n  \
    skerry run edge-x86_64 --join join.toml --until ready --timeout 10m\n  \
    skerry run edge-x86_64 -- -device usb-ehci"
)]
pub struct RunArgs {
    /// Which.
    #[command(flatten)]
    pub image: Image,
    /// The machine's memory.
    #[arg(long, value_name = "SIZE", default_value = "512M")]
    pub memory: crate::definition::Size,
    /// How the guest's instructions are run: `kvm`, `tcg` (emulation), or `auto`: KVM if it works here.
    #[arg(long, value_name = "HOW", default_value = "auto")]
    pub accel: String,
    /// What the disk is attached to: `virtio`, `nvme`, `ahci`, `usb` or `sd`.
    #[arg(long, value_name = "BUS", default_value = "virtio")]
    pub disk: String,
    /// The size the disk is grown to, as a card is larger than the image.
    #[arg(long, value_name = "SIZE", default_value = "4G")]
    pub disk_size: crate::definition::Size,
    /// Forward a TCP port of this machine to the guest.
    #[arg(long = "forward", value_name = "HOST:GUEST")]
    pub forwards: Vec<String>,
    /// Put this join file onto the machine's disk, as on hardware; the image itself stays as it is.
    #[arg(long, value_name = "FILE", conflicts_with = "print_command")]
    pub join: Option<PathBuf>,
    /// Stop with success as soon as the node says that it is in this state: `waiting`, `joining`, `joined` or `ready`.
    #[arg(long, value_name = "STATE")]
    pub until: Option<String>,
    /// How long `--until` waits.
    #[arg(long, value_name = "TIME", default_value = "5m", requires = "until")]
    pub timeout: String,
    /// Skip the firmware: start the kernel that is inside the image directly. Always so for boards without a boot loader.
    #[arg(long)]
    pub direct: bool,
    /// Print the command line of QEMU, and start nothing.
    #[arg(long)]
    pub print_command: bool,
    /// More arguments for QEMU.
    #[arg(last = true, value_name = "QEMU ARGS")]
    pub extra: Vec<String>,
}

/// `skerry token`.
#[derive(Debug, Args)]
pub struct TokenArgs {
    /// What to do.
    #[command(subcommand)]
    pub action: TokenAction,
}

/// What to do with tokens.
#[derive(Debug, Subcommand)]
pub enum TokenAction {
    /// Make a token in the cluster of a kubeconfig, check that machines can join with it, and write the join file.
    Create(TokenCreateArgs),
}

/// `skerry token create`.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  skerry token create --kubeconfig admin.conf --ttl 1h --out join.toml\n  \
    skerry token create --kubeconfig admin.conf --endpoint cp.example:6443 \\\n    --apply-rbac\n  \
    skerry token create --print-rbac | kubectl apply -f -"
)]
pub struct TokenCreateArgs {
    /// An administrator's kubeconfig, with a client certificate or a token.
    #[arg(long, value_name = "FILE", required_unless_present = "print_rbac")]
    pub kubeconfig: Option<PathBuf>,
    /// How long the token is valid: seconds, or with `m`, `h` or `d`.
    #[arg(long, value_name = "TIME", default_value = "1h")]
    pub ttl: String,
    /// Where machines reach the control plane; may be given several times [default: as cluster-info or the kubeconfig say].
    #[arg(long = "endpoint", value_name = "HOST:PORT")]
    pub endpoints: Vec<String>,
    /// The join file, mode 0600; `-` writes it to standard output.
    #[arg(long, value_name = "FILE", default_value = "join.toml")]
    pub out: PathBuf,
    /// Replace a join file that is there.
    #[arg(long)]
    pub force: bool,
    /// Grant what machines with this token lack.
    #[arg(long)]
    pub apply_rbac: bool,
    /// Print what machines with such tokens must be allowed as YAML, and do nothing else.
    #[arg(long, conflicts_with_all = ["kubeconfig", "apply_rbac", "json"])]
    pub print_rbac: bool,
    /// Print a report as JSON instead of the join file's path.
    #[arg(long)]
    pub json: bool,
    /// What the token is for, as `kubeadm token list` shows it.
    #[arg(long, value_name = "TEXT", default_value = "made by skerry token create")]
    pub description: String,
    /// The group of machines that show the token.
    #[arg(long, value_name = "GROUP", default_value = crate::token::DEFAULT_GROUP)]
    pub group: String,
    /// The node's name, or a template with `{serial}`, `{mac}` or `{machine-id}` [default: chosen by the machine].
    #[arg(long, value_name = "NAME")]
    pub node_name: Option<String>,
}

/// `skerry cache`.
#[derive(Debug, Args)]
pub struct CacheArgs {
    /// What to do.
    #[command(subcommand)]
    pub action: CacheAction,
    /// Where the cache is [default: ~/.cache/skerry].
    #[arg(long, value_name = "DIR", env = "SKERRY_CACHE_DIR", global = true)]
    pub cache_dir: Option<PathBuf>,
}

/// What to do with the cache.
#[derive(Debug, Subcommand)]
pub enum CacheAction {
    /// Show what is in it.
    Info {
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Delete what was not used for some time.
    Prune {
        /// Keep what was used within so many days.
        #[arg(long, value_name = "DAYS", default_value_t = 30)]
        unused_for: u32,
    },
}

/// `skerry generate`.
#[derive(Debug, Args)]
pub struct GenerateArgs {
    /// What to write to standard output.
    #[command(subcommand)]
    pub what: GenerateWhat,
}

/// What to write.
#[derive(Debug, Subcommand)]
pub enum GenerateWhat {
    /// Completions for a shell.
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
    /// The JSON schema of definitions.
    Schema,
}
