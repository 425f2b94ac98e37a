use std::path::{Path, PathBuf};

use super::*;
use crate::failure::{Diagnose as _, Failure};
use crate::lock::Lock;

const ARCHIVE: &str = r#"
[[archives]]
archive = "debian"
suites = ["trixie"]
components = ["main"]
keys = "keys/debian.asc"
fingerprints = ["0123"]
"#;

struct Project(tempfile::TempDir);

impl Project {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("images")).unwrap();
        Self(folder)
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.path().join("images").join(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    fn load(&self, text: &str) -> Result<ImageSpec, DefinitionError> {
        spec::load(&self.write("edge.toml", text))
    }
}

fn complete(more: &str) -> String {
    format!("version = 1\narchitecture = \"x86_64\"\nkernel.package = \"linux-image-amd64\"\n{more}\n{ARCHIVE}")
}

#[test]
fn a_definition_inherits_lists_and_overrides_single_values() {
    let project = Project::new();
    project.write(
        "base.toml",
        &format!("version = 1\npackages = [\"b\", \"a\"]\n[disk]\nesp-size = \"64M\"\n{ARCHIVE}"),
    );
    let text = "version = 1\nbase = \"base.toml\"\narchitecture = \"x86_64\"\npackages = [\"c\", \"a\"]\n\
        kernel.package = \"linux\"\n[disk]\nesp-size = \"128M\"\n";
    let spec = project.load(text).unwrap();
    assert_eq!(spec.packages, ["a", "b", "c"]);
    assert_eq!(spec.esp_size, Size::from_mib(128));
    assert_eq!(spec.slot_size, Size::from_mib(256));
    assert_eq!(spec.name, "edge");
}

#[test]
fn an_unknown_key_is_shown_with_line_column_caret_and_the_key_that_was_meant() {
    let project = Project::new();
    let failure = Failure::from(project.load("version = 1\npakages = [\"systemd\"]\n").unwrap_err());
    assert!(
        failure.chain[0].ends_with("edge.toml:2:1: unknown key `pakages`"),
        "{}",
        failure.chain[0]
    );
    assert_eq!(
        failure.excerpt.unwrap(),
        "  |\n2 | pakages = [\"systemd\"]\n  | ^^^^^^^"
    );
    assert_eq!(failure.hints, ["did you mean `packages`?"]);
}

#[test]
fn a_wrong_value_is_shown_where_it_stands() {
    let project = Project::new();
    let failure = Failure::from(
        project
            .load("version = 1\n[disk]\n  esp-size = \"64MB\"\n")
            .unwrap_err(),
    );
    assert!(
        failure.chain[0].contains("edge.toml:3:14: `64MB` is not a size"),
        "{}",
        failure.chain[0]
    );
}

#[test]
fn text_that_is_no_toml_is_an_error_with_a_place_and_never_a_panic() {
    let project = Project::new();
    for text in [
        "version = ",
        "[[",
        "\u{feff}x",
        "a = \"\u{1b}\"",
        "version = 1\r\nü = 1",
    ] {
        let error = project.load(text).unwrap_err();
        assert!(matches!(error, DefinitionError::Text { .. }), "{text:?}: {error}");
    }
}

#[test]
fn a_newer_format_is_refused_plainly() {
    let error = Project::new().load("version = 2\n").unwrap_err();
    assert!(error.to_string().contains("`version = 2` is not known to this skerry"));
}

#[test]
fn definitions_that_include_each_other_are_refused() {
    let project = Project::new();
    project.write("other.toml", "version = 1\nbase = \"edge.toml\"\n");
    let error = project.load("version = 1\nbase = \"other.toml\"\n").unwrap_err();
    assert!(matches!(error, DefinitionError::Circle { .. }), "{error}");
}

#[test]
fn a_circle_is_found_whatever_the_way_it_is_written() {
    let project = Project::new();
    project.write("other.toml", "version = 1\nbase = [\"../images/edge.toml\"]\n");
    let error = project.load("version = 1\nbase = [\"./other.toml\"]\n").unwrap_err();
    assert!(matches!(error, DefinitionError::Circle { .. }), "{error}");
}

#[test]
fn several_bases_are_merged_in_their_order_and_each_file_once() {
    let project = Project::new();
    project.write("common.toml", &complete("packages = [\"a\"]\ndisk.esp-size = \"64M\""));
    let part = |package: &str, size: &str| {
        format!(
            "version = 1\nbase = \"common.toml\"\npackages = [\"{package}\"]\ndisk = {{ esp-size = \"{size}\", slot-size = \"{size}\" }}\n"
        )
    };
    project.write("left.toml", &part("b", "96M"));
    project.write(
        "right.toml",
        &part("c", "128M").replace("slot-size = \"128M\"", "slot-size = \"512M\""),
    );
    let path = project.write(
        "edge.toml",
        "version = 1\nbase = [\"left.toml\", \"right.toml\"]\ndisk.slot-size = \"1G\"\n",
    );
    let layers = layers::load(&path).unwrap();
    let names: Vec<_> = layers.files.iter().map(|file| file.file_name().unwrap()).collect();
    assert_eq!(names, ["common.toml", "left.toml", "right.toml", "edge.toml"]);
    assert_eq!(layers.merged.packages, ["a", "b", "c"]);
    let spec = spec::load(&path).unwrap();
    assert_eq!(
        (spec.esp_size, spec.slot_size),
        (Size::from_mib(128), Size::from_mib(1024))
    );
}

#[test]
fn a_base_that_is_no_name_is_shown_where_it_stands() {
    let failure = Failure::from(Project::new().load("version = 1\nbase = 7\n").unwrap_err());
    let message = &failure.chain[0];
    assert!(
        message.contains("edge.toml:2:8: `base` is the name of a file or a list of names"),
        "{message}"
    );
}

#[test]
fn values_out_of_bounds_are_refused_by_name() {
    let project = Project::new();
    for (more, key) in [
        ("file-system.block-size = \"100K\"", "file-system.block-size"),
        ("file-system.compression-level = 23", "file-system.compression-level"),
        ("disk.esp-size = \"16M\"", "disk.esp-size"),
        ("kernel.command-line = [\"roothash=00\"]", "kernel.command-line"),
        ("kernel.command-line = [\"a b\"]", "kernel.command-line"),
        ("overlays = [\"../etc\"]", "overlay"),
    ] {
        let error = project.load(&complete(more)).unwrap_err();
        assert!(error.to_string().contains(key), "{error}");
    }
}

#[test]
fn the_projects_images_for_different_processors_differ_in_hardware_alone() {
    let images = Path::new(env!("CARGO_MANIFEST_DIR")).join("../images");
    let [arm, x86] =
        ["edge-aarch64", "edge-x86_64"].map(|name| spec::load(&images.join(format!("{name}.toml"))).unwrap());
    assert_eq!(arm.packages, x86.packages);
    assert_eq!(arm.without, x86.without);
    assert_eq!((&arm.enable, &arm.mask), (&x86.enable, &x86.mask));
    assert_eq!((&arm.overlays, &arm.exclude), (&x86.overlays, &x86.exclude));
    assert_eq!((arm.slot_size, &arm.allow), (x86.slot_size, &x86.allow));
    for spec in [&arm, &x86] {
        let lock = std::fs::read_to_string(spec.lock_path()).unwrap();
        let lock = Lock::parse(&spec.name, &lock).unwrap();
        assert_eq!(lock.spec_digest, spec.lock_digest(), "{}", spec.name);
    }
}

#[test]
fn what_does_not_decide_the_packages_leaves_the_lock_fresh() {
    let project = Project::new();
    let digest = |more: &str| project.load(&complete(more)).unwrap().lock_digest();
    assert_eq!(
        digest(""),
        digest("units.enable = [\"x.service\"]\noverlays = [\"site\"]")
    );
    assert_ne!(digest(""), digest("packages = [\"nano\"]"));
    assert_ne!(digest(""), digest("without = [\"perl\"]"));
}

#[test]
fn an_image_that_is_not_there_is_answered_with_the_closest_name() {
    let project = Project::new();
    project.write("edge-x86_64.toml", &complete(""));
    let error = discover::find(project.0.path(), Some("edge-x86-64")).unwrap_err();
    assert_eq!(error.hints(), ["did you mean `edge-x86_64`?"]);
    let found = discover::find(project.0.path(), None).unwrap();
    assert_eq!(found.file_name().unwrap(), "edge-x86_64.toml");
}

#[test]
fn the_schema_in_the_repository_is_that_of_the_code() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../images/definition.schema.json");
    let kept = std::fs::read_to_string(path).unwrap_or_default();
    assert!(
        kept == schema::json(),
        "images/definition.schema.json is stale: run `./just generate`"
    );
}

#[test]
fn a_definition_has_fewer_than_forty_keys() {
    let schema: serde_json::Value = serde_json::from_str(&schema::json()).unwrap();
    let keys = |value: &serde_json::Value| value["properties"].as_object().map_or(0, |keys| keys.len());
    let tables = [
        "KernelDefinition",
        "UnitsDefinition",
        "FileSystemDefinition",
        "DiskDefinition",
        "ArchiveDefinition",
        "PreloadDefinition",
        "OsReleaseDefinition",
    ];
    let in_tables: usize = tables.iter().map(|table| keys(&schema["$defs"][table])).sum();
    // A table's own name is nothing that is set.
    let count = keys(&schema) - tables.len() + in_tables;
    assert!(count < 40, "{count}");
}

const DIGEST: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

#[test]
fn an_image_to_bring_along_is_pinned_and_its_name_is_completed() {
    let project = Project::new();
    let table = |more: &str| {
        complete(&format!(
            "preload.app = {{ file = \"app.tar\", sha256 = \"{DIGEST}\"{more} }}"
        ))
    };
    let spec = project.load(&table(", reference = \"busybox:1.37\"")).unwrap();
    assert_eq!(spec.preload[0].sha256.to_string(), DIGEST);
    let reference = spec.preload[0].reference.as_ref().unwrap();
    assert_eq!(reference.to_string(), "docker.io/library/busybox:1.37");
    // The definition itself pins it, so the lock has nothing to add.
    let without = project.load(&complete("")).unwrap();
    assert_eq!(spec.lock_digest(), without.lock_digest());
    assert_ne!(spec.digest(), project.load(&table("")).unwrap().digest());
    assert_ne!(without.digest(), project.load(&table("")).unwrap().digest());
}

#[test]
fn a_table_of_preload_that_cannot_be_used_is_refused_by_key_with_advice() {
    let project = Project::new();
    for (file, sha256, reference, message) in [
        (
            "../app.tar",
            DIGEST,
            "app",
            "`preload.app.file = \"../app.tar\"` cannot be used",
        ),
        (
            "/app.tar",
            DIGEST,
            "app",
            "`preload.app.file = \"/app.tar\"` cannot be used",
        ),
        ("app.tar", "12", "app", "`preload.app.sha256 = \"12\"` cannot be used"),
        (
            "app.tar",
            DIGEST,
            "App",
            "`preload.app.reference = \"App\"` cannot be used",
        ),
    ] {
        let table =
            format!("preload.app = {{ file = \"{file}\", sha256 = \"{sha256}\", reference = \"{reference}\" }}");
        let error = project.load(&complete(&table)).unwrap_err();
        assert!(error.to_string().ends_with(message), "{error}");
        assert_eq!(error.hints().len(), 1);
    }
}

#[test]
fn a_pretty_name_is_one_line_that_says_something() {
    let project = Project::new();
    let load = |name: &str| project.load(&complete(&format!("os-release.pretty-name = \"{name}\"")));
    let name = "Skerry shop (Debian 13)";
    assert_eq!(load(name).unwrap().pretty_name.as_deref(), Some(name));
    for bad in ["", " x", "a\\nb", &"x".repeat(121)] {
        assert!(
            load(bad).unwrap_err().to_string().contains("`os-release.pretty-name"),
            "{bad}"
        );
    }
}

#[test]
fn a_name_that_a_partition_label_has_no_room_for_is_refused() {
    let project = Project::new();
    project.write("a-board-of-16-ab.toml", &complete(""));
    project.write("a-board-of-17-abc.toml", &complete(""));
    let load = |name: &str| spec::load(&project.0.path().join("images").join(name));
    assert!(load("a-board-of-16-ab.toml").is_ok());
    let error = load("a-board-of-17-abc.toml").unwrap_err();
    assert_eq!(
        error.hints(),
        ["rename the file: 1 to 16 lower-case letters, digits, `-` or `_`"]
    );
}
