//! What decides a component's bytes, as a key; and which files came out under it.

use std::io::Write;

use serde::Serialize;

use super::{ComponentError, ComponentFile, ComponentSpec, GoOrigin, Origin};
use crate::arch::Arch;
use crate::digest::Sha256;
use crate::store::{Shelf, Store, StoreError};

/// Counts changes of the code that makes components; a new number makes all of them again.
///
/// 1: first.
const RECIPE_VERSION: u32 = 1;

#[derive(Serialize)]
struct Recipe<'a> {
    recipe_version: u32,
    arch: Arch,
    /// Packages or members; where they go in the image does not change them.
    names: Vec<&'a String>,
    source: Source<'a>,
}

#[derive(Serialize)]
enum Source<'a> {
    Go {
        version: &'a str,
        origin: &'a GoOrigin,
    },
    /// Where it was fetched from does not change it.
    Pinned(Option<&'a Sha256>),
}

impl ComponentSpec {
    /// The digest of everything that decides the bytes of this component's files.
    pub fn recipe(&self, arch: Arch) -> Sha256 {
        let source = match &self.origin {
            Origin::Go(origin) => Source::Go {
                version: &self.version,
                origin,
            },
            Origin::Release { sha256, .. } | Origin::File { sha256, .. } => Source::Pinned(sha256.get(&arch)),
        };
        let recipe = Recipe {
            recipe_version: RECIPE_VERSION,
            arch,
            names: self.install.keys().collect(),
            source,
        };
        let text = serde_json::to_vec(&recipe).expect("strings and numbers are always JSON");
        Sha256::of_fields([b"component".as_slice(), &text])
    }
}

/// The files that an earlier run made by this recipe.
pub(super) fn recall(store: &Store, recipe: &Sha256) -> Option<Vec<ComponentFile>> {
    serde_json::from_slice(&store.read(Shelf::Builds, recipe)?).ok()
}

/// Notes the files for [`recall`].
pub(super) fn remember(store: &Store, recipe: &Sha256, files: &[ComponentFile]) -> Result<(), ComponentError> {
    let text = serde_json::to_vec(files).expect("strings and numbers are always JSON");
    write(store, recipe, &text).map_err(|source| ComponentError::Store { source })
}

fn write(store: &Store, recipe: &Sha256, text: &[u8]) -> Result<(), StoreError> {
    let mut pending = store.pending(Shelf::Builds, recipe)?;
    if let Err(source) = pending.write_all(text) {
        return Err(pending.write_error(source));
    }
    pending.commit().map(drop)
}
