//! Whatever is accepted, a machine can carry out: what only the machine refused would be found out far from whoever could
//! mend it.

use proptest::prelude::*;

use super::*;
use crate::client::Client;
use crate::node_files::{self, MachineFacts};

/// A machine that no amount of reserved memory is too much for.
const AMPLE: MachineFacts = MachineFacts {
    memory_bytes: u64::MAX,
    cpus: 4,
};

/// Parts of names, addresses and URLs, right and wrong.
const PARTS: [&str; 26] = [
    "a",
    "B",
    "7",
    "-",
    "_",
    ".",
    ":",
    "/",
    "[",
    "]",
    "*",
    "@",
    "%",
    " ",
    ",",
    "shop",
    "example",
    "10.0.0.1",
    "192.0.2.0/24",
    "2001:db8::1",
    "fd00::/127",
    "http://",
    "https://",
    ":5000",
    "_default",
    "cluster.local",
];

fn value() -> impl Strategy<Value = String> {
    proptest::collection::vec(proptest::sample::select(PARTS.to_vec()), 1..6).prop_map(|parts| parts.concat())
}

fn settings() -> impl Strategy<Value = String> {
    prop_oneof![
        value().prop_map(|value| format!("[kubelet]\ncluster-domain = \"{value}\"\n")),
        value().prop_map(|value| format!("[node.labels]\n\"{value}\" = \"\"\n")),
        value().prop_map(|value| format!("[node]\ntaints = [\"{value}:NoSchedule\"]\n")),
        value().prop_map(|value| format!("[network]\naddresses = [\"{value}\"]\ngateways = [\"10.0.0.1\"]\n")),
        value().prop_map(|value| format!("[network]\ninterface = \"{value}\"\ndns = [\"10.0.0.1\"]\n")),
        value().prop_map(|value| format!("[network]\ndomains = [\"{value}\"]\n")),
        value().prop_map(|value| format!("[network]\nntp = [\"{value}\"]\n")),
        value().prop_map(|value| format!("[network]\nproxy = \"http://{value}:3128\"\nproxy-control-plane = true\n")),
        value().prop_map(|value| format!("[network]\nproxy = \"http://proxy\"\nno-proxy = [\"{value}\"]\n")),
        value().prop_map(|value| format!("[network]\npod-cidr = \"{value}\"\n")),
        value().prop_map(|value| format!("[[registries]]\nhost = \"{value}\"\nmirrors = []\n")),
        value().prop_map(|value| format!("[[registries]]\nhost = \"a\"\nmirrors = [\"https://{value}\"]\n")),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    #[test]
    fn what_is_accepted_can_be_carried_out(text in settings()) {
        if let Ok(parsed) = parse_strict(file(&text).as_bytes()) {
            let settings = &parsed.config.settings;
            let carried_out = node_files::check(&AMPLE, settings, "edge-1");
            prop_assert!(carried_out.is_ok(), "{text}: {carried_out:?}");
            prop_assert!(Client::check(&settings.network).is_ok(), "{text}");
        }
    }
}
