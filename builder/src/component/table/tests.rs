use super::*;
use crate::component::tests::{KUBELET, altered, release, spec};

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

/// Each row: the key, the line that replaces it, and what is wrong then.
fn assert_refused(rows: &[(&str, &str, &str)]) {
    for (key, with, message) in rows {
        let error = spec(&altered(KUBELET, key, with)).unwrap_err();
        assert_eq!(error.to_string(), format!("`components.thing.{key}`: {message}"));
        assert_eq!(error.key, *key);
    }
}

#[test]
fn nonsense_about_a_go_module_is_refused_with_its_key() {
    assert_refused(&[
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
    ]);
}

#[test]
fn nonsense_about_what_to_install_is_refused_with_its_key() {
    assert_refused(&[
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
    ]);
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
