//! The foreign tools that judge what we write.

use std::process::Command;

/// Runs a tool and returns what it printed; none, with a line that says so, if it is not installed. Panics if it fails.
#[allow(clippy::print_stdout, reason = "a skipped judge is reported in the test's output")]
pub fn judge(program: &str, arguments: &[&str]) -> Option<String> {
    let path = format!("{}:/usr/sbin:/sbin", std::env::var("PATH").unwrap_or_default());
    let outcome = match Command::new(program)
        .args(arguments)
        .env("PATH", path)
        .env("LC_ALL", "C")
        .output()
    {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            println!("skipped: no {program}");
            return None;
        }
        other => other.expect("an installed tool can be started"),
    };
    let text = String::from_utf8_lossy(&outcome.stdout).into_owned();
    let errors = String::from_utf8_lossy(&outcome.stderr);
    assert!(
        outcome.status.success(),
        "{program} {arguments:?}: {}\n{text}{errors}",
        outcome.status
    );
    Some(text)
}
