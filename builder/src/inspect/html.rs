//! An inspection as a page: one file that loads nothing and runs nothing, for any browser, in light and in dark.
//!
//! Two treemaps show where the bytes on the medium went, by package and by folder; the tables below them have the same
//! numbers for those who cannot see or print them. Texts from the image are escaped, and the page forbids itself scripts.

mod maps;
mod treemap;

use std::fmt::Write as _;

use super::text::{printable, size};
use super::{Inspection, Outcome, Reach, RootContents};
use crate::fat::time::UtcTime;

const STYLE: &str = include_str!("html/page.css");

/// The page.
pub fn page(inspection: &Inspection) -> String {
    let title = escape(&title(inspection));
    let mut body = format!("<h1>{title}</h1>\n");
    body.push_str(&summary(inspection));
    body.push_str(&checks(inspection));
    body.push_str(&maps::by_package(inspection));
    body.push_str(&maps::by_folder(inspection));
    body.push_str(&sizes(inspection));
    body.push_str(&boot(inspection));
    body.push_str(&running(inspection));
    body.push_str(&findings(inspection));
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>{title}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n{body}</body>\n</html>\n"
    )
}

/// Text as HTML. Control characters are made visible.
fn escape(text: &str) -> String {
    printable(text)
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
        .replace('\'', "&#39;")
}

fn title(inspection: &Inspection) -> String {
    match &inspection.build {
        Some(build) => format!("{} {} for {}", build.image, build.image_version, build.arch),
        None => inspection.file.clone(),
    }
}

fn summary(inspection: &Inspection) -> String {
    let mut rows = vec![("file", format!("{}, {}", inspection.file, size(inspection.len_bytes)))];
    let on_medium: u64 = inspection.medium.iter().map(|part| part.len_bytes).sum();
    rows.push(("on the medium", size(on_medium)));
    if let Some(build) = &inspection.build {
        rows.push(("made of inputs of", UtcTime::from_unix(build.timestamp).to_string()));
    }
    let uki = inspection.uki.as_ref();
    let texts = [
        ("system", uki.and_then(|uki| uki.os_name.clone())),
        ("kernel", inspection.kernel().map(str::to_owned)),
        ("command line", inspection.command_line().map(str::to_owned)),
        ("root hash", inspection.root_hash().map(|hash| hash.to_string())),
    ];
    rows.extend(texts.into_iter().filter_map(|(name, text)| Some((name, text?))));
    if let Some(loader) = &inspection.boot.loader {
        rows.push((
            "boot loader",
            loader.name.clone().unwrap_or_else(|| loader.path.clone()),
        ));
    }
    if let Some(contents) = &inspection.contents {
        let counts = &contents.counts;
        let text = format!(
            "{} files, {} folders, {}; compressed {}",
            counts.files,
            counts.folders,
            size(contents.file_bytes),
            size(contents.stored_bytes)
        );
        rows.push(("content", text));
        if let Some(number) = contents.trust.certificate_authorities {
            rows.push(("trusts", format!("{number} certificate authorities")));
        }
    }
    let rows = rows.iter();
    let rows: String = rows
        .map(|(name, text)| format!("<dt>{name}</dt><dd>{}</dd>\n", escape(text)))
        .collect();
    format!("<dl>\n{rows}</dl>\n")
}

fn checks(inspection: &Inspection) -> String {
    let rows = inspection.checks.iter().map(|check| {
        let (class, outcome) = match check.outcome {
            Outcome::Passed => ("good", "good"),
            Outcome::Failed => ("bad", "WRONG"),
            Outcome::Skipped => ("", "not checked"),
        };
        [
            Cell::marked(class, outcome),
            Cell::text(&check.subject),
            Cell::text(&check.detail),
        ]
    });
    table("Verified", ["Outcome", "What", "Detail"], rows.collect())
}

fn sizes(inspection: &Inspection) -> String {
    let mut html = String::new();
    let total: u64 = inspection.medium.iter().map(|part| part.len_bytes).sum();
    let rows = inspection.medium.iter().map(|part| {
        [
            Cell::text(&part.name),
            Cell::text(maps::group_name(part.group)),
            Cell::number(size(part.len_bytes)),
            Cell::number(percent(part.len_bytes, total)),
        ]
    });
    html.push_str(&table(
        "On the medium",
        ["What", "Part", "Size", "Share"],
        rows.collect(),
    ));
    let Some(contents) = &inspection.contents else {
        return html;
    };
    let rows = contents.packages.iter().map(|owner| {
        [
            Cell::text(&owner.name),
            Cell::text(&owner.version),
            Cell::text(owner.kind.name()),
            Cell::number(owner.files.to_string()),
            Cell::number(size(owner.file_bytes)),
            Cell::number(size(owner.stored_bytes)),
        ]
    });
    let heads = ["Name", "Version", "Kind", "Files", "Unpacked", "Medium"];
    html.push_str(&table("Packages", heads, rows.collect()));
    html.push_str(&folders(contents));
    html
}

fn folders(contents: &RootContents) -> String {
    let shown = contents.folders.iter().filter(|folder| folder.stored_bytes > 0);
    let rows = shown.map(|folder| {
        [
            Cell::text(&folder.path),
            Cell::number(folder.files.to_string()),
            Cell::number(size(folder.file_bytes)),
            Cell::number(size(folder.stored_bytes)),
        ]
    });
    let mut html = table("Folders", ["Folder", "Files", "Unpacked", "Medium"], rows.collect());
    let rows = contents.largest.iter().map(|file| {
        [
            Cell::text(&file.path),
            Cell::number(size(file.file_bytes)),
            Cell::number(size(file.stored_bytes)),
        ]
    });
    html.push_str(&table("Largest files", ["File", "Unpacked", "Medium"], rows.collect()));
    html
}

fn percent(part: u64, total: u64) -> String {
    let share = if total == 0 {
        0.0
    } else {
        part as f64 * 100.0 / total as f64
    };
    format!("{share:.1} %")
}

fn boot(inspection: &Inspection) -> String {
    let rows = inspection.boot.entries.iter().map(|entry| {
        let tries = entry
            .tries_left
            .map_or_else(|| "not counted".to_owned(), |left| left.to_string());
        [
            Cell::text(&entry.path),
            Cell::text(entry.title.as_deref().unwrap_or_default()),
            Cell::text(&tries),
        ]
    });
    let mut html = table("Boot entries", ["Entry", "System", "Tries left"], rows.collect());
    let rows = inspection.partitions.iter().map(|partition| {
        let kind = partition
            .type_name
            .map_or_else(|| partition.type_id.to_string(), str::to_owned);
        [
            Cell::number(partition.number.to_string()),
            Cell::text(&partition.label),
            Cell::text(&kind),
            Cell::number(size(partition.len_bytes)),
            Cell::text(&partition.id.to_string()),
        ]
    });
    html.push_str(&table(
        "Partitions",
        ["#", "Label", "Type", "Size", "Id"],
        rows.collect(),
    ));
    html
}

fn running(inspection: &Inspection) -> String {
    let Some(contents) = &inspection.contents else {
        return String::new();
    };
    let rows = contents.units.enabled.iter().map(|unit| {
        let choice = match unit.choice {
            super::Choice::Image => "the image",
            super::Choice::Package => "its package",
        };
        [
            Cell::text(&unit.name),
            Cell::text(&unit.by.join(" ")),
            Cell::text(choice),
        ]
    });
    let mut html = table("Units that start", ["Unit", "Started by", "Wanted by"], rows.collect());
    let rows = contents.listeners.iter().map(|listener| {
        let reach = match listener.reach {
            Reach::Network => "network",
            Reach::Loopback => "loopback",
            Reach::Local => "local",
        };
        [
            Cell::text(reach),
            Cell::text(&format!("{} {}", listener.protocol, listener.address)),
            Cell::text(&listener.unit),
            Cell::text(&listener.because),
        ]
    });
    html.push_str(&table(
        "Expected to listen",
        ["Reach", "Where", "Unit", "Because"],
        rows.collect(),
    ));
    html
}

fn findings(inspection: &Inspection) -> String {
    let rows = inspection.findings.iter().map(|finding| [Cell::text(finding)]);
    table("Findings", ["What is wrong or could not be read"], rows.collect())
}

/// A cell of a table.
struct Cell {
    class: &'static str,
    html: String,
}

impl Cell {
    fn text(text: &str) -> Self {
        Self::marked("", text)
    }

    fn number(text: String) -> Self {
        Self::marked("number", &text)
    }

    fn marked(class: &'static str, text: &str) -> Self {
        Self {
            class,
            html: escape(text),
        }
    }
}

/// A table with a heading; nothing if it has no rows.
fn table<const N: usize>(title: &str, heads: [&str; N], rows: Vec<[Cell; N]>) -> String {
    let Some(first) = rows.first() else {
        return String::new();
    };
    let class = |class: &str| match class {
        "" => String::new(),
        class => format!(" class=\"{class}\""),
    };
    let mut html = format!("<h2>{title}</h2>\n<div class=\"table\"><table>\n<thead><tr>");
    for (head, cell) in heads.iter().zip(first) {
        let shown = if cell.class == "number" { "number" } else { "" };
        let _ = write!(html, "<th scope=\"col\"{}>{head}</th>", class(shown));
    }
    html.push_str("</tr></thead>\n<tbody>\n");
    for row in &rows {
        html.push_str("<tr>");
        for cell in row {
            let _ = write!(html, "<td{}>{}</td>", class(cell.class), cell.html);
        }
        html.push_str("</tr>\n");
    }
    html.push_str("</tbody></table></div>\n");
    html
}
