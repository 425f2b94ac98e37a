//! Modes and owners that maintainer scripts set with dpkg-statoverride(1), chown and chmod.
//!
//! In: the accounts and the tree with all packages. A row whose path the tree does not have is passed over. Owners that
//! archives give by name (such as `unix_chkpwd`, root:shadow 2755) are the archive reader's business, not this pass's.

use super::accounts::Accounts;
use crate::failure::Diagnose;
use crate::tree::{Content, Tree, TreePath};

/// Path, mode, user, group, and whose script does it.
const ROWS: &[(&str, u16, &str, &str)] = &[
    // dbus: without it D-Bus cannot start services of other users.
    (
        "usr/lib/dbus-1.0/dbus-daemon-launch-helper",
        0o4754,
        "root",
        "messagebus",
    ),
    // openssh-client: setgid keeps other processes of the user from reading the agent's memory.
    ("usr/bin/ssh-agent", 0o2755, "root", "_ssh"),
    // chrony: the daemon reads the keys after it has given up root.
    ("etc/chrony/chrony.keys", 0o640, "root", "_chrony"),
    ("var/lib/chrony", 0o750, "_chrony", "_chrony"),
    ("var/log/chrony", 0o750, "_chrony", "_chrony"),
    // tpm-udev.
    ("var/lib/tpm", 0o755, "tss", "tss"),
    // systemd: as its tmpfiles.d lines set them.
    ("etc/credstore", 0o700, "root", "root"),
    ("etc/credstore.encrypted", 0o700, "root", "root"),
    // sudo: refuses to run if others could read or write it.
    ("etc/sudoers", 0o440, "root", "root"),
    // polkitd: the rules may hold what other users must not read.
    ("etc/polkit-1/rules.d", 0o750, "root", "polkitd"),
    ("usr/lib/polkit-1/polkit-agent-helper-1", 0o4755, "root", "root"),
];

/// A path that shall belong to an account that the image does not have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{path} shall belong to {user}:{group}, which the image does not have")]
pub struct UnknownOwner {
    /// The path.
    pub path: TreePath,
    /// The user.
    pub user: &'static str,
    /// The group.
    pub group: &'static str,
}

impl Diagnose for UnknownOwner {
    fn hints(&self) -> Vec<String> {
        let name = if self.group == "root" { self.user } else { self.group };
        vec![format!(
            "define the account with a sysusers.d line in an overlay, or leave out {} by an exclude pattern; `{name}` normally comes with the package",
            self.path
        )]
    }
}

/// Sets mode and owner of every path of the table that is in the tree.
pub fn apply(tree: &mut Tree, accounts: &Accounts) -> Result<(), UnknownOwner> {
    for (path, mode, user, group) in ROWS {
        let place = super::made::path(path);
        let place = match tree.get(&place).map(|node| &node.content) {
            Some(Content::HardLink(target)) => target.clone(),
            _ => place,
        };
        let Some(node) = tree.get_mut(&place) else { continue };
        let (uid, gid) = accounts.ids(user, group).ok_or(UnknownOwner {
            path: place,
            user,
            group,
        })?;
        (node.stat.mode, node.stat.uid, node.stat.gid) = (*mode, uid, gid);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::made::By;
    use super::*;

    #[test]
    fn the_launch_helper_becomes_setuid_root_for_messagebus_only() {
        let mut tree = Tree::new();
        let helper = super::super::made::path(ROWS[0].0);
        tree.insert(helper.clone(), By("test").file(0o755, "ELF")).unwrap();
        let missing = apply(&mut tree, &Accounts::default()).unwrap_err();
        assert_eq!(missing.group, "messagebus");

        let sources = [("usr/lib/sysusers.d/dbus.conf".to_owned(), "u messagebus -\n".to_owned())];
        let accounts = Accounts::from_sources("root:*:0:0:root:/root:/bin/bash\n", "root:*:0:\n", &sources).unwrap();
        apply(&mut tree, &accounts).unwrap();
        let stat = &tree.get(&helper).unwrap().stat;
        assert_eq!((stat.mode, stat.uid, stat.gid), (0o4754, 0, 995));
    }
}
