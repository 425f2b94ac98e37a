//! The dm-verity hash tree of a file system image.
