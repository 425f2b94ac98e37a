//! The tables `[node]`, `[kubelet]`, `[network]`, `[wifi]`, `[relay]` and `[[registries]]` of a join file.

use std::net::IpAddr;

use super::error::{Contradiction, JoinConfigError};
use super::section::{Section, Value, closest};
use super::settings::{
    Address, KubeletSettings, NetworkSettings, NodeSettings, PodNetwork, RegistryMirror, RelaySettings,
    ServingCertificate, Swap,
};
use super::{labels, network, node_name, quantity, wifi};

/// More pods than any node runs; the kubelet scales its own memory with the number.
const MAX_PODS: i64 = 1024;

/// Reads the settings' tables of a join file into `settings`, which may hold what another form said already.
pub(super) fn read(
    top: &mut Section<'_, '_>,
    settings: &mut NodeSettings,
    warnings: &mut Vec<String>,
) -> Result<(), JoinConfigError> {
    if let Some(node) = top.get("node") {
        read_node(node.section()?, settings, warnings)?;
    }
    if let Some(kubelet) = top.get("kubelet") {
        settings.kubelet = read_kubelet(kubelet.section()?, warnings)?;
    }
    if let Some(network) = top.get("network") {
        read_network(network.section()?, &mut settings.network, warnings)?;
    }
    if let Some(wifi) = top.get("wifi") {
        settings.wifi = Some(wifi::read(wifi.section()?, warnings)?);
    }
    if let Some(relay) = top.get("relay") {
        settings.relay = read_relay(relay.section()?, warnings)?;
    }
    if let Some(registries) = top.get("registries") {
        for registry in registries.list()? {
            let registry = read_registry(registry.section()?, &settings.registries, warnings)?;
            settings.registries.push(registry);
        }
    }
    Ok(())
}

fn read_node(
    mut node: Section<'_, '_>,
    settings: &mut NodeSettings,
    warnings: &mut Vec<String>,
) -> Result<(), JoinConfigError> {
    if let Some(name) = node.get("name") {
        name.read(
            node_name::check_template,
            "choose another name, or leave it out: it is then made from the hardware",
        )?;
        settings.name = name.text()?.to_owned();
    }
    if let Some(table) = node.get("labels") {
        for (key, value) in table.section()?.entries() {
            let text = value.text()?;
            labels::check_label(key, text)
                .map_err(|reason| value.refuse(reason, "change the label, or set it from the cluster"))?;
            settings.labels.insert(key.to_owned(), text.to_owned());
        }
    }
    if let Some(list) = node.get("taints") {
        for taint in list.list()? {
            let text = taint.text()?;
            let advice = "write taints as `key=value:NoSchedule`, each key and effect once";
            let new = labels::Taint::parse(text).map_err(|reason| taint.refuse(reason, advice))?;
            let known = |other: &String| labels::Taint::parse(other).is_ok_and(|other| other.excludes(&new));
            if settings.taints.iter().any(known) {
                return Err(taint.refuse("there is a taint with this key and effect already", advice));
            }
            settings.taints.push(text.to_owned());
        }
    }
    node.finish(warnings)
}

fn read_kubelet(mut kubelet: Section<'_, '_>, warnings: &mut Vec<String>) -> Result<KubeletSettings, JoinConfigError> {
    let mut settings = KubeletSettings::default();
    if let Some(count) = kubelet.get("max-pods") {
        let number = count.integer()?;
        if !(1..=MAX_PODS).contains(&number) {
            return Err(count.refuse("it must be from 1 to 1024", "leave it out: it then follows the memory"));
        }
        settings.max_pods = u32::try_from(number).ok();
    }
    if let Some(list) = kubelet.get("cluster-dns") {
        settings.cluster_dns = list.read_all(str::parse::<IpAddr>, "give IP addresses")?;
    }
    if let Some(domain) = kubelet.get("cluster-domain") {
        settings.cluster_domain = Some(domain.read(network::domain, "give a DNS name, such as `cluster.local`")?);
    }
    settings.reserved_memory = kubelet.get("reserved-memory").map(|value| memory(&value)).transpose()?;
    settings.eviction_memory = kubelet.get("eviction-memory").map(|value| memory(&value)).transpose()?;
    if let Some(value) = kubelet.get("serving-certificate") {
        settings.serving_certificate = choice(
            &value,
            &[
                ("self-signed", ServingCertificate::SelfSigned),
                ("cluster", ServingCertificate::Cluster),
            ],
        )?;
    }
    if let Some(value) = kubelet.get("swap") {
        settings.swap = choice(
            &value,
            &[("auto", Swap::Auto), ("zram", Swap::Zram), ("none", Swap::None)],
        )?;
    }
    kubelet.finish(warnings)?;
    Ok(settings)
}

fn memory(value: &Value<'_, '_>) -> Result<u64, JoinConfigError> {
    let advice = "write `64Mi` in quotes, or a number of bytes";
    match value.number() {
        Some(number) => u64::try_from(number).map_err(|_| value.refuse("it must not be negative", advice)),
        None => value.read(quantity::bytes, advice),
    }
}

/// One of a few words.
pub(super) fn choice<T: Clone>(value: &Value<'_, '_>, choices: &[(&'static str, T)]) -> Result<T, JoinConfigError> {
    let text = value.text()?;
    if let Some((_, chosen)) = choices.iter().find(|(name, _)| *name == text) {
        return Ok(chosen.clone());
    }
    let names: Vec<&str> = choices.iter().map(|(name, _)| *name).collect();
    let list: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    let question = closest(text, &names).map_or(String::new(), |best| format!("; did you mean `{best}`?"));
    let reason = format!("it must be one of {}{question}", list.join(", "));
    Err(value.refuse(reason, "write one of the words"))
}

fn read_network(
    mut section: Section<'_, '_>,
    settings: &mut NetworkSettings,
    warnings: &mut Vec<String>,
) -> Result<(), JoinConfigError> {
    if let Some(value) = section.get("interface") {
        settings.interface = Some(value.read(network::interface, "give a name such as `eth0` or `en*`")?);
    }
    read_addresses(&mut section, settings)?;
    if let Some(list) = section.get("dns") {
        settings.dns = list.read_all(str::parse::<IpAddr>, "give IP addresses")?;
    }
    if let Some(list) = section.get("domains") {
        settings.domains = list.read_all(network::domain, "give DNS names, such as `shop.example`")?;
    }
    if let Some(list) = section.get("ntp") {
        settings.ntp = list.read_all(network::server, "give DNS names or IP addresses")?;
    }
    read_proxy(&mut section, settings)?;
    if let Some(value) = section.get("pod-network") {
        let choices = [("bridge", PodNetwork::Bridge), ("cluster", PodNetwork::Cluster)];
        settings.pod_network = choice(&value, &choices)?;
    }
    if let Some(value) = section.get("pod-cidr") {
        settings.pod_cidr = Some(value.read(network::pod_range, "give a network such as `10.85.0.0/24`")?);
    }
    section.finish(warnings)
}

fn read_addresses(section: &mut Section<'_, '_>, settings: &mut NetworkSettings) -> Result<(), JoinConfigError> {
    if let Some(list) = section.get("addresses") {
        settings.addresses = list.read_all(network::address, "give addresses such as `192.0.2.10/24`")?;
    }
    let Some(list) = section.get("gateways") else {
        return Ok(());
    };
    for gateway in list.list()? {
        let address = gateway.read(str::parse::<IpAddr>, "give IP addresses")?;
        let same_family = |own: &Address| own.address.is_ipv4() == address.is_ipv4();
        if !settings.addresses.iter().any(same_family) {
            return Err(gateway.refuse(
                "there is no address of its family in `network.addresses`",
                "add the machine's own address to `addresses`, or leave the gateway to DHCP",
            ));
        }
        settings.gateways.push(address);
    }
    Ok(())
}

fn read_proxy(section: &mut Section<'_, '_>, settings: &mut NetworkSettings) -> Result<(), JoinConfigError> {
    if let Some(value) = section.get("proxy") {
        settings.proxy = Some(value.read(network::proxy, "give `http://host:port`")?);
    }
    if let Some(list) = section.get("no-proxy") {
        settings.no_proxy = list.read_all(
            network::direct,
            "give hosts, domains or networks, each in quotes of its own",
        )?;
    }
    if let Some(value) = section.get("proxy-control-plane") {
        settings.proxy_control_plane = value.boolean()?;
        let proxy = settings.proxy.as_deref().filter(|_| settings.proxy_control_plane);
        match proxy {
            None if settings.proxy_control_plane => {
                let advice = "add `proxy = \"http://host:port\"` to `[network]`";
                return Err(value.refuse("there is no `network.proxy`", advice));
            }
            Some(proxy) if !network::leads_to_control_plane(proxy) => {
                let advice = "write it so, with its port, or leave `proxy-control-plane` out";
                return Err(value.refuse(Contradiction::Proxy, advice));
            }
            _ => {}
        }
    }
    Ok(())
}

fn read_relay(mut section: Section<'_, '_>, warnings: &mut Vec<String>) -> Result<RelaySettings, JoinConfigError> {
    let mut settings = RelaySettings::default();
    if let Some(value) = section.get("enabled") {
        settings.enabled = value.boolean()?;
    }
    if let Some(value) = section.get("cache-secrets") {
        settings.cache_secrets = value.boolean()?;
    }
    section.finish(warnings)?;
    Ok(settings)
}

/// A registry beside those that are `known`: containerd has one file for each, and in it each mirror once.
fn read_registry(
    mut section: Section<'_, '_>,
    known: &[RegistryMirror],
    warnings: &mut Vec<String>,
) -> Result<RegistryMirror, JoinConfigError> {
    let advice = "give the registry as image references name it, such as `docker.io`";
    let name = section.require("host")?;
    let host = name.read(network::registry, advice)?;
    if known.iter().any(|other| other.host == host) {
        let advice = "put all mirrors of one registry into one list";
        return Err(name.refuse("there are mirrors of this registry already", advice));
    }
    let mut mirrors = Vec::new();
    for item in section.require("mirrors")?.list()? {
        let mirror = item.read(network::mirror, "give URLs such as `https://mirror.example:5000`")?;
        if mirrors.contains(&mirror) {
            return Err(item.refuse("it is in the list already", "remove one of them"));
        }
        mirrors.push(mirror);
    }
    section.finish(warnings)?;
    Ok(RegistryMirror { host, mirrors })
}
