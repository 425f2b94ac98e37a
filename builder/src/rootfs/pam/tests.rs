use super::*;

const UNIX: &str = "\
Name: Unix authentication
Default: yes
Priority: 256
Auth-Type: Primary
Auth:
	[success=end default=ignore]	pam_unix.so nullok try_first_pass
Auth-Initial:
	[success=end default=ignore]	pam_unix.so nullok
Session-Type: Additional
Session:
	required	pam_unix.so
";
const SYSTEMD: &str = "\
Name: Register user sessions in the systemd control group hierarchy
Default: yes
Priority: 0
Session-Interactive-Only: yes
Session-Type: Additional
Session:
	optional	pam_systemd.so
";
const SSS: &str = "\
Name: SSS authentication
Default: yes
Priority: 128
Auth-Type: Primary
Auth:
	[success=end default=ignore]	pam_sss.so use_first_pass
";
const HOME: &str = "Name: Create home directory on login\nDefault: no\nPriority: 0\nSession-Type: Additional\nSession:\n\toptional pam_mkhomedir.so\n";

fn template(variable: &str, group: &str) -> String {
    format!("# a comment\n\n${variable}_primary\n{group}\trequisite\tpam_deny.so\n${variable}_additional\n# end\n")
}

fn tree_with(profiles: &[(&str, &str)]) -> Tree {
    let mut tree = Tree::new();
    let mut put = |place: String, text: &str| tree.insert(path(&place), By("test").file(0o644, text)).unwrap();
    for (name, text) in profiles {
        put(format!("usr/share/pam-configs/{name}"), text);
    }
    for (file, stack, variable) in FILES {
        let group = match stack {
            Stack::Auth => "auth",
            Stack::Account => "account",
            Stack::Password => "password",
            Stack::Session | Stack::SessionNoninteractive => "session",
        };
        put(format!("usr/share/pam/{file}"), &template(variable, group));
    }
    tree
}

fn result(tree: &Tree, file: &str) -> String {
    let data = tree.file(&format!("etc/pam.d/{file}")).unwrap();
    String::from_utf8(data.read().unwrap()).unwrap()
}

#[test]
fn the_default_profiles_give_debian_s_files() {
    let mut tree = tree_with(&[("mkhomedir", HOME), ("systemd", SYSTEMD), ("unix", UNIX)]);
    apply(&mut tree).unwrap();
    assert_eq!(
        result(&tree, "common-auth"),
        "auth\t[success=1 default=ignore]\tpam_unix.so nullok\nauth\trequisite\tpam_deny.so\n"
    );
    let session =
        "session\t[default=1]\tpam_permit.so\nsession\trequisite\tpam_deny.so\nsession\trequired\tpam_unix.so\n";
    assert_eq!(result(&tree, "common-session-noninteractive"), session);
    let interactive = format!("{session}session\toptional\tpam_systemd.so\n");
    assert_eq!(result(&tree, "common-session"), interactive);
}

#[test]
fn each_module_jumps_behind_the_deny_and_only_the_first_asks() {
    let mut tree = tree_with(&[("sss", SSS), ("unix", UNIX)]);
    apply(&mut tree).unwrap();
    let expected = "\
auth\t[success=2 default=ignore]\tpam_unix.so nullok
auth\t[success=1 default=ignore]\tpam_sss.so use_first_pass
auth\trequisite\tpam_deny.so
";
    assert_eq!(result(&tree, "common-auth"), expected);
}

#[test]
fn a_tree_without_pam_gets_no_files() {
    let mut tree = Tree::new();
    apply(&mut tree).unwrap();
    assert_eq!(tree.len(), 1);
}

#[test]
fn unknown_fields_and_conflicts_stop_the_build() {
    let mut tree = tree_with(&[("odd", "Default: yes\nAuthority: x\n")]);
    let error = apply(&mut tree).unwrap_err().to_string();
    assert_eq!(
        error,
        "/usr/share/pam-configs/odd:2: `Authority: x` is no line of a PAM profile"
    );
    let clash = SSS.replace("Priority", "Conflicts: unix\nPriority");
    let mut tree = tree_with(&[("sss", &clash), ("unix", UNIX)]);
    assert!(matches!(apply(&mut tree), Err(PamError::Conflict { .. })));
}
