//! The line to the control plane is cut while pods run.
#![allow(clippy::unwrap_used, reason = "tests: a surprise is a failure")]

use std::process::{Command, Stdio};

use skerry_builder::qemu::process::die_with_parent;
use skerry_qemu_tests::monitor::{Link, Monitor};

#[test]
fn a_cable_can_be_cut_pulled_and_mended_in_any_order() {
    let monitor = Monitor::new();
    let mut command = Command::new("qemu-system-x86_64");
    command.args(["-S", "-machine", "q35", "-nodefaults", "-display", "none"]);
    command.args([
        "-netdev",
        "user,id=net",
        "-device",
        "virtio-net-pci,netdev=net,romfile=",
    ]);
    command.args(monitor.arguments()).stdin(Stdio::null());
    die_with_parent(&mut command);
    let mut qemu = command.spawn().unwrap();
    let states = [
        Link::Up,
        Link::Silent,
        Link::Unplugged,
        Link::Up,
        Link::Unplugged,
        Link::Silent,
        Link::Up,
    ];
    for pair in states.windows(2) {
        monitor.change_link(pair[0], pair[1]);
    }
    qemu.kill().unwrap();
    qemu.wait().unwrap();
}
