//! `skerry seed`: puts a join file onto a finished image, onto a stick, or one onto each of many; or takes it away.

mod fleet;
mod stick;

use std::io::Read as _;
use std::path::Path;

use skerry_firstboot::join_config::MAX_BYTES;

use crate::cli::SeedArgs;
use crate::failure::{Failure, FailureKind};
use crate::fat::update::Updated;
use crate::printer::Printer;
use crate::seed::{self, Change, JoinFile, check_join_file};

use super::{file_failed, output_failed};

/// Seeds what the command line means.
pub fn seed(arguments: &SeedArgs, printer: &Printer) -> Result<(), Failure> {
    if arguments.erase && arguments.stick.is_none() {
        // `requires` does not say so where what is required would conflict with something else.
        return Err(Failure::new(FailureKind::Usage, "`--erase` goes with `--stick` only"));
    }
    let overrides = &arguments.overrides;
    if (overrides.allow_fixed_disk || overrides.allow_large_disk) && arguments.stick.is_none() {
        let message = "`--allow-fixed-disk` and `--allow-large-disk` go with `--stick` only";
        return Err(Failure::new(FailureKind::Usage, message));
    }
    match (&arguments.fleet.list, &arguments.stick, &arguments.target) {
        (Some(list), ..) => fleet::seed(list, arguments, printer),
        (None, Some(stick), _) => stick::make(stick, arguments, printer),
        (None, None, Some(target)) => image(target, arguments, printer),
        (None, None, None) => Err(Failure::new(FailureKind::Usage, "there is nothing to seed")),
    }
}

fn image(target: &Path, arguments: &SeedArgs, printer: &Printer) -> Result<(), Failure> {
    let file = arguments.join.as_deref().map(|path| read_join_file(path, printer));
    let file = file.transpose()?;
    let change = file.as_ref().map_or(Change::Remove, Change::Put);
    let seeded = seed::seed(target, change)?;
    if arguments.json {
        let report = serde_json::json!({
            "version": 1,
            "target": target,
            "changed": seeded.changed(),
            "file": file.as_ref().map(JoinFile::name),
            "token-id": file.as_ref().and_then(JoinFile::token_id),
            "endpoints": file.as_ref().map(JoinFile::endpoints),
            "trust": file.as_ref().map(JoinFile::trust),
        });
        return printer.data(&format!("{report}\n")).map_err(output_failed);
    }
    let target = target.display();
    let text = match (&file, seeded.updated) {
        (Some(file), Updated::Unchanged) => format!("unchanged: {} on {target} has {file}", file.name()),
        (Some(file), _) => format!("wrote {} to {target}: {file}", file.name()),
        (None, Updated::Unchanged) => format!("unchanged: {target} has no join file"),
        (None, _) => format!("removed the join file from {target}"),
    };
    printer.say(&text);
    Ok(())
}

/// Reads and checks the join file at `path`; `-` is standard input. What in it means nothing is said.
pub fn read_join_file(path: &Path, printer: &Printer) -> Result<JoinFile, Failure> {
    let bytes = read_bytes(path, MAX_BYTES)?;
    let file = check_join_file(&bytes).map_err(|error| named(error.into(), path))?;
    file.warnings().iter().for_each(|warning| printer.warn(warning));
    Ok(file)
}

/// The content of the file at `path`; `-` is standard input. Of more than `limit` bytes only as much as shows it.
fn read_bytes(path: &Path, limit: usize) -> Result<Vec<u8>, Failure> {
    // One byte more than is allowed, so that too much is told as such.
    let limit = limit as u64 + 1;
    let mut bytes = Vec::new();
    let read = match path == Path::new("-") {
        true => std::io::stdin().lock().take(limit).read_to_end(&mut bytes),
        false => std::fs::File::open(path).and_then(|file| file.take(limit).read_to_end(&mut bytes)),
    };
    read.map_err(|error| file_failed("read", path, &error))?;
    Ok(bytes)
}

/// The failure of a join file, with its name.
fn named(mut failure: Failure, path: &Path) -> Failure {
    failure.chain[0] = match path == Path::new("-") {
        true => "cannot use the join file from standard input".to_owned(),
        false => format!("cannot use the join file {}", path.display()),
    };
    failure
}
