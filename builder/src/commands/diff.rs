//! `skerry diff`: what differs between two finished images.

use std::path::Path;

use crate::cli::DiffArgs;
use crate::diff::{self, Shown};
use crate::failure::{Diagnose, Failure, FailureKind};
use crate::inspect::{self, Opened};
use crate::printer::{self, Printer};

use super::{Outcome, output_failed};

/// Prints what differs.
pub fn diff(arguments: &DiffArgs, printer: &Printer) -> Result<Outcome, Failure> {
    let [a, b] = [&arguments.a, &arguments.b].map(|path| open(path, printer));
    let difference = diff::compare(&a?, &b?).map_err(trouble)?;
    let shown = if arguments.all { Shown::All } else { Shown::Largest };
    let text = match arguments.json {
        true => serde_json::to_string_pretty(&difference).expect("a report is plain JSON"),
        false => diff::render(&difference, shown, printer::width()),
    };
    if !text.is_empty() {
        printer.data(&format!("{}\n", text.trim_end())).map_err(output_failed)?;
    }
    Ok(match difference.same {
        true => Outcome::Done,
        false => Outcome::Differs,
    })
}

fn open(path: &Path, printer: &Printer) -> Result<Opened, Failure> {
    let opened = inspect::open(path).map_err(trouble)?;
    for check in opened.inspection.failed_checks() {
        printer.warn(&format!("{}: {}: {}", path.display(), check.subject, check.detail));
    }
    Ok(opened)
}

/// As for diff(1), 1 means that the images differ; so what else would be 1 is 2, "trouble".
fn trouble(error: impl Diagnose + 'static) -> Failure {
    let mut failure = Failure::from(error);
    if failure.kind == FailureKind::Request {
        failure.kind = FailureKind::Usage;
    }
    failure
}
