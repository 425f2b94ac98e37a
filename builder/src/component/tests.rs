use std::fs;
use std::io::Write;

use super::*;
use crate::failure::{Diagnose, FailureKind};
use crate::progress::Silent;

pub(super) const KUBELET: &str = r#"
origin = "go"
module = "k8s.io/kubernetes"
version = "v1.36.3"
toolchain = "go1.26.8"
staging = "v0.{minor}.{patch}"
tags = ["b", "a", "b"]
stamps = { "k8s.io/component-base/version.gitVersion" = "{version}", "k8s.io/component-base/version.gitMinor" = "{minor}" }
install = { "cmd/kubelet" = "/usr/bin/kubelet" }
"#;

pub(super) fn spec(table: &str) -> Result<ComponentSpec, SpecError> {
    toml::from_str::<ComponentTable>(table).unwrap().validate("thing")
}

/// The table with one line replaced, or removed when `with` is empty.
pub(super) fn altered(table: &str, key: &str, with: &str) -> String {
    let kept = table.lines().filter(|line| !line.starts_with(&format!("{key} =")));
    kept.chain([with]).collect::<Vec<_>>().join("\n")
}

pub(super) fn release(url: &str, content: &[u8], install: &str) -> String {
    format!(
        "origin = \"release\"\nversion = \"1.9.1\"\nurl = \"{url}\"\nsha256 = {{ x86_64 = \"{}\" }}\ninstall = {install}\n",
        Sha256::of(content)
    )
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
