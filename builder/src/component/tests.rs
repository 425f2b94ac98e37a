use std::fs;
use std::io::Write;

use super::*;
use crate::failure::{Diagnose, FailureKind};
use crate::progress::Silent;

const KUBELET: &str = r#"
origin = "go"
module = "k8s.io/kubernetes"
version = "v1.36.3"
toolchain = "go1.26.8"
staging = "v0.{minor}.{patch}"
tags = ["b", "a", "b"]
stamps = { "k8s.io/component-base/version.gitVersion" = "{version}", "k8s.io/component-base/version.gitMinor" = "{minor}" }
install = { "cmd/kubelet" = "/usr/bin/kubelet" }
"#;

fn spec(table: &str) -> Result<ComponentSpec, SpecError> {
    toml::from_str::<ComponentTable>(table).unwrap().validate("thing")
}

/// The table with one line replaced, or removed when `with` is empty.
fn altered(table: &str, key: &str, with: &str) -> String {
    let kept = table.lines().filter(|line| !line.starts_with(&format!("{key} =")));
    kept.chain([with]).collect::<Vec<_>>().join("\n")
}

#[test]
fn a_go_component_is_read_and_its_placeholders_are_filled_in() {
    let kubelet = spec(KUBELET).unwrap();
    let Origin::Go(origin) = &kubelet.origin else {
        panic!("{kubelet:?}")
    };
    assert_eq!(origin.staging.as_deref(), Some("v0.36.3"));
    assert_eq!(origin.tags, ["a", "b"]);
    assert_eq!(origin.stamps["k8s.io/component-base/version.gitVersion"], "v1.36.3");
    assert_eq!(origin.stamps["k8s.io/component-base/version.gitMinor"], "36");
    assert_eq!(kubelet.install["cmd/kubelet"], "/usr/bin/kubelet");
}

#[test]
fn a_table_written_again_is_the_same() {
    let table: ComponentTable = toml::from_str(KUBELET).unwrap();
    let text = toml::to_string(&table).unwrap();
    assert_eq!(toml::from_str::<ComponentTable>(&text).unwrap(), table);
}

#[test]
fn unknown_keys_are_refused_and_the_known_ones_named() {
    let error = toml::from_str::<ComponentTable>("origin = \"go\"\nmodul = \"x\"").unwrap_err();
    assert!(
        error
            .to_string()
            .contains("unknown field `modul`, expected one of `origin`, `version`"),
        "{error}"
    );
}

#[test]
fn the_schema_can_be_generated() {
    let schema = schemars::schema_for!(ComponentTable);
    let properties = schema.get("properties").unwrap().as_object().unwrap();
    assert_eq!(properties.len(), 11);
}

#[test]
fn nonsense_in_a_go_component_is_refused_with_its_key() {
    for (key, with, message) in [
        (
            "version",
            "version = \"1.36.3\"",
            "`1.36.3` is not a module's version, such as `v1.36.3`",
        ),
        ("version", "version = \"v1.36 -x\"", "`v1.36 -x` is not a version"),
        ("module", "", "is needed for this origin"),
        (
            "module",
            "module = \"-modfile/x\"",
            "`-modfile/x` is not an import path",
        ),
        ("module", "module = \"a/../b\"", "`a/../b` is not an import path"),
        ("toolchain", "", "is needed for this origin"),
        (
            "toolchain",
            "toolchain = \"local\"",
            "`local` is not a Go release, such as `go1.26.8`",
        ),
        (
            "staging",
            "staging = \"v0.{arch}\"",
            "`{arch}` is no placeholder (there are `{version}`, `{major}`, `{minor}` and `{patch}`)",
        ),
        ("staging", "staging = \"v0 v1\"", "`v0 v1` is not a version"),
        ("tags", "tags = [\"a b\"]", "`a b` is not a build tag"),
        (
            "stamps",
            "stamps = { \"a/b.C\" = \"x -extld y\" }",
            "`x -extld y` has a space, a quote or another odd character",
        ),
        (
            "stamps",
            "stamps = { \"C\" = \"x\" }",
            "`C` is not an import path, a dot and a variable",
        ),
        (
            "stamps",
            "stamps = { \"a.C=D\" = \"x\" }",
            "`a.C=D` is not an import path, a dot and a variable",
        ),
        ("install", "install = {}", "names no file to install"),
        (
            "install",
            "install = { \"./...\" = \"/usr/bin/x\" }",
            "`./...` is not an import path",
        ),
        (
            "install",
            "install = { \"cmd/a\" = \"usr/bin/a\" }",
            "`usr/bin/a` is not a plain absolute path",
        ),
        (
            "install",
            "install = { \"cmd/a\" = \"/usr/../a\" }",
            "`/usr/../a` is not a plain absolute path",
        ),
        (
            "install",
            "install = { \"cmd/a\" = \"/a\", \"cmd/b\" = \"/a\" }",
            "`/a` is there twice",
        ),
        (
            "install",
            "install = { \"cmd/a\" = \"/a\", \"new/a/v2\" = \"/b\" }",
            "two packages give a program `a`: make them two components",
        ),
        (
            "url",
            "url = \"http://host.test\"",
            "has no meaning for the origin `go`",
        ),
        (
            "sha256",
            &format!("sha256 = {{ x86_64 = \"{}\" }}", Sha256::of(b"")),
            "has no meaning for the origin `go`",
        ),
    ] {
        let error = spec(&altered(KUBELET, key, with)).unwrap_err();
        assert_eq!(error.to_string(), format!("`components.thing.{key}`: {message}"));
        assert_eq!(error.key, key);
    }
}

fn release(url: &str, content: &[u8], install: &str) -> String {
    format!(
        "origin = \"release\"\nversion = \"1.9.1\"\nurl = \"{url}\"\nsha256 = {{ x86_64 = \"{}\" }}\ninstall = {install}\n",
        Sha256::of(content)
    )
}

#[test]
fn nonsense_in_a_release_or_file_is_refused_with_its_key() {
    let install = "{ a = \"/a\" }";
    for (table, message) in [
        (
            release("ftp://host.test/x", b"", install),
            "url`: `ftp://host.test/x` is not an http, https or file URL",
        ),
        (
            release("http://host.test/x.zip", b"", install),
            "url`: archives must be `.tar.gz` or `.tgz`",
        ),
        (
            release("http://host.test/x", b"", "{ a = \"/a\", b = \"/b\" }"),
            "install`: names 2 files, but the source is a single one",
        ),
        (
            altered(&release("http://host.test/x", b"", install), "sha256", ""),
            "sha256`: is needed for the origin `release`",
        ),
        (
            "origin = \"file\"\nversion = \"1\"\ninstall = { a = \"/a\" }".to_owned(),
            "path`: is needed for this origin",
        ),
    ] {
        assert_eq!(
            spec(&table).unwrap_err().to_string(),
            format!("`components.thing.{message}")
        );
    }
}

#[test]
fn the_recipe_changes_with_what_decides_the_bytes_and_with_nothing_else() {
    let recipe = |table: &str| spec(table).unwrap().recipe(Arch::X86_64);
    let kubelet = recipe(KUBELET);
    for (key, with) in [
        ("version", "version = \"v1.36.4\""),
        ("toolchain", "toolchain = \"go1.26.9\""),
        ("tags", ""),
        ("stamps", ""),
        ("staging", "staging = \"v0.36.2\""),
        ("install", "install = { \"cmd/kube-proxy\" = \"/usr/bin/kubelet\" }"),
    ] {
        assert_ne!(recipe(&altered(KUBELET, key, with)), kubelet, "{key}");
    }
    assert_ne!(spec(KUBELET).unwrap().recipe(Arch::Aarch64), kubelet);
    let elsewhere = altered(KUBELET, "install", "install = { \"cmd/kubelet\" = \"/opt/kubelet\" }");
    assert_eq!(recipe(&elsewhere), kubelet);
    let install = "{ a = \"/a\" }";
    assert_eq!(
        recipe(&release("http://one.test/a", b"x", install)),
        recipe(&release("http://two.test/a", b"x", install))
    );
}

/// A store and a definition's folder.
struct Bench {
    folder: tempfile::TempDir,
    store: Store,
    access: Access,
}

impl Bench {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("cache")).unwrap();
        let access = Access::Offline;
        Self { folder, store, access }
    }

    fn obtain(&self, table: &str, expected: Option<&[ComponentFile]>) -> Result<Vec<BuiltFile>, ComponentError> {
        let workshop = Workshop {
            store: &self.store,
            fetch: FetchOptions {
                access: self.access,
                ..FetchOptions::default()
            },
            reporter: &Silent,
            folder: self.folder.path(),
        };
        obtain(&spec(table).unwrap(), Arch::X86_64, expected, &workshop)
    }

    /// The table of a release that lies in the bench's folder.
    fn release(&self, name: &str, content: &[u8], install: &str) -> String {
        let path = self.folder.path().join(name);
        fs::write(&path, content).unwrap();
        release(&format!("file://{}", path.display()), content, install)
    }
}

fn pins(built: &[BuiltFile]) -> Vec<ComponentFile> {
    let pin = |file: &BuiltFile| ComponentFile {
        name: file.name.clone(),
        len_bytes: file.len_bytes,
        sha256: file.sha256,
    };
    built.iter().map(pin).collect()
}

fn tgz(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut tar = tar::Builder::new(flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast()));
    for (name, content) in members {
        let mut header = tar::Header::new_ustar();
        header.set_size(content.len() as u64);
        header.set_mode(0o755);
        // `append_data` refuses `..`, which is wanted here.
        header.as_mut_bytes()[..name.len()].copy_from_slice(name.as_bytes());
        header.set_cksum();
        tar.append(&header, *content).unwrap();
    }
    tar.into_inner().unwrap().finish().unwrap()
}

#[test]
fn a_file_is_taken_from_the_definitions_folder_and_pinned() {
    let bench = Bench::new();
    fs::write(bench.folder.path().join("tool-amd64"), b"tool").unwrap();
    let table = format!(
        "origin = \"file\"\nversion = \"1\"\npath = \"tool-{{arch}}\"\nsha256 = {{ x86_64 = \"{}\" }}\ninstall = {{ tool = \"/usr/bin/tool\" }}",
        Sha256::of(b"tool")
    );
    let built = bench.obtain(&table, None).unwrap();
    assert_eq!(
        (built[0].name.as_str(), built[0].path_in_image.as_str()),
        ("tool", "/usr/bin/tool")
    );
    assert_eq!(fs::read(&built[0].store_path).unwrap(), b"tool");
    // Then the store has it, with or without the file.
    fs::remove_file(bench.folder.path().join("tool-amd64")).unwrap();
    assert_eq!(bench.obtain(&table, None).unwrap(), built);
    assert_eq!(bench.obtain(&table, Some(&pins(&built))).unwrap(), built);
}

#[test]
fn a_file_that_is_another_or_missing_is_refused_with_the_key_to_change() {
    let bench = Bench::new();
    let table = altered(
        &bench.release("tool", b"tool", "{ tool = \"/usr/bin/tool\" }"),
        "sha256",
        &format!("sha256 = {{ x86_64 = \"{}\" }}", Sha256::of(b"other")),
    );
    let error = bench.obtain(&table, None).unwrap_err();
    assert_eq!(error.to_string(), "cannot get component `thing`");
    assert_eq!(error.kind(), FailureKind::Verification);
    assert_eq!(
        error.hints(),
        ["if the new content is right, correct `components.thing.sha256`"]
    );
    fs::remove_file(bench.folder.path().join("tool")).unwrap();
    let error = bench.obtain(&table, None).unwrap_err();
    assert_eq!(
        error.hints(),
        ["correct `version`, `url` or `path` of `components.thing`"]
    );
    let only_arm = table.replace("x86_64", "aarch64");
    let error = bench.obtain(&only_arm, None).unwrap_err();
    assert_eq!(error.to_string(), "component `thing` has no `sha256` for x86_64");
}

#[test]
fn members_of_an_archive_are_unpacked() {
    let bench = Bench::new();
    let archive = tgz(&[
        ("./bridge", b"bridge"),
        ("./deep/ptp", b"ptp"),
        ("./README.md", b"read me"),
    ]);
    let table = bench.release(
        "cni-{arch}.tgz",
        &archive,
        "{ \"deep/ptp\" = \"/usr/lib/cni/ptp\", bridge = \"/usr/lib/cni/bridge\" }",
    );
    fs::rename(
        bench.folder.path().join("cni-{arch}.tgz"),
        bench.folder.path().join("cni-amd64.tgz"),
    )
    .unwrap();
    let built = bench.obtain(&table, None).unwrap();
    let contents: Vec<_> = built.iter().map(|file| fs::read(&file.store_path).unwrap()).collect();
    assert_eq!(contents, [b"bridge".to_vec(), b"ptp".to_vec()]);
    assert_eq!(bench.obtain(&table, Some(&pins(&built))).unwrap(), built);
}

#[test]
fn an_archive_without_the_member_names_what_it_has() {
    let bench = Bench::new();
    let archive = tgz(&[("cni/bridge", b"bridge"), ("../ptp", b"outside")]);
    let table = bench.release("cni.tgz", &archive, "{ ptp = \"/usr/lib/cni/ptp\" }");
    let error = bench.obtain(&table, None).unwrap_err();
    assert!(
        matches!(&error, ComponentError::NoMember { member, present, .. } if member == "ptp" && present == "cni/bridge")
    );
    assert_eq!(error.hints(), ["correct `components.thing.install`"]);
}

#[test]
fn a_damaged_archive_is_an_error() {
    let bench = Bench::new();
    let archive = tgz(&[("bridge", &[7; 5000])]);
    for damaged in [&archive[..archive.len() / 2], b"no gzip at all"] {
        let table = bench.release("cni.tgz", damaged, "{ bridge = \"/usr/lib/cni/bridge\" }");
        assert!(matches!(
            bench.obtain(&table, None).unwrap_err(),
            ComponentError::Unpack { .. }
        ));
    }
}

#[test]
fn a_result_other_than_locked_is_a_verification_failure() {
    let bench = Bench::new();
    let table = bench.release("tool", b"tool", "{ tool = \"/usr/bin/tool\" }");
    let mut locked = pins(&bench.obtain(&table, None).unwrap());
    locked[0].sha256 = Sha256::of(b"as locked");
    let error = bench.obtain(&table, Some(&locked)).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "component `thing` came out other than locked: `tool` has sha256 {}, expected {}",
            Sha256::of(b"tool"),
            Sha256::of(b"as locked")
        )
    );
    assert_eq!(error.kind(), FailureKind::Verification);
    let error = bench.obtain(&table, Some(&[])).unwrap_err();
    assert!(matches!(error, ComponentError::NotPinned { .. }));
}

#[test]
fn offline_a_component_is_taken_from_the_store_or_not_at_all() {
    let bench = Bench::new();
    let error = bench.obtain(KUBELET, None).unwrap_err();
    assert_eq!(
        error.to_string(),
        "component `thing` v1.36.3 is not in the cache, and --offline forbids building it"
    );
    let sha256 = Sha256::of(b"kubelet");
    let mut pending = bench.store.pending(Shelf::Components, &sha256).unwrap();
    pending.write_all(b"kubelet").unwrap();
    pending.commit().unwrap();
    let locked = [ComponentFile {
        name: "cmd/kubelet".to_owned(),
        len_bytes: 7,
        sha256,
    }];
    assert_eq!(
        bench.obtain(KUBELET, Some(&locked)).unwrap()[0].path_in_image,
        "/usr/bin/kubelet"
    );
}
