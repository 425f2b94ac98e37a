//! The disks of this machine, for whoever has not named one.

use std::collections::BTreeSet;

use serde::Serialize;

use crate::cli::FlashArgs;
use crate::device::guard::refusals;
use crate::device::{DiskFacts, Host, Refusal, Target, Use};
use crate::failure::{Failure, FailureKind};
use crate::printer::{self, Printer};

use super::super::output_failed;

/// A disk, and what speaks against it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
struct Candidate {
    path: String,
    model: Option<String>,
    serial: Option<String>,
    confirm: String,
    len_bytes: u64,
    bus: crate::device::Bus,
    kind: crate::device::Kind,
    uses: Vec<Use>,
    refusals: Vec<Refusal>,
}

/// Prints the disks, the suitable ones first; naming none is an error all the same.
pub(super) fn list(arguments: &FlashArgs, host: &Host, printer: &Printer) -> Result<(), Failure> {
    let mut found: Vec<Candidate> = host.disks().into_iter().map(candidate).collect();
    found.sort_by_key(|disk| disk.refusals.iter().map(weight).sum::<usize>());
    let text = match arguments.json {
        true => {
            let report = serde_json::json!({ "version": 1, "devices": found });
            format!("{report}\n")
        }
        false => table(&found),
    };
    printer.data(&text).map_err(output_failed)?;
    let failure = Failure::new(FailureKind::Safety, "no device is named");
    Err(match found.iter().find(|disk| disk.refusals.is_empty()) {
        Some(disk) => failure.hint(format!(
            "to overwrite {0}: `skerry flash {1} {0}`",
            disk.path, arguments.image
        )),
        None => failure.hint("plug in a stick or a card, and list again"),
    })
}

/// A rule that can be set aside weighs less.
fn weight(refusal: &Refusal) -> usize {
    if refusal.override_flag().is_some() { 1 } else { 10 }
}

fn candidate(disk: DiskFacts) -> Candidate {
    let target = Target::Disk(Box::new(disk.clone()));
    let refusals = refusals(&target, 0, &BTreeSet::new());
    Candidate {
        path: disk.path.display().to_string(),
        confirm: disk.confirmation(),
        model: disk.model,
        serial: disk.serial,
        len_bytes: disk.len_bytes,
        bus: disk.bus,
        kind: disk.kind,
        uses: disk.uses,
        refusals,
    }
}

fn table(disks: &[Candidate]) -> String {
    const HEAD: [&str; 7] = [
        "DEVICE",
        "MODEL",
        "SIZE",
        "BUS",
        "SERIAL",
        "MOUNTED AT",
        "CAN BE OVERWRITTEN",
    ];
    let rows: Vec<[String; 7]> = std::iter::once(HEAD.map(str::to_owned))
        .chain(disks.iter().map(row))
        .collect();
    let widths: Vec<usize> = (0..HEAD.len())
        .map(|column| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0))
        .collect();
    let line = |row: &[String; 7]| {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
        let line = cells.collect::<Vec<_>>().join("  ");
        format!("{}\n", line.trim_end())
    };
    rows.iter().map(line).collect()
}

fn row(disk: &Candidate) -> [String; 7] {
    let known = |text: &Option<String>| text.as_deref().map_or("-".to_owned(), printer::sanitize);
    let mounts: Vec<String> = disk
        .uses
        .iter()
        .filter_map(|found| match found {
            Use::Mounted { at, .. } => Some(printer::sanitize(at)),
            _ => None,
        })
        .collect();
    let verdict = match disk.refusals.as_slice() {
        [] => "yes".to_owned(),
        refusals => {
            let why: Vec<String> = refusals
                .iter()
                .map(|refusal| match refusal.override_flag() {
                    Some(rule) => format!("{refusal} ({})", rule.flag()),
                    None => refusal.to_string(),
                })
                .collect();
            format!("no: {}", printer::sanitize(&why.join("; ")))
        }
    };
    [
        disk.path.clone(),
        known(&disk.model),
        printer::bytes(disk.len_bytes),
        disk.bus.to_string(),
        known(&disk.serial),
        if mounts.is_empty() {
            "-".to_owned()
        } else {
            mounts.join(", ")
        },
        verdict,
    ]
}
