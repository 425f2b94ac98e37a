//! The disk image: layout and writing.
