//! PID 1 of the initial RAM disk; see [`skerry_firstboot::initrd`].

use std::io::Write as _;
use std::process::ExitCode;

fn main() -> ExitCode {
    if std::process::id() == 1 {
        skerry_firstboot::initrd::run();
    }
    let advice =
        "skerry-init: this is the first program of an initial RAM disk; the kernel starts it, nobody else can\n";
    // There is nobody to tell when even standard error is closed.
    let _ = std::io::stderr().write_all(advice.as_bytes());
    ExitCode::from(2)
}
