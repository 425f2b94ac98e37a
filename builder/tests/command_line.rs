//! The command line of `seed` and `token`: exit codes, what goes to which stream, and that no secret goes anywhere.

#![allow(clippy::unwrap_used, reason = "a failed expectation is what a test is for")]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use skerry_builder::arch::Arch;
use skerry_builder::digest::Sha256;
use skerry_builder::disk::{self, DiskInput, DiskLayout, SlotInput};
use skerry_builder::fat::{self, FatData, FatFile};

const SECRET: &str = "0123456789abcdef";

fn skerry(folder: &Path, arguments: &[&str]) -> (Option<i32>, String, String) {
    let output: Output = Command::new(env!("CARGO_BIN_EXE_skerry"))
        .args(arguments)
        .current_dir(folder)
        .env("NO_COLOR", "1")
        .output()
        .unwrap();
    let [out, err] = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap());
    assert!(!out.contains(SECRET) && !err.contains(SECRET), "{out}{err}");
    (output.status.code(), out, err)
}

fn join_file() -> String {
    format!(
        "version = 1\nendpoints = [\"https://cp.example:6443\"]\ntoken = \"abcdef.{SECRET}\"\n\
         ca-pins = [\"sha256:345959acb2c3b2feb87d281961c893f62a314207ef02599f1cc4a5fb255480b3\"]\n"
    )
}

/// A folder with an image and a join file.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let slot = |name: &str| {
        let path = folder.path().join(name);
        fs::write(&path, [1; 4096]).unwrap();
        SlotInput {
            path,
            len_bytes: 4096,
            slot_bytes: 1 << 20,
        }
    };
    let files = vec![FatFile {
        path: "EFI/Linux/edge_1+3.efi".to_owned(),
        data: FatData::Bytes(vec![7; 1_000]),
    }];
    let layout = DiskLayout::plan(DiskInput {
        arch: Arch::X86_64,
        seed: Sha256::of(b"seed"),
        label: "edge_1".to_owned(),
        esp: fat::plan(files, 36 << 20, "ESP", 1, 1_749_283_750).unwrap(),
        root: slot("root"),
        verity: slot("verity"),
        root_hash: Sha256::of(b"root hash"),
    })
    .unwrap();
    disk::write(&layout, &folder.path().join("edge.raw")).unwrap();
    fs::write(folder.path().join("join.toml"), join_file()).unwrap();
    folder
}

#[test]
fn seed_says_what_it_did_and_what_the_file_is_for() {
    let folder = folder();
    let run = |arguments: &[&str]| skerry(folder.path(), arguments);
    let facts = "token abcdef for https://cp.example:6443, 1 pinned authority";
    assert_eq!(
        run(&["seed", "edge.raw", "--join", "join.toml"]),
        (
            Some(0),
            String::new(),
            format!("wrote join.toml to edge.raw: {facts}\n")
        )
    );
    assert_eq!(
        run(&["seed", "edge.raw", "--join", "join.toml"]),
        (
            Some(0),
            String::new(),
            format!("unchanged: join.toml on edge.raw has {facts}\n")
        )
    );
    let expected = "{\"changed\":false,\"endpoints\":[\"https://cp.example:6443\"],\"file\":\"join.toml\",\
        \"target\":\"edge.raw\",\"token-id\":\"abcdef\",\"trust\":\"pins\",\"version\":1}\n";
    assert_eq!(
        run(&["seed", "edge.raw", "--join", "join.toml", "--json"]),
        (Some(0), expected.to_owned(), String::new())
    );
    assert_eq!(
        run(&["seed", "edge.raw", "--remove"]),
        (
            Some(0),
            String::new(),
            "removed the join file from edge.raw\n".to_owned()
        )
    );
}

#[test]
fn seed_shows_the_mistake_in_a_join_file_without_its_secret() {
    let folder = folder();
    let bad = join_file().replace("ca-pins", "ca-pinz");
    fs::write(folder.path().join("bad.toml"), bad).unwrap();
    let (code, out, err) = skerry(folder.path(), &["seed", "edge.raw", "--join", "bad.toml"]);
    assert_eq!((code, out.as_str()), (Some(1), ""));
    assert!(
        err.starts_with("error: cannot use the join file bad.toml\n  caused by: "),
        "{err}"
    );
    assert!(
        err.contains("unknown key `ca-pinz`") && err.ends_with("hint: did you mean `ca-pins`?\n"),
        "{err}"
    );
}

#[test]
fn seed_refuses_what_is_no_image() {
    let folder = folder();
    let (code, _, err) = skerry(folder.path(), &["seed", "root", "--join", "join.toml"]);
    assert_eq!(code, Some(1));
    assert!(err.contains("error: `root` has no partition table\n"), "{err}");
    let (code, ..) = skerry(folder.path(), &["seed", "edge.raw"]);
    assert_eq!(code, Some(2));
}

fn kubeconfig(folder: &Path, server: &str) -> PathBuf {
    let key = rcgen::KeyPair::generate().unwrap();
    let authority = rcgen::CertificateParams::default().self_signed(&key).unwrap();
    fs::write(folder.join("ca.crt"), authority.pem()).unwrap();
    let text = format!(
        "apiVersion: v1\nkind: Config\ncurrent-context: a\ncontexts:\n- name: a\n  context: {{cluster: c, user: u}}\n\
         clusters:\n- name: c\n  cluster: {{server: '{server}', certificate-authority: ca.crt}}\n\
         users:\n- name: u\n  user: {{token: operator}}\n"
    );
    let path = folder.join("admin.conf");
    fs::write(&path, text).unwrap();
    path
}

#[test]
fn token_create_never_replaces_a_join_file_unasked() {
    let folder = folder();
    kubeconfig(folder.path(), "https://127.0.0.1:9");
    let (code, out, err) = skerry(folder.path(), &["token", "create", "--kubeconfig", "admin.conf"]);
    assert_eq!((code, out.as_str()), (Some(5), ""));
    assert_eq!(
        err,
        "error: join.toml exists already\n\nhint: `--force` replaces it, `--out FILE` writes another one\n"
    );
    assert_eq!(
        fs::read_to_string(folder.path().join("join.toml")).unwrap(),
        join_file()
    );
}

#[test]
fn token_create_without_a_server_is_a_network_failure_and_writes_nothing() {
    let folder = folder();
    // Nobody listens on port 9 (discard) of this machine.
    kubeconfig(folder.path(), "https://127.0.0.1:9");
    let arguments = ["token", "create", "--kubeconfig", "admin.conf", "--out", "new.toml"];
    let (code, out, err) = skerry(folder.path(), &arguments);
    assert_eq!((code, out.as_str()), (Some(3), ""));
    assert!(
        err.starts_with("error: cannot reach the API server https://127.0.0.1:9\n"),
        "{err}"
    );
    assert!(!folder.path().join("new.toml").exists());
}

#[test]
fn token_create_tells_usage_errors_before_it_does_anything() {
    let folder = folder();
    kubeconfig(folder.path(), "https://127.0.0.1:9");
    let base = ["token", "create", "--kubeconfig", "admin.conf", "--out", "-"];
    for more in [
        ["--json", "-v"],
        ["--ttl", "soon"],
        ["--ttl", "0"],
        ["--endpoint", "http://x"],
        ["--group", "x"],
    ] {
        let arguments: Vec<&str> = base.into_iter().chain(more).collect();
        let (code, out, err) = skerry(folder.path(), &arguments);
        assert_eq!((code, out.as_str()), (Some(2), ""), "{more:?}: {err}");
    }
}

#[test]
fn the_permissions_are_printed_without_a_cluster() {
    let folder = folder();
    let (code, out, err) = skerry(folder.path(), &["token", "create", "--print-rbac"]);
    assert_eq!((code, err.as_str()), (Some(0), ""));
    assert_eq!(out.matches("\n---\n").count(), 4);
    assert!(out.contains("  name: system:node-bootstrapper\n"));
}

#[test]
fn a_kubeconfig_that_cannot_be_used_is_told_with_its_cause() {
    let folder = folder();
    kubeconfig(folder.path(), "http://127.0.0.1:9");
    let arguments = ["token", "create", "--kubeconfig", "admin.conf", "--out", "-"];
    let (code, out, err) = skerry(folder.path(), &arguments);
    assert_eq!((code, out.as_str()), (Some(1), ""));
    assert!(
        err.starts_with("error: cannot use the kubeconfig admin.conf\n"),
        "{err}"
    );
    assert!(
        err.contains("`server` cannot be used\n") && err.contains("plain `http` is refused"),
        "{err}"
    );
}

#[test]
fn a_kubeconfig_that_needs_a_program_is_refused_with_advice() {
    let folder = folder();
    let path = kubeconfig(folder.path(), "https://127.0.0.1:9");
    let text = fs::read_to_string(&path)
        .unwrap()
        .replace("token: operator", "exec: {command: aws}");
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    let arguments = ["token", "create", "--kubeconfig", "admin.conf", "--out", "-"];
    let (code, _, err) = skerry(folder.path(), &arguments);
    assert_eq!(code, Some(1));
    assert!(
        err.starts_with("error: cannot use the kubeconfig admin.conf\n") && err.contains("hint: "),
        "{err}"
    );
}
