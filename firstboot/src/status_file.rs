//! What a program says of itself, as a file of one line of JSON in `/run`, for other programs on the machine.

use std::io;
use std::path::Path;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::persist::persist;

/// Writes `status` to `path`, at once or not at all.
pub fn save(status: &impl Serialize, path: &Path) -> io::Result<()> {
    let mut text = serde_json::to_string(status).map_err(io::Error::other)?;
    text.push('\n');
    persist(path, text.as_bytes(), 0o644)
}

/// Reads what [`save`] wrote.
pub fn load<T: DeserializeOwned>(path: &Path) -> io::Result<T> {
    serde_json::from_slice(&std::fs::read(path)?).map_err(io::Error::other)
}
