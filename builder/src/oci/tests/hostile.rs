//! Archives that are damaged or lie.

use proptest::prelude::*;

use super::*;
use crate::oci::manifest::{ImageConfig, Manifest};

/// An archive whose image went through `change`: digests are right where they are not the point.
fn forged(change: impl FnOnce(&mut Manifest, &mut ImageConfig)) -> Vec<u8> {
    let image = packed(&input(Arch::X86_64)).unwrap();
    let document = |digest: &Sha256| image.blobs[digest].read().unwrap();
    let mut manifest: Manifest = serde_json::from_slice(&document(&image.manifest.digest)).unwrap();
    let mut config: ImageConfig = serde_json::from_slice(&document(&manifest.config.digest)).unwrap();
    let old = manifest.config.clone();
    change(&mut manifest, &mut config);
    let config = to_bytes(&config);
    if manifest.config == old {
        manifest.config = Descriptor::of(manifest::CONFIG, &config);
    }
    let manifest = to_bytes(&manifest);
    let descriptor = named(&Descriptor::of(manifest::MANIFEST, &manifest), manifest::REF_NAME, NAME);
    let mut files = layout_with(&[image], vec![descriptor]);
    for bytes in [config, manifest] {
        files.push((format!("{}/{}", layout::BLOBS, Sha256::of(&bytes)), bytes));
    }
    archive(&files)
}

fn refuse(archive: &[u8]) -> (String, FailureKind) {
    let error = read_as(archive, None).unwrap_err();
    (error.to_string(), error.kind())
}

#[test]
fn an_archive_that_is_forged_in_one_place_is_refused_for_that() {
    assert!(read_as(&forged(|_, _| {}), None).is_ok());
    let verification = FailureKind::Verification;
    let (text, kind) = refuse(&forged(|manifest, _| manifest.layers[0].size += 1));
    assert!(
        text.contains("is damaged: it should have") && kind == verification,
        "{text}"
    );
    let (text, kind) = refuse(&forged(|_, config| config.rootfs.diff_ids[0] = Sha256::of(b"x")));
    assert!(text.contains("unpacked") && kind == verification, "{text}");
    let (text, _) = refuse(&forged(|_, config| config.rootfs.diff_ids.clear()));
    assert_eq!(text, "the configuration names 0 layers and the manifest 1");
    let (text, _) = refuse(&forged(|manifest, _| manifest.layers[0].digest = Sha256::of(b"x")));
    assert!(text.starts_with("the archive lacks `blobs/sha256/"), "{text}");
    let (text, _) = refuse(&forged(|manifest, _| {
        manifest.layers[0].media_type = "application/vnd.oci.image.layer.v1.tar+encrypted".to_owned();
    }));
    assert!(
        text.contains("is of the kind") && text.ends_with("which is not supported"),
        "{text}"
    );
    let (text, _) = refuse(&forged(|manifest, config| {
        manifest.layers = vec![manifest.layers[0].clone(); 300];
        config.rootfs.diff_ids = vec![config.rootfs.diff_ids[0]; 300];
    }));
    assert_eq!(text, "`manifest` goes beyond the limit of 256 layers");
}

#[test]
fn a_blob_with_a_flipped_bit_is_refused_by_its_digest() {
    let mut archive = pack(&input(Arch::X86_64)).unwrap();
    let content = archive.windows(64).position(|window| window == [7; 64]).unwrap();
    archive[content] ^= 1;
    let (text, kind) = refuse(&archive);
    assert!(
        text.contains("is damaged") && kind == FailureKind::Verification,
        "{text}"
    );
}

#[test]
fn documents_are_read_up_to_a_limit() {
    let files = [(layout::INDEX.to_owned(), vec![b' '; (4 << 20) + 1])];
    let (text, _) = refuse(&archive(&files));
    assert_eq!(text, "`index.json` goes beyond the limit of 4194304 bytes");
}

#[test]
fn what_is_no_archive_of_images_says_what_would_be_one() {
    for bytes in [b"hello".to_vec(), vec![0x1f, 0x8b, 1, 2], vec![7; 5_000]] {
        let error = read_as(&bytes, None).unwrap_err();
        assert!(matches!(error, OciError::NoTar(_) | OciError::Read(_)), "{error:?}");
    }
    let other = archive(&[("file".to_owned(), b"x".to_vec())]);
    let error = read_as(&other, None).unwrap_err();
    assert!(error.to_string().contains("neither an `index.json`"), "{error}");
    assert!(error.hints()[0].contains("skopeo copy"));
}

#[test]
fn links_in_circles_end() {
    let manifest = br#"[{"Config":"a","RepoTags":["x"],"Layers":[]}]"#;
    let entries = [
        ("a", 0o777, TarContent::Link("b")),
        ("b", 0o777, TarContent::Link("a")),
        ("manifest.json", 0o644, TarContent::File(manifest)),
    ];
    let (text, _) = refuse(&tar_of(entries).unwrap());
    assert_eq!(text, "the archive lacks `a`, which it names");
}

proptest! {
    #[test]
    fn a_damaged_archive_is_read_or_refused_but_never_a_panic(
        damage in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        cut in any::<prop::sample::Index>(),
        is_cut in any::<bool>(),
    ) {
        let mut archive = pack(&input(Arch::X86_64)).unwrap();
        for (at, value) in damage {
            let at = at.index(archive.len());
            archive[at] = value;
        }
        if is_cut {
            archive.truncate(cut.index(archive.len()));
        }
        let _ = read_as(&archive, None);
    }

    #[test]
    fn any_json_as_index_or_list_is_read_or_refused(text in "[\\[\\]{}\",:a-z0-9]{0,60}", is_docker in any::<bool>()) {
        let name = if is_docker { "manifest.json" } else { "index.json" };
        let files = [(name.to_owned(), text.into_bytes())];
        prop_assert!(read_as(&archive(&files), None).is_err());
    }
}
