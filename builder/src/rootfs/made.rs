//! Nodes that passes make, all of them owned by root unless said otherwise.

use crate::tree::{Content, FileData, Node, Origin, Stat, TreePath};

/// The pass that answers for the nodes made through it.
#[derive(Debug, Clone, Copy)]
pub(super) struct By(pub(super) &'static str);

impl By {
    pub(super) fn folder(self, mode: u16) -> Node {
        self.node(mode, Content::Dir)
    }

    pub(super) fn file(self, mode: u16, content: impl Into<Vec<u8>>) -> Node {
        self.node(mode, Content::File(FileData::from_bytes(content.into())))
    }

    pub(super) fn copy(self, mode: u16, data: FileData) -> Node {
        self.node(mode, Content::File(data))
    }

    pub(super) fn link(self, target: &str) -> Node {
        self.node(0o777, Content::Symlink(target.to_owned()))
    }

    fn node(self, mode: u16, content: Content) -> Node {
        Node {
            stat: Stat::root(mode),
            content,
            origin: Origin::Pass(self.0),
        }
    }
}

/// A path that stands in this program's own source.
pub(super) fn path(text: &str) -> TreePath {
    TreePath::parse(text).expect("paths in the source of a pass are well formed")
}
