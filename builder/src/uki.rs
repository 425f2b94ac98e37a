//! The unified kernel image.
