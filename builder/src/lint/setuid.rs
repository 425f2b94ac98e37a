//! `setuid`: programs that run with more rights than their caller has; each has to be allowed by the definition.

use crate::arch::Arch;
use crate::tree::{Content, Tree, TreePath};

const SETUID: u16 = 0o4000;
const SETGID: u16 = 0o2000;

/// The attribute that holds a file's capabilities (capabilities(7)).
const CAPABILITIES: &str = "security.capability";

pub(super) fn check(tree: &Tree, _arch: Arch) -> Vec<(TreePath, String)> {
    let mut findings = Vec::new();
    for (path, node) in tree.iter() {
        // On folders the bit only decides the group of new files; other names of a file have the file's rights.
        if !matches!(node.content, Content::File(_)) {
            continue;
        }
        let stat = &node.stat;
        let mut add = |what: String| findings.push((path.clone(), what));
        if stat.mode & SETUID != 0 {
            add(format!(
                "is setuid for uid {} (mode {:04o}, from {})",
                stat.uid, stat.mode, node.origin
            ));
        }
        if stat.mode & SETGID != 0 {
            add(format!(
                "is setgid for gid {} (mode {:04o}, from {})",
                stat.gid, stat.mode, node.origin
            ));
        }
        if stat.xattrs.contains_key(CAPABILITIES) {
            add(format!("has file capabilities (from {})", node.origin));
        }
    }
    findings
}
