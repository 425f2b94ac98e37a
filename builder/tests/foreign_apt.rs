//! dpkg and apt as judges of our versions and of our resolver. An absent judge is a reported skip.
//!
//! The indexes that apt and we resolve against come from the folder that `SKERRY_TEST_APT_INDEXES` names: for each suite
//! `SUITE.Packages`, decompressed, and `SUITE.InRelease`, for amd64.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{SystemTime, UNIX_EPOCH};

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};
use skerry_builder::apt::index;
use skerry_builder::apt::release::{self, Policy, SigningKeys, ValidUntil};
use skerry_builder::apt::resolve::{self, Request, Universe};
use skerry_builder::apt::version::DebVersion;
use skerry_builder::arch::Arch;

#[expect(clippy::print_stderr, reason = "a skipped test has to say so")]
fn skipped(why: &str) {
    eprintln!("skipped: {why}");
}

fn is_there(program: &str) -> bool {
    let found = Command::new(program)
        .arg("--version")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    found.is_ok_and(|status| status.success())
}

/// Runs the shell script on lines of input and returns the lines it printed.
fn judge(script: &str, input: &str) -> Vec<String> {
    let mut shell = Command::new("sh")
        .args(["-c", script])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut stdin = shell.stdin.take().unwrap();
    // The script reads all before it prints enough to fill a pipe, so writing first cannot block for good.
    stdin.write_all(input.as_bytes()).unwrap();
    drop(stdin);
    let output = shell.wait_with_output().unwrap();
    assert!(output.status.success());
    String::from_utf8(output.stdout)
        .unwrap()
        .lines()
        .map(str::to_owned)
        .collect()
}

struct Versions(ChaCha8Rng);

impl Versions {
    fn below(&mut self, bound: u32) -> usize {
        (self.0.next_u32() % bound) as usize
    }

    fn text(&mut self, alphabet: &str, longest: u32) -> String {
        let alphabet: Vec<char> = alphabet.chars().collect();
        let len = self.below(longest + 1);
        (0..len).map(|_| alphabet[self.below(alphabet.len() as u32)]).collect()
    }

    fn version(&mut self) -> String {
        let epoch = ["", "", "", "0:", "1:", "10:"][self.below(6)];
        let upstream = format!("{}{}", self.below(12), self.text("0019.~+-aZb", 8));
        let revision = match self.below(3) {
            0 => String::new(),
            _ => format!("-{}{}", self.below(3), self.text("01.~+bu", 4)),
        };
        format!("{epoch}{upstream}{revision}")
    }

    /// A version that differs in little, if at all: orders are most easily wrong between neighbours.
    fn neighbour(&mut self, version: &str) -> String {
        let at = self.below(version.len() as u32 + 1);
        let (head, tail) = version.split_at(at);
        let tail = if self.below(2) == 0 {
            tail
        } else {
            tail.get(1..).unwrap_or_default()
        };
        format!("{head}{}{tail}", self.text("01.~+-a", 2))
    }
}

#[test]
fn dpkg_orders_versions_as_we_do() {
    if !is_there("dpkg") {
        return skipped("no dpkg");
    }
    let mut versions = Versions(ChaCha8Rng::seed_from_u64(11));
    let mut pairs = Vec::new();
    while pairs.len() < 3000 {
        let left = versions.version();
        let right = if versions.below(4) == 0 {
            versions.version()
        } else {
            versions.neighbour(&left)
        };
        let (Ok(left), Ok(right)) = (left.parse::<DebVersion>(), right.parse::<DebVersion>()) else {
            continue;
        };
        if right.as_str().starts_with(|c: char| c.is_ascii_digit()) {
            pairs.push((left, right));
        }
    }
    let operator = |order: std::cmp::Ordering| ["lt", "eq", "gt"][(order as i8 + 1) as usize];
    let input: String = pairs
        .iter()
        .map(|(left, right)| format!("{left} {} {right}\n", operator(left.cmp(right))))
        .collect();
    let script = "while read -r left order right; do
        dpkg --compare-versions \"$left\" \"$order\" \"$right\" || echo \"$left $order $right\"
    done";
    assert_eq!(judge(script, &input), Vec::<String>::new(), "dpkg disagrees");
    let equal = pairs.iter().filter(|(left, right)| left == right).count();
    assert!((50..1500).contains(&equal), "{equal} equal pairs do not test much");
}

#[test]
fn dpkg_takes_the_same_texts_for_versions() {
    if !is_there("dpkg") {
        return skipped("no dpkg");
    }
    let mut versions = Versions(ChaCha8Rng::seed_from_u64(12));
    // dpkg warns about versions that do not start with a digit, which we let pass as the policy only says "should".
    let texts: Vec<_> = (0..600)
        .map(|_| format!("1{}", versions.text("01:a-~+._", 6)))
        .collect();
    let script = "while read -r text; do
        if dpkg --validate-version \"$text\"; then echo yes; else echo no; fi
    done";
    let verdicts = judge(script, &(texts.join("\n") + "\n"));
    let valid = verdicts.iter().filter(|verdict| *verdict == "yes").count();
    assert!((100..500).contains(&valid), "{valid} valid texts do not test much");
    for (text, verdict) in texts.iter().zip(&verdicts) {
        // An upstream version that starts with a letter behind the epoch is warned about, too.
        let upstream = text.split_once(':').map_or(text.as_str(), |(_, rest)| rest);
        if upstream.starts_with(|c: char| c.is_ascii_digit()) {
            assert_eq!(text.parse::<DebVersion>().is_ok(), verdict == "yes", "{text}");
        }
    }
}

/// The suites in the folder of indexes, sorted.
fn suites() -> Option<(PathBuf, Vec<String>)> {
    let Some(folder) = std::env::var_os("SKERRY_TEST_APT_INDEXES").map(PathBuf::from) else {
        skipped("SKERRY_TEST_APT_INDEXES is not set");
        return None;
    };
    let names = fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut suites: Vec<_> = names
        .filter_map(|name| name.strip_suffix(".Packages").map(str::to_owned))
        .collect();
    suites.sort();
    Some((folder, suites))
}

/// An apt that knows nothing but the indexes: no host configuration, no installed packages, no network.
struct Apt {
    root: tempfile::TempDir,
}

impl Apt {
    fn new(indexes: &Path, suites: &[String]) -> Self {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().display().to_string();
        for name in [
            "etc/apt/apt.conf.d",
            "etc/apt/preferences.d",
            "etc/apt/trusted.gpg.d",
            "lists/partial",
            "cache/archives/partial",
        ] {
            fs::create_dir_all(root.path().join(name)).unwrap();
        }
        let sources: String = suites
            .iter()
            .map(|suite| format!("deb [trusted=yes] http://archive.invalid/debian {suite} main\n"))
            .collect();
        fs::write(root.path().join("etc/apt/sources.list"), sources).unwrap();
        fs::write(root.path().join("status"), "").unwrap();
        let configuration = format!(
            "Dir \"{folder}\";\nDir::State \"{folder}\";\nDir::State::status \"{folder}/status\";\n\
             Dir::State::lists \"lists/\";\nDir::Cache \"{folder}/cache\";\nAPT::Architecture \"amd64\";\n\
             APT::Architectures {{ \"amd64\"; }};\nAPT::Install-Recommends \"false\";\nDebug::NoLocking \"true\";\n"
        );
        fs::write(root.path().join("apt.conf"), configuration).unwrap();
        for suite in suites {
            let list = |kind: &str| {
                root.path()
                    .join(format!("lists/archive.invalid_debian_dists_{suite}_{kind}"))
            };
            let index = fs::canonicalize(indexes.join(format!("{suite}.Packages"))).unwrap();
            std::os::unix::fs::symlink(index, list("main_binary-amd64_Packages")).unwrap();
            let release = fs::canonicalize(indexes.join(format!("{suite}.InRelease"))).unwrap();
            std::os::unix::fs::symlink(release, list("InRelease")).unwrap();
        }
        Self { root }
    }

    /// What apt would install: versions by name.
    fn solve(&self, packages: &[&str]) -> Result<BTreeMap<String, String>, String> {
        let output = Command::new("apt-get")
            .args(["--simulate", "-qq", "install"])
            .args(packages)
            .env("APT_CONFIG", self.root.path().join("apt.conf"))
            .env("LC_ALL", "C")
            .output()
            .unwrap();
        if !output.status.success() {
            return Err(String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr));
        }
        let text = String::from_utf8(output.stdout).unwrap();
        let installed = text.lines().filter_map(|line| line.strip_prefix("Inst "));
        Ok(installed
            .map(|line| {
                let (name, rest) = line.split_once(" (").unwrap();
                (name.to_owned(), rest.split(' ').next().unwrap().to_owned())
            })
            .collect())
    }
}

/// Requests as images make them, and some with more choices.
const REQUESTS: [&str; 8] = [
    "systemd systemd-sysv udev dbus linux-image-amd64 containerd crun iptables nftables conntrack ethtool socat kmod \
     ca-certificates iproute2 e2fsprogs systemd-repart systemd-boot-efi systemd-resolved systemd-timesyncd libnss-systemd \
     mount util-linux",
    "base-files base-passwd ca-certificates crun dbus e2fsprogs iptables kmod libnss-systemd linux-image-cloud-amd64 mount \
     nftables systemd systemd-boot-efi systemd-repart systemd-resolved systemd-timesyncd udev",
    "openssh-server chrony wireless-regdb wpasupplicant firmware-linux-free iw modemmanager",
    "bash coreutils dash debianutils diffutils dpkg findutils grep gzip hostname login ncurses-base perl-base sed tar",
    "docker.io docker-registry qemu-system-x86 ovmf swtpm",
    "python3 python3-requests python3-yaml git curl jq vim-tiny",
    "network-manager firewalld",
    "postfix apache2 mariadb-server php default-jre-headless",
];

/// Requests in which apt follows a choice before it learns that another package brings a solution anyway, and so installs
/// more than is needed.
const GREEDY_REQUESTS: [&str; 2] = [
    "network-manager firewalld podman buildah skopeo",
    "lomiri-keyboard-icelandic vlc-bin",
];

#[test]
fn apt_selects_the_same_packages_for_realistic_requests() {
    let Some((folder, suites)) = suites() else { return };
    if !is_there("apt-get") {
        return skipped("no apt-get");
    }
    let apt = Apt::new(&folder, &suites);
    let read =
        |suite: &String| index::parse(&fs::read_to_string(folder.join(format!("{suite}.Packages"))).unwrap()).unwrap();
    let universe = Universe::new(Arch::X86_64, suites.iter().map(read).enumerate().collect()).unwrap();
    for packages in REQUESTS.into_iter().chain(GREEDY_REQUESTS) {
        let names: Vec<_> = packages.split_whitespace().collect();
        let theirs = apt.solve(&names).unwrap();
        let request = Request {
            packages: names.iter().map(|&name| name.to_owned()).collect(),
            excluded: BTreeSet::new(),
        };
        let selected = resolve::resolve(&universe, &request).unwrap().packages;
        let ours = selected
            .into_iter()
            .map(|(name, selected)| (name, selected.entry.version.to_string()))
            .collect();
        assert_eq!(
            difference(&ours, &theirs),
            Vec::<String>::new(),
            "only ours for {packages}"
        );
        if !GREEDY_REQUESTS.contains(&packages) {
            assert_eq!(
                difference(&theirs, &ours),
                Vec::<String>::new(),
                "only apt's for {packages}"
            );
        }
    }
}

/// What `left` has and `right` has not, or not in this version.
fn difference(left: &BTreeMap<String, String>, right: &BTreeMap<String, String>) -> Vec<String> {
    let missing = left.iter().filter(|(name, version)| right.get(*name) != Some(version));
    missing.map(|(name, version)| format!("{name} {version}")).collect()
}

#[test]
fn the_repositorys_keys_verify_the_archives_own_signatures() {
    let Some((folder, suites)) = suites() else { return };
    let keys = |name: &str, fingerprints: &[&str]| {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../images/keys").join(name);
        let expected: Vec<_> = fingerprints.iter().map(|text| text.parse().unwrap()).collect();
        SigningKeys::from_armored(name, &fs::read_to_string(path).unwrap(), &expected).unwrap()
    };
    let main = keys(
        "debian-archive-trixie.asc",
        &[
            "04B54C3CDCA79751B16BC6B5225629DF75B188BD",
            "41587F7DB8C774BCCF131416762F67A0B2C39DE4",
        ],
    );
    let security = keys(
        "debian-security-trixie.asc",
        &["5E04A1E3223A19A20706E20F9904613D4CCE68C6"],
    );
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    for suite in suites {
        let keys = if suite.ends_with("-security") { &security } else { &main };
        // The files may have been fetched a while ago.
        let policy = Policy {
            now,
            check_valid_until: ValidUntil::Ignored,
            suite: suite.clone(),
            not_before: 0,
        };
        let inrelease = fs::read(folder.join(format!("{suite}.InRelease"))).unwrap();
        let release = release::verify(&inrelease, keys, &policy).unwrap();
        assert!(release.files.contains_key("main/binary-amd64/Packages.xz"), "{suite}");
        let mut changed = inrelease.clone();
        let at = changed.len() / 3;
        changed[at] ^= 1;
        assert!(release::verify(&changed, keys, &policy).is_err(), "{suite}");
    }
}
