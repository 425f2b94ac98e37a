//! `skerry seed`: puts a join file onto a finished image, or takes it away.

use std::io::Read as _;
use std::path::Path;

use skerry_firstboot::join_config::MAX_BYTES;

use crate::cli::SeedArgs;
use crate::failure::Failure;
use crate::fat::update::Updated;
use crate::printer::Printer;
use crate::seed::{self, Change, JoinFile, Seeded, check_join_file};

use super::{file_failed, output_failed};

/// Seeds the image that the command line means.
pub fn seed(arguments: &SeedArgs, printer: &Printer) -> Result<(), Failure> {
    let file = arguments.join.as_deref().map(|path| read_join_file(path, printer));
    let file = file.transpose()?;
    let change = file.as_ref().map_or(Change::Remove, Change::Put);
    let seeded = seed::seed(&arguments.target, change)?;
    if arguments.json {
        let report = report(arguments, file.as_ref(), seeded);
        return printer.data(&format!("{report}\n")).map_err(output_failed);
    }
    let target = arguments.target.display();
    let text = match (&file, seeded.updated) {
        (Some(file), Updated::Unchanged) => format!("unchanged: {} on {target} has {file}", file.name()),
        (Some(file), _) => format!("wrote {} to {target}: {file}", file.name()),
        (None, Updated::Unchanged) => format!("unchanged: {target} has no join file"),
        (None, _) => format!("removed the join file from {target}"),
    };
    printer.say(&text);
    Ok(())
}

fn report(arguments: &SeedArgs, file: Option<&JoinFile>, seeded: Seeded) -> serde_json::Value {
    serde_json::json!({
        "version": 1,
        "target": arguments.target,
        "changed": seeded.updated != Updated::Unchanged || seeded.others > 0,
        "file": file.map(JoinFile::name),
        "token-id": file.and_then(JoinFile::token_id),
        "endpoints": file.map(JoinFile::endpoints),
        "trust": file.map(JoinFile::trust),
    })
}

/// Reads and checks the join file at `path`; `-` is standard input. What in it means nothing is said.
pub fn read_join_file(path: &Path, printer: &Printer) -> Result<JoinFile, Failure> {
    // One byte more than is allowed, so that too much is told as such.
    let limit = MAX_BYTES as u64 + 1;
    let mut bytes = Vec::new();
    let read = match path == Path::new("-") {
        true => std::io::stdin().lock().take(limit).read_to_end(&mut bytes),
        false => std::fs::File::open(path).and_then(|file| file.take(limit).read_to_end(&mut bytes)),
    };
    read.map_err(|error| file_failed("read", path, &error))?;
    let file = check_join_file(&bytes).map_err(|error| {
        let mut failure = Failure::from(error);
        failure.chain[0] = match path == Path::new("-") {
            true => "cannot use the join file from standard input".to_owned(),
            false => format!("cannot use the join file {}", path.display()),
        };
        failure
    })?;
    file.warnings().iter().for_each(|warning| printer.warn(warning));
    Ok(file)
}
