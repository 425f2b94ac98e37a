//! What differs between two finished images.
//!
//! In: two images that `inspect` opened, A the older one. Out: a [`Difference`]: packages, files with mode, owner, size, target
//! and attributes, command line, kernel, units, partitions, sizes; as data and as text ([`render`]). Files are compared by
//! content. Deliberately left out: times, which are the lock's for all files of an image, and where in the image things lie.
//!
//! Of two images whose roots were verified against the same root hash, the files are the same, and are not read.

mod error;
mod files;
mod packages;
mod render;
mod units;
mod values;

#[cfg(test)]
mod tests;

use serde::Serialize;

use crate::inspect::{Opened, Outcome};

pub use error::DiffError;
pub use files::{Aspect, FileChange, FileState};
pub use packages::{PackageChange, PackageChangeKind};
pub use render::{Shown, render};
pub use units::UnitChange;
pub use values::{BootFileChange, PartitionChange, SizeChange, ValueChange};

/// The version of [`Difference`] as JSON. 1: the first. Within a version, fields are only added.
pub const VERSION: u64 = 1;

/// What differs. Texts from the images are as they were found: they may hold control characters.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// [`VERSION`].
    pub version: u64,
    /// Whether nothing differs.
    pub same: bool,
    /// The older image.
    pub a: Side,
    /// The newer image.
    pub b: Side,
    /// Command line, kernel, root hash and their like.
    pub values: Vec<ValueChange>,
    /// What takes another amount of room.
    pub sizes: Vec<SizeChange>,
    /// Partitions, by number.
    pub partitions: Vec<PartitionChange>,
    /// Files of the EFI system partition, by path.
    pub boot_files: Vec<BootFileChange>,
    /// Packages and components, by name.
    pub packages: Vec<PackageChange>,
    /// Units that start or are masked, by name.
    pub units: Vec<UnitChange>,
    /// Files of the root file system, by path.
    pub files: Vec<FileChange>,
}

/// One of the two images.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Side {
    /// Its file name.
    pub file: String,
    /// Name and version, if a manifest says them.
    pub image: Option<String>,
}

/// Compares two images.
pub fn compare(a: &Opened, b: &Opened) -> Result<Difference, DiffError> {
    let (left, right) = (&a.inspection, &b.inspection);
    let mut difference = Difference {
        version: VERSION,
        same: false,
        a: side(a),
        b: side(b),
        values: values::values(left, right),
        sizes: values::sizes(left, right),
        partitions: values::partitions(left, right),
        boot_files: values::boot_files(left, right),
        packages: packages::compare(left, right),
        units: units::compare(left, right),
        files: Vec::new(),
    };
    difference.values.extend(values::loader_bytes(a, b)?);
    if !have_the_same_root(a, b) {
        match (&a.root, &b.root) {
            (Some(_), Some(_)) => difference.files = files::compare(a, b)?,
            _ => difference.values.extend(values::root_bytes(a, b)?),
        }
    }
    difference.same = difference.values.is_empty()
        && difference.sizes.is_empty()
        && difference.partitions.is_empty()
        && difference.boot_files.is_empty()
        && difference.packages.is_empty()
        && difference.units.is_empty()
        && difference.files.is_empty();
    Ok(difference)
}

fn side(opened: &Opened) -> Side {
    let build = opened.inspection.build.as_ref();
    Side {
        file: opened.inspection.file.clone(),
        image: build.map(|build| format!("{} {}", build.image, build.image_version)),
    }
}

/// Whether one root hash was verified for both.
fn have_the_same_root(a: &Opened, b: &Opened) -> bool {
    let verified = |opened: &Opened| {
        let checks = &opened.inspection.checks;
        let all_good = checks.iter().all(|check| check.outcome == Outcome::Passed) && !checks.is_empty();
        opened.inspection.root_hash().filter(|_| all_good)
    };
    verified(a).is_some_and(|hash| verified(b) == Some(hash))
}
