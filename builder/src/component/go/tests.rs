use std::process::Command;

use tempfile::TempDir;

use super::command::{MAX_LINE_BYTES, can_switch_toolchains, read_lines};
use super::*;
use crate::component::{ComponentTable, Origin};
use crate::failure::{Diagnose, FailureKind};
use crate::fetch::FetchOptions;
use crate::progress::Silent;
use crate::store::Store;

/// A module proxy in a folder (Go modules reference, "GOPROXY protocol"), a module cache of its own, and the host's Go
/// told to use them; no network.
struct Proxy {
    folder: TempDir,
    host: HostGo,
}

impl Proxy {
    /// `None` where there is no Go to test with.
    #[allow(clippy::print_stdout, reason = "a skipped test says so")]
    fn new() -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let mut host = match HostGo::find("tool", folder.path()) {
            Ok(host) => host,
            Err(ComponentError::NoGo { .. } | ComponentError::OldGo { .. }) => {
                println!("skipped: no go");
                return None;
            }
            Err(error) => panic!("{error:?}"),
        };
        let settings = [
            ("GOPROXY", format!("file://{}/proxy", folder.path().display())),
            ("GOMODCACHE", folder.path().join("modules").display().to_string()),
            ("GONOSUMDB", "example.test".to_owned()),
        ];
        for (name, value) in settings {
            host.settings.insert(name.to_owned(), value);
        }
        Some(Self { folder, host })
    }

    /// Publishes a module version made of these files.
    fn publish(&self, module: &str, version: &str, files: &[(&str, &str)]) {
        let folder = self.folder.path().join("proxy").join(module).join("@v");
        fs::create_dir_all(&folder).unwrap();
        let go_mod = files.iter().find(|(name, _)| *name == "go.mod").unwrap().1;
        let named: Vec<(String, &str)> = files
            .iter()
            .map(|(name, text)| (format!("{module}@{version}/{name}"), *text))
            .collect();
        fs::write(folder.join("list"), format!("{version}\n")).unwrap();
        fs::write(
            folder.join(format!("{version}.info")),
            format!("{{\"Version\":\"{version}\"}}"),
        )
        .unwrap();
        fs::write(folder.join(format!("{version}.mod")), go_mod).unwrap();
        fs::write(folder.join(format!("{version}.zip")), zip(&named)).unwrap();
    }

    /// Publishes `example.test/tool`, which takes `example.test/lib` from a folder beside it.
    fn publish_tool(&self, go_mod_end: &str) {
        let go_mod = format!("module example.test/tool\n\ngo 1.21\n\n{go_mod_end}");
        let main = "package main\n\nimport \"example.test/lib\"\n\nvar version = \"unset\"\n\n\
                    func main() { println(version, lib.Name, tag) }\n";
        self.publish(
            "example.test/tool",
            "v1.2.3",
            &[
                ("go.mod", &go_mod),
                ("cmd/tool/main.go", main),
                (
                    "cmd/tool/plain.go",
                    "//go:build !special\n\npackage main\n\nconst tag = \"plain\"\n",
                ),
                (
                    "cmd/tool/special.go",
                    "//go:build special\n\npackage main\n\nconst tag = \"special\"\n",
                ),
            ],
        );
        let lib = [
            ("go.mod", "module example.test/lib\n\ngo 1.21\n"),
            ("lib.go", "package lib\n\nconst Name = \"staged\"\n"),
        ];
        self.publish("example.test/lib", "v0.2.3", &lib);
    }

    fn build(&self, table: &str, store: &Store) -> Result<Vec<ComponentFile>, ComponentError> {
        let table = format!(
            "origin = \"go\"\nmodule = \"example.test/tool\"\nversion = \"v1.2.3\"\ntoolchain = \"{}\"\n{table}",
            self.host.settings["GOVERSION"]
        );
        let spec = toml::from_str::<ComponentTable>(&table)
            .unwrap()
            .validate("tool")
            .unwrap();
        let Origin::Go(origin) = &spec.origin else {
            panic!("{spec:?}")
        };
        let workshop = Workshop {
            store,
            fetch: FetchOptions::default(),
            reporter: &Silent,
            folder: self.folder.path(),
        };
        let job = Job {
            spec: &spec,
            origin,
            arch: host_arch(),
            purpose: Purpose::Pin,
        };
        let scratch = store.scratch().unwrap();
        build_in(scratch.path(), &self.host, &job, &workshop)
    }

    fn store(&self, name: &str) -> Store {
        Store::open(&self.folder.path().join(name)).unwrap()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        // Go makes its module cache read-only, so removing the folder alone would fail.
        let _ = Command::new("go")
            .args(["clean", "-modcache"])
            .env("GOMODCACHE", &self.host.settings["GOMODCACHE"])
            .output();
    }
}

fn host_arch() -> Arch {
    std::env::consts::ARCH.parse().unwrap()
}

const STAGED: &str = "require example.test/lib v0.0.0\n\nreplace example.test/lib => ./staging/lib\n";
const TABLE: &str = "staging = \"v0.{minor}.{patch}\"\ntags = [\"special\"]\nstamps = { \"main.version\" = \"{version}\" }\n\
                     install = { \"cmd/tool\" = \"/usr/bin/tool\" }\n";

/// A zip archive without compression (PKWARE APPNOTE 6.3, §4.3).
fn zip(files: &[(String, &str)]) -> Vec<u8> {
    let (mut archive, mut directory) = (Vec::new(), Vec::new());
    for (name, text) in files {
        let mut crc = flate2::Crc::new();
        crc.update(text.as_bytes());
        let offset = u32::try_from(archive.len()).unwrap();
        let len = u32::try_from(text.len()).unwrap();
        let mut common = vec![10, 0, 0, 0, 0, 0, 0, 0, 0x21, 0];
        for number in [crc.sum(), len, len] {
            common.extend(number.to_le_bytes());
        }
        common.extend(u16::try_from(name.len()).unwrap().to_le_bytes());
        common.extend([0, 0]);
        archive.extend(b"PK\x03\x04");
        archive.extend(&common);
        archive.extend(name.as_bytes());
        archive.extend(text.as_bytes());
        directory.extend(b"PK\x01\x02\x0a\x00");
        directory.extend(&common);
        directory.extend([0; 10]);
        directory.extend(offset.to_le_bytes());
        directory.extend(name.as_bytes());
    }
    let (count, start) = (
        u16::try_from(files.len()).unwrap(),
        u32::try_from(archive.len()).unwrap(),
    );
    let directory_len = u32::try_from(directory.len()).unwrap();
    archive.extend(directory);
    archive.extend(b"PK\x05\x06\0\0\0\0");
    archive.extend(count.to_le_bytes());
    archive.extend(count.to_le_bytes());
    archive.extend(directory_len.to_le_bytes());
    archive.extend(start.to_le_bytes());
    archive.extend([0, 0]);
    archive
}

#[test]
fn a_module_is_built_with_its_staging_modules_tags_and_stamps_and_is_the_same_elsewhere() {
    let Some(proxy) = Proxy::new() else { return };
    proxy.publish_tool(STAGED);
    let store = proxy.store("cache");
    let built = proxy.build(TABLE, &store).unwrap();
    let program = store.get(crate::store::Shelf::Components, &built[0].sha256).unwrap();
    let output = Command::new(program).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stderr), "v1.2.3 staged special\n");
    let elsewhere = proxy.store("another/folder/of/another/length");
    assert_eq!(proxy.build(TABLE, &elsewhere).unwrap(), built);
    assert_eq!(fs::read_dir(store.root().join("tmp")).unwrap().count(), 1);
}

#[test]
fn a_folder_in_go_mod_needs_a_staging_version() {
    let Some(proxy) = Proxy::new() else { return };
    proxy.publish_tool(STAGED);
    let error = proxy
        .build("install = { \"cmd/tool\" = \"/tool\" }\n", &proxy.store("cache"))
        .unwrap_err();
    assert!(matches!(&error, ComponentError::NoStaging { module, .. } if module == "example.test/lib"));
    assert!(error.hints()[0].contains("`components.tool.staging`"));
}

#[test]
fn a_module_that_does_not_pin_what_it_needs_is_refused() {
    let Some(proxy) = Proxy::new() else { return };
    proxy.publish_tool("");
    let error = proxy.build(TABLE, &proxy.store("cache")).unwrap_err();
    assert!(
        matches!(&error, ComponentError::LooseModules { modules, .. } if modules == "example.test/lib v0.2.3"),
        "{error:?}"
    );
}

#[test]
fn what_go_complains_about_is_shown() {
    let Some(proxy) = Proxy::new() else { return };
    proxy.publish_tool(STAGED);
    let table = TABLE.replace("cmd/tool", "cmd/other");
    let error = proxy.build(&table, &proxy.store("cache")).unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("`go list` failed for component `tool` (exit status")
    );
    assert!(error.excerpt().unwrap().contains("cmd/other"), "{error:?}");
    assert_eq!(error.kind(), FailureKind::Request);
}

#[test]
fn a_version_that_nobody_published_is_shown() {
    let Some(proxy) = Proxy::new() else { return };
    let error = proxy.build(TABLE, &proxy.store("cache")).unwrap_err();
    assert!(error.to_string().starts_with("`go mod` failed for component `tool`"));
    assert!(
        error.excerpt().unwrap().contains("example.test/tool@v1.2.3"),
        "{error:?}"
    );
}

#[test]
fn nothing_is_pinned_while_the_checksum_database_is_off() {
    let Some(mut proxy) = Proxy::new() else { return };
    proxy.host.settings.insert("GOSUMDB".to_owned(), "off".to_owned());
    let error = proxy.build(TABLE, &proxy.store("cache")).unwrap_err();
    assert!(matches!(error, ComponentError::NoChecksumDatabase { .. }));
}

#[test]
fn only_a_go_that_can_switch_toolchains_is_used() {
    for (version, can) in [
        ("go1.26.8", true),
        ("go1.21", true),
        ("go1.21rc2", true),
        ("go1.20.14", false),
        ("go1.9", false),
        ("devel go1.27-abc", true),
        ("", false),
    ] {
        assert_eq!(can_switch_toolchains(version), can, "{version}");
    }
}

#[test]
fn programs_are_named_as_go_names_them() {
    for (path, name) in [
        ("k8s.io/kubernetes/cmd/kubelet", "kubelet"),
        ("example.test/tool/v2", "tool"),
        ("example.test/cmd/v", "v"),
        ("v2", "v2"),
    ] {
        assert_eq!(program_name(path), name);
    }
}

#[test]
fn go_mod_is_taken_over_with_everything_that_decides_the_build() {
    let upstream = r#"{"Module": {"Path": "example.test/tool"}, "Go": "1.26.0", "Godebug": [{"Key": "default", "Value": "go1.25"}],
        "Require": [{"Path": "a.test/x", "Version": "v1.0.0"}, {"Path": "a.test/y", "Version": "v2.0.0", "Indirect": true}],
        "Exclude": [{"Path": "a.test/x", "Version": "v1.1.0"}], "Retract": null,
        "Replace": [{"Old": {"Path": "a.test/y"}, "New": {"Path": "./y"}},
                    {"Old": {"Path": "a.test/not-required"}, "New": {"Path": "./FORBIDDEN"}},
                    {"Old": {"Path": "a.test/x", "Version": "v1.0.0"}, "New": {"Path": "b.test/x", "Version": "v1.0.1"}}]}"#;
    let table = format!(
        "origin = \"go\"\nmodule = \"example.test/tool\"\nversion = \"v1.2.3\"\ntoolchain = \"go1.26.8\"\n{TABLE}"
    );
    let spec = toml::from_str::<ComponentTable>(&table)
        .unwrap()
        .validate("tool")
        .unwrap();
    let Origin::Go(origin) = &spec.origin else {
        panic!("{spec:?}")
    };
    let job = Job {
        spec: &spec,
        origin,
        arch: Arch::X86_64,
        purpose: Purpose::Pin,
    };
    let consumer = |text: &str| serde_json::from_str::<ModuleFile>(text).unwrap().consumer(&job);
    assert_eq!(
        consumer(upstream).unwrap().to_text(),
        "module component.invalid/skerry\n\
         go 1.26.0\n\
         godebug default=go1.25\n\
         require example.test/tool v1.2.3\n\
         require a.test/x v1.0.0\n\
         require a.test/y v2.0.0 // indirect\n\
         replace a.test/y => a.test/y v0.2.3\n\
         replace a.test/x v1.0.0 => b.test/x v1.0.1\n\
         exclude a.test/x v1.1.0\n"
    );
    for bad in [
        upstream.replace("a.test/x", "a.test/x (y)"),
        upstream.replace("example.test/tool", "other.test"),
    ] {
        assert!(matches!(consumer(&bad).unwrap_err(), ComponentError::ModuleFile { .. }));
    }
}

#[test]
fn network_trouble_and_forged_modules_are_told_apart() {
    let failed = |text: &str| ComponentError::GoFailed {
        component: "tool".to_owned(),
        step: "list",
        status: Command::new("false").status().unwrap(),
        stderr_tail: text.to_owned(),
    };
    for (text, kind) in [
        (
            "go: example.test: dial tcp 127.0.0.1:9: connect: connection refused",
            FailureKind::Network,
        ),
        (
            "verifying module: checksum mismatch\n\nSECURITY ERROR",
            FailureKind::Verification,
        ),
        ("main.go:1:1: expected 'package'", FailureKind::Request),
    ] {
        assert_eq!(failed(text).kind(), kind);
    }
}

#[test]
fn lines_come_one_by_one_and_are_shortened() {
    let long = "x".repeat(100_000);
    let mut lines = Vec::new();
    read_lines(format!("one\r\n\n{long}\nlast").as_bytes(), |line| {
        lines.push(line.to_owned())
    })
    .unwrap();
    assert_eq!(lines, ["one", "", &long[..MAX_LINE_BYTES], "last"]);
}
