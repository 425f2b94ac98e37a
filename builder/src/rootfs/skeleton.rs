//! Folders, links and constant files that no package owns.
//!
//! [`before`] runs on the empty tree, so that the packages find merged-/usr (Debian policy §9.1.1, file-hierarchy(7));
//! [`after`] runs when all packages are in, replaces base-files' and netbase's scripts, and names the image in
//! os-release(5). Not made: `/etc/machine-id` and `/etc/hostname`, which belong to the device (the program in the initrd
//! puts the id into the overlay over `/etc` before PID 1 looks), and `/etc/fstab` (the partitions say what they are).

mod nsswitch;
mod os_release;

use super::made::{By, path};
use crate::tree::{Tree, TreeError};

pub use os_release::ImageName;

const BY: By = By("skeleton");

/// The top-level links of merged-/usr.
const MERGED: [&str; 4] = ["bin", "lib", "lib64", "sbin"];

/// Folder and mode. Where a package ships the same folder, this mode stays.
const FOLDERS: &[(&str, u16)] = &[
    ("boot", 0o755),
    ("dev", 0o755),
    // Mount point of the EFI system partition: systemd-gpt-auto-generator takes /efi where it exists.
    ("efi", 0o755),
    ("etc", 0o755),
    ("etc/opt", 0o755),
    ("home", 0o755),
    ("media", 0o755),
    ("mnt", 0o755),
    ("opt", 0o755),
    ("proc", 0o555),
    ("root", 0o700),
    ("run", 0o755),
    ("run/lock", 0o1777),
    ("srv", 0o755),
    ("sys", 0o555),
    ("tmp", 0o1777),
    ("usr/local/bin", 0o755),
    ("usr/local/etc", 0o755),
    ("usr/local/lib", 0o755),
    ("usr/local/sbin", 0o755),
    ("usr/local/share", 0o755),
    ("var", 0o755),
    ("var/cache", 0o755),
    ("var/lib", 0o755),
    ("var/log", 0o755),
    ("var/opt", 0o755),
    ("var/spool", 0o755),
    ("var/tmp", 0o1777),
];

/// Links of base-files' postinst; relative, so that they stay inside the image when looked at from outside.
const EARLY_LINKS: &[(&str, &str)] = &[("var/lock", "../run/lock"), ("var/run", "../run")];

/// Files that scripts copy from a package's template to its place: template, place, mode.
const COPIES: &[(&str, &str, u16)] = &[
    ("usr/share/base-files/profile", "etc/profile", 0o644),
    ("usr/share/base-files/dot.bashrc", "root/.bashrc", 0o644),
    ("usr/share/base-files/dot.profile", "root/.profile", 0o644),
    ("usr/share/readline/inputrc", "etc/inputrc", 0o644),
    ("usr/share/openssh/sshd_config", "etc/ssh/sshd_config", 0o644),
    ("usr/share/chrony/chrony.conf", "etc/chrony/chrony.conf", 0o644),
    ("usr/share/chrony/chrony.keys", "etc/chrony/chrony.keys", 0o640),
];

/// As netbase's postinst writes it. Without it every pod sandbox fails: the runtime copies it.
const HOSTS: &str = "\
127.0.0.1 localhost
::1 localhost ip6-localhost ip6-loopback
ff02::1 ip6-allnodes
ff02::2 ip6-allrouters
";

/// Read before sshd_config's own settings; the first value wins (sshd_config(5)).
const SSHD_DROP_IN: &str = "\
# No account of this image has a password.
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin prohibit-password
";

/// Shells by program name; `/etc/shells` lists those that the tree has, as update-shells does.
const SHELLS: [&str; 4] = ["sh", "bash", "rbash", "dash"];

/// Folders and links that must be there before the first package.
pub fn before(tree: &mut Tree) -> Result<(), TreeError> {
    for name in MERGED {
        tree.insert(path(&format!("usr/{name}")), BY.folder(0o755))?;
        tree.insert(path(name), BY.link(&format!("usr/{name}")))?;
    }
    for (folder, mode) in FOLDERS {
        tree.insert(path(folder), BY.folder(*mode))?;
    }
    for (link, target) in EARLY_LINKS {
        tree.insert(path(link), BY.link(target))?;
    }
    Ok(())
}

/// Constant files and the image's name; replaces what packages put there.
pub fn after(tree: &mut Tree, image: &ImageName) -> Result<(), TreeError> {
    for (template, place, mode) in COPIES {
        if let Some(data) = tree.file(template).cloned()
            && tree.at(place).is_none()
        {
            tree.insert(path(place), BY.copy(*mode, data))?;
        }
    }
    let release = os_release::text(tree, image);
    let issue = format!("Skerry {} {} \\n \\l\n\n", image.name, image.version);
    let files = [
        ("etc/environment", String::new()),
        ("etc/hosts", HOSTS.to_owned()),
        ("etc/issue", issue.clone()),
        ("etc/issue.net", issue.replace(" \\n \\l\n\n", "\n")),
        ("etc/locale.conf", "LANG=C.UTF-8\n".to_owned()),
        ("etc/nsswitch.conf", nsswitch::text(tree)),
        ("etc/shells", shells(tree)),
        // Stamps that tell systemd (ConditionNeedsUpdate=) that /etc and /var fit this /usr. All of an image has one
        // time, and an equal time counts as up to date, so the content does not matter.
        ("etc/.updated", String::new()),
        ("var/.updated", String::new()),
        // Its time, which is the lock's, is the earliest that systemd lets the clock show: a board without a clock does
        // not wake up in 1970, where no certificate is valid yet (systemd(1), "/usr/lib/clock-epoch").
        ("usr/lib/clock-epoch", String::new()),
        ("usr/lib/os-release", release),
    ];
    for (place, text) in files {
        tree.replace(path(place), BY.file(0o644, text))?;
    }
    if tree.at("etc/ssh/sshd_config").is_some() {
        let place = path("etc/ssh/sshd_config.d/10-skerry.conf");
        tree.replace(place, BY.file(0o644, SSHD_DROP_IN))?;
    }
    links(tree)
}

fn links(tree: &mut Tree) -> Result<(), TreeError> {
    let mut links = vec![
        ("etc/default/locale", "../locale.conf"),
        ("etc/mtab", "../proc/self/mounts"),
        ("etc/os-release", "../usr/lib/os-release"),
    ];
    match tree.file("usr/lib/systemd/systemd-resolved") {
        Some(_) => links.push(("etc/resolv.conf", "../run/systemd/resolve/stub-resolv.conf")),
        // Never missing: the container runtime copies it into each pod.
        None => tree.replace(path("etc/resolv.conf"), BY.file(0o644, ""))?,
    }
    // Without time zone data there is no link: a missing one means UTC as well (localtime(5)).
    if tree.file("usr/share/zoneinfo/Etc/UTC").is_some() {
        links.push(("etc/localtime", "../usr/share/zoneinfo/Etc/UTC"));
    }
    for (place, target) in links {
        tree.replace(path(place), BY.link(target))?;
    }
    Ok(())
}

fn shells(tree: &Tree) -> String {
    let present = SHELLS
        .into_iter()
        .filter(|shell| tree.file(&format!("usr/bin/{shell}")).is_some());
    let lines = present.map(|shell| format!("/bin/{shell}\n/usr/bin/{shell}\n"));
    format!("# /etc/shells: valid login shells\n{}", lines.collect::<String>())
}

#[cfg(test)]
mod tests;
