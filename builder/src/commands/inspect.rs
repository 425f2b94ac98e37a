//! `skerry inspect`: what a finished image holds, read without mounting it.

use crate::cli::InspectArgs;
use crate::failure::Failure;
use crate::inspect;
use crate::printer::{self, Printer};

use super::output_failed;

/// Prints the report.
pub fn inspect(arguments: &InspectArgs, printer: &Printer) -> Result<(), Failure> {
    let inspection = inspect::inspect(&arguments.target)?;
    let text = match arguments.json {
        true => serde_json::to_string_pretty(&inspection).expect("a report is plain JSON"),
        false => inspect::render(&inspection, printer::width()),
    };
    printer.data(&format!("{}\n", text.trim_end())).map_err(output_failed)
}
