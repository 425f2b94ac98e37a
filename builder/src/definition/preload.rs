//! The `[preload.NAME]` tables: what makes them valid.

use std::collections::BTreeMap;
use std::path::{Component, Path};

use super::spec::invalid;
use super::{DefinitionError, PreloadDefinition, PreloadSpec};

/// Checks the tables of the definition at `path`.
pub(super) fn validate(
    path: &Path,
    tables: BTreeMap<String, PreloadDefinition>,
) -> Result<Vec<PreloadSpec>, DefinitionError> {
    tables.into_iter().map(|(name, table)| one(path, name, table)).collect()
}

fn one(path: &Path, name: String, table: PreloadDefinition) -> Result<PreloadSpec, DefinitionError> {
    let bad = |key: &str, value: &str, hint: &str| {
        let message = format!("`preload.{name}.{key} = {value:?}` cannot be used");
        invalid(path, message, Some(hint))
    };
    let plain = |part: Component<'_>| matches!(part, Component::Normal(_));
    if table.file.is_empty() || !Path::new(&table.file).components().all(plain) {
        let hint = "`file` is a path below the folder of the definition, without `..`";
        return Err(bad("file", &table.file, hint));
    }
    let hint = "`sha256sum FILE` prints the 64 hex digits";
    let sha256 = table.sha256.parse().map_err(|_| bad("sha256", &table.sha256, hint))?;
    let reference = table.reference.as_deref().map(|text| {
        let hint = "an image's full name, such as `registry.example/team/app:1.0`";
        text.parse().map_err(|_| bad("reference", text, hint))
    });
    Ok(PreloadSpec {
        reference: reference.transpose()?,
        file: table.file,
        sha256,
        name,
    })
}
