use std::process::Command;

use proptest::prelude::*;

use super::*;

const PASSWD: &str = "\
root:*:0:0:root:/root:/bin/bash
daemon:*:1:1:daemon:/usr/sbin:/usr/sbin/nologin
nobody:*:65534:65534:nobody:/nonexistent:/usr/sbin/nologin
";
const GROUP: &str = "\
root:*:0:
daemon:*:1:
adm:*:4:
shadow:*:42:
users:*:100:
nogroup:*:65534:
";

fn accounts(files: &[(&str, &str)]) -> Result<Accounts, AccountsError> {
    let files: Vec<(String, String)> = files
        .iter()
        .map(|(name, text)| (format!("usr/lib/sysusers.d/{name}"), (*text).to_owned()))
        .collect();
    Accounts::from_sources(PASSWD, GROUP, &files)
}

fn text_of(tree: &Tree, path: &str) -> String {
    String::from_utf8(tree.file(path).unwrap().read().unwrap()).unwrap()
}

#[test]
fn the_four_files_are_written_without_a_clock_and_closed_for_passwords() {
    let accounts = accounts(&[
        ("dbus.conf", "u messagebus - \"System Message Bus\" /nonexistent\n"),
        ("resolve.conf", "u! systemd-resolve - \"systemd Resolver\"\n"),
        ("ssh.conf", "u sshd -:nogroup \"sshd user\" /run/sshd\nm sshd adm\n"),
    ])
    .unwrap();
    let mut tree = Tree::new();
    accounts.write(&mut tree).unwrap();
    let passwd = "\
root:x:0:0:root:/root:/bin/bash
daemon:x:1:1:daemon:/usr/sbin:/usr/sbin/nologin
nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin
messagebus:x:995:995:System Message Bus:/nonexistent:/usr/sbin/nologin
systemd-resolve:x:997:997:systemd Resolver:/:/usr/sbin/nologin
sshd:x:994:65534:sshd user:/run/sshd:/usr/sbin/nologin
";
    assert_eq!(text_of(&tree, "etc/passwd"), passwd);
    let group = "\
root:x:0:
daemon:x:1:
adm:x:4:sshd
shadow:x:42:
users:x:100:
nogroup:x:65534:
messagebus:x:995:
systemd-resolve:x:997:
";
    assert_eq!(text_of(&tree, "etc/group"), group);
    let shadow = text_of(&tree, "etc/shadow");
    assert!(shadow.starts_with("root:*:::::::\ndaemon:!*:::::::\n"));
    assert!(shadow.contains("systemd-resolve:!*::::::1:\n"));
    assert!(text_of(&tree, "etc/gshadow").contains("adm:!*::sshd\n"));
    let stat = &tree.at("etc/gshadow").unwrap().stat;
    assert_eq!((stat.mode, stat.uid, stat.gid), (0o640, 0, 42));
    assert_eq!(accounts.ids("sshd", "adm"), Some((994, 4)));
    assert_eq!(accounts.ids("sshd", "nowhere"), None);
}

#[test]
fn ids_depend_on_file_names_and_not_on_the_order_of_the_packages() {
    let a = ("a.conf", "u alpha -\n");
    let b = ("b.conf", "u beta -\ng gamma -\n");
    let one = accounts(&[a, b]).unwrap();
    assert_eq!(one, accounts(&[b, a]).unwrap());
    // Groups come first, as systemd-sysusers does it.
    assert_eq!(one.ids("alpha", "gamma"), Some((898, 899)));
}

#[test]
fn a_new_package_does_not_move_the_ids_of_pinned_accounts() {
    let alone = accounts(&[("dbus.conf", "u messagebus -\n")]).unwrap();
    let more = accounts(&[("a.conf", "u aaa -\n"), ("dbus.conf", "u messagebus -\n")]).unwrap();
    assert_eq!(
        alone.ids("messagebus", "messagebus"),
        more.ids("messagebus", "messagebus")
    );
}

#[test]
fn pinned_ids_are_distinct_and_outside_the_automatic_range() {
    let mut ids: Vec<u32> = PINNED_IDS.iter().map(|(_, id)| *id).collect();
    assert!(ids.iter().all(|id| (900..=999).contains(id)));
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), PINNED_IDS.len());
}

#[test]
fn an_overlay_s_file_hides_the_package_s_of_the_same_name() {
    let files = [
        ("usr/lib/sysusers.d/x.conf".to_owned(), "u one 200\n".to_owned()),
        ("etc/sysusers.d/x.conf".to_owned(), "u one 300\n".to_owned()),
    ];
    let accounts = Accounts::from_sources(PASSWD, GROUP, &files).unwrap();
    assert_eq!(accounts.ids("one", "one"), Some((300, 300)));
}

#[test]
fn base_passwd_s_accounts_win_over_equal_names() {
    let accounts = accounts(&[("basic.conf", "g users 100 -\nu root 0 \"Super User\" /root\n")]).unwrap();
    assert_eq!(accounts.users[0].gecos, "root");
    assert_eq!(accounts.groups.len(), 6);
}

#[test]
fn members_bring_along_users_and_groups_that_nobody_defined() {
    let accounts = accounts(&[("m.conf", "m node fleet\n")]).unwrap();
    assert_eq!(accounts.groups.last().unwrap().name, "node");
    let fleet = accounts.groups.iter().find(|group| group.name == "fleet").unwrap();
    assert_eq!(fleet.members, ["node"]);
}

#[test]
fn ranges_replace_the_automatic_one_and_run_out() {
    let range = "r - 500-501\nu a -\nu b -\n";
    let two = accounts(&[("r.conf", range)]).unwrap();
    assert_eq!(two.ids("a", "b"), Some((501, 500)));
    let error = accounts(&[("r.conf", &format!("{range}u c -\n"))]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "usr/lib/sysusers.d/r.conf:4: no free id is left for `c`"
    );
}

#[test]
fn each_bad_line_is_named_by_file_and_line() {
    let cases = [
        ("x a -\n", "`x` is no line type (`u`, `u!`, `g`, `m`, `r`)"),
        ("u\n", "the name is missing"),
        ("u 1abc -\n", "\"1abc\" is no user or group name"),
        ("u a 4294967295\n", "`4294967295` is no id"),
        ("u a -5\n", "`-5` is no id"),
        ("u a - \"no end\n", "the quote \" is not closed"),
        (
            "u a - \"a:b\"\n",
            "the full name \"a:b\" has a colon or a control character",
        ),
        ("u a - x relative\n", "\"relative\" is no absolute path"),
        ("u a%m -\n", "`%m` is not known when an image is built"),
        ("r - 9-1\n", "the range `9-1` ends before it begins"),
        ("u a - b c d e f\n", "the line has 8 columns, not up to six"),
    ];
    for (text, what) in cases {
        let error = accounts(&[("bad.conf", text)]).unwrap_err();
        assert_eq!(error.to_string(), format!("usr/lib/sysusers.d/bad.conf:1: {what}"));
    }
}

#[test]
fn clashes_are_errors_and_not_a_matter_of_luck() {
    let taken = accounts(&[("a.conf", "u a 1\n")]).unwrap_err();
    assert!(matches!(taken, AccountsError::IdTaken { id: 1, ref owner, .. } if owner == "daemon"));
    let twice = accounts(&[("a.conf", "u a 200\n"), ("b.conf", "u a 201\n")]).unwrap_err();
    assert_eq!(
        twice.to_string(),
        "usr/lib/sysusers.d/b.conf:1: `a` is already defined, and differently, at usr/lib/sysusers.d/a.conf:1"
    );
    assert!(accounts(&[("a.conf", "u a 200\n"), ("b.conf", "u a 200\n")]).is_ok());
    let group = accounts(&[("a.conf", "u a -:nowhere\n")]).unwrap_err();
    assert!(matches!(group, AccountsError::UnknownGroup { ref group, .. } if group == "nowhere"));
    let master = Accounts::from_sources("root:x:0\n", GROUP, &[]).unwrap_err();
    assert_eq!(
        master.to_string(),
        "usr/share/base-passwd/passwd.master:1: `root:x:0` is no line of a passwd file"
    );
}

#[test]
fn accounts_of_scripts_come_with_their_packages_only() {
    let lines = script_accounts(["openssh-client", "bash", "wpasupplicant"]);
    let accounts = Accounts::from_sources(PASSWD, GROUP, &lines).unwrap();
    assert_eq!(accounts.ids("root", "_ssh"), Some((0, 986)));
    assert_eq!(accounts.ids("root", "netdev"), Some((0, 987)));
    assert!(accounts.ids("_chrony", "_chrony").is_none());
}

#[test]
fn systemd_sysusers_gives_the_same_ids() {
    if Command::new("systemd-sysusers").arg("--version").output().is_err() {
        #[allow(clippy::print_stderr, reason = "a skipped judge is reported")]
        {
            eprintln!("skipped: no systemd-sysusers");
        }
        return;
    }
    // Ids within a range of the file's own: the pinned ones are ours alone. Without `u!`, which is new in 257.
    let text = "r - 300-400\nu zoe - \"Zoe Z\" /var/lib/zoe\nu sshd2 -:nogroup\ng alone -\nu fixed 222\nu pair 5:100\nm zoe users\nm extra adm\n";
    let root = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(root.path().join("etc")).unwrap();
    std::fs::create_dir_all(root.path().join("usr/lib/sysusers.d")).unwrap();
    std::fs::write(root.path().join("etc/passwd"), PASSWD).unwrap();
    std::fs::write(root.path().join("etc/group"), GROUP).unwrap();
    std::fs::write(root.path().join("usr/lib/sysusers.d/t.conf"), text).unwrap();
    let output = Command::new("systemd-sysusers")
        .arg(format!("--root={}", root.path().display()))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let ours = accounts(&[("t.conf", text)]).unwrap();
    let theirs = |file: &str| std::fs::read_to_string(root.path().join(file)).unwrap();
    let ids = |text: &str| {
        let fields = text.lines().map(|line| line.split(':').collect::<Vec<_>>());
        let mut ids: Vec<String> = fields.map(|f| format!("{} {} {}", f[0], f[2], f[3])).collect();
        ids.sort();
        ids
    };
    assert_eq!(ids(&database::passwd_text(&ours.users)), ids(&theirs("etc/passwd")));
    assert_eq!(ids(&database::group_text(&ours.groups)), ids(&theirs("etc/group")));
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused_without_panic(text in "[ugmr!]{1,2}[ \\-:/%\"'\\\\a-z0-9\n]{0,60}") {
        let _ = accounts(&[("x.conf", &text)]);
    }
}
