//! Nothing listens on the network: the kernel's own socket tables say so, from inside the booted image.
#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "tests: a skip is printed, a surprise is a failure"
)]

use skerry_qemu_tests::image::{Image, Project};
use skerry_qemu_tests::node::{Node, Start};

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

/// A DHCP client hears its server there (RFC 2131 §4.1, RFC 8415 §7.2); nothing else is answered.
const DHCP_CLIENT_PORTS: [u16; 2] = [68, 546];
/// `TCP_LISTEN` and, for UDP, "not connected" (include/net/tcp_states.h).
const LISTENING: [&str; 2] = ["0A", "07"];

fn probe_image() -> Image {
    let project = Project::copy("closed");
    let units = "overlays/probe/usr/lib/systemd/system";
    project.write(&format!("{units}/probe.path"), PATH_UNIT);
    project.write(&format!("{units}/probe.service"), SERVICE_UNIT);
    project.write("images/probe.toml", DEFINITION);
    project.build("probe")
}

/// Port and line of each socket in the console's text that somebody else could reach.
fn reachable(console: &str) -> Vec<(u16, String)> {
    let mut found = Vec::new();
    for line in console.lines() {
        // `0: 0100007F:0035 00000000:0000 0A …`, after a number and a colon (proc(5), "/proc/net/tcp").
        let words: Vec<&str> = line.split_whitespace().collect();
        let place = words
            .windows(3)
            .find(|words| LISTENING.contains(&words[2]) && words[1].ends_with(":0000"));
        let Some((address, port)) = place.and_then(|words| words[0].split_once(':')) else {
            continue;
        };
        let loopback = address.ends_with("7F") && address.len() == 8 || address == "00000000000000000000000001000000";
        let port = u16::from_str_radix(port, 16).unwrap();
        if !loopback && !DHCP_CLIENT_PORTS.contains(&port) {
            found.push((port, line.to_owned()));
        }
    }
    found
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

#[test]
fn a_listening_socket_would_be_found() {
    let lines = "cat[9]:    0: 0100007F:0035 00000000:0000 0A 00000000:00000000\n\
        cat[9]:    1: 00000000:0016 00000000:0000 0A 00000000:00000000\n\
        cat[9]:    2: 0F02000A:0044 00000000:0000 07 00000000:00000000\n";
    let found: Vec<u16> = reachable(lines).into_iter().map(|(port, _)| port).collect();
    assert_eq!(found, [22]);
}
