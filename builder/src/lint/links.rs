//! `dangling-links`: every symbolic link leads somewhere.

use crate::arch::Arch;
use crate::tree::{Content, Tree, TreePath};

/// Folders whose contents come into being on the running machine.
const RUNTIME_FOLDERS: [&str; 6] = ["dev", "proc", "run", "sys", "tmp", "var"];

pub(super) fn check(tree: &Tree, _arch: Arch) -> Vec<(TreePath, String)> {
    let links = tree.iter().filter_map(|(path, node)| match &node.content {
        Content::Symlink(target) => Some((path, target)),
        _ => None,
    });
    let problem = |path: &TreePath, target: &str| match tree.resolve(path) {
        None => Some(format!("is a link to `{target}` and so to itself")),
        Some(end) if tree.get(&end).is_some() || is_made_at_run_time(&end) => None,
        Some(end) => Some(format!("is a link to `{target}`, and {end} is not there")),
    };
    links
        .filter_map(|(path, target)| Some((path.clone(), problem(path, target)?)))
        .collect()
}

fn is_made_at_run_time(path: &TreePath) -> bool {
    let top = path.as_str().split('/').next().unwrap_or_default();
    RUNTIME_FOLDERS.contains(&top)
}
