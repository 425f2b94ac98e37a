//! An inspection as text for people.

use super::text::{count, cut, named, printable, section, size, wrap};
use super::{Choice, Inspection, MediumGroup, Outcome, Reach, RootContents};
use crate::artifacts::manifest::PackageSize;
use crate::fat::time::UtcTime;

/// Before each value of the summary.
const NAME_WIDTH: usize = 13;
/// Lines are not cut below this width.
const MIN_WIDTH: usize = 40;
/// Folders with less than this share of the root's bytes are not shown.
const SHOWN_SHARE: u64 = 100;

/// The inspection as text: no line is longer than `width` columns, and nothing from the image reaches the terminal as a
/// control character.
pub fn render(inspection: &Inspection, width: usize) -> String {
    let width = width.max(MIN_WIDTH);
    let mut lines = summary(inspection, width);
    lines.extend(checks(inspection, width));
    lines.extend(partitions(inspection));
    lines.extend(boot_entries(inspection));
    lines.extend(esp_files(inspection));
    lines.extend(medium(inspection));
    if let Some(contents) = &inspection.contents {
        lines.extend(folders(contents));
        lines.extend(units(contents, width));
        lines.extend(listeners(contents, width));
    }
    lines.extend(packages(inspection));
    if !inspection.findings.is_empty() {
        lines.extend([String::new(), "Findings".to_owned()]);
        for finding in &inspection.findings {
            let wrapped = wrap(&printable(finding), width - 4);
            let marks = std::iter::once("  - ").chain(std::iter::repeat("    "));
            lines.extend(wrapped.iter().zip(marks).map(|(line, mark)| format!("{mark}{line}")));
        }
    }
    lines.iter().map(|line| cut(line, width) + "\n").collect()
}

fn summary(inspection: &Inspection, width: usize) -> Vec<String> {
    let mut rows = vec![("file", format!("{}, {}", inspection.file, size(inspection.len_bytes)))];
    if let Some(build) = &inspection.build {
        let time = UtcTime::from_unix(build.timestamp);
        rows.push((
            "image",
            format!("{} {} for {}, {time}", build.image, build.image_version, build.arch),
        ));
    }
    if let Some(loader) = &inspection.boot.loader {
        let name = loader.name.as_deref().unwrap_or("unknown");
        rows.push((
            "boot loader",
            format!("{name}, {}, {}", loader.path, size(loader.len_bytes)),
        ));
    }
    rows.extend(inspection.loaders.iter().map(|loader| {
        let len = loader.len_bytes.map(|len_bytes| format!(", {}", size(len_bytes)));
        let place = size(loader.offset);
        let text = format!("{} at {place} of the disk{}", loader.name, len.unwrap_or_default());
        ("boot loader", text)
    }));
    if let Some(uki) = &inspection.uki {
        rows.push(("kernel image", format!("{}, {}", uki.path, size(uki.len_bytes))));
        rows.extend(uki.os_name.clone().map(|name| ("system", name)));
    }
    if let Some(direct) = &inspection.direct {
        let text = format!("{}, {}, with {}", direct.path, size(direct.len_bytes), direct.initrd);
        rows.push(("boots", text));
    }
    rows.extend(inspection.kernel().map(|text| ("kernel", text.to_owned())));
    rows.extend(inspection.command_line().map(|text| ("command line", text.to_owned())));
    rows.extend(inspection.root_hash().map(|hash| ("root hash", hash.to_string())));
    if let Some(root) = &inspection.root {
        let (blocks, used) = (size(root.block_bytes.into()), size(root.used_bytes));
        rows.push((
            "root",
            format!(
                "squashfs, {}, blocks of {blocks}, {} inodes, {used}",
                root.compressor, root.inodes
            ),
        ));
    }
    if let Some(verity) = &inspection.verity {
        let (blocks, block) = (verity.data_blocks, size(verity.data_block_bytes.into()));
        rows.push(("verity", format!("{}, {blocks} blocks of {block}", verity.algorithm)));
    }
    if let Some(contents) = &inspection.contents {
        rows.push(("content", content(contents)));
    }
    rows.push(("trusts", trust(inspection)));
    rows.iter()
        .flat_map(|(name, text)| named(name, text, NAME_WIDTH, width))
        .collect()
}

fn content(contents: &RootContents) -> String {
    let counts = &contents.counts;
    let numbers = [
        (counts.files, "file", "files"),
        (counts.hard_links, "hard link", "hard links"),
        (counts.folders, "folder", "folders"),
        (counts.symlinks, "symbolic link", "symbolic links"),
        (counts.specials, "device or pipe", "devices and pipes"),
    ];
    let shown = numbers.into_iter().filter(|(number, ..)| *number > 0);
    let shown: Vec<String> = shown.map(|(number, one, many)| count(number, one, many)).collect();
    let (unpacked, stored) = (size(contents.file_bytes), size(contents.stored_bytes));
    format!("{}; {unpacked}, compressed {stored}", shown.join(", "))
}

fn trust(inspection: &Inspection) -> String {
    let signed = |is_signed| if is_signed { "signed" } else { "not signed" };
    let mut parts = Vec::new();
    if let Some(contents) = &inspection.contents {
        parts.push(match contents.trust.certificate_authorities {
            Some(number) => count(number as u64, "certificate authority", "certificate authorities"),
            None => "no certificate authorities".to_owned(),
        });
        let files = contents.trust.files.iter();
        parts.extend(files.map(|file| format!("{} for {}", file.path, file.trusted_for)));
    }
    let keys = &inspection.boot.enrolled_keys;
    parts.extend(keys.iter().map(|key| format!("{key} for Secure Boot")));
    if let Some(loader) = &inspection.boot.loader {
        parts.push(format!("boot loader {}", signed(loader.signed)));
    }
    if let Some(uki) = &inspection.uki {
        parts.push(format!("kernel image {}", signed(uki.signed)));
    }
    match parts.is_empty() {
        true => "nothing that is known".to_owned(),
        false => parts.join(", "),
    }
}

fn checks(inspection: &Inspection, width: usize) -> Vec<String> {
    const OUTCOME_WIDTH: usize = 13;
    let mut lines = vec![String::new(), "Verified".to_owned()];
    for check in &inspection.checks {
        let outcome = match check.outcome {
            Outcome::Passed => "  good",
            Outcome::Failed => "  WRONG",
            Outcome::Skipped => "  not checked",
        };
        let text = format!("{}: {}", check.subject, check.detail);
        lines.extend(named(outcome, &text, OUTCOME_WIDTH + 2, width));
    }
    lines
}

fn partitions(inspection: &Inspection) -> Vec<String> {
    let mut rows = vec![["#", "Label", "Size", "Type", "Flags", "Id"].map(str::to_owned)];
    rows.extend(inspection.partitions.iter().map(|partition| {
        [
            partition.number.to_string(),
            printable(&partition.label),
            size(partition.len_bytes),
            partition
                .type_name
                .map_or_else(|| partition.type_id.to_string(), str::to_owned),
            partition.flags.to_string(),
            partition.id.to_string(),
        ]
    }));
    section("Partitions", &rows)
}

fn boot_entries(inspection: &Inspection) -> Vec<String> {
    let tries = |left: Option<u32>, done: Option<u32>| match (left, done) {
        (None, _) => "not counted".to_owned(),
        (Some(left), None) => format!("{} left", count(left.into(), "try", "tries")),
        (Some(left), Some(done)) => format!("{} left, {done} in vain", count(left.into(), "try", "tries")),
    };
    let rows: Vec<[String; 3]> = inspection
        .boot
        .entries
        .iter()
        .map(|entry| {
            let title = entry.title.as_deref().unwrap_or_default();
            [
                printable(&entry.path),
                printable(title),
                tries(entry.tries_left, entry.tries_done),
            ]
        })
        .collect();
    titled("Boot entries", &rows)
}

fn esp_files(inspection: &Inspection) -> Vec<String> {
    let row = |file: &super::EspFile| [size(file.len_bytes), printable(&file.path)];
    let rows: Vec<[String; 2]> = inspection.esp_files.iter().map(row).collect();
    let mut lines = titled("EFI system partition", &rows);
    // Those that are files are listed above.
    let sections = inspection
        .boot
        .device_trees
        .iter()
        .filter(|tree| !inspection.esp_files.contains(tree));
    let rows: Vec<[String; 2]> = sections.map(row).collect();
    lines.extend(titled("Device trees in the kernel image", &rows));
    lines
}

fn medium(inspection: &Inspection) -> Vec<String> {
    let groups = [
        (MediumGroup::Root, "root file system"),
        (MediumGroup::Boot, "boot files"),
        (MediumGroup::Verity, "hash tree"),
        (MediumGroup::PartitionTables, "partition tables"),
    ];
    let total = |group| {
        let of_group = inspection.medium.iter().filter(|part| part.group == group);
        of_group.map(|part| part.len_bytes).sum::<u64>()
    };
    let rows: Vec<[String; 2]> = groups
        .into_iter()
        .map(|(group, name)| (total(group), name))
        .filter(|(bytes, _)| *bytes > 0)
        .map(|(bytes, name)| [size(bytes), name.to_owned()])
        .collect();
    titled("On the medium", &rows)
}

fn folders(contents: &RootContents) -> Vec<String> {
    let least = contents.stored_bytes / SHOWN_SHARE;
    let mut rows = vec![["Medium", "Unpacked", "Files", "Folder"].map(str::to_owned)];
    let shown = contents
        .folders
        .iter()
        .filter(|folder| folder.stored_bytes > 0 && folder.stored_bytes >= least);
    rows.extend(shown.map(|folder| {
        [
            size(folder.stored_bytes),
            size(folder.file_bytes),
            folder.files.to_string(),
            printable(&folder.path),
        ]
    }));
    match rows.len() {
        1 => Vec::new(),
        _ => section("Folders with at least a hundredth of the root", &rows),
    }
}

fn units(contents: &RootContents, width: usize) -> Vec<String> {
    let units = &contents.units;
    let of = |choice| units.enabled.iter().filter(move |unit| unit.choice == choice);
    let rows: Vec<[String; 2]> = of(Choice::Image)
        .map(|unit| [printable(&unit.name), format!("by {}", printable(&unit.by.join(", ")))])
        .collect();
    let title = match &units.default_target {
        Some(target) => format!("Units that the image starts on the way to {}", printable(target)),
        None => "Units that the image starts".to_owned(),
    };
    let mut lines = titled(&title, &rows);
    let lists = [
        (
            "their packages start",
            of(Choice::Package).map(|unit| unit.name.as_str()).collect(),
        ),
        ("masked", units.masked.iter().map(String::as_str).collect::<Vec<&str>>()),
    ];
    for (what, names) in lists {
        if !names.is_empty() {
            let text = format!("{what}: {}", names.join(" "));
            lines.extend(named("", &text, 2, width));
        }
    }
    lines
}

/// What can be reached by an address, and why it is known; the rest as a list.
fn listeners(contents: &RootContents, width: usize) -> Vec<String> {
    let mut rows = Vec::new();
    let mut local = Vec::new();
    for listener in &contents.listeners {
        let reach = match listener.reach {
            Reach::Network => "network ",
            Reach::Loopback => "loopback",
            Reach::Local => {
                local.push(listener.address.as_str());
                continue;
            }
        };
        let place = format!("  {reach}  {} {}  ", listener.protocol, printable(&listener.address));
        rows.push((place, format!("{}: {}", listener.unit, listener.because)));
    }
    let mut lines = Vec::new();
    if !contents.listeners.is_empty() {
        lines.extend([String::new(), "Expected to listen".to_owned()]);
    }
    let name_width = rows.iter().map(|(place, _)| place.chars().count()).max().unwrap_or(0);
    lines.extend(
        rows.iter()
            .flat_map(|(place, text)| named(place, text, name_width, width)),
    );
    if !local.is_empty() {
        lines.extend(named(
            "",
            &format!("on this machine only: {}", local.join(" ")),
            2,
            width,
        ));
    }
    lines
}

fn packages(inspection: &Inspection) -> Vec<String> {
    let contents = inspection.contents.as_ref();
    let owners = contents.map_or(&[][..], |contents| contents.packages.as_slice());
    if owners.is_empty() {
        return inspection
            .build
            .iter()
            .flat_map(|build| installed(&build.packages))
            .collect();
    }
    let mut rows = vec![["Medium", "Unpacked", "Kind", "Name", "Version"].map(str::to_owned)];
    rows.extend(owners.iter().map(|owner| {
        [
            size(owner.stored_bytes),
            size(owner.file_bytes),
            owner.kind.name().to_owned(),
            printable(&owner.name),
            printable(&owner.version),
        ]
    }));
    let total = owners.iter().map(|owner| owner.stored_bytes).sum();
    section(
        &format!("Packages: {}, {} on the medium", owners.len(), size(total)),
        &rows,
    )
}

/// What the manifest knows of packages.
fn installed(packages: &[PackageSize]) -> Vec<String> {
    let total = packages
        .iter()
        .fold(0_u64, |sum, package| sum.saturating_add(package.installed_bytes));
    let row = |package: &PackageSize| {
        [
            size(package.installed_bytes),
            printable(&package.name),
            printable(&package.version),
        ]
    };
    let rows: Vec<[String; 3]> = packages.iter().map(row).collect();
    section(&format!("Packages: {}, {}", rows.len(), size(total)), &rows)
}

/// A section, unless it is empty.
fn titled<const N: usize>(title: &str, rows: &[[String; N]]) -> Vec<String> {
    match rows.is_empty() {
        true => Vec::new(),
        false => section(title, rows),
    }
}
