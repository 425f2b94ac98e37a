//! A definition and the files it is based on, merged.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use toml::{Table, Value};

use super::{Definition, DefinitionError};

/// The merged definition and where each of its values was set.
#[derive(Debug, Clone)]
pub struct Layers {
    /// The files read, the first base first, the definition itself last.
    pub files: Vec<PathBuf>,
    /// All values together.
    pub merged: Definition,
    /// Path of keys → files (indexes into `files`) that set the value or a part of it.
    pub origins: BTreeMap<Vec<String>, Vec<usize>>,
    /// The values as TOML, for printing.
    pub table: Table,
}

/// Reads the definition at `path` and all that it is based on.
pub fn load(path: &Path) -> Result<Layers, DefinitionError> {
    let mut read = Vec::new();
    read_chain(path, &mut read)?;
    let mut origins = BTreeMap::new();
    let mut table = Table::new();
    for (index, (_, layer)) in read.iter().enumerate() {
        merge(&[], &mut table, layer, &mut |key| {
            origins.entry(key).or_insert_with(Vec::new).push(index)
        });
    }
    let merged = Value::Table(table.clone())
        .try_into()
        .map_err(|error: toml::de::Error| DefinitionError::Invalid {
            path: path.to_owned(),
            message: error.message().to_owned(),
            hint: None,
        })?;
    Ok(Layers {
        files: read.into_iter().map(|(path, _)| path).collect(),
        merged,
        origins,
        table,
    })
}

fn read_chain(path: &Path, read: &mut Vec<(PathBuf, Table)>) -> Result<(), DefinitionError> {
    let mut next = Some(path.to_owned());
    while let Some(path) = next {
        if read.iter().any(|(seen, _)| *seen == path) {
            return Err(DefinitionError::Circle { path });
        }
        let text = std::fs::read_to_string(&path).map_err(|source| DefinitionError::Read {
            path: path.clone(),
            source,
        })?;
        let (table, base) = parse(&path, &text)?;
        next = base.map(|base| path.parent().unwrap_or(Path::new("")).join(base));
        read.push((path, table));
    }
    read.reverse();
    Ok(())
}

/// One file's values, checked against the format with positions, and the name of its base.
fn parse(path: &Path, text: &str) -> Result<(Table, Option<String>), DefinitionError> {
    let at = |error: toml::de::Error| DefinitionError::from_toml(path, text, &error);
    let definition: Definition = toml::from_str(text).map_err(at)?;
    if definition.version != 1 {
        return Err(DefinitionError::Invalid {
            path: path.to_owned(),
            message: format!("`version = {}` is not known to this skerry", definition.version),
            hint: Some("this release reads `version = 1`; a newer skerry may read it".to_owned()),
        });
    }
    let mut table: Table = toml::from_str(text).map_err(at)?;
    table.remove("base");
    Ok((table, definition.base))
}

/// Lays `over` on `under`: tables by key, lists one after the other without repetition, other values replaced.
fn merge(prefix: &[String], under: &mut Table, over: &Table, set: &mut dyn FnMut(Vec<String>)) {
    for (key, value) in over {
        let path: Vec<String> = prefix.iter().chain([key]).cloned().collect();
        match (under.get_mut(key), value) {
            (Some(Value::Table(under)), Value::Table(over)) => merge(&path, under, over, set),
            (Some(Value::Array(under)), Value::Array(over)) => {
                let new: Vec<Value> = over.iter().filter(|value| !under.contains(value)).cloned().collect();
                under.extend(new);
                set(path);
            }
            (None, Value::Table(over)) => {
                let mut fresh = Table::new();
                merge(&path, &mut fresh, over, set);
                under.insert(key.clone(), Value::Table(fresh));
            }
            _ => {
                under.insert(key.clone(), value.clone());
                set(path);
            }
        }
    }
}
