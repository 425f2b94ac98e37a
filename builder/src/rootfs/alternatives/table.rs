//! The alternatives that Debian packages of the kinds found in images set up, highest priority first within a name.

use super::Choice;

/// In the order of the names; choices of one name by falling priority.
pub(super) const CHOICES: &[Choice] = &[
    Choice {
        name: "arptables",
        link: "usr/sbin/arptables",
        target: "/usr/sbin/arptables-nft",
        slaves: &[
            (
                "arptables-restore",
                "usr/sbin/arptables-restore",
                "/usr/sbin/arptables-nft-restore",
            ),
            (
                "arptables-save",
                "usr/sbin/arptables-save",
                "/usr/sbin/arptables-nft-save",
            ),
        ],
    },
    Choice {
        name: "arptables",
        link: "usr/sbin/arptables",
        target: "/usr/sbin/arptables-legacy",
        slaves: &[
            (
                "arptables-restore",
                "usr/sbin/arptables-restore",
                "/usr/sbin/arptables-legacy-restore",
            ),
            (
                "arptables-save",
                "usr/sbin/arptables-save",
                "/usr/sbin/arptables-legacy-save",
            ),
        ],
    },
    Choice {
        name: "awk",
        link: "usr/bin/awk",
        target: "/usr/bin/gawk",
        slaves: &[("nawk", "usr/bin/nawk", "/usr/bin/gawk")],
    },
    Choice {
        name: "awk",
        link: "usr/bin/awk",
        target: "/usr/bin/mawk",
        slaves: &[("nawk", "usr/bin/nawk", "/usr/bin/mawk")],
    },
    Choice {
        name: "ebtables",
        link: "usr/sbin/ebtables",
        target: "/usr/sbin/ebtables-nft",
        slaves: &[
            (
                "ebtables-restore",
                "usr/sbin/ebtables-restore",
                "/usr/sbin/ebtables-nft-restore",
            ),
            ("ebtables-save", "usr/sbin/ebtables-save", "/usr/sbin/ebtables-nft-save"),
        ],
    },
    Choice {
        name: "ebtables",
        link: "usr/sbin/ebtables",
        target: "/usr/sbin/ebtables-legacy",
        slaves: &[
            (
                "ebtables-restore",
                "usr/sbin/ebtables-restore",
                "/usr/sbin/ebtables-legacy-restore",
            ),
            (
                "ebtables-save",
                "usr/sbin/ebtables-save",
                "/usr/sbin/ebtables-legacy-save",
            ),
        ],
    },
    Choice {
        name: "editor",
        link: "usr/bin/editor",
        target: "/bin/nano",
        slaves: &[],
    },
    Choice {
        name: "ip6tables",
        link: "usr/sbin/ip6tables",
        target: "/usr/sbin/ip6tables-nft",
        slaves: &[
            (
                "ip6tables-restore",
                "usr/sbin/ip6tables-restore",
                "/usr/sbin/ip6tables-nft-restore",
            ),
            (
                "ip6tables-save",
                "usr/sbin/ip6tables-save",
                "/usr/sbin/ip6tables-nft-save",
            ),
        ],
    },
    Choice {
        name: "ip6tables",
        link: "usr/sbin/ip6tables",
        target: "/usr/sbin/ip6tables-legacy",
        slaves: &[
            (
                "ip6tables-restore",
                "usr/sbin/ip6tables-restore",
                "/usr/sbin/ip6tables-legacy-restore",
            ),
            (
                "ip6tables-save",
                "usr/sbin/ip6tables-save",
                "/usr/sbin/ip6tables-legacy-save",
            ),
        ],
    },
    Choice {
        name: "iptables",
        link: "usr/sbin/iptables",
        target: "/usr/sbin/iptables-nft",
        slaves: &[
            (
                "iptables-restore",
                "usr/sbin/iptables-restore",
                "/usr/sbin/iptables-nft-restore",
            ),
            ("iptables-save", "usr/sbin/iptables-save", "/usr/sbin/iptables-nft-save"),
        ],
    },
    Choice {
        name: "iptables",
        link: "usr/sbin/iptables",
        target: "/usr/sbin/iptables-legacy",
        slaves: &[
            (
                "iptables-restore",
                "usr/sbin/iptables-restore",
                "/usr/sbin/iptables-legacy-restore",
            ),
            (
                "iptables-save",
                "usr/sbin/iptables-save",
                "/usr/sbin/iptables-legacy-save",
            ),
        ],
    },
    Choice {
        name: "mt",
        link: "usr/bin/mt",
        target: "/usr/bin/mt-gnu",
        slaves: &[],
    },
    Choice {
        name: "pager",
        link: "usr/bin/pager",
        target: "/usr/bin/less",
        slaves: &[],
    },
    Choice {
        name: "pager",
        link: "usr/bin/pager",
        target: "/bin/more",
        slaves: &[],
    },
    Choice {
        name: "pico",
        link: "usr/bin/pico",
        target: "/bin/nano",
        slaves: &[],
    },
    Choice {
        name: "regulatory.db",
        link: "usr/lib/firmware/regulatory.db",
        target: "/usr/lib/firmware/regulatory.db-debian",
        slaves: &[(
            "regulatory.db.p7s",
            "usr/lib/firmware/regulatory.db.p7s",
            "/usr/lib/firmware/regulatory.db.p7s-debian",
        )],
    },
    Choice {
        name: "rmt",
        link: "usr/sbin/rmt",
        target: "/usr/sbin/rmt-tar",
        slaves: &[],
    },
    Choice {
        name: "which",
        link: "usr/bin/which",
        target: "/usr/bin/which.debianutils",
        slaves: &[],
    },
];
