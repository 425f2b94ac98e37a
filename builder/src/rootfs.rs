//! The root file system: packages, passes and overlays become one tree.

pub mod overlay;
