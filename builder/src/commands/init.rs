//! `skerry init`: everything that a first build needs, in a folder that may be empty.

use std::io;
use std::path::Path;

use crate::cli::InitArgs;
use crate::definition::{discover, spec, starter};
use crate::failure::{Failure, FailureKind};
use crate::printer::Printer;

use super::file_failed;

/// Writes the files that are not there yet; a definition that is there is never touched.
pub fn init(arguments: &InitArgs, printer: &Printer) -> Result<(), Failure> {
    let target = starter::path(&arguments.directory, &arguments.name);
    if target.exists() {
        let message = format!("{} exists already", target.display());
        return Err(Failure::new(FailureKind::Safety, message).hint("choose another name, or edit that file"));
    }
    let mut written = 0;
    for (path, text) in starter::files(&arguments.name) {
        let path = arguments.directory.join(path);
        match write_new(&path, text.as_bytes()) {
            Ok(()) => written += 1,
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(file_failed("write", &path, &error)),
        }
    }
    if let Err(error) = spec::load(&discover::find(&arguments.directory, Some(&arguments.name))?) {
        // A name that cannot be an image's is found out by reading the definition back.
        let _ = std::fs::remove_file(&target);
        return Err(error.into());
    }
    printer.say(&format!(
        "wrote {} and {} files that it needs",
        target.display(),
        written - 1
    ));
    printer.say(&format!("next: skerry build {}", arguments.name));
    Ok(())
}

fn write_new(path: &Path, content: &[u8]) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let mut file = std::fs::File::options().write(true).create_new(true).open(path)?;
    io::Write::write_all(&mut file, content)
}
