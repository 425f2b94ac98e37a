//! The root file system as one tree: packages, components, passes and overlays in the order that `rootfs` documents.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::arch::Arch;
use crate::deb::unpack::{ScriptKind, UnpackedDeb};
use crate::definition::ImageSpec;
use crate::disk::TableKind;
use crate::failure::{Diagnose, Failure, FailureKind};
use crate::oci::Image;
use crate::tree::{Content, FileData, Node, Origin, Stat, Tree, TreePath};

use super::accounts::{Accounts, script_accounts};
use super::board::{self, BoardFiles};
use super::modules::{KeepRequest, ModuleInfoCache};
use super::overlay::Overlay;
use super::repart::{self, SlotSizes};
use super::script_rules::{self, Scripts};
use super::skeleton::{self, ImageName};
use super::units::{self, UnitChoices};
use super::{alternatives, certs, contents, depmod, exclude, ldcache, modes, modules, pam, preload, var};

/// A program that does not come from a package.
#[derive(Debug, Clone)]
pub struct Program {
    /// Where it goes in the image.
    pub path: TreePath,
    /// Its bytes.
    pub data: FileData,
    /// Who brings it.
    pub origin: Origin,
}

/// Everything the tree is made of.
#[derive(Clone, Copy)]
#[expect(missing_debug_implementations, reason = "a view of other stages' types")]
pub struct Parts<'a> {
    /// The definition.
    pub spec: &'a ImageSpec,
    /// What os-release says of the image.
    pub image: &'a ImageName<'a>,
    /// All packages of the lock, unpacked, in the order of their names.
    pub packages: &'a [UnpackedDeb],
    /// Components and Skerry's own programs.
    pub programs: &'a [Program],
    /// Container images that the root brings along.
    pub images: &'a [Image],
    /// The overlays in their order.
    pub overlays: &'a [Overlay],
    /// Versions of packages and components.
    pub versions: &'a contents::Versions,
    /// Sizes of the slots on the disk.
    pub slots: SlotSizes,
    /// What is known of kernel modules from earlier builds.
    pub module_cache: &'a dyn ModuleInfoCache,
}

/// What the boot needs from the packages, taken out before the tree drops it.
#[derive(Debug, Clone)]
pub struct BootFiles {
    /// The kernel's release, as `uname -r` prints it.
    pub kernel_release: String,
    /// The kernel.
    pub kernel: FileData,
    /// systemd-stub, the start of a unified kernel image.
    pub stub: FileData,
    /// systemd-boot.
    pub loader: FileData,
}

/// The finished tree and what was taken out of it.
#[derive(Debug)]
pub struct RootFs {
    /// All that becomes the root file system.
    pub tree: Tree,
    /// All that becomes the EFI system partition.
    pub boot: BootFiles,
    /// All that the board's boot ROM and boot loaders need.
    pub board: BoardFiles,
    /// What the user should know, one sentence each.
    pub warnings: Vec<String>,
}

/// What can go wrong between the passes; each pass has errors of its own.
#[derive(Debug, thiserror::Error)]
pub enum AssembleError {
    /// A file that a pass needs is not there or no text.
    #[error("{path} is missing or no text; it comes with the package {package}")]
    Missing {
        /// The file.
        path: String,
        /// Who brings it.
        package: &'static str,
    },
    /// An owner that no account has.
    #[error("{path} of package {package} belongs to {user}:{group}, which the image does not have")]
    UnknownOwner {
        /// The path.
        path: TreePath,
        /// The package.
        package: String,
        /// The user's name.
        user: String,
        /// The group's name.
        group: String,
    },
    /// There is none, or more than one.
    #[error("the packages bring {} kernels: {}", .0.len(), .0.join(", "))]
    Kernels(Vec<String>),
}

impl Diagnose for AssembleError {
    fn kind(&self) -> FailureKind {
        FailureKind::Request
    }

    fn hints(&self) -> Vec<String> {
        match self {
            Self::Missing { package, .. } => vec![format!("add `{package}` to `packages`")],
            Self::UnknownOwner { .. } => {
                vec!["an overlay can bring a sysusers.d file that makes the account".to_owned()]
            }
            Self::Kernels(_) => vec!["`kernel.package` names the one kernel package of an image".to_owned()],
        }
    }
}

/// Makes the tree.
pub fn assemble(parts: Parts<'_>) -> Result<RootFs, Failure> {
    check_scripts(parts.packages)?;
    let accounts = work_out_accounts(parts)?;
    let mut tree = Tree::new();
    skeleton::before(&mut tree)?;
    for package in parts.packages {
        insert_package(&mut tree, package, &accounts)?;
    }
    for program in parts.programs {
        let node = Node {
            stat: Stat::root(0o755),
            content: Content::File(program.data.clone()),
            origin: program.origin.clone(),
        };
        tree.insert(program.path.clone(), node)?;
    }
    let boot = take_boot_files(&tree, parts.spec.architecture)?;
    let board = match &parts.spec.board {
        Some(board) => board::take(&mut tree, board, &boot.kernel_release)?,
        None => BoardFiles::default(),
    };
    accounts.write(&mut tree)?;
    skeleton::after(&mut tree, parts.image)?;
    modes::apply(&mut tree, &accounts)?;
    alternatives::apply(&mut tree)?;
    certs::apply(&mut tree)?;
    pam::apply(&mut tree)?;
    match parts.spec.partitioning().0 {
        TableKind::Gpt => repart::apply(&mut tree, parts.slots)?,
        // systemd-repart knows only GPT; slot B is there, and `skerry-node grow-disk` makes var.
        TableKind::Mbr => {}
    }
    preload::apply(&mut tree, parts.images)?;
    for overlay in parts.overlays {
        overlay.apply(&mut tree, &|user, group| accounts.ids(user, group))?;
    }
    let warnings = finish(&mut tree, parts, &boot.kernel_release)?;
    Ok(RootFs {
        tree,
        boot,
        board,
        warnings,
    })
}

/// Units, what stays, and the indexes over what stays.
fn finish(tree: &mut Tree, parts: Parts<'_>, kernel_release: &str) -> Result<Vec<String>, Failure> {
    let (spec, cache) = (parts.spec, parts.module_cache);
    let choices = UnitChoices {
        enable: spec.enable.clone(),
        mask: spec.mask.clone(),
        default_target: spec.default_target.clone(),
    };
    units::apply(tree, &choices)?;
    let standard = exclude::STANDARD.iter().map(|pattern| (*pattern).to_owned());
    let patterns: Vec<String> = standard.chain(spec.exclude.iter().cloned()).collect();
    let idle = exclude::apply(tree, &patterns)?;
    let idle = idle.into_iter().filter(|pattern| spec.exclude.contains(pattern));
    let warnings = idle
        .map(|pattern| format!("`exclude` has `{pattern}`, which matches nothing"))
        .collect();
    let patterns: Vec<String> = spec
        .kernel
        .modules
        .iter()
        .map(|pattern| below_kernel(pattern))
        .collect();
    let request = KeepRequest {
        kernel_version: kernel_release,
        patterns: &patterns,
    };
    let kept = modules::keep(tree, &request, cache)?;
    depmod::write(tree, kernel_release, &kept.modules)?;
    ldcache::write(tree, spec.architecture)?;
    var::apply(tree)?;
    contents::apply(tree, parts.versions)?;
    Ok(warnings)
}

/// Definitions leave out the folder that all modules are in.
fn below_kernel(pattern: &str) -> String {
    match pattern.strip_prefix('!') {
        Some(rest) if rest.contains('/') => format!("!kernel/{rest}"),
        None if pattern.contains('/') => format!("kernel/{pattern}"),
        _ => pattern.to_owned(),
    }
}

fn check_scripts(packages: &[UnpackedDeb]) -> Result<(), Failure> {
    let scripts: Vec<Scripts> = packages.iter().map(scripts_of).collect();
    let rows: Vec<(&str, &str, &Scripts)> = packages
        .iter()
        .zip(&scripts)
        .map(|(package, scripts)| (package.control.name.as_str(), package.control.version.as_str(), scripts))
        .collect();
    Ok(script_rules::check(&rows)?)
}

fn scripts_of(package: &UnpackedDeb) -> Scripts {
    let kind = |kind: &ScriptKind| kind.file_name().to_owned();
    package
        .scripts
        .iter()
        .map(|(name, script)| (kind(name), (script.sha256, script.text.clone())))
        .collect()
}

/// Accounts come first, because packages give their owners by name.
fn work_out_accounts(parts: Parts<'_>) -> Result<Accounts, Failure> {
    let mut texts = BTreeMap::new();
    let wanted = |path: &str| path.contains("sysusers.d/") || path.starts_with("usr/share/base-passwd/");
    let from_packages = parts
        .packages
        .iter()
        .flat_map(|package| &package.entries)
        .map(|entry| (&entry.path, &entry.content));
    let from_overlays = parts
        .overlays
        .iter()
        .flat_map(|overlay| &overlay.files)
        .map(|(path, entry)| (path, &entry.content));
    for (path, content) in from_packages.chain(from_overlays) {
        if let Content::File(data) = content
            && wanted(path.as_str())
            && let Ok(Ok(text)) = data.read().map(String::from_utf8)
        {
            texts.insert(path.as_str().to_owned(), text);
        }
    }
    let master = |name: &str| {
        let path = format!("usr/share/base-passwd/{name}.master");
        texts.get(&path).cloned().ok_or(AssembleError::Missing {
            path,
            package: "base-passwd",
        })
    };
    let (passwd, group) = (master("passwd")?, master("group")?);
    let names: Vec<&str> = parts
        .packages
        .iter()
        .map(|package| package.control.name.as_str())
        .collect();
    let mut sysusers: Vec<(String, String)> = texts
        .into_iter()
        .filter(|(path, _)| path.contains("sysusers.d/"))
        .collect();
    sysusers.extend(script_accounts(names.iter().copied()));
    Ok(Accounts::from_sources(&passwd, &group, &sysusers)?)
}

fn insert_package(tree: &mut Tree, package: &UnpackedDeb, accounts: &Accounts) -> Result<(), Failure> {
    let name = &package.control.name;
    let origin = Origin::Package(Arc::from(name.as_str()));
    for entry in &package.entries {
        let unknown = || AssembleError::UnknownOwner {
            path: entry.path.clone(),
            package: name.clone(),
            user: entry.user.clone(),
            group: entry.group.clone(),
        };
        let (uid, gid) = accounts.ids(&entry.user, &entry.group).ok_or_else(unknown)?;
        let content = match &entry.content {
            Content::HardLink(target) => Content::HardLink(real_path(tree, target)),
            other => other.clone(),
        };
        let stat = Stat {
            mode: entry.mode,
            uid,
            gid,
            xattrs: entry.xattrs.clone(),
        };
        tree.insert(
            entry.path.clone(),
            Node {
                stat,
                content,
                origin: origin.clone(),
            },
        )?;
    }
    Ok(())
}

/// The path of a package's own earlier file, after the links of merged /usr.
fn real_path(tree: &Tree, path: &TreePath) -> TreePath {
    tree.resolve(path).unwrap_or_else(|| path.clone())
}

fn take_boot_files(tree: &Tree, arch: Arch) -> Result<BootFiles, AssembleError> {
    let modules = TreePath::parse("usr/lib/modules").expect("a constant path is well formed");
    let releases: Vec<String> = tree
        .children(&modules)
        .map(|(path, _)| path.name().to_owned())
        .collect();
    let [kernel_release] = releases.as_slice() else {
        return Err(AssembleError::Kernels(releases));
    };
    let needed = |path: String, package| {
        tree.file(&path)
            .cloned()
            .ok_or(AssembleError::Missing { path, package })
    };
    let infix = arch.names().efi_infix;
    // Kernel packages before 7 put it into /boot, later ones beside the modules.
    let beside = format!("usr/lib/modules/{kernel_release}/vmlinuz");
    let kernel = match tree.file(&beside) {
        Some(kernel) => kernel.clone(),
        None => needed(format!("boot/vmlinuz-{kernel_release}"), "linux-image")?,
    };
    Ok(BootFiles {
        kernel_release: kernel_release.clone(),
        kernel,
        stub: needed(
            format!("usr/lib/systemd/boot/efi/linux{infix}.efi.stub"),
            "systemd-boot-efi",
        )?,
        loader: needed(
            format!("usr/lib/systemd/boot/efi/systemd-boot{infix}.efi"),
            "systemd-boot-efi",
        )?,
    })
}
