//! A definition and the files it is based on, merged.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use toml::{Table, Value};

use super::error::check_version;
use super::{Base, Definition, DefinitionError};

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
    let mut reading = Reading::default();
    reading.read(path)?;
    let read = reading.done;
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

/// The files met on the way to a definition: those that are read, in the order in which they are merged, and those whose
/// bases are being read.
#[derive(Default)]
struct Reading {
    done: Vec<(PathBuf, Table)>,
    seen: BTreeSet<PathBuf>,
    open: Vec<PathBuf>,
}

impl Reading {
    /// Reads `path` after all that it is based on. A file that several are based on is merged once, at its first place.
    fn read(&mut self, path: &Path) -> Result<(), DefinitionError> {
        let cannot_read = |source| DefinitionError::Read {
            path: path.to_owned(),
            source,
        };
        let own = std::fs::canonicalize(path).map_err(cannot_read)?;
        if self.open.contains(&own) {
            return Err(DefinitionError::Circle { path: path.to_owned() });
        }
        if !self.seen.insert(own.clone()) {
            return Ok(());
        }
        let text = std::fs::read_to_string(path).map_err(cannot_read)?;
        let (table, bases) = parse(path, &text)?;
        self.open.push(own);
        for base in bases {
            self.read(&path.parent().unwrap_or(Path::new("")).join(base))?;
        }
        self.open.pop();
        self.done.push((path.to_owned(), table));
        Ok(())
    }
}

/// One file's values, checked against the format with positions, and the names of its bases.
fn parse(path: &Path, text: &str) -> Result<(Table, Vec<String>), DefinitionError> {
    let at = |error: toml::de::Error| DefinitionError::from_toml(path, text, &error);
    let definition: Definition = toml::from_str(text).map_err(at)?;
    check_version(path, definition.version)?;
    let mut table: Table = toml::from_str(text).map_err(at)?;
    table.remove("base");
    Ok((table, definition.base.map(Base::names).unwrap_or_default()))
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
