//! Where the programs of an image listen once it runs, as far as the image tells.
//!
//! What is known: the `Listen…=` settings of socket units that start (systemd.socket(5)); and, for the few services of
//! [`SERVICES`], where they listen by their own documentation, if their unit starts. Other services that start are not
//! looked into, and what pods listen on nobody can know.

use serde::Serialize;

use super::root_view::RootView;
use super::units::{self, Units};
use crate::squashfs::ReadAt;

/// Who can reach a socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reach {
    /// Everybody on the network.
    Network,
    /// Programs of this machine, by an address of the loopback interface.
    Loopback,
    /// Programs of this machine, by a path or an abstract name.
    Local,
}

/// A place where a program listens.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Listener {
    /// Who can reach it.
    pub reach: Reach,
    /// `tcp`, `udp`, `unix`, `netlink`, `fifo` or `vsock`.
    pub protocol: String,
    /// Address and port, path, or what systemd.socket(5) takes.
    pub address: String,
    /// The unit whose program it is.
    pub unit: String,
    /// How it is known, and when it is so.
    pub because: String,
}

/// A service, where it listens, and why that is known.
struct Service {
    unit: &'static str,
    /// Another unit that starts it without a link.
    started_by: Option<&'static str>,
    listens: &'static [(Reach, &'static str, &'static str, &'static str)],
}

/// Listening places of services, by the documentation of their programs.
const SERVICES: &[Service] = &[
    Service {
        unit: "kubelet.service",
        // It starts kubelet when the machine has joined.
        started_by: Some("skerry-node.service"),
        listens: &[
            (
                Reach::Network,
                "tcp",
                "*:10250",
                "kubelet's default `port`, after the join",
            ),
            (
                Reach::Loopback,
                "tcp",
                "127.0.0.1:10248",
                "kubelet's default `healthzPort`, after the join",
            ),
            (
                Reach::Local,
                "unix",
                "/var/lib/kubelet/pod-resources/kubelet.sock",
                "kubelet's pod resources, after the join",
            ),
        ],
    },
    Service {
        unit: "skerry-relay.service",
        started_by: Some("skerry-node.service"),
        listens: &[(
            Reach::Loopback,
            "tcp",
            "127.0.0.1:6444",
            "the relay's address, after the join, unless the join file switches it off",
        )],
    },
    Service {
        unit: "containerd.service",
        started_by: None,
        listens: &[
            (
                Reach::Local,
                "unix",
                "/run/containerd/containerd.sock",
                "containerd's default `grpc.address`",
            ),
            (
                Reach::Local,
                "unix",
                "/run/containerd/containerd.sock.ttrpc",
                "containerd's default `ttrpc.address`",
            ),
            (
                Reach::Loopback,
                "tcp",
                "127.0.0.1:0",
                "containerd's default `stream_server_port`: a free one",
            ),
        ],
    },
    Service {
        unit: "ssh.service",
        started_by: None,
        listens: &[(Reach::Network, "tcp", "*:22", "sshd's default `Port`")],
    },
];

/// Where the programs of the image listen.
pub(super) fn read<R: ReadAt + ?Sized>(root: &RootView<'_, R>, units: &Units) -> Vec<Listener> {
    let sockets = units.enabled.iter().filter(|unit| unit.name.ends_with(".socket"));
    let mut found: Vec<Listener> = sockets.flat_map(|unit| socket_unit(root, &unit.name)).collect();
    for service in SERVICES {
        let is_there = root.has(&format!("usr/lib/systemd/system/{}", service.unit))
            || root.has(&format!("etc/systemd/system/{}", service.unit));
        let is_masked = units.masked.iter().any(|masked| masked == service.unit);
        let is_started = [Some(service.unit), service.started_by]
            .into_iter()
            .flatten()
            .any(|unit| units.starts(unit));
        if is_there && is_started && !is_masked {
            found.extend(
                service
                    .listens
                    .iter()
                    .map(|(reach, protocol, address, because)| Listener {
                        reach: *reach,
                        protocol: (*protocol).to_owned(),
                        address: (*address).to_owned(),
                        unit: service.unit.to_owned(),
                        because: (*because).to_owned(),
                    }),
            );
        }
    }
    found.extend(resolved(root, units));
    found.extend(networkd(root, units));
    found.sort();
    found.dedup();
    found
}

fn socket_unit<R: ReadAt + ?Sized>(root: &RootView<'_, R>, unit: &str) -> Vec<Listener> {
    let mut found = Vec::new();
    for (key, value) in units::settings(root, unit, "Socket") {
        let protocol = match key.as_str() {
            "ListenStream" => "tcp",
            "ListenDatagram" => "udp",
            "ListenSequentialPacket" => "unix",
            "ListenFIFO" => "fifo",
            "ListenNetlink" => "netlink",
            _ => continue,
        };
        if value.is_empty() {
            // An empty setting takes back all listening places before it.
            found.clear();
            continue;
        }
        let because = format!("{key}= of the socket unit");
        found.push(place(protocol, &value, unit, because));
    }
    found
}

fn place(protocol: &str, value: &str, unit: &str, because: String) -> Listener {
    let is_port = value.bytes().all(|byte| byte.is_ascii_digit());
    let (reach, protocol, address) = match protocol {
        "fifo" | "netlink" => (Reach::Local, protocol, value.to_owned()),
        _ if value.starts_with(['/', '@', '%']) => (Reach::Local, "unix", value.to_owned()),
        _ if value.starts_with("vsock:") => (Reach::Local, "vsock", value.to_owned()),
        _ if is_port => (Reach::Network, protocol, format!("*:{value}")),
        _ if value.starts_with("127.") || value.starts_with("[::1]") => (Reach::Loopback, protocol, value.to_owned()),
        _ => (Reach::Network, protocol, value.to_owned()),
    };
    Listener {
        reach,
        protocol: protocol.to_owned(),
        address,
        unit: unit.to_owned(),
        because,
    }
}

/// systemd-resolved's stub listens on loopback; LLMNR and multicast DNS listen on the network unless they are switched off
/// (resolved.conf(5)).
fn resolved<R: ReadAt + ?Sized>(root: &RootView<'_, R>, units: &Units) -> Vec<Listener> {
    const UNIT: &str = "systemd-resolved.service";
    if !units.starts(UNIT) {
        return Vec::new();
    }
    let folders = ["etc/systemd/resolved.conf.d", "usr/lib/systemd/resolved.conf.d"].map(str::to_owned);
    let main = root.text("etc/systemd/resolved.conf").into_iter();
    let mut settings = Vec::new();
    for text in main.chain(units::drop_ins(root, &folders)) {
        settings.extend(units::section_settings(&text, "Resolve"));
    }
    let is_off = |key: &str| {
        let last = settings.iter().rev().find(|(own, _)| own == key);
        last.is_some_and(|(_, value)| matches!(value.as_str(), "no" | "false" | "off" | "0"))
    };
    let mut found = Vec::new();
    let mut add = |protocol, address, because: &str| found.push(place(protocol, address, UNIT, because.to_owned()));
    if !is_off("DNSStubListener") {
        for address in ["127.0.0.53:53", "127.0.0.54:53"] {
            for protocol in ["tcp", "udp"] {
                add(protocol, address, "resolved's stub (`DNSStubListener=`)");
            }
        }
    }
    if !is_off("LLMNR") {
        for protocol in ["tcp", "udp"] {
            add(protocol, "5355", "`LLMNR=` is not off");
        }
    }
    if !is_off("MulticastDNS") {
        add("udp", "5353", "`MulticastDNS=` is not off");
    }
    found
}

/// A DHCP client takes the answers of servers.
fn networkd<R: ReadAt + ?Sized>(root: &RootView<'_, R>, units: &Units) -> Vec<Listener> {
    const UNIT: &str = "systemd-networkd.service";
    if !units.starts(UNIT) {
        return Vec::new();
    }
    let folders = ["etc/systemd/network", "usr/lib/systemd/network"];
    let files = folders
        .into_iter()
        .flat_map(|folder| root.children(folder).map(move |(name, _)| (folder, name)));
    let dhcp: Vec<String> = files
        .filter(|(_, name)| name.ends_with(".network"))
        .filter_map(|(folder, name)| root.text(&format!("{folder}/{name}")))
        .flat_map(|text| units::section_settings(&text, "Network"))
        .filter(|(key, _)| key == "DHCP")
        .map(|(_, value)| value)
        .collect();
    let wants = |word: &str| {
        dhcp.iter()
            .any(|value| matches!(value.as_str(), "yes" | "true" | "1") || value == word)
    };
    let mut found = Vec::new();
    let mut add = |port, because: &str| found.push(place("udp", port, UNIT, because.to_owned()));
    if wants("ipv4") {
        add("68", "a DHCP client (`DHCP=` of a .network file), on links that use it");
    }
    if wants("ipv6") {
        add(
            "546",
            "a DHCPv6 client (`DHCP=` of a .network file), on links that use it",
        );
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_relay_listens_where_its_program_says() {
        let relay = SERVICES.iter().find(|service| service.unit == "skerry-relay.service");
        let (_, _, address, _) = relay.unwrap().listens[0];
        assert_eq!(address, skerry_firstboot::relay::ADDRESS.to_string());
    }

    #[test]
    fn what_a_socket_unit_listens_on_tells_who_can_reach_it() {
        let reach = |value: &str| {
            let place = place("tcp", value, "x.socket", String::new());
            (place.reach, place.protocol, place.address)
        };
        let row = |reach, protocol: &str, address: &str| (reach, protocol.to_owned(), address.to_owned());
        assert_eq!(reach("80"), row(Reach::Network, "tcp", "*:80"));
        assert_eq!(reach("10.0.0.1:80"), row(Reach::Network, "tcp", "10.0.0.1:80"));
        assert_eq!(reach("[::1]:80"), row(Reach::Loopback, "tcp", "[::1]:80"));
        assert_eq!(reach("/run/x"), row(Reach::Local, "unix", "/run/x"));
        assert_eq!(reach("@abstract"), row(Reach::Local, "unix", "@abstract"));
        assert_eq!(reach("vsock:2:3"), row(Reach::Local, "vsock", "vsock:2:3"));
    }
}
