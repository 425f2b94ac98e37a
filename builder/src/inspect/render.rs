//! An inspection as text for people.

use super::{InspectedBuild, Inspection};
use crate::fat::time::UtcTime;

/// Before each value of the summary.
const NAME_WIDTH: usize = 13;
/// Lines are not cut below this width.
const MIN_WIDTH: usize = 40;

/// The inspection as text: no line is longer than `width` columns, and nothing from the image reaches the terminal as a
/// control character.
pub fn render(inspection: &Inspection, width: usize) -> String {
    let width = width.max(MIN_WIDTH);
    let mut lines = summary(inspection, width);
    lines.extend(partitions(inspection));
    lines.extend(esp_files(inspection));
    lines.extend(inspection.build.iter().flat_map(packages));
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
    if let Some(uki) = &inspection.uki {
        rows.push(("kernel image", format!("{}, {}", uki.path, size(uki.len_bytes))));
        let texts = [
            ("system", &uki.os_name),
            ("kernel", &uki.kernel),
            ("command line", &uki.command_line),
        ];
        rows.extend(texts.into_iter().filter_map(|(name, text)| Some((name, text.clone()?))));
        rows.extend(uki.root_hash.map(|hash| ("root hash", hash.to_string())));
    }
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
    let mut lines = Vec::new();
    for (name, text) in rows {
        let wrapped = wrap(&printable(&text), width - NAME_WIDTH);
        let names = std::iter::once(name).chain(std::iter::repeat(""));
        lines.extend(
            wrapped
                .iter()
                .zip(names)
                .map(|(line, name)| format!("{name:NAME_WIDTH$}{line}")),
        );
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

fn esp_files(inspection: &Inspection) -> Vec<String> {
    let row = |file: &super::EspFile| [size(file.len_bytes), printable(&file.path)];
    let rows: Vec<[String; 2]> = inspection.esp_files.iter().map(row).collect();
    if rows.is_empty() {
        Vec::new()
    } else {
        section("EFI system partition", &rows)
    }
}

fn packages(build: &InspectedBuild) -> Vec<String> {
    let total = build
        .packages
        .iter()
        .fold(0_u64, |sum, package| sum.saturating_add(package.installed_bytes));
    let row = |package: &crate::artifacts::manifest::PackageSize| {
        [
            size(package.installed_bytes),
            printable(&package.name),
            printable(&package.version),
        ]
    };
    let rows: Vec<[String; 3]> = build.packages.iter().map(row).collect();
    section(&format!("Packages: {}, {}", rows.len(), size(total)), &rows)
}

/// An empty line, the title, and the rows in columns.
fn section<const N: usize>(title: &str, rows: &[[String; N]]) -> Vec<String> {
    let widths: [usize; N] =
        std::array::from_fn(|column| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0));
    let mut lines = vec![String::new(), title.to_owned()];
    lines.extend(rows.iter().map(|row| {
        let cells = row.iter().zip(widths).map(|(cell, width)| format!("  {cell:width$}"));
        cells.collect::<String>().trim_end().to_owned()
    }));
    lines
}

/// A size in the largest binary unit in which it is at least 1.
fn size(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let power = bytes.ilog2() / 10;
    let tenths = (u128::from(bytes) * 10) >> (10 * power);
    format!("{}.{} {}", tenths / 10, tenths % 10, UNITS[power as usize - 1])
}

/// `text` with control characters escaped, and marks that turn the direction of text as well.
fn printable(text: &str) -> String {
    let is_plain = |c: char| {
        !c.is_control() && !matches!(c, '\u{200e}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    text.chars()
        .map(|c| {
            if is_plain(c) {
                c.to_string()
            } else {
                c.escape_default().to_string()
            }
        })
        .collect()
}

/// Lines of at most `width` columns, broken at spaces where there are any.
fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let line = lines.last_mut().expect("there is always a line");
        let used = line.chars().count();
        if used > 0 && used + 1 + word.chars().count() > width {
            lines.push(word.to_owned());
        } else {
            line.push_str(if used > 0 { " " } else { "" });
            line.push_str(word);
        }
    }
    let hard = |line: String| -> Vec<String> {
        let chars: Vec<char> = line.chars().collect();
        chars.chunks(width).map(|part| part.iter().collect()).collect()
    };
    lines.into_iter().flat_map(hard).collect()
}

fn cut(line: &str, width: usize) -> String {
    if line.chars().count() <= width {
        return line.to_owned();
    }
    line.chars().take(width - 1).chain(['…']).collect()
}
