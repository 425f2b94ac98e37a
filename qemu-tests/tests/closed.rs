//! Nothing listens on the network: the kernel's own socket tables say so, from inside the booted image.
#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "tests: a skip is printed, a surprise is a failure"
)]

use skerry_qemu_tests::image::{Image, Project};
use skerry_qemu_tests::node::{Node, Start};
use skerry_qemu_tests::sockets::reachable;

/// The image with a program that can print files, which the real one does not have.
const DEFINITION: &str = "version = 1
base = \"edge-x86_64.toml\"
packages = [\"coreutils\"]
overlays = [\"probe\"]
units.enable = [\"probe.path\"]
";

/// Started by the lease: before, no service could have been asked anything.
const PATH_UNIT: &str = "[Path]
PathExistsGlob=/run/systemd/netif/leases/*

[Install]
WantedBy=multi-user.target
";

const SERVICE_UNIT: &str = "[Unit]
After=skerry-node.service

[Service]
Type=oneshot
RemainAfterExit=yes
StandardOutput=journal+console
ExecStart=/usr/bin/cat /proc/net/tcp /proc/net/tcp6 /proc/net/udp /proc/net/udp6
ExecStart=/usr/bin/echo probe-is-done
";

fn probe_image() -> Image {
    let project = Project::copy("closed");
    let units = "overlays/probe/usr/lib/systemd/system";
    project.write(&format!("{units}/probe.path"), PATH_UNIT);
    project.write(&format!("{units}/probe.service"), SERVICE_UNIT);
    project.write("images/probe.toml", DEFINITION);
    project.build("probe")
}

#[test]
fn nothing_listens_on_the_network() {
    let mut node = Node::new("closed", &probe_image(), Start::Direct);
    node.power_on();
    node.expect("probe-is-done");
    assert!(
        node.console().contains(":0035"),
        "the tables were not printed:\n{}",
        node.console()
    );
    assert_eq!(reachable(node.console()), []);
}
