//! The initial RAM disk: skerry-init and the kernel modules it needs.

pub mod cpio;
