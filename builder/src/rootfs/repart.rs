//! What systemd-repart does at the first boot: slot B, and var to the end of the disk (repart.d(5)).
//!
//! In: the sizes of the image's own slots. Out: `/usr/lib/repart.d/`. The partitions that the image has are listed with
//! the size they have, so that none of them grows; slot B gets the same; var takes the rest.

use crate::tree::{Content, FileData, Node, Origin, Stat, Tree, TreeError, TreePath};

/// Sizes of a slot's two partitions, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SlotSizes {
    /// Of a root partition.
    pub root: u64,
    /// Of a verity partition.
    pub verity: u64,
}

/// The label by which an updater knows a free slot (sysupdate.d(5)), and the flag that the image's own slot has: systemd
/// looks at slot B, too, when it asks how the root is to be mounted.
const FREE_SLOT: &str = "Label=_empty\nReadOnly=yes\n";

/// The least that var is made with, whichever program makes it.
pub const LEAST_VAR_BYTES: u64 = skerry_firstboot::grow_disk::LEAST_BYTES;

/// Writes the files.
pub fn apply(tree: &mut Tree, slots: SlotSizes) -> Result<(), TreeError> {
    let fixed = |kind: &str, bytes: u64, more: &str| {
        format!("[Partition]\nType={kind}\nSizeMinBytes={bytes}\nSizeMaxBytes={bytes}\n{more}")
    };
    // Matched to what is on the disk in the order of their names: the first of a type is the image's own.
    let files = [
        ("10-esp.conf", "[Partition]\nType=esp\nWeight=0\n".to_owned()),
        ("20-root-a.conf", fixed("root", slots.root, "")),
        ("21-verity-a.conf", fixed("root-verity", slots.verity, "")),
        ("30-root-b.conf", fixed("root", slots.root, FREE_SLOT)),
        ("31-verity-b.conf", fixed("root-verity", slots.verity, FREE_SLOT)),
        (
            "40-var.conf",
            format!("[Partition]\nType=var\nLabel=var\nFormat=ext4\nSizeMinBytes={LEAST_VAR_BYTES}\n"),
        ),
    ];
    for (name, text) in files {
        let path = TreePath::parse(&format!("usr/lib/repart.d/{name}")).expect("a constant path is well formed");
        let content = Content::File(FileData::from_bytes(text.into_bytes()));
        tree.replace(
            path,
            Node {
                stat: Stat::root(0o644),
                content,
                origin: Origin::Pass("repart"),
            },
        )?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_slot_has_its_size_fixed_slot_b_is_read_only_and_var_has_no_upper_bound() {
        let mut tree = Tree::new();
        apply(
            &mut tree,
            SlotSizes {
                root: 256 << 20,
                verity: 3 << 20,
            },
        )
        .unwrap();
        let text = |name: &str| {
            let data = tree
                .file(&format!("usr/lib/repart.d/{name}.conf"))
                .unwrap()
                .read()
                .unwrap();
            String::from_utf8(data).unwrap()
        };
        for name in ["20-root-a", "30-root-b"] {
            assert!(
                text(name).contains("SizeMinBytes=268435456\nSizeMaxBytes=268435456\n"),
                "{name}"
            );
        }
        for name in ["21-verity-a", "31-verity-b"] {
            assert!(text(name).contains("SizeMaxBytes=3145728\n"), "{name}");
        }
        for name in ["30-root-b", "31-verity-b"] {
            assert!(text(name).contains("ReadOnly=yes\n"), "{name}");
        }
        assert!(!text("40-var").contains("SizeMaxBytes"));
    }
}
