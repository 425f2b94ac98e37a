use std::path::Path;

use super::*;
use crate::arch::Arch;
use crate::definition::spec;
use crate::fetch::FetchOptions;
use crate::oci::{PackFile, PackInput, pack};
use crate::pipeline::caches::BlockCaching;
use crate::pipeline::programs::Programs;
use crate::progress::Silent;
use crate::store::Store;
use crate::tree::FileData;

const HEAD: &str = "version = 1\narchitecture = \"x86_64\"\nkernel.package = \"linux\"\n[[archives]]\n\
    archive = \"debian\"\nsuites = [\"trixie\"]\ncomponents = [\"main\"]\nkeys = \"k\"\nfingerprints = [\"0\"]\n";

fn app(name: &str, arch: Arch) -> Vec<u8> {
    pack(&PackInput {
        files: vec![PackFile::program("app", vec![7; 2_000])],
        ..PackInput::new(name, arch)
    })
    .unwrap()
}

struct Project {
    folder: tempfile::TempDir,
    tables: String,
}

impl Project {
    fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
            tables: HEAD.to_owned(),
        }
    }

    /// Adds a table for the archive `bytes`; none means that the file is not there.
    fn preload(mut self, name: &str, bytes: Option<&[u8]>, more: &str) -> Self {
        if let Some(bytes) = bytes {
            std::fs::write(self.folder.path().join(format!("{name}.tar")), bytes).unwrap();
        }
        let sha256 = Sha256::of(bytes.unwrap_or_default());
        let table = format!("[preload.{name}]\nfile = \"{name}.tar\"\nsha256 = \"{sha256}\"\n{more}\n");
        self.tables.push_str(&table);
        self
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(format!("{name}.tar"))
    }

    fn obtain(&self) -> Result<Vec<Image>, Failure> {
        let definition = self.folder.path().join("edge.toml");
        std::fs::write(&definition, &self.tables).unwrap();
        let store = Store::open(&self.folder.path().join("store")).unwrap();
        let program = || FileData::from_bytes(b"\x7fELF".to_vec());
        let plan = BuildPlan {
            spec: spec::load(&definition).unwrap(),
            overlays: Vec::new(),
            programs: Programs {
                init: program(),
                node: program(),
                pause: program(),
            },
            out: Path::new("out").to_owned(),
            digest: Sha256::of(b""),
            stamp: Sha256::of(b""),
        };
        let workshop = Workshop {
            store: &store,
            mirror: None,
            fetch: FetchOptions::default(),
            blocks: BlockCaching::Off,
            reporter: &Silent,
        };
        obtain(&plan, workshop)
    }
}

fn names(images: &[Image]) -> Vec<String> {
    images.iter().map(|image| image.reference.to_string()).collect()
}

#[test]
fn the_pause_image_comes_with_every_image_and_others_as_the_definition_says() {
    let none = Project::new().obtain().unwrap();
    assert_eq!(names(&none), ["skerry.local/pause:1"]);
    let project = Project::new()
        .preload("one", Some(&app("r.example/one:1", Arch::X86_64)), "")
        .preload(
            "two",
            Some(&app("r.example/x:1", Arch::X86_64)),
            "reference = \"busybox\"",
        );
    let expected = [
        "docker.io/library/busybox:latest",
        "r.example/one:1",
        "skerry.local/pause:1",
    ];
    assert_eq!(names(&project.obtain().unwrap()), expected);
}

#[test]
fn a_missing_archive_says_where_it_was_looked_for_and_how_to_make_one() {
    let failure = Project::new().preload("app", None, "").obtain().unwrap_err();
    assert!(
        failure.chain[0].ends_with("app.tar` of `preload.app` does not exist"),
        "{failure}"
    );
    assert_eq!(failure.kind.exit_code(), 1);
    assert!(failure.hints[1].contains("skopeo copy"));
}

#[test]
fn an_archive_that_changed_is_refused_with_the_digest_it_has() {
    let project = Project::new().preload("app", Some(&app("r.example/app:1", Arch::X86_64)), "");
    let other = app("r.example/app:2", Arch::X86_64);
    std::fs::write(project.path("app"), &other).unwrap();
    let failure = project.obtain().unwrap_err();
    assert_eq!(failure.kind.exit_code(), 4);
    let digest = Sha256::of(&other);
    assert_eq!(
        failure.hints,
        [format!("if this is the archive that is wanted: sha256 = \"{digest}\"")]
    );
}

#[test]
fn an_archive_of_another_architecture_is_refused_by_the_table_s_name() {
    let project = Project::new().preload("app", Some(&app("r.example/app:1", Arch::Aarch64)), "");
    let failure = project.obtain().unwrap_err();
    assert!(failure.chain[0].contains("`preload.app`"), "{failure}");
    assert_eq!(
        failure.chain[1],
        "the archive has no image for linux/amd64, but for linux/arm64"
    );
    assert_eq!(failure.kind.exit_code(), 1);
}

#[test]
fn no_two_images_have_one_name() {
    let archive = app("r.example/app:1", Arch::X86_64);
    let twice = Project::new()
        .preload("a", Some(&archive), "")
        .preload("b", Some(&archive), "");
    let failure = twice.obtain().unwrap_err();
    assert_eq!(
        failure.chain,
        ["`preload.b` brings the image `r.example/app:1`, which is there already"]
    );
    let pause = Project::new().preload("a", Some(&archive), "reference = \"skerry.local/pause:1\"");
    assert!(pause.obtain().is_err());
}

#[test]
fn an_archive_that_the_cache_has_need_not_be_there_any_more() {
    let project = Project::new().preload("app", Some(&app("r.example/app:1", Arch::X86_64)), "");
    let first = project.obtain().unwrap();
    std::fs::remove_file(project.path("app")).unwrap();
    assert_eq!(project.obtain().unwrap(), first);
}
