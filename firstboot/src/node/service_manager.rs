//! Asks systemd to start and reload things.

use std::collections::BTreeSet;
use std::io;
use std::process::{Command, Stdio};

use crate::node_files::Reader;

/// A request to the service manager that failed.
#[derive(Debug, thiserror::Error)]
pub enum ServiceManagerError {
    /// The program could not be started.
    #[error("cannot run `{program}`")]
    Run {
        /// Which one.
        program: &'static str,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// It refused.
    #[error("`{program} {arguments}` failed with {status}: {said}")]
    Refused {
        /// Which program.
        program: &'static str,
        /// What it was asked.
        arguments: String,
        /// How it ended.
        status: String,
        /// Its own words.
        said: String,
    },
}

/// Starts `unit` and does not wait until it is up: the caller watches what it does.
pub fn start(unit: &'static str) -> Result<(), ServiceManagerError> {
    call(&["systemctl", "start", "--no-block", unit])
}

/// Stops `unit` and waits until it has stopped.
pub fn stop(unit: &'static str) -> Result<(), ServiceManagerError> {
    call(&["systemctl", "stop", unit])
}

/// Has the programs read their files again.
pub fn tell(readers: &BTreeSet<Reader>) -> Result<(), ServiceManagerError> {
    readers.iter().filter_map(|reader| reader.reload()).try_for_each(call)
}

fn call(command: &[&'static str]) -> Result<(), ServiceManagerError> {
    let (program, arguments) = command.split_first().expect("a command has a program");
    let outcome = Command::new(program).args(arguments).stdin(Stdio::null()).output();
    let outcome = outcome.map_err(|source| ServiceManagerError::Run { program, source })?;
    if outcome.status.success() {
        return Ok(());
    }
    Err(ServiceManagerError::Refused {
        program,
        arguments: arguments.join(" "),
        status: outcome.status.to_string(),
        said: String::from_utf8_lossy(&outcome.stderr).trim().to_owned(),
    })
}
