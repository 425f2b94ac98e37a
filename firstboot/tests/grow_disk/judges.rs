//! Foreign tools, and what they say of a table.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};

/// Where a user's search path does not lead.
const PATH: &str = "/usr/sbin:/sbin:/usr/bin:/bin";

/// Whether all of them are there; says which is not.
pub fn has(tools: &[&str]) -> bool {
    let is_there = |tool: &&str| PATH.split(':').any(|folder| Path::new(folder).join(tool).exists());
    match tools.iter().find(|tool| !is_there(tool)) {
        Some(missing) => {
            println!("skipped: no {missing}");
            false
        }
        None => true,
    }
}

pub fn run(tool: &str, arguments: &[&str]) -> Output {
    let mut command = Command::new(tool);
    command.args(arguments).env("PATH", PATH).env("LC_ALL", "C");
    command.stdin(Stdio::null());
    command.output().unwrap()
}

/// What a tool prints that must succeed.
pub fn said(tool: &str, arguments: &[&str]) -> String {
    let output = run(tool, arguments);
    assert!(output.status.success(), "{tool} {arguments:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// Writes the table of an image with slots of 32 MiB, by sfdisk, with a signature that must survive.
pub fn write_table(disk: &Path) {
    let script = "label: dos\nlabel-id: 0x12345678\nstart=2048, size=65536, type=c\n\
                  start=67584, size=65536, type=83\nstart=133120, size=65536, type=83\n";
    let mut sfdisk = Command::new("sfdisk")
        .args(["--quiet", "--no-reread", "--no-tell-kernel"])
        .arg(disk)
        .env("PATH", PATH)
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    sfdisk.stdin.take().unwrap().write_all(script.as_bytes()).unwrap();
    assert!(sfdisk.wait().unwrap().success());
}

/// Start, length and type of partition 4 in sectors, if sfdisk sees one; the rest must be as [`write_table`] wrote it.
pub fn var_of(disk: &Path) -> Option<(u64, u64, String)> {
    let disk = disk.to_str().unwrap();
    let dump = said("sfdisk", &["--dump", disk]);
    assert!(dump.contains("label-id: 0x12345678"), "{dump}");
    let partitions = dump.lines().filter(|line| line.contains("start="));
    let mut partitions = partitions.map(|line| {
        let field = |name: &str| {
            let (_, rest) = line.split_once(name).unwrap();
            rest.split(',').next().unwrap().trim().to_owned()
        };
        let number = |name| field(name).parse::<u64>().unwrap();
        (number("start="), number("size="), field("type="))
    });
    let others: Vec<_> = partitions.by_ref().take(3).collect();
    let expected = [(2048, 65536, "c"), (67584, 65536, "83"), (133_120, 65536, "83")];
    assert_eq!(
        others,
        expected.map(|(start, size, kind)| (start, size, kind.to_owned()))
    );
    let var = partitions.next();
    assert_eq!(partitions.next(), None);
    var
}

/// sfdisk finds nothing to complain of.
pub fn assert_verified(disk: &Path) {
    let output = run("sfdisk", &["--verify", disk.to_str().unwrap()]);
    let said = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap());
    assert!(
        output.status.success() && said[0].contains("No errors detected"),
        "{said:?}"
    );
}
