//! `skerry-node`, the agent in the root file system; see [`skerry_firstboot::node`].

use std::process::ExitCode;

use dlmalloc::GlobalDlmalloc;

/// musl's own allocator returns each buffer of 16 KiB to the kernel and asks for it again: a LIST of 50 MB took the relay
/// 155 ms instead of 115. This one keeps up to 2 MiB, and the program is 10 KB larger.
#[global_allocator]
static ALLOCATOR: GlobalDlmalloc = GlobalDlmalloc;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    skerry_firstboot::node::cli::main(&arguments)
}
