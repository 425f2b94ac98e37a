//! One file per verb: arguments → library call → output.

pub mod build;
pub mod cache;
pub mod check;
pub mod diff;
mod duration;
pub mod flash;
pub mod generate;
pub mod init;
pub mod inspect;
pub mod lock;
mod overrides;
pub mod run;
pub mod seed;
pub mod token;

use std::path::Path;

use crate::cli::{Cli, Command, Image};
use crate::definition::{DefinitionError, ImageSpec, discover, spec};
use crate::failure::{Failure, FailureKind};
use crate::printer::Printer;

/// How a command line ended that did not fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// All is done.
    Done,
    /// Two images were compared, and differ: exit code 1, as for diff(1).
    Differs,
}

/// Carries out one command line.
pub fn dispatch(cli: Cli, printer: &Printer) -> Result<Outcome, Failure> {
    let done = match cli.command {
        Command::Diff(arguments) => return diff::diff(&arguments, printer),
        Command::Init(arguments) => init::init(&arguments, printer),
        Command::Check(arguments) => check::check(&arguments, printer),
        Command::Lock(arguments) => lock::lock(&arguments, printer),
        Command::Build(arguments) => build::build(&arguments, printer),
        Command::Inspect(arguments) => inspect::inspect(&arguments, printer),
        Command::Seed(arguments) => seed::seed(&arguments, printer),
        Command::Flash(arguments) => flash::flash(&arguments, printer),
        Command::Run(arguments) => run::run(&arguments, printer),
        Command::Token(arguments) => token::token(&arguments, printer),
        Command::Cache(arguments) => cache::cache(&arguments, printer),
        Command::Generate(arguments) => generate::generate(&arguments, printer),
    };
    done.map(|()| Outcome::Done)
}

/// The specification of the image that the command line means.
fn load_image(image: &Image) -> Result<ImageSpec, DefinitionError> {
    spec::load(&discover::find(&image.directory, image.image.as_deref())?)
}

/// Data that could not be written to standard output.
fn output_failed(error: std::io::Error) -> Failure {
    Failure::new(
        FailureKind::Request,
        format!("cannot write to standard output: {error}"),
    )
}

/// A file of the host that could not be read or written.
fn file_failed(doing: &str, path: &Path, error: &std::io::Error) -> Failure {
    Failure::new(
        FailureKind::Request,
        format!("cannot {doing} {}: {error}", path.display()),
    )
}
