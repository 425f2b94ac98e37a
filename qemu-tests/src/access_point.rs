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
        "[Service]\nExecStart=\nExecStart=/usr/libexec/iwd --nophys phy1\nStandardError=journal+console\n",
    ),
];

/// Makes wlan1 an access point when the bridge behind it is there.
const UNIT: &str = "[Service]
ExecStart=/usr/sbin/hostapd /usr/lib/access-point.conf
StandardOutput=journal+console

[Install]
WantedBy=sys-subsystem-net-devices-air.device
";

/// How long it refuses whoever comes, in seconds: long enough that a machine finds it, tries and gives up.
const REFUSES: u32 = 90;

/// What an access point does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Conduct {
    /// It lets in who knows the passphrase, by WPA2 Personal.
    Wpa2,
    /// By WPA3 Personal alone: SAE with protected management frames. At first it knows another passphrase, and then the right
    /// one.
    RefusingThenWpa3,
}

/// An image with Wi-Fi and an access point, built for the test `name`.
pub fn image(name: &str, conduct: Conduct) -> Image {
    let project = Project::copy(name);
    let write = |path: &str, content: &str| project.write(&format!("overlays/access-point/usr/lib/{path}"), content);
    FILES.iter().for_each(|(path, content)| write(path, content));
    let configuration = |name: &str, security: &str, passphrase: &str| {
        let network = "interface=wlan1\nbridge=air\ndriver=nl80211\nhw_mode=g\nchannel=6\n";
        let secret = format!("ssid={SSID}\nwpa=2\nrsn_pairwise=CCMP\nwpa_passphrase={passphrase}\n{security}");
        write(name, &format!("{network}{secret}"));
    };
    let (wpa2, wpa3) = (
        "wpa_key_mgmt=WPA-PSK\n",
        "wpa_key_mgmt=SAE\nieee80211w=2\nsae_require_mfp=1\n",
    );
    match conduct {
        Conduct::Wpa2 => {
            configuration("access-point.conf", wpa2, PASSPHRASE);
            write("systemd/system/access-point.service", UNIT);
        }
        Conduct::RefusingThenWpa3 => {
            configuration("access-point.conf", wpa3, "another passphrase");
            let ends = format!("[Unit]\nOnFailure=late.service\n\n[Service]\nRuntimeMaxSec={REFUSES}\n");
            write(
                "systemd/system/access-point.service",
                &UNIT.replace("[Service]\n", &ends),
            );
            configuration("late.conf", wpa3, PASSPHRASE);
            let late = "[Service]\nExecStart=/usr/sbin/hostapd /usr/lib/late.conf\nStandardOutput=journal+console\n";
            write("systemd/system/late.service", late);
        }
    }
    project.write("images/radio.toml", DEFINITION);
    project.build("radio")
}

/// The table of the join file that lets a machine in.
pub fn profile() -> String {
    format!("\n[wifi]\nssid = \"{SSID}\"\npassphrase = \"{PASSPHRASE}\"\ncountry = \"DE\"\n")
}

/// What the access point says on the console when a machine is in its network (hostapd's control interface).
pub const LET_IN: &str = "AP-STA-CONNECTED";
/// What the machine's supplicant says there when it was not let in (iwd's notices).
pub const REFUSED: &str = "event: connect-failed";
