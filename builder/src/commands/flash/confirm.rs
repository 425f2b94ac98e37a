//! Makes sure that the right disks are meant.

use std::io::{self, BufRead as _, IsTerminal as _, Write as _};

use crate::device::DiskFacts;
use crate::failure::{Failure, FailureKind};
use crate::printer;
use crate::shell::quoted;

/// Each disk is confirmed by `--confirm`, or by its model, typed at a terminal.
pub(super) fn confirm(disks: &[DiskFacts], given: &[String]) -> Result<(), Failure> {
    if let Some(stray) = stray(disks, given) {
        let message = format!("`--confirm {}` is none of the disks named", quoted(stray));
        return Err(refused(message).hint(advice(disks)));
    }
    let open: Vec<&DiskFacts> = disks
        .iter()
        .filter(|disk| !given.contains(&disk.confirmation()))
        .collect();
    let at_terminal = io::stdin().is_terminal() && io::stderr().is_terminal();
    for disk in open {
        match at_terminal {
            true => ask(disk)?,
            false => {
                let message = format!(
                    "`{}` is not confirmed, and there is no terminal to ask at",
                    disk.path.display()
                );
                return Err(refused(message).hint(advice(disks)));
            }
        }
    }
    Ok(())
}

/// A confirmation of a disk that is not there: the wrong disk may be in its place.
fn stray<'a>(disks: &[DiskFacts], given: &'a [String]) -> Option<&'a String> {
    let known = |word: &&String| disks.iter().any(|disk| disk.confirmation() == **word);
    given.iter().find(|word| !known(word))
}

fn advice(disks: &[DiskFacts]) -> String {
    let flags: Vec<String> = disks
        .iter()
        .map(|disk| format!("--confirm {}", quoted(&disk.confirmation())))
        .collect();
    format!("if all that is on them may be lost, add `{}`", flags.join(" "))
}

fn ask(disk: &DiskFacts) -> Result<(), Failure> {
    let failed = |error: io::Error| refused(format!("cannot ask at the terminal: {error}"));
    let wanted = disk.to_type();
    let question = format!(
        "All that is on {} ({}, {}, {}) will be lost. Type `{}` to overwrite it: ",
        disk.path.display(),
        disk.model.as_deref().unwrap_or("model not known"),
        printer::bytes(disk.len_bytes),
        disk.bus,
        wanted,
    );
    let mut terminal = io::stderr().lock();
    terminal
        .write_all(printer::sanitize(&question).as_bytes())
        .and_then(|()| terminal.flush())
        .map_err(failed)?;
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer).map_err(failed)?;
    match answer.trim() == wanted {
        true => Ok(()),
        false => Err(refused(format!("`{}` is not confirmed", disk.path.display()))),
    }
}

fn refused(message: String) -> Failure {
    Failure::new(FailureKind::Safety, message)
}
