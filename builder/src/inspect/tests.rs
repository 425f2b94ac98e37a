use std::fs;
use std::os::unix::fs::FileExt as _;

use proptest::prelude::*;

use super::*;
use crate::artifacts::manifest;
use crate::digest::Sha256;
use crate::gpt::Guid;
use crate::sample_image::{Sample, Written, pe_file};

mod boards;
mod damage;

fn written() -> (tempfile::TempDir, Written) {
    let folder = tempfile::tempdir().unwrap();
    let written = Sample::new().write(folder.path());
    (folder, written)
}

fn outcomes(inspection: &Inspection) -> Vec<(&str, Outcome)> {
    let checks = inspection.checks.iter();
    checks.map(|check| (check.subject.as_str(), check.outcome)).collect()
}

#[test]
fn an_image_tells_its_partitions_files_kernel_and_root_hash() {
    let (_folder, written) = written();
    let inspection = inspect(&written.raw).unwrap();
    assert_eq!(inspection.findings, [""; 0]);
    let labels: Vec<_> = inspection
        .partitions
        .iter()
        .map(|partition| partition.label.as_str())
        .collect();
    assert_eq!(labels, ["esp", "edge_1.0", "edge_1.0_verity"]);
    let paths: Vec<_> = inspection.esp_files.iter().map(|file| file.path.as_str()).collect();
    assert_eq!(
        paths,
        ["EFI/BOOT/BOOTX64.EFI", "EFI/Linux/edge_1.0+3.efi", "loader/loader.conf"]
    );
    let text = b"timeout 0\n# no\neditor no\n";
    assert_eq!(inspection.esp_files[2].sha256, Some(Sha256::of(text)));
    let uki = inspection.uki.as_ref().unwrap();
    assert_eq!(uki.command_line, Some(format!("roothash={} quiet", written.root_hash)));
    assert_eq!(uki.root_hash, Some(written.root_hash));
    assert_eq!(uki.kernel.as_deref(), Some("6.12.0-1-amd64"));
    assert_eq!(uki.os_name.as_deref(), Some("Skerry edge 1.0"));
    assert!(!uki.signed);
    assert_eq!(outcomes(&inspection), [("root file system (verity)", Outcome::Passed)]);
}

#[test]
fn the_boot_loader_its_settings_and_its_entries_are_shown() {
    let (_folder, written) = written();
    let boot = inspect(&written.raw).unwrap().boot;
    let loader = boot.loader.unwrap();
    assert_eq!(
        (loader.path.as_str(), loader.name.as_deref()),
        ("EFI/BOOT/BOOTX64.EFI", Some("systemd-boot 257.9"))
    );
    assert_eq!(boot.settings, ["timeout 0", "editor no"]);
    let entry = &boot.entries[0];
    assert_eq!(
        (entry.title.as_deref(), entry.tries_left, entry.tries_done),
        (Some("Skerry edge 1.0"), Some(3), None)
    );
}

#[test]
fn the_root_tells_packages_units_sockets_and_keys() {
    let (_folder, written) = written();
    let contents = inspect(&written.raw).unwrap().contents.unwrap();
    let packages: Vec<_> = contents
        .packages
        .iter()
        .map(|owner| (owner.name.as_str(), owner.version.as_str(), owner.files))
        .collect();
    assert_eq!(packages[0], ("base", "1.0-1", 8));
    assert!(packages.contains(&("containerd", "2.3.7", 1)), "{packages:?}");
    assert!(packages.contains(&("contents", "", 1)), "{packages:?}");
    let owned: u64 = contents.packages.iter().map(|owner| owner.stored_bytes).sum();
    assert_eq!(owned, contents.stored_bytes);
    let counts = contents.counts;
    assert_eq!(
        (counts.files, counts.hard_links, counts.symlinks, counts.specials),
        (14, 1, 5, 2)
    );
    let units: Vec<_> = contents
        .units
        .enabled
        .iter()
        .map(|unit| (unit.name.as_str(), unit.choice))
        .collect();
    assert_eq!(
        units,
        [
            ("containerd.service", Choice::Image),
            ("dbus.socket", Choice::Package),
            ("web.socket", Choice::Image)
        ]
    );
    assert_eq!(contents.units.masked, ["getty@.service"]);
    assert_eq!(contents.units.default_target.as_deref(), Some("multi-user.target"));
    let listeners: Vec<_> = contents
        .listeners
        .iter()
        .map(|listener| (listener.reach, listener.protocol.as_str(), listener.address.as_str()))
        .collect();
    // kubelet is there, but nothing starts it; the drop-in takes back what the socket unit says.
    assert_eq!(
        listeners,
        [
            (Reach::Network, "tcp", "10.0.0.1:443"),
            (Reach::Network, "udp", "*:53"),
            (Reach::Loopback, "tcp", "127.0.0.1:0"),
            (Reach::Local, "unix", "/run/containerd/containerd.sock"),
            (Reach::Local, "unix", "/run/containerd/containerd.sock.ttrpc"),
            (Reach::Local, "unix", "/run/dbus/system_bus_socket"),
        ]
    );
    assert_eq!(contents.trust.certificate_authorities, Some(3));
    assert_eq!(contents.trust.files[0].path, "/usr/lib/verity.d/vendor.crt");
}

#[test]
fn sizes_by_folder_and_by_part_add_up() {
    let (_folder, written) = written();
    let inspection = inspect(&written.raw).unwrap();
    let contents = inspection.contents.as_ref().unwrap();
    let of = |path: &str| contents.folders.iter().find(|folder| folder.path == path).unwrap();
    // The copy is stored once, for the first path.
    let (bin, usr) = (of("/usr/bin"), of("/usr"));
    assert!(bin.stored_bytes > 0 && bin.stored_bytes < usr.stored_bytes);
    assert_eq!(bin.files, 3);
    let tops = contents
        .folders
        .iter()
        .filter(|folder| folder.path.matches('/').count() == 1);
    assert_eq!(
        tops.map(|folder| folder.stored_bytes).sum::<u64>(),
        contents.stored_bytes
    );
    let root = inspection.medium.iter().filter(|part| part.group == MediumGroup::Root);
    let used = inspection.root.as_ref().unwrap().used_bytes;
    assert_eq!(root.map(|part| part.len_bytes).sum::<u64>(), used);
}

#[test]
fn raw_compressed_and_folder_give_the_same_report() {
    let (folder, written) = written();
    let raw = inspect(&written.raw).unwrap();
    let zst = inspect(&written.zst).unwrap();
    assert_eq!((zst.file.as_str(), zst.source), ("edge.raw.zst", Source::RawZst));
    let same = Inspection {
        file: raw.file.clone(),
        source: raw.source,
        ..zst
    };
    assert_eq!(same, raw);
    let whole = inspect(folder.path()).unwrap();
    let good = ["root file system (verity)", "edge.raw", "edge.raw.zst", "manifest.json"];
    assert_eq!(outcomes(&whole), good.map(|subject| (subject, Outcome::Passed)));
    fs::remove_file(&written.raw).unwrap();
    let rest = inspect(folder.path()).unwrap();
    assert_eq!(rest.source, Source::RawZst);
    // What SHA256SUMS names has to be there.
    let missing: Vec<&str> = rest.failed_checks().map(|check| check.subject.as_str()).collect();
    assert_eq!(missing, ["edge.raw"]);
}

#[test]
fn the_manifest_beside_an_image_counts_only_if_it_is_about_it() {
    let (folder, written) = written();
    let build = inspect(&written.raw).unwrap().build.unwrap();
    assert_eq!(build.packages[0].name, "from-the-manifest");
    let path = folder.path().join(manifest::FILE_NAME);
    let other = Sha256::of(b"other").to_string();
    let text = fs::read_to_string(&path)
        .unwrap()
        .replace(&written.root_hash.to_string(), &other);
    fs::write(&path, text).unwrap();
    let inspection = inspect(&written.raw).unwrap();
    assert!(inspection.build.is_none());
    assert!(
        inspection.findings[0].starts_with("the manifest is about another image"),
        "{:?}",
        inspection.findings
    );
    let moved = folder.path().join("moved.raw");
    fs::rename(&written.raw, &moved).unwrap();
    assert!(inspect(&moved).unwrap().findings.is_empty());
}

#[test]
fn the_report_is_laid_out_for_people_and_stays_within_the_width() {
    let (folder, written) = written();
    let inspection = inspect(folder.path()).unwrap();
    let text = render(&inspection, 120);
    let hash = written.root_hash;
    let [root_id, _] = Guid::halves_of(&hash);
    let expected = [
        "file         edge.raw, 46.0 MiB\n",
        "image        edge 1.0 for x86_64, 2025-06-07T08:09:10Z\n",
        "boot loader  systemd-boot 257.9, EFI/BOOT/BOOTX64.EFI, 1.5 KiB\n",
        "command line roothash=",
        "content      14 files, 1 hard link, ",
        "trusts       3 certificate authorities, /usr/lib/verity.d/vendor.crt for file systems with a verity signature, boot\n             \
         loader not signed, kernel image not signed\n",
        "\nVerified\n  good         root file system (verity): ",
        &format!("  2  edge_1.0         4.0 MiB   root-x86-64         read-only  {root_id}\n"),
        "\nBoot entries\n  EFI/Linux/edge_1.0+3.efi  Skerry edge 1.0  3 tries left\n",
        "  network   tcp 10.0.0.1:443  web.socket: ListenStream= of the socket unit\n",
        "  on this machine only: /run/containerd/containerd.sock ",
        "\nUnits that the image starts on the way to multi-user.target\n  containerd.service  by multi-user.target\n",
        "  their packages start: dbus.socket\n  masked: getty@.service\n",
        "  package  base        1.0-1\n",
    ];
    for part in expected {
        assert!(text.contains(part), "{part}\nis not in\n{text}");
    }
    assert!(render(&inspection, 60).lines().all(|line| line.chars().count() <= 60));
}

#[test]
fn control_characters_from_the_image_reach_neither_the_terminal_nor_the_page() {
    let (_folder, written) = written();
    let mut inspection = inspect(&written.raw).unwrap();
    inspection.partitions[0].label = "a\u{1b}[2Jb\u{202e}".to_owned();
    inspection.findings.push("x\u{7}".repeat(100));
    inspection
        .findings
        .push("<script>alert('x')</script> & \"y\"".to_owned());
    let text = render(&inspection, 80);
    assert!(!text.contains(['\u{1b}', '\u{7}', '\u{202e}']), "{text}");
    assert!(text.contains("a\\u{1b}[2Jb\\u{202e}"), "{text}");
    let page = html::page(&inspection);
    assert!(!page.contains(['\u{1b}', '\u{7}', '\u{202e}']) && !page.contains("<script"));
    assert!(page.contains("&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt; &amp; &quot;y&quot;"));
}

#[test]
fn the_page_loads_nothing_and_says_all_sizes_again_in_a_table() {
    let (_folder, written) = written();
    let inspection = inspect(&written.raw).unwrap();
    let page = html::page(&inspection);
    for outside in ["http://", "https://", "src=", "<script", "<link", "@import", "url("] {
        assert!(!page.contains(outside), "{outside}");
    }
    assert_eq!(page.matches("<div class=\"map\"").count(), 2);
    for owner in &inspection.contents.as_ref().unwrap().packages {
        assert!(page.contains(&format!("<td>{}</td><td>{}</td>", owner.name, owner.version)));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_damaged_kernel_image_is_read_or_refused_but_never_a_panic(
        damage in proptest::collection::vec((0_usize..320, any::<u8>()), 1..6),
        len in 0_usize..3_000,
    ) {
        let mut bytes = pe_file(&[(".uname", "6.12"), (".cmdline", "quiet")]);
        for (at, value) in damage {
            bytes[at] = value;
        }
        bytes.truncate(len);
        let mut read = |offset: u64, len_bytes: u64| {
            let start = (offset as usize).min(bytes.len());
            let end = start.saturating_add(len_bytes as usize).min(bytes.len());
            Ok(bytes[start..end].to_vec())
        };
        if let Ok(file) = pe::read(&mut read) {
            for (_, section) in &file.sections {
                let _ = section.read(&mut read);
            }
        }
    }

    #[test]
    fn superblocks_of_any_bytes_are_read_or_refused(
        noise in proptest::collection::vec(any::<u8>(), 512),
        signature in prop_oneof![Just(*b"verity\0\0"), Just(*b"hsqs\0\0\0\0")],
    ) {
        let mut sector: [u8; 512] = noise.try_into().unwrap();
        sector[..8].copy_from_slice(&signature);
        sector[8..16].copy_from_slice(&[1, 0, 0, 0, 1, 0, 0, 0]);
        sector[28..32].copy_from_slice(&[4, 0, 0, 0]);
        let _ = (VeritySuperblock::parse(&sector), RootSuperblock::parse(&sector));
    }
}
