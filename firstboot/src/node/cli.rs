//! The command line of `skerry-node`.

use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use super::announce::Announcer;
use super::state::NodeState;
use super::status::{STATUS_FILE, Status};
use super::{agent, machine_id};
use crate::causes::with_causes;
use crate::clock::{Clock as _, SystemClock};
use crate::grow_disk;
use crate::node_files::{self, MachineFacts, zram};
use crate::relay;
use crate::source::Place;

const HELP: &str = "\
Usage: skerry-node COMMAND

Commands:
  join             join as the join file says and end when the node is Ready (skerry-node.service)
  status [--json]  say in which state the node is; exit 0 if it is waiting or further, 1 if not
  relay            stand between kubelet and the control plane (skerry-relay.service)
  relay-wanted     exit 0 if the join file has not turned the relay off, 1 if it has
  apply-settings   write network, time, proxy and registry files as the last join said (skerry-settings.service)
  grow-disk        make var on a disk with an MBR at the first boot (the service skerry-grow-disk.service)
  keep-machine-id  store this machine's id on var (the service skerry-machine-id.service)
  announce-failure say that the system did not come up, and leave time to read it (emergency.service)
";

/// Exit code for a wrong command line.
const USAGE: u8 = 2;

/// Carries out the command line, without the program's name.
#[allow(clippy::print_stdout, clippy::print_stderr, reason = "the program's own output")]
pub fn main(arguments: &[String]) -> ExitCode {
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let outcome = match words.as_slice() {
        ["join"] => agent::run(&place()),
        ["relay"] => relay::service::run(Path::new("/")),
        ["relay-wanted"] => Ok(match relay::config::wanted(Path::new("/")) {
            true => ExitCode::SUCCESS,
            false => ExitCode::FAILURE,
        }),
        ["apply-settings"] => Ok(apply_settings(Path::new("/"))),
        ["grow-disk"] => Ok(grow_disk(Path::new("/"))),
        ["keep-machine-id"] => machine_id::keep(Path::new("/")).map(|()| ExitCode::SUCCESS),
        ["announce-failure"] => {
            agent::announce_failure(Path::new("/"));
            Ok(ExitCode::SUCCESS)
        }
        ["status"] => status(in_lines),
        ["status", "--json"] => status(in_json),
        ["help" | "--help" | "-h"] => {
            print!("{HELP}");
            Ok(ExitCode::SUCCESS)
        }
        ["--version" | "-V"] => {
            println!("skerry-node {}", env!("CARGO_PKG_VERSION"));
            Ok(ExitCode::SUCCESS)
        }
        _ => {
            eprint!("{HELP}");
            return ExitCode::from(USAGE);
        }
    };
    outcome.unwrap_or_else(|error| {
        eprintln!("skerry-node: {}: {error}", words.join(" "));
        ExitCode::FAILURE
    })
}

/// Makes var. Without it nothing starts that could tell why, and so a failure is said on the consoles.
#[allow(clippy::print_stdout, reason = "standard output is the journal")]
fn grow_disk(root: &Path) -> ExitCode {
    match grow_disk::grow(root) {
        Ok(outcome) => {
            println!("{outcome}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            let reason = format!("no place for this machine's data: {}", with_causes(&error));
            Announcer::new(root).say(NodeState::Failed, &reason, "the machine cannot come up");
            ExitCode::FAILURE
        }
    }
}

/// Carries out the kept settings: each part by itself, because a machine without swap still needs its network.
#[allow(clippy::print_stderr, reason = "standard error is the journal")]
fn apply_settings(root: &Path) -> ExitCode {
    let swap = node_files::kept_settings(root).map(|settings| settings.kubelet.swap);
    let swapped = zram::set_up(root, &MachineFacts::read(root), swap.unwrap_or_default());
    let mut code = ExitCode::SUCCESS;
    let mut report = |error: &dyn std::error::Error| {
        eprintln!("skerry-node: apply-settings: {}", with_causes(error));
        code = ExitCode::FAILURE;
    };
    if let Err(error) = &swapped {
        report(error);
    }
    if let Err(error) = &node_files::apply_kept_settings(root) {
        report(error);
    }
    code
}

fn place() -> Place {
    Place {
        root: PathBuf::from("/"),
        credentials: std::env::var_os("CREDENTIALS_DIRECTORY").map(PathBuf::from),
    }
}

fn in_lines(status: &Status, relay: Option<&relay::status::Status>) -> String {
    let relay = relay.map(|relay| format!("\n{}", relay.line(SystemClock.now())));
    status.line() + &relay.unwrap_or_default()
}

fn in_json(status: &Status, relay: Option<&relay::status::Status>) -> String {
    let mut whole = serde_json::to_value(status).unwrap_or_default();
    whole["relay"] = serde_json::to_value(relay).unwrap_or_default();
    whole.to_string()
}

#[allow(clippy::print_stdout, reason = "the program's own output")]
fn status(render: impl Fn(&Status, Option<&relay::status::Status>) -> String) -> io::Result<ExitCode> {
    let status = Status::load(Path::new(STATUS_FILE)).map_err(|error| {
        let advice = "`systemctl status skerry-node.service` tells whether it runs";
        io::Error::new(error.kind(), format!("cannot read {STATUS_FILE}: {error}; {advice}"))
    })?;
    let relay = relay::status::Status::load(Path::new(relay::status::STATUS_FILE)).ok();
    println!("{}", render(&status, relay.as_ref()));
    Ok(if status.state.reaches(NodeState::Waiting) {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
