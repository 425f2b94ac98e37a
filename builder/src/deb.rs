//! Debian packages: reading them without running anything of theirs.
