//! `world-writable`: nothing that everybody may change, but sticky folders such as `/tmp`.

use crate::arch::Arch;
use crate::tree::{Content, Tree, TreePath};

const WRITABLE_BY_OTHERS: u16 = 0o002;
const STICKY: u16 = 0o1000;

pub(super) fn check(tree: &Tree, _arch: Arch) -> Vec<(TreePath, String)> {
    let writable = tree.iter().filter(|(_, node)| {
        let is_sticky_folder = node.content == Content::Dir && node.stat.mode & STICKY != 0;
        // Links have no rights of their own, devices are meant to be used.
        let has_rights = matches!(node.content, Content::Dir | Content::File(_) | Content::Fifo);
        has_rights && !is_sticky_folder && node.stat.mode & WRITABLE_BY_OTHERS != 0
    });
    let message = |mode: u16| format!("may be written by anybody (mode {mode:04o})");
    writable
        .map(|(path, node)| (path.clone(), message(node.stat.mode)))
        .collect()
}
