//! The two links of each alternative, as update-alternatives(1) sets them: `/usr/sbin/iptables` →
//! `/etc/alternatives/iptables` → `/usr/sbin/iptables-nft`.
//!
//! In: the tree with all packages. Of the choices for one name, the first row whose program is in the tree wins; rows are
//! in the order of the priorities that the packages' scripts give. A slave link is made where its target exists.
//! dpkg's record of it (`/var/lib/dpkg/alternatives`) is not written: nothing in an image changes alternatives.

mod table;

use super::made::{By, path};
use crate::tree::{Content, Tree, TreeError};

const BY: By = By("alternatives");

/// One choice for one name.
#[derive(Debug, Clone, Copy)]
struct Choice {
    name: &'static str,
    link: &'static str,
    target: &'static str,
    /// Name, link and target of each link that follows the choice.
    slaves: &'static [(&'static str, &'static str, &'static str)],
}

/// Makes the links of all alternatives that the tree has programs for.
pub fn apply(tree: &mut Tree) -> Result<(), TreeError> {
    let mut decided = Vec::new();
    for choice in table::CHOICES {
        if decided.contains(&choice.name) || !exists(tree, choice.target) {
            continue;
        }
        decided.push(choice.name);
        link(tree, (choice.name, choice.link, choice.target))?;
        for slave in choice.slaves {
            if exists(tree, slave.2) {
                link(tree, *slave)?;
            }
        }
    }
    Ok(())
}

fn exists(tree: &Tree, target: &str) -> bool {
    let place = tree.resolve(&path(target));
    place.and_then(|place| tree.get(&place)).is_some()
}

fn link(tree: &mut Tree, (name, link, target): (&str, &str, &str)) -> Result<(), TreeError> {
    let choice = format!("etc/alternatives/{name}");
    tree.insert(path(&choice), BY.link(target))?;
    let node = BY.link(&format!("/{choice}"));
    // As update-alternatives does, another link gives way and a real file does not.
    match tree.at(link).map(|present| &present.content) {
        Some(Content::Symlink(_)) => tree.replace(path(link), node),
        _ => tree.insert(path(link), node),
    }
}

#[cfg(test)]
mod tests;
