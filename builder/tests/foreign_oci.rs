//! skopeo judges the container images that are packed and brought along, and writes archives for the reader.

#![allow(clippy::unwrap_used, reason = "a failed expectation is what a test is for")]

use std::fs::{self, File};
use std::io::Write as _;
use std::path::Path;
use std::process::Command;

use skerry_builder::arch::Arch;
use skerry_builder::oci::{Image, PackFile, PackInput, Wanted, layout, pack, packed, pause, read};

const NAME: &str = "registry.example/team/app:1.0";

fn say(line: &str) {
    // Not `println!`, which the test harness keeps to itself: a skip has to be seen.
    std::io::stderr().write_all(format!("{line}\n").as_bytes()).unwrap();
}

/// The standard output of skopeo, which has to succeed; `None`, with a word about it, where it is not installed.
fn skopeo(arguments: &[&str]) -> Option<String> {
    let output = Command::new("skopeo").arg("--insecure-policy").args(arguments).output();
    match output {
        Ok(output) => {
            let [out, err] = [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes).into_owned());
            assert!(output.status.success(), "skopeo {arguments:?}: {out}\n{err}");
            Some(out)
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            say("skipped: no skopeo");
            None
        }
        Err(error) => panic!("skopeo: {error}"),
    }
}

fn input(arch: Arch) -> PackInput {
    PackInput {
        files: vec![
            PackFile::program("bin/app", vec![7; 300_000]),
            PackFile::link("bin/sh", "app"),
        ],
        entrypoint: vec!["/bin/app".to_owned()],
        environment: vec!["PATH=/bin".to_owned()],
        ..PackInput::new(NAME, arch)
    }
}

fn write_layout(folder: &Path, images: &[Image]) {
    for (path, data) in layout::files(images) {
        let path = folder.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, data.read().unwrap()).unwrap();
    }
}

#[test]
fn skopeo_reads_the_layout_that_goes_into_the_root() {
    let folder = tempfile::tempdir().unwrap();
    let images = [
        pause(vec![1; 50_000], Arch::Aarch64).unwrap(),
        packed(&input(Arch::Aarch64)).unwrap(),
    ];
    write_layout(folder.path(), &images);
    for (image, copy) in images.iter().zip(["first", "second"]) {
        let layout = format!("oci:{}:{}", folder.path().display(), image.reference);
        let Some(report) = skopeo(&["inspect", &layout]) else {
            return;
        };
        let report: serde_json::Value = serde_json::from_str(&report).unwrap();
        assert_eq!(report["Digest"], format!("sha256:{}", image.manifest.digest));
        assert_eq!(
            (report["Architecture"].as_str(), report["Os"].as_str()),
            (Some("arm64"), Some("linux"))
        );
        // It reads, unpacks and verifies every blob to write another one.
        let copy = format!("dir:{}", folder.path().join(copy).display());
        skopeo(&["copy", &layout, &copy]).unwrap();
    }
}

#[test]
fn archives_that_skopeo_writes_from_ours_hold_the_same_image() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    fs::write(path("own.tar"), pack(&input(Arch::X86_64)).unwrap()).unwrap();
    let own = format!("oci-archive:{}", path("own.tar"));
    let oci = format!("oci-archive:{}:{NAME}", path("oci.tar"));
    let docker = format!("docker-archive:{}:{NAME}", path("docker.tar"));
    let Some(_) = skopeo(&["copy", &own, &oci]) else {
        return;
    };
    skopeo(&["copy", &own, &docker]).unwrap();
    let expected = packed(&input(Arch::X86_64)).unwrap();
    let ids = |image: &Image| {
        let manifest = image.blobs[&image.manifest.digest].read().unwrap();
        let manifest: serde_json::Value = serde_json::from_slice(&manifest).unwrap();
        let config = manifest["config"]["digest"].as_str().unwrap()["sha256:".len()..]
            .parse()
            .unwrap();
        let config: serde_json::Value = serde_json::from_slice(&image.blobs[&config].read().unwrap()).unwrap();
        (config["rootfs"].clone(), config["config"]["Entrypoint"].clone())
    };
    for name in ["oci.tar", "docker.tar"] {
        let wanted = Wanted {
            reference: None,
            arch: Arch::X86_64,
        };
        let image = read(File::open(path(name)).unwrap(), &wanted).unwrap();
        assert_eq!(image.reference.to_string(), NAME);
        assert_eq!(ids(&image), ids(&expected), "{name}");
    }
}
