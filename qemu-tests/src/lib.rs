//! Boots real disk images in QEMU and watches what they do.
