//! Accounts that maintainer scripts make with adduser(8), addgroup(8) or useradd(8), as sysusers.d lines.

/// Package and lines. A package that ships a sysusers.d file for the same account has no row here.
const ROWS: &[(&str, &str)] = &[
    ("bluez", "g bluetooth -\n"),
    (
        "chrony",
        "u _chrony - \"Chrony daemon\" /var/lib/chrony /usr/sbin/nologin\n",
    ),
    (
        "dnsmasq-base",
        "u dnsmasq -:nogroup dnsmasq /var/lib/misc /usr/sbin/nologin\n",
    ),
    ("network-manager", "g netdev -\n"),
    ("openssh-client", "g _ssh -\n"),
    ("rpcbind", "u _rpc -:nogroup - /run/rpcbind /usr/sbin/nologin\n"),
    ("tcpdump", "u tcpdump - - /nonexistent /usr/sbin/nologin\n"),
    ("tpm-udev", "u tss - \"TPM software stack\" /var/lib/tpm /bin/false\n"),
    ("wpasupplicant", "g netdev -\n"),
];

/// The lines for those of `packages` that have any, as input for [`super::Accounts::from_sources`].
pub fn script_accounts<'a>(packages: impl IntoIterator<Item = &'a str>) -> Vec<(String, String)> {
    packages
        .into_iter()
        .filter_map(|package| ROWS.iter().find(|(name, _)| *name == package))
        .map(|(package, lines)| (format!("usr/lib/sysusers.d/script-{package}.conf"), (*lines).to_owned()))
        .collect()
}
