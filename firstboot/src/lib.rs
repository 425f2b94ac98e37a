//! The programs inside a Skerry image.
