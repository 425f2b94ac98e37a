//! `skerry generate`: what is derived from the code.

use clap::CommandFactory as _;

use crate::cli::{Cli, GenerateArgs, GenerateWhat};
use crate::definition::schema;
use crate::failure::Failure;
use crate::printer::Printer;

use super::output_failed;

/// Writes it to standard output.
pub fn generate(arguments: &GenerateArgs, printer: &Printer) -> Result<(), Failure> {
    let text = match arguments.what {
        GenerateWhat::Schema => schema::json(),
        GenerateWhat::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "skerry", &mut script);
            String::from_utf8_lossy(&script).into_owned()
        }
    };
    printer.data(&text).map_err(output_failed)
}
