//! `skerry check`: validates a definition and its overlays; builds nothing, needs no network.

use std::fmt::Write as _;

use toml::{Table, Value};

use crate::cli::CheckArgs;
use crate::definition::layers::{self, Layers};
use crate::definition::{ImageSpec, discover, spec};
use crate::failure::Failure;
use crate::pipeline::lints;
use crate::printer::Printer;

use super::output_failed;

/// Validates, and prints the values and where they come from if asked to.
pub fn check(arguments: &CheckArgs, printer: &Printer) -> Result<(), Failure> {
    let path = discover::find(&arguments.image.directory, arguments.image.image.as_deref())?;
    let layers = layers::load(&path)?;
    let spec = spec::validate(&path, layers.clone())?;
    if arguments.json {
        let text = serde_json::to_string_pretty(&spec).expect("a specification is plain JSON");
        printer.data(&format!("{text}\n")).map_err(output_failed)?;
    }
    if arguments.show_origin {
        printer.data(&origins(&layers)).map_err(output_failed)?;
    }
    absent_files(&spec).iter().for_each(|sentence| printer.warn(sentence));
    let findings = lints::check_overlays(&spec)?;
    findings.iter().for_each(|sentence| printer.warn(sentence));
    let asked = format!(
        "{} packages asked for, {} components",
        spec.packages.len(),
        spec.components.len()
    );
    printer.say(&format!(
        "{}: well formed; {} for {}, {asked}",
        path.display(),
        spec.name,
        spec.architecture
    ));
    Ok(())
}

/// What a build will look for and not find, one sentence each. A definition without them is well formed all the same.
fn absent_files(spec: &ImageSpec) -> Vec<String> {
    let overlays = spec
        .overlays
        .iter()
        .filter(|name| !spec.project().join("overlays").join(name).is_dir());
    let archives = spec
        .preload
        .iter()
        .filter(|preload| !spec.folder.join(&preload.file).is_file());
    let overlays = overlays.map(|name| format!("there is no folder `overlays/{name}`"));
    let archives = archives.map(|preload| {
        format!(
            "`preload.{}.file` names `{}`, which is not there",
            preload.name, preload.file
        )
    });
    overlays.chain(archives).collect()
}

/// One line per value: the dotted key, the value, the files that set it.
fn origins(layers: &Layers) -> String {
    let mut text = String::new();
    for (path, files) in &layers.origins {
        let key = dotted(path);
        let value = value_at(&layers.table, path).map(shortened).unwrap_or_default();
        let files: Vec<String> = files
            .iter()
            .map(|index| layers.files[*index].display().to_string())
            .collect();
        let _ = writeln!(text, "{key} = {value}  # {}", files.join(", "));
    }
    text
}

fn value_at<'a>(table: &'a Table, path: &[String]) -> Option<&'a Value> {
    let (first, rest) = path.split_first()?;
    rest.iter()
        .try_fold(table.get(first)?, |value, key| value.as_table()?.get(key))
}

/// The path as TOML writes it: quoted where a key has other characters than letters, digits, `-` and `_`.
fn dotted(path: &[String]) -> String {
    let bare = |key: &str| !key.is_empty() && key.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_');
    let written = |key: &String| if bare(key) { key.clone() } else { format!("{key:?}") };
    path.iter().map(written).collect::<Vec<_>>().join(".")
}

fn shortened(value: &Value) -> String {
    match value {
        Value::Array(items) if items.len() > 4 => format!("[{}, … {} in all]", items[0], items.len()),
        other => other.to_string(),
    }
}
