//! `skerry inspect`: what a finished image holds, read without mounting it.

use crate::artifacts;
use crate::cli::InspectArgs;
use crate::failure::{Failure, FailureKind};
use crate::inspect::{self, Inspection};
use crate::printer::{self, Printer};

use super::output_failed;

/// Prints the report; fails behind it if something does not verify.
pub fn inspect(arguments: &InspectArgs, printer: &Printer) -> Result<(), Failure> {
    let inspection = inspect::inspect(&arguments.target)?;
    if let Some(path) = &arguments.html {
        artifacts::write_bytes(path, inspect::html::page(&inspection).as_bytes())?;
    }
    let text = match (&arguments.html, arguments.json) {
        (_, true) => serde_json::to_string_pretty(&inspection).expect("a report is plain JSON"),
        (Some(path), false) => path.display().to_string(),
        (None, false) => inspect::render(&inspection, printer::width()),
    };
    printer.data(&format!("{}\n", text.trim_end())).map_err(output_failed)?;
    verdict(&inspection, arguments)
}

fn verdict(inspection: &Inspection, arguments: &InspectArgs) -> Result<(), Failure> {
    let failed: Vec<String> = inspection
        .failed_checks()
        .map(|check| format!("{}: {}", check.subject, check.detail))
        .collect();
    if failed.is_empty() {
        return Ok(());
    }
    let message = format!("`{}` is not as it was built", arguments.target.display());
    let mut failure =
        Failure::new(FailureKind::Verification, message).hint("take a fresh copy of the image, or build it again");
    failure.chain.extend(failed);
    Err(failure)
}
