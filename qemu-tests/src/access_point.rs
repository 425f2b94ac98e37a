//! A machine with radios and no other way out: the kernel simulates them (`mac80211_hwsim`), hostapd makes one an access
//! point, and the emulated network card is only a port of the bridge behind that.
//!
//! ```text
//! wlan0 (iwd, the address, the routes) ~~air~~ wlan1 (hostapd) ─ bridge, no address ─ network card, no address ─ QEMU
//! ```

use crate::image::{Image, Project};

/// The network's name: not one that could stand in a file name as it is.
const SSID: &str = "shop: north";
/// What lets a machine in.
const PASSPHRASE: &str = "correct horse battery";

const DEFINITION: &str = r#"version = 1
base = ["edge-x86_64.toml", "wifi.toml"]
packages = ["hostapd"]
overlays = ["access-point"]
kernel.modules = ["drivers/net/wireless/virtual/mac80211_hwsim.ko*"]
units.enable = ["access-point.service"]
"#;

/// Files of the overlay: below `usr/lib`, content.
const FILES: [(&str, &str); 8] = [
    ("modules-load.d/radios.conf", "mac80211_hwsim\n"),
    ("modprobe.d/radios.conf", "options mac80211_hwsim radios=2\n"),
    // The machine's own address is asked for on the bridge as well, and only the radio may answer.
    ("sysctl.d/60-access-point.conf", "net.ipv4.conf.all.arp_ignore = 1\n"),
    ("systemd/network/10-air.netdev", "[NetDev]\nName=air\nKind=bridge\n"),
    (
        "systemd/network/10-air.network",
        "[Match]\nName=air\n\n[Network]\nLinkLocalAddressing=no\nIPv6AcceptRA=no\nConfigureWithoutCarrier=yes\n",
    ),
    (
        "systemd/network/10-card.network",
        "[Match]\nDriver=virtio_net\n\n[Network]\nBridge=air\nLinkLocalAddressing=no\nIPv6AcceptRA=no\n",
    ),
    (
        "systemd/network/10-access-point.network",
        "[Match]\nName=wlan1\n\n[Link]\nUnmanaged=yes\n",
    ),
    (
        "systemd/system/iwd.service.d/20-access-point.conf",
        "[Service]\nExecStart=\nExecStart=/usr/libexec/iwd --nophys phy1\n",
    ),
];

const UNIT: &str = "[Unit]
Wants=sys-subsystem-net-devices-wlan1.device sys-subsystem-net-devices-air.device
After=sys-subsystem-net-devices-wlan1.device sys-subsystem-net-devices-air.device

[Service]
ExecStart=/usr/sbin/hostapd /usr/lib/access-point.conf
Restart=on-failure

[Install]
WantedBy=multi-user.target
";

/// An image with Wi-Fi and an access point (WPA2 Personal), built for the test `name`.
pub fn image(name: &str) -> Image {
    let project = Project::copy(name);
    let write = |path: &str, content: &str| project.write(&format!("overlays/access-point/usr/lib/{path}"), content);
    FILES.iter().for_each(|(path, content)| write(path, content));
    write("systemd/system/access-point.service", UNIT);
    let network = "interface=wlan1\nbridge=air\ndriver=nl80211\nhw_mode=g\nchannel=6\n";
    let secret = format!("ssid={SSID}\nwpa=2\nwpa_key_mgmt=WPA-PSK\nrsn_pairwise=CCMP\nwpa_passphrase={PASSPHRASE}\n");
    write("access-point.conf", &format!("{network}{secret}"));
    project.write("images/radio.toml", DEFINITION);
    project.build("radio")
}

/// The table of the join file that lets a machine in.
pub fn profile() -> String {
    format!("\n[wifi]\nssid = \"{SSID}\"\npassphrase = \"{PASSPHRASE}\"\ncountry = \"DE\"\n")
}
