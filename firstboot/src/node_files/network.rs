//! The machine's network and its time servers, as systemd.network(5) and timesyncd.conf(5) files in `/run/systemd`.
//!
//! Without settings there is nothing to write: the image's own `80-dhcp.network` serves every wired interface. The file
//! made here sorts before it, and the first file that matches an interface wins.

use std::fmt::Write as _;
use std::net::IpAddr;

use super::{PlanError, PlannedFile, Reader};
use crate::join_config::NetworkSettings;
use crate::join_config::network::{interface as checked_interface, is_hardware_address};
use crate::join_config::node_name::is_subdomain;

/// The interface's file.
pub const FILE: &str = "/run/systemd/network/10-skerry.network";
/// The time servers' file.
pub const TIME_FILE: &str = "/run/systemd/timesyncd.conf.d/10-skerry.conf";

/// The files that the settings need; none if the image's own do.
pub fn plan(network: &NetworkSettings) -> Result<Vec<PlannedFile>, PlanError> {
    let mut files = Vec::new();
    let about_interface = !network.addresses.is_empty()
        || !network.gateways.is_empty()
        || !network.dns.is_empty()
        || !network.domains.is_empty();
    if about_interface {
        files.push(file(FILE, Reader::Network, interface(network)?));
    }
    if !network.ntp.is_empty() {
        files.push(file(TIME_FILE, Reader::Time, time(&network.ntp)?));
    }
    Ok(files)
}

fn file(path: &str, reader: Reader, content: String) -> PlannedFile {
    PlannedFile {
        path: path.into(),
        mode: 0o644,
        content,
        reader,
    }
}

fn interface(network: &NetworkSettings) -> Result<String, PlanError> {
    let mut text = matching(network.interface.as_deref())?;
    let fixed = !network.addresses.is_empty();
    let dhcp = if fixed { "no" } else { "yes" };
    let _ = write!(
        text,
        "\n[Network]\nDHCP={dhcp}\nLinkLocalAddressing=ipv6\nLLMNR=no\nMulticastDNS=no\n"
    );
    for address in &network.addresses {
        let _ = writeln!(text, "Address={address}");
    }
    for gateway in &network.gateways {
        if !network
            .addresses
            .iter()
            .any(|own| own.address.is_ipv4() == gateway.is_ipv4())
        {
            let why = "needs an address of its family in network.addresses";
            return Err(PlanError::new("network.gateways", &gateway.to_string(), why));
        }
        let _ = writeln!(text, "Gateway={gateway}");
    }
    for server in &network.dns {
        let _ = writeln!(text, "DNS={server}");
    }
    if !network.domains.is_empty() {
        if let Some(bad) = network
            .domains
            .iter()
            .find(|name| !is_subdomain(&name.to_ascii_lowercase()))
        {
            return Err(PlanError::new("network.domains", bad, "is no domain"));
        }
        let _ = writeln!(text, "Domains={}", network.domains.join(" "));
    }
    if !fixed {
        // Cloned disks share their DUID until the first boot is over; the hardware address is never shared.
        text.push_str("\n[DHCPv4]\nClientIdentifier=mac\nUseDomains=yes\n");
    }
    if !network.dns.is_empty() {
        text.push_str(if fixed {
            ""
        } else {
            "UseDNS=no\n\n[DHCPv6]\nUseDNS=no\n"
        });
        text.push_str("\n[IPv6AcceptRA]\nUseDNS=no\n");
    }
    Ok(text)
}

fn matching(interface: Option<&str>) -> Result<String, PlanError> {
    let Some(name) = interface else {
        return Ok("[Match]\nType=ether\nKind=!*\n".to_owned());
    };
    if is_hardware_address(name) {
        return Ok(format!("[Match]\nMACAddress={name}\nType=ether\nKind=!*\n"));
    }
    if checked_interface(name).is_err() {
        let why = "is no interface: a name such as enp1s0, a pattern such as en*, or a hardware address";
        return Err(PlanError::new("network.interface", name, why));
    }
    Ok(format!("[Match]\nName={name}\n"))
}

fn time(servers: &[String]) -> Result<String, PlanError> {
    let fits = |name: &str| name.parse::<IpAddr>().is_ok() || is_subdomain(&name.to_ascii_lowercase());
    match servers.iter().find(|name| !fits(name)) {
        Some(bad) => Err(PlanError::new("network.ntp", bad, "is no host name or address")),
        None => Ok(format!("[Time]\nNTP={}\n", servers.join(" "))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::join_config::Address;

    fn address(text: &str) -> Address {
        Address::try_from(text.to_owned()).unwrap()
    }

    #[test]
    fn nothing_is_written_where_dhcp_is_enough() {
        assert_eq!(plan(&NetworkSettings::default()).unwrap(), []);
        let interface_alone = NetworkSettings {
            interface: Some("eth0".into()),
            ..NetworkSettings::default()
        };
        assert_eq!(plan(&interface_alone).unwrap(), []);
    }

    #[test]
    fn a_static_network_is_written_as_networkd_reads_it() {
        let network = NetworkSettings {
            interface: Some("en*".into()),
            addresses: vec![address("192.0.2.10/24"), address("2001:db8::10/64")],
            gateways: vec!["192.0.2.1".parse().unwrap()],
            dns: vec!["192.0.2.53".parse().unwrap()],
            domains: vec!["shop.example".into(), "example".into()],
            ntp: vec!["192.0.2.123".into(), "time.example".into()],
            ..NetworkSettings::default()
        };
        let files = plan(&network).unwrap();
        assert_eq!(
            files[0].content,
            "[Match]\nName=en*\n\n[Network]\nDHCP=no\nLinkLocalAddressing=ipv6\nLLMNR=no\nMulticastDNS=no\n\
             Address=192.0.2.10/24\nAddress=2001:db8::10/64\nGateway=192.0.2.1\nDNS=192.0.2.53\n\
             Domains=shop.example example\n\n[IPv6AcceptRA]\nUseDNS=no\n"
        );
        assert_eq!(files[1].content, "[Time]\nNTP=192.0.2.123 time.example\n");
        assert!(FILE.rsplit('/').next() < Some("80-dhcp.network"));
    }

    #[test]
    fn name_servers_with_dhcp_replace_the_ones_that_dhcp_tells() {
        let network = NetworkSettings {
            interface: Some("52:54:00:12:34:56".into()),
            dns: vec!["192.0.2.53".parse().unwrap()],
            ..NetworkSettings::default()
        };
        let text = &plan(&network).unwrap()[0].content;
        assert!(text.starts_with("[Match]\nMACAddress=52:54:00:12:34:56\n"));
        assert!(text.contains("DHCP=yes\n"));
        assert_eq!(text.matches("UseDNS=no").count(), 3);
        assert!(text.contains("ClientIdentifier=mac\n"));
    }

    #[test]
    fn values_that_would_bring_other_lines_are_refused() {
        let with = |change: fn(&mut NetworkSettings)| {
            let mut network = NetworkSettings {
                addresses: vec![address("192.0.2.10/24")],
                ..NetworkSettings::default()
            };
            change(&mut network);
            plan(&network).unwrap_err().key
        };
        assert_eq!(
            with(|n| n.interface = Some("eth0\n[Network]".into())),
            "network.interface"
        );
        assert_eq!(with(|n| n.domains = vec!["a b".into()]), "network.domains");
        assert_eq!(with(|n| n.ntp = vec!["a\nb".into()]), "network.ntp");
        assert_eq!(
            with(|n| n.gateways = vec!["2001:db8::1".parse().unwrap()]),
            "network.gateways"
        );
    }
}
