//! The file tree of an image, held in memory: packages, passes and overlays write into it, lints and the file system
//! writer read it. File contents stay where they are (a cached archive) until they are needed.

pub mod dump;
mod node;
mod path;

use std::collections::{BTreeMap, BTreeSet};

pub use node::{Content, FileData, Node, Origin, Stat};
pub use path::{BadPath, TreePath};

/// Why a node cannot be put into the tree.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TreeError {
    /// Two owners want different things at one path.
    #[error("{path} comes from {first} and from {second}, and they differ")]
    Conflict {
        /// Where.
        path: TreePath,
        /// Who was first.
        first: Origin,
        /// Who came later.
        second: Origin,
    },
    /// A path leads through something that is no folder.
    #[error("{path} of {origin} lies below {parent}, which is no folder")]
    ParentIsNoFolder {
        /// What was to be inserted.
        path: TreePath,
        /// Its parent.
        parent: TreePath,
        /// Whose node.
        origin: Origin,
    },
    /// A hard link whose target is not a regular file of the tree.
    #[error("{path} of {origin} is a hard link to {target}, which is no regular file")]
    DanglingHardLink {
        /// The link.
        path: TreePath,
        /// Its target.
        target: TreePath,
        /// Whose node.
        origin: Origin,
    },
}

impl crate::failure::Diagnose for TreeError {}

/// All nodes by path. Every node's parent exists and is a folder; paths never lead through a symbolic link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tree {
    nodes: BTreeMap<TreePath, Node>,
    /// File → its other names.
    hard_links: BTreeMap<TreePath, BTreeSet<TreePath>>,
}

impl Tree {
    /// A tree that is only its top folder, mode 0755.
    pub fn new() -> Self {
        let root = Node {
            stat: Stat::root(0o755),
            content: Content::Dir,
            origin: Origin::Pass("skeleton"),
        };
        Self {
            nodes: BTreeMap::from([(TreePath::ROOT, root)]),
            hard_links: BTreeMap::new(),
        }
    }

    /// The node at `path`; symbolic links are not followed.
    pub fn get(&self, path: &TreePath) -> Option<&Node> {
        self.nodes.get(path)
    }

    /// The same by text, for paths known to be well formed; none otherwise.
    pub fn at(&self, path: &str) -> Option<&Node> {
        self.nodes.get(&TreePath::parse(path).ok()?)
    }

    /// The node at `path`, to be changed in place.
    pub fn get_mut(&mut self, path: &TreePath) -> Option<&mut Node> {
        self.nodes.get_mut(path)
    }

    /// All nodes in the order of their paths' bytes; the root first.
    pub fn iter(&self) -> impl Iterator<Item = (&TreePath, &Node)> {
        self.nodes.iter()
    }

    /// How many nodes there are.
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Never: the root is always there.
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// The nodes directly in `folder`, by name.
    pub fn children<'a>(&'a self, folder: &'a TreePath) -> impl Iterator<Item = (&'a TreePath, &'a Node)> + 'a {
        self.below(folder)
            .filter(move |(path, _)| path.parent().as_ref() == Some(folder))
    }

    /// All nodes below `folder`, in the order of their paths' bytes.
    pub fn below<'a>(&'a self, folder: &'a TreePath) -> impl Iterator<Item = (&'a TreePath, &'a Node)> + 'a {
        let first = match folder.0.is_empty() {
            true => TreePath::ROOT,
            false => TreePath(format!("{}/", folder.0)),
        };
        self.nodes
            .range(first..)
            .skip_while(move |(path, _)| *path == folder)
            .take_while(move |(path, _)| path.is_below(folder))
    }

    /// Follows symbolic links in every part of `path`, up to 40 of them; the result may not exist.
    pub fn resolve(&self, path: &TreePath) -> Option<TreePath> {
        let mut current = path.clone();
        for _ in 0..40 {
            let Some((link, target)) = self.first_link_on(&current) else {
                return Some(current);
            };
            let rest = current.0[link.0.len()..].to_owned();
            current = link.resolve_link(target).join(&rest).ok()?;
        }
        None
    }

    fn first_link_on(&self, path: &TreePath) -> Option<(TreePath, &str)> {
        let ends = path.0.match_indices('/').map(|(end, _)| end).chain([path.0.len()]);
        for end in ends {
            let prefix = TreePath(path.0[..end].to_owned());
            if let Some(Node {
                content: Content::Symlink(target),
                ..
            }) = self.nodes.get(&prefix)
            {
                return Some((prefix, target));
            }
        }
        None
    }

    /// The regular file at `path` after following links, hard and symbolic.
    pub fn file(&self, path: &str) -> Option<&FileData> {
        let path = self.resolve(&TreePath::parse(path).ok()?)?;
        match &self.nodes.get(&path)?.content {
            Content::File(data) => Some(data),
            Content::HardLink(target) => match &self.nodes.get(target)?.content {
                Content::File(data) => Some(data),
                _ => None,
            },
            _ => None,
        }
    }

    /// Puts a node into the tree. Parents are followed through symbolic links and made (mode 0755) where they are
    /// missing. A folder may meet a folder and keeps the first one's stat; an equal node may meet its equal; anything
    /// else at an occupied path is a [`TreeError::Conflict`].
    pub fn insert(&mut self, path: TreePath, node: Node) -> Result<(), TreeError> {
        let path = self.make_parents(path, &node.origin)?;
        if let Content::HardLink(target) = &node.content
            && !matches!(self.nodes.get(target).map(|node| &node.content), Some(Content::File(_)))
        {
            return Err(TreeError::DanglingHardLink {
                path,
                target: target.clone(),
                origin: node.origin,
            });
        }
        let Some(present) = self.nodes.get(&path) else {
            self.put(path, node);
            return Ok(());
        };
        let both_folders = present.content == Content::Dir && node.content == Content::Dir;
        let link_to_folder = node.content == Content::Dir && self.is_link_to_folder(&path);
        if both_folders || link_to_folder || (present.stat == node.stat && present.content == node.content) {
            return Ok(());
        }
        Err(TreeError::Conflict {
            path,
            first: present.origin.clone(),
            second: node.origin,
        })
    }

    /// Puts a node into the tree, in place of whatever non-folder is there. A folder in the way is a conflict; a folder
    /// put over a folder sets its stat.
    pub fn replace(&mut self, path: TreePath, node: Node) -> Result<(), TreeError> {
        let path = self.make_parents(path, &node.origin)?;
        if let Some(present) = self.nodes.get(&path)
            && (present.content == Content::Dir) != (node.content == Content::Dir)
        {
            return Err(TreeError::Conflict {
                path,
                first: present.origin.clone(),
                second: node.origin,
            });
        }
        self.unlink(&path);
        self.put(path, node);
        Ok(())
    }

    /// Takes away a node and all below it; other names of a removed file keep its content. Nothing there is no error.
    pub fn remove(&mut self, path: &TreePath) {
        let gone: Vec<TreePath> = self
            .below(path)
            .map(|(path, _)| path.clone())
            .chain(self.nodes.contains_key(path).then(|| path.clone()))
            .collect();
        for path in &gone {
            self.unlink(path);
            self.nodes.remove(path);
        }
    }

    /// Before the node at `path` goes: if it is a file, its first other name becomes the file and the rest point there.
    fn unlink(&mut self, path: &TreePath) {
        if let Some(Node {
            content: Content::HardLink(target),
            ..
        }) = self.nodes.get(path)
            && let Some(names) = self.hard_links.get_mut(target)
        {
            names.remove(path);
        }
        let Some(mut names) = self.hard_links.remove(path) else {
            return;
        };
        let (Some(heir), Some(file)) = (names.pop_first(), self.nodes.get(path).cloned()) else {
            return;
        };
        for name in &names {
            if let Some(node) = self.nodes.get_mut(name) {
                node.content = Content::HardLink(heir.clone());
            }
        }
        self.nodes.insert(heir.clone(), file);
        self.hard_links.insert(heir, names);
    }

    fn put(&mut self, path: TreePath, node: Node) {
        if let Content::HardLink(target) = &node.content {
            self.hard_links.entry(target.clone()).or_default().insert(path.clone());
        }
        self.nodes.insert(path, node);
    }

    fn is_link_to_folder(&self, path: &TreePath) -> bool {
        let is_link = matches!(
            self.nodes.get(path).map(|node| &node.content),
            Some(Content::Symlink(_))
        );
        let target = is_link.then(|| self.resolve(path)).flatten();
        target
            .and_then(|target| self.nodes.get(&target))
            .is_some_and(|node| node.content == Content::Dir)
    }

    fn make_parents(&mut self, path: TreePath, origin: &Origin) -> Result<TreePath, TreeError> {
        let Some(parent) = path.parent() else { return Ok(path) };
        let no_folder = |parent: TreePath| TreeError::ParentIsNoFolder {
            path: path.clone(),
            parent,
            origin: origin.clone(),
        };
        let parent = self.resolve(&parent).ok_or_else(|| no_folder(parent.clone()))?;
        match self.nodes.get(&parent).map(|node| &node.content) {
            Some(Content::Dir) => {}
            Some(_) => return Err(no_folder(parent)),
            None => {
                let folder = Node {
                    stat: Stat::root(0o755),
                    content: Content::Dir,
                    origin: origin.clone(),
                };
                self.make_parents(parent.clone(), origin)?;
                self.nodes.insert(parent.clone(), folder);
            }
        }
        parent.join(path.name()).map_err(|_| no_folder(parent))
    }
}

impl Default for Tree {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests;
