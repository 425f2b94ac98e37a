mod binaries;

use std::io::Write as _;

use proptest::prelude::*;

use super::elf_file::Linkage;
use super::*;
use crate::tree::{Node, Origin, Stat};
use binaries::{efi, elf, program, xz};

const ARCH: Arch = Arch::X86_64;

fn path(text: &str) -> TreePath {
    TreePath::parse(text).unwrap()
}

fn put(tree: &mut Tree, at: &str, mode: u16, content: Content) {
    let node = Node {
        stat: Stat::root(mode),
        content,
        origin: Origin::Package("demo".into()),
    };
    tree.replace(path(at), node).unwrap();
}

fn file(tree: &mut Tree, at: &str, bytes: impl AsRef<[u8]>) {
    put(tree, at, 0o644, Content::File(FileData::from_bytes(bytes.as_ref())));
}

fn link(tree: &mut Tree, at: &str, target: &str) {
    put(tree, at, 0o777, Content::Symlink(target.to_owned()));
}

/// A tree in which no lint finds anything; each test spoils it in one way.
fn good() -> Tree {
    let mut tree = Tree::new();
    put(&mut tree, "usr/lib", 0o755, Content::Dir);
    link(&mut tree, "lib", "usr/lib");
    link(&mut tree, "lib64", "usr/lib");
    let loader = "/lib64/ld-linux-x86-64.so.2";
    file(&mut tree, "usr/lib/ld-linux-x86-64.so.2", program("", &[], ""));
    file(
        &mut tree,
        "usr/lib/x86_64-linux-gnu/libc.so.6",
        program("", &["ld-linux-x86-64.so.2"], ""),
    );
    file(
        &mut tree,
        "usr/lib/demo/private/libown.so",
        program("", &["libc.so.6"], ""),
    );
    file(
        &mut tree,
        "usr/bin/demo",
        program(
            loader,
            &["libc.so.6", "libown.so"],
            "/nowhere:$ORIGIN/../lib/demo/private",
        ),
    );
    file(&mut tree, "usr/lib/modules/6.12/a.ko", program("", &[], ""));
    file(&mut tree, "usr/lib/modules/6.12/b.ko.xz", xz(&program("", &[], "")));
    file(&mut tree, "usr/lib/systemd/boot/efi/systemd-bootx64.efi", efi(0x8664));
    file(&mut tree, "etc/shadow", "root:*:1:0:99999:7:::\ndaemon:!:1::::::\n");
    file(&mut tree, "etc/gshadow", "root:*::\nadm:::\n");
    file(&mut tree, "etc/passwd", "root:x:0:0:root:/root:/bin/sh\n");
    file(&mut tree, "etc/machine-id", "");
    file(
        &mut tree,
        "etc/demo.pem",
        "-----BEGIN CERTIFICATE-----\nMIIBszCCAVmgAwIBAgIUQ0FBQUFBQUFBQUFBQUFBQUFBQUFBQQ==\n-----END CERTIFICATE-----\n",
    );
    link(&mut tree, "etc/mtab", "../proc/self/mounts");
    link(&mut tree, "etc/own", "/usr/bin/demo");
    put(&mut tree, "tmp", 0o1777, Content::Dir);
    put(&mut tree, "dev/null", 0o666, Content::CharDevice { major: 1, minor: 3 });
    tree
}

fn found(tree: &Tree) -> Vec<String> {
    let report = run(tree, ARCH, &LintAllow::default());
    assert_eq!(report.has_errors(), !report.findings.is_empty());
    report.findings.iter().map(ToString::to_string).collect()
}

fn spoiled(spoil: impl FnOnce(&mut Tree)) -> Vec<String> {
    let mut tree = good();
    spoil(&mut tree);
    found(&tree)
}

#[test]
fn nothing_is_found_in_a_good_tree() {
    assert_eq!(found(&good()), [""; 0]);
}

#[test]
fn names_of_lints_are_sorted_and_all_have_a_description() {
    assert!(LINTS.is_sorted_by(|a, b| a.name < b.name));
    assert!(LINTS.iter().all(|lint| !lint.description.is_empty()));
}

#[test]
fn code_for_another_machine_is_found_in_every_wrapping() {
    let foreign = elf(183, &Linkage::default());
    let message = "is for aarch64, the image for x86_64 (elf-arch)";
    for name in ["usr/bin/x", "usr/lib/modules/m.ko"] {
        assert_eq!(
            spoiled(|tree| file(tree, name, &foreign)),
            [format!("/{name} {message}")]
        );
    }
    assert_eq!(
        spoiled(|tree| file(tree, "lib/modules/m.ko.xz", xz(&foreign))),
        [format!("/usr/lib/modules/m.ko.xz {message}")]
    );
    let zst = zstd::stream::encode_all(foreign.as_slice(), 1).unwrap();
    assert_eq!(
        spoiled(|tree| file(tree, "lib/modules/m.ko.zst", zst)),
        [format!("/usr/lib/modules/m.ko.zst {message}")]
    );
    let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gz.write_all(&foreign).unwrap();
    assert_eq!(
        spoiled(|tree| file(tree, "lib/modules/m.ko.gz", gz.finish().unwrap())),
        [format!("/usr/lib/modules/m.ko.gz {message}")]
    );
    assert_eq!(
        spoiled(|tree| file(tree, "usr/lib/firmware/dsp.mbn", &foreign)),
        [""; 0]
    );
    assert_eq!(
        spoiled(|tree| file(tree, "prog.o", elf(247, &Linkage::default()))),
        [""; 0]
    );
}

#[test]
fn an_efi_program_for_another_machine_is_found() {
    let of = |bytes: &[u8]| spoiled(|tree| file(tree, "x.efi.stub", bytes));
    assert_eq!(
        of(&efi(0xaa64)),
        ["/x.efi.stub is an EFI program for aarch64, the image for x86_64 (elf-arch)"]
    );
    assert_eq!(of(&efi(0x8664)[..100]), ["/x.efi.stub is no EFI program (elf-arch)"]);
    assert_eq!(of(b""), ["/x.efi.stub is no EFI program (elf-arch)"]);
}

#[test]
fn a_damaged_kernel_module_is_found() {
    let found = spoiled(|tree| file(tree, "lib/modules/m.ko.xz", b"\xfd7zXZ\0\0garbage"));
    assert!(
        found[0].starts_with("/usr/lib/modules/m.ko.xz cannot be decompressed: "),
        "{found:?}"
    );
    assert_eq!(
        spoiled(|tree| file(tree, "lib/modules/m.ko", "text")),
        ["/usr/lib/modules/m.ko is no kernel module (elf-arch)"]
    );
    assert_eq!(spoiled(|tree| file(tree, "usr/share/vim/tutor.ko", "text")), [""; 0]);
}

#[test]
fn a_library_or_interpreter_that_is_not_there_is_found() {
    let gone = spoiled(|tree| tree.remove(&path("usr/lib/demo/private/libown.so")));
    assert_eq!(
        gone,
        ["/usr/bin/demo needs the library `libown.so`, which is not there (needed-libraries)"]
    );
    let musl = spoiled(|tree| file(tree, "usr/bin/m", program("/lib/ld-musl-x86_64.so.1", &[], "")));
    let expected =
        "/usr/bin/m needs the program interpreter `/lib/ld-musl-x86_64.so.1`, which is not there (needed-libraries)";
    assert_eq!(musl, [expected]);
}

#[test]
fn libraries_of_one_private_folder_find_each_other() {
    let plugin = |at| move |tree: &mut Tree| file(tree, at, program("", &["libown.so"], ""));
    assert_eq!(spoiled(plugin("usr/lib/demo/private/plugin.so")), [""; 0]);
    assert_eq!(spoiled(plugin("usr/lib/demo/plugin.so")).len(), 1);
}

#[test]
fn folders_of_ld_so_conf_are_searched() {
    let user = |tree: &mut Tree| file(tree, "usr/bin/u", program("", &["libx.so"], ""));
    let with_library = |tree: &mut Tree| {
        user(tree);
        file(tree, "opt/x/libx.so", program("", &[], ""));
    };
    assert_eq!(spoiled(with_library).len(), 1);
    let found = spoiled(|tree| {
        with_library(tree);
        file(
            tree,
            "etc/ld.so.conf",
            "# all\ninclude /etc/ld.so.conf.d/*.conf\ninclude ld.so.conf\n",
        );
        file(tree, "etc/ld.so.conf.d/x.conf", "/opt/x # here\n");
    });
    assert_eq!(found, [""; 0]);
}

#[test]
fn a_damaged_elf_file_is_found() {
    let whole = program("", &["libc.so.6"], "");
    let found = spoiled(|tree| file(tree, "usr/bin/cut", &whole[..whole.len() - 20]));
    assert_eq!(found, ["/usr/bin/cut is a damaged ELF file (needed-libraries)"]);
}

#[test]
fn links_to_nothing_and_to_themselves_are_found() {
    let found = spoiled(|tree| link(tree, "etc/x", "../usr/bin/gone"));
    assert_eq!(
        found,
        ["/etc/x is a link to `../usr/bin/gone`, and /usr/bin/gone is not there (dangling-links)"]
    );
    let found = spoiled(|tree| link(tree, "etc/x", "x"));
    assert_eq!(found, ["/etc/x is a link to `x` and so to itself (dangling-links)"]);
    assert_eq!(spoiled(|tree| link(tree, "etc/x", "/run/x/y")), [""; 0]);
}

#[test]
fn secrets_are_found_by_their_place() {
    let found = |at: &str, text: &str| spoiled(|tree| file(tree, at, text));
    let one = |at: &str, text: &str, message: &str| assert_eq!(found(at, text), [format!("/{at} {message} (secrets)")]);
    one(
        "etc/shadow",
        "root:$y$j9T$abc$def:1::::::\n",
        "holds a password hash of `root`",
    );
    one(
        "etc/shadow",
        "root:!$6$abc$def:1::::::\n",
        "holds a password hash of `root`",
    );
    one("etc/shadow", "root::1::::::\n", "lets `root` in without a password");
    one("etc/gshadow", "adm:$6$x$y::\n", "holds a password hash of `adm`");
    one(
        "etc/passwd",
        "root:aaQSqAReePlq6:0:0::/:/bin/sh\n",
        "holds a password hash of `root`",
    );
    one(
        "etc/machine-id",
        "uninitialized\n",
        "is a machine id that all machines would share",
    );
    one(
        "etc/ssh/ssh_host_rsa_key.pub",
        "ssh-rsa",
        "is an SSH host key that all machines would share",
    );
    one(
        "var/lib/systemd/random-seed",
        "x",
        "is a random seed that all machines would share",
    );
    one("root/.docker/config.json", "{}", "is a file of credentials");
}

#[test]
fn secrets_are_found_by_their_form() {
    let found = |at: &str, text: &str| spoiled(|tree| file(tree, at, text));
    let key = |label: &str, body: &str| format!("x\n  -----BEGIN {label}-----\n{body}\n-----END {label}-----\n");
    let body = "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg";
    for label in [
        "PRIVATE KEY",
        "RSA PRIVATE KEY",
        "OPENSSH PRIVATE KEY",
        "PGP PRIVATE KEY BLOCK",
    ] {
        let with_header = format!("Proc-Type: 4,ENCRYPTED\n\n{body}");
        assert_eq!(
            found("opt/k", &key(label, &with_header)),
            ["/opt/k holds a private key (secrets)"],
            "{label}"
        );
    }
    assert_eq!(found("usr/share/doc/k", &key("PRIVATE KEY", "...")), [""; 0]);
    assert_eq!(found("usr/lib/k", &key("PUBLIC KEY", body)), [""; 0]);
    assert_eq!(found("usr/lib/k", &format!("\0{}", key("PRIVATE KEY", body))), [""; 0]);
    let kubeconfig = format!("users:\n- user:\n    client-key-data: {body}\n");
    assert_eq!(
        found("etc/k.conf", &kubeconfig),
        ["/etc/k.conf holds the private key of a kubeconfig (secrets)"]
    );
    let token = format!("token = ghp_{}", "a1".repeat(18));
    assert_eq!(found("etc/t", &token), ["/etc/t holds a GitHub token (secrets)"]);
    assert_eq!(found("etc/t", &token.replace("ghp_", "xghp_")), [""; 0]);
}

#[test]
fn programs_that_gain_rights_are_found_until_they_are_allowed() {
    let mut tree = good();
    put(
        &mut tree,
        "usr/bin/su",
        0o6755,
        Content::File(FileData::from_bytes(&b""[..])),
    );
    put(
        &mut tree,
        "usr/bin/ping",
        0o755,
        Content::File(FileData::from_bytes(&b""[..])),
    );
    put(&mut tree, "var/mail", 0o2775, Content::Dir);
    let ping = tree.get_mut(&path("usr/bin/ping")).unwrap();
    ping.stat.xattrs.insert("security.capability".to_owned(), vec![1]);
    assert_eq!(
        found(&tree),
        [
            "/usr/bin/ping has file capabilities (from package demo) (setuid)",
            "/usr/bin/su is setgid for gid 0 (mode 6755, from package demo) (setuid)",
            "/usr/bin/su is setuid for uid 0 (mode 6755, from package demo) (setuid)",
        ]
    );
    let allow =
        |lint: &str, pattern: &str| LintAllow::new(&BTreeMap::from([(lint.to_owned(), vec![pattern.to_owned()])]));
    assert_eq!(
        run(&tree, ARCH, &allow("setuid", "/usr/bin/*").unwrap()),
        Report::default()
    );
    assert_eq!(run(&tree, ARCH, &allow("setuid", "usr/*").unwrap()).findings.len(), 3);
    assert_eq!(run(&tree, ARCH, &allow("secrets", "**").unwrap()).findings.len(), 3);
    let error = allow("setuids", "x").unwrap_err();
    assert_eq!(error.to_string(), "`setuids` is not the name of a lint");
    assert!(error.hints()[0].contains("`setuid`"));
    assert!(matches!(
        allow("setuid", "a["),
        Err(AllowError::BadPattern { lint: "setuid", .. })
    ));
}

#[test]
fn what_anybody_may_write_is_found() {
    let expected = |path: &str, mode: &str| {
        [format!(
            "{path} may be written by anybody (mode {mode}) (world-writable)"
        )]
    };
    let data = || Content::File(FileData::from_bytes(&b""[..]));
    assert_eq!(
        spoiled(|tree| put(tree, "etc/w", 0o666, data())),
        expected("/etc/w", "0666")
    );
    assert_eq!(
        spoiled(|tree| put(tree, "tmp", 0o777, Content::Dir)),
        expected("/tmp", "0777")
    );
}

#[test]
fn a_file_that_cannot_be_read_is_a_finding() {
    let empty = std::sync::Arc::new(tempfile::tempfile().unwrap());
    let data = FileData::from_stored(empty, 0, 100, crate::digest::Sha256::of(b""));
    let found = spoiled(|tree| put(tree, "usr/bin/x", 0o755, Content::File(data)));
    assert_eq!(found.len(), 3);
    assert!(
        found.iter().all(|text| text.starts_with("/usr/bin/x cannot be read: ")),
        "{found:?}"
    );
}

proptest! {
    #[test]
    fn no_elf_file_however_damaged_stops_the_lints(at in 0_usize..400, byte in any::<u8>(), cut in 64_usize..500) {
        let mut bytes = program("/lib64/ld-linux-x86-64.so.2", &["libc.so.6", "libown.so"], "$ORIGIN");
        let at = at % bytes.len();
        bytes[at] = byte;
        bytes.truncate(cut);
        let mut tree = Tree::new();
        file(&mut tree, "x", &bytes);
        file(&mut tree, "x.efi", &bytes);
        file(&mut tree, "usr/lib/modules/x.ko.xz", &bytes);
        run(&tree, ARCH, &LintAllow::default());
    }
}
