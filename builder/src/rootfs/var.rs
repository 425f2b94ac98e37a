//! A tmpfiles.d(5) file that recreates the image's `/var` on an empty data partition.
//!
//! Debian packages ship folders in `/var` and rely on them. On a device `/var` is a partition of its own, empty at the
//! first boot, that covers them; systemd-tmpfiles makes them there, with mode and owner, at each boot. In: the finished
//! tree. Out: `usr/lib/tmpfiles.d/zz-skerry-var.conf`; regular files are copied from `usr/share/factory/var` if they are
//! missing. Paths that another tmpfiles.d file of the tree names are left to that one, so that its clean-up age counts.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::made::{By, path};
use crate::tree::{Content, Node, Tree, TreeError, TreePath};

const BY: By = By("var");
const CONFIG: &str = "usr/lib/tmpfiles.d/zz-skerry-var.conf";

const FOLDERS: [&str; 2] = ["etc/tmpfiles.d", "usr/lib/tmpfiles.d"];
/// Says that the image's own `/var` fits its `/usr`; the device's is another one.
const STAMP: &str = "var/.updated";

/// Writes the file and the copies; a tree whose `/var` is empty gets neither.
pub fn apply(tree: &mut Tree) -> Result<(), TreeError> {
    let var = path("var");
    let named = named_elsewhere(tree);
    let mut lines = String::new();
    let mut copies: Vec<(TreePath, Node)> = Vec::new();
    for (place, node) in tree.below(&var) {
        if place.as_str() == STAMP || named.contains(&place.to_string()) {
            continue;
        }
        let data = tree.file(place.as_str());
        let stat = &node.stat;
        let owned = format!("{:04o} {} {} -", stat.mode, stat.uid, stat.gid);
        let shown = escape(place);
        let _ = match (&node.content, data) {
            (Content::Dir, _) => writeln!(lines, "d {shown} {owned}"),
            (Content::Symlink(target), _) => writeln!(lines, "L {shown} - - - - {}", target.replace('%', "%%")),
            (Content::Fifo, _) => writeln!(lines, "p {shown} {owned}"),
            (_, Some(data)) => {
                let copy = path(&format!("usr/share/factory/{}", place.as_str()));
                let node = Node {
                    stat: stat.clone(),
                    ..BY.copy(stat.mode, data.clone())
                };
                copies.push((copy, node));
                writeln!(lines, "C {shown} {owned}")
            }
            // Device nodes belong to /dev.
            _ => Ok(()),
        };
    }
    for (place, node) in copies {
        tree.replace(place, node)?;
    }
    if !lines.is_empty() {
        tree.replace(path(CONFIG), BY.file(0o644, lines))?;
    }
    Ok(())
}

/// The paths of all tmpfiles.d lines, as written; those that cannot be read name none.
fn named_elsewhere(tree: &Tree) -> BTreeSet<String> {
    let mut named = BTreeSet::new();
    for folder in FOLDERS.map(path) {
        let files = tree
            .children(&folder)
            .filter(|(place, _)| place.name().ends_with(".conf"));
        for (place, _) in files {
            let bytes = tree.file(place.as_str()).and_then(|data| data.read().ok());
            let text = String::from_utf8_lossy(&bytes.unwrap_or_default()).into_owned();
            let columns = text.lines().filter(|line| !line.starts_with('#'));
            let paths = columns.filter_map(|line| line.split_whitespace().nth(1));
            named.extend(paths.map(|path| path.trim_matches('"').trim_end_matches('/').to_owned()));
        }
    }
    named
}

/// A path as the second column: quoted where it has blanks, `%` doubled.
fn escape(place: &TreePath) -> String {
    let text = place.to_string().replace('%', "%%");
    match text.contains([' ', '"', '\\', '\'']) {
        true => format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"")),
        false => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_links_and_files_of_var_are_made_again_on_the_device() {
        let mut tree = Tree::new();
        let by = By("test");
        let mut private = by.folder(0o700);
        private.stat.uid = 42;
        tree.insert(path("var/lib/private dir"), private).unwrap();
        tree.insert(path("var/run"), by.link("../run")).unwrap();
        tree.insert(path("var/lib/seed"), by.file(0o640, "content")).unwrap();
        let other = path("usr/lib/tmpfiles.d/tmp.conf");
        tree.insert(other, by.file(0o644, "# age\nq /var/tmp 1777 root root 30d\n"))
            .unwrap();
        tree.insert(path("var/tmp"), by.folder(0o1777)).unwrap();
        tree.insert(path("var/.updated"), by.file(0o644, "")).unwrap();
        apply(&mut tree).unwrap();
        let text = String::from_utf8(tree.file(CONFIG).unwrap().read().unwrap()).unwrap();
        let expected = "\
d /var/lib 0755 0 0 -
d \"/var/lib/private dir\" 0700 42 0 -
C /var/lib/seed 0640 0 0 -
L /var/run - - - - ../run
";
        assert_eq!(text, expected);
        assert_eq!(
            tree.file("usr/share/factory/var/lib/seed").unwrap().read().unwrap(),
            b"content"
        );
    }
}
