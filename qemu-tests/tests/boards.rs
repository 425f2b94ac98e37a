//! Images for boards whose firmware is no UEFI: what QEMU can boot of them, and what foreign tools say of the rest.
#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "tests: what was measured is printed, a surprise is a failure"
)]

use std::fs::{self, File};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::time::Instant;

use skerry_builder::arch::Arch;
use skerry_builder::uki;
use skerry_firstboot::node::state::NodeState;
use skerry_qemu_tests::image::{Image, Project, has_programs_for, repository, work_folder};
use skerry_qemu_tests::node::Start;
use skerry_qemu_tests::raspberry_pi::{KERNEL, Model, RaspberryPi};
use skerry_qemu_tests::scene::Scene;
use skerry_qemu_tests::tools::judge;
use skerry_qemu_tests::workload::{self, PRELOADED};

/// The image for Raspberry Pis, fit for QEMU.
fn image(name: &str) -> Option<Image> {
    has_programs_for(Arch::Aarch64).then(|| {
        let project = Project::copy(name);
        let head = "version = 1\nbase = \"raspberry-pi.toml\"\narchitecture = \"aarch64\"\n";
        project.write("images/raspi.toml", format!("{head}{KERNEL}"));
        project.build_by_lock("raspi", "raspberry-pi")
    })
}

#[test]
fn a_raspberry_pi_3_boots_by_u_boot_and_systemd_boot_makes_var_and_waits_for_a_join_file() {
    const NAME: &str = "raspberry-pi-3";
    let Some(mut pi) = image(NAME).and_then(|image| RaspberryPi::start(NAME, &image, Model::Pi3)) else {
        return;
    };
    let power_on = Instant::now();
    // U-Boot looks for its settings; none are there.
    pi.expect("uboot.env");
    pi.expect("EFI stub: Exiting boot services");
    let said = pi.expect(&NodeState::Waiting.line("containerd is up; no join file found"));
    println!("waiting {:.0} s after power-on", power_on.elapsed().as_secs_f64());
    assert!(said.contains("EFI stub: Using DTB from configuration table"), "{said}");
    let card = pi.power_off().to_str().unwrap().to_owned();
    let Some(dump) = judge("sfdisk", &["--dump", &card]) else {
        return;
    };
    let partitions: Vec<_> = dump.lines().filter(|line| line.contains("start=")).collect();
    assert_eq!(partitions.len(), 4, "{dump}");
    assert!(partitions[3].ends_with("type=83"), "{dump}");
}

#[test]
fn a_raspberry_pi_4_boots_as_far_as_its_kernel() {
    const NAME: &str = "raspberry-pi-4";
    let Some(mut pi) = image(NAME).and_then(|image| RaspberryPi::start(NAME, &image, Model::Pi4)) else {
        return;
    };
    pi.expect("EFI stub: Exiting boot services");
}

#[test]
fn a_disk_with_an_mbr_joins_runs_a_pod_and_does_so_again_after_a_power_cut() {
    const NAME: &str = "mbr";
    if !has_programs_for(Arch::Aarch64) {
        return;
    }
    let image = workload::build_on(NAME, Arch::Aarch64, "raspberry-pi");
    let (mut scene, token) = Scene::seeded(NAME, &image, Start::Firmware);
    let power_on = Instant::now();
    let name = scene.join();
    println!("Ready {:.0} s after power-on", power_on.elapsed().as_secs_f64());
    scene.run(&workload::page_pod(PRELOADED));
    scene.expect_page();
    scene.node.power_off();
    assert!(!scene.node.disk_holds(&token.secret), "the token is still on the disk");
    assert_eq!(scene.join(), name, "var did not outlast the power cut");
    scene.expect_page();
}

#[test]
fn a_raspberry_pi_5_finds_all_that_its_settings_name_and_foreign_tools_find_no_fault() {
    const NAME: &str = "raspberry-pi-5-files";
    if !has_programs_for(Arch::Aarch64) {
        return;
    }
    let folder = work_folder(NAME);
    let image = Image::build(&repository(), "raspberry-pi-5", &folder.join("out"));
    let partition = judge_disk(NAME, &image, 1);
    let copy = |file: &str| {
        let out = folder.join(file.replace('/', "-"));
        let words = [
            "-n",
            "-o",
            "-i",
            partition.to_str().unwrap(),
            &format!("::{file}"),
            out.to_str().unwrap(),
        ];
        judge("mcopy", &words).map(|_| out)
    };
    let (Some(kernel), Some(command_line)) = (copy("a/vmlinuz"), copy("a/cmdline.txt")) else {
        return;
    };
    if let Some(kind) = judge("file", &["-b", "-z", kernel.to_str().unwrap()]) {
        assert!(kind.contains("ARM64 boot executable Image"), "{kind}");
        assert!(kind.contains("gzip compressed data"), "{kind}");
    }
    let words = fs::read_to_string(command_line).unwrap();
    let expected = format!("{}\n", image.manifest()["command_line"].as_str().unwrap());
    assert_eq!(words, expected);
    let settings = copy("config.txt")
        .and_then(|path| fs::read_to_string(path).ok())
        .unwrap();
    assert!(settings.contains("os_prefix=a/\n"), "{settings}");
    for (tree, stepping) in [
        ("bcm2712-rpi-5-b", "c0"),
        ("bcm2712-d-rpi-5-b", "d0"),
        ("bcm2712d0-rpi-5-b", "d0"),
    ] {
        let Some(source) = copy(&format!("a/{tree}.dtb")).and_then(|path| judge_tree(&path)) else {
            continue;
        };
        // By the second name the firmware knows that what it starts is for this board.
        assert!(source.contains("\"raspberrypi,5-model-b\\0brcm,bcm2712\""), "{tree}");
        assert!(source.contains(&format!("brcm,bcm2712{stepping}-pinctrl")), "{tree}");
        // The console of the image's command line, and the chip with Ethernet and USB.
        assert!(source.contains("stdout-path = \"serial10:115200n8\""), "{tree}");
        assert!(source.contains("raspberrypi,rp1-gem"), "{tree}");
    }
}

/// On another machine than the board, which QEMU does not have: kernel, initrd and command line are those on the disk.
#[test]
fn what_is_on_the_disk_of_a_raspberry_pi_5_boots_elsewhere_joins_and_runs_a_pod() {
    const NAME: &str = "raspberry-pi-5";
    if !has_programs_for(Arch::Aarch64) {
        return;
    }
    let image = workload::build_on(NAME, Arch::Aarch64, "raspberry-pi-5");
    let (mut scene, token) = Scene::seeded(NAME, &image, Start::Settings);
    let power_on = Instant::now();
    let name = scene.join();
    println!("Ready {:.0} s after power-on", power_on.elapsed().as_secs_f64());
    let kernel = &scene.cluster.get(&["node", &name])["status"]["nodeInfo"]["kernelVersion"];
    assert_eq!(*kernel, image.manifest()["kernel"]);
    scene.run(&workload::page_pod(PRELOADED));
    scene.expect_page();
    scene.node.power_off();
    assert!(!scene.node.disk_holds(&token.secret), "the token is still on the disk");
}

/// What boot ROMs expect their loader to begin with, and where in it: Rockchip's enciphered header (U-Boot,
/// doc/board/rockchip/rockchip.rst), Allwinner's eGON (U-Boot, doc/board/allwinner/sunxi.rst).
const ROMS: [(&str, u64, u64, &[u8]); 2] = [
    ("rockchip", 32 << 10, 0, &[0x3b, 0x8c, 0xdc, 0xfc]),
    ("allwinner", 128 << 10, 4, b"eGON.BT0"),
];

#[test]
fn every_board_has_its_loader_where_its_rom_looks_and_foreign_tools_find_no_fault() {
    const NAME: &str = "all-boards";
    if !has_programs_for(Arch::Aarch64) {
        return;
    }
    let project = Project::copy(NAME);
    let mut count = 0;
    for entry in fs::read_dir(repository().join("images/boards")).unwrap() {
        let path = entry.unwrap().path();
        let board = path.file_stem().unwrap().to_str().unwrap();
        let text = fs::read_to_string(&path).unwrap();
        let Some((base, offset, at, magic)) = ROMS.iter().find(|(family, ..)| text.contains(&package(family))) else {
            continue;
        };
        let definition = format!("version = 1\nbase = \"{base}.toml\"\nboard = \"{board}\"\n");
        project.write("images/board.toml", definition);
        let image = project.build_by_lock("board", base);
        let raw = File::open(image.artifact("raw")).unwrap();
        let mut found = vec![0; magic.len()];
        raw.read_exact_at(&mut found, offset + at).unwrap();
        assert_eq!(found, *magic, "{board}");
        judge_disk(board, &image, 16);
        judge_loaders(board, &image, &raw);
        judge_device_trees(board, &image);
        fs::remove_dir_all(&image.folder).unwrap();
        count += 1;
    }
    println!("{count} boards");
    assert!(count > 15, "{count}");
}

/// The package that a family's boot loaders are from.
fn package(family: &str) -> String {
    let name = if family == "rockchip" { "rockchip" } else { "sunxi" };
    format!("packages = [\"u-boot-{name}\"]")
}

/// Partition table and first partition, which begins after so many MiB; returns a copy of the partition.
fn judge_disk(board: &str, image: &Image, first_mib: u64) -> PathBuf {
    let raw = image.artifact("raw");
    let raw = raw.to_str().unwrap();
    if let Some(report) = judge("sfdisk", &["--verify", raw]) {
        assert!(report.contains("No errors detected"), "{board}: {report}");
    }
    let partition = &image.manifest()["partitions"][0];
    let [offset, len] = ["offset", "len_bytes"].map(|key| partition[key].as_u64().unwrap() >> 20);
    assert_eq!(offset, first_mib, "{board}");
    let copy = image.folder.join("first-partition");
    let words = [
        format!("if={raw}"),
        format!("of={}", copy.display()),
        "bs=1M".to_owned(),
        format!("skip={offset}"),
        format!("count={len}"),
    ];
    judge("dd", &words.each_ref().map(String::as_str));
    judge("fsck.fat", &["-n", copy.to_str().unwrap()]);
    copy
}

/// U-Boot's second part is a flattened image tree, which its own tool lists.
fn judge_loaders(board: &str, image: &Image, raw: &File) {
    let manifest = image.manifest();
    for loader in manifest["loaders"].as_array().unwrap() {
        let name = loader["name"].as_str().unwrap();
        if !name.ends_with(".itb") {
            continue;
        }
        let [offset, len] = ["offset", "len_bytes"].map(|key| loader[key].as_u64().unwrap());
        let mut bytes = vec![0; usize::try_from(len).unwrap()];
        raw.read_exact_at(&mut bytes, offset).unwrap();
        let copy = work_folder("all-boards").join(name);
        fs::write(&copy, bytes).unwrap();
        if let Some(listing) = judge("mkimage", &["-l", copy.to_str().unwrap()]) {
            assert!(listing.contains("U-Boot"), "{board}: {listing}");
        }
    }
}

fn judge_device_trees(board: &str, image: &Image) {
    let bytes = fs::read(image.artifact("efi")).unwrap();
    let sections = uki::read(&bytes).unwrap();
    let trees: Vec<_> = sections.iter().filter(|section| section.name == ".dtbauto").collect();
    assert!(!trees.is_empty(), "{board}");
    for tree in trees {
        let copy = work_folder("all-boards").join("tree.dtb");
        fs::write(&copy, &bytes[tree.range.clone()]).unwrap();
        if let Some(source) = judge_tree(&copy) {
            assert!(source.contains("compatible = "), "{board}: {source}");
        }
    }
}

fn judge_tree(path: &Path) -> Option<String> {
    judge("dtc", &["-q", "-I", "dtb", "-O", "dts", path.to_str().unwrap()])
}
