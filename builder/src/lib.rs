//! Skerry's builder: from a one-page definition to a verified, reproducible disk image.
//!
//! ```text
//! images/NAME.toml ─parse→ Definition ─validate→ ImageSpec ─resolve→ Lock            (skerry lock)
//! Lock ─fetch→ Inputs ─assemble(+overlays/)→ Tree ─lint→ Tree ─squashfs→ FsImage ─hash→ Verity
//! Tree.kernel + modules + skerry-init → Initrd ─┐
//! Verity.root_hash + cmdline ───────────────────┴→ Uki ─plan→ DiskLayout ─write→ Artifacts   (skerry build)
//! Artifacts → run | inspect | diff | flash       JoinFile ─seed→ EFI system partition of a finished image
//! ```
//!
//! Each arrow is one function, each noun one struct; a stage imports only types of earlier stages.

pub mod apt;
pub mod arch;
pub mod artifacts;
pub mod cli;
pub mod commands;
pub mod component;
pub mod deb;
pub mod definition;
pub mod device;
pub mod diff;
pub mod digest;
pub mod direct_boot;
pub mod disk;
pub mod elf;
pub mod env;
pub mod failure;
pub mod fat;
pub mod fetch;
pub mod flash;
pub mod fleet;
pub mod gpt;
pub mod initrd;
pub mod inspect;
pub mod kernel_image;
pub mod lint;
pub mod lock;
pub mod locking;
pub mod mbr;
pub mod mirror;
pub mod oci;
pub mod partition_id;
pub mod pipeline;
pub mod printer;
pub mod progress;
pub mod qemu;
pub mod rootfs;
pub mod seed;
pub mod shell;
pub mod squashfs;
pub mod stick;
pub mod store;
pub mod token;
pub mod tree;
pub mod uki;
pub mod verity;

#[cfg(test)]
extern crate self as skerry_builder;

/// The image that unit tests and those in `tests/` share.
#[cfg(test)]
#[path = "../tests/sample/image.rs"]
mod sample_image;
