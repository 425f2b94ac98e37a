//! The initial RAM disk: skerry-init and the kernel modules it needs.
//!
//! ```text
//! Tree (modules, depmod indexes) ─modules::select→ Selection ─assemble→ Initrd (cpio, zstd)
//! ```
//!
//! The builder works out what a module needs with the code by which skerry-init loads it
//! ([`skerry_firstboot::initrd::module_index`]), so both always agree.

mod assemble;
pub mod cpio;
pub mod modules;

pub use assemble::{Initrd, InitrdError, InitrdInput, assemble};
