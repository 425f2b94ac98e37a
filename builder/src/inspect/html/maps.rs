//! The treemaps of the page: boxes in percent of their frame, so that they fit any width.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::treemap::{Rect, squarify};
use super::{escape, percent};
use crate::inspect::text::{count, size};
use crate::inspect::{Inspection, MediumGroup, RootContents};
use crate::rootfs::contents::OwnerKind;

/// The frame, which is shown in this proportion, or upright on narrow screens.
const FRAME: Rect = Rect {
    x: 0.0,
    y: 0.0,
    width: 160.0,
    height: 90.0,
};
/// Smaller boxes could neither be read nor pointed at; they share one.
const LEAST_SHARE: u64 = 400;
/// Colours that the style sheet has.
const COLOURS: usize = 8;

/// Boxes of one colour, side by side.
struct Group {
    name: String,
    items: Vec<Item>,
}

struct Item {
    name: String,
    len_bytes: u64,
}

impl Group {
    fn len_bytes(&self) -> u64 {
        self.items.iter().map(|item| item.len_bytes).sum()
    }
}

/// The name of a part of the medium.
pub(super) const fn group_name(group: MediumGroup) -> &'static str {
    match group {
        MediumGroup::Root => "root file system",
        MediumGroup::Boot => "boot files",
        MediumGroup::Verity => "hash tree",
        MediumGroup::PartitionTables => "partition tables",
    }
}

/// Where the bytes went by package.
pub(super) fn by_package(inspection: &Inspection) -> String {
    let mut groups: BTreeMap<&str, Vec<Item>> = BTreeMap::new();
    let mut add = |group, name: &str, len_bytes| {
        let name = name.to_owned();
        groups.entry(group).or_default().push(Item { name, len_bytes });
    };
    let packages = inspection
        .contents
        .as_ref()
        .map(|contents| contents.packages.as_slice());
    for owner in packages.unwrap_or_default() {
        let group = match owner.kind {
            OwnerKind::Package => "Debian packages",
            OwnerKind::Component => "components",
            OwnerKind::Overlay | OwnerKind::Pass => "overlays and what the builder made",
        };
        add(group, &owner.name, owner.stored_bytes);
    }
    let has_packages = packages.is_some_and(|packages| !packages.is_empty());
    for part in &inspection.medium {
        // Of the root, what is shown already comes from the packages.
        let is_rest = matches!(part.name.as_str(), "file system tables" | "files of no package");
        if part.group == MediumGroup::Root && has_packages && !is_rest {
            continue;
        }
        let group = match part.group {
            MediumGroup::Root => "rest of the root file system",
            MediumGroup::Boot => "boot files",
            MediumGroup::Verity | MediumGroup::PartitionTables => "hash tree and partition tables",
        };
        add(group, &part.name, part.len_bytes);
    }
    let groups = groups
        .into_iter()
        .map(|(name, items)| Group {
            name: name.to_owned(),
            items,
        })
        .collect();
    figure("Where the bytes went, by package", "package", groups)
}

/// Where the bytes of the root file system went by folder.
pub(super) fn by_folder(inspection: &Inspection) -> String {
    let groups = inspection.contents.as_ref().map(folder_groups);
    figure(
        "Where the bytes of the root went, by folder",
        "folder",
        groups.unwrap_or_default(),
    )
}

/// Groups are folders of the second level, or of the first where there is none below; items are what is in them: folders, the
/// largest files, and the other files together.
fn folder_groups(contents: &RootContents) -> Vec<Group> {
    let depth = |path: &str| path.matches('/').count();
    let inside = |folder: &str, level: usize| {
        let prefix = format!("{folder}/");
        let found = contents.folders.iter();
        found.filter(move |other| depth(&other.path) == level && other.path.starts_with(&prefix))
    };
    let mut groups = Vec::new();
    let mut add = |name: &str, own_bytes: u64, children: Vec<Item>| {
        let mut items = children;
        let files = contents.largest.iter().filter(|file| {
            let parent = file.path.rsplit_once('/').map(|(parent, _)| parent);
            parent == Some(name)
        });
        items.extend(files.map(|file| Item {
            name: file.path.clone(),
            len_bytes: file.stored_bytes,
        }));
        let below: u64 = items.iter().map(|item| item.len_bytes).sum();
        items.push(Item {
            name: format!("other files in {name}"),
            len_bytes: own_bytes.saturating_sub(below),
        });
        groups.push(Group {
            name: name.to_owned(),
            items,
        });
    };
    for top in contents.folders.iter().filter(|folder| depth(&folder.path) == 1) {
        let mut grouped = 0;
        for second in inside(&top.path, 2).filter(|folder| folder.stored_bytes > 0) {
            let children = inside(&second.path, 3).map(|third| Item {
                name: third.path.clone(),
                len_bytes: third.stored_bytes,
            });
            add(&second.path, second.stored_bytes, children.collect());
            grouped += second.stored_bytes;
        }
        add(&top.path, top.stored_bytes.saturating_sub(grouped), Vec::new());
    }
    groups
}

fn figure(title: &str, noun: &str, mut groups: Vec<Group>) -> String {
    for group in &mut groups {
        group.items.retain(|item| item.len_bytes > 0);
        group
            .items
            .sort_by(|a, b| b.len_bytes.cmp(&a.len_bytes).then_with(|| a.name.cmp(&b.name)));
    }
    groups.retain(|group| !group.items.is_empty());
    groups.sort_by(|a, b| b.len_bytes().cmp(&a.len_bytes()).then_with(|| a.name.cmp(&b.name)));
    let total: u64 = groups.iter().map(Group::len_bytes).sum();
    if total == 0 {
        return String::new();
    }
    let groups = merged(groups, COLOURS);
    let mut legend = String::new();
    let mut boxes = String::new();
    let sizes: Vec<u64> = groups.iter().map(Group::len_bytes).collect();
    for ((colour, group), place) in groups.iter().enumerate().zip(squarify(&sizes, FRAME)) {
        let _ = writeln!(
            legend,
            "<li><i class=\"c{colour}\"></i>{}, {}</li>",
            escape(&group.name),
            size(group.len_bytes())
        );
        boxes.push_str(&group_boxes(group, colour, place, total));
    }
    format!(
        "<h2>{title}</h2>\n<figure>\n<figcaption>{}, compressed as on the medium; the area of a box is its size. The \
         tables below have the same numbers.</figcaption>\n<ul class=\"legend\">\n{legend}</ul>\n\
         <div class=\"map\" role=\"img\" aria-label=\"Treemap of sizes by {noun}\">\n{boxes}</div>\n</figure>\n",
        size(total)
    )
}

/// At most `most` groups: the smallest become one.
fn merged(mut groups: Vec<Group>, most: usize) -> Vec<Group> {
    if groups.len() > most {
        let small = groups.split_off(most - 1);
        let items = small
            .into_iter()
            .map(|group| Item {
                len_bytes: group.len_bytes(),
                name: group.name,
            })
            .collect();
        groups.push(Group {
            name: "others".to_owned(),
            items,
        });
        groups.sort_by_key(|group| std::cmp::Reverse(group.len_bytes()));
    }
    groups
}

fn group_boxes(group: &Group, colour: usize, place: Rect, total: u64) -> String {
    let (shown, small): (Vec<&Item>, Vec<&Item>) = group
        .items
        .iter()
        .partition(|item| item.len_bytes >= total / LEAST_SHARE);
    let mut items: Vec<(String, u64)> = shown.iter().map(|item| (item.name.clone(), item.len_bytes)).collect();
    let rest: u64 = small.iter().map(|item| item.len_bytes).sum();
    match small.as_slice() {
        [] => {}
        [one] => items.push((one.name.clone(), rest)),
        _ => items.push((count(small.len() as u64, "smaller one", "smaller ones"), rest)),
    }
    items.sort_by_key(|item| std::cmp::Reverse(item.1));
    let sizes: Vec<u64> = items.iter().map(|(_, len_bytes)| *len_bytes).collect();
    let mut html = String::new();
    for ((name, len_bytes), rect) in items.iter().zip(squarify(&sizes, place)) {
        let (name, shown) = (escape(name), size(*len_bytes));
        let _ = writeln!(
            html,
            "<div class=\"box c{colour}\" style=\"left:{:.3}%;top:{:.3}%;width:{:.3}%;height:{:.3}%\" \
             title=\"{name}: {shown}, {}\"><span>{name}</span><small>{shown}</small></div>",
            rect.x * 100.0 / FRAME.width,
            rect.y * 100.0 / FRAME.height,
            rect.width * 100.0 / FRAME.width,
            rect.height * 100.0 / FRAME.height,
            percent(*len_bytes, total)
        );
    }
    html
}
