mod docker;
mod hostile;

use std::fs::File;
use std::io::Write as _;

use super::layer::{TarContent, tar_of};
use super::manifest::{self, Descriptor, Index, Platform, to_bytes};
use super::*;
use crate::failure::{Diagnose as _, FailureKind};

const NAME: &str = "registry.example/team/app:1.0";

fn input(arch: Arch) -> PackInput {
    PackInput {
        files: vec![
            PackFile::program("bin/app", vec![7; 3_000]),
            PackFile::link("bin/sh", "app"),
            PackFile::file("etc/motd", b"hello\n".to_vec()),
        ],
        entrypoint: vec!["/bin/app".to_owned()],
        arguments: vec!["serve".to_owned()],
        ..PackInput::new(NAME, arch)
    }
}

fn opened(bytes: &[u8]) -> File {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(bytes).unwrap();
    file
}

/// Reads the image for x86_64, under the name that is asked for.
fn read_as(bytes: &[u8], reference: Option<&str>) -> Result<Image, OciError> {
    let reference = reference.map(|text| text.parse().unwrap());
    let wanted = Wanted {
        reference: reference.as_ref(),
        arch: Arch::X86_64,
    };
    read(opened(bytes), &wanted)
}

/// An archive of these files.
fn archive(files: &[(String, Vec<u8>)]) -> Vec<u8> {
    let entries = files
        .iter()
        .map(|(path, bytes)| (path.as_str(), 0o644, TarContent::File(bytes)));
    tar_of(entries).unwrap()
}

/// The files of a layout with these images under this index.
fn layout_with(images: &[Image], manifests: Vec<Descriptor>) -> Vec<(String, Vec<u8>)> {
    let index = Index {
        schema_version: 2,
        media_type: None,
        manifests,
    };
    let blobs = images.iter().flat_map(|image| &image.blobs);
    let mut files: Vec<_> = blobs
        .map(|(digest, data)| (format!("{}/{digest}", layout::BLOBS), data.read().unwrap()))
        .collect();
    files.push((layout::INDEX.to_owned(), to_bytes(&index)));
    files
}

fn named(descriptor: &Descriptor, key: &str, name: &str) -> Descriptor {
    let mut descriptor = descriptor.clone();
    descriptor.annotations.insert(key.to_owned(), name.to_owned());
    descriptor
}

#[test]
fn the_pause_image_s_bytes_do_not_change() {
    // A change here changes every image: let it be on purpose.
    let image = pause(b"\x7fELF program".to_vec(), Arch::X86_64).unwrap();
    assert_eq!(image.reference.to_string(), "skerry.local/pause:1");
    assert_eq!(
        image.manifest.digest.to_string(),
        "3714122bce9c1a83486dc9defe7d1191e988ffb9de186789537a9b63bb60421e"
    );
    let config = image.blobs.values().map(|blob| blob.read().unwrap());
    let config = config.map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    let config = config.filter(|text| text.contains("rootfs")).collect::<String>();
    assert!(
        config.starts_with(
            r#"{"architecture":"amd64","os":"linux","config":{"User":"65535:65535","Entrypoint":["/pause"]},"#
        ),
        "{config}"
    );
}

#[test]
fn what_was_packed_is_read_back_plain_and_compressed() {
    let packed = packed(&input(Arch::X86_64)).unwrap();
    let plain = pack(&input(Arch::X86_64)).unwrap();
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(&plain).unwrap();
    let zstd = zstd::encode_all(&plain[..], 1).unwrap();
    for archive in [plain.clone(), gzip.finish().unwrap(), zstd] {
        assert_eq!(read_as(&archive, None).unwrap(), packed);
    }
    assert_eq!(pack(&input(Arch::X86_64)).unwrap(), plain);
}

#[test]
fn a_layer_has_the_folders_above_its_files_and_everything_is_root_s() {
    let image = packed(&input(Arch::X86_64)).unwrap();
    let manifest = image.blobs[&image.manifest.digest].read().unwrap();
    let manifest: manifest::Manifest = serde_json::from_slice(&manifest).unwrap();
    let layer = image.blobs[&manifest.layers[0].digest].read().unwrap();
    let mut listed = Vec::new();
    for entry in tar::Archive::new(&layer[..]).entries().unwrap() {
        let entry = entry.unwrap();
        let header = entry.header();
        assert_eq!(
            (header.uid().unwrap(), header.gid().unwrap(), header.mtime().unwrap()),
            (0, 0, 0)
        );
        listed.push((entry.path().unwrap().display().to_string(), header.mode().unwrap()));
    }
    let expected = [
        ("bin/", 0o755),
        ("bin/app", 0o755),
        ("bin/sh", 0o777),
        ("etc/", 0o755),
        ("etc/motd", 0o644),
    ];
    assert_eq!(listed, expected.map(|(path, mode)| (path.to_owned(), mode)));
}

#[test]
fn files_that_cannot_be_in_one_tree_are_refused() {
    for paths in [["a", "a"], ["a", "a/b"], ["../a", "b"], ["", "b"]] {
        let files = paths.map(|path| PackFile::file(path, Vec::new())).to_vec();
        let input = PackInput {
            files,
            ..PackInput::new(NAME, Arch::X86_64)
        };
        assert!(matches!(packed(&input), Err(OciError::PackPath { .. })), "{paths:?}");
    }
}

#[test]
fn of_an_image_for_several_machines_the_right_one_is_taken() {
    let images = [Arch::Aarch64, Arch::X86_64].map(|arch| packed(&input(arch)).unwrap());
    let mut attestation = named(
        &images[0].manifest,
        manifest::DOCKER_REFERENCE_TYPE,
        "attestation-manifest",
    );
    attestation.platform = Some(Platform {
        architecture: "unknown".to_owned(),
        os: "unknown".to_owned(),
    });
    let inner = to_bytes(&Index {
        schema_version: 2,
        media_type: None,
        manifests: vec![images[0].manifest.clone(), attestation, images[1].manifest.clone()],
    });
    let descriptor = Descriptor::of(manifest::INDEX, &inner);
    let mut files = layout_with(&images, vec![named(&descriptor, manifest::REF_NAME, NAME)]);
    files.push((format!("{}/{}", layout::BLOBS, descriptor.digest), inner));
    assert_eq!(read_as(&archive(&files), None).unwrap(), images[1]);
}

#[test]
fn the_platform_is_read_from_the_configuration_where_the_index_does_not_say_it() {
    let images = [Arch::Aarch64, Arch::X86_64].map(|arch| packed(&input(arch)).unwrap());
    let bare = images.iter().map(|image| Descriptor {
        platform: None,
        ..named(&image.manifest, manifest::CONTAINERD_NAME, NAME)
    });
    let files = layout_with(&images, bare.collect());
    assert_eq!(read_as(&archive(&files), None).unwrap(), images[1]);
}

#[test]
fn an_image_for_another_machine_is_refused_with_what_there_is() {
    let error = read_as(&pack(&input(Arch::Aarch64)).unwrap(), None).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the archive has no image for linux/amd64, but for linux/arm64"
    );
    assert_eq!(error.kind(), FailureKind::Request);
    // A platform that lies is found out by the configuration.
    let image = packed(&input(Arch::Aarch64)).unwrap();
    let mut lying = named(&image.manifest, manifest::REF_NAME, NAME);
    lying.platform.as_mut().unwrap().architecture = "amd64".to_owned();
    let files = layout_with(&[image], vec![lying]);
    assert!(matches!(
        read_as(&archive(&files), None),
        Err(OciError::Architecture { .. })
    ));
}

#[test]
fn an_image_is_chosen_by_name_and_the_only_one_can_be_renamed() {
    let image = packed(&input(Arch::X86_64)).unwrap();
    let mut other = input(Arch::X86_64);
    other.arguments = vec!["other".to_owned()];
    let other = packed(&other).unwrap();
    let entry = |image: &Image, name: &str| named(&image.manifest, manifest::REF_NAME, name);
    let both = archive(&layout_with(
        &[image.clone(), other.clone()],
        vec![entry(&image, NAME), entry(&other, "busybox:1.37")],
    ));
    assert_eq!(read_as(&both, Some(NAME)).unwrap(), image);
    let found = read_as(&both, Some("docker.io/library/busybox:1.37")).unwrap();
    assert_eq!(found.manifest.digest, other.manifest.digest);
    let error = read_as(&both, None).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("the archive holds 2 images: {NAME}, busybox:1.37")
    );
    assert_eq!(error.hints(), ["say which one with `reference`"]);
    assert!(matches!(
        read_as(&both, Some("r.example/x:1")),
        Err(OciError::NotThere { .. })
    ));
    // Only a tag, as `skopeo` leaves it.
    let tagged = archive(&layout_with(std::slice::from_ref(&image), vec![entry(&image, "1.0")]));
    assert!(matches!(read_as(&tagged, None), Err(OciError::NoName)));
    let renamed = read_as(&tagged, Some("r.example/x:2")).unwrap();
    assert_eq!(renamed.reference.to_string(), "r.example/x:2");
    assert_eq!(renamed.manifest, image.manifest);
}

#[test]
fn a_name_with_a_digest_takes_no_other_image() {
    let image = packed(&input(Arch::X86_64)).unwrap();
    let archive = pack(&input(Arch::X86_64)).unwrap();
    let right = format!("r.example/app@sha256:{}", image.manifest.digest);
    assert_eq!(read_as(&archive, Some(&right)).unwrap().reference.to_string(), right);
    let wrong = format!("r.example/app@sha256:{}", Sha256::of(b"x"));
    let error = read_as(&archive, Some(&wrong)).unwrap_err();
    assert_eq!(error.kind(), FailureKind::Verification);
}
