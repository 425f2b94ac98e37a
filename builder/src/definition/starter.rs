//! The commented definition that `skerry init` writes.

use std::path::{Path, PathBuf};

/// The starter for an image on x86 machines, based on `base`, a file beside it.
pub fn text(base: &str) -> String {
    STARTER.replace("@BASE@", base)
}

/// The files of the starter for image `name` below `project`: path and content.
pub fn path(project: &Path, name: &str) -> PathBuf {
    project.join("images").join(format!("{name}.toml"))
}

const STARTER: &str = r##"#:schema ./definition.schema.json
# An image for 64-bit x86 machines. `skerry check` validates this page, `skerry build` makes the image.
version = 1

# Everything that is not said here comes from this file; lists are extended, single values replaced.
base = "@BASE@"

architecture = "x86_64"

# Debian packages beside those of the base. What they depend on follows; what they recommend does not.
packages = []

# Folders below overlays/ whose files are laid over the packages.
# overlays = ["site"]

[kernel]
# More words for the kernel command line.
command-line = []

[units]
# Units to enable; all others stay disabled.
enable = []

# [disk]
# Room for the root file system of this and every later version.
# slot-size = "256M"
"##;
