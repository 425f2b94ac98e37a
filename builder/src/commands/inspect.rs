//! `skerry inspect`: what a finished image holds, read without mounting it.

use crate::cli::InspectArgs;
use crate::failure::Failure;
use crate::inspect;
use crate::printer::Printer;

use super::output_failed;

/// Prints the report.
pub fn inspect(arguments: &InspectArgs, printer: &Printer) -> Result<(), Failure> {
    let inspection = inspect::inspect(&arguments.target)?;
    let text = match arguments.json {
        true => inspection.to_json(),
        false => inspect::render(&inspection),
    };
    printer.data(&format!("{}\n", text.trim_end())).map_err(output_failed)
}
