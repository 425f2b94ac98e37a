//! The command line of `seed` and `token`: exit codes, what goes to which stream, and that no secret goes anywhere.

#![allow(clippy::unwrap_used, reason = "a failed expectation is what a test is for")]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use skerry_builder::arch::Arch;
use skerry_builder::digest::Sha256;
use skerry_builder::disk::{self, DiskInput, DiskLayout, SlotInput, TableKind};
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
        table: TableKind::Gpt,
        first_partition: 1 << 20,
        loaders: Vec::new(),
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
        err.starts_with(
            "error: cannot reach the API server https://127.0.0.1:9\n  caused by: Connection refused (os error 111)\n\nhint: "
        ),
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
        ["--node-name", "Edge_1"],
    ] {
        let arguments: Vec<&str> = base.into_iter().chain(more).collect();
        let (code, out, err) = skerry(folder.path(), &arguments);
        assert_eq!((code, out.as_str()), (Some(2), ""), "{more:?}: {err}");
    }
}

#[test]
fn a_join_file_that_cannot_be_written_is_told_before_there_is_a_token() {
    let folder = folder();
    kubeconfig(folder.path(), "https://127.0.0.1:9");
    for out in ["absent/join.toml", "admin.conf/join.toml"] {
        let arguments = ["token", "create", "--kubeconfig", "admin.conf", "--out", out];
        let (code, _, err) = skerry(folder.path(), &arguments);
        assert_eq!(code, Some(1), "{err}");
        assert!(err.starts_with(&format!("error: cannot write {out}: ")), "{err}");
    }
}

#[test]
fn a_file_that_a_kubeconfig_names_in_vain_is_told_with_the_reason() {
    let folder = folder();
    kubeconfig(folder.path(), "https://127.0.0.1:9");
    fs::remove_file(folder.path().join("ca.crt")).unwrap();
    let arguments = ["token", "create", "--kubeconfig", "admin.conf", "--out", "-"];
    let (code, _, err) = skerry(folder.path(), &arguments);
    assert_eq!(code, Some(1));
    assert!(
        err.contains("caused by: cannot read ca.crt, which `certificate-authority` names\n"),
        "{err}"
    );
    assert!(err.contains("caused by: No such file or directory"), "{err}");
}

#[test]
fn a_setting_that_no_machine_can_carry_out_is_refused_before_it_is_on_one() {
    let folder = folder();
    let seed = |more: &str| {
        fs::write(folder.path().join("bad.toml"), join_file() + more).unwrap();
        skerry(folder.path(), &["seed", "edge.raw", "--join", "bad.toml"])
    };
    let (code, _, err) = seed("[network]\ngateways = [\"192.0.2.1\"]\n");
    assert_eq!(
        (code, err.as_str()),
        (
            Some(1),
            "error: cannot use the join file bad.toml\n  caused by: line 6, column 13: `network.gateways`: there is no \
             address of its family in `network.addresses`\n  |\n6 | gateways = [\"192.0.2.1\"]\n  |             \
             ^^^^^^^^^^^\n\nhint: add the machine's own address to `addresses`, or leave the gateway to DHCP\n"
        )
    );
    assert_eq!(seed("[network]\npod-cidr = \"10.85.0.0/31\"\n").0, Some(1));
    assert_eq!(seed("[kubelet]\nreserved-memory = \"64Gi\"\n").0, Some(0));
}

#[test]
fn a_join_file_from_standard_input_is_called_so() {
    let (code, _, err) = skerry(folder().path(), &["seed", "edge.raw", "--join", "-"]);
    assert_eq!(code, Some(1));
    assert!(
        err.starts_with("error: cannot use the join file from standard input\n"),
        "{err}"
    );
}

#[test]
fn check_warns_of_what_a_build_would_not_find() {
    let folder = folder();
    let run = |arguments: &[&str]| skerry(folder.path(), arguments);
    assert_eq!(run(&["init", "site"]).0, Some(0));
    let (code, _, err) = run(&["check", "site"]);
    assert_eq!((code, err.contains("warning")), (Some(0), false), "{err}");
    let path = folder.path().join("images/site.toml");
    let digest = "0".repeat(64);
    let more = format!("\n[preload.app]\nfile = \"app.tar\"\nsha256 = \"{digest}\"\n");
    let text = fs::read_to_string(&path)
        .unwrap()
        .replace("# overlays = ", "overlays = ");
    fs::write(&path, text + &more).unwrap();
    let (code, _, err) = run(&["check", "site"]);
    assert_eq!(code, Some(0), "{err}");
    let warnings: Vec<&str> = err.lines().filter(|line| line.starts_with("warning: ")).collect();
    assert_eq!(
        warnings,
        [
            "warning: there is no folder `overlays/site`",
            "warning: `preload.app.file` names `app.tar`, which is not there"
        ]
    );
}

/// The header of a program for 64-bit x86: little-endian ELF with `e_machine` 62 (gABI, "ELF header").
fn x86_program() -> Vec<u8> {
    let mut bytes = vec![0; 64];
    bytes[..7].copy_from_slice(b"\x7fELF\x02\x01\x01");
    bytes[16..20].copy_from_slice(&[2, 0, 62, 0]);
    bytes[20] = 1;
    bytes
}

#[test]
fn check_refuses_an_x86_program_in_an_overlay_of_an_arm_image() {
    let folder = folder();
    let run = |arguments: &[&str]| skerry(folder.path(), arguments);
    assert_eq!(run(&["init", "site"]).0, Some(0));
    let definition = |base: &str| format!("version = 1\nbase = \"{base}.toml\"\noverlays = [\"site\"]\n");
    for image in ["edge-aarch64", "edge-x86_64"] {
        let path = folder.path().join(format!("images/on-{image}.toml"));
        fs::write(path, definition(image)).unwrap();
    }
    let bin = folder.path().join("overlays/site/usr/bin");
    fs::create_dir_all(&bin).unwrap();
    fs::write(bin.join("tool"), x86_program()).unwrap();
    assert_eq!(run(&["check", "on-edge-x86_64"]).0, Some(0));
    let (code, out, err) = run(&["check", "on-edge-aarch64"]);
    assert_eq!((code, out.as_str()), (Some(1), ""));
    assert!(
        err.contains("/usr/bin/tool is for x86_64, the image for aarch64 (elf-arch)"),
        "{err}"
    );
}

#[test]
fn help_fits_eighty_columns_and_its_examples_can_be_copied() {
    let folder = folder();
    for command in [
        vec![],
        vec!["seed"],
        vec!["token", "create"],
        vec!["run"],
        vec!["build"],
        vec!["lock"],
    ] {
        let arguments: Vec<&str> = command.iter().copied().chain(["--help"]).collect();
        let output = Command::new(env!("CARGO_BIN_EXE_skerry"))
            .args(&arguments)
            .current_dir(folder.path())
            .env("COLUMNS", "80")
            .output()
            .unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let long = text.lines().find(|line| line.chars().count() > 80);
        assert_eq!(long, None, "{command:?}");
        let examples = text.split_once("Examples:\n").map_or("", |(_, examples)| examples);
        let mut continued = false;
        for line in examples.lines() {
            assert!(continued || line.starts_with("  skerry "), "{command:?}: {line}");
            continued = line.ends_with('\\');
        }
    }
}

#[test]
fn the_permissions_are_printed_without_a_cluster() {
    let folder = folder();
    let (code, out, err) = skerry(folder.path(), &["token", "create", "--print-rbac"]);
    assert_eq!((code, err.as_str()), (Some(0), ""));
    assert_eq!(out.matches("\n---\n").count(), 4);
    assert!(out.contains("  name: system:node-bootstrapper\n"));
    assert!(
        include_str!("../../docs/joining.md").contains(&out),
        "docs/joining.md shows others"
    );
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
