//! The root file system as a squashfs image.
