//! Which file an image's name means.

use std::path::{Path, PathBuf};

use super::DefinitionError;

/// The definition that is meant: by name (`images/NAME.toml` below `project`), by path, or, without a name, the only
/// one there is. Definitions without an architecture of their own, which others are based on, are not listed.
pub fn find(project: &Path, name: Option<&str>) -> Result<PathBuf, DefinitionError> {
    let known = images(project);
    match name {
        Some(path) if path.ends_with(".toml") => Ok(project.join(path)),
        Some(name) => {
            let path = project.join("images").join(format!("{name}.toml"));
            let found = path.is_file();
            found.then_some(path.clone()).ok_or(DefinitionError::NotFound {
                name: name.to_owned(),
                path,
                known,
            })
        }
        None => match known.as_slice() {
            [only] => Ok(project.join("images").join(format!("{only}.toml"))),
            _ => Err(DefinitionError::Ambiguous { known }),
        },
    }
}

/// The names of the images defined below `project`, sorted.
pub fn images(project: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(project.join("images"))
        .into_iter()
        .flatten()
        .flatten();
    let mut names: Vec<String> = entries.filter_map(|entry| image_name(&entry.path())).collect();
    names.sort();
    names
}

fn image_name(path: &Path) -> Option<String> {
    let is_image = path.extension()? == "toml"
        && std::fs::read_to_string(path)
            .ok()?
            .lines()
            .any(|line| line.trim_start().starts_with("architecture"));
    is_image
        .then(|| path.file_stem()?.to_str().map(str::to_owned))
        .flatten()
}
