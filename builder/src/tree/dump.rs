//! A tree as text, one line per node: for golden tests, `inspect` and `diff`, and for comparing with foreign tools.

use std::fmt::Write as _;

use super::{Content, Tree};

/// One line per node in path order: kind, mode (octal), uid, gid, path, then what the kind adds (size and digest, link
/// target, device numbers), then extended attributes as `name=hex`.
pub fn dump(tree: &Tree) -> String {
    let mut text = String::new();
    for (path, node) in tree.iter() {
        let (kind, detail) = describe(&node.content);
        let stat = &node.stat;
        let _ = write!(
            text,
            "{kind} {:04o} {} {} {path}{detail}",
            stat.mode, stat.uid, stat.gid
        );
        for (name, value) in &stat.xattrs {
            let _ = write!(text, " {name}=");
            for byte in value {
                let _ = write!(text, "{byte:02x}");
            }
        }
        text.push('\n');
    }
    text
}

fn describe(content: &Content) -> (char, String) {
    match content {
        Content::Dir => ('d', String::new()),
        Content::File(data) => ('f', format!(" {} {}", data.len_bytes, data.sha256)),
        Content::Symlink(target) => ('l', format!(" -> {target}")),
        Content::HardLink(target) => ('h', format!(" = {target}")),
        Content::CharDevice { major, minor } => ('c', format!(" {major}:{minor}")),
        Content::BlockDevice { major, minor } => ('b', format!(" {major}:{minor}")),
        Content::Fifo => ('p', String::new()),
    }
}
