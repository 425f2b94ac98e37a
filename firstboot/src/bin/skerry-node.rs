//! `skerry-node`, the agent in the root file system; see [`skerry_firstboot::node`].

use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    skerry_firstboot::node::cli::main(&arguments)
}
