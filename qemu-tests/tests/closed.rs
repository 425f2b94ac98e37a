//! Nothing listens on the network: the kernel's own socket tables say so, from inside the booted image.
#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "tests: a skip is printed, a surprise is a failure"
)]

use std::path::Path;

use skerry_qemu_tests::image::{Image, repository, run_skerry, work_folder};
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

fn copy_tree(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        match path.is_dir() {
            true => copy_tree(&path, &target),
            false => drop(std::fs::copy(&path, &target).unwrap()),
        }
    }
}

fn probe_image() -> Image {
    let project = work_folder("closed").join("project");
    let _ = std::fs::remove_dir_all(&project);
    for part in ["images", "overlays"] {
        copy_tree(&repository().join(part), &project.join(part));
    }
    let units = project.join("overlays/probe/usr/lib/systemd/system");
    std::fs::create_dir_all(&units).unwrap();
    std::fs::write(units.join("probe.path"), PATH_UNIT).unwrap();
    std::fs::write(units.join("probe.service"), SERVICE_UNIT).unwrap();
    std::fs::write(project.join("images/probe.toml"), DEFINITION).unwrap();
    let locked = run_skerry(&["lock", "probe", "-C", project.to_str().unwrap()]);
    assert!(locked.status.success(), "{}", String::from_utf8_lossy(&locked.stderr));
    Image::build(&project, "probe", &project.join("out/probe"))
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
