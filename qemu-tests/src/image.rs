//! Images to boot: built once for all tests, by the command that users run.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

use skerry_builder::arch::Arch;
use skerry_builder::uki;

/// The folder of the repository.
pub fn repository() -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    folder
        .canonicalize()
        .expect("the repository exists while its tests run")
}

/// The folder that a test may fill and that stays when it fails.
pub fn work_folder(test: &str) -> PathBuf {
    let folder = repository().join("target/qemu-tests").join(test);
    std::fs::create_dir_all(&folder).expect("the target folder can be written");
    folder
}

/// The `skerry` under test: `SKERRY`, or what `./just build` leaves.
pub fn skerry() -> PathBuf {
    std::env::var_os("SKERRY").map_or_else(|| repository().join("target/dist/bin/skerry"), PathBuf::from)
}

/// Whether the `skerry` under test has programs for images of this architecture beside it; says so if not.
#[allow(clippy::print_stdout, reason = "a skipped test is reported in its output")]
pub fn has_programs_for(arch: Arch) -> bool {
    let folder = skerry()
        .parent()
        .and_then(Path::parent)
        .map(|dist| dist.join("lib/skerry"));
    let there = folder.is_some_and(|folder| folder.join(arch.to_string()).is_dir());
    if !there {
        println!("skipped: no programs for {arch} (./just arch={arch} build)");
    }
    there
}

/// Runs `skerry` with `arguments` in the repository; the caller looks at the outcome.
pub fn run_skerry(arguments: &[&str]) -> Output {
    let outcome = Command::new(skerry())
        .args(arguments)
        .current_dir(repository())
        .env("CI", "true")
        .output();
    outcome.expect("run `./just build` first: the tests use target/dist/bin/skerry")
}

/// The name of the project's own image for machines of this architecture.
pub fn edge_name(arch: Arch) -> String {
    format!("edge-{arch}")
}

/// The names of the project's images for machines of this architecture, sorted: definitions that have a lock.
pub fn locked_images(arch: Arch) -> Vec<String> {
    let folder = repository().join("images");
    let entries = std::fs::read_dir(&folder).expect("the project has images");
    let paths = entries.map(|entry| entry.expect("a folder can be read to its end").path());
    let locks = paths.filter(|path| path.extension().is_some_and(|extension| extension == "lock"));
    let name = |path: PathBuf| path.file_stem()?.to_str().map(str::to_owned);
    let line = format!("architecture = \"{arch}\"");
    let is_for = |name: &String| {
        let text = std::fs::read_to_string(folder.join(format!("{name}.toml"))).unwrap_or_default();
        text.lines().any(|said| said == line)
    };
    let mut names: Vec<_> = locks.filter_map(name).filter(is_for).collect();
    names.sort();
    names
}

/// A copy of this project, for images of a test's own.
#[derive(Debug)]
pub struct Project(PathBuf);

impl Project {
    /// A fresh copy for the test `name`.
    pub fn copy(name: &str) -> Self {
        let folder = work_folder(name).join("project");
        let _ = std::fs::remove_dir_all(&folder);
        for part in ["images", "overlays"] {
            copy_tree(&repository().join(part), &folder.join(part));
        }
        Self(folder)
    }

    /// Writes a file of the copy.
    pub fn write(&self, path: &str, content: impl AsRef<[u8]>) {
        let path = self.0.join(path);
        let folder = path.parent().expect("it is below the copy's folder");
        std::fs::create_dir_all(folder).expect("the copy can be written");
        std::fs::write(&path, content).expect("the copy can be written");
    }

    /// Locks and builds image `name`; panics with what was said if that fails.
    pub fn build(&self, name: &str) -> Image {
        let locked = run_skerry(&["lock", name, "-C", self.0.to_str().expect("UTF-8")]);
        assert!(
            locked.status.success(),
            "skerry lock {name}: {}",
            String::from_utf8_lossy(&locked.stderr)
        );
        self.build_locked(name)
    }

    /// Builds image `name` by the lock of `other`, which pins the same packages and components.
    pub fn build_by_lock(&self, name: &str, other: &str) -> Image {
        let lock = |name: &str| self.0.join(format!("images/{name}.lock"));
        std::fs::copy(lock(other), lock(name)).expect("a lock can be copied");
        self.build_locked(name)
    }

    fn build_locked(&self, name: &str) -> Image {
        Image::build(&self.0, name, &self.0.join("out").join(name))
    }
}

fn copy_tree(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("the target folder can be written");
    for entry in std::fs::read_dir(from).expect("the project has this folder") {
        let path = entry.expect("a folder can be read to its end").path();
        let target = to.join(path.file_name().expect("an entry has a name"));
        match path.is_dir() {
            true => copy_tree(&path, &target),
            false => drop(std::fs::copy(&path, &target).expect("there is room for a copy")),
        }
    }
}

/// A built image.
#[derive(Debug, Clone)]
pub struct Image {
    /// Its name.
    pub name: String,
    /// The folder with its artifacts.
    pub folder: PathBuf,
}

impl Image {
    /// Builds image `name` of the project in `project` into the folder `out`; panics with what was said if it fails.
    pub fn build(project: &Path, name: &str, out: &Path) -> Self {
        let (project, out_text) = (project.to_str().expect("UTF-8"), out.to_str().expect("UTF-8"));
        let outcome = run_skerry(&["build", name, "-C", project, "--out", out_text]);
        assert!(
            outcome.status.success(),
            "skerry build {name}: {}",
            String::from_utf8_lossy(&outcome.stderr)
        );
        Self {
            name: name.to_owned(),
            folder: out.to_owned(),
        }
    }

    /// The image that all tests share.
    pub fn edge() -> &'static Self {
        static EDGE: OnceLock<Image> = OnceLock::new();
        EDGE.get_or_init(|| Self::build(&repository(), &edge_name(Arch::X86_64), &work_folder("image")))
    }

    /// An artifact by its ending, such as `raw`.
    pub fn artifact(&self, ending: &str) -> PathBuf {
        self.folder.join(format!("{}.{ending}", self.name))
    }

    /// The architecture that it is for.
    pub fn arch(&self) -> Arch {
        let manifest = self.manifest();
        let name = manifest["arch"].as_str().expect("the manifest names the architecture");
        name.parse().expect("an image is for a known architecture")
    }

    /// The manifest.
    pub fn manifest(&self) -> serde_json::Value {
        let text = std::fs::read(self.folder.join("manifest.json")).expect("a built image has a manifest");
        serde_json::from_slice(&text).expect("the manifest is JSON")
    }

    /// A section of the unified kernel image, such as `.cmdline`.
    pub fn section(&self, name: &str) -> Vec<u8> {
        let bytes = std::fs::read(self.artifact("efi")).expect("a built image has a unified kernel image");
        let sections = uki::read(&bytes).expect("the unified kernel image is well formed");
        let section = sections
            .iter()
            .find(|section| section.name == name)
            .expect("the section is there");
        bytes[section.range.clone()].to_vec()
    }
}
